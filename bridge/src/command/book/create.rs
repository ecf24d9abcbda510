//! Taking commands in.

use super::{
    super::{
        depth,
        entry::{Entry, is_scheduled, would_be_delivered_by},
    },
    Asked, Caller, CommandLimits, Commands, CreateError, Effect, FirstTime, Target,
    check as checked,
};
use crate::command::lane::{Lane, Place};
use protocol::{
    Actor, Command, CommandId, CommandRequest, CommandState, DeviceId, DryRun, Expect, Millis,
    Status, Timestamp,
};
use serde_json::{Map, Value};

/// The longest name, in bytes; also of what supersedes and of what is expected.
const NAME_BYTES_MAX: usize = 128;

impl Commands {
    /// Takes a command in that was not [asked for before](Self::asked_before), and sends it if it is its turn.
    /// `mistakes` are those its device's type finds.
    ///
    /// # Errors
    /// [`CreateError`] with the value that cannot be.
    pub fn create(
        &mut self,
        now: Timestamp,
        id: CommandId,
        device: &DeviceId,
        request: CommandRequest,
        mistakes: Vec<String>,
        FirstTime(caller): FirstTime<'_>,
    ) -> Result<Command, CreateError> {
        checked(&request, &self.limits)?;
        if !mistakes.is_empty() {
            return Err(CreateError::BadParams(mistakes));
        }
        let max = self.limits.open_per_device;
        if self.lanes.get(device).is_some_and(|lane| lane.open() >= max) {
            return Err(CreateError::TooMany { device: device.clone(), max });
        }
        self.created += 1;
        let mut entry = Entry::new(now, id, device.clone(), self.created, request, caller);
        if let Some(asked) = &entry.asked {
            self.keys.insert(Self::key_of(asked), Target::Command(id));
        }
        let (state, place) = (entry.state(), entry.place());
        if state == CommandState::Queued {
            entry.displaced = self.supersede(now, device, entry.supersede.as_deref(), place);
            entry.details.transitions[0].reason = self.waits_for(device, &entry);
        }
        self.insert(id, entry);
        self.lanes.entry(device.clone()).or_default().join(state, place);
        self.set_deadline(id);
        self.pump(now, device);
        self.tick(now);
        Ok(self.entries[&id].details.command.clone())
    }

    /// Says what would become of a command.
    #[must_use]
    pub fn dry_run(
        &self,
        now: Timestamp,
        device: &DeviceId,
        request: &CommandRequest,
        mistakes: Vec<String>,
        user: &str,
    ) -> DryRun {
        let lane = self.lanes.get(device).map(|lane| &**lane);
        let mut errors = check(request, &self.limits);
        errors.extend(mistakes);
        let max = self.limits.open_per_device;
        if lane.is_some_and(|lane| lane.open() >= max) {
            errors.push(CreateError::TooMany { device: device.clone(), max }.to_string());
        }
        let before = |lane: &Lane| {
            let all = self.before(lane, request.priority.unwrap_or(0));
            all - self.displaced_before(now, lane, request)
        };
        let receiver = lane.and_then(|lane| lane.receiver());
        DryRun {
            valid: errors.is_empty(),
            errors,
            receiver: if receiver.is_some() { Status::Online } else { Status::Offline },
            position: lane.map_or(0, before),
            deliver_by: would_be_delivered_by(now, request),
            user: user.into(),
            allowed: true,
        }
    }

    /// How many commands would go before a new one with this priority.
    fn before(&self, lane: &Lane, priority: i32) -> usize {
        lane.underway.len() + self.waiting_before(lane, priority).count()
    }

    /// How many of those that would go before a command it would take the place of now.
    fn displaced_before(&self, now: Timestamp, lane: &Lane, request: &CommandRequest) -> usize {
        let Some(key) = request.supersede.as_deref().filter(|_| !is_scheduled(now, request)) else {
            return 0;
        };
        let earlier = self.waiting_before(lane, request.priority.unwrap_or(0));
        earlier.filter(|id| self.entries[id].supersede.as_deref() == Some(key)).count()
    }

    /// Why a new command is not sent at once, if it is not.
    fn waits_for(&self, device: &DeviceId, entry: &Entry) -> Option<String> {
        let lane = self.lanes.get(device);
        if lane.and_then(|lane| lane.receiver()).is_none() {
            return Some("its device is not receiving".into());
        }
        let before = lane.map_or(0, |lane| self.before(lane, entry.details.command.priority));
        match before {
            0 => None,
            1 => Some("1 command of its device goes before it".into()),
            before => Some(format!("{before} commands of its device go before it")),
        }
    }

    /// Puts a new command into the book; its lane is the caller's business.
    pub(super) fn insert(&mut self, id: CommandId, entry: Entry) {
        self.totals.figures.created += 1;
        self.dirty.insert(id);
        self.effects.push(Effect::Created(entry.changed_at, Box::new(entry.details.clone())));
        self.entries.insert(id, entry);
    }

