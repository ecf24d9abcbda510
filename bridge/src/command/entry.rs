//! One command in the book: what everybody sees of it, and what only the book needs to know.

use super::{book::Caller, lane::Place};
use crate::event::ConnectionId;
use protocol::{
    Actor, Answer, Command, CommandDetails, CommandId, CommandRequest, CommandState, DeviceId,
    Millis, Timestamp, Transition,
};
use std::cmp::Reverse;

/// How long a command waits to be sent, unless told.
const TTL: Millis = Millis(60_000);
/// How long a device may take, unless told.
const TIMEOUT: Millis = Millis(30_000);
/// Beyond this many transitions of a command notes are left out; changes of state never are.
const NOTES_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) details: CommandDetails,
    /// The order of creation.
    pub(super) ordinal: u64,
    pub(super) timeout: Millis,
    pub(super) supersede: Option<String>,
    pub(super) idempotent: bool,
    pub(super) progress_extends: bool,
    /// The connection that the newest attempt went to.
    pub(super) sent_to: Option<ConnectionId>,
    /// The newest attempt's PUBACK, or an answer to it, came.
    pub(super) acknowledged: bool,
    pub(super) before_cancelling: CommandState,
    pub(super) deadline: Option<Timestamp>,
    /// The user and `Idempotency-Key` it was asked for with.
    pub(super) key: Option<(String, String)>,
}

impl Entry {
    pub(super) fn new(
        now: Timestamp,
        id: CommandId,
        device: DeviceId,
        ordinal: u64,
        request: CommandRequest,
        caller: Caller<'_>,
    ) -> Self {
        let not_before = request.not_before.filter(|at| *at > now);
        let state = match not_before {
            Some(_) => CommandState::Scheduled,
            None => CommandState::Queued,
        };
        let deliver_by = deliver_by(now, &request);
        let command = Command {
            id,
            device,
            name: request.name,
            params: request.params.unwrap_or_default().into(),
            state,
            attempt: 0,
            priority: request.priority.unwrap_or(0),
            progress: None,
            result: None,
            error: None,
            late: false,
            created_at: now,
            created_by: Some(caller.user.into()),
            not_before: request.not_before,
            deliver_by,
            finish_by: None,
            batch: None,
            verified: None,
        };
        let first =
            Transition { state, at: now, by: Actor::User(caller.user.into()), reason: None };
        Self {
            details: CommandDetails { command, transitions: vec![first] },
            ordinal,
            timeout: request.timeout_ms.unwrap_or(TIMEOUT),
            supersede: request.supersede,
            idempotent: request.idempotent.unwrap_or(false),
            progress_extends: request.progress_extends.unwrap_or(false),
            sent_to: None,
            acknowledged: false,
            before_cancelling: state,
            deadline: None,
            key: caller.key.map(|key| (caller.user.into(), key.into())),
        }
    }

    pub(super) fn state(&self) -> CommandState {
        self.details.command.state
    }

    pub(super) fn device(&self) -> &DeviceId {
        &self.details.command.device
    }

    pub(super) fn place(&self) -> Place {
        (Reverse(self.details.command.priority), self.ordinal, self.details.command.id)
    }

    pub(super) fn may_be_sent_again_to(&self, connection: ConnectionId) -> bool {
        self.sent_to != Some(connection)
            && self.state() != CommandState::Cancelling
            && (self.idempotent || !self.acknowledged)
    }

    pub(super) fn wanted_deadline(&self) -> Option<Timestamp> {
        let command = &self.details.command;
        match command.state {
            CommandState::Scheduled => command.not_before,
            CommandState::Queued => Some(command.deliver_by),
            CommandState::Sent
            | CommandState::Delivered
            | CommandState::Started
            | CommandState::Cancelling => command.finish_by,
            CommandState::Succeeded
            | CommandState::Failed
            | CommandState::Rejected
            | CommandState::Cancelled
            | CommandState::Superseded
            | CommandState::Expired
            | CommandState::TimedOut => None,
        }
    }

    pub(super) fn take_answer(&mut self, answer: Option<&Answer>) {
        let Some(answer) = answer else { return };
        let command = &mut self.details.command;
        command.progress = answer.progress.or(command.progress);
        command.result = answer.result.clone().or_else(|| command.result.take());
        command.error = answer.error.clone().or_else(|| command.error.take());
    }

    /// Renews the device's time when it said that it works, where that was asked for.
    pub(super) fn extend(&mut self, now: Timestamp, state: CommandState) {
        if self.progress_extends && state == CommandState::Started {
            self.details.command.finish_by = Some(now.plus(self.timeout));
        }
    }

    pub(super) fn note(&mut self, now: Timestamp, by: Actor, reason: String) {
        if self.details.transitions.len() < NOTES_MAX {
            let state = self.state();
            self.details.transitions.push(Transition { state, at: now, by, reason: Some(reason) });
        }
    }
}

/// When a command expires unsent: its time to live counts from when it may first be sent.
pub(super) fn deliver_by(now: Timestamp, request: &CommandRequest) -> Timestamp {
    let from = request.not_before.map_or(now, |at| at.max(now));
    from.plus(request.ttl_ms.unwrap_or(TTL))
}
