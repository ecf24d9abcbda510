//! One command in the book: what everybody sees of it, and what only the book needs to know.
//!
//! It is kept as JSON, all of it but what belongs to a connection.

mod departing;

pub(super) use departing::WaitsFor;

use super::{
    book::Caller,
    depth,
    lane::Place,
    machine::{Step, forward},
};
use crate::event::ConnectionId;
use protocol::{
    Actor, Answer, AnswerError, Command, CommandDetails, CommandId, CommandRequest, CommandState,
    DeviceId, Expect, Millis, Timestamp, Transition,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Reverse;

/// How long a command waits to be sent, unless told.
const TTL: Millis = Millis(60_000);
/// How long a device may take, unless told.
const TIMEOUT: Millis = Millis(30_000);
/// How long what is expected may take, unless told.
const WITHIN: Millis = Millis(30_000);
/// Beyond this many transitions of a command notes are left out; changes of state never are.
const NOTES_MAX: usize = 64;
/// The first sending again of a command that the device has is at once, the next so much later, and
/// then twice as late each time.
const BACK_OFF: Millis = Millis(1_000);
/// The longest such wait.
const BACK_OFF_MAX: Millis = Millis(30_000);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) details: CommandDetails,
    /// The order of creation.
    pub(super) ordinal: u64,
    pub(super) ttl: Millis,
    pub(super) timeout: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) supersede: Option<String>,
    pub(super) idempotent: bool,
    pub(super) progress_extends: bool,
    /// The newest attempt's PUBACK, or an answer to it, came.
    pub(super) acknowledged: bool,
    pub(super) before_cancelling: CommandState,
    /// The user and `Idempotency-Key` it was asked for with, and the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<Asked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expect: Option<Expect>,
    /// Until when what is expected may be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verify_by: Option<Timestamp>,
    pub(super) release: Release,
    pub(super) sent_at: Option<Timestamp>,
    /// When anything of it last changed.
    pub(super) changed_at: Timestamp,
    /// The connection that the newest attempt went to.
    #[serde(skip)]
    pub(super) sent_to: Option<ConnectionId>,
    /// The connection that was asked to give it up.
    #[serde(skip)]
    pub(super) cancel_asked: Option<ConnectionId>,
    /// Why the newest attempt is not written yet; none: it is, as far as is known.
    #[serde(skip)]
    pub(super) waits_for: Option<WaitsFor>,
    /// Its connection was asked to give it back, and is asked again then.
    #[serde(skip)]
    pub(super) recall_at: Option<Timestamp>,
    /// So many attempts, from the first on, were given back unwritten.
    #[serde(skip)]
    pub(super) given_back: u32,
    #[serde(skip)]
    pub(super) deadline: Option<Timestamp>,
    /// When it may be sent again.
    #[serde(skip)]
    pub(super) resend_at: Option<Timestamp>,
    /// Whose place it took; only until that is stored.
    #[serde(skip)]
    pub(super) displaced: Vec<CommandId>,
}

/// A request under an `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) user: String,
    pub(super) key: String,
    pub(super) request: CommandRequest,
}