    /// Whether the caller asked for the same under its key before, and so got a command.
    ///
    /// # Errors
    /// [`CreateError::KeyReused`] where it was another request.
    pub fn asked_before<'a>(
        &self,
        device: &DeviceId,
        request: &CommandRequest,
        caller: Caller<'a>,
    ) -> Result<Asked<'a, Command>, CreateError> {
        let first_time = Ok(Asked::FirstTime(FirstTime(caller)));
        let Some(key) = caller.key else { return first_time };
        let known = match self.keys.get(&(caller.user.into(), key.into())) {
            None => return first_time,
            Some(Target::Command(id)) => self.entries.get(id),
            Some(Target::Batch(_)) => None,
        };
        let same = |entry: &&Entry| {
            let asked = entry.asked.as_ref();
            entry.device() == device && asked.is_some_and(|asked| asked.request == *request)
        };
        match known.filter(same) {
            Some(entry) => Ok(Asked::Before(entry.details.command.clone())),
            None => Err(CreateError::KeyReused(key.into())),
        }
    }

    /// Ends those queued with the same key, as the command at `place` is queued; gives them. Of those that their batches
    /// have not begun only older ones.
    pub(super) fn supersede(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        key: Option<&str>,
        (_, ordinal, newer): Place,
    ) -> Vec<CommandId> {
        let (Some(key), Some(lane)) = (key, self.lanes.get(device)) else { return Vec::new() };
        let waiting = lane.waiting.iter().map(|(.., id)| *id).filter(|id| *id != newer);
        let held = lane.held.iter().copied().filter(|id| {
            let entry = &self.entries[id];
            entry.state() == CommandState::Queued && entry.ordinal < ordinal
        });
        let mut older: Vec<_> = waiting.chain(held).collect();
        older.retain(|id| self.entries[id].supersede.as_deref() == Some(key));
        for id in &older {
            let reason = Some(format!("command {newer} took its place"));
            self.enter(now, *id, CommandState::Superseded, Actor::Gateway, reason);
        }
        older
    }
}

/// Says what of a request cannot be, a text for each mistake.
pub(super) fn check(request: &CommandRequest, limits: &CommandLimits) -> Vec<String> {
    let checks = [
        check_name(&request.name),
        request.supersede.as_deref().map_or(Ok(()), check_supersede),
        request.params.as_ref().map_or(Ok(()), |params| check_params(params, limits)),
        check_duration("ttl_ms", request.ttl_ms, Millis(0)),
        check_duration("timeout_ms", request.timeout_ms, Millis(1)),
        request.not_before.map_or(Ok(()), check_not_before),
        request.expect.as_ref().map_or(Ok(()), check_expect),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(format!("name '{name}' is not a text of 1-{NAME_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn check_supersede(key: &str) -> Result<(), String> {
    if (1..=NAME_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    Err(format!("supersede '{key}' is not a text of 1-{NAME_BYTES_MAX} bytes"))
}

fn check_params(params: &Map<String, Value>, limits: &CommandLimits) -> Result<(), String> {
    let (bytes, max) = (json_bytes(params), limits.params_bytes);
    if bytes > max {
        return Err(format!(
            "params has {bytes} bytes, more than limits.command_params_bytes, {max}"
        ));
    }
    depth::check("params", depth::of_object(params))
}

fn check_duration(name: &str, value: Option<Millis>, least: Millis) -> Result<(), String> {
    let most = CommandRequest::DURATION_MAX;
    match value {
        Some(value) if value < least || value > most => {
            Err(format!("{name} {value} is not in {least}-{most}"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_not_before(at: Timestamp) -> Result<(), String> {
    if at.is_in_range() {
        return Ok(());
    }
    Err(format!("not_before {at} is not in {}-{}", Timestamp::MIN, Timestamp::MAX))
}

fn check_expect(expect: &Expect) -> Result<(), String> {
    let named = match (&expect.metric, &expect.state) {
        (Some(name), None) | (None, Some(name)) => name,
        (Some(_), Some(_)) => return Err("expect names metric and state: leave one out".into()),
        (None, None) => return Err("expect names neither metric nor state: name one".into()),
    };
    if !(1..=NAME_BYTES_MAX).contains(&named.len()) {
        return Err(format!("expect names '{named}', not a text of 1-{NAME_BYTES_MAX} bytes"));
    }
    depth::check("expect.value", depth::of(&expect.value))?;
    if expect.op.is_of_order() && !expect.value.is_number() {
        let (sign, value) = (expect.op.sign(), &expect.value);
        return Err(format!("expect.value {value} is no number, which '{sign}' compares"));
    }
    check_duration("expect.within_ms", expect.within_ms, Millis(1))
}

fn json_bytes(value: &impl serde::Serialize) -> usize {
    serde_json::to_string(value).map_or(usize::MAX, |text| text.len())
}
