//! The audit log: who did what, from where and when, as a chain in which nothing can be changed unseen.
//!
//! The canonical form of an entry is its JSON exactly as `GET /audit` gives it, but without its last
//! member, `hash`: `{"number":...,...,"previous":"..."}`. `hash` is the SHA-256 of those bytes, in hex;
//! and since `previous` is the hash of the entry before, it covers all that came before it.

use crate::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// One entry of the audit log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Its number: 1, 2, 3 … without a hole; the oldest are let go.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What kind of party did it.
    pub by: AuditParty,
    /// The user's name; null where it was no user.
    pub user: Option<String>,
    /// The network address it was asked from; null where it was not asked over the network.
    pub address: Option<String>,
    /// What was done, such as `command.created`.
    pub action: String,
    /// The device it was done to; null where it was none.
    pub device: Option<DeviceId>,
    /// More about it, an object; what is in it depends on the action.
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub details: Box<RawValue>,
    /// The hash of the entry before; 64 zeros before the first.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    pub previous: String,
    /// The hash of this entry.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    pub hash: String,
}

/// What kind of party did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AuditParty {
    /// A person or script, by the name in `user`.
    User,
    /// The device in `device`.
    Device,
    /// A deadline.
    Timer,
    /// The gateway itself.
    Gateway,
}

impl AuditEntry {
    /// What stands between the canonical form and the hash in an entry's text.
    pub const BEFORE_HASH: &str = r#","hash":""#;

    /// The `previous` of entry 1.
    pub const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

    /// The action that tells of entries that were let go: `details` has `through`, the number of the
    /// last one, and `hash`, its hash.
    pub const PRUNED: &str = "audit.pruned";

    /// The canonical form of an entry from its text as it came, and the hash that the text claims; none
    /// where it is not an entry's.
    #[must_use]
    pub fn split(text: &str) -> Option<(String, &str)> {
        let (canonical, rest) = text.rsplit_once(Self::BEFORE_HASH)?;
        let hash = rest.strip_suffix("\"}")?;
        Some((format!("{canonical}}}"), hash))
    }
}
