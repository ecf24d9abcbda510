//! How a slow reader is served, in steps: its telemetry merges to the newest values of each channel, and it
//! is told (`lag`); of other channels that overflow their bound it gets a `reset` and the value; what still
//! grows past the bound ends the connection. A reader that catches up has the true values.

use super::{AT_ONCE, Outbox, encode, entry::Entry};
use crate::update::{ChannelKind, Update};
use protocol::{Millis, Reply, Timestamp, TopicName};
use std::{collections::HashSet, sync::Arc};

/// Above this many queued bytes telemetry conflates. What is merged already does not count: there is nothing to
/// gain from it, and all that a modest reader asked for may come due in one moment.
pub(super) const CONFLATE_BYTES: usize = 256 * 1024;

/// Above this many queued bytes of updates that must not conflate, the channel whose update is one too many
/// is reset to its newest one. Only while the reader lags: a fast one takes any burst.
const WHOLE_BYTES: usize = 256 * 1024;

/// Above this many queued bytes, merged values too, for [`TOO_SLOW_AFTER`] the connection is closed.
const TOO_SLOW_BYTES: usize = 1024 * 1024;

/// How long more than [`TOO_SLOW_BYTES`] may stay queued.
const TOO_SLOW_AFTER: Millis = Millis(10_000);

/// Above this many queued bytes the connection is closed at once: no burst of live data comes near it. Merged values,
/// one for each channel, do not count. The same holds for snapshots that were asked for again, apart from all else.
const OVERFLOW_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Lag {
    pub(super) dropped: u64,
}

impl Outbox {
    /// Whether the reader is too slow to be kept: past the bound for too long, or far past it. Wants
    /// to be asked about every second, for the time counts from the first time that it is asked.
    #[must_use]
    pub fn is_too_slow(&mut self, now: Timestamp) -> bool {
        if self.bytes.max(self.asked.again_bytes()) > OVERFLOW_BYTES {
            return true;
        }
        if self.bytes() <= TOO_SLOW_BYTES {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert(now);
        now.since(since) >= TOO_SLOW_AFTER
    }

    /// Notes that something was taken: who comes below the bound between two bursts is not too slow.
    pub(super) fn note_progress(&mut self) {
        if self.bytes() <= TOO_SLOW_BYTES {
            self.over_since = None;
        }
    }

    /// Whether telemetry is being conflated because the reader is slow.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.lag.is_some()
    }

    /// Takes an update that must not conflate but comes when too many of them wait: the channel is reset
    /// to it. False where there is room.
    pub(super) fn overflows(&mut self, update: &Arc<Update>) -> bool {
        if let Some(newest) = self.overflowed.get_mut(&update.channel) {
            *newest = Arc::clone(update);
            self.merged = true;
            return true;
        }
        if self.lag.is_none() || self.whole_bytes + update.bytes() <= WHOLE_BYTES {
            self.whole_bytes += update.bytes();
            return false;
        }
        self.counts.resets += 1;
        self.drop_queued(&update.channel);
        self.overflowed.insert(update.channel.clone(), Arc::clone(update));
        let _lagging_and_so_awake = self.push(Entry::Reset(update.channel.clone(), update.bytes()));
        true
    }

    /// Drops the updates of a channel that wait in the queue.
    fn drop_queued(&mut self, channel: &TopicName) {
        let (mut bytes, mut whole_bytes) = (0, 0);
        self.queue.retain(|entry| match entry {
            Entry::Update(other) if other.channel == *channel => {
                bytes += entry.size();
                whole_bytes += other.bytes();
                false
            }
            Entry::Update(_)
            | Entry::Reply(_)
            | Entry::Replay(_)
            | Entry::Snapshot(_)
            | Entry::Slot(..)
            | Entry::Reset(..) => true,
        });
        self.bytes = self.bytes.saturating_sub(bytes);
        self.whole_bytes = self.whole_bytes.saturating_sub(whole_bytes);
    }

    pub(super) fn count_dropped(&mut self, updates: u64) {
        if let Some(lag) = &mut self.lag {
            lag.dropped += updates;
            self.counts.conflated += updates;
        }
    }

    /// Conflates the telemetry that waits, and says so before anything else.
    pub(super) fn start_lag(&mut self) {
        self.lag = Some(Lag::default());
        self.bytes = 0;
        self.seal_behind_updates();
        for entry in std::mem::take(&mut self.queue) {
            match entry {
                Entry::Update(update) if update.kind == ChannelKind::Telemetry => {
                    let _queued_already = self.conflate(AT_ONCE, &update, Millis(0));
                }
                Entry::Snapshot(value) => {
                    self.slots.void(&value.channel);
                    let _queued_already = self.push(Entry::Snapshot(value));
                }
                Entry::Slot(channel, ticket) => {
                    if self.slots.is_sealed(ticket) {
                        // What stands behind it must not merge into what stands before it.
                        let _no_place_needed = self.slots.seal(&channel);
                    }
                    let _queued_already = self.push(Entry::Slot(channel, ticket));
                }
                other @ (Entry::Reply(_)
                | Entry::Update(_)
                | Entry::Replay(_)
                | Entry::Reset(..)) => {
                    let _queued_already = self.push(other);
                }
            }
        }
        let dropped = self.lag.as_mut().map_or(0, |lag| std::mem::take(&mut lag.dropped));
        let notice = Entry::Reply(encode(&Reply::Lag { on: true, dropped }));
        self.bytes += notice.size();
        self.queue.push_front(notice);
    }

    /// Seals what has its place behind whole updates of its channel, which are older and so must not merge into it.
    fn seal_behind_updates(&mut self) {
        let mut whole = HashSet::new();
        for entry in &self.queue {
            match entry {
                Entry::Update(update) => _ = whole.insert(&update.channel),
                Entry::Slot(channel, _) if whole.contains(channel) => {
                    let _no_place_needed = self.slots.seal(channel);
                }
                Entry::Slot(..)
                | Entry::Reply(_)
                | Entry::Replay(_)
                | Entry::Reset(..)
                | Entry::Snapshot(_) => {}
            }
        }
    }
}
