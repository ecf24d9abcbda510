//! What is in flight to one client: sent, and its flow not ended. Decides whether the window has room, what an
//! answer does, and what is sent again to a client that came back.

use super::{
    Next,
    entry::{Entry, Number},
};
use protocol::CommandId;
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

/// The messages in flight.
#[derive(Debug)]
pub(super) struct Flights {
    /// How many QoS 1 and 2 messages may be in flight.
    window: usize,
    by_id: BTreeMap<u16, Flight>,
    /// Those of an earlier connection, to be sent again first.
    again: VecDeque<u16>,
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

/// An answer that can end a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Answer {
    /// PUBACK.
    Acknowledged,
    /// PUBCOMP.
    Completed,
}

/// The end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) struct Ended {
    pub(in crate::edge) number: Number,
    /// The command that the message carried.
    pub(in crate::edge) command: Option<(CommandId, u32)>,
}

/// What a PUBREC did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Received {
    /// Answer with PUBREL.
    Release(Number),
    /// The client refused the message: its flow has ended.
    Refused(Number),
    /// There is no such flow.
    Unknown,
}

/// The answer belongs to another kind of flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) struct WrongFlow;

impl Flights {
    pub(super) fn new(window: u16) -> Self {
        Self { window: window.into(), by_id: BTreeMap::new(), again: VecDeque::new() }
    }

    /// All are sent again, in order, within a new window.
    pub(super) fn resume(&mut self, window: u16) {
        self.window = window.into();
        let mut numbers: Vec<Number> = self.numbers().collect();
        numbers.sort_unstable();
        self.again = numbers.into_iter().map(Number::id).collect();
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = Number> {
        self.by_id.values().map(|flight| flight.number)
    }

    pub(super) fn has(&self, id: u16) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The messages that may have to be sent again, in no order.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = (Number, &Entry)> {
        self.by_id.values().filter_map(|flight| match &flight.stage {
            Stage::Sent(entry) => Some((flight.number, entry)),
            Stage::Released(_) => None,
        })
    }

    /// Whether the client takes one more.
    pub(super) fn have_room(&self) -> bool {
        self.by_id.len() - self.again.len() < self.window
    }

    pub(super) fn begin(&mut self, number: Number, entry: Entry) {
        self.by_id.insert(number.id(), Flight { number, stage: Stage::Sent(entry) });
    }

    /// Puts back a flow of an earlier life whose message the client has.
    pub(super) fn restore_released(&mut self, number: Number) {
        self.by_id.insert(number.id(), Flight { number, stage: Stage::Released(None) });
    }

    /// The first to be sent again; none: there is none.
    pub(super) fn first_again(&self) -> Option<u16> {
        self.again.front().copied()
    }

    /// Sends `id` again, which is the first; none: the window is full.
    pub(super) fn send_again(&mut self, id: u16) -> Option<Next> {
        let next = match &self.by_id.get(&id)?.stage {
            Stage::Sent(_) if !self.have_room() => return None,
            Stage::Sent(entry) => {
                Next::Message { entry: entry.clone(), id: Some(id), duplicate: true }
            }
            Stage::Released(_) => Next::Release(id),
        };
        self.again.pop_front();
        Some(next)
    }

    /// PUBACK or PUBCOMP came: ends the flow of `id`, as [`Self::end`] does.
    pub(super) fn answer(
        &mut self,
        id: u16,
        answer: Answer,
    ) -> Result<Option<(Ended, Option<Entry>)>, WrongFlow> {
        let Some(flight) = self.by_id.get(&id) else { return Ok(None) };
        let fits = match (&flight.stage, answer) {
            (Stage::Sent(entry), Answer::Acknowledged) => entry.qos == 1,
            (Stage::Released(_), Answer::Completed) => true,
            (Stage::Sent(_), Answer::Completed) | (Stage::Released(_), Answer::Acknowledged) => {
                false
            }
        };
        if fits { Ok(self.end(id)) } else { Err(WrongFlow) }
    }

    /// PUBREC came; with what it did comes the message that is kept no longer.
    pub(super) fn receive(
        &mut self,
        id: u16,
        accepted: bool,
    ) -> Result<(Received, Option<Entry>), WrongFlow> {
        let Some(flight) = self.by_id.get_mut(&id) else { return Ok((Received::Unknown, None)) };
        let number = flight.number;
        if flight.stage.is_of_qos_1() {
            return Err(WrongFlow);
        }
        if accepted {
            return Ok((Received::Release(number), flight.stage.release()));
        }
        let entry = self.end(id).and_then(|(_, entry)| entry);
        Ok((Received::Refused(number), entry))
    }

    /// Ends the flow of `id`, wherever it stands; with its end comes the message, if that was still kept.
    pub(super) fn end(&mut self, id: u16) -> Option<(Ended, Option<Entry>)> {
        let Flight { number, stage } = self.by_id.remove(&id)?;
        self.again.retain(|known| *known != id);
        let (command, entry) = match stage {
            Stage::Sent(entry) => (entry.command, Some(entry)),
            Stage::Released(command) => (command, None),
        };
        Some((Ended { number, command }, entry))
    }
}

impl Stage {
    fn is_of_qos_1(&self) -> bool {
        match self {
            Self::Sent(entry) => entry.qos == 1,
            Self::Released(_) => false,
        }
    }

    /// The client has the message; gives what was kept of it.
    fn release(&mut self) -> Option<Entry> {
        let Self::Sent(entry) = self else { return None };
        let command = entry.command;
        match mem::replace(self, Self::Released(command)) {
            Self::Sent(entry) => Some(entry),
            Self::Released(_) => None,
        }
    }
}
