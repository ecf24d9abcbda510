//! What waits to be written to one client, and what it has not acknowledged yet. Pure.
//!
//! One queue keeps the order. QoS 1 and 2 leave it only while the client's window has room, and stay
//! in flight until the client has said the last word of their flow.

use super::subscriptions::Grant;
use crate::exchange::Message;
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
}

impl Entry {
    /// `message` as `grant` says.
    pub(super) fn new(message: Arc<Message>, grant: Grant) -> Self {
        let qos = message.qos.min(grant.qos);
        let (retain, identifiers) = (grant.retain, grant.identifiers);
        Self { message, qos, retain, identifiers, command: None }
    }
}

/// Where a message in flight stands.
#[derive(Debug)]
enum Flight {
    /// The client has not answered; the message may have to be sent again.
    Sent(Entry),
    /// QoS 2: the client has it, PUBREL went out.
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

/// What a PUBREC did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Answer with PUBREL.
    Release,
    /// The client refused the message: its flow has ended.
    Refused,
    /// There is no such flow.
    Unknown,
}

/// The bounds of an [`Outbox`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages_max: usize,
    pub(super) payload_bytes_max: usize,
    /// Retained messages may go this far over `messages_max`: they are shared, not copied.
    pub(super) retained_max: usize,
}

/// Messages waiting and in flight.
#[derive(Debug)]
pub(super) struct Outbox {
    bounds: Bounds,
    /// How many QoS 1 and 2 messages may be in flight.
    window: usize,
    queue: VecDeque<Entry>,
    queue_bytes: usize,
    flights: BTreeMap<u16, Flight>,
    /// Flights of an earlier connection, to be sent again first.
    again: VecDeque<u16>,
    last_id: u16,
}

