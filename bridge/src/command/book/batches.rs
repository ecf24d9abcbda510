//! Batches: one command for many devices, begun a few at a time.

use super::{
    super::{
        batch::Course,
        entry::{Entry, Release, deliver_by},
        machine::Happening,
    },
    Asked, BatchError, Caller, Commands, CreateError, Effect, FirstTime, Target, check,
};
use protocol::{
    AbortAfter, Actor, AnswerError, Batch, BatchRequest, BatchState, CommandId, CommandState,
    DeviceId, Timestamp,
};

/// The most rows a second that can be asked for.
const RATE_MAX: f64 = 10_000.0;

impl Commands {
    /// Takes a batch in that was not [asked for before](Self::batch_asked_before): a row for each of `devices`, with an
    /// id from `ids`. What of it may begin, begins.
    ///
    /// # Errors
    /// [`CreateError`] with the value that cannot be; nothing was created then.
    pub fn create_batch(
        &mut self,
        now: Timestamp,
        id: String,
        devices: Vec<DeviceId>,
        ids: &mut dyn FnMut() -> CommandId,
        request: BatchRequest,
        FirstTime(caller): FirstTime<'_>,
    ) -> Result<Batch, CreateError> {
        self.check_batch(&request, devices.len())?;
        let key = caller.key.map(|key| (caller.user.to_owned(), key.to_owned()));
        if let Some(key) = &key {
            self.keys.insert(key.clone(), Target::Batch(id.clone()));
        }
        self.created += 1;
        let mut course = Course::new(id.clone(), self.created, request.clone(), key);
        let row_caller = Caller { user: caller.user, key: None };
        for device in devices {
            let command = ids();
            self.created += 1;
            let request = request.command.clone();
            let mut entry =
                Entry::new(now, command, device.clone(), self.created, request, row_caller);
            entry.details.command.batch = Some(id.clone());
            entry.release = Release::Held;
            entry.details.transitions[0].reason = Some("its batch has not begun it".into());
            course.add(command, entry.state());
            self.insert(command, entry);
            self.lanes.entry(device).or_default().held.insert(command);
        }
        self.batches.insert(id.clone(), course);
        self.touched.insert(id.clone());
        self.tick(now);
        Ok(self.batches[&id].status.clone())
    }

    /// The devices of a batch, of which rows are kept.
    pub fn batch_devices<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a DeviceId> {
        let commands = self.entries.values().map(|entry| &entry.details.command);
        let rows = commands.filter(move |command| command.batch.as_deref() == Some(id));
        rows.map(|command| &command.device)
    }

