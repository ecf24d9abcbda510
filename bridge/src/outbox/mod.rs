//! One subscriber's outbox: what waits to be written to it, bounded in bytes, conflated in place.
//!
//! The hub offers updates, which this file takes in; the connection's writer takes frames (`writing`). What
//! conflates waits in `slots`; how a slow reader is served, step by step, is in `slow`.

mod asked;
mod entry;
mod frame;
mod slots;
mod slow;
mod writing;

pub use entry::Haste;
pub use frame::{Encoding, Frame};

use crate::{
    data::Data,
    update::{ChannelKind, Stamp, Update},
};
use ahash::HashMap;
use asked::Asked;
use entry::Entry;
use frame::{Draft, Item};
use protocol::{Millis, Offset, Reply, Timestamp, TopicName};
use slots::{AT_ONCE, Put, Slots};
use slow::{CONFLATE_BYTES, Lag};
use std::{collections::VecDeque, sync::Arc};

/// So many bytes are enough for a frame: to wait for more saves next to nothing.
pub const FULL_BYTES: usize = 64 * 1024;

/// How a subscriber wants the updates of a channel. Ordered by how much it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each update.
    Every,
    /// The newest values; with an interval, at most once in that time for each channel.
    Latest {
        /// The least time between two updates of a channel; 0: each frame.
        interval: Millis,
    },
}

impl Delivery {
    /// Of two deliveries the one that gives more.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        match (self, other) {
            (Self::Every, _) | (_, Self::Every) => Self::Every,
            (Self::Latest { interval: a }, Self::Latest { interval: b }) => {
                Self::Latest { interval: a.min(b) }
            }
        }
    }
}

/// What waits to be written to one subscriber.
#[derive(Debug)]
pub struct Outbox {
    /// What the numbers belong to, for `reset`.
    epoch: Arc<str>,
    draft: Draft,
    /// What did not fit into the frame before: first in the next.
    held: Option<Item>,
    queue: VecDeque<Entry>,
    slots: Slots,
    asked: Asked,
    /// Something in the queue holds older news than what stands before it, or newer than what stands
    /// behind: the next frame takes the whole queue. For a line may be cut between any two frames, and the
    /// reader resumes from the greatest offset that it has seen.
    merged: bool,
    /// About how much is queued, but for what the slots hold of it.
    bytes: usize,
    /// Of `bytes`, those of updates that must not conflate.
    whole_bytes: usize,
    /// Channels that overflowed, and their newest updates.
    overflowed: HashMap<TopicName, Arc<Update>>,
    over_since: Option<Timestamp>,
    lag: Option<Lag>,
    /// Something waits that is not worth gathering.
    urgent: bool,
    counts: Counts,
}

/// What happened in an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Updates written.
    pub delivered: u64,
    /// Updates that conflation swallowed because the reader was slow.
    pub conflated: u64,
    /// Channels that were reset because the reader was slow.
    pub resets: u64,
}

/// Whether the writer must be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// There is something to write, or an earlier time to look again.
    Yes,
    /// The writer knows already.
    No,
}

impl Outbox {
    /// An empty outbox whose frames are written in this encoding.
    #[must_use]
    pub fn new(epoch: Arc<str>, encoding: Encoding) -> Self {
        Self {
            epoch,
            draft: Draft::new(encoding),
            held: None,
            queue: VecDeque::new(),
            slots: Slots::default(),
            asked: Asked::default(),
            merged: false,
            bytes: 0,
            whole_bytes: 0,
            overflowed: HashMap::default(),
            over_since: None,
            lag: None,
            urgent: false,
            counts: Counts::default(),
        }
    }

    /// Puts an update in, to come whole unless the reader is slow.
    pub fn every(&mut self, update: &Arc<Update>) -> Wake {
        let lagging = self.lag.is_some() && update.kind == ChannelKind::Telemetry;
        if lagging {
            return self.conflate(AT_ONCE, update, Millis(0));
        }
        if update.kind != ChannelKind::Telemetry && self.overflows(update) {
            return Wake::No;
        }
        let wake = self.push(Entry::Update(Arc::clone(update)));
        if self.bytes > CONFLATE_BYTES && self.lag.is_none() {
            self.start_lag();
        }
        wake
    }

