//! Doing what the machine says: states, stories, lanes, deadlines, sending.

use super::{Commands, Effect, Sending};
use crate::command::{
    entry::{Release, WaitsFor},
    lane::Receiver,
    machine::{Happening, Step, step},
};
use protocol::{Actor, Answer, CommandId, CommandState, Delivery, DeviceId, Timestamp, Transition};

impl Commands {
    /// Does what `step` says of `happening`.
    pub(super) fn apply(
        &mut self,
        now: Timestamp,
        id: CommandId,
        happening: Happening,
        by: &Actor,
        answer: Option<&Answer>,
    ) {
        let bytes_max = self.limits.result_bytes;
        let entry = self.entries.get_mut(&id).expect("callers name a command they looked up");
        let before = entry.state();
        let mut left_out = None;
        match step(before, happening) {
            Step::To(state) => {
                left_out = entry.take_answer(answer, bytes_max);
                if state == CommandState::Started {
                    entry.extend(now);
                }
                self.enter(now, id, state, by.clone(), reason(happening));
            }
            Step::Late(state) => {
                left_out = entry.take_answer(answer, bytes_max);
                entry.details.command.late = true;
                self.totals.figures.late += 1;
                let reason = "answered after it had timed out".to_owned();
                self.enter(now, id, state, by.clone(), Some(reason));
            }
            Step::Back => {
                let state = entry.before_cancelling;
                let reason = reason(happening).unwrap_or_else(|| "the device goes on".to_owned());
                self.enter(now, id, state, by.clone(), Some(reason));
            }
            Step::Progress => {
                left_out = entry.take_answer(answer, bytes_max);
                entry.extend(now);
                self.set_deadline(id);
                self.changed(now, id);
            }
            Step::Note => {
                entry.note(now, by.clone(), noted(happening, before));
                self.changed(now, id);
            }
            Step::Nothing | Step::AlreadyFinal | Step::CannotCancel => return,
        }
        if let Some(left_out) = left_out {
            self.totals.results_too_large += 1;
            let entry = self.entries.get_mut(&id).expect("it was just there");
            entry.note(now, Actor::Gateway, left_out);
            self.changed(now, id);
        }
        let device = self.entries[&id].device().clone();
        self.pump(now, &device);
        self.forget_lane(&device);
    }

    /// Brings a command to `state`, with all that hangs on it: story, deadline, place in its lane, batch.
    pub(super) fn enter(
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
        if state == CommandState::Succeeded {
            entry.begin_verifying(now);
            if entry.verify_by.is_some() {
                self.expecting.entry(entry.device().clone()).or_default().push(id);
            }
        }
        entry.details.command.state = state;
        entry.details.transitions.push(Transition { state, at: now, by, reason });
        entry.cancel_asked = None;
        let (place, release) = (entry.place(), entry.release);
        if let Some(batch) = &entry.details.command.batch
            && let Some(course) = self.batches.get_mut(batch)
        {
            course.moved(before, state, release);
            self.touched.insert(batch.clone());
        }
        let lane = self.lanes.entry(entry.device().clone()).or_default();
        lane.leave(place);
        lane.join(state, place);
        if state.is_final() {
            entry.release = Release::Free;
            entry.resend_at = None;
            self.count_end(state);
        }
        if state.is_final() && !before.is_final() {
            self.ended.push_back(id);
        }
        self.set_deadline(id);
        self.changed(now, id);
    }

    /// Something of a command changed: it is to be stored and told.
    pub(super) fn changed(&mut self, now: Timestamp, id: CommandId) {
        let entry = self.entries.get_mut(&id).expect("callers name a command they looked up");
        entry.changed_at = now;
        self.dirty.insert(id);
        self.effects.push(Effect::Changed(entry.changed_at, Box::new(entry.details.clone())));
    }

    pub(super) fn set_deadline(&mut self, id: CommandId) {
        let entry = self.entries.get_mut(&id).expect("callers name a command they looked up");
        if let Some(old) = entry.deadline.take() {
            self.deadlines.remove(&(old, id));
        }
        entry.deadline = entry.wanted_deadline().map(|(at, _)| at);
        if let Some(at) = entry.deadline {
            self.deadlines.insert((at, id));
        }
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, now: Timestamp, device: &DeviceId) {
        let most = self.inflight.get(device).copied().unwrap_or(1);
        while self.sending == Sending::Allowed
            && let Some(lane) = self.lanes.get(device)
            && lane.underway.len() < most
            && let Some(receiver) = lane.receiver()
            && let Some(id) = self.next_waiting(lane)
        {
            self.send(now, id, receiver);
        }
    }

    /// Sends again what is underway but went to another connection, as far as that is safe.
    pub(super) fn resend(&mut self, now: Timestamp, device: &DeviceId) {
        let Some(lane) = self.lanes.get(device) else { return };
        let Some(receiver) = lane.receiver() else { return };
        if self.sending == Sending::Held {
            return;
        }
        for id in lane.underway.clone() {
            let entry = self.entries.get_mut(&id).expect("a lane names known commands");
            if !entry.may_be_sent_again_to(receiver.connection) {
                continue;
            }
            let again_at = entry.again_at();
            if again_at > now {
                entry.resend_at = Some(again_at);
                self.set_deadline(id);
            } else {
                self.send(now, id, receiver);
            }
        }
    }

