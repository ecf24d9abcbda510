//! A device without its connection: the machine, and the commands it is given.
//!
//! Pure: the time comes in with every call, the seed at the start, and what is to be done about it
//! comes out of [`Device::poll_action`]. The shell ([`crate::actor`]) owns clock and socket.

mod alarms;
mod answering;
mod desired;
mod job;
mod memory;
mod update;
mod work;

use crate::{
    Chaos, Kind,
    chaos::{Fate, SLOW_MS},
    model::{Machine, Standing, Values},
    summary::{CommandRecord, Outcome},
};
use alarms::Told;
use answering::{error, plain};
use desired::Desired;
use job::{Job, Stage};
use memory::{Known, Memory};
use protocol::{
    Answer, AnswerStatus, CommandId, Delivery, DeviceEvent, DeviceId, Millis, Timestamp,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;
use std::collections::VecDeque;
use update::Update;

/// The most commands that wait for their turn; one more is rejected as `busy`.
pub(crate) const QUEUE_COMMANDS_MAX: usize = 16;
/// How long a reboot takes.
pub(crate) const REBOOT: Millis = Millis(2_000);
/// How often work in hand is looked at.
const WORK_STEP: Millis = Millis(200);
/// Progress is told when it has grown by this much, in percent.
const PROGRESS_STEP: f64 = 5.0;
/// The longest step of a machine, in seconds.
const MACHINE_STEP_S: f64 = 0.5;
/// A longer gap than this (a machine that slept) is not made up for.
const CATCH_UP_MAX: Millis = Millis(600_000);
const FIRMWARE: &str = "2.3.1";

/// What the shell is to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Action {
    /// Publish an answer to a command.
    Answer(CommandId, Answer),
    /// Publish the state: it has changed.
    Report,
    /// Publish that something is wrong, or over.
    Event(DeviceEvent),
    /// Disconnect, and come back after this long.
    Restart(Millis),
    /// Write down that a command has ended.
    Record(CommandRecord),
    /// Count a command that came again; it was not run again.
    Repeat,
}

/// A device: give it the time and what arrives, then take its actions until there are none.
pub(crate) struct Device {
    id: DeviceId,
    kind: Kind,
    machine: Box<dyn Machine>,
    rng: StdRng,
    chaos: Chaos,
    time: Timestamp,
    boots: u32,
    job: Option<Job>,
    /// In their order, and how long chaos holds each back when its turn comes.
    waiting: VecDeque<(Delivery, Option<Millis>)>,
    memory: Memory,
    firmware: String,
    /// The firmware that is on its way.
    update: Option<Update>,
    /// The version of its configuration, and what that says.
    config: Option<(String, Values)>,
    reported: Values,
    desired: Desired,
    alarms: Told,
    actions: VecDeque<Action>,
}

