//! JSON Web Key Sets (RFC 7517): the keys that can be used, and why the others cannot.
//!
//! Whoever issues tokens may have keys for others in the same set. A key that is not understood is ignored (section 5)
//! and told; a set of which nothing can be used is taken for a mistake, one that is empty for what it says.

use super::key::{BadKey, Key, SECRET_BYTES_MIN, check_rsa, without_zeros};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;
use std::fmt;

/// How many keys a set may have: a token is checked with all that may be meant.
const KEYS_MAX: usize = 64;

/// What a file of keys has.
#[derive(Debug, Default)]
pub(in crate::auth) struct KeySet {
    pub(in crate::auth) keys: Vec<Key>,
    pub(in crate::auth) ignored: Vec<Ignored>,
}

/// A key that is not used.
#[derive(Debug)]
pub(in crate::auth) struct Ignored {
    place: usize,
    /// Its `kid`, as JSON.
    id: Option<Value>,
    why: String,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys[{}]", self.place)?;
        if let Some(id) = &self.id {
            write!(f, " (kid {id})")?;
        }
        write!(f, ": {}", self.why)
    }
}

pub(in crate::auth) fn keys_of_set(json: &[u8]) -> Result<KeySet, BadKey> {
    let no_set = |why: String| BadKey(format!("it is no JSON Web Key Set: {why}"));
    let value: Value = serde_json::from_slice(json).map_err(|error| no_set(error.to_string()))?;
    let all = value.get("keys").and_then(Value::as_array);
    let all = all.ok_or_else(|| no_set("it has no array 'keys'".into()))?;
    if all.len() > KEYS_MAX {
        return Err(BadKey(format!("it has {} keys, more than {KEYS_MAX}", all.len())));
    }
    let mut set = KeySet::default();
    for (place, jwk) in all.iter().enumerate() {
        match key_of_jwk(jwk) {
            Ok(key) => set.keys.push(key),
            Err(why) => set.ignored.push(Ignored { place, id: jwk.get("kid").cloned(), why }),
        }
    }
    if set.keys.is_empty() && !set.ignored.is_empty() {
        let whys: Vec<_> = set.ignored.iter().map(Ignored::to_string).collect();
        return Err(BadKey(format!("none of its keys can be used: {}", whys.join("; "))));
    }
    Ok(set)
}

fn key_of_jwk(jwk: &Value) -> Result<Key, String> {
    let id = optional(jwk, "kid")?.map(Into::into);
    check_use(jwk)?;
    let (algorithm, name, key) = match text(jwk, "kty")? {
        "RSA" => (Algorithm::RS256, "RS256", rsa(jwk)?),
        "EC" => (Algorithm::ES256, "ES256", p256(jwk)?),
        "OKP" => (Algorithm::EdDSA, "EdDSA", ed25519(jwk)?),
        "oct" => (Algorithm::HS256, "HS256", secret(jwk)?),
        kty => return Err(format!("kty '{kty}' is not served: RSA, EC, OKP and oct are")),
    };
    match optional(jwk, "alg")? {
        Some(alg) if alg != name => {
            Err(format!("alg '{alg}' is not served: of its kind {name} is"))
        }
        Some(_) | None => Ok(Key::new(id, algorithm, key)),
    }
}

/// Keys for something else check no signature (sections 4.2 and 4.3).
fn check_use(jwk: &Value) -> Result<(), String> {
    if let Some(other) = optional(jwk, "use")?.filter(|purpose| *purpose != "sig") {
        return Err(format!("use '{other}' is not 'sig': it is for no signatures"));
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(all)) if all.iter().any(|operation| operation == "verify") => Ok(()),
        Some(_) => Err("key_ops has no 'verify': it is for checking no signatures".into()),
    }
}

fn rsa(jwk: &Value) -> Result<DecodingKey, String> {
    let (n, e) = (bytes(jwk, "n")?, bytes(jwk, "e")?);
    check_rsa(&n)?;
    Ok(DecodingKey::from_rsa_raw_components(without_zeros(&n), without_zeros(&e)))
}

fn p256(jwk: &Value) -> Result<DecodingKey, String> {
    check_curve(jwk, "P-256")?;
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if (x.len(), y.len()) != (32, 32) {
        return Err("x and y are no point of P-256: each has 32 bytes".into());
    }
    // As ANSI X9.62 writes a point that is not compressed.
    Ok(DecodingKey::from_ec_der(&[&[4], &x[..], &y].concat()))
}

fn ed25519(jwk: &Value) -> Result<DecodingKey, String> {
    check_curve(jwk, "Ed25519")?;
    let x = bytes(jwk, "x")?;
    if x.len() != 32 {
        return Err("x is no key of Ed25519: it has 32 bytes".into());
    }
    Ok(DecodingKey::from_ed_der(&x))
}

fn secret(jwk: &Value) -> Result<DecodingKey, String> {
    let k = bytes(jwk, "k")?;
    if k.len() < SECRET_BYTES_MIN {
        return Err(format!("k has less than {SECRET_BYTES_MIN} bytes"));
    }
    Ok(DecodingKey::from_secret(&k))
}

fn check_curve(jwk: &Value, served: &str) -> Result<(), String> {
    match text(jwk, "crv")? {
        curve if curve == served => Ok(()),
        curve => Err(format!("crv '{curve}' is not served: P-256 (ES256) and Ed25519 (EdDSA) are")),
    }
}

fn bytes(jwk: &Value, name: &str) -> Result<Vec<u8>, String> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text(jwk, name)?);
    decoded.map_err(|error| format!("{name} is no Base64 for URLs: {error}"))
}

fn text<'a>(jwk: &'a Value, name: &str) -> Result<&'a str, String> {
    optional(jwk, name)?.ok_or_else(|| format!("it has no {name}"))
}

fn optional<'a>(jwk: &'a Value, name: &str) -> Result<Option<&'a str>, String> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} is no text")),
    }
}
