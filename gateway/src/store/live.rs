//! What the store keeps in memory of each channel: its newest numbers and value, and its updates that
//! are in the log but in no block yet.
//!
//! The writer changes it after each commit and the reader looks; all it holds is in the database.

mod channel;

pub(super) use channel::{BLOCK_BYTES, BLOCK_UPDATES, Channel, Part, is_within};

use super::{Rule, record::ChannelId};
use ahash::HashMap;
use bridge::{data::Data, update::Stamp};
use channel::is_full;
use protocol::{Offset, Timestamp, TopicName};
use std::collections::{BTreeMap, BTreeSet};

/// All channels.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// How long updates are kept.
    rules: Vec<Rule>,
    /// Boxed: a table is often half empty.
    channels: HashMap<ChannelId, Box<Channel>>,
    ids: HashMap<TopicName, ChannelId>,
    next_id: u64,
    /// The channels with updates in no block, by the oldest of these: what a shorter log waits for.
    oldest: BTreeMap<Offset, ChannelId>,
    full: BTreeSet<ChannelId>,
    /// Up to which offset the values of channels are forgotten that are not in here yet.
    forgotten: HashMap<TopicName, Offset>,
    unfolded_bytes: usize,
    committed: Offset,
}

impl Live {
    /// No channels yet; their updates are kept as `rules` say.
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Takes in a channel that the database has.
    pub(super) fn insert(&mut self, id: ChannelId, mut channel: Channel) {
        let matches = |rule: &Rule| rule.channels.matches(channel.name.as_str());
        channel.rule = self.rules.iter().position(matches);
        channel.forgotten = self.forgotten.remove(&channel.name).unwrap_or_default();
        self.next_id = self.next_id.max(id.0 + 1);
        self.ids.insert(channel.name.clone(), id);
        self.channels.insert(id, Box::new(channel));
    }

    /// Notes that the value of a channel is forgotten up to `offset`.
    pub(super) fn forget(&mut self, name: TopicName, offset: Offset) {
        match self.ids.get(&name).and_then(|id| self.channels.get_mut(id)) {
            Some(channel) => channel.forgotten = offset,
            None => drop(self.forgotten.insert(name, offset)),
        }
    }

    /// The number that the next new channel gets.
    pub(super) fn next_id(&self) -> ChannelId {
        ChannelId(self.next_id.max(1))
    }

    /// The id of a channel that the database has.
    pub(super) fn id(&self, name: &TopicName) -> Option<ChannelId> {
        self.ids.get(name).copied()
    }

    /// The channel with this id.
    pub(super) fn get(&self, id: ChannelId) -> Option<&Channel> {
        self.channels.get(&id).map(|channel| &**channel)
    }

    /// The same, to change its numbers.
    pub(super) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        self.channels.get_mut(&id).map(|channel| &mut **channel)
    }

    /// The rule of a channel, unless its updates are kept for good.
    pub(super) fn rule(&self, channel: &Channel) -> Option<&Rule> {
        self.rules.get(channel.rule?)
    }

    /// All channels.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ChannelId, &Channel)> {
        self.channels.iter().map(|(id, channel)| (*id, &**channel))
    }

    /// Everything up to here that will ever be stored is.
    pub(super) fn committed(&self) -> Offset {
        self.committed
    }

    /// Notes that everything up to `offset` is stored.
    pub(super) fn note_committed(&mut self, offset: Offset) {
        self.committed = self.committed.max(offset);
    }

    /// Takes in an update that the log has and that came `at`, where it is news to the channel.
    ///
    /// # Panics
    /// When the channel was not inserted.
    pub(super) fn add_data(&mut self, id: ChannelId, stamp: Stamp, data: &Data, at: Timestamp) {
        let channel = self.channels.get_mut(&id).expect("the channel was inserted");
        let span = channel.rule.and_then(|rule| self.rules.get(rule)?.span());
        if stamp.seq > channel.seq() {
            channel.note_value(stamp, data);
        }
        if stamp.seq > channel.folded {
            if channel.unfolded.is_empty() {
                self.oldest.insert(stamp.offset, id);
            }
            let part = channel.part(at, span);
            let before = part.len();
            part.push_data(id, stamp, data);
            self.unfolded_bytes += part.len() - before;
            if is_full(part) {
                self.full.insert(id);
            }
        }
        self.committed = self.committed.max(stamp.offset);
    }

    /// The bytes that wait to be folded.
    pub(super) fn unfolded_bytes(&self) -> usize {
        self.unfolded_bytes
    }

    /// The oldest offset that is in no block; none when all are.
    pub(super) fn oldest_unfolded(&self) -> Option<Offset> {
        Some(*self.oldest.first_key_value()?.0)
    }

    /// Channels that have a full part, at most `count`.
    pub(super) fn full(&self, count: usize) -> Vec<ChannelId> {
        self.full.iter().take(count).copied().collect()
    }

    /// The channels whose oldest update that is in no block is the oldest of all, at most `count`.
    pub(super) fn oldest(&self, count: usize) -> Vec<ChannelId> {
        self.oldest.values().take(count).copied().collect()
    }

    /// Notes that all updates of a channel are in blocks now, `added` more than before.
    pub(super) fn folded(&mut self, id: ChannelId, added: u64) {
        let Some(channel) = self.channels.get_mut(&id) else { return };
        if let Some(oldest) = channel.oldest() {
            self.oldest.remove(&oldest);
        }
        self.full.remove(&id);
        channel.folded = channel.last_unfolded().unwrap_or(channel.folded);
        // None added: what there was has gone into the last block, which began when it did before.
        if let (1.., Some(last)) = (added, channel.unfolded.last()) {
            channel.block_began = Some(last.began);
        }
        for part in channel.unfolded.drain(..) {
            self.unfolded_bytes -= part.records.len();
        }
        channel.unfolded.shrink_to_fit();
        channel.blocks += added;
    }
}
