//! One subscriber's outbox: what waits to be written to it, bounded in bytes, conflated in place.
//!
//! The hub offers updates; the connection's writer takes frames. A slow reader is served in steps: its
//! telemetry merges to the newest values of each channel, and it is told (`lag`); of other channels that
//! overflow their bound it gets a `reset` and the value; what still grows past the bound ends the connection
//! ([`Outbox::is_too_slow`]). A reader that catches up has the true values.

mod entry;
mod frame;

pub use entry::{Haste, Waiting};
pub use frame::{Encoding, Frame};

use crate::{
    data::Data,
    update::{ChannelKind, Mark, Stamp, Update, write_update},
};
use ahash::HashMap;
use entry::{Entry, Pending, Slot};
use frame::{Draft, Item, Whole};
use protocol::{Millis, Reply, ResetReason, Timestamp, TopicFilter, TopicName};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

/// A time that is over, for slots that wait for nothing.
const AT_ONCE: Timestamp = Timestamp(i64::MIN);

/// Above this many queued bytes telemetry conflates.
pub const CONFLATE_BYTES: usize = 256 * 1024;

/// Above this many queued bytes of updates that must not conflate, the channel whose update is one too many
/// is reset to its newest one. Only while the reader lags: a fast one takes any burst.
pub const WHOLE_BYTES: usize = 256 * 1024;

/// Above this many queued bytes for [`TOO_SLOW_AFTER`] the connection is closed.
pub const TOO_SLOW_BYTES: usize = 1024 * 1024;

/// How long more than [`TOO_SLOW_BYTES`] may stay queued.
pub const TOO_SLOW_AFTER: Millis = Millis(10_000);

/// Above this many queued bytes the connection is closed at once: no burst of live data comes near
/// it, only a reader that asks for snapshots and never reads.
pub const OVERFLOW_BYTES: usize = 16 * 1024 * 1024;

/// So many bytes are enough for a frame: to wait for more saves next to nothing.
pub const FULL_BYTES: usize = 16 * 1024;

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
    slots: HashMap<TopicName, Slot>,
    /// Something in the queue holds older news than what stands before it, or newer than what stands
    /// behind: the next frame takes the whole queue. For a line may be cut between any two frames, and the
    /// reader resumes from the greatest offset that it has seen.
    merged: bool,
    due: BTreeSet<(Timestamp, TopicName)>,
    bytes: usize,
    /// Of `bytes`, those of updates that must not conflate.
    whole_bytes: usize,
    /// Channels that overflowed, and their newest updates.
    overflowed: HashMap<TopicName, Arc<Update>>,
    over_since: Option<Timestamp>,
    lag: Option<Lag>,
    /// Something waits that is not worth gathering.
    urgent: bool,
    /// Counts live updates that were put in.
    news: u32,
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

