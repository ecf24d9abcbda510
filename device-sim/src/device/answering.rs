//! What a device says to a command, and what it writes down about it.

use super::{Action, Device};
use crate::summary::{CommandRecord, Outcome};
use protocol::{Answer, AnswerError, AnswerStatus, Delivery};
use serde_json::Value;

impl Device {
    pub(super) fn succeed(&mut self, delivery: &Delivery, result: Value) {
        let answer = Answer { result: Some(result), ..plain(AnswerStatus::Succeeded) };
        self.end(delivery, true, Outcome::Succeeded, answer);
    }

    pub(super) fn refuse(&mut self, delivery: &Delivery, error: AnswerError) {
        let answer = Answer { error: Some(error), ..plain(AnswerStatus::Rejected) };
        self.end(delivery, false, Outcome::Rejected, answer);
    }

    pub(super) fn fail(&mut self, delivery: &Delivery) {
        self.give_up(delivery, error("fault", "the simulated hardware failed, as chaos asked"));
    }

    pub(super) fn give_up(&mut self, delivery: &Delivery, error: AnswerError) {
        let answer = Answer { error: Some(error), ..plain(AnswerStatus::Failed) };
        self.end(delivery, false, Outcome::Failed, answer);
    }

    pub(super) fn end(&mut self, delivery: &Delivery, ran: bool, outcome: Outcome, answer: Answer) {
        self.answer(delivery, answer);
        let record = self.record(delivery, ran, outcome);
        self.actions.push_back(Action::Record(record));
    }

    pub(super) fn answer(&mut self, delivery: &Delivery, answer: Answer) {
        let answer = self.memory.answered(delivery.id, answer);
        self.actions.push_back(Action::Answer(delivery.id, answer));
    }

    pub(super) fn record(&self, delivery: &Delivery, ran: bool, outcome: Outcome) -> CommandRecord {
        CommandRecord {
            device: self.id.clone(),
            id: delivery.id,
            name: delivery.name.clone(),
            attempt: self.memory.attempt(delivery.id).unwrap_or(delivery.attempt),
            ran,
            outcome,
        }
    }
}

/// An answer that says no more than this.
pub(super) fn plain(status: AnswerStatus) -> Answer {
    Answer { status, attempt: None, progress: None, result: None, error: None }
}

pub(super) fn error(code: &str, message: &str) -> AnswerError {
    AnswerError { code: code.into(), message: message.into() }
}
