//! Secrets and what is kept of them.
//!
//! One that the gateway made has 256 bits of chance: salted SHA-256 is enough, a slow hash would protect nothing
//! more. One that came from elsewhere may be weak and is hashed slowly.

use super::EditError;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::Write;
use subtle::ConstantTimeEq as _;

/// What a slow hash costs: memory in KiB and passes over it, as OWASP has it for the least memory. Hashes that
/// were made before a change say what they cost themselves.
const MEMORY_KIB: u32 = 7 * 1_024;
const PASSES: u32 = 5;

/// A new secret, in 43 characters of `A-Z a-z 0-9 - _`.
pub(super) fn random() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Prints a new secret, before it is kept: one that nobody saw is of no use, and with the first one everybody must
/// sign in.
pub(crate) fn print(secret: &str, out: &mut impl Write) -> Result<(), EditError> {
    writeln!(out, "{secret}").and_then(|()| out.flush()).map_err(EditError::NotPrinted)
}

/// An id in 12 characters of `0-9 a-f`.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 6];
    rand::rng().fill_bytes(&mut bytes);
    HEXLOWER.encode(&bytes)
}

/// What is kept of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Hash {
    /// Of a secret with much chance in it.
    Fast(Fast),
    /// Of a secret that may be weak.
    Slow(Slow),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fast {
    salt: String,
    sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Slow {
    salt: String,
    argon2id: String,
    memory_kib: u32,
    passes: u32,
}

impl Hash {
    pub(super) fn fast(secret: &[u8]) -> Self {
        let salt = random();
        let sha256 = digest(&salt, secret);
        Self::Fast(Fast { salt, sha256 })
    }

    /// Takes tens of milliseconds.
    pub(super) fn slow(secret: &[u8]) -> Self {
        let salt = random();
        let empty = Slow { salt, argon2id: String::new(), memory_kib: MEMORY_KIB, passes: PASSES };
        let argon2id = empty.digest(secret).expect("the cost is one that Argon2 takes");
        Self::Slow(Slow { argon2id, ..empty })
    }

    /// Whether [`Self::matches`] takes tens of milliseconds.
    pub(super) fn is_slow(&self) -> bool {
        matches!(self, Self::Slow(_))
    }

    /// Takes as long for a secret that is nearly right.
    pub(super) fn matches(&self, secret: &[u8]) -> bool {
        match self {
            Self::Fast(Fast { salt, sha256 }) => same(&digest(salt, secret), sha256),
            Self::Slow(slow) => {
                slow.digest(secret).is_some_and(|digest| same(&digest, &slow.argon2id))
            }
        }
    }
}

impl Slow {
    /// None: Argon2 does not take this cost.
    fn digest(&self, secret: &[u8]) -> Option<String> {
        let mut hash = [0; 32];
        let params = Params::new(self.memory_kib, self.passes, 1, Some(hash.len())).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(secret, self.salt.as_bytes(), &mut hash).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(hash))
    }
}

fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn digest(salt: &str, secret: &[u8]) -> String {
    let hash = Sha256::new().chain_update(salt).chain_update(secret).finalize();
    BASE64_URL_SAFE_NO_PAD.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_matches_and_no_hash_tells_it() {
        for hash in [Hash::fast(b"wonderful"), Hash::slow(b"wonderful")] {
            assert!(hash.matches(b"wonderful"));
            for wrong in [&b"wonderfu"[..], b"wonderful ", b""] {
                assert!(!hash.matches(wrong));
            }
            let text = serde_json::to_string(&hash).unwrap();
            assert!(!text.contains("wonder"), "{text}");
            assert_eq!(serde_json::from_str::<Hash>(&text).unwrap(), hash);
        }
    }

    #[test]
    fn the_same_secret_has_another_hash_each_time() {
        assert_ne!(Hash::fast(b"x"), Hash::fast(b"x"));
        assert_ne!(Hash::slow(b"x"), Hash::slow(b"x"));
    }

    #[test]
    fn a_cost_that_cannot_be_matches_nothing() {
        let Hash::Slow(slow) = Hash::slow(b"x") else { panic!("it is slow") };
        assert!(!Hash::Slow(Slow { passes: 0, ..slow }).matches(b"x"));
    }
}
