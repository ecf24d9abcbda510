//! `sluice alerts`: what is wrong, who knows of it, and each change of it.

use crate::{
    Exit, Output,
    args::{AlertAction, AlertQuery},
    client::{Event, Incoming, Link, Said},
    gateway::{Gateway, Refused},
    output::{Format, OutputError},
    pages::Pages,
    table,
    text::{ago, clean, compact, local, now, seconds},
};
use anyhow::{Context, Result};
use comfy_table::{Cell, Color};
use protocol::{
    Actor, Alert, AlertId, AlertState, Reply, Severity, SubscribeOptions, Timestamp, Update,
};
use serde_json::{Map, Value, value::RawValue};
use std::collections::HashMap;

/// Does what `action` asks, or lists.
pub(crate) async fn run(
    gateway: &Gateway,
    query: &AlertQuery,
    action: Option<AlertAction>,
    output: &mut Output,
) -> Result<Exit> {
    match action {
        Some(AlertAction::Ack { ids }) => change(gateway, "ack", &ids, output).await,
        Some(AlertAction::Clear { ids }) => change(gateway, "clear", &ids, output).await,
        None if query.watch => watch(gateway, query, output).await,
        None => list(gateway, query, output).await,
    }
}

impl AlertQuery {
    /// Whether an alert is one of those that were asked for.
    fn takes(&self, alert: &Alert) -> bool {
        let by_default = self.all || self.watch || alert.state != AlertState::Cleared;
        self.state.map_or(by_default, |state| state == alert.state)
            && self.severity.is_none_or(|severity| severity == alert.severity)
            && self.device.as_ref().is_none_or(|device| *device == alert.device)
    }

    fn channel(&self) -> String {
        let severity = self.severity.map_or("+", Severity::name);
        format!("alerts/{severity}/{}", self.device.as_ref().map_or("+", |device| device.as_str()))
    }
}

/// An alert, and how the gateway wrote it.
struct Found {
    raw: Box<RawValue>,
    alert: Alert,
}

fn read(raw: Box<RawValue>) -> Result<Found> {
    let alert = serde_json::from_str(raw.get()).context("the gateway's alert cannot be read")?;
    Ok(Found { raw, alert })
}

/// Those that were asked for, the newest first.
async fn listed(gateway: &Gateway, query: &AlertQuery) -> Result<Vec<Found>> {
    let all = Pages::new(gateway, "alerts", query.pairs()).all::<Box<RawValue>>().await?;
    let mut found: Vec<Found> = all.into_iter().map(read).collect::<Result<_>>()?;
    found.retain(|found| query.takes(&found.alert));
    Ok(found)
}

async fn list(gateway: &Gateway, query: &AlertQuery, output: &mut Output) -> Result<Exit> {
    let found = listed(gateway, query).await?;
    match output.format() {
        Format::Json => found.iter().try_for_each(|found| output.raw(&found.raw))?,
        Format::Text if found.is_empty() => output.note("no alerts"),
        Format::Text => print(&found, output)?,
    }
    Ok(Exit::Fine)
}

fn print(found: &[Found], output: &mut Output) -> Result<(), OutputError> {
    let now = now();
    let rows = found.iter().map(|found| row(now, &found.alert));
    table::print(["ID", "SEVERITY", "DEVICE", "RAISED", "STATE", "ALERT"], rows, output)
}

fn row(now: Timestamp, alert: &Alert) -> [Cell; 6] {
    [
        Cell::new(alert.id),
        Cell::new(alert.severity).fg(color(alert.severity)),
        Cell::new(&alert.device),
        Cell::new(ago(now, alert.raised_at)),
        Cell::new(state(alert)),
        Cell::new(what(alert)),
    ]
}

fn color(severity: Severity) -> Color {
    match severity {
        Severity::Info => Color::Cyan,
        Severity::Warning => Color::Yellow,
        Severity::Critical => Color::Red,
    }
}

/// Its state, and who brought it there.
fn state(alert: &Alert) -> String {
    let by = match alert.state {
        AlertState::Active => None,
        AlertState::Acknowledged => alert.acknowledged_by.clone(),
        AlertState::Cleared => alert.cleared_by.clone().map(name),
    };
    let by = by.map(|by| format!(" by {}", clean(&by))).unwrap_or_default();
    format!("{}{by}", alert.state)
}

fn name(actor: Actor) -> String {
    match actor {
        Actor::User(name) => name,
        Actor::Device | Actor::Timer | Actor::Gateway => actor.into(),
    }
}

