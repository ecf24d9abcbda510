//! What the end of a command says: one alert for each name and way to fail, cleared when such a command succeeds.

use super::book::{Cause, Key, Verdict};
use protocol::{Command, CommandState, Severity};
use serde_json::json;

const FAILED: &str = "failed";
const TIMED_OUT: &str = "timed_out";

/// What follows from the state that a command has now.
pub(super) fn verdicts(command: &Command, severity: Severity) -> Vec<Verdict> {
    let key = |ended: &str| key(command, severity, ended);
    let raise = |ended| {
        Verdict::Raise(Cause { key: key(ended), message: message(command), data: data(command) })
    };
    let raised = match command.state {
        CommandState::Failed => raise(FAILED),
        CommandState::TimedOut => raise(TIMED_OUT),
        CommandState::Succeeded => {
            return vec![Verdict::Clear(key(FAILED)), Verdict::Clear(key(TIMED_OUT))];
        }
        CommandState::Scheduled
        | CommandState::Queued
        | CommandState::Sent
        | CommandState::Delivered
        | CommandState::Started
        | CommandState::Cancelling
        | CommandState::Rejected
        | CommandState::Cancelled
        | CommandState::Superseded
        | CommandState::Expired => return Vec::new(),
    };
    // A late one timed out before, and now it is known how it ended.
    let known_now = command.late.then(|| Verdict::Clear(key(TIMED_OUT)));
    known_now.into_iter().chain([raised]).collect()
}

fn key(command: &Command, severity: Severity, ended: &str) -> Key {
    let code = format!("command_{ended}:{}", command.name);
    Key { device: command.device.clone(), severity, code }
}

fn message(command: &Command) -> String {
    match (&command.error, command.state) {
        (Some(error), CommandState::Failed) => {
            format!("command {} failed: {}", command.name, error.message)
        }
        (_, state) => format!("command {} {}", command.name, state.name().replace('_', " ")),
    }
}

fn data(command: &Command) -> serde_json::Value {
    json!({"command": command.id, "name": command.name, "error": command.error})
}