    /// Asks the receiver to give up what is to be cancelled, where it was not asked yet: what the connection
    /// before was asked may be lost with it.
    pub(super) fn ask_cancel(&mut self, device: &DeviceId) {
        let Some(lane) = self.lanes.get(device) else { return };
        let Some(receiver) = lane.receiver().filter(|receiver| receiver.cancels) else { return };
        let connection = receiver.connection;
        for id in &lane.underway {
            let entry = self.entries.get_mut(id).expect("a lane names known commands");
            let asked = entry.cancel_asked == Some(connection);
            if entry.state() == CommandState::Cancelling && !asked && !entry.may_be_taken_back() {
                entry.cancel_asked = Some(connection);
                let (device, command) = (device.clone(), *id);
                self.effects.push(Effect::AskCancel { connection, device, command });
            }
        }
    }

    fn send(&mut self, now: Timestamp, id: CommandId, receiver: Receiver) {
        let entry = self.entries.get_mut(&id).expect("a lane names known commands");
        if let Some(connection) = entry.sent_to.filter(|_| entry.is_held_up()) {
            let attempt = entry.details.command.attempt;
            self.effects.push(Effect::Recall { connection, command: id, attempt });
        }
        let command = &mut entry.details.command;
        command.attempt += 1;
        let finish_by = *command.finish_by.get_or_insert(now.plus(entry.timeout));
        entry.sent_to = Some(receiver.connection);
        entry.sent_at = Some(now);
        (entry.waits_for, entry.recall_at) = (Some(WaitsFor::Commit), None);
        entry.resend_at = None;
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
        self.totals.figures.sent += 1;
        if command.state == CommandState::Queued {
            self.enter(now, id, CommandState::Sent, Actor::Gateway, None);
        } else {
            let reason = format!("sent again, attempt {}", command.attempt);
            entry.note(now, Actor::Gateway, reason);
            self.set_deadline(id);
            self.changed(now, id);
        }
        let connection = receiver.connection;
        self.effects.push(Effect::Send { connection, device, delivery: Box::new(delivery) });
    }

    /// Lets the oldest ended commands and batches go, beyond those that are kept.
    pub(super) fn forget_ended(&mut self) {
        while self.ended.len() > self.limits.ended_kept {
            let Some(id) = self.ended.pop_front() else { break };
            self.remove(id);
        }
        while self.ended_batches.len() > self.limits.batches_kept {
            let Some(id) = self.ended_batches.pop_front() else { break };
            self.remove_batch(&id);
        }
    }

    /// Takes a command out of the book, and its row out of the store.
    pub(super) fn remove(&mut self, id: CommandId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        if let Some(asked) = &entry.asked {
            self.keys.remove(&Self::key_of(asked));
        }
        self.expect_no_more(entry.device(), id);
        self.forget_timed_out(entry.device(), id);
        self.dirty.insert(id);
    }

    /// Lets a lane go that nobody needs now.
    pub(super) fn forget_lane(&mut self, device: &DeviceId) {
        if self.lanes.get(device).is_some_and(|lane| lane.is_idle()) {
            self.lanes.remove(device);
        }
    }

    fn count_end(&mut self, state: CommandState) {
        let totals = &mut self.totals.figures;
        let count = match state {
            CommandState::Succeeded => &mut totals.succeeded,
            CommandState::Failed => &mut totals.failed,
            CommandState::Rejected => &mut totals.rejected,
            CommandState::TimedOut => &mut totals.timed_out,
            CommandState::Expired => &mut totals.expired,
            CommandState::Cancelled => &mut totals.cancelled,
            CommandState::Superseded => &mut totals.superseded,
            CommandState::Scheduled
            | CommandState::Queued
            | CommandState::Sent
            | CommandState::Delivered
            | CommandState::Started
            | CommandState::Cancelling => return,
        };
        *count += 1;
    }
}

/// Why a state is entered, where the state alone does not say it.
fn reason(happening: Happening) -> Option<String> {
    match happening {
        Happening::NotWritten { .. } => Some("it could not be written to its receiver".into()),
        Happening::GivenBack { receiver_left: false } => {
            Some("it was not written: it waited for its receiver to acknowledge what it had".into())
        }
        Happening::GivenBack { receiver_left: true } => {
            Some("it was not written: its receiver left before".into())
        }
        Happening::WrittenAfterAll => {
            Some("it was written meanwhile, and its device cannot be asked to give it up".into())
        }
        Happening::NoRoom => Some("the device has too many open commands".into()),
        Happening::Due
        | Happening::Sent
        | Happening::Acknowledged
        | Happening::Answered { .. }
        | Happening::DeliverByPassed
        | Happening::FinishByPassed
        | Happening::CancelAsked { .. }
        | Happening::Superseded => None,
    }
}

fn noted(happening: Happening, state: CommandState) -> String {
    match happening {
        Happening::Answered { status, current: true } => {
            format!("the device answered {} while it was {state}", status.name())
        }
        Happening::Answered { status, current: false } => {
            format!("the device answered {} to an older attempt", status.name())
        }
        Happening::NotWritten { .. } => {
            "the newest attempt could not be written to its receiver".into()
        }
        Happening::Due
        | Happening::Sent
        | Happening::Acknowledged
        | Happening::NoRoom
        | Happening::GivenBack { .. }
        | Happening::WrittenAfterAll
        | Happening::DeliverByPassed
        | Happening::FinishByPassed
        | Happening::CancelAsked { .. }
        | Happening::Superseded => format!("{happening:?} while it was {state}").to_lowercase(),
    }
}
