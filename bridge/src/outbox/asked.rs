//! The snapshots that wait in an outbox. Whoever asked for the values of many channels over a slow line reads them to
//! their end, so the first that waits of a channel counts for nothing: there is one for each channel at most. What is
//! asked for again before that one is read has a bound (`slow`).

use super::entry::ENTRY_BYTES;
use crate::{data::Data, update::Stamp};
use ahash::HashSet;
use protocol::TopicName;

/// The value of a channel that somebody asked for, encoded when it is written.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) channel: TopicName,
    pub(super) stamp: Stamp,
    pub(super) data: Data,
    /// About how much it counts for, in bytes: nothing, if no other waited of its channel.
    again_bytes: usize,
}

/// What waits of snapshots.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The channels of which one waits that counts for nothing.
    once: HashSet<TopicName>,
    again_bytes: usize,
}

impl Asked {
    /// A snapshot that will wait.
    pub(super) fn ask(&mut self, channel: TopicName, stamp: Stamp, data: Data) -> Snapshot {
        let is_first = self.once.insert(channel.clone());
        let again_bytes = if is_first { 0 } else { ENTRY_BYTES + data.text().len() };
        self.again_bytes += again_bytes;
        Snapshot { channel, stamp, data, again_bytes }
    }

    /// Notes that a snapshot waits no longer.
    pub(super) fn note_written(&mut self, snapshot: &Snapshot) {
        self.again_bytes -= snapshot.again_bytes;
        if snapshot.again_bytes == 0 {
            self.once.remove(&snapshot.channel);
        }
        if self.once.is_empty() {
            // Its room was for a fleet, maybe.
            self.once = HashSet::default();
        }
    }

    /// About how much waits that was asked for again, in bytes.
    pub(super) fn again_bytes(&self) -> usize {
        self.again_bytes
    }
}
