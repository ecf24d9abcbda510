//! Writing: what waits becomes frames, in its order.

use super::{
    Outbox,
    asked::Snapshot,
    encode,
    entry::{ENTRY_BYTES, Entry},
    frame::{Fits, Frame, Item, Whole},
    slots::Pending,
    slow::Lag,
};
use crate::update::{ChannelKind, Mark, write_update};
use protocol::{Reply, ResetReason, Timestamp, TopicFilter, TopicName};

impl Outbox {
    /// The next frame, cut at the first message past `bytes_max`, if it may be cut; none where
    /// nothing is ready.
    pub fn take(&mut self, now: Timestamp, bytes_max: usize) -> Option<Frame> {
        self.release_due(now);
        let whole = if std::mem::take(&mut self.merged) { Whole::Yes } else { Whole::No };
        let bytes = self.bytes().max(self.queue.len() * ENTRY_BYTES);
        self.draft.begin(bytes.clamp(64, bytes_max + 1_024), whole);
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
        self.note_progress();
        self.draft.finish()
    }

    /// Gives slots whose time has come their place in the queue.
    fn release_due(&mut self, now: Timestamp) {
        while let Some((channel, ticket)) = self.slots.pop_due(now) {
            let _taken_next = self.push(Entry::Slot(channel, ticket));
        }
    }

    /// Adds to the frame, or holds for the next.
    fn add(&mut self, item: Item) {
        match self.draft.add(&item) {
            Fits::Yes => {}
            Fits::No => self.held = Some(item),
        }
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
                self.asked.note_written(&value);
                let Snapshot { channel, stamp, data, .. } = *value;
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
        text.push(',');
        write_update(&mut text, channel.as_str(), newest.stamp, &newest.data, Mark::Snapshot);
        self.add(Item::Text(text));
    }

    fn write_slot(&mut self, now: Timestamp, channel: TopicName, ticket: u64) {
        let Some(Pending { newest, merged, .. }) = self.slots.take(now, &channel, ticket) else {
            return;
        };
        self.counts.delivered += 1;
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
