//! JSON Web Tokens as passwords of devices: signed elsewhere, checked here with a key file or a JWKS file.
//!
//! A key decides the algorithm, a token never does: it is only checked with keys of the one it names. `none` is
//! none of them. The arithmetic is ring's, which TLS uses too.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind, Validation,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    decode, decode_header,
    errors::ErrorKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm},
    signature::{self, Verifier},
};
use protocol::{DeviceId, Timestamp};
use ring::{hmac, signature as ring_signature};
use serde_json::{Map, Value};
use std::{fs, path::Path, sync::Arc};

/// How many keys a JWKS file may have: a token is checked with all that may be meant.
const KEYS_MAX: usize = 64;

/// The shortest secret for HS256 (RFC 7518, section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// The keys, and what a token must say.
#[derive(Clone, Debug)]
pub struct JwtKeys {
    keys: Vec<Key>,
    audience: Option<String>,
    device_claim: String,
}

#[derive(Clone, Debug)]
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// A file that has no key that can be used: why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKey(pub String);

/// Who a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) device: DeviceId,
    pub(super) kind: Option<Arc<str>>,
    pub(super) ends_at: Timestamp,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadJwt {
    Wrong,
    Expired,
}

impl JwtKeys {
    /// Reads a key file (a PEM public key or certificate-less secret of 32 bytes or more) or a JWKS file; an empty
    /// `audience` is not checked.
    ///
    /// # Errors
    /// When the file cannot be read, or has no key that can be used.
    pub fn read(source: KeySource<'_>, audience: &str, device_claim: &str) -> Result<Self, BadKey> {
        // Another one cannot be installed: nothing else here uses the library.
        let _installed_before = PROVIDER.install_default();
        let keys = match source {
            KeySource::KeyFile(path) => vec![key_of_file(&read(path)?)?],
            KeySource::Jwks(path) => keys_of_set(&read(path)?)?,
        };
        let audience = (!audience.is_empty()).then(|| audience.to_owned());
        Ok(Self { keys, audience, device_claim: device_claim.into() })
    }

    /// Whether `text` has the shape of a token, signed or not.
    pub(super) fn is_one(text: &str) -> bool {
        let head = text.split('.').next().and_then(|head| BASE64_URL_SAFE_NO_PAD.decode(head).ok());
        let head = head.and_then(|head| serde_json::from_slice::<Map<String, Value>>(&head).ok());
        text.split('.').count() == 3 && head.is_some_and(|head| head.contains_key("alg"))
    }

    /// Whose token `text` is.
    #[expect(clippy::wildcard_enum_match_arm, reason = "all other errors are the token's fault")]
    pub(super) fn verify(&self, text: &str) -> Result<Bearer, BadJwt> {
        let header = decode_header(text).map_err(|_| BadJwt::Wrong)?;
        // Nothing that a header could call critical is known here (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(BadJwt::Wrong);
        }
        let meant = |key: &&Key| {
            let other_id = matches!((&key.id, &header.kid), (Some(own), Some(kid)) if own != kid);
            key.algorithm == header.alg && !other_id
        };
        let validation = self.validation(header.alg);
        for key in self.keys.iter().filter(meant) {
            match decode::<Map<String, Value>>(text, &key.key, &validation) {
                Ok(token) => return self.bearer(&token.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::ExpiredSignature => return Err(BadJwt::Expired),
                    _ => return Err(BadJwt::Wrong),
                },
            }
        }
        Err(BadJwt::Wrong)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.validate_nbf = true;
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.set_required_spec_claims(&["exp", "aud"]);
            }
            None => validation.validate_aud = false,
        }
        validation
    }

    fn bearer(&self, claims: &Map<String, Value>) -> Result<Bearer, BadJwt> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let device = text(&self.device_claim).and_then(|text| text.parse().ok());
        let exp = claims.get("exp").and_then(Value::as_f64).ok_or(BadJwt::Wrong)?;
        Ok(Bearer {
            device: device.ok_or(BadJwt::Wrong)?,
            kind: text("type").map(Into::into),
            ends_at: milliseconds(exp),
        })
    }
}

/// Where keys come from.
#[derive(Clone, Copy, Debug)]
pub enum KeySource<'a> {
    /// One key: a PEM public key, or the bytes of a secret.
    KeyFile(&'a Path),
    /// A JSON Web Key Set.
    Jwks(&'a Path),
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is beyond the last moment is that moment"
)]
fn milliseconds(seconds: f64) -> Timestamp {
    Timestamp((seconds.floor() * 1_000.0) as i64)
}

fn read(path: &Path) -> Result<Vec<u8>, BadKey> {
    fs::read(path).map_err(|error| BadKey(format!("{}: {error}", path.display())))
}

fn key_of_file(bytes: &[u8]) -> Result<Key, BadKey> {
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
    Ok(Key { id: None, algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) })
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
        Some((algorithm, key)) => Ok(Key { id: None, algorithm, key }),
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

fn keys_of_set(json: &[u8]) -> Result<Vec<Key>, BadKey> {
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
    Ok(Key { id: jwk.common.key_id.clone(), algorithm, key })
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: |algorithm, key| {
        Ok(Box::new(Checker { algorithm: *algorithm, key: key.clone() }) as Box<dyn JwtVerifier>)
    },
    key_utils: KeyUtils::new_unimplemented(),
};

/// Checks signatures with ring.
struct Checker {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signed: &Vec<u8>) -> Result<(), signature::Error> {
        let with = |algorithm: &'static dyn ring_signature::VerificationAlgorithm, key: &[u8]| {
            ring_signature::UnparsedPublicKey::new(algorithm, key).verify(message, signed)
        };
        let rsa = &ring_signature::RSA_PKCS1_2048_8192_SHA256;
        let checked = match (self.algorithm, self.key.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret), message, signed)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
                with(&ring_signature::ECDSA_P256_SHA256_FIXED, point)
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => {
                with(&ring_signature::ED25519, key)
            }
            (Algorithm::RS256, DecodingKeyKind::SecretOrDer(key)) => with(rsa, key),
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                ring_signature::RsaPublicKeyComponents { n, e }.verify(rsa, message, signed)
            }
            _ => Err(ring::error::Unspecified),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

#[cfg(test)]
mod tests;
