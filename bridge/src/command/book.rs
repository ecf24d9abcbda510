//! All commands: their order for each device, their deadlines, and who receives them.
//!
//! Drive it with what happened ([`Commands::create`], [`Commands::receives`], [`Commands::answer`] …)
//! and the time ([`Commands::tick`], at the latest at [`Commands::next_deadline`]); then do what
//! [`Commands::take_effects`] says, in its order: what changed is stored before it is sent or told.

use super::{
    entry::{Entry, deliver_by},
    lane::{Lane, Receiver},
    machine::{Happening, Step, step},
};
use crate::event::ConnectionId;
use protocol::{
    Actor, Answer, Command, CommandDetails, CommandId, CommandRequest, CommandState, Delivery,
    DeviceId, DryRun, Millis, Status, Timestamp, Transition,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// The longest wait and the longest time that can be asked for: 30 days.
const DURATION_MAX: Millis = Millis(30 * 24 * 3_600_000);
/// How many commands of one device may be sent and not ended: one at a time keeps their order.
const UNDERWAY_MAX: usize = 1;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Bounds of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits {
    /// Commands of one device that have not ended.
    pub open_per_device: usize,
    /// Ended commands that are kept, the newest.
    pub ended_kept: usize,
}

/// Why a command was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// A field has a value it cannot have; names both.
    #[error("{0}")]
    Invalid(String),
    /// The device has too many open commands.
    #[error("device '{device}' has {max} open commands already: wait for their end or cancel some")]
    TooMany {
        /// The device.
        device: DeviceId,
        /// The bound.
        max: usize,
    },
    /// The key was used for another command.
    #[error("Idempotency-Key '{0}' was used for another command: take a new key for a new command")]
    KeyReused(String),
}

/// Who asks for a command, and by which mark it is recognised when it is asked for again.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The `Idempotency-Key`.
    pub key: Option<&'a str>,
}

/// Why a command was not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// No such command.
    #[error("there is no command '{0}'")]
    Unknown(CommandId),
    /// It has ended.
    #[error("command '{0}' has ended already: it is {1}")]
    AlreadyFinal(CommandId, CommandState),
    /// Its device did not subscribe to the cancel topic, or is not connected.
    #[error(
        "the device of command '{0}' cannot be asked: it is not subscribed to its cancel topic"
    )]
    DeviceCannotCancel(CommandId),
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Store this command, then tell it on `commands/{device}`.
    Changed(Box<CommandDetails>),
    /// Then write it to its receiver.
    Send {
        /// The receiver's connection.
        connection: ConnectionId,
        /// The device.
        device: DeviceId,
        /// What the device gets.
        delivery: Box<Delivery>,
    },
    /// Ask the device to give a command up.
    AskCancel {
        /// The receiver's connection.
        connection: ConnectionId,
        /// The device.
        device: DeviceId,
        /// The command.
        command: CommandId,
    },
}

/// All commands.
#[derive(Debug)]
pub struct Commands {
    limits: CommandLimits,
    entries: BTreeMap<CommandId, Entry>,
    lanes: HashMap<DeviceId, Lane>,
    deadlines: BTreeSet<(Timestamp, CommandId)>,
    ended: VecDeque<CommandId>,
    /// What was asked for under an `Idempotency-Key`, by user and key.
    keys: HashMap<(String, String), Asked>,
    created: u64,
    effects: Vec<Effect>,
}

/// A request that was accepted under an `Idempotency-Key`.
#[derive(Debug)]
struct Asked {
    device: DeviceId,
    request: CommandRequest,
    id: CommandId,
}

