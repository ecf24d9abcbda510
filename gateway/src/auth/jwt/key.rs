//! The keys that JWTs are checked with, and the files that they come from.

use super::set::{KeySet, keys_of_set};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};
use x509_parser::{prelude::FromDer as _, public_key::RSAPublicKey};

/// The shortest secret for HS256 (RFC 7518, section 3.2).
pub(super) const SECRET_BYTES_MIN: usize = 32;

/// The modulus of RSA, in bits: less is not for RS256 (RFC 7518, section 3.3), more is not checked.
const RSA_BITS: RangeInclusive<usize> = 2_048..=8_192;

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

    /// The keys that are in it now; none in a set that says so.
    pub(super) fn keys(&self) -> Result<KeySet, BadKey> {
        match self {
            Self::KeyFile(file) => {
                let keys = vec![key_of_file(&read(file)?)?];
                Ok(KeySet { keys, ignored: Vec::new() })
            }
            Self::Jwks(file) => keys_of_set(&read(file)?),
        }
    }
}

impl Key {
    pub(super) fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
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
        Some((Algorithm::ES256, key)) if !is_p256(&key) => Err(BadKey(
            "of elliptic curves only P-256 (ES256) and Ed25519 (EdDSA) are served".into(),
        )),
        Some((Algorithm::RS256, key)) => {
            check_rsa(modulus(&key)).map_err(BadKey)?;
            Ok(Key::new(None, Algorithm::RS256, key))
        }
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

/// Of a key that came as PEM; empty: it is none.
fn modulus(key: &DecodingKey) -> &[u8] {
    let key = key.try_get_as_bytes().ok().and_then(|der| RSAPublicKey::from_der(der).ok());
    key.map_or(&[], |(_, key)| key.modulus)
}

/// Whether signatures of a key with this modulus are checked.
pub(super) fn check_rsa(modulus: &[u8]) -> Result<(), String> {
    let modulus = without_zeros(modulus);
    let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    let bits = modulus.len() * 8 - unused;
    if RSA_BITS.contains(&bits) {
        return Ok(());
    }
    let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
    Err(format!("a key of RSA has {least} to {most} bits, this one {bits}"))
}

/// A number without zeros before it, which some write.
pub(super) fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