    /// Cancels what of a batch was not sent; what was sent goes on.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn cancel_batch(
        &mut self,
        now: Timestamp,
        id: &str,
        user: &str,
    ) -> Result<Batch, BatchError> {
        self.open_batch(id)?;
        self.end_batch(now, id, BatchState::Cancelled, &Actor::User(user.into()));
        self.tick(now);
        Ok(self.batches[id].status.clone())
    }

    /// Lets a batch go on: gives it up, begins what may begin, notes its end, tells what changed.
    pub(super) fn advance(&mut self, now: Timestamp, id: &str) {
        let Some(course) = self.batches.get_mut(id) else { return };
        if let Some(at) = course.wake_at.take() {
            self.alarms.remove(&(at, id.to_owned()));
        }
        if !course.status.state.is_final() && course.has_failed() {
            self.end_batch(now, id, BatchState::Aborted, &Actor::Gateway);
        }
        while let Some(course) = self.batches.get_mut(id)
            && !course.has_failed()
            && let Some(row) = course.next_row(now)
        {
            self.begin_row(now, id, row);
        }
        let Some(course) = self.batches.get_mut(id) else { return };
        if !course.status.state.is_final() && course.has_ended() {
            course.status.state = BatchState::Done;
            self.ended_batches.push_back(id.to_owned());
        }
        if let Some(at) = course.wake_at {
            self.alarms.insert((at, id.to_owned()));
        }
        // What its rows do by themselves in this moment is told together.
        if !self.touched.contains(id) && course.told.as_ref() != Some(&course.status) {
            course.told = Some(course.status.clone());
            self.dirty_batches.insert(id.to_owned());
            self.effects.push(Effect::BatchChanged(Box::new(course.status.clone())));
        }
    }

    /// A row's turn has come.
    fn begin_row(&mut self, now: Timestamp, batch: &str, id: CommandId) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.state().is_final())
        else {
            if let Some(course) = self.batches.get_mut(batch) {
                course.not_begun();
            }
            return;
        };
        entry.release = Release::Free;
        let command = &mut entry.details.command;
        command.deliver_by = deliver_by(now, command.not_before, entry.ttl);
        let device = command.device.clone();
        let (state, place, supersede) = (command.state, entry.place(), entry.supersede.clone());
        let max = self.limits.open_per_device;
        let lane = self.lanes.entry(device.clone()).or_default();
        lane.held.remove(&id);
        if lane.open() >= max {
            let error = CreateError::TooMany { device, max }.to_string();
            let error = AnswerError { code: "too_many_commands".into(), message: error };
            self.entries.get_mut(&id).expect("it was just there").details.command.error =
                Some(error);
            return self.apply(now, id, Happening::NoRoom, &Actor::Gateway, None);
        }
        lane.join(state, place);
        if state == CommandState::Queued {
            self.supersede(now, &device, supersede.as_deref(), place);
        }
        self.set_deadline(id);
        self.dirty.insert(id);
        self.pump(now, &device);
        if self.entries[&id].state() == CommandState::Queued {
            self.changed(now, id);
        }
    }

    /// Ends a batch before its rows have ended: those not sent are cancelled.
    fn end_batch(&mut self, now: Timestamp, id: &str, state: BatchState, by: &Actor) {
        let Some(course) = self.batches.get_mut(id) else { return };
        course.status.state = state;
        course.held.clear();
        self.ended_batches.push_back(id.to_owned());
        self.touched.insert(id.to_owned());
        let unsent = |state| matches!(state, CommandState::Scheduled | CommandState::Queued);
        let rows: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.details.command.batch.as_deref() == Some(id))
            .filter(|(_, entry)| unsent(entry.state()))
            .map(|(row, _)| *row)
            .collect();
        for row in rows {
            let reason = format!("its batch was {state}");
            self.enter(now, row, CommandState::Cancelled, by.clone(), Some(reason));
            let device = self.entries[&row].device().clone();
            self.forget_lane(&device);
        }
    }

    pub(super) fn open_batch(&mut self, id: &str) -> Result<&mut Course, BatchError> {
        let course = self.batches.get_mut(id).ok_or_else(|| BatchError::Unknown(id.into()))?;
        match course.status.state {
            BatchState::Running | BatchState::Paused => Ok(course),
            state @ (BatchState::Done | BatchState::Aborted | BatchState::Cancelled) => {
                Err(BatchError::AlreadyFinal(id.into(), state))
            }
        }
    }

    /// Whether the caller asked for the same under its key before, and so got a batch.
    ///
    /// # Errors
    /// [`CreateError::KeyReused`] where it was another request.
    pub fn batch_asked_before<'a>(
        &self,
        request: &BatchRequest,
        caller: Caller<'a>,
    ) -> Result<Asked<'a, Batch>, CreateError> {
        let first_time = Ok(Asked::FirstTime(FirstTime(caller)));
        let Some(key) = caller.key else { return first_time };
        let known = match self.keys.get(&(caller.user.into(), key.into())) {
            None => return first_time,
            Some(Target::Batch(id)) => self.batches.get(id),
            Some(Target::Command(_)) => None,
        };
        match known.filter(|course| course.request == *request) {
            Some(course) => Ok(Asked::Before(course.status.clone())),
            None => Err(CreateError::KeyReused(key.into())),
        }
    }

    fn check_batch(&self, request: &BatchRequest, devices: usize) -> Result<(), CreateError> {
        let invalid = |why: String| Err(CreateError::Invalid(why));
        check(&request.command, &self.limits)?;
        if devices == 0 {
            return invalid("no device is meant: a batch needs at least one".into());
        }
        if devices > self.limits.batch_devices {
            let max = self.limits.batch_devices;
            return invalid(format!("{devices} devices are more than limits.batch_devices, {max}"));
        }
        if request.concurrency == Some(0) {
            return invalid("concurrency 0 is not 1 or more".into());
        }
        if let Some(rate) = request.rate
            && !(rate > 0.0 && rate <= RATE_MAX)
        {
            return invalid(format!("rate {rate} is not above 0 and at most {RATE_MAX}"));
        }
        match request.abort_after {
            Some(AbortAfter::Failures(0)) => {
                return invalid("abort_after.failures 0 is not 1 or more".into());
            }
            Some(AbortAfter::Percent(percent)) if !(percent > 0.0 && percent <= 100.0) => {
                return invalid(format!(
                    "abort_after.percent {percent} is not above 0 and at most 100"
                ));
            }
            Some(AbortAfter::Failures(_) | AbortAfter::Percent(_)) | None => {}
        }
        let open = self.open_batches();
        if open >= self.limits.batches_open {
            Err(CreateError::TooManyBatches(open))
        } else {
            Ok(())
        }
    }

    /// Takes a batch out of the book, and its row out of the store. Its commands stay.
    pub(super) fn remove_batch(&mut self, id: &str) {
        let Some(course) = self.batches.remove(id) else { return };
        if let Some(at) = course.wake_at {
            self.alarms.remove(&(at, id.to_owned()));
        }
        if let Some(key) = &course.key {
            self.keys.remove(key);
        }
        self.touched.remove(id);
        self.dirty_batches.insert(id.to_owned());
    }
}