    /// Puts an update in, to merge with those of its channel that are not written yet; with an
    /// interval, the channel is written at most once in that time.
    pub fn latest(&mut self, now: Timestamp, update: &Arc<Update>, interval: Millis) -> Wake {
        self.conflate(now, update, interval)
    }

    /// Puts the value of a channel in, to be marked as a snapshot.
    ///
    /// It takes the place of what waits in the channel's slot, which it contains: nothing older comes
    /// behind it.
    pub fn snapshot(&mut self, channel: TopicName, stamp: Stamp, data: Data) -> Wake {
        self.slots.void(&channel);
        let snapshot = self.asked.ask(channel, stamp, data);
        self.push(Entry::Snapshot(Box::new(snapshot)))
    }

    /// Puts an update of the past in, behind what waits of its channel and is no newer.
    pub fn replay(&mut self, update: &Arc<Update>) -> Wake {
        if self.slots.precedes(update) {
            let _the_replay_wakes = self.release(&update.channel);
        }
        self.push(Entry::Replay(Arc::clone(update)))
    }

    /// Lets go of what waits of the channel of `update`, which comes as the past now, where the past has all of it: that
    /// begins after `offset`.
    pub fn supersede(&mut self, update: &Update, offset: Offset) {
        if self.slots.has_only_after(offset, update) {
            self.slots.void(&update.channel);
        }
    }

    /// Puts a reply in, behind everything that is there.
    pub fn reply(&mut self, reply: &Reply) -> Wake {
        self.push(Entry::Reply(encode(reply)))
    }

    /// Brings forward what waits of a channel whose delivery changes, as it is: it comes before all that is
    /// put in from here on, nothing merges into it, and the channel's pace begins anew.
    pub fn release(&mut self, channel: &TopicName) -> Wake {
        let before = self.haste();
        let Some(ticket) = self.slots.seal(channel) else { return Wake::No };
        self.merged = true;
        self.push_since(before, Entry::Slot(channel.clone(), ticket))
    }

    /// Forgets what waits for its interval in a channel that is no longer wanted.
    pub fn withdraw(&mut self, channel: &TopicName) {
        self.slots.withdraw(channel);
    }

    /// How soon what waits is to be written.
    #[must_use]
    pub fn haste(&self) -> Haste {
        if self.bytes() >= FULL_BYTES {
            Haste::Full
        } else if self.urgent {
            Haste::Urgent
        } else {
            Haste::Gather
        }
    }

    /// About how much waits to be written, in bytes, but for snapshots.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.slots.queued_bytes()
    }

    /// When [`Self::take`] has something again without anything being put in.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.slots.next_due()
    }

    /// Whether something can be taken now.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        !self.queue.is_empty() || self.held.is_some() || self.next_due().is_some_and(|at| at <= now)
    }

    /// Takes the counts since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Merges an update with what waits of its channel; what is due gets its place in the queue.
    fn conflate(&mut self, now: Timestamp, update: &Arc<Update>, interval: Millis) -> Wake {
        let before = self.haste();
        match self.slots.put(now, update, interval) {
            Put::Merged => {
                self.merged = true;
                self.count_dropped(1);
                if self.haste() > before { Wake::Yes } else { Wake::No }
            }
            Put::Due(ticket) => {
                self.push_since(before, Entry::Slot(update.channel.clone(), ticket))
            }
            Put::Later(wake) => wake,
        }
    }

    fn push(&mut self, entry: Entry) -> Wake {
        self.push_since(self.haste(), entry)
    }

    /// Queues an entry; the writer was to hurry so much before what it holds was counted.
    fn push_since(&mut self, before: Haste, entry: Entry) -> Wake {
        let was_empty = self.queue.is_empty();
        self.bytes += entry.size();
        self.urgent |= entry.is_urgent();
        self.queue.push_back(entry);
        if was_empty || self.haste() > before { Wake::Yes } else { Wake::No }
    }
}

/// A reply as JSON.
fn encode(reply: &Reply) -> String {
    serde_json::to_string(reply).expect("replies have text keys and finite numbers only")
}

#[cfg(test)]
mod tests;
