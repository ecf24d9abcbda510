//! The keys that JWTs are checked with, and the files that they come from.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm},
};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// How many keys a JWKS file may have: a token is checked with all that may be meant.
const KEYS_MAX: usize = 64;

/// The shortest secret for HS256 (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// One key: a PEM public key, or the bytes of a secret.
    KeyFile(PathBuf),
    /// A JSON Web Key Set.
    Jwks(PathBuf),
}

/// A file that has no key that can be used: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(pub String);

/// One key.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    pub(super) print: KeyPrint,
}

/// What tells a key from others, whatever file it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::auth) struct KeyPrint([u8; 32]);

impl KeySource {
    /// The file.
    pub(super) fn file(&self) -> &Path {
        match self {
            Self::KeyFile(file) | Self::Jwks(file) => file,
        }
    }

    /// The keys that are in it now; at least one.
    pub(super) fn keys(&self) -> Result<Vec<Key>, BadKey> {
        match self {
            Self::KeyFile(file) => Ok(vec![key_of_file(&read(file)?)?]),
            Self::Jwks(file) => keys_of_set(&read(file)?),
        }
    }
}

impl Key {
    fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        let hash = Sha256::new().chain_update(format!("{algorithm:?}"));
        let hash = match key.kind() {
            DecodingKeyKind::SecretOrDer(bytes) => hash.chain_update(bytes),
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                hash.chain_update(n).chain_update(b",").chain_update(e)
            }
        };
        let print = KeyPrint(hash.finalize().into());
        Self { id, algorithm, key, print }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BadKey> {
    fs::read(path).map_err(|error| BadKey(format!("{}: {error}", path.display())))
}

pub(in crate::auth) fn key_of_file(bytes: &[u8]) -> Result<Key, BadKey> {
    let is_pem = bytes.windows(11).any(|window| window == b"-----BEGIN ");
    if is_pem {
        return key_of_pem(bytes);
    }
    let secret = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if secret.len() < SECRET_BYTES_MIN {
        return Err(BadKey(format!(
            "a secret for HS256 has {SECRET_BYTES_MIN} bytes or more, this one {}: openssl rand -out FILE 32",
            secret.len()
        )));
    }
    Ok(Key::new(None, Algorithm::HS256, DecodingKey::from_secret(secret)))
}

fn key_of_pem(pem: &[u8]) -> Result<Key, BadKey> {
    if pem.windows(12).any(|window| window == b"PRIVATE KEY-") {
        return Err(BadKey("it is a private key: give its public key".into()));
    }
    let all = [
        (Algorithm::ES256, DecodingKey::from_ec_pem(pem)),
        (Algorithm::EdDSA, DecodingKey::from_ed_pem(pem)),
        (Algorithm::RS256, DecodingKey::from_rsa_pem(pem)),
    ];
    let found = all.into_iter().find_map(|(algorithm, key)| Some((algorithm, key.ok()?)));
    match found {
        Some((Algorithm::ES256, key)) if !is_p256(&key) => Err(unusable_curve()),
        Some((algorithm, key)) => Ok(Key::new(None, algorithm, key)),
        None => Err(BadKey(
            "it is no PEM public key of RSA, P-256 or Ed25519: openssl pkey -in PRIVATE -pubout"
                .into(),
        )),
    }
}

/// Whether the key is a point of a curve with 256 bits.
fn is_p256(key: &DecodingKey) -> bool {
    key.try_get_as_bytes().is_ok_and(|point| point.len() == 65)
}

fn unusable_curve() -> BadKey {
    BadKey("of elliptic curves only P-256 (ES256) and Ed25519 (EdDSA) are served".into())
}

pub(in crate::auth) fn keys_of_set(json: &[u8]) -> Result<Vec<Key>, BadKey> {
    let set: JwkSet = serde_json::from_slice(json)
        .map_err(|error| BadKey(format!("it is no JSON Web Key Set: {error}")))?;
    if set.keys.is_empty() || set.keys.len() > KEYS_MAX {
        return Err(BadKey(format!("it has {} keys, not 1-{KEYS_MAX}", set.keys.len())));
    }
    let named = |(place, jwk): (usize, &Jwk)| {
        key_of_jwk(jwk).map_err(|BadKey(why)| BadKey(format!("keys[{place}]: {why}")))
    };
    set.keys.iter().enumerate().map(named).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's lists of keys may grow")]
fn key_of_jwk(jwk: &Jwk) -> Result<Key, BadKey> {
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            Algorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            Algorithm::EdDSA
        }
        AlgorithmParameters::OctetKey(_) => Algorithm::HS256,
        _ => return Err(unusable_curve()),
    };
    let says = jwk.common.key_algorithm;
    let agrees = match algorithm {
        Algorithm::RS256 => KeyAlgorithm::RS256,
        Algorithm::ES256 => KeyAlgorithm::ES256,
        Algorithm::EdDSA => KeyAlgorithm::EdDSA,
        _ => KeyAlgorithm::HS256,
    };
    if says.is_some_and(|says| says != agrees) {
        return Err(BadKey(format!(
            "alg {says:?} is not served: RS256, ES256, EdDSA and HS256 are"
        )));
    }
    let key = DecodingKey::from_jwk(jwk).map_err(|error| BadKey(error.to_string()))?;
    let short = |key: &DecodingKey| {
        key.try_get_as_bytes().is_ok_and(|secret| secret.len() < SECRET_BYTES_MIN)
    };
    if algorithm == Algorithm::HS256 && short(&key) {
        return Err(BadKey(format!("k has less than {SECRET_BYTES_MIN} bytes")));
    }
    if algorithm == Algorithm::ES256 && !is_p256(&key) {
        return Err(BadKey("x and y are no point of P-256".into()));
    }
    Ok(Key::new(jwk.common.key_id.clone(), algorithm, key))
}
