//! What the store keeps in memory of each channel: its newest numbers and value, and its updates that
//! are in the log but in no block yet.
//!
//! The writer changes it after each commit and the reader looks; all it holds is in the database.

use super::record::{ChannelId, Records};
use ahash::HashMap;
use bridge::{
    data::Data,
    update::{ChannelKind, Stamp},
};
use protocol::{Offset, Seq, TopicName};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A block is written when a channel has so many updates in none.
pub(super) const BLOCK_UPDATES: u64 = 512;

/// Or so many bytes of them, before packing.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// All channels.
#[derive(Debug, Default)]
pub(super) struct Live {
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

/// One channel.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    pub(super) name: TopicName,
    pub(super) kind: ChannelKind,
    /// The newest stored update's place, and the value after it.
    pub(super) value: Option<(Stamp, Data)>,
    /// The value begins anew behind this offset.
    forgotten: Offset,
    /// All up to here is in blocks, or was.
    pub(super) folded: Seq,
    /// The newest that retention took.
    pub(super) pruned: Seq,
    /// How many blocks there are.
    pub(super) blocks: u64,
    unfolded: Vec<Arc<Records>>,
}

impl Channel {
    /// A channel without updates.
    pub(super) fn new(name: TopicName) -> Self {
        Self {
            kind: ChannelKind::of(name.as_str()),
            name,
            value: None,
            forgotten: Offset(0),
            folded: Seq(0),
            pruned: Seq(0),
            blocks: 0,
            unfolded: Vec::new(),
        }
    }

    /// The updates that are in no block, in parts that fit one each.
    pub(super) fn unfolded(&self) -> &[Arc<Records>] {
        &self.unfolded
    }

    /// The number of its newest stored update.
    pub(super) fn seq(&self) -> Seq {
        self.value.as_ref().map_or(Seq(0), |(stamp, _)| stamp.seq)
    }

    /// The same, and through which number all are in blocks.
    pub(super) fn seq_and_folded(&self) -> (Seq, Seq) {
        (self.seq(), self.folded)
    }

    fn oldest(&self) -> Option<Offset> {
        Some(self.unfolded.first()?.summary()?.first.offset)
    }

    /// The value, unless it is forgotten.
    pub(super) fn known_value(&self) -> Option<&Data> {
        let (stamp, data) = self.value.as_ref()?;
        (stamp.offset > self.forgotten).then_some(data)
    }

    fn note_value(&mut self, stamp: Stamp, data: &Data) {
        let value = match self.value.take() {
            Some((before, old)) if before.offset > self.forgotten => old.merged(data),
            Some(_) | None => data.clone(),
        };
        self.value = Some((stamp, value));
    }

    /// The part that takes the next update.
    fn part(&mut self) -> &mut Records {
        if self.unfolded.last().is_none_or(|part| is_full(part)) {
            // Most channels have one at a time.
            self.unfolded.reserve_exact(1);
            self.unfolded.push(Arc::default());
        }
        // A reader that still holds the part keeps the one it has.
        Arc::make_mut(self.unfolded.last_mut().expect("pushed above"))
    }
}

fn is_full(part: &Records) -> bool {
    part.count() >= BLOCK_UPDATES || part.len() >= BLOCK_BYTES
}

impl Live {
    /// Takes in a channel that the database has.
    pub(super) fn insert(&mut self, id: ChannelId, mut channel: Channel) {
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

    /// Takes in an update that the log has, where it is news to the channel.
    ///
    /// # Panics
    /// When the channel was not inserted.
    pub(super) fn add_data(&mut self, id: ChannelId, stamp: Stamp, data: &Data) {
        let channel = self.channels.get_mut(&id).expect("the channel was inserted");
        if stamp.seq > channel.seq() {
            channel.note_value(stamp, data);
        }
        if stamp.seq > channel.folded {
            if channel.unfolded.is_empty() {
                self.oldest.insert(stamp.offset, id);
            }
            let part = channel.part();
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
        for part in channel.unfolded.drain(..) {
            self.unfolded_bytes -= part.len();
            if let Some(summary) = part.summary() {
                channel.folded = summary.last.seq;
            }
        }
        channel.unfolded.shrink_to_fit();
        channel.blocks += added;
    }
}
