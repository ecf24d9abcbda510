//! The newest updates of all channels, in memory: what a subscriber that comes back missed.

use crate::update::Update;
use protocol::{Offset, Seq, TopicName};
use std::{collections::VecDeque, sync::Arc};

/// The newest updates, bounded in bytes; every update passes through it.
#[derive(Debug)]
pub(super) struct Ring {
    updates: VecDeque<Arc<Update>>,
    bytes: usize,
    bytes_max: usize,
    /// Every update after this one is here.
    from: Offset,
}

impl Ring {
    /// Empty; the next update is the one after `from`.
    pub(super) fn new(from: Offset, bytes_max: usize) -> Self {
        Self { updates: VecDeque::new(), bytes: 0, bytes_max, from }
    }

    /// Adds the newest update; the oldest give way.
    pub(super) fn push(&mut self, update: Arc<Update>) {
        self.bytes += update.weight();
        self.updates.push_back(update);
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.updates.pop_front()
        {
            self.bytes -= oldest.weight();
            self.from = oldest.stamp.offset;
        }
    }

    /// The offset after which every update is here.
    pub(super) fn from(&self) -> Offset {
        self.from
    }

    /// The updates after `offset`, all of them; none where some are no longer here.
    pub(super) fn after(&self, offset: Offset) -> Option<impl Iterator<Item = &Arc<Update>>> {
        // Offsets follow each other, so an update's place is its distance from the first.
        let skipped = offset.0.checked_sub(self.from.0)?;
        Some(self.updates.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX)))
    }

    /// The updates `from` to `to` of a channel, up to `count` of them; none where the first is no longer
    /// here.
    pub(super) fn range(
        &self,
        channel: &TopicName,
        (from, to): (Seq, Seq),
        count: usize,
    ) -> Option<Vec<Arc<Update>>> {
        let newest_first = self.updates.iter().rev().filter(|update| update.channel == *channel);
        let wanted = newest_first.take_while(|update| update.stamp.seq >= from);
        let mut found: Vec<_> =
            wanted.filter(|update| update.stamp.seq <= to).map(Arc::clone).collect();
        found.reverse();
        found.truncate(count);
        found.first().is_some_and(|first| first.stamp.seq == from).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        data::Data,
        update::{ChannelKind, Stamp},
    };
    use protocol::Timestamp;

    fn update(channel: &str, seq: u64, offset: u64) -> Arc<Update> {
        let stamp = Stamp { seq: Seq(seq), offset: Offset(offset), timestamp: Timestamp(0) };
        let channel = channel.parse().unwrap();
        Arc::new(Update::new(channel, ChannelKind::Telemetry, stamp, Data::of(&1)))
    }

    fn offsets(ring: &Ring, after: u64) -> Option<Vec<u64>> {
        Some(ring.after(Offset(after))?.map(|update| update.stamp.offset.0).collect())
    }

    #[test]
    fn what_gave_way_is_not_claimed_to_be_here() {
        let weight = update("a", 1, 1).weight();
        let mut ring = Ring::new(Offset(10), 3 * weight);
        assert_eq!(offsets(&ring, 10), Some(vec![]));
        assert_eq!(offsets(&ring, 9), None);
        (1..=5).for_each(|n| ring.push(update("a", n, 10 + n)));
        assert_eq!(ring.from(), Offset(12));
        assert_eq!(offsets(&ring, 12), Some(vec![13, 14, 15]));
        assert_eq!(offsets(&ring, 14), Some(vec![15]));
        assert_eq!(offsets(&ring, 11), None);
    }

    #[test]
    fn a_range_is_whole_from_its_first_number_on_or_not_given() {
        let mut ring = Ring::new(Offset(0), 1 << 20);
        for n in 1..=4 {
            ring.push(update("a", n + 7, 2 * n - 1));
            ring.push(update("b", n, 2 * n));
        }
        let range = |from, to, count| {
            let found = ring.range(&"a".parse().unwrap(), (Seq(from), Seq(to)), count)?;
            Some(found.iter().map(|update| update.stamp.seq.0).collect::<Vec<_>>())
        };
        assert_eq!(range(9, 10, 9), Some(vec![9, 10]));
        assert_eq!(range(8, 11, 2), Some(vec![8, 9]));
        assert_eq!(range(7, 9, 9), None);
    }
}
