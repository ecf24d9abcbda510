//! What is fuzzed of signing in.

use super::jwt::{JwtKeys, key_of_file, keys_of_set};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use protocol::DeviceId;
use ring::hmac;
use serde_json::{Map, Value};

/// The secret that tokens of the target are signed with, and the audience that it wants.
const SECRET: &[u8] = b"a secret of thirty-two bytes or more";
const AUDIENCE: &str = "sluice";

/// A token as it comes in a password; or a line with its header and a line with its claims, which are signed here,
/// so that what comes behind the signature is reached; or a file of keys.
pub fn jwt(bytes: &[u8]) {
    if let Err(bad) = key_of_file(bytes) {
        assert!(!bad.0.is_empty());
    }
    match keys_of_set(bytes) {
        Ok(set) => assert!(!set.keys.is_empty() || set.ignored.is_empty()),
        Err(bad) => assert!(!bad.0.is_empty()),
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check(text);
    if let Some((head, claims)) = text.split_once('\n') {
        let message = format!("{}.{}", encoded(head.as_bytes()), encoded(claims.as_bytes()));
        check(&format!("{message}.{}", encoded(&signature(&message))));
    }
}

/// Only what is signed with the secret, and says what a token must say, counts.
fn check(text: &str) {
    let keys = JwtKeys::of_secret(SECRET, AUDIENCE);
    let Ok(bearer) = keys.verify(text) else { return };
    assert!(JwtKeys::is_one(text), "{text}");
    let parts: Vec<&str> = text.split('.').collect();
    let [head, claims, signed] = parts[..] else { panic!("it has three parts: {text}") };
    let message = format!("{head}.{claims}");
    assert_eq!(decoded(signed), signature(&message), "{text}");
    assert_eq!(object(head)["alg"], "HS256", "{text}");
    let claims = object(claims);
    let device: DeviceId = claims["sub"].as_str().and_then(|id| id.parse().ok()).expect("a device");
    assert_eq!(device, bearer.device);
    assert!(bearer.ends_at > crate::clock::now(), "{text}");
    let meant = match &claims["aud"] {
        Value::String(audience) => audience == AUDIENCE,
        Value::Array(all) => all.iter().any(|audience| audience == AUDIENCE),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    assert!(meant, "{text}");
}

fn signature(message: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes()).as_ref().into()
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decoded(part: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(part).expect("it counts")
}

fn object(part: &str) -> Map<String, Value> {
    serde_json::from_slice(&decoded(part)).expect("it counts")
}
