//! How a command reads in a line.

use crate::text::{clean, compact};
use anstyle::{Ansi256Color, AnsiColor};
use protocol::{Command, CommandState};

/// Its id and state.
pub(crate) fn summary(command: &Command) -> String {
    format!("{}  {}", command.id, colored(command.state))
}

/// The state in its colour, and what came with it.
pub(crate) fn stage(command: &Command) -> String {
    colored(command.state) + &came_with(command)
}

/// The same without colour.
pub(super) fn plain_stage(command: &Command) -> String {
    command.state.to_string() + &came_with(command)
}

fn came_with(command: &Command) -> String {
    let mut stage = String::new();
    if command.attempt > 1 {
        stage.push_str(&format!("  attempt {}", command.attempt));
    }
    for detail in details(command) {
        stage.push_str("  ");
        stage.push_str(&detail);
    }
    stage
}

fn details(command: &Command) -> Vec<String> {
    let progress = command.progress.filter(|_| !command.state.is_final());
    let late = command.late.then(|| "late".into());
    let verified = command.verified.map(|seen| if seen { "verified" } else { "not verified" });
    [
        progress.map(|percent| format!("{percent} %")),
        command.result.as_ref().map(compact),
        command
            .error
            .as_ref()
            .map(|error| format!("{} ({})", clean(&error.message), clean(&error.code))),
        late,
        verified.map(Into::into),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The state in its colour.
pub(crate) fn colored(state: CommandState) -> String {
    let style = color(state).on_default();
    format!("{style}{state}{style:#}")
}

/// The state in its colour, filled up with blanks: the colour's own characters are no width.
pub(super) fn padded(state: CommandState, width: usize) -> String {
    let gap = " ".repeat(width.saturating_sub(state.name().len()));
    format!("{}{gap}", colored(state))
}

/// Green is done, red is not done, yellow is withdrawn, cyan goes on.
const fn color(state: CommandState) -> AnsiColor {
    match state {
        CommandState::Succeeded => AnsiColor::Green,
        CommandState::Failed
        | CommandState::Rejected
        | CommandState::Expired
        | CommandState::TimedOut => AnsiColor::Red,
        CommandState::Cancelled | CommandState::Superseded => AnsiColor::Yellow,
        CommandState::Scheduled
        | CommandState::Queued
        | CommandState::Sent
        | CommandState::Delivered
        | CommandState::Started
        | CommandState::Cancelling => AnsiColor::Cyan,
    }
}

/// The number of its colour in the palette of terminals.
pub(crate) fn color_number(state: CommandState) -> u8 {
    Ansi256Color::from_ansi(color(state)).index()
}
