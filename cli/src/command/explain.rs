//! `sluice command explain`: a command's whole story in words. Each step says who took it and why, and between
//! two steps stands how long it took and what it waited for.

use super::words::{padded, stage};
use crate::text::{clean, compact, local, seconds};
use protocol::{Actor, Command, CommandDetails, CommandState, Timestamp, Transition};
use std::{fmt::Write, time::Duration};

pub(super) fn story(now: Timestamp, details: &CommandDetails) -> String {
    let (command, transitions) = (&details.command, &details.transitions);
    let mut story = String::new();
    for (label, value) in facts(now, command) {
        line(&mut story, format_args!("{label:<11}{value}"));
    }
    story.push('\n');
    let begin = command.created_at;
    let mut before: Option<&Transition> = None;
    for transition in transitions {
        let spent = before.map(|before| (before, transition.at.since(before.at).0));
        if let Some((before, took @ 1..)) = spent {
            waited(&mut story, took, &waiting(before, Some(transition)));
        }
        step(&mut story, begin, before, transition, command);
        before = Some(transition);
    }
    if let Some(last) = before.filter(|last| !last.state.is_final()) {
        waited(&mut story, now.since(last.at).0, &waiting(last, None));
    }
    story
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes what is written to it");
}

fn waited(story: &mut String, milliseconds: u64, what: &str) {
    let took = seconds(Duration::from_millis(milliseconds));
    line(story, format_args!("           | {took}: {what}"));
}

/// A step: since the command's creation, the state, who and why.
fn step(
    story: &mut String,
    begin: Timestamp,
    before: Option<&Transition>,
    this: &Transition,
    command: &Command,
) {
    let after = seconds(Duration::from_millis(this.at.since(begin).0));
    let state = padded(this.state, 10);
    let is_note = before.is_some_and(|before| before.state == this.state);
    // Why it was not sent at once is told where it waits.
    let said = this.reason.as_deref().filter(|_| is_note || this.state != CommandState::Queued);
    let said = said.map(clean);
    let cause = if is_note { None } else { Some(cause(before, this, command)) };
    let why: Vec<_> = cause.into_iter().chain(said).collect();
    line(story, format_args!("{after:>9}  {state}  {}", why.join(": ")));
}

/// Who brought the command to this state, and what that means.
fn cause(before: Option<&Transition>, this: &Transition, command: &Command) -> String {
    let who = match &this.by {
        Actor::User(name) => clean(name),
        Actor::Device => "the device".into(),
        Actor::Timer => "its deadline".into(),
        Actor::Gateway => "the gateway".into(),
    };
    let by_device = this.by == Actor::Device;
    match this.state {
        CommandState::Scheduled => format!("{who} asked for it, for later"),
        CommandState::Queued if before.is_some() => "its time has come".into(),
        CommandState::Queued => format!("{who} asked for it"),
        CommandState::Sent => "the gateway wrote it to the device's connection".into(),
        CommandState::Delivered => "the device has it".into(),
        CommandState::Started => "the device works on it".into(),
        CommandState::Cancelling => format!("{who} wants it cancelled, so the device is asked"),
        CommandState::Succeeded => "the device says that it is done".into(),
        CommandState::Failed if by_device => with_error("the device says that it failed", command),
        CommandState::Failed => with_error("it certainly did not run", command),
        CommandState::Rejected => with_error(&format!("{who} refused it"), command),
        CommandState::Cancelled if by_device => "the device gave it up".into(),
        CommandState::Cancelled => format!("{who} cancelled it before it was sent"),
        CommandState::Superseded => "a newer command took its place".into(),
        CommandState::Expired => "not sent in its time: it certainly did not run".into(),
        CommandState::TimedOut => "no final answer in its time: it may have run".into(),
    }
}

fn with_error(what: &str, command: &Command) -> String {
    match &command.error {
        Some(error) => format!("{what}: {} ({})", clean(&error.message), clean(&error.code)),
        None => what.into(),
    }
}

/// What was waited for after a step, until the next or until now.
fn waiting(step: &Transition, next: Option<&Transition>) -> String {
    match &step.reason {
        Some(why) if step.state == CommandState::Queued => format!("it waited: {}", clean(why)),
        Some(_) | None => waiting_in(step.state, next).into(),
    }
}

fn waiting_in(state: CommandState, next: Option<&Transition>) -> &'static str {
    let answered = next.is_some_and(|next| next.by == Actor::Device);
    match state {
        CommandState::Scheduled => "it waited for its time",
        CommandState::Queued => "it waited for the device to receive, or for its turn",
        CommandState::Sent if answered => "it was on its way",
        CommandState::Sent => "it was on its way, and nothing came back",
        CommandState::Delivered if answered => "the device had it",
        CommandState::Delivered => "the device had it, and said nothing more",
        CommandState::Started if answered => "the device worked on it",
        CommandState::Started => "the device worked on it, and said nothing more",
        CommandState::Cancelling => "the device was to say whether it gives it up",
        CommandState::TimedOut => "nobody waited for it any more",
        CommandState::Succeeded => "it was waited for what is expected",
        CommandState::Failed
        | CommandState::Rejected
        | CommandState::Cancelled
        | CommandState::Superseded
        | CommandState::Expired => "it had ended",
    }
}

fn facts(now: Timestamp, command: &Command) -> Vec<(&'static str, String)> {
    let moment = |at: Timestamp| local(now, at);
    let mut facts = vec![
        ("command", command.id.to_string()),
        ("device", command.device.to_string()),
        ("name", clean(&command.name)),
    ];
    facts.extend([
        ("params", compact(&command.params)),
        ("state", stage(command)),
        ("created", created(now, command)),
    ]);
    facts.extend(command.not_before.map(|at| ("not before", moment(at))));
    if !command.state.is_final() {
        facts.push(("deliver by", moment(command.deliver_by)));
        facts.extend(command.finish_by.map(|at| ("finish by", moment(at))));
    }
    facts.extend(command.batch.as_ref().map(|batch| ("batch", clean(batch))));
    facts
}

fn created(now: Timestamp, command: &Command) -> String {
    let at = local(now, command.created_at);
    match &command.created_by {
        Some(user) => format!("{at} by {}", clean(user)),
        None => at,
    }
}
