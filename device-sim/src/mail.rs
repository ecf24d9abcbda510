//! All that a device has to say and has not handed to its connection.

use crate::outbox::{Outbox, Reading};
use protocol::{Answer, CommandId, DeviceEvent};
use std::collections::VecDeque;

/// The answers that wait; of more, the newest. What goes is counted as `answers_dropped`.
pub(crate) const ANSWERS_MAX: usize = 1_000;

/// The events that wait; of more, the newest. What goes is counted as `events_dropped`.
pub(crate) const EVENTS_MAX: usize = 100;

/// One message to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Parcel {
    /// An answer to a command.
    Answer(CommandId, Answer),
    /// The state, whatever it is when it goes.
    State,
    /// Something is wrong, or over.
    Event(DeviceEvent),
    /// Readings, in one message.
    Readings(Vec<Reading>),
}

impl Parcel {
    /// How many readings it holds.
    pub(crate) fn readings(&self) -> u64 {
        match self {
            Self::Readings(readings) => readings.len() as u64,
            Self::Answer(..) | Self::State | Self::Event(_) => 0,
        }
    }
}

/// What had to go because there was no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) readings: u64,
    pub(crate) answers: u64,
    pub(crate) events: u64,
}

/// Answers first, then the state, then events, then readings; each kind in its order.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    answers: VecDeque<(CommandId, Answer)>,
    state_is_due: bool,
    events: VecDeque<DeviceEvent>,
    outbox: Outbox,
}

impl Mail {
    pub(crate) fn push_answer(&mut self, id: CommandId, answer: Answer) -> Dropped {
        self.answers.push_back((id, answer));
        self.shrink()
    }

    pub(crate) fn push_reading(&mut self, reading: Reading) -> Dropped {
        Dropped { readings: self.outbox.push(reading), ..Dropped::default() }
    }

    pub(crate) fn push_event(&mut self, event: DeviceEvent) -> Dropped {
        self.events.push_back(event);
        self.shrink()
    }

    pub(crate) fn push_state(&mut self) {
        self.state_is_due = true;
    }

    /// The next message, if there is one.
    pub(crate) fn take(&mut self) -> Option<Parcel> {
        if let Some((id, answer)) = self.answers.pop_front() {
            return Some(Parcel::Answer(id, answer));
        }
        if std::mem::take(&mut self.state_is_due) {
            return Some(Parcel::State);
        }
        if let Some(event) = self.events.pop_front() {
            return Some(Parcel::Event(event));
        }
        let readings = self.outbox.take_batch();
        (!readings.is_empty()).then_some(Parcel::Readings(readings))
    }

    /// Brings back what a connection lost, in the order in which it was taken.
    pub(crate) fn put_back(&mut self, parcels: Vec<Parcel>) -> Dropped {
        let mut readings = Vec::new();
        let mut answers = VecDeque::new();
        let mut events = VecDeque::new();
        for parcel in parcels {
            match parcel {
                Parcel::Answer(id, answer) => answers.push_back((id, answer)),
                Parcel::State => self.state_is_due = true,
                Parcel::Event(event) => events.push_back(event),
                Parcel::Readings(more) => readings.extend(more),
            }
        }
        answers.append(&mut self.answers);
        self.answers = answers;
        events.append(&mut self.events);
        self.events = events;
        Dropped { readings: self.outbox.put_back(readings), ..self.shrink() }
    }

    /// The readings that wait.
    pub(crate) fn readings(&self) -> u64 {
        self.outbox.len() as u64
    }

    fn shrink(&mut self) -> Dropped {
        let excess = self.answers.len().saturating_sub(ANSWERS_MAX);
        self.answers.drain(..excess);
        let events = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..events);
        Dropped { readings: 0, answers: excess as u64, events: events as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{AnswerStatus, Timestamp};

    fn answer(n: u128) -> (CommandId, Answer) {
        let status = AnswerStatus::Received;
        let answer = Answer { status, attempt: Some(1), progress: None, result: None, error: None };
        (CommandId::from_u128(n), answer)
    }

    fn reading(n: i64) -> Reading {
        Reading::new(Timestamp(n), serde_json::Map::new())
    }

    #[test]
    fn answers_go_first_then_the_state_then_the_readings() {
        let mut mail = Mail::default();
        mail.push_reading(reading(1));
        mail.push_state();
        let (id, said) = answer(1);
        mail.push_answer(id, said.clone());
        let taken: Vec<_> = std::iter::from_fn(|| mail.take()).collect();
        let expected =
            [Parcel::Answer(id, said), Parcel::State, Parcel::Readings(vec![reading(1)])];
        assert_eq!(taken, expected);
    }

    #[test]
    fn what_was_lost_comes_back_in_its_order() {
        let mut mail = Mail::default();
        let ((first, said), (second, also)) = (answer(1), answer(2));
        mail.push_answer(second, also.clone());
        mail.push_reading(reading(3));
        let lost = vec![
            Parcel::Readings(vec![reading(1)]),
            Parcel::Answer(first, said.clone()),
            Parcel::Readings(vec![reading(2)]),
        ];
        assert_eq!(mail.put_back(lost), Dropped::default());
        assert_eq!(mail.take(), Some(Parcel::Answer(first, said)));
        assert_eq!(mail.take(), Some(Parcel::Answer(second, also)));
        let all = vec![reading(1), reading(2), reading(3)];
        assert_eq!(mail.take(), Some(Parcel::Readings(all)));
    }

    #[test]
    fn events_are_bounded_and_come_back_before_newer_ones() {
        let event = |n: usize| DeviceEvent {
            severity: protocol::Severity::Info,
            code: n.to_string(),
            message: String::new(),
            data: None,
            clear: false,
        };
        let mut mail = Mail::default();
        let dropped: u64 = (0..=EVENTS_MAX).map(|n| mail.push_event(event(n)).events).sum();
        assert_eq!(dropped, 1);
        let lost = mail.take().expect("an event");
        assert_eq!(lost, Parcel::Event(event(1)));
        mail.put_back(vec![lost]);
        assert_eq!(mail.take(), Some(Parcel::Event(event(1))));
    }

    #[test]
    fn answers_are_bounded_and_the_newest_are_kept() {
        let mut mail = Mail::default();
        let dropped: u64 =
            (0..1_003).map(answer).map(|(id, said)| mail.push_answer(id, said).answers).sum();
        assert_eq!(dropped, 3);
        let (third, said) = answer(3);
        assert_eq!(mail.take(), Some(Parcel::Answer(third, said)));
    }
}
