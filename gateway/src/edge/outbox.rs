//! What waits to be written to one client, and what it has not acknowledged yet. Pure.
//!
//! One queue keeps the order. QoS 1 and 2 leave it only while the client's window has room, and stay
//! in flight (`flights`) until the client has said the last word of their flow. Each of them has a number that says
//! its place, and from it the packet id: what is known of a message on the disk needs no other.
//!
//! What comes when a bound is reached (`load`) is given back, to be dropped and counted; what waits already stays.

mod entry;
mod flights;
mod load;
#[cfg(test)]
mod tests;

use crate::exchange::{Message, Share};
use entry::Numbered;
pub(super) use entry::{Entry, Number};
use flights::Flights;
pub(super) use flights::{Answer, Ended, Received, WrongFlow};
use load::Load;
pub(super) use load::{Bounds, Room};
use protocol::CommandId;
use std::{collections::VecDeque, mem, sync::Arc};

/// What to write next.
#[derive(Debug)]
pub(super) enum Next {
    /// A message; QoS 1 and 2 have an id.
    Message { entry: Entry, id: Option<u16>, duplicate: bool },
    /// PUBREL again, after the client came back.
    Release(u16),
}

/// Messages waiting and in flight.
#[derive(Debug)]
pub(super) struct Outbox {
    load: Load,
    queue: VecDeque<Numbered>,
    flights: Flights,
    last: Number,
    sent_through: Number,
}

impl Outbox {
    pub(super) fn new(bounds: Bounds, window: u16) -> Self {
        let (load, flights) = (Load::new(bounds), Flights::new(window));
        let (last, sent_through) = (Number(0), Number(0));
        Self { load, queue: VecDeque::new(), flights, last, sent_through }
    }

    /// Goes on for a client that came back: what is in flight is sent again, in order, and `window` is
    /// the new one.
    pub(super) fn resume(&mut self, window: u16) {
        self.flights.resume(window);
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// How much may come until so many messages wait.
    pub(super) fn room(&self, waiting_max: usize) -> Room {
        let waiting = self.waiting();
        let room = self.load.room(waiting);
        Room { messages: room.messages.min(waiting_max.saturating_sub(waiting)), ..room }
    }

    /// The last message that may have been sent.
    pub(super) const fn sent_through(&self) -> Number {
        self.sent_through
    }

    /// The numbers of all messages that are not done.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Number> {
        let waiting = self.queue.iter().filter_map(|numbered| numbered.number);
        waiting.chain(self.flights.numbers())
    }

    /// What came by shared subscriptions and is another member's when this session ends, in order: all but QoS 0,
    /// and what the client may have with QoS 2 `[MQTT-4.8.2-5]`.
    pub(super) fn unacknowledged_shared(&self) -> Vec<(Arc<Share>, Arc<Message>)> {
        let mut sent: Vec<_> = self.flights.unanswered().collect();
        sent.sort_unstable_by_key(|(number, _)| *number);
        let sent = sent.into_iter().map(|(_, entry)| entry).filter(|entry| entry.qos == 1);
        let entries = sent.chain(self.waiting_entries().filter(|entry| entry.qos > 0));
        entries
            .filter_map(|entry| Some((entry.share.clone()?, Arc::clone(&entry.message))))
            .collect()
    }

    /// Queues `entry`, which gets a number with QoS 1 and 2; or gives it back where a bound is reached: it is
    /// to be dropped and counted.
    pub(super) fn push(&mut self, entry: Entry) -> Result<Option<Number>, Entry> {
        if !self.load.take(&entry, self.queue.len()) {
            return Err(entry);
        }
        let number = (entry.qos > 0).then(|| self.next_number());
        self.queue.push_back(Numbered { number, entry });
        Ok(number)
    }

    /// Puts back a message of an earlier life, behind all that were put back before.
    pub(super) fn restore(&mut self, number: Number, entry: Entry, sent_through: Number) {
        self.last = self.last.max(number);
        self.load.take_anyway(&entry);
        if number <= sent_through {
            self.sent_through = self.sent_through.max(number);
            self.flights.begin(number, entry);
        } else {
            self.queue.push_back(Numbered { number: Some(number), entry });
        }
    }