/// What it is: its code and message, how often, and its data.
fn what(alert: &Alert) -> String {
    let mut what = clean(&alert.code);
    if !alert.message.is_empty() {
        what += &format!(": {}", clean(&alert.message));
    }
    if alert.count > 1 {
        what += &format!(" ({} times)", alert.count);
    }
    let known = alert.data.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let known: Map<_, _> = known.map(|(key, value)| (key.clone(), readable(key, value))).collect();
    if !known.is_empty() {
        what += &format!("  {}", compact(&Value::Object(known)));
    }
    what
}

/// Since when it is so reads as a time: what the gateway's own rules say, and any device that says it the same way.
fn readable(key: &str, value: &Value) -> Value {
    let at = value.as_i64().filter(|at| key == "since" && *at >= YEAR_2000);
    at.map_or_else(|| value.clone(), |at| local(now(), Timestamp(at)).into())
}

/// No alert is older; a smaller number is something else.
const YEAR_2000: i64 = 946_684_800_000;

async fn change(
    gateway: &Gateway,
    change: &str,
    ids: &[AlertId],
    output: &mut Output,
) -> Result<Exit> {
    for id in ids {
        let changed = read(gateway.change_alert(*id, change).await?)?;
        match output.format() {
            Format::Json => output.raw(&changed.raw)?,
            Format::Text => output.line(&line(&changed.alert))?,
        }
    }
    Ok(Exit::Fine)
}

fn line(alert: &Alert) -> String {
    let Alert { severity, device, .. } = alert;
    format!("{}  {severity}  {device}  {}  {}", alert.id, state(alert), what(alert))
}

/// Prints those that stand, then each change, until Ctrl-C.
async fn watch(gateway: &Gateway, query: &AlertQuery, output: &mut Output) -> Result<Exit> {
    // A channel has only the alert of its device that changed last: those that stand are listed.
    let options = SubscribeOptions { snapshot: Some(false), ..SubscribeOptions::default() };
    let link = Link::new(gateway.endpoint.clone(), vec![query.channel().parse()?], options);
    let mut watch = Watch { gateway, query, output, standing: None };
    tokio::select! {
        ended = watch.run(link) => ended.map(|()| Exit::Fine),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted.map(|()| Exit::Fine)?),
    }
}

struct Watch<'a> {
    gateway: &'a Gateway,
    query: &'a AlertQuery,
    output: &'a mut Output,
    /// Those that stood at the beginning, once they were listed.
    standing: Option<HashMap<AlertId, Alert>>,
}

impl Watch<'_> {
    async fn run(&mut self, mut link: Link) -> Result<()> {
        loop {
            match link.next().await? {
                Event::Connected { .. } => self.output.note("watching alerts"),
                Event::Lost { broken, wait } => {
                    self.output.note(&format!("{broken}; trying again in {}", seconds(wait)));
                }
                Event::Said(frame) => {
                    for incoming in frame {
                        self.said(incoming).await?;
                    }
                }
            }
        }
    }

    async fn said(&mut self, incoming: Incoming) -> Result<()> {
        match incoming.message {
            Said::Update(update) => self.changed(update)?,
            Said::Reply(Reply::Live { .. }) if self.standing.is_none() => self.list().await?,
            Said::Reply(Reply::Error { code, message, .. }) => {
                return Err(Refused { code, detail: message }.into());
            }
            Said::Reply(Reply::Reset { .. }) => {
                self.output.note("some changes were missed: 'sluice alerts' lists how it stands");
            }
            Said::Reply(_) | Said::Unknown => {}
        }
        Ok(())
    }

    /// Prints those that stand, the oldest first. Asked once it is listened to, so no change is missed.
    async fn list(&mut self) -> Result<()> {
        let mut standing = listed(self.gateway, self.query).await?;
        standing.retain(|found| found.alert.state != AlertState::Cleared);
        for found in standing.iter().rev() {
            print_change(found, found.alert.raised_at, self.output)?;
        }
        let known = standing.into_iter().map(|Found { alert, .. }| (alert.id, alert));
        self.standing = Some(known.collect());
        Ok(())
    }

    fn changed(&mut self, update: Update) -> Result<()> {
        let found = read(update.data)?;
        // After a reset the values follow: one that was cleared long ago is no news.
        let old = update.snapshot && found.alert.state == AlertState::Cleared;
        let listed = self.standing.as_mut().and_then(|known| known.remove(&found.alert.id));
        if self.query.takes(&found.alert) && !old && listed.as_ref() != Some(&found.alert) {
            print_change(&found, update.timestamp, self.output)?;
        }
        Ok(())
    }
}

fn print_change(found: &Found, at: Timestamp, output: &mut Output) -> Result<(), OutputError> {
    match output.format() {
        Format::Json => output.raw(&found.raw),
        Format::Text => output.line(&format!("{}  {}", local(now(), at), line(&found.alert))),
    }
}
