//! Slots: for each channel that conflates one place, where the newest values wait until they are written.
//!
//! A slot gets one place in the outbox's queue when it is due. Its ticket says whether that place still counts:
//! a slot that was emptied in between (by a snapshot, which holds the same values) has a new one. What is sealed
//! keeps its ticket, and so its place, while newer values of its channel wait elsewhere.

use super::Wake;
use crate::{data::Data, update::Update};
use ahash::HashMap;
use protocol::{Millis, Offset, Timestamp, TopicName};
use std::{collections::BTreeSet, sync::Arc};

/// A time that is over, for what waits for nothing.
pub(super) const AT_ONCE: Timestamp = Timestamp(i64::MIN);

/// The slots of all channels that conflate, and when those are due that wait for their interval.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: HashMap<TopicName, Slot>,
    due: BTreeSet<(Timestamp, TopicName)>,
    /// What nothing merges into any more, by the ticket of its place in the queue.
    sealed: HashMap<u64, Pending>,
    /// The next ticket; none is given twice.
    next_ticket: u64,
    /// About how long all messages are that have their place in the queue.
    queued_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    pending: Option<Pending>,
    /// Not written before this.
    not_before: Timestamp,
    interval: Millis,
    /// That of its place in the queue: places from before it was emptied have others.
    ticket: u64,
}

/// The newest values of a channel.
#[derive(Debug)]
pub(super) struct Pending {
    /// The first update that went in.
    first: Offset,
    pub(super) newest: Arc<Update>,
    /// The merged values, where more than one update went in.
    pub(super) merged: Option<Data>,
    /// It has its place in the queue: it does not wait for its interval.
    queued: bool,
}

/// What became of an update.
#[derive(Clone, Copy, Debug)]
pub(super) enum Put {
    /// It merged into what waits already.
    Merged,
    /// Its slot is to be queued, with this ticket.
    Due(u64),
    /// It waits for its time, for which the writer must be woken or not.
    Later(Wake),
}

impl Slots {
    /// Puts an update in.
    pub(super) fn put(&mut self, now: Timestamp, update: &Arc<Update>, interval: Millis) -> Put {
        let next_ticket = &mut self.next_ticket;
        let slot = self.slots.entry(update.channel.clone()).or_insert_with(|| Slot {
            pending: None,
            not_before: now,
            interval,
            ticket: draw(next_ticket),
        });
        slot.interval = interval;
        if let Some(pending) = &mut slot.pending {
            self.queued_bytes -= pending.queued_bytes();
            pending.merge(update);
            self.queued_bytes += pending.queued_bytes();
            return Put::Merged;
        }
        let queued = slot.not_before <= now;
        slot.pending = Some(Pending::new(update, queued));
        let place = (slot.not_before, update.channel.clone());
        if queued {
            self.queued_bytes += update.bytes();
            // A slot has one place: what was due to look whether it stayed empty must not queue it again.
            self.due.remove(&place);
            return Put::Due(slot.ticket);
        }
        let earliest = self.due.first().is_none_or(|first| place < *first);
        self.due.insert(place);
        Put::Later(if earliest { Wake::Yes } else { Wake::No })
    }

    /// Lets go of what waits of a channel; its place in the queue is void then.
    pub(super) fn void(&mut self, channel: &TopicName) {
        if let Some(slot) = self.slots.get_mut(channel) {
            self.queued_bytes -= slot.pending.take().map_or(0, |pending| pending.queued_bytes());
            slot.ticket = draw(&mut self.next_ticket);
        }
    }

    /// Forgets a channel's pace, and seals what waits of it. Gives the ticket where that needs a place in the
    /// queue, for it waited for its interval.
    pub(super) fn seal(&mut self, channel: &TopicName) -> Option<u64> {
        let Slot { pending, not_before, ticket, .. } = self.slots.remove(channel)?;
        let waited = self.due.remove(&(not_before, channel.clone()));
        let mut pending = pending?;
        self.queued_bytes += pending.queue();
        self.sealed.insert(ticket, pending);
        waited.then_some(ticket)
    }

    /// Whether nothing merges any more into what has this ticket.
    pub(super) fn is_sealed(&self, ticket: u64) -> bool {
        self.sealed.contains_key(&ticket)
    }

    /// Whether what waits of a channel is no newer than `update`.
    pub(super) fn precedes(&self, update: &Update) -> bool {
        let pending = self.slots.get(&update.channel).and_then(|slot| slot.pending.as_ref());
        pending.is_some_and(|pending| pending.newest.stamp.seq <= update.stamp.seq)
    }

    /// Whether what waits of a channel is no newer than `update`, and all of it is from after `offset`.
    pub(super) fn has_only_after(&self, offset: Offset, update: &Update) -> bool {
        let pending = self.slots.get(&update.channel).and_then(|slot| slot.pending.as_ref());
        self.precedes(update) && pending.is_some_and(|pending| pending.first > offset)
    }

    /// Forgets a channel: what waits for its interval is gone, what has its place in the queue is sealed.
    pub(super) fn withdraw(&mut self, channel: &TopicName) {
        if let Some(slot) = self.slots.get(channel)
            && self.due.remove(&(slot.not_before, channel.clone()))
        {
            self.slots.remove(channel);
        }
        let _no_place_needed = self.seal(channel);
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next one whose time has come, with its ticket. Those that stayed empty are forgotten.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(TopicName, u64)> {
        while self.next_due()? <= now {
            let (_, channel) = self.due.pop_first()?;
            let Some(slot) = self.slots.get_mut(&channel) else { continue };
            if let Some(pending) = &mut slot.pending {
                self.queued_bytes += pending.queue();
                return Some((channel, slot.ticket));
            }
            self.slots.remove(&channel);
        }
        None
    }

    /// About how long all messages are that have their place in the queue.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Takes what is written of a channel now; none where the ticket is void.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        channel: &TopicName,
        ticket: u64,
    ) -> Option<Pending> {
        if let Some(pending) = self.sealed.remove(&ticket) {
            self.queued_bytes -= pending.queued_bytes();
            return Some(pending);
        }
        let slot = self.slots.get_mut(channel).filter(|slot| slot.ticket == ticket)?;
        let pending = slot.pending.take()?;
        self.queued_bytes -= pending.queued_bytes();
        if slot.interval == Millis(0) {
            self.slots.remove(channel);
        } else {
            slot.not_before = now.plus(slot.interval);
            self.due.insert((slot.not_before, channel.clone()));
        }
        Some(pending)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.sealed.is_empty()
    }
}

/// A ticket that was not given before.
fn draw(next_ticket: &mut u64) -> u64 {
    *next_ticket += 1;
    *next_ticket
}

impl Pending {
    fn new(update: &Arc<Update>, queued: bool) -> Self {
        Self { first: update.stamp.offset, newest: Arc::clone(update), merged: None, queued }
    }

    fn merge(&mut self, newer: &Arc<Update>) {
        let old = self.merged.as_ref().unwrap_or(&self.newest.data);
        self.merged = Some(old.merged(&newer.data));
        self.newest = Arc::clone(newer);
    }

    /// Notes that it gets its place in the queue. Gives what is queued more by that, in bytes.
    fn queue(&mut self) -> usize {
        let before = self.queued_bytes();
        self.queued = true;
        self.queued_bytes() - before
    }

    /// About how long its message is; 0 while it waits for its interval.
    fn queued_bytes(&self) -> usize {
        let newest = &self.newest;
        match &self.merged {
            _ if !self.queued => 0,
            None => newest.bytes(),
            Some(data) => newest.bytes() - newest.data.text().len() + data.text().len(),
        }
    }
}