/// Whether a command waits for its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Release {
    /// It takes its turn like any other.
    Free,
    /// Its batch has not begun it.
    Held,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    NotBefore,
    DeliverBy,
    WriteBy,
    Recall,
    FinishBy,
    Resend,
    VerifyBy,
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
        let state = if is_scheduled(now, &request) {
            CommandState::Scheduled
        } else {
            CommandState::Queued
        };
        let asked = |key: &str| {
            let (user, key) = (caller.user.into(), key.into());
            Asked { user, key, request: request.clone() }
        };
        let asked = caller.key.map(asked);
        let ttl = request.ttl_ms.unwrap_or(TTL);
        let command = Command {
            id,
            device,
            deliver_by: deliver_by(now, request.not_before, ttl),
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
            finish_by: None,
            batch: None,
            verified: None,
        };
        let first =
            Transition { state, at: now, by: Actor::User(caller.user.into()), reason: None };
        Self {
            details: CommandDetails { command, transitions: vec![first] },
            ordinal,
            ttl,
            timeout: request.timeout_ms.unwrap_or(TIMEOUT),
            supersede: request.supersede,
            idempotent: request.idempotent.unwrap_or(false),
            progress_extends: request.progress_extends.unwrap_or(false),
            acknowledged: false,
            before_cancelling: state,
            asked,
            expect: request.expect,
            verify_by: None,
            release: Release::Free,
            sent_at: None,
            changed_at: now,
            sent_to: None,
            cancel_asked: None,
            waits_for: None,
            recall_at: None,
            given_back: 0,
            deadline: None,
            resend_at: None,
            displaced: Vec::new(),
        }
    }

    /// The device goes on while it is asked to give the command up: it comes back to no earlier stage than this.
    pub(super) fn reached(&mut self, stage: CommandState) {
        if self.state() == CommandState::Cancelling
            && let Step::To(stage) = forward(self.before_cancelling, stage)
        {
            self.before_cancelling = stage;
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

    /// When it may be sent again. A device that has it and comes back without an answer may have died of
    /// it: each time it is given more time.
    pub(super) fn again_at(&self) -> Timestamp {
        let sent_at = self.sent_at.unwrap_or(self.details.command.created_at);
        match self.details.command.attempt {
            0 | 1 => sent_at,
            _ if !self.acknowledged => sent_at,
            attempt => {
                let doubled = BACK_OFF.0.saturating_mul(1 << (attempt - 2).min(30));
                sent_at.plus(Millis(doubled.min(BACK_OFF_MAX.0)))
            }
        }
    }

    pub(super) fn wanted_deadline(&self) -> Option<(Timestamp, Due)> {
        let back = self.wanted_back().map(|at| (at, Due::Recall));
        back.into_iter().chain(self.deadline_of_state()).min_by_key(|(at, _)| *at)
    }

    fn deadline_of_state(&self) -> Option<(Timestamp, Due)> {
        let command = &self.details.command;
        match command.state {
            CommandState::Scheduled | CommandState::Queued if self.release == Release::Held => None,
            CommandState::Scheduled => command.not_before.map(|at| (at, Due::NotBefore)),
            CommandState::Queued => Some((command.deliver_by, Due::DeliverBy)),
            CommandState::Sent if self.waits_for_first_commit() => {
                Some((self.write_by(), Due::WriteBy))
            }
            // Whether its time is over its connection knows, which is asked.
            CommandState::Sent | CommandState::Cancelling if self.may_be_taken_back() => None,
            CommandState::Sent
            | CommandState::Delivered
            | CommandState::Started
            | CommandState::Cancelling => match (command.finish_by, self.resend_at) {
                (Some(finish_by), Some(at)) if at < finish_by => Some((at, Due::Resend)),
                (finish_by, _) => finish_by.map(|at| (at, Due::FinishBy)),
            },
            CommandState::Succeeded
            | CommandState::Failed
            | CommandState::Rejected
            | CommandState::Cancelled
            | CommandState::Superseded
            | CommandState::Expired
            | CommandState::TimedOut => self.verify_by.map(|at| (at, Due::VerifyBy)),
        }
    }

    /// Takes what an answer says over. Gives what is to be noted: a result that is larger than
    /// `bytes_max`, or nests too deep, is left out.
    pub(super) fn take_answer(
        &mut self,
        answer: Option<&Answer>,
        bytes_max: usize,
    ) -> Option<String> {
        let answer = answer?;
        let command = &mut self.details.command;
        command.progress = answer.progress.or(command.progress);
        let mut left_out = None;
        if let Some(result) = &answer.result {
            match check_result(result, bytes_max) {
                Ok(()) => command.result = Some(result.clone()),
                Err(why) => left_out = Some(why),
            }
        }
        if let Some(AnswerError { code, message }) = &answer.error {
            match code.len() + message.len() {
                bytes if bytes <= bytes_max => command.error = answer.error.clone(),
                bytes => left_out = Some(too_large("error", bytes, bytes_max)),
            }
        }
        left_out
    }

    /// Renews the device's time, for it said that it works, where that was asked for.
    pub(super) fn extend(&mut self, now: Timestamp) {
        if self.progress_extends {
            self.details.command.finish_by = Some(now.plus(self.timeout));
        }
    }

    /// From now on what is expected may be seen.
    pub(super) fn begin_verifying(&mut self, now: Timestamp) {
        if let Some(expect) = &self.expect {
            self.verify_by = Some(now.plus(expect.within_ms.unwrap_or(WITHIN)));
        }
    }

    pub(super) fn note(&mut self, now: Timestamp, by: Actor, reason: String) {
        if self.details.transitions.len() < NOTES_MAX {
            let state = self.state();
            self.details.transitions.push(Transition { state, at: now, by, reason: Some(reason) });
        }
    }
}

fn check_result(result: &Value, bytes_max: usize) -> Result<(), String> {
    let bytes = result.to_string().len();
    if bytes > bytes_max {
        return Err(too_large("result", bytes, bytes_max));
    }
    depth::check("the result was left out: it", depth::of(result))
}

fn too_large(what: &str, bytes: usize, bytes_max: usize) -> String {
    format!(
        "the {what} was left out: {bytes} bytes are more than limits.command_result_bytes, {bytes_max}"
    )
}

/// Whether a command that is asked for now waits for its time.
pub(super) fn is_scheduled(now: Timestamp, request: &CommandRequest) -> bool {
    request.not_before.is_some_and(|at| at > now)
}

/// When a command expires unsent: its time to live counts from when it may first be sent.
pub(super) fn deliver_by(now: Timestamp, not_before: Option<Timestamp>, ttl: Millis) -> Timestamp {
    not_before.map_or(now, |at| at.max(now)).plus(ttl)
}

/// As [`deliver_by`], of a request.
pub(super) fn would_be_delivered_by(now: Timestamp, request: &CommandRequest) -> Timestamp {
    deliver_by(now, request.not_before, request.ttl_ms.unwrap_or(TTL))
}
