//! One channel in memory.

use crate::store::record::Records;
use bridge::{
    data::Data,
    update::{ChannelKind, Stamp},
};
use protocol::{Millis, Offset, Seq, Timestamp, TopicName};
use std::sync::Arc;

/// A block is written when a channel has so many updates in none.
pub(in crate::store) const BLOCK_UPDATES: u64 = 512;

/// Or so many bytes of them, before packing.
pub(in crate::store) const BLOCK_BYTES: usize = 256 * 1024;

/// One channel.
#[derive(Clone, Debug)]
pub(in crate::store) struct Channel {
    pub(in crate::store) name: TopicName,
    pub(in crate::store) kind: ChannelKind,
    /// The newest stored update's place, and the value after it.
    pub(in crate::store) value: Option<(Stamp, Data)>,
    /// The value begins anew behind this offset.
    pub(super) forgotten: Offset,
    /// All up to here is in blocks, or was.
    pub(in crate::store) folded: Seq,
    /// The newest that retention took.
    pub(in crate::store) pruned: Seq,
    /// How many blocks there are.
    pub(in crate::store) blocks: u64,
    /// When the first update of its last block came; none: before this start, or there is none.
    pub(in crate::store) block_began: Option<Timestamp>,
    /// The place of its rule among all; none: its updates are kept for good.
    pub(in crate::store) rule: Option<usize>,
    pub(super) unfolded: Vec<Part>,
}

/// Updates that fit one block.
#[derive(Clone, Debug)]
pub(in crate::store) struct Part {
    pub(in crate::store) records: Arc<Records>,
    /// When the first of them came: what is to go together came together, whatever clocks its timestamps are from.
    pub(in crate::store) began: Timestamp,
    /// When the last did.
    pub(in crate::store) ended: Timestamp,
}

impl Channel {
    /// A channel without updates.
    pub(in crate::store) fn new(name: TopicName) -> Self {
        Self {
            kind: ChannelKind::of(name.as_str()),
            name,
            value: None,
            forgotten: Offset(0),
            folded: Seq(0),
            pruned: Seq(0),
            blocks: 0,
            block_began: None,
            rule: None,
            unfolded: Vec::new(),
        }
    }

    /// The updates that are in no block, in parts that fit one each.
    pub(in crate::store) fn unfolded(&self) -> &[Part] {
        &self.unfolded
    }

    /// The number of the last update that is in no block.
    pub(in crate::store) fn last_unfolded(&self) -> Option<Seq> {
        Some(self.unfolded.last()?.records.summary()?.last.seq)
    }

    /// The number of its newest stored update.
    pub(in crate::store) fn seq(&self) -> Seq {
        self.value.as_ref().map_or(Seq(0), |(stamp, _)| stamp.seq)
    }

    /// The same, and through which number all are in blocks.
    pub(in crate::store) fn seq_and_folded(&self) -> (Seq, Seq) {
        (self.seq(), self.folded)
    }

    pub(super) fn oldest(&self) -> Option<Offset> {
        Some(self.unfolded.first()?.records.summary()?.first.offset)
    }

    /// The value, unless it is forgotten.
    pub(in crate::store) fn known_value(&self) -> Option<&Data> {
        let (stamp, data) = self.value.as_ref()?;
        (stamp.offset > self.forgotten).then_some(data)
    }

    pub(super) fn note_value(&mut self, stamp: Stamp, data: &Data) {
        let value = match self.value.take() {
            Some((before, old)) if before.offset > self.forgotten => old.merged(data),
            Some(_) | None => data.clone(),
        };
        self.value = Some((stamp, value));
    }

    /// The part that takes an update which came `at`; a block of the channel spans no more than `span`.
    pub(super) fn part(&mut self, at: Timestamp, span: Option<Millis>) -> &mut Records {
        let takes = |part: &Part| !is_full(&part.records) && is_within(span, part.began, at);
        if !self.unfolded.last().is_some_and(takes) {
            // Most channels have one at a time.
            self.unfolded.reserve_exact(1);
            self.unfolded.push(Part { records: Arc::default(), began: at, ended: at });
        }
        let part = self.unfolded.last_mut().expect("pushed above");
        part.ended = at;
        // A reader that still holds the part keeps the one it has.
        Arc::make_mut(&mut part.records)
    }
}

/// Whether two times are no further apart than `span`, whichever came first: a clock may have been put back.
pub(in crate::store) fn is_within(span: Option<Millis>, began: Timestamp, at: Timestamp) -> bool {
    span.is_none_or(|span| began.0.abs_diff(at.0) <= span.0)
}

pub(super) fn is_full(part: &Records) -> bool {
    part.count() >= BLOCK_UPDATES || part.len() >= BLOCK_BYTES
}
