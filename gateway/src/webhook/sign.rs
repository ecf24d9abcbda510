//! Signatures of posts, as the Standard Webhooks specification 1.0 has them
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): an
//! HMAC-SHA256 of `{id}.{timestamp}.{body}`, in Base64.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// What posts are signed with.
#[derive(Clone)]
pub(super) struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(...)")
    }
}

impl Key {
    /// The key of a secret: the bytes behind `whsec_`, which are Base64; of any other text its own.
    pub(super) fn of(secret: &str) -> Self {
        let coded =
            secret.strip_prefix("whsec_").and_then(|coded| BASE64_STANDARD.decode(coded).ok());
        Self(coded.unwrap_or_else(|| secret.as_bytes().into()))
    }

    /// The header `webhook-signature` of a post.
    pub(super) fn signature(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specifications_libraries_holds() {
        let key = Key::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        assert_eq!(
            key.signature(id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_without_the_prefix_is_its_own_key() {
        assert_ne!(Key::of("a").signature("1", 2, b"3"), Key::of("b").signature("1", 2, b"3"));
        assert!(!format!("{:?}", Key::of("hidden")).contains("hidden"));
    }
}