#[derive(Debug, Default)]
struct Lag {
    dropped: u64,
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
            slots: HashMap::default(),
            merged: false,
            due: BTreeSet::new(),
            bytes: 0,
            whole_bytes: 0,
            overflowed: HashMap::default(),
            over_since: None,
            lag: None,
            urgent: false,
            news: 0,
            counts: Counts::default(),
        }
    }

    /// Puts an update in, to come whole unless the reader is slow.
    pub fn every(&mut self, update: &Arc<Update>) -> Wake {
        self.news = self.news.wrapping_add(1);
        let lagging = self.lag.is_some() && update.kind == ChannelKind::Telemetry;
        if lagging || self.holds(&update.channel) {
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
        self.news = self.news.wrapping_add(1);
        self.conflate(now, update, interval)
    }

    /// Puts the value of a channel in, to be marked as a snapshot.
    ///
    /// It takes the place of what waits in the channel's slot, which it contains: nothing older comes
    /// behind it.
    pub fn snapshot(&mut self, channel: TopicName, stamp: Stamp, data: Data) -> Wake {
        self.clear_slot(&channel);
        self.push(Entry::Snapshot(Box::new((channel, stamp, data))))
    }

    /// Puts an update of the past in.
    pub fn replay(&mut self, update: &Arc<Update>) -> Wake {
        self.push(Entry::Replay(Arc::clone(update)))
    }

    /// Puts a reply in, behind everything that is there.
    pub fn reply(&mut self, reply: &Reply) -> Wake {
        self.push(Entry::Reply(encode(reply)))
    }

    /// Forgets what waits for its interval in a channel that is no longer wanted.
    pub fn withdraw(&mut self, channel: &TopicName) {
        if let Some(slot) = self.slots.get(channel)
            && self.due.remove(&(slot.not_before, channel.clone()))
        {
            self.slots.remove(channel);
        }
    }

    /// The next frame, cut at the first message past `bytes_max`, if it may be cut; none where
    /// nothing is ready.
    pub fn take(&mut self, now: Timestamp, bytes_max: usize) -> Option<Frame> {
        self.release_due(now);
        let whole = if std::mem::take(&mut self.merged) { Whole::Yes } else { Whole::No };
        self.draft.begin(self.bytes.clamp(64, bytes_max + 1_024), whole);
        if let Some(held) = self.held.take() {
            self.add(held);
        }
        while self.held.is_none()
            && (whole == Whole::Yes || self.draft.bytes() < bytes_max)
            && let Some(entry) = self.queue.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(entry.size());
            self.write(now, entry);
        }
        if self.queue.is_empty()
            && self.held.is_none()
            && let Some(Lag { dropped }) = self.lag.take()
        {
            self.add(Item::Text(encode(&Reply::Lag { on: false, dropped })));
        }
        self.urgent &= !self.queue.is_empty() || self.held.is_some();
        self.draft.finish()
    }

    /// What waits to be written.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let haste = if self.bytes >= FULL_BYTES {
            Haste::Full
        } else if self.urgent {
            Haste::Urgent
        } else {
            Haste::Gather
        };
        Waiting { haste, news: self.news }
    }

    /// How much waits to be written, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When [`Self::take`] has something again without anything being put in.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether something can be taken now.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        !self.queue.is_empty() || self.held.is_some() || self.next_due().is_some_and(|at| at <= now)
    }

    /// Whether the reader is too slow to be kept: past the bound for too long, or far past it. Wants
    /// to be asked about every second, for the time counts from the first time that it is asked.
    #[must_use]
    pub fn is_too_slow(&mut self, now: Timestamp) -> bool {
        if self.bytes <= TOO_SLOW_BYTES {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert(now);
        now.since(since) >= TOO_SLOW_AFTER || self.bytes > OVERFLOW_BYTES
    }

    /// Whether telemetry is being conflated because the reader is slow.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.lag.is_some()
    }

    /// Takes the counts since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// Takes an update that must not conflate but comes when too many of them wait: the channel is reset
    /// to it. False where there is room.
    fn overflows(&mut self, update: &Arc<Update>) -> bool {
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
        let (mut bytes, mut whole_bytes) = (0, 0);
        self.queue.retain(|entry| match entry {
            Entry::Update(other) if other.channel == update.channel => {
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
        self.overflowed.insert(update.channel.clone(), Arc::clone(update));
        let _lagging_and_so_awake = self.push(Entry::Reset(update.channel.clone(), update.bytes()));
        true
    }

    /// Whether older values of the channel wait in a slot, so that nothing may overtake them.
    fn holds(&self, channel: &TopicName) -> bool {
        !self.slots.is_empty() && self.slots.get(channel).is_some_and(|slot| slot.pending.is_some())
    }

    fn push(&mut self, entry: Entry) -> Wake {
        let (was_empty, before) = (self.queue.is_empty(), self.waiting().haste);
        self.bytes += entry.size();
        self.urgent |= entry.is_urgent();
        self.queue.push_back(entry);
        if was_empty || self.waiting().haste > before { Wake::Yes } else { Wake::No }
    }

    /// Lets go of what waits in a channel's slot; its place in the queue is void then.
    fn clear_slot(&mut self, channel: &TopicName) {
        if let Some(slot) = self.slots.get_mut(channel) {
            slot.pending = None;
            slot.ticket += 1;
        }
    }

    /// Merges an update into its channel's slot, which gets a place in the queue when it is due.
    fn conflate(&mut self, now: Timestamp, update: &Arc<Update>, interval: Millis) -> Wake {
        let slot = self.slots.entry(update.channel.clone()).or_insert_with(|| Slot {
            pending: None,
            not_before: now,
            interval,
            ticket: 0,
        });
        slot.interval = interval;
        if let Some(pending) = &mut slot.pending {
            pending.merge(update);
            self.merged = true;
            self.count_dropped(1);
            return Wake::No;
        }
        slot.pending = Some(Pending { newest: Arc::clone(update), merged: None });
        let place = (slot.not_before, update.channel.clone());
        if slot.not_before <= now {
            // A slot has one place: what was due to look whether it stayed empty must not queue it again.
            self.due.remove(&place);
            let ticket = slot.ticket;
            return self.push(Entry::Slot(place.1, ticket));
        }
        let earliest = self.due.first().is_none_or(|first| place < *first);
        self.due.insert(place);
        if earliest { Wake::Yes } else { Wake::No }
    }

    fn count_dropped(&mut self, updates: u64) {
        if let Some(lag) = &mut self.lag {
            lag.dropped += updates;
            self.counts.conflated += updates;
        }
    }

    /// Conflates the telemetry that waits, and says so before anything else.
    fn start_lag(&mut self) {
        self.lag = Some(Lag::default());
        self.bytes = 0;
        for entry in std::mem::take(&mut self.queue) {
            match entry {
                Entry::Update(update) if update.kind == ChannelKind::Telemetry => {
                    let _queued_already = self.conflate(AT_ONCE, &update, Millis(0));
                }
                Entry::Snapshot(value) => {
                    self.clear_slot(&value.0);
                    let _queued_already = self.push(Entry::Snapshot(value));
                }
                other @ (Entry::Reply(_)
                | Entry::Update(_)
                | Entry::Replay(_)
                | Entry::Reset(..)
                | Entry::Slot(..)) => {
                    let _queued_already = self.push(other);
                }
            }
        }
        let dropped = self.lag.as_mut().map_or(0, |lag| std::mem::take(&mut lag.dropped));
        let notice = Entry::Reply(encode(&Reply::Lag { on: true, dropped }));
        self.bytes += notice.size();
        self.queue.push_front(notice);
    }

    /// Gives slots whose time has come their place in the queue, and forgets those that stayed empty.
    fn release_due(&mut self, now: Timestamp) {
        while self.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, channel)) = self.due.pop_first()
        {
            let waiting = self.slots.get(&channel).filter(|slot| slot.pending.is_some());
            if let Some(ticket) = waiting.map(|slot| slot.ticket) {
                let _taken_next = self.push(Entry::Slot(channel, ticket));
            } else {
                self.slots.remove(&channel);
            }
        }
    }

    /// Adds to the frame, or holds for the next.
    fn add(&mut self, item: Item) {
        self.held = self.draft.add(item).err();
    }

    fn write(&mut self, now: Timestamp, entry: Entry) {
        match entry {
            Entry::Reply(text) => self.add(Item::Text(text)),
            Entry::Update(update) => {
                self.counts.delivered += 1;
                if update.kind != ChannelKind::Telemetry {
                    self.whole_bytes = self.whole_bytes.saturating_sub(update.bytes());
                }
                self.add(Item::Update(update));
            }
            Entry::Replay(update) => {
                self.counts.delivered += 1;
                self.add(Item::of(&update, Mark::Replayed));
            }
            Entry::Snapshot(value) => {
                let (channel, stamp, data) = *value;
                self.add(Item::Data { channel, stamp, data, mark: Mark::Snapshot });
            }
            Entry::Slot(channel, ticket) => self.write_slot(now, channel, ticket),
            Entry::Reset(channel, _) => self.write_reset(&channel),
        }
    }

    /// The reset and the value are one message to the frame, so that nothing comes between them.
    fn write_reset(&mut self, channel: &TopicName) {
        let Some(newest) = self.overflowed.remove(channel) else { return };
        let reset = Reply::Reset {
            channels: vec![exactly(channel)],
            epoch: self.epoch.as_ref().into(),
            offset: newest.stamp.offset,
            reason: ResetReason::Overflow,
        };
        let mut text = encode(&reset);
        if newest.kind != ChannelKind::Topics {
            text.push(',');
            write_update(&mut text, channel.as_str(), newest.stamp, &newest.data, Mark::Snapshot);
        }
        self.add(Item::Text(text));
    }

    fn write_slot(&mut self, now: Timestamp, channel: TopicName, ticket: u64) {
        let Some(slot) = self.slots.get_mut(&channel).filter(|slot| slot.ticket == ticket) else {
            return;
        };
        let Some(Pending { newest, merged }) = slot.pending.take() else { return };
        self.counts.delivered += 1;
        if slot.interval == Millis(0) {
            self.slots.remove(&channel);
        } else {
            slot.not_before = now.plus(slot.interval);
            self.due.insert((slot.not_before, channel.clone()));
        }
        self.add(match merged {
            None => Item::Update(newest),
            Some(data) => Item::Data { channel, stamp: newest.stamp, data, mark: Mark::Live },
        });
    }
}

/// The filter that matches nothing but `channel`.
fn exactly(channel: &TopicName) -> TopicFilter {
    channel.as_str().parse().expect("every topic name is a topic filter")
}

fn encode(reply: &Reply) -> String {
    serde_json::to_string(reply).expect("replies have text keys and finite numbers only")
}

#[cfg(test)]
mod tests;
