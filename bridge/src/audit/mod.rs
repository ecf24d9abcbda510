//! The audit log: an append-only chain of who did what, from where and when.
//!
//! [`Audit::record`] numbers, chains and hashes an entry at once; [`Audit::take_changes`] gives what is to
//! be kept of it, in chunks of entries that came together, and which old chunks are let go. Every entry's
//! hash covers the one before (see `protocol::AuditEntry`), so that the rest can be verified from any
//! entry on. What is let go is always the oldest, and the entry [`AuditEntry::PRUNED`] tells through which
//! number and with which hash: the first entry that is left must follow exactly there.

mod steps;

pub use steps::{Step, Steps};

use data_encoding::HEXLOWER;
use protocol::{AuditEntry, AuditParty, DeviceId, Timestamp};
use serde::Serialize;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party<'a> {
    /// A person or script.
    User {
        /// By this name.
        name: &'a str,
        /// From this network address.
        address: Option<&'a str>,
    },
    /// The device that the entry is about.
    Device,
    /// A deadline.
    Timer,
    /// The gateway itself.
    Gateway,
}

/// Something that was done.
#[derive(Clone, Debug)]
pub struct Deed<'a, D = Value> {
    /// Who did it.
    pub by: Party<'a>,
    /// What it was, such as `command.created`.
    pub action: &'a str,
    /// The device it was done to.
    pub device: Option<&'a DeviceId>,
    /// More about it, an object.
    pub details: D,
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Entries that came together, one a line.
    Set {
        /// The number of the first.
        first: u64,
        /// Their texts.
        lines: String,
    },
    /// The entries that came together from this number on are let go.
    Gone {
        /// The number of the first.
        first: u64,
    },
}

/// The texts that were kept are not those of an audit log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit entries from number {0} on do not read")]
pub struct Unreadable(pub u64);

/// Details longer than this are replaced by their length and hash, in bytes.
const DETAILS_BYTES_MAX: usize = 8 * 1024;

/// So many entries are kept together at most.
const CHUNK_ENTRIES: u64 = 128;

/// The log.
#[derive(Clone, Debug)]
pub struct Audit {
    entries_max: u64,
    /// The number of the last entry.
    last: u64,
    /// Its hash.
    head: String,
    /// The first number of each chunk that is kept, and the hash before it.
    chunks: VecDeque<(u64, String)>,
    new: String,
    new_first: u64,
    changes: Vec<Change>,
}

/// An entry without its hash: the canonical form.
#[derive(Serialize)]
struct Canonical<'a> {
    number: u64,
    at: Timestamp,
    by: AuditParty,
    user: Option<&'a str>,
    address: Option<&'a str>,
    action: &'a str,
    device: Option<&'a DeviceId>,
    details: &'a RawValue,
    previous: &'a str,
}

impl Audit {
    /// An empty log that keeps about so many entries.
    #[must_use]
    pub fn new(entries_max: u64) -> Self {
        Self {
            entries_max,
            last: 0,
            head: AuditEntry::NO_HASH.into(),
            chunks: VecDeque::new(),
            new: String::new(),
            new_first: 1,
            changes: Vec::new(),
        }
    }

    /// Takes back chunks as they were kept, in the order of their numbers.
    ///
    /// # Errors
    /// [`Unreadable`] with the chunk.
    pub fn restore<'a>(
        &mut self,
        chunks: impl IntoIterator<Item = (u64, &'a str)>,
    ) -> Result<(), Unreadable> {
        for (first, lines) in chunks {
            let read = |line: &str| serde_json::from_str::<AuditEntry>(line).ok();
            let ends = lines.lines().next().zip(lines.lines().next_back());
            let ends = ends.and_then(|(first, last)| Some((read(first)?, read(last)?)));
            let (begin, end) = ends.ok_or(Unreadable(first))?;
            self.chunks.push_back((first, begin.previous));
            (self.last, self.head) = (end.number, end.hash);
        }
        self.new_first = self.last + 1;
        Ok(())
    }

    /// Appends an entry.
    ///
    /// # Panics
    /// When the details have other keys than texts.
    pub fn record(&mut self, now: Timestamp, deed: Deed<'_, impl Serialize>) {
        self.append(now, deed);
        self.let_go(now);
    }

    /// The number and the hash of the last entry.
    #[must_use]
    pub fn head(&self) -> (u64, &str) {
        (self.last, &self.head)
    }

    /// How many entries are kept.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.last + 1 - self.first()
    }

    /// What is to be kept or let go since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.close_chunk();
        std::mem::take(&mut self.changes)
    }

    /// The number of the first entry that is kept.
    fn first(&self) -> u64 {
        self.chunks.front().map_or(self.new_first, |(first, _)| *first)
    }

    fn append(&mut self, now: Timestamp, deed: Deed<'_, impl Serialize>) {
        if self.last + 1 >= self.new_first + CHUNK_ENTRIES {
            self.close_chunk();
        }
        let Deed { by, action, device, details } = deed;
        let (by, user, address) = match by {
            Party::User { name, address } => (AuditParty::User, Some(name), address),
            Party::Device => (AuditParty::Device, None, None),
            Party::Timer => (AuditParty::Timer, None, None),
            Party::Gateway => (AuditParty::Gateway, None, None),
        };
        let details = bounded(&details);
        self.last += 1;
        let (number, at, previous) = (self.last, now, &*self.head);
        let entry = Canonical {
            number,
            at,
            by,
            user,
            address,
            action,
            device,
            details: &details,
            previous,
        };
        let text = serde_json::to_string(&entry).expect("texts, numbers and an object");
        if self.new.is_empty() {
            self.new_first = number;
            self.chunks.push_back((number, self.head.clone()));
        }
        self.head = hash(text.as_bytes());
        let open = text.strip_suffix('}').expect("an object ends so");
        self.new.extend([open, AuditEntry::BEFORE_HASH, &self.head, "\"}\n"]);
    }

    fn close_chunk(&mut self) {
        if !self.new.is_empty() {
            let lines = std::mem::take(&mut self.new);
            self.changes.push(Change::Set { first: self.new_first, lines });
        }
        self.new_first = self.last + 1;
    }

    /// Lets the oldest tenth go once there are too many; never what is not yet kept.
    fn let_go(&mut self, now: Timestamp) {
        if self.count() <= self.entries_max {
            return;
        }
        let keep = self.entries_max - self.entries_max / 10;
        let mut through = None;
        while self.count() > keep
            && let Some((second, before)) = self.chunks.get(1).cloned()
        {
            let (first, _) = self.chunks.pop_front().expect("there are two");
            self.changes.push(Change::Gone { first });
            through = Some((second - 1, before));
        }
        if let Some((through, hash)) = through {
            let details = json!({ "through": through, "hash": hash });
            let (by, action) = (Party::Gateway, AuditEntry::PRUNED);
            self.append(now, Deed { by, action, device: None, details });
        }
    }
}

/// The SHA-256 of `bytes` in hex.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The details as they are written: an object of a bounded length.
fn bounded(details: &impl Serialize) -> Box<RawValue> {
    let raw = |details: &Value| to_raw_value(details).expect("a value has text keys");
    let details = to_raw_value(details).expect("details have text keys and finite numbers");
    let text = details.get();
    if text.len() > DETAILS_BYTES_MAX {
        raw(&json!({"bytes": text.len(), "sha256": hash(text.as_bytes())}))
    } else if text.starts_with('{') {
        details
    } else if text == "null" {
        raw(&json!({}))
    } else {
        RawValue::from_string(format!(r#"{{"value":{text}}}"#)).expect("it is JSON")
    }
}

#[cfg(test)]
mod tests;
