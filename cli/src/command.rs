//! `sluice command` and `sluice cancel`, and how a command reads.

use crate::{
    Exit, Output,
    gateway::Gateway,
    output::Format,
    text::{clean, compact, local, now, seconds},
};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use protocol::{Command, CommandDetails, CommandId, CommandState, Timestamp, Transition};
use serde_json::value::RawValue;
use std::{fmt::Write, time::Duration};

/// Shows a command and each step it took.
pub(crate) async fn show(gateway: &Gateway, id: CommandId, output: &mut Output) -> Result<Exit> {
    match output.format() {
        Format::Json => output.raw(&gateway.show::<Box<RawValue>>(id).await?)?,
        Format::Text => output.text(&story(&gateway.show(id).await?))?,
    }
    Ok(Exit::Fine)
}

/// Cancels a command, or asks its device to.
pub(crate) async fn cancel(gateway: &Gateway, id: CommandId, output: &mut Output) -> Result<Exit> {
    match output.format() {
        Format::Json => output.raw(&gateway.cancel::<Box<RawValue>>(id).await?)?,
        Format::Text => output.line(&summary(&gateway.cancel(id).await?))?,
    }
    Ok(Exit::Fine)
}

/// Its id and state.
pub(crate) fn summary(command: &Command) -> String {
    format!("{}  {}", command.id, colored(command.state))
}

/// The state in its colour, and what came with it.
pub(crate) fn stage(command: &Command) -> String {
    let mut stage = colored(command.state);
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

fn colored(state: CommandState) -> String {
    let color = match state {
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
    };
    let style: Style = color.on_default();
    format!("{style}{state}{style:#}")
}

fn story(details: &CommandDetails) -> String {
    let mut story = String::new();
    for (label, value) in facts(&details.command) {
        line(&mut story, format_args!("{label:<11}{value}"));
    }
    story.push('\n');
    let begin = details.command.created_at;
    for transition in &details.transitions {
        line(&mut story, format_args!("{}", step(begin, transition)));
    }
    story
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes what is written to it");
}

fn facts(command: &Command) -> Vec<(&'static str, String)> {
    let moment = |at: Timestamp| local(now(), at);
    let mut facts = vec![
        ("command", command.id.to_string()),
        ("device", command.device.to_string()),
        ("name", clean(&command.name)),
    ];
    facts.extend([
        ("params", compact(&command.params)),
        ("state", stage(command)),
        ("created", created(command)),
    ]);
    facts.extend(command.not_before.map(|at| ("not before", moment(at))));
    if !command.state.is_final() {
        facts.push(("deliver by", moment(command.deliver_by)));
        facts.extend(command.finish_by.map(|at| ("finish by", moment(at))));
    }
    facts.extend(command.batch.as_ref().map(|batch| ("batch", clean(batch))));
    facts
}

fn created(command: &Command) -> String {
    let at = local(now(), command.created_at);
    match &command.created_by {
        Some(user) => format!("{at} by {}", clean(user)),
        None => at,
    }
}

/// A step: since the command's creation, the state, who, and why.
fn step(begin: Timestamp, transition: &Transition) -> String {
    let after = seconds(Duration::from_millis(transition.at.since(begin).0));
    let state = transition.state;
    // The colour's own characters must not count as width.
    let gap = " ".repeat(10_usize.saturating_sub(state.name().len()));
    let by = clean(&String::from(transition.by.clone()));
    let why = transition.reason.as_deref().map(clean);
    let why = why.map(|why| format!("  {why}")).unwrap_or_default();
    format!("{after:>9}  {}{gap}  {by}{why}", colored(state))
}