impl Commands {
    /// An empty book.
    #[must_use]
    pub fn new(limits: CommandLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            lanes: HashMap::new(),
            deadlines: BTreeSet::new(),
            ended: VecDeque::new(),
            keys: HashMap::new(),
            created: 0,
            effects: Vec::new(),
        }
    }

    /// Takes a command in, and sends it if it is its turn.
    ///
    /// # Errors
    /// [`CreateError`] with the value that cannot be.
    pub fn create(
        &mut self,
        now: Timestamp,
        id: CommandId,
        device: &DeviceId,
        request: CommandRequest,
        caller: Caller<'_>,
    ) -> Result<Command, CreateError> {
        if let Some(known) = self.asked_before(device, &request, caller)? {
            return Ok(known);
        }
        check(&request)?;
        let max = self.limits.open_per_device;
        if self.lanes.get(device).is_some_and(|lane| lane.open() >= max) {
            return Err(CreateError::TooMany { device: device.clone(), max });
        }
        if let Some(key) = caller.key {
            let asked = Asked { device: device.clone(), request: request.clone(), id };
            self.keys.insert((caller.user.into(), key.into()), asked);
        }
        self.created += 1;
        let entry = Entry::new(now, id, device.clone(), self.created, request, caller);
        let scheduled = entry.details.command.state == CommandState::Scheduled;
        self.supersede(now, device, entry.supersede.as_deref());
        let lane = self.lanes.entry(device.clone()).or_default();
        if scheduled {
            lane.scheduled.insert(id);
        } else {
            lane.waiting.insert(entry.place());
        }
        self.entries.insert(id, entry);
        self.set_deadline(id);
        self.changed(id);
        self.pump(now, device);
        self.tick(now);
        Ok(self.entries[&id].details.command.clone())
    }

    /// Says what would become of a command.
    #[must_use]
    pub fn dry_run(&self, now: Timestamp, device: &DeviceId, request: &CommandRequest) -> DryRun {
        let errors: Vec<_> = check(request).err().iter().map(ToString::to_string).collect();
        let lane = self.lanes.get(device);
        let before = |lane: &Lane| lane.before(request.priority.unwrap_or(0));
        let receiver = lane.and_then(Lane::receiver);
        DryRun {
            valid: errors.is_empty(),
            errors,
            receiver: if receiver.is_some() { Status::Online } else { Status::Offline },
            position: lane.map_or(0, before),
            deliver_by: deliver_by(now, request),
        }
    }

    /// Cancels a command, or asks its device to.
    ///
    /// # Errors
    /// [`CancelError`] where there is nothing to cancel or nobody to ask.
    pub fn cancel(
        &mut self,
        now: Timestamp,
        id: CommandId,
        user: &str,
    ) -> Result<Command, CancelError> {
        let entry = self.entries.get(&id).ok_or(CancelError::Unknown(id))?;
        let (state, device) = (entry.state(), entry.device().clone());
        let receiver = self.lanes.get(&device).and_then(Lane::receiver);
        let cancellable = receiver.is_some_and(|receiver| receiver.cancels);
        let by = Actor::User(user.into());
        match step(state, Happening::CancelAsked { cancellable }) {
            Step::AlreadyFinal => return Err(CancelError::AlreadyFinal(id, state)),
            Step::CannotCancel => return Err(CancelError::DeviceCannotCancel(id)),
            Step::To(CommandState::Cancelling) => {
                self.enter(now, id, CommandState::Cancelling, by, None);
                let connection = receiver.expect("cancellable only with a receiver").connection;
                self.effects.push(Effect::AskCancel { connection, device, command: id });
            }
            Step::To(to) => {
                self.enter(now, id, to, by, None);
                self.pump(now, &device);
            }
            Step::Late(_) | Step::Back | Step::Progress | Step::Note | Step::Nothing => {}
        }
        Ok(self.entries[&id].details.command.clone())
    }

    /// A connection can receive the device's commands, or its `cancels` changed.
    pub fn receives(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        connection: ConnectionId,
        own: bool,
        cancels: bool,
    ) {
        let lane = self.lanes.entry(device.clone()).or_default();
        lane.receivers.retain(|known| known.connection != connection);
        lane.receivers.push(Receiver { connection, own, cancels });
        self.resend(now, device);
        self.pump(now, device);
    }

    /// A connection no longer receives the device's commands.
    pub fn receives_not(&mut self, now: Timestamp, device: &DeviceId, connection: ConnectionId) {
        let Some(lane) = self.lanes.get_mut(device) else { return };
        lane.receivers.retain(|known| known.connection != connection);
        self.resend(now, device);
        self.pump(now, device);
        self.forget_lane(device);
    }

    /// The receiver's PUBACK for one attempt came.
    pub fn delivered(&mut self, now: Timestamp, id: CommandId, attempt: u32) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.details.command.attempt != attempt {
            return;
        }
        entry.acknowledged = true;
        self.apply(now, id, Happening::Acknowledged, &Actor::Device, None);
    }

    /// A device answered. False where it has no such command.
    pub fn answer(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        id: CommandId,
        answer: &Answer,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        if entry.device() != device {
            return false;
        }
        let newest = entry.details.command.attempt;
        let current = answer.attempt.is_none_or(|attempt| attempt >= newest);
        entry.acknowledged |= current;
        let happening = Happening::Answered { status: answer.status, current };
        self.apply(now, id, happening, &Actor::Device, Some(answer));
        true
    }

    /// Lets the deadlines up to `now` pass.
    pub fn tick(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now
        {
            let happening = match self.entries[&id].state() {
                CommandState::Scheduled => Happening::Due,
                CommandState::Queued => Happening::DeliverByPassed,
                CommandState::Sent
                | CommandState::Delivered
                | CommandState::Started
                | CommandState::Cancelling => Happening::FinishByPassed,
                ended @ (CommandState::Succeeded
                | CommandState::Failed
                | CommandState::Rejected
                | CommandState::Cancelled
                | CommandState::Superseded
                | CommandState::Expired
                | CommandState::TimedOut) => unreachable!("{ended} has no deadline"),
            };
            self.apply(now, id, happening, &Actor::Timer, None);
        }
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// What is to be done since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A command with its story.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<&CommandDetails> {
        self.entries.get(&id).map(|entry| &entry.details)
    }

    /// Commands, newest first, from the one created before `before` on.
    pub fn list(&self, before: Option<CommandId>) -> impl Iterator<Item = &Command> {
        let end = match before {
            Some(id) => std::ops::Bound::Excluded(id),
            None => std::ops::Bound::Unbounded,
        };
        let range = self.entries.range((std::ops::Bound::Unbounded, end));
        range.rev().map(|(_, entry)| &entry.details.command)
    }

    /// How many commands have not ended.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.entries.len() - self.ended.len()
    }

    /// The command that the same caller got for the same request under the same key.
    fn asked_before(
        &self,
        device: &DeviceId,
        request: &CommandRequest,
        caller: Caller<'_>,
    ) -> Result<Option<Command>, CreateError> {
        let Some(key) = caller.key else { return Ok(None) };
        let Some(asked) = self.keys.get(&(caller.user.into(), key.into())) else { return Ok(None) };
        if asked.device != *device || asked.request != *request {
            return Err(CreateError::KeyReused(key.into()));
        }
        Ok(self.get(asked.id).map(|details| details.command.clone()))
    }

    /// Does what `step` says of `happening`.
    fn apply(
        &mut self,
        now: Timestamp,
        id: CommandId,
        happening: Happening,
        by: &Actor,
        answer: Option<&Answer>,
    ) {
        let entry = self.entries.get_mut(&id).expect("callers name a command they looked up");
        let before = entry.state();
        match step(before, happening) {
            Step::To(state) => {
                entry.take_answer(answer);
                entry.extend(now, state);
                self.enter(now, id, state, by.clone(), None);
            }
            Step::Late(state) => {
                entry.take_answer(answer);
                entry.details.command.late = true;
                let reason = "answered after it had timed out".to_owned();
                self.enter(now, id, state, by.clone(), Some(reason));
            }
            Step::Back => {
                let state = entry.before_cancelling;
                let reason = "the device goes on".to_owned();
                self.enter(now, id, state, by.clone(), Some(reason));
            }
            Step::Progress => {
                entry.take_answer(answer);
                entry.extend(now, before);
                self.set_deadline(id);
                self.changed(id);
            }
            Step::Note => {
                entry.note(now, by.clone(), noted(happening, before));
                self.changed(id);
            }
            Step::Nothing | Step::AlreadyFinal | Step::CannotCancel => {}
        }
        let device = self.entries[&id].device().clone();
        self.pump(now, &device);
        self.forget_lane(&device);
        self.forget_ended();
    }

    /// Brings a command to `state`, with all that hangs on it: story, deadline, place in its lane.
    fn enter(
        &mut self,
        now: Timestamp,
        id: CommandId,
        state: CommandState,
        by: Actor,
        reason: Option<String>,
    ) {
        let entry = self.entries.get_mut(&id).expect("callers name a command they looked up");
        let before = entry.state();
        if state == CommandState::Cancelling {
            entry.before_cancelling = before;
        }
        entry.details.command.state = state;
        entry.details.transitions.push(Transition { state, at: now, by, reason });
        let place = entry.place();
        let lane = self.lanes.entry(entry.device().clone()).or_default();
        lane.leave(place);
        lane.join(state, place);
        if state.is_final() && !before.is_final() {
            self.ended.push_back(id);
        }
        self.set_deadline(id);
        self.changed(id);
    }

    fn changed(&mut self, id: CommandId) {
        self.effects.push(Effect::Changed(Box::new(self.entries[&id].details.clone())));
    }

    fn set_deadline(&mut self, id: CommandId) {
        let entry = self.entries.get_mut(&id).expect("callers name a command they looked up");
        if let Some(old) = entry.deadline.take() {
            self.deadlines.remove(&(old, id));
        }
        entry.deadline = entry.wanted_deadline();
        if let Some(at) = entry.deadline {
            self.deadlines.insert((at, id));
        }
    }

    /// Sends what may be sent.
    fn pump(&mut self, now: Timestamp, device: &DeviceId) {
        while let Some(lane) = self.lanes.get(device)
            && lane.underway.len() < UNDERWAY_MAX
            && let Some(receiver) = lane.receiver()
            && let Some((_, _, id)) = lane.waiting.first().copied()
        {
            self.send(now, id, receiver);
        }
    }

    /// Sends again what is underway but went to another connection, as far as that is safe.
    fn resend(&mut self, now: Timestamp, device: &DeviceId) {
        let Some(lane) = self.lanes.get(device) else { return };
        let Some(receiver) = lane.receiver() else { return };
        for id in lane.underway.clone() {
            if self.entries[&id].may_be_sent_again_to(receiver.connection) {
                self.send(now, id, receiver);
            }
        }
    }

    fn send(&mut self, now: Timestamp, id: CommandId, receiver: Receiver) {
        let entry = self.entries.get_mut(&id).expect("a lane names known commands");
        let command = &mut entry.details.command;
        command.attempt += 1;
        let finish_by = *command.finish_by.get_or_insert(now.plus(entry.timeout));
        entry.sent_to = Some(receiver.connection);
        entry.acknowledged = false;
        let delivery = Delivery {
            id,
            name: command.name.clone(),
            params: command.params.clone(),
            attempt: command.attempt,
            issued_at: command.created_at,
            not_after: finish_by,
            timeout_ms: finish_by.since(now),
        };
        let device = command.device.clone();
        if command.state == CommandState::Queued {
            self.enter(now, id, CommandState::Sent, Actor::Gateway, None);
        } else {
            let reason = format!("sent again, attempt {}", command.attempt);
            entry.note(now, Actor::Gateway, reason);
            self.changed(id);
        }
        let connection = receiver.connection;
        self.effects.push(Effect::Send { connection, device, delivery: Box::new(delivery) });
    }

    fn supersede(&mut self, now: Timestamp, device: &DeviceId, key: Option<&str>) {
        let (Some(key), Some(lane)) = (key, self.lanes.get(device)) else { return };
        let waiting =
            lane.waiting.iter().map(|(_, _, id)| *id).chain(lane.scheduled.iter().copied());
        let same = |id: &CommandId| self.entries[id].supersede.as_deref() == Some(key);
        for id in waiting.filter(same).collect::<Vec<_>>() {
            self.enter(now, id, CommandState::Superseded, Actor::Gateway, None);
        }
    }

    /// Lets the oldest ended commands go, beyond those that are kept.
    fn forget_ended(&mut self) {
        while self.ended.len() > self.limits.ended_kept {
            let Some(id) = self.ended.pop_front() else { return };
            if let Some(key) = self.entries.remove(&id).and_then(|entry| entry.key) {
                self.keys.remove(&key);
            }
        }
    }

    /// Lets a lane go that nobody needs now.
    fn forget_lane(&mut self, device: &DeviceId) {
        if self.lanes.get(device).is_some_and(Lane::is_idle) {
            self.lanes.remove(device);
        }
    }
}

