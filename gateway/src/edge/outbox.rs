//! What waits to be written to one client, and what it has not acknowledged yet. Pure.
//!
//! One queue keeps the order. QoS 1 and 2 leave it only while the client's window has room, and stay
//! in flight until the client has said the last word of their flow. Each of them has a number that says
//! its place, and from it the packet id: what is known of a message on the disk needs no other.
//!
//! What comes when a bound is reached is given back, to be dropped and counted; what waits already stays.

use super::{budget::Budget, mark::Mark, subscriptions::Grant};
use crate::exchange::{Message, Share};
use protocol::CommandId;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// A message on its way to a client.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: Arc<Message>,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) identifiers: Vec<u32>,
    /// The command it carries, and which sending of it.
    pub(super) command: Option<(CommandId, u32)>,
    /// It leaves the queue once this is set; none: it need not wait.
    pub(super) stored: Option<Mark>,
    /// The shared subscription it came by.
    pub(super) share: Option<Arc<Share>>,
}

impl Entry {
    /// `message` as `grant` says.
    pub(super) fn new(message: Arc<Message>, grant: Grant) -> Self {
        let qos = message.qos.min(grant.qos);
        let (retain, identifiers) = (grant.retain, grant.identifiers);
        Self { message, qos, retain, identifiers, command: None, stored: None, share: None }
    }

    fn payload_bytes(&self) -> usize {
        self.message.payload.len()
    }

    /// The memory it counts for; what several queues share counts in each.
    fn footprint_bytes(&self) -> usize {
        size_of::<Numbered>() + self.message.weight_bytes()
    }

    fn may_leave(&self) -> bool {
        self.stored.as_ref().is_none_or(Mark::is_set)
    }
}

/// The place of a QoS 1 or 2 message among all of a session, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(pub(super) u64);

impl Number {
    /// The packet id that the message has in every connection of the session.
    pub(super) fn id(self) -> u16 {
        let ids = u64::from(u16::MAX);
        u16::try_from((self.0 - 1) % ids + 1).expect("at most 65,535")
    }
}

#[derive(Debug)]
struct Numbered {
    /// With QoS 1 and 2.
    number: Option<Number>,
    entry: Entry,
}

/// A message in flight.
#[derive(Debug)]
struct Flight {
    number: Number,
    stage: Stage,
}

/// Where a message in flight stands.
#[derive(Debug)]
enum Stage {
    /// The client has not answered; the message may have to be sent again.
    Sent(Entry),
    /// QoS 2: the client has it, and knows that we know.
    Released(Option<(CommandId, u32)>),
}

/// What to write next.
#[derive(Debug)]
pub(super) enum Next {
    /// A message; QoS 1 and 2 have an id.
    Message { entry: Entry, id: Option<u16>, duplicate: bool },
    /// PUBREL again, after the client came back.
    Release(u16),
}

/// An answer that can end a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// PUBACK.
    Acknowledged,
    /// PUBCOMP.
    Completed,
}

/// The end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) number: Number,
    /// The command that the message carried.
    pub(super) command: Option<(CommandId, u32)>,
}

/// What a PUBREC did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Answer with PUBREL.
    Release(Number),
    /// The client refused the message: its flow has ended.
    Refused(Number),
    /// There is no such flow.
    Unknown,
}

/// The answer belongs to another kind of flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongFlow;

/// The bounds of an [`Outbox`].
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Waiting.
    pub(super) messages_max: usize,
    /// Waiting and in flight.
    pub(super) payload_bytes_max: usize,
    /// What all outboxes have together.
    pub(super) budget: Arc<Budget>,
}

/// Messages waiting and in flight.
#[derive(Debug)]
pub(super) struct Outbox {
    bounds: Bounds,
    /// How many QoS 1 and 2 messages may be in flight.
    window: usize,
    queue: VecDeque<Numbered>,
    payload_bytes: usize,
    flights: BTreeMap<u16, Flight>,
    /// Flights of an earlier connection, to be sent again first.
    again: VecDeque<u16>,
    last: Number,
    sent_through: Number,
}

