//! JSON Web Tokens as passwords of devices: signed elsewhere, checked here with a key file or a JWKS file, which may
//! change while the gateway runs.
//!
//! A key decides the algorithm, a token never does: it is only checked with keys of the one it names. `none` is
//! none of them. The arithmetic is ring's, which TLS uses too.

mod checker;
mod key;
mod set;

pub use key::{BadKey, KeySource};
pub(super) use key::{KeyPrint, key_of_file};
pub(super) use set::keys_of_set;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header, errors::ErrorKind};
use key::Key;
use protocol::{DeviceId, Timestamp};
use serde_json::{Map, Value};
use set::KeySet;
use std::{
    path::Path,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// The keys, and what a token must say. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JwtKeys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: KeySource,
    audience: Option<String>,
    device_claim: String,
    current: RwLock<Arc<KeySet>>,
    version: AtomicU64,
}

/// Who a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) device: DeviceId,
    pub(super) kind: Option<Arc<str>>,
    pub(super) ends_at: Timestamp,
    /// What it was signed with.
    pub(super) key: KeyPrint,
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
    /// When the file cannot be read, or has keys and none that can be used.
    pub fn read(source: KeySource, audience: &str, device_claim: &str) -> Result<Self, BadKey> {
        let keys = source.keys()?;
        Ok(Self::with(source, keys, audience, device_claim))
    }

    fn with(source: KeySource, keys: KeySet, audience: &str, device_claim: &str) -> Self {
        checker::install();
        let (current, version) = (RwLock::new(Arc::new(keys)), AtomicU64::new(0));
        let audience = (!audience.is_empty()).then(|| audience.to_owned());
        Self(Arc::new(Inner {
            source,
            audience,
            device_claim: device_claim.into(),
            current,
            version,
        }))
    }

    /// Those of one secret, which is in no file.
    pub(super) fn of_secret(secret: &[u8], audience: &str) -> Self {
        let key = key_of_file(secret).expect("it is long enough");
        let keys = KeySet { keys: vec![key], ignored: Vec::new() };
        Self::with(KeySource::KeyFile("".into()), keys, audience, "sub")
    }

    /// The file.
    pub(crate) fn file(&self) -> &Path {
        self.0.source.file()
    }

    /// Reads the file again. Tokens that were signed with a key that is gone do not count any more.
    ///
    /// # Errors
    /// When it cannot be read, or has keys and none that can be used: those from before stay.
    pub(crate) fn reload(&self) -> Result<(), BadKey> {
        let keys = Arc::new(self.0.source.keys()?);
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = keys;
        self.0.version.fetch_add(1, Ordering::Release);
        self.tell_unused();
        Ok(())
    }

    /// Logs which keys of the file are not used, and that it has none.
    pub(crate) fn tell_unused(&self) {
        let (file, current) = (self.file().display(), self.current());
        for ignored in &current.ignored {
            tracing::warn!(%file, %ignored, "a key for JWTs is not used");
        }
        if current.keys.is_empty() {
            tracing::warn!(%file, "there are no keys for JWTs: no device can sign in by one");
        }
    }

    /// Goes up each time that the file was read.
    pub(super) fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Whether a key still counts.
    pub(super) fn has(&self, print: &KeyPrint) -> bool {
        self.current().keys.iter().any(|key| key.print == *print)
    }

    fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `text` has the shape of a token, signed or not.
    pub(super) fn is_one(text: &str) -> bool {
        let head = text.split('.').next().and_then(|head| BASE64_URL_SAFE_NO_PAD.decode(head).ok());
        let head = head.and_then(|head| serde_json::from_slice::<Map<String, Value>>(&head).ok());
        text.split('.').count() == 3 && head.is_some_and(|head| head.contains_key("alg"))
    }

    /// Whose token `text` says it is, whether it is right or not.
    pub(super) fn named_by(&self, text: &str) -> Option<String> {
        let claims = BASE64_URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(&claims).ok()?;
        Some(claims.get(&self.0.device_claim)?.as_str()?.to_owned())
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
        for key in self.current().keys.iter().filter(meant) {
            match decode::<Map<String, Value>>(text, &key.key, &validation) {
                Ok(token) => return self.bearer(&token.claims, key.print),
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
        match &self.0.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.set_required_spec_claims(&["exp", "aud"]);
            }
            None => validation.validate_aud = false,
        }
        validation
    }

    fn bearer(&self, claims: &Map<String, Value>, key: KeyPrint) -> Result<Bearer, BadJwt> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let device = text(&self.0.device_claim).and_then(|text| text.parse().ok());
        let exp = claims.get("exp").and_then(Value::as_f64).ok_or(BadJwt::Wrong)?;
        Ok(Bearer {
            device: device.ok_or(BadJwt::Wrong)?,
            kind: text("type").map(Into::into),
            ends_at: milliseconds(exp),
            key,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is beyond the last moment is that moment"
)]
fn milliseconds(seconds: f64) -> Timestamp {
    Timestamp((seconds.floor() * 1_000.0) as i64)
}

#[cfg(test)]
mod tests;
