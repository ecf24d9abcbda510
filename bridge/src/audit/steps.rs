//! Which steps of a command are new: each is recorded once.

use super::{Audit, Deed, Party};
use protocol::{Actor, CommandDetails, CommandId, CommandState, Timestamp, Transition};
use serde::Serialize;
use std::collections::HashMap;

/// Above this many, those of commands that nobody knows any more are forgotten.
const SEEN_MIN: usize = 1_024;

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The command came to another state.
    Change,
    /// It stayed in its state; something is noted.
    Note,
}

/// What is told of a step beside its state.
#[derive(Serialize)]
struct About<'a> {
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<&'a str>,
    command: CommandId,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// How many steps of each command were seen, and the state after the last of them.
#[derive(Debug, Default)]
pub struct Steps {
    seen: HashMap<CommandId, (usize, Option<CommandState>)>,
    /// When this many are reached, it is time to look which are still known.
    sweep_at: usize,
}

impl Steps {
    /// The steps of a command that were not seen before, each with what it is. Of one that was not seen at
    /// all, and has a past, the last one.
    pub fn unseen<'a>(
        &mut self,
        details: &'a CommandDetails,
    ) -> impl Iterator<Item = (Step, &'a Transition)> + use<'a> {
        let transitions = details.transitions.as_slice();
        let last = transitions.last().map(|step| step.state);
        let newest = transitions.len().saturating_sub(1);
        let before = match self.seen.insert(details.command.id, (transitions.len(), last)) {
            None => newest,
            // A step was taken back, and another came in its place.
            Some((count, state)) if count >= transitions.len() && state != last => newest,
            Some((count, _)) => count,
        };
        let previous = |at: usize| at.checked_sub(1).and_then(|at| transitions.get(at));
        transitions.iter().enumerate().skip(before).map(move |(at, step)| {
            let same = previous(at).is_some_and(|previous| previous.state == step.state);
            (if same { Step::Note } else { Step::Change }, step)
        })
    }

    /// Takes the steps of a command as seen that was kept in an earlier life: they were recorded together with it.
    pub fn restore(&mut self, details: &CommandDetails) {
        let last = details.transitions.last().map(|step| step.state);
        self.seen.insert(details.command.id, (details.transitions.len(), last));
    }

    /// Forgets commands that are not `known`, when there are many.
    pub fn sweep(&mut self, known: impl Fn(CommandId) -> bool) {
        if self.seen.len() > self.sweep_at.max(SEEN_MIN) {
            self.seen.retain(|id, _| known(*id));
            self.sweep_at = self.seen.len() * 2;
        }
    }
}

impl Audit {
    /// Records a step of a command. What a user asked for is recorded where it was asked, with the
    /// address; but the commands of a batch were asked for as one.
    pub fn step(&mut self, now: Timestamp, details: &CommandDetails, step: &Transition) {
        let command = &details.command;
        let by = match &step.by {
            Actor::User(_) if command.batch.is_none() => return,
            Actor::User(name) => Party::User { name, address: None },
            Actor::Device => Party::Device,
            Actor::Timer => Party::Timer,
            Actor::Gateway => Party::Gateway,
        };
        let details = About {
            attempt: command.attempt,
            batch: command.batch.as_deref(),
            command: command.id,
            name: &command.name,
            reason: step.reason.as_deref(),
        };
        let action = format!("command.{}", step.state);
        let device = Some(&command.device);
        self.record(now, Deed { by, action: &action, device, details });
    }
}