impl Outbox {
    pub(super) fn new(bounds: Bounds, window: u16) -> Self {
        Self {
            bounds,
            window: window.into(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            flights: BTreeMap::new(),
            again: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Goes on for a client that came back: what is in flight is sent again, in order, and `window` is
    /// the new one.
    pub(super) fn resume(&mut self, window: u16) {
        self.window = window.into();
        self.again = self.flights.keys().copied().collect();
    }

    /// Lets go of commands, as the connection ends: the core sends them again on the next one where that is
    /// right, so that they do not come twice.
    pub(super) fn forget_commands(&mut self) {
        self.queue.retain(|entry| entry.command.is_none());
        self.queue_bytes = self.queue.iter().map(|entry| entry.message.payload.len()).sum();
        self.flights.retain(|_, flight| match flight {
            Flight::Sent(entry) => entry.command.is_none(),
            // The client has it: its PUBCOMP ends the flow.
            Flight::Released(_) => true,
        });
    }

    /// Queues `entry`, or gives it back where the bounds are reached: it is to be dropped and counted.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), Entry> {
        self.push_within(entry, self.bounds.messages_max)
    }

    /// As [`Self::push`], for messages that were retained.
    pub(super) fn push_retained(&mut self, entry: Entry) -> Result<(), Entry> {
        self.push_within(entry, self.bounds.messages_max + self.bounds.retained_max)
    }

    fn push_within(&mut self, entry: Entry, messages_max: usize) -> Result<(), Entry> {
        let bytes = entry.message.payload.len();
        let retained = messages_max > self.bounds.messages_max;
        let bytes_fit = retained || self.queue_bytes + bytes <= self.bounds.payload_bytes_max;
        if self.queue.len() >= messages_max || !(bytes_fit || self.queue.is_empty()) {
            return Err(entry);
        }
        self.queue_bytes += bytes;
        self.queue.push_back(entry);
        Ok(())
    }

    /// What to write next; none: nothing waits, or the window is full.
    pub(super) fn next(&mut self) -> Option<Next> {
        while let Some(id) = self.again.pop_front() {
            match self.flights.get(&id) {
                Some(Flight::Sent(entry)) => {
                    return Some(Next::Message {
                        entry: entry.clone(),
                        id: Some(id),
                        duplicate: true,
                    });
                }
                Some(Flight::Released(_)) => return Some(Next::Release(id)),
                None => {}
            }
        }
        let qos = self.queue.front()?.qos;
        if qos > 0 && self.flights.len() >= self.window {
            return None;
        }
        let entry = self.queue.pop_front()?;
        self.queue_bytes -= entry.message.payload.len();
        let id = (qos > 0).then(|| self.free_id());
        if let Some(id) = id {
            self.flights.insert(id, Flight::Sent(entry.clone()));
        }
        Some(Next::Message { entry, id, duplicate: false })
    }

    /// The window is far smaller than the ids, so that one is always free.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.flights.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    /// PUBACK came, or what `id` carries could not be written: its flow has ended. Gives the command
    /// it carried.
    pub(super) fn acknowledge(&mut self, id: u16) -> Option<(CommandId, u32)> {
        match self.flights.remove(&id) {
            Some(Flight::Sent(entry)) => entry.command,
            Some(Flight::Released(command)) => command,
            None => None,
        }
    }

    /// PUBREC came.
    pub(super) fn receive(&mut self, id: u16, accepted: bool) -> Received {
        match self.flights.get_mut(&id) {
            None => Received::Unknown,
            Some(_) if !accepted => {
                self.flights.remove(&id);
                Received::Refused
            }
            Some(flight) => {
                if let Flight::Sent(entry) = flight {
                    *flight = Flight::Released(entry.command);
                }
                Received::Release
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Properties;

    fn outbox(window: u16) -> Outbox {
        let bounds = Bounds { messages_max: 3, payload_bytes_max: 10, retained_max: 2 };
        Outbox::new(bounds, window)
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

    #[test]
    fn messages_leave_in_order_and_wait_for_the_window() {
        let mut outbox = outbox(1);
        for (qos, payload) in [(1, "a"), (1, "b"), (0, "c")] {
            outbox.push(entry(qos, payload)).unwrap();
        }
        assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
        assert_eq!(next(&mut outbox), None);
        assert_eq!(outbox.acknowledge(1), None);
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
        assert_eq!(next(&mut outbox), Some(("c".into(), None, false)));
        assert_eq!(next(&mut outbox), None);
    }

    #[test]
    fn commands_do_not_outlive_their_connection() {
        let mut outbox = outbox(1);
        let command = Some((CommandId::from_u128(1), 1));
        outbox.push(Entry { command, ..entry(1, "flight") }).unwrap();
        outbox.push(entry(1, "b")).unwrap();
        outbox.push(Entry { command, ..entry(1, "c") }).unwrap();
        assert_eq!(next(&mut outbox), Some(("flight".into(), Some(1), false)));
        outbox.forget_commands();
        outbox.resume(2);
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
        assert_eq!((next(&mut outbox), outbox.queue_bytes), (None, 0));
    }

    #[test]
    fn a_full_outbox_gives_back_what_it_cannot_take() {
        let mut outbox = outbox(1);
        outbox.push(entry(0, "123456")).unwrap();
        assert!(outbox.push(entry(0, "12345")).is_err());
        outbox.push(entry(0, "1")).unwrap();
        outbox.push(entry(0, "1")).unwrap();
        assert!(outbox.push(entry(0, "")).is_err());
        outbox.push_retained(entry(0, "1234567")).unwrap();
        outbox.push_retained(entry(0, "")).unwrap();
        assert!(outbox.push_retained(entry(0, "")).is_err());
    }

    #[test]
    fn one_message_over_the_byte_bound_passes_an_empty_outbox() {
        assert!(outbox(1).push(entry(0, "12345678901")).is_ok());
    }

    #[test]
    fn exactly_once_takes_two_rounds() {
        let mut outbox = outbox(1);
        outbox.push(entry(2, "a")).unwrap();
        assert_eq!(next(&mut outbox), Some(("a".into(), Some(1), false)));
        assert_eq!(outbox.receive(1, true), Received::Release);
        outbox.push(entry(2, "b")).unwrap();
        assert_eq!(next(&mut outbox), None);
        outbox.acknowledge(1);
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), false)));
        assert_eq!(outbox.receive(2, false), Received::Refused);
        assert_eq!(outbox.receive(2, true), Received::Unknown);
    }

    #[test]
    fn a_client_that_came_back_gets_what_was_in_flight_again() {
        let mut outbox = outbox(3);
        for payload in ["a", "b", "c"] {
            outbox.push(entry(2, payload)).unwrap();
            next(&mut outbox);
        }
        outbox.receive(1, true);
        outbox.acknowledge(3);
        outbox.resume(3);
        assert_eq!(next(&mut outbox), Some(("PUBREL".into(), Some(1), true)));
        assert_eq!(next(&mut outbox), Some(("b".into(), Some(2), true)));
        assert_eq!(next(&mut outbox), None);
    }
}
