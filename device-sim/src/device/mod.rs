//! A device without its connection: the machine, and the commands it is given.
//!
//! Pure: the time comes in with every call, the seed at the start, and what is to be done about it
//! comes out of [`Device::poll_action`]. The shell ([`crate::actor`]) owns clock and socket.

mod alarms;
mod desired;
mod job;
mod memory;
mod update;

use crate::{
    Chaos, Kind,
    chaos::{Fate, SLOW_MS},
    model::{Begun, Course, Machine, Standing, Values},
    summary::{CommandRecord, Outcome},
};
use alarms::Told;
use desired::Desired;
use job::{Job, Stage};
use memory::{Known, Memory};
use protocol::{
    Answer, AnswerError, AnswerStatus, CommandId, Delivery, DeviceEvent, DeviceId, Millis,
    Timestamp,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
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

    fn go_on(&mut self, now: Timestamp) {
        let Some(job) = self.job.take() else { return };
        match job.stage {
            Stage::Held { until } if now >= until => self.start(now, job.delivery),
            Stage::Restarting { until } if now >= until => self.come_back(&job.delivery),
            Stage::Working { told } => self.work_on(job.delivery, told),
            Stage::Loading { told } => self.load_on(now, job.delivery, told),
            Stage::Held { .. } | Stage::Restarting { .. } => self.job = Some(job),
        }
    }

    fn start_waiting(&mut self, now: Timestamp) {
        while self.job.is_none()
            && let Some((delivery, hold)) = self.waiting.pop_front()
        {
            match hold {
                Some(hold) => {
                    let stage = Stage::Held { until: now.plus(hold) };
                    self.job = Some(Job { delivery, stage });
                }
                None => self.start(now, delivery),
            }
        }
    }

    fn start(&mut self, now: Timestamp, delivery: Delivery) {
        if now > delivery.not_after {
            let error = error("too_late", "its time to start was over before its turn came");
            return self.refuse(&delivery, error);
        }
        if delivery.name == "reboot" {
            return self.restart(now, delivery);
        }
        if delivery.name == "firmware_update" {
            return self.load(now, delivery);
        }
        if delivery.name == "config_update" {
            return self.configure(&delivery);
        }
        match self.machine.begin(&delivery.name, &delivery.params) {
            Err(error) => self.refuse(&delivery, error),
            Ok(Begun::Done(result)) => self.succeed(&delivery, result),
            Ok(Begun::Working) => {
                self.answer(&delivery, plain(AnswerStatus::Started));
                self.job = Some(Job { delivery, stage: Stage::Working { told: 0.0 } });
            }
        }
    }

    fn load(&mut self, now: Timestamp, delivery: Delivery) {
        match Update::new(&delivery.params, now) {
            Err(error) => self.refuse(&delivery, error),
            Ok(update) => {
                self.update = Some(update);
                self.answer(&delivery, plain(AnswerStatus::Started));
                self.job = Some(Job { delivery, stage: Stage::Loading { told: 0.0 } });
            }
        }
    }

    /// Loads on; what is whole and right is booted.
    fn load_on(&mut self, now: Timestamp, delivery: Delivery, told: f64) {
        let Some(update) = self.update.take() else { return };
        let percent = update.percent(now);
        if percent < 100.0 {
            self.update = Some(update);
            self.tell_progress(delivery, percent, told, |told| Stage::Loading { told });
        } else if let Err(error) = update.check() {
            self.give_up(&delivery, error);
        } else {
            self.update = Some(update);
            self.reboot(now, delivery);
        }
    }

    fn configure(&mut self, delivery: &Delivery) {
        match update::config(&delivery.params) {
            Err(error) => self.give_up(delivery, error),
            Ok((version, config)) => {
                let result = json!({ "config_version": version });
                self.config = Some((version, config));
                self.succeed(delivery, result);
                self.actions.push_back(Action::Report);
            }
        }
    }

    fn restart(&mut self, now: Timestamp, delivery: Delivery) {
        self.answer(&delivery, plain(AnswerStatus::Started));
        self.reboot(now, delivery);
    }

    fn reboot(&mut self, now: Timestamp, delivery: Delivery) {
        self.actions.push_back(Action::Restart(REBOOT));
        self.job = Some(Job { delivery, stage: Stage::Restarting { until: now.plus(REBOOT) } });
    }

    fn come_back(&mut self, delivery: &Delivery) {
        self.boots += 1;
        self.machine.restart();
        let mut result = json!({ "boots": self.boots });
        if let Some(update) = self.update.take() {
            self.firmware = update.version;
            result["firmware"] = self.firmware.as_str().into();
        }
        // The answer first: what is expected of a command is looked for behind it.
        self.succeed(delivery, result);
        self.actions.push_back(Action::Report);
    }

    fn work_on(&mut self, delivery: Delivery, told: f64) {
        match self.machine.course() {
            Course::Done(result) => self.succeed(&delivery, result),
            Course::Percent(percent) => {
                self.tell_progress(delivery, percent, told, |told| Stage::Working { told });
            }
        }
    }

    /// Tells how far the work is, where that grew enough, and goes on.
    fn tell_progress(
        &mut self,
        delivery: Delivery,
        percent: f64,
        told: f64,
        stage: impl Fn(f64) -> Stage,
    ) {
        let is_new = percent >= told + PROGRESS_STEP;
        if is_new {
            let progress = Some(percent.round());
            self.answer(&delivery, Answer { progress, ..plain(AnswerStatus::Progress) });
        }
        self.job = Some(Job { delivery, stage: stage(if is_new { percent } else { told }) });
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

    fn succeed(&mut self, delivery: &Delivery, result: Value) {
        let answer = Answer { result: Some(result), ..plain(AnswerStatus::Succeeded) };
        self.end(delivery, true, Outcome::Succeeded, answer);
    }

    fn refuse(&mut self, delivery: &Delivery, error: AnswerError) {
        let answer = Answer { error: Some(error), ..plain(AnswerStatus::Rejected) };
        self.end(delivery, false, Outcome::Rejected, answer);
    }

    fn fail(&mut self, delivery: &Delivery) {
        self.give_up(delivery, error("fault", "the simulated hardware failed, as chaos asked"));
    }

    fn give_up(&mut self, delivery: &Delivery, error: AnswerError) {
        let answer = Answer { error: Some(error), ..plain(AnswerStatus::Failed) };
        self.end(delivery, false, Outcome::Failed, answer);
    }

    fn end(&mut self, delivery: &Delivery, ran: bool, outcome: Outcome, answer: Answer) {
        self.answer(delivery, answer);
        let record = self.record(delivery, ran, outcome);
        self.actions.push_back(Action::Record(record));
    }

    fn answer(&mut self, delivery: &Delivery, answer: Answer) {
        let answer = self.memory.answered(delivery.id, answer);
        self.actions.push_back(Action::Answer(delivery.id, answer));
    }

    fn record(&self, delivery: &Delivery, ran: bool, outcome: Outcome) -> CommandRecord {
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

fn plain(status: AnswerStatus) -> Answer {
    Answer { status, attempt: None, progress: None, result: None, error: None }
}

fn error(code: &str, message: &str) -> AnswerError {
    AnswerError { code: code.into(), message: message.into() }
}

#[cfg(test)]
mod tests;