    /// Puts back a flow of an earlier life whose message the client has.
    pub(super) fn restore_released(&mut self, number: Number) {
        self.last = self.last.max(number);
        self.sent_through = self.sent_through.max(number);
        self.flights.restore_released(number);
    }

    /// The window is far smaller than the ids, so that a free one is near.
    fn next_number(&mut self) -> Number {
        loop {
            self.last.0 += 1;
            if !self.flights.has(self.last.id()) {
                return self.last;
            }
        }
    }

    /// What to write next; none: nothing waits, the window is full, or the next is not stored yet.
    pub(super) fn next(&mut self) -> Option<Next> {
        if let Some(id) = self.flights.first_again() {
            return self.flights.send_again(id);
        }
        let front = self.queue.front()?;
        if !front.entry.may_leave() || (front.number.is_some() && !self.flights.have_room()) {
            return None;
        }
        let Numbered { number, entry } = self.queue.pop_front()?;
        let Some(number) = number else {
            self.load.give_back(&entry);
            return Some(Next::Message { entry, id: None, duplicate: false });
        };
        self.sent_through = self.sent_through.max(number);
        self.flights.begin(number, entry.clone());
        Some(Next::Message { entry, id: Some(number.id()), duplicate: false })
    }

    /// Whether what is queued next with this QoS has to wait for others, or for the window.
    pub(super) fn holds_up(&self, qos: u8) -> bool {
        !self.queue.is_empty()
            || self.flights.first_again().is_some()
            || (qos > 0 && !self.flights.have_room())
    }

    /// Takes a command out of the queue; false where it does not wait there.
    pub(super) fn withdraw(&mut self, command: (CommandId, u32)) -> bool {
        let wanted = |numbered: &Numbered| numbered.entry.command == Some(command);
        let place = self.queue.iter().position(wanted);
        let taken = place.and_then(|place| self.queue.remove(place));
        taken.inspect(|numbered| self.load.give_back(&numbered.entry)).is_some()
    }

    /// PUBACK or PUBCOMP came; none: there is no such flow.
    ///
    /// # Errors
    /// The flow of `id` does not end with this.
    pub(super) fn answer(&mut self, id: u16, answer: Answer) -> Result<Option<Ended>, WrongFlow> {
        let ended = self.flights.answer(id, answer)?;
        Ok(ended.map(|(ended, entry)| self.let_go(ended, entry)))
    }

    /// Ends the flow of `id`, wherever it stands.
    pub(super) fn end(&mut self, id: u16) -> Option<Ended> {
        let (ended, entry) = self.flights.end(id)?;
        Some(self.let_go(ended, entry))
    }

    /// PUBREC came.
    ///
    /// # Errors
    /// The message of `id` was sent with QoS 1.
    pub(super) fn receive(&mut self, id: u16, accepted: bool) -> Result<Received, WrongFlow> {
        let (received, entry) = self.flights.receive(id, accepted)?;
        Ok(self.let_go(received, entry))
    }

    /// What became of a flow, and the message that is kept no longer for it.
    fn let_go<T>(&mut self, what: T, entry: Option<Entry>) -> T {
        entry.iter().for_each(|entry| self.load.give_back(entry));
        what
    }

    /// Lets go of commands, as the connection ends: the core sends them again on the next one where that is
    /// right, so that they do not come twice. Of one that the client has with QoS 2 its PUBCOMP ends the flow.
    pub(super) fn forget_commands(&mut self) {
        let sent = self.flights.unanswered().filter(|(_, entry)| entry.command.is_some());
        let ids: Vec<u16> = sent.map(|(number, _)| number.id()).collect();
        for id in ids {
            self.end(id);
        }
        let (gone, stay): (VecDeque<_>, VecDeque<_>) = mem::take(&mut self.queue)
            .into_iter()
            .partition(|numbered| numbered.entry.command.is_some());
        self.queue = stay;
        gone.iter().for_each(|numbered| self.load.give_back(&numbered.entry));
    }

    fn waiting_entries(&self) -> impl Iterator<Item = &Entry> {
        self.queue.iter().map(|numbered| &numbered.entry)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let in_flight = self.flights.unanswered().map(|(_, entry)| entry);
        self.load.give_back_all(self.waiting_entries().chain(in_flight));
    }
}