impl Device {
    /// A device that starts now; the seed decides all it does.
    pub(crate) fn new(id: DeviceId, kind: Kind, chaos: Chaos, seed: u64, now: Timestamp) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let machine = kind.machine(&mut rng);
        Self {
            id,
            kind,
            reported: machine.settings(),
            machine,
            rng,
            chaos,
            time: now,
            boots: 1,
            job: None,
            waiting: VecDeque::new(),
            memory: Memory::default(),
            firmware: FIRMWARE.into(),
            update: None,
            config: None,
            desired: Desired::default(),
            alarms: Told::default(),
            actions: VecDeque::new(),
        }
    }

    /// What it is.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Lets time pass until `now`: the machine moves, work goes on, the next command starts.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        self.step_machine(now);
        self.go_on(now);
        self.start_waiting(now);
        self.adopt_desired(now);
        self.report_changes();
        self.tell_alarms();
    }

    /// Takes note of what it is wanted to be.
    pub(crate) fn handle_desired(&mut self, now: Timestamp, version: u64, desired: Values) {
        self.desired.hear(now, version, desired, &mut self.rng);
        self.advance(now);
    }

    /// Takes a command.
    pub(crate) fn handle_delivery(&mut self, now: Timestamp, delivery: Delivery) {
        match self.memory.recall(delivery.id, delivery.attempt) {
            Known::Answered(answer) => {
                self.actions.push_back(Action::Repeat);
                self.actions.push_back(Action::Answer(delivery.id, answer));
            }
            Known::Unanswered => self.actions.push_back(Action::Repeat),
            Known::New => self.take(now, delivery),
        }
        self.advance(now);
    }

    /// Takes the wish to give a command up; only one that is not over yet can be.
    pub(crate) fn handle_cancel(&mut self, now: Timestamp, id: CommandId) {
        self.step_machine(now);
        let waiting = self.waiting.iter().position(|(delivery, _)| delivery.id == id);
        if let Some((delivery, _)) = waiting.and_then(|at| self.waiting.remove(at)) {
            self.end(&delivery, false, Outcome::Cancelled, plain(AnswerStatus::Cancelled));
        } else if let Some(job) = self.job.take_if(|job| job.delivery.id == id && job.can_stop()) {
            self.machine.halt();
            self.update = None;
            let ran = job.has_begun();
            self.end(&job.delivery, ran, Outcome::Cancelled, plain(AnswerStatus::Cancelled));
        } else if !self.memory.is_swallowed(id) {
            let attempt = self.memory.attempt(id);
            let answer = Answer { attempt, ..plain(AnswerStatus::NotCancelled) };
            self.actions.push_back(Action::Answer(id, answer));
        }
        self.advance(now);
    }

    /// What is to be done next, if anything.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Device::advance`] is due, if anything is going on.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        let working = self.job.as_ref().map(|job| match job.stage {
            Stage::Held { until } | Stage::Restarting { until } => until,
            Stage::Working { .. } | Stage::Loading { .. } => self.time.plus(WORK_STEP),
        });
        // What is desired waits for the work in hand.
        working.or_else(|| self.desired.due())
    }

    /// What the sensors say.
    pub(crate) fn metrics(&mut self) -> Values {
        self.machine.metrics(&mut self.rng)
    }

    /// The reported state: what the device is, and what it is set to.
    pub(crate) fn state(&self) -> Value {
        let mut state = self.machine.settings();
        state.insert("type".into(), self.kind.name().into());
        state.insert("firmware".into(), self.firmware.as_str().into());
        if let Some((version, config)) = &self.config {
            state.insert("config_version".into(), version.as_str().into());
            state.insert("config".into(), config.clone().into());
        }
        state.insert("boots".into(), self.boots.into());
        Value::Object(state)
    }

    /// Whether it reboots just now, and measures nothing.
    pub(crate) fn is_down(&self) -> bool {
        self.job.as_ref().is_some_and(|job| matches!(job.stage, Stage::Restarting { .. }))
    }

    /// The time between two readings, where a command changed it.
    pub(crate) fn interval(&self) -> Option<std::time::Duration> {
        self.machine.interval()
    }

    /// The commands that are not over.
    pub(crate) fn unfinished(&self) -> Vec<CommandRecord> {
        let job = self.job.iter().map(|job| (&job.delivery, job.has_begun()));
        let waiting = self.waiting.iter().map(|(delivery, _)| (delivery, false));
        job.chain(waiting)
            .map(|(delivery, ran)| self.record(delivery, ran, Outcome::Unfinished))
            .collect()
    }

    fn step_machine(&mut self, now: Timestamp) {
        let elapsed = now.since(self.time).min(CATCH_UP_MAX);
        self.time = now;
        if self.is_down() {
            return;
        }
        let mut left_s = std::time::Duration::from_millis(elapsed.0).as_secs_f64();
        while left_s > 0.0 {
            self.machine.step(left_s.min(MACHINE_STEP_S), &mut self.rng);
            left_s -= MACHINE_STEP_S;
        }
    }

    fn take(&mut self, now: Timestamp, delivery: Delivery) {
        let fate = self.chaos.fate(&mut self.rng);
        self.memory.remember(delivery.id, delivery.attempt);
        if fate == Fate::Silent {
            self.memory.swallow(delivery.id);
            let record = self.record(&delivery, false, Outcome::Silent);
            self.actions.push_back(Action::Record(record));
        } else if fate == Fate::Fails {
            self.fail(&delivery);
        } else if self.waiting.len() >= QUEUE_COMMANDS_MAX {
            let error = error("busy", "too many commands wait already: send it again later");
            self.refuse(&delivery, error);
        } else {
            let slow = fate == Fate::Slow;
            let hold = slow.then(|| Millis(self.rng.random_range(SLOW_MS)));
            if slow || self.job.is_some() {
                self.answer(&delivery, plain(AnswerStatus::Received));
            }
            self.waiting.push_back((delivery, hold));
            self.start_waiting(now);
        }
    }

    fn adopt_desired(&mut self, now: Timestamp) {
        if self.job.is_none()
            && let Some(desired) = self.desired.take(now)
        {
            self.machine.adopt(&desired);
        }
    }

    fn tell_alarms(&mut self) {
        if self.is_down() {
            return;
        }
        let alarms = self.machine.alarms(Standing(&self.alarms.codes()));
        let events = self.alarms.compare(alarms);
        self.actions.extend(events.into_iter().map(Action::Event));
    }

    fn report_changes(&mut self) {
        let settings = self.machine.settings();
        if settings != self.reported {
            self.reported = settings;
            self.actions.push_back(Action::Report);
        }
    }
}

#[cfg(test)]
mod tests;
