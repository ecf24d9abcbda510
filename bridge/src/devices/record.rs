//! What is known of one device, and which of it is kept.

use crate::event::ConnectionId;
use protocol::{DeviceId, Status, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels of a device.
pub type Tags = BTreeMap<String, String>;

/// One device.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its type, where it was told.
    pub kind: Option<String>,
    /// Its labels.
    pub tags: Tags,
    /// Counts the changes of the two.
    pub version: u64,
    pub(super) status: Status,
    pub(super) since: Timestamp,
    /// When it last said something, or its own connection began or ended.
    pub last_seen_at: Option<Timestamp>,
    /// What is kept of that.
    pub(super) kept_seen_at: Option<Timestamp>,
    /// When it was first heard of or written.
    pub created_at: Timestamp,
    pub(super) connection: Option<ConnectionId>,
}

/// What of a device is kept beside its channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its type, where it was told.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its labels.
    pub tags: Tags,
    /// Counts the changes of the two.
    pub version: u64,
    /// When it was first heard of or written.
    pub created_at: Timestamp,
    /// When it was last seen, as of the last time that was kept; earlier versions kept none.
    #[serde(default)]
    pub last_seen_at: Option<Timestamp>,
}

/// A change of what is kept of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, was written, or was seen since.
    Set(DeviceId, Kept),
    /// It was deleted.
    Deleted(DeviceId),
}

impl Record {
    /// What is to be kept of it as it is now.
    pub(super) fn keep(&mut self) -> Kept {
        self.kept_seen_at = self.last_seen_at;
        Kept {
            kind: self.kind.clone(),
            tags: self.tags.clone(),
            version: self.version,
            created_at: self.created_at,
            last_seen_at: self.last_seen_at,
        }
    }

    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            kind: None,
            tags: Tags::new(),
            version: 0,
            status: Status::Offline,
            since: now,
            last_seen_at: None,
            kept_seen_at: None,
            created_at: now,
            connection: None,
        }
    }

    /// Whether it is there.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Since when it has its status.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether it has the label `tag`: `name`, or `name:value`.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        match tag.split_once(':') {
            Some((name, value)) => self.tags.get(name).is_some_and(|known| known == value),
            None => self.tags.contains_key(tag),
        }
    }

    /// Whether a label may have this name: [`Self::has_tag`] would never find one with a colon.
    #[must_use]
    pub fn is_tag_name(name: &str) -> bool {
        !name.contains(':')
    }

    /// Its own connection.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }
}
