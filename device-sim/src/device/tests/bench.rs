//! A device on a bench: it is given inputs and time, and what it does is looked at.

use super::*;

/// A device, its time, and all it has done.
pub(super) struct Bench {
    pub(super) device: Device,
    pub(super) now: Timestamp,
    pub(super) actions: Vec<Action>,
}

impl Bench {
    pub(super) fn new(kind: Kind, chaos: &str) -> Self {
        let chaos = if chaos.is_empty() { Ok(Chaos::default()) } else { chaos.parse() };
        let chaos = chaos.expect("the chaos of a test is valid");
        let id = format!("{kind}-001").parse().expect("a device id");
        let now = Timestamp(1_700_000_000_000);
        Self { device: Device::new(id, kind, chaos, 42, now), now, actions: vec![] }
    }

    pub(super) fn send(&mut self, n: u128, attempt: u32, name: &str, params: Value) {
        let delivery = Delivery {
            id: CommandId::from_u128(n),
            name: name.into(),
            params,
            attempt,
            issued_at: self.now,
            not_after: self.now.plus(Millis(30_000)),
            timeout_ms: Millis(30_000),
        };
        self.device.handle_delivery(self.now, delivery);
        self.collect();
    }

    pub(super) fn cancel(&mut self, n: u128) {
        self.device.handle_cancel(self.now, CommandId::from_u128(n));
        self.collect();
    }

    /// Lets this much time pass, waking the device whenever it asks for it.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.plus(Millis(ms));
        while self.now < end {
            self.now = self.device.poll_timeout().map_or(end, |at| at.min(end));
            self.device.advance(self.now);
            self.collect();
        }
    }

    pub(super) fn collect(&mut self) {
        self.actions.extend(std::iter::from_fn(|| self.device.poll_action()));
    }

    /// The answers to a command, taken out.
    pub(super) fn answers(&self, n: u128) -> Vec<Answer> {
        let answers = self.actions.iter().filter_map(|action| match action {
            Action::Answer(id, answer) if *id == CommandId::from_u128(n) => Some(answer.clone()),
            Action::Answer(..)
            | Action::Report
            | Action::Event(_)
            | Action::Restart(_)
            | Action::Record(_)
            | Action::Repeat => None,
        });
        answers.collect()
    }

    pub(super) fn statuses(&self, n: u128) -> Vec<AnswerStatus> {
        self.answers(n).iter().map(|answer| answer.status).collect()
    }

    /// What became of the commands that ended: outcome, and whether it ran.
    pub(super) fn records(&self) -> Vec<(Outcome, bool)> {
        let records = self.actions.iter().filter_map(|action| match action {
            Action::Record(record) => Some((record.outcome, record.ran)),
            Action::Answer(..)
            | Action::Report
            | Action::Event(_)
            | Action::Restart(_)
            | Action::Repeat => None,
        });
        records.collect()
    }

    /// The events told: code, and whether it is over.
    pub(super) fn events(&self) -> Vec<(&str, bool)> {
        let events = self.actions.iter().filter_map(|action| match action {
            Action::Event(event) => Some((event.code.as_str(), event.clear)),
            Action::Answer(..)
            | Action::Report
            | Action::Restart(_)
            | Action::Record(_)
            | Action::Repeat => None,
        });
        events.collect()
    }

    pub(super) fn desire(&mut self, version: u64, desired: &Value) {
        let desired = desired.as_object().expect("an object").clone();
        self.device.handle_desired(self.now, version, desired);
        self.collect();
    }

    pub(super) fn error_code(&self, n: u128) -> String {
        let last = self.answers(n).pop().expect("the command was answered");
        last.error.expect("the last answer bears an error").code
    }
}

pub(super) fn valve(percent: f64) -> Value {
    json!({ "percent": percent })
}

/// A pump whose valve is at 0: each test moves it from there.
pub(super) fn pump() -> Bench {
    let mut bench = Bench::new(Kind::Pump, "");
    bench.send(1_000, 1, "set_valve", valve(0.0));
    bench.pass(15_000);
    bench.actions.clear();
    bench
}