impl Outbox {
    pub(super) fn new(bounds: Bounds, window: u16) -> Self {
        Self {
            bounds,
            window: window.into(),
            queue: VecDeque::new(),
            payload_bytes: 0,
            flights: BTreeMap::new(),
            again: VecDeque::new(),
            last: Number(0),
            sent_through: Number(0),
        }
    }

    /// Goes on for a client that came back: what is in flight is sent again, in order, and `window` is
    /// the new one.
    pub(super) fn resume(&mut self, window: u16) {
        self.window = window.into();
        let mut flights: Vec<Number> = self.flights.values().map(|flight| flight.number).collect();
        flights.sort_unstable();
        self.again = flights.into_iter().map(Number::id).collect();
    }

    /// How many messages wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The last message that may have been sent.
    pub(super) const fn sent_through(&self) -> Number {
        self.sent_through
    }

    /// The numbers of all messages that are not done.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Number> {
        let waiting = self.queue.iter().filter_map(|numbered| numbered.number);
        waiting.chain(self.flights.values().map(|flight| flight.number))
    }

    /// What came by shared subscriptions and is another member's when this session ends, in order: all but QoS 0,
    /// and what the client may have with QoS 2 `[MQTT-4.8.2-5]`.
    pub(super) fn unacknowledged_shared(&self) -> Vec<(Arc<Share>, Arc<Message>)> {
        let mut sent: Vec<_> = self.flights.values().collect();
        sent.sort_unstable_by_key(|flight| flight.number);
        let sent = sent.into_iter().filter_map(|flight| match &flight.stage {
            Stage::Sent(entry) => Some(entry).filter(|entry| entry.qos == 1),
            Stage::Released(_) => None,
        });
        let waiting = self.queue.iter().map(|numbered| &numbered.entry);
        let entries = sent.chain(waiting.filter(|entry| entry.qos > 0));
        entries
            .filter_map(|entry| Some((entry.share.clone()?, Arc::clone(&entry.message))))
            .collect()
    }

    /// Queues `entry`, which gets a number with QoS 1 and 2; or gives it back where a bound is reached: it is
    /// to be dropped and counted.
    pub(super) fn push(&mut self, entry: Entry) -> Result<Option<Number>, Entry> {
        let bytes = self.payload_bytes + entry.payload_bytes();
        let bytes_fit = bytes <= self.bounds.payload_bytes_max || self.payload_bytes == 0;
        if self.queue.len() >= self.bounds.messages_max
            || !bytes_fit
            || !self.bounds.budget.take(entry.footprint_bytes())
        {
            return Err(entry);
        }
        self.payload_bytes = bytes;
        let number = (entry.qos > 0).then(|| self.next_number());
        self.queue.push_back(Numbered { number, entry });
        Ok(number)
    }

    /// Puts back a message of an earlier life, behind all that were put back before.
    pub(super) fn restore(&mut self, number: Number, entry: Entry, sent_through: Number) {
        self.last = self.last.max(number);
        // It was promised: it stays, whatever the bounds are now.
        self.bounds.budget.take_anyway(entry.footprint_bytes());
        self.payload_bytes += entry.payload_bytes();
        if number <= sent_through {
            self.flights.insert(number.id(), Flight { number, stage: Stage::Sent(entry) });
        } else {
            self.queue.push_back(Numbered { number: Some(number), entry });
        }
    }

    /// Puts back a flow of an earlier life whose message the client has.
    pub(super) fn restore_released(&mut self, number: Number) {
        self.last = self.last.max(number);
        self.flights.insert(number.id(), Flight { number, stage: Stage::Released(None) });
    }

    /// The window is far smaller than the ids, so that a free one is near.
    fn next_number(&mut self) -> Number {
        loop {
            self.last.0 += 1;
            if !self.flights.contains_key(&self.last.id()) {
                return self.last;
            }
        }
    }

    /// What to write next; none: nothing waits, the window is full, or the next is not stored yet.
    pub(super) fn next(&mut self) -> Option<Next> {
        let room = self.flights.len() - self.again.len() < self.window;
        if let Some(id) = self.again.front().copied() {
            return self.next_again(id, room);
        }
        let front = self.queue.front()?;
        if !front.entry.may_leave() || (front.number.is_some() && !room) {
            return None;
        }
        let Numbered { number, entry } = self.queue.pop_front()?;
        let Some(number) = number else {
            self.forget(&entry);
            return Some(Next::Message { entry, id: None, duplicate: false });
        };
        self.sent_through = self.sent_through.max(number);
        let stage = Stage::Sent(entry.clone());
        self.flights.insert(number.id(), Flight { number, stage });
        Some(Next::Message { entry, id: Some(number.id()), duplicate: false })
    }

    fn next_again(&mut self, id: u16, room: bool) -> Option<Next> {
        let next = match &self.flights.get(&id)?.stage {
            Stage::Sent(_) if !room => return None,
            Stage::Sent(entry) => {
                Next::Message { entry: entry.clone(), id: Some(id), duplicate: true }
            }
            Stage::Released(_) => Next::Release(id),
        };
        self.again.pop_front();
        Some(next)
    }

    /// PUBACK or PUBCOMP came; none: there is no such flow.
    ///
    /// # Errors
    /// The flow of `id` does not end with this.
    pub(super) fn answer(&mut self, id: u16, answer: Answer) -> Result<Option<Ended>, WrongFlow> {
        let Some(flight) = self.flights.get(&id) else { return Ok(None) };
        let fits = match (&flight.stage, answer) {
            (Stage::Sent(entry), Answer::Acknowledged) => entry.qos == 1,
            (Stage::Released(_), Answer::Completed) => true,
            (Stage::Sent(_), Answer::Completed) | (Stage::Released(_), Answer::Acknowledged) => {
                false
            }
        };
        if fits { Ok(self.end(id)) } else { Err(WrongFlow) }
    }

    /// Ends the flow of `id`, wherever it stands.
    pub(super) fn end(&mut self, id: u16) -> Option<Ended> {
        let Flight { number, stage } = self.flights.remove(&id)?;
        self.again.retain(|known| *known != id);
        let command = match stage {
            Stage::Sent(entry) => {
                self.forget(&entry);
                entry.command
            }
            Stage::Released(command) => command,
        };
        Some(Ended { number, command })
    }

    /// PUBREC came.
    ///
    /// # Errors
    /// The message of `id` was sent with QoS 1.
    pub(super) fn receive(&mut self, id: u16, accepted: bool) -> Result<Received, WrongFlow> {
        let Some(flight) = self.flights.get_mut(&id) else { return Ok(Received::Unknown) };
        let number = flight.number;
        match &flight.stage {
            Stage::Sent(entry) if entry.qos != 2 => return Err(WrongFlow),
            Stage::Sent(_) | Stage::Released(_) if !accepted => {
                self.end(id);
                return Ok(Received::Refused(number));
            }
            Stage::Sent(entry) => {
                let (entry, command) = (entry.clone(), entry.command);
                flight.stage = Stage::Released(command);
                self.forget(&entry);
            }
            Stage::Released(_) => {}
        }
        Ok(Received::Release(number))
    }

    /// Lets go of commands, as the connection ends: the core sends them again on the next one where that is
    /// right, so that they do not come twice.
    pub(super) fn forget_commands(&mut self) {
        let carries = |flight: &Flight| match &flight.stage {
            Stage::Sent(entry) => entry.command.is_some(),
            // The client has it: its PUBCOMP ends the flow.
            Stage::Released(_) => false,
        };
        let ids: Vec<u16> =
            self.flights.iter().filter(|(_, flight)| carries(flight)).map(|(id, _)| *id).collect();
        for id in ids {
            self.end(id);
        }
        let (gone, stay): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|numbered| numbered.entry.command.is_some());
        self.queue = stay;
        gone.iter().for_each(|numbered| self.forget(&numbered.entry));
    }

    fn forget(&mut self, entry: &Entry) {
        self.payload_bytes -= entry.payload_bytes();
        self.bounds.budget.give_back(entry.footprint_bytes());
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let in_flight = self.flights.values().filter_map(|flight| match &flight.stage {
            Stage::Sent(entry) => Some(entry),
            Stage::Released(_) => None,
        });
        let all = self.queue.iter().map(|numbered| &numbered.entry).chain(in_flight);
        self.bounds.budget.give_back(all.map(Entry::footprint_bytes).sum());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Properties;

    fn outbox(window: u16) -> Outbox {
        bounded(window, usize::MAX)
    }

    fn bounded(window: u16, budget_bytes: usize) -> Outbox {
        let budget = Arc::new(Budget::new(budget_bytes));
        Outbox::new(Bounds { messages_max: 3, payload_bytes_max: 10, budget }, window)
    }

    fn entry(qos: u8, payload: &'static str) -> Entry {
        let message = Message {
            topic: "t".parse().unwrap(),
            payload: payload.into(),
            qos,
            retain: false,
            publisher: None,
            served: None,
            properties: Properties::default(),
        };
        Entry::new(Arc::new(message), Grant { qos: 2, ..Grant::default() })
    }

    fn next(outbox: &mut Outbox) -> Option<(String, Option<u16>, bool)> {
        match outbox.next()? {
            Next::Message { entry, id, duplicate } => {
                let text = String::from_utf8(entry.message.payload.to_vec()).unwrap();
                Some((text, id, duplicate))
            }
            Next::Release(id) => Some(("PUBREL".into(), Some(id), true)),
        }
    }

    fn completed(outbox: &mut Outbox, id: u16) {
        assert!(outbox.answer(id, Answer::Completed).unwrap().is_some());
    }

    #[test]
    fn messages_leave_in_order_and_wait_for_the_window() {
        let mut outbox = outbox(1);
        for (qos, payload) in [(1, "a"), (1, "b"), (0, "c")] {
            outbox.push(entry(qos, payload)).unwrap();
        }
        assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
        assert_eq!(next(&mut outbox), None);
        let ended = outbox.answer(1, Answer::Acknowledged).unwrap();
        assert_eq!(ended, Some(Ended { number: Number(1), command: None }));
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
        assert_eq!(next(&mut outbox), Some(("c".into(), None, false)));
        assert_eq!(next(&mut outbox), None);
    }

    #[test]
    fn a_full_outbox_gives_back_what_it_cannot_take() {
        let mut outbox = outbox(1);
        outbox.push(entry(0, "123456")).unwrap();
        assert!(outbox.push(entry(0, "12345")).is_err());
        outbox.push(entry(0, "1")).unwrap();
        outbox.push(entry(0, "1")).unwrap();
        assert!(outbox.push(entry(0, "")).is_err());
    }

    #[test]
    fn what_is_in_flight_counts_until_it_is_acknowledged() {
        let mut outbox = outbox(3);
        outbox.push(entry(1, "1234567890")).unwrap();
        next(&mut outbox);
        assert!(outbox.push(entry(1, "1")).is_err());
        outbox.answer(1, Answer::Acknowledged).unwrap();
        outbox.push(entry(1, "1")).unwrap();
    }

    #[test]
    fn one_message_over_the_byte_bound_passes_an_empty_outbox() {
        assert!(outbox(1).push(entry(0, "12345678901")).is_ok());
    }

    #[test]
    fn a_budget_bounds_all_outboxes_together_and_gets_everything_back() {
        let mut outbox = bounded(1, 2 * entry(1, "ab").footprint_bytes());
        let budget = outbox.bounds.budget.clone();
        outbox.push(entry(1, "ab")).unwrap();
        outbox.push(entry(1, "ab")).unwrap();
        assert!(outbox.push(entry(1, "ab")).is_err());
        next(&mut outbox);
        assert!(outbox.push(entry(1, "ab")).is_err());
        outbox.answer(1, Answer::Acknowledged).unwrap();
        outbox.push(entry(2, "ab")).unwrap();
        next(&mut outbox);
        drop(outbox);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn exactly_once_takes_two_rounds() {
        let mut outbox = outbox(1);
        outbox.push(entry(2, "a")).unwrap();
        assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
        assert_eq!(outbox.receive(1, true), Ok(Received::Release(Number(1))));
        outbox.push(entry(2, "b")).unwrap();
        assert_eq!(next(&mut outbox), None);
        completed(&mut outbox, 1);
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
        assert_eq!(outbox.receive(2, false), Ok(Received::Refused(Number(2))));
        assert_eq!(outbox.receive(2, true), Ok(Received::Unknown));
    }

    #[test]
    fn an_answer_of_another_flow_is_wrong() {
        let mut outbox = outbox(3);
        outbox.push(entry(1, "a")).unwrap();
        outbox.push(entry(2, "b")).unwrap();
        next(&mut outbox);
        next(&mut outbox);
        assert_eq!(outbox.receive(1, true), Err(WrongFlow));
        assert_eq!(outbox.answer(1, Answer::Completed), Err(WrongFlow));
        assert_eq!(outbox.answer(2, Answer::Acknowledged), Err(WrongFlow));
        assert_eq!(outbox.answer(2, Answer::Completed), Err(WrongFlow));
        assert_eq!(outbox.answer(3, Answer::Completed), Ok(None));
    }

    #[test]
    fn a_client_that_came_back_gets_what_was_in_flight_again_within_its_window() {
        let mut outbox = outbox(3);
        for payload in ["a", "b", "c"] {
            outbox.push(entry(2, payload)).unwrap();
            next(&mut outbox);
        }
        outbox.receive(1, true).unwrap();
        outbox.resume(2);
        assert_eq!(next(&mut outbox), Some(("PUBREL".into(), Some(1), true)));
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), true)));
        assert_eq!(next(&mut outbox), None);
        completed(&mut outbox, 1);
        assert_eq!(next(&mut outbox), Some(("c".into(), Some(3), true)));
        assert_eq!(next(&mut outbox), None);
    }

    #[test]
    fn messages_are_sent_again_in_their_order_although_ids_begin_anew() {
        let mut outbox = outbox(3);
        outbox.last = Number(u64::from(u16::MAX) - 1);
        for payload in ["a", "b", "c"] {
            outbox.push(entry(1, payload)).unwrap();
            next(&mut outbox);
        }
        outbox.resume(3);
        for (payload, id) in [("a", 65_535), ("b", 1), ("c", 2)] {
            assert_eq!(next(&mut outbox), Some((payload.into(), Some(id), true)));
        }
    }

    #[test]
    fn an_id_in_flight_is_passed_over() {
        let mut outbox = outbox(3);
        outbox.push(entry(1, "a")).unwrap();
        next(&mut outbox);
        outbox.last = Number(u64::from(u16::MAX));
        outbox.push(entry(1, "b")).unwrap();
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
    }

    #[test]
    fn a_message_waits_until_it_is_stored_and_what_follows_waits_for_it() {
        let mut outbox = outbox(3);
        let mark = Mark::default();
        outbox.push(Entry { stored: Some(mark.clone()), ..entry(1, "a") }).unwrap();
        outbox.push(entry(0, "b")).unwrap();
        assert_eq!(next(&mut outbox), None);
        mark.set();
        assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
        assert_eq!(next(&mut outbox), Some(("b".into(), None, false)));
    }

    #[test]
    fn what_is_restored_goes_on_where_it_stood() {
        let mut outbox = outbox(3);
        outbox.restore_released(Number(4));
        for (number, payload) in [(5, "sent"), (7, "later")] {
            outbox.restore(Number(number), entry(2, payload), Number(6));
        }
        outbox.push(entry(1, "x")).unwrap();
        outbox.resume(9);
        assert_eq!(next(&mut outbox), Some(("PUBREL".into(), Some(4), true)));
        assert_eq!(next(&mut outbox), Some(("sent".into(), Some(5), true)));
        assert_eq!(next(&mut outbox), Some(("later".into(), Some(7), false)));
        assert_eq!(next(&mut outbox), Some(("x".into(), Some(8), false)));
    }

    #[test]
    fn commands_do_not_outlive_their_connection() {
        let mut outbox = outbox(1);
        let command = || Some(("0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c".parse().unwrap(), 1));
        outbox.push(Entry { command: command(), ..entry(1, "a") }).unwrap();
        outbox.push(Entry { command: command(), ..entry(1, "b") }).unwrap();
        outbox.push(entry(1, "c")).unwrap();
        next(&mut outbox);
        outbox.forget_commands();
        outbox.resume(1);
        assert_eq!(next(&mut outbox), Some(("c".into(), Some(3), false)));
        assert_eq!(outbox.payload_bytes, 1);
    }
}