fn check(request: &CommandRequest) -> Result<(), CreateError> {
    let invalid = |message| Err(CreateError::Invalid(message));
    let name = &request.name;
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return invalid(format!("name '{name}' is not a text of 1-{NAME_BYTES_MAX} bytes"));
    }
    if request.expect.is_some() {
        return invalid("expect: this version cannot verify a command, leave it out".into());
    }
    if let Some(ttl) = request.ttl_ms
        && ttl > DURATION_MAX
    {
        return invalid(format!("ttl_ms {ttl} is more than {DURATION_MAX}"));
    }
    match request.timeout_ms {
        Some(timeout) if timeout > DURATION_MAX || timeout == Millis(0) => {
            invalid(format!("timeout_ms {timeout} is not in 1-{DURATION_MAX}"))
        }
        Some(_) | None => Ok(()),
    }
}

fn noted(happening: Happening, state: CommandState) -> String {
    match happening {
        Happening::Answered { status, current: true } => {
            format!("the device answered {status:?} while it was {state}").to_lowercase()
        }
        Happening::Answered { status, current: false } => {
            format!("the device answered {status:?} to an older attempt").to_lowercase()
        }
        Happening::Due
        | Happening::Sent
        | Happening::Acknowledged
        | Happening::DeliverByPassed
        | Happening::FinishByPassed
        | Happening::CancelAsked { .. }
        | Happening::Superseded => format!("{happening:?} while it was {state}").to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
