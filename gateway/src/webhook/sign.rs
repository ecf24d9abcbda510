//! Signatures of posts, as the Standard Webhooks specification 1.0 has them
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): an
//! HMAC-SHA256 of `{id}.{timestamp}.{body}`, in Base64.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// What posts are signed with.
#[derive(Clone)]
pub(crate) struct Key(Vec<u8>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(...)")
    }
}

impl Key {
    /// The key of a secret: the bytes behind `whsec_`, which are Base64; of any other text its own. None: there are
    /// none.
    pub(crate) fn of(secret: &str) -> Option<Self> {
        let key = match secret.strip_prefix("whsec_") {
            Some(coded) => BASE64_STANDARD.decode(coded).ok()?,
            None => secret.as_bytes().into(),
        };
        (!key.is_empty()).then_some(Self(key))
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
        let key = Key::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
        assert_eq!(
            key.signature(id, 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_without_the_prefix_is_its_own_key() {
        let signature = |secret| Key::of(secret).unwrap().signature("1", 2, b"3");
        assert_ne!(signature("a"), signature("b"));
        assert!(!format!("{:?}", Key::of("hidden")).contains("hidden"));
    }
}
