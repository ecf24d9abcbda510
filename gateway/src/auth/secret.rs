//! Secrets: made at random, kept as salted SHA-256. They have 256 bits of entropy, so that a slow hash
//! would protect nothing more.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A new secret, in 43 characters of `A-Z a-z 0-9 - _`.
pub(super) fn random() -> String {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// An id in 12 characters of `0-9 a-f`.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 6];
    rand::rng().fill_bytes(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is kept of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hash {
    salt: String,
    sha256: String,
}

impl Hash {
    pub(super) fn of(secret: &str) -> Self {
        let salt = random();
        let sha256 = digest(&salt, secret);
        Self { salt, sha256 }
    }

    /// Takes as long for a secret that is nearly right.
    pub(super) fn matches(&self, secret: &str) -> bool {
        digest(&self.salt, secret).as_bytes().ct_eq(self.sha256.as_bytes()).into()
    }
}

fn digest(salt: &str, secret: &str) -> String {
    let hash = Sha256::new().chain_update(salt).chain_update(secret).finalize();
    BASE64_URL_SAFE_NO_PAD.encode(hash)
}
