//! What happens to commands once they are there: connections, answers, deadlines, cancelling.

use super::{CancelError, Commands, Effect, Sending, Unwritten};
use crate::{
    command::{
        entry::Due,
        lane::Receiver,
        machine::{Happening, Step, stage, step},
    },
    event::ConnectionId,
};
use protocol::{
    Actor, Answer, AnswerError, AnswerStatus, Command, CommandId, CommandState, DeviceId, Timestamp,
};

impl Commands {
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
        if entry.state() == CommandState::Sent && entry.waits_for_first_commit() {
            self.unsend(id, 1);
        }
        let entry = &self.entries[&id];
        let (state, device) = (entry.state(), entry.device().clone());
        let receiver = self.lanes.get(&device).and_then(|lane| lane.receiver());
        let cancellable =
            entry.may_be_taken_back() || receiver.is_some_and(|receiver| receiver.cancels);
        let by = Actor::User(user.into());
        match step(state, Happening::CancelAsked { cancellable }) {
            Step::AlreadyFinal => return Err(CancelError::AlreadyFinal(id, state)),
            Step::CannotCancel => return Err(CancelError::DeviceCannotCancel(id)),
            Step::To(CommandState::Cancelling) => {
                self.enter(now, id, CommandState::Cancelling, by, None);
                self.ask_cancel(&device);
            }
            Step::To(to) => {
                self.enter(now, id, to, by, None);
                self.pump(now, &device);
            }
            Step::Late(_) | Step::Back | Step::Progress | Step::Note | Step::Nothing => {}
        }
        let command = self.entries[&id].details.command.clone();
        self.tick(now);
        Ok(command)
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
        if lane.receivers.is_empty() {
            // Most devices have one.
            lane.receivers.reserve_exact(1);
        }
        lane.receivers.push(Receiver { connection, own, cancels });
        self.resend(now, device);
        self.ask_cancel(device);
        self.pump(now, device);
        self.tick(now);
    }

    /// A connection no longer receives the device's commands.
    pub fn receives_not(&mut self, now: Timestamp, device: &DeviceId, connection: ConnectionId) {
        let Some(lane) = self.lanes.get_mut(device) else { return };
        lane.receivers.retain(|known| known.connection != connection);
        self.resend(now, device);
        self.ask_cancel(device);
        self.pump(now, device);
        self.forget_lane(device);
        self.tick(now);
    }

    /// No connection receives the device's commands any more.
    pub fn receives_nowhere(&mut self, now: Timestamp, device: &DeviceId) {
        if let Some(lane) = self.lanes.get_mut(device) {
            lane.receivers.clear();
            self.forget_lane(device);
            self.tick(now);
        }
    }

    /// Whether the connection receives the device's commands.
    #[must_use]
    pub fn is_receiver(&self, device: &DeviceId, connection: ConnectionId) -> bool {
        let lane = self.lanes.get(device);
        lane.is_some_and(|lane| lane.receivers.iter().any(|known| known.connection == connection))
    }

    /// The commands of a device that are underway and may have been written to a receiver, oldest first.
    pub fn written_underway(&self, device: &DeviceId) -> impl Iterator<Item = &Command> {
        let written = |command: &&Command| !self.entries[&command.id].never_ran();
        self.underway(device).filter(written)
    }

    /// A command whose device answers nothing is done; `why` says how that is known.
    pub fn settle_unanswered(&mut self, now: Timestamp, id: CommandId, why: String) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.note(now, Actor::Gateway, why);
        let happening = Happening::Answered { status: AnswerStatus::Succeeded, current: true };
        self.apply(now, id, happening, &Actor::Gateway, None);
        self.tick(now);
    }

    /// The receiver's PUBACK for one attempt came. With a reason code that refuses the message it is one too, and
    /// a note says so: the receiver has seen the command, and nobody knows what it did with it.
    pub fn delivered(&mut self, now: Timestamp, id: CommandId, attempt: u32, refused: Option<u8>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.details.command.attempt != attempt {
            return;
        }
        if !entry.acknowledged && !entry.state().is_final() {
            entry.acknowledged = true;
            entry.reached(CommandState::Delivered);
            self.dirty.insert(id);
        }
        self.waits_no_more(id);
        self.apply(now, id, Happening::Acknowledged, &Actor::Device, None);
        if let Some(code) = refused
            && let Some(entry) = self.entries.get_mut(&id)
        {
            let why = format!("the receiver refused the message: its PUBACK has {code:#04x}");
            entry.note(now, Actor::Device, why);
            self.changed(now, id);
        }
        self.tick(now);
    }

    /// An attempt was not written to its receiver, and never will be.
    pub fn not_written(&mut self, now: Timestamp, id: CommandId, attempt: u32, why: Unwritten) {
        let Some(entry) = self.newest(id, attempt) else { return };
        if entry.acknowledged {
            return self.waits_no_more(id);
        }
        let (code, message) = why.texts();
        let happening = Happening::NotWritten { first: attempt == entry.given_back + 1 };
        if let Step::To(_) = step(entry.state(), happening) {
            let error = AnswerError { code: code.into(), message: message.into() };
            entry.details.command.error = Some(error);
            self.totals.unwritten += 1;
        }
        self.waits_no_more(id);
        self.apply(now, id, happening, &Actor::Gateway, None);
        self.tick(now);
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
        if let Some(stage) = stage(answer.status).filter(|_| current) {
            entry.reached(stage);
        }
        // What waits for its receiver's window is to be taken back, and so is still known to wait.
        if current && !entry.is_held_up() {
            entry.waits_no_more();
        }
        self.set_deadline(id);
        let happening = Happening::Answered { status: answer.status, current };
        self.apply(now, id, happening, &Actor::Device, Some(answer));
        self.tick(now);
        true
    }

    /// A device reports what it knows of its last commands: those that are underway or timed out take it for
    /// an answer. Of others it says nothing new.
    pub fn recent(&mut self, now: Timestamp, device: &DeviceId, answers: &[(CommandId, Answer)]) {
        for (id, answer) in answers {
            let Some(entry) = self.entries.get(id) else { continue };
            match entry.state() {
                CommandState::Sent
                | CommandState::Delivered
                | CommandState::Started
                | CommandState::Cancelling
                | CommandState::TimedOut => {
                    self.answer(now, device, *id, answer);
                }
                CommandState::Scheduled
                | CommandState::Queued
                | CommandState::Succeeded
                | CommandState::Failed
                | CommandState::Rejected
                | CommandState::Cancelled
                | CommandState::Superseded
                | CommandState::Expired => {}
            }
        }
    }

    /// The device is deleted: what was not sent to it is cancelled, and what was told of its commands is
    /// to be forgotten.
    pub fn delete_device(&mut self, now: Timestamp, device: &DeviceId, user: &str) {
        let unsent = self.lanes.get(device).map(|lane| lane.unsent()).unwrap_or_default();
        for id in unsent {
            let reason = "its device was deleted".to_owned();
            let by = Actor::User(user.into());
            self.enter(now, id, CommandState::Cancelled, by, Some(reason));
        }
        self.inflight.remove(device);
        self.forget_lane(device);
        self.tick(now);
        self.effects.push(Effect::Forget(device.clone()));
    }

    /// Lets the deadlines up to `now` pass, and batches go on.
    pub fn tick(&mut self, now: Timestamp) {
        self.begin_due(now);
        loop {
            if let Some((at, id)) = self.deadlines.first().copied()
                && at <= now
            {
                self.pass(now, id);
            } else if let Some((at, _)) = self.alarms.first()
                && *at <= now
                && let Some((_, batch)) = self.alarms.pop_first()
            {
                self.advance(now, &batch);
            } else if let Some(batch) = self.touched.pop_first() {
                self.advance(now, &batch);
            } else {
                break;
            }
        }
        self.forget_ended();
    }

    /// Queues the commands whose time has come to be sent, all of them before the first goes: of those that are
    /// due at once the one with the highest priority is first.
    fn begin_due(&mut self, now: Timestamp) {
        let passed = self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id);
        let scheduled = |id: &CommandId| self.entries[id].state() == CommandState::Scheduled;
        let due: Vec<_> = passed.filter(scheduled).collect();
        let sending = std::mem::replace(&mut self.sending, Sending::Held);
        due.iter().for_each(|id| self.pass(now, *id));
        self.sending = sending;
        for id in due {
            let device = self.entries[&id].device().clone();
            self.pump(now, &device);
        }
    }

    /// The first deadline of a command has come.
    fn pass(&mut self, now: Timestamp, id: CommandId) {
        let entry = self.entries.get_mut(&id).expect("a deadline is of a known command");
        let (_, due) = entry.wanted_deadline().expect("a command with a deadline wants one");
        let happening = match due {
            Due::NotBefore => {
                let (device, key) = (entry.device().clone(), entry.supersede.clone());
                let place = entry.place();
                self.supersede(now, &device, key.as_deref(), place);
                Happening::Due
            }
            Due::DeliverBy => Happening::DeliverByPassed,
            Due::WriteBy => return self.not_kept_in_time(now, id),
            Due::Recall => return self.recall(now, id),
            Due::FinishBy => {
                self.note_timed_out(now, id);
                Happening::FinishByPassed
            }
            Due::Resend => {
                entry.resend_at = None;
                let device = entry.device().clone();
                self.set_deadline(id);
                return self.resend(now, &device);
            }
            Due::VerifyBy => return self.not_seen(now, id),
        };
        self.apply(now, id, happening, &Actor::Timer, None);
    }
}
