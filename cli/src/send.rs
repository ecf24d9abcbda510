//! `sluice send`: hands a command over, and follows it to its end where that is wanted.

mod ahead;

use crate::{
    Exit, Output,
    args::{Order, Waiting},
    command::{stage, summary},
    follow::{Followed, Following},
    gateway::Gateway,
    output::{Format, OutputError},
    text::{bar, clean, local, now, seconds},
};
use ahead::Ahead;
use anyhow::{Context, Result, bail};
use protocol::{
    Command, CommandDetails, CommandId, CommandRequest, CommandState, DryRun, Status, Update,
};
use serde_json::value::RawValue;
use tokio::time::Instant;

/// Sends the command that `order` describes.
pub(crate) async fn send(gateway: &Gateway, order: &Order, output: &mut Output) -> Result<Exit> {
    if order.dry_run {
        try_out(gateway, order, output).await
    } else if order.waiting.is_wanted() {
        send_and_follow(gateway, order, output).await
    } else {
        hand_over(gateway, order, output).await
    }
}

/// Says what would become of it.
async fn try_out(gateway: &Gateway, order: &Order, output: &mut Output) -> Result<Exit> {
    let raw: Box<RawValue> = gateway.command(&order.device, &order.request()).await?;
    let dry: DryRun = serde_json::from_str(raw.get())?;
    match output.format() {
        Format::Json => output.raw(&raw)?,
        Format::Text => {
            for line in outlook(&dry, order.request()) {
                output.line(&line)?;
            }
        }
    }
    Ok(if dry.valid && dry.allowed { Exit::Fine } else { Exit::Failed })
}

fn outlook(dry: &DryRun, request: CommandRequest) -> Vec<String> {
    let now = now();
    let later = request.not_before.filter(|at| *at > now);
    let taken = dry.valid && dry.allowed;
    let valid = if taken { "it would be accepted" } else { "it would be refused" };
    let mut lines = vec![valid.to_owned()];
    lines.extend(dry.errors.iter().map(|error| format!("  {}", clean(error))));
    let allowed = if dry.allowed { "may" } else { "may not" };
    lines.push(format!("{} {allowed} command the device", clean(&dry.user)));
    let before = match dry.position {
        0 => None,
        1 => Some("1 command of the device goes before it".to_owned()),
        before => Some(format!("{before} commands of the device go before it")),
    };
    match (later, dry.receiver) {
        (Some(at), _) => lines.push(format!("it would wait until {}", local(now, at))),
        (None, Status::Offline) => lines.push("the device is not receiving now".into()),
        (None, Status::Online) if before.is_none() => lines.push("it would be sent at once".into()),
        (None, Status::Online) => {}
    }
    lines.extend(before);
    lines.push(format!("it would expire unsent at {}", local(now, dry.deliver_by)));
    lines
}

async fn hand_over(gateway: &Gateway, order: &Order, output: &mut Output) -> Result<Exit> {
    let accepted = Accepted::offer(gateway, order).await?;
    match output.format() {
        Format::Json => output.raw(&accepted.raw)?,
        Format::Text => output.line(&summary(&accepted.command))?,
    }
    Ok(Exit::Fine)
}

/// Listens first and sends then, so that no step is missed.
async fn send_and_follow(gateway: &Gateway, order: &Order, output: &mut Output) -> Result<Exit> {
    let mut following = Following::start(gateway, format!("commands/{}", order.device)).await?;
    let accepted = Accepted::offer(gateway, order).await?;
    let id = accepted.command.id;
    let expects = order.request().expect.is_some();
    let (reached, ahead) = (accepted.command, Ahead::default());
    let mut sent =
        Sent { gateway, id, expects, begin: Instant::now(), shown: None, reached, ahead };
    sent.accepted(&accepted.raw, output)?;
    sent.follow(&mut following, order.waiting, output).await.with_context(|| goes_on(id))
}

fn goes_on(id: CommandId) -> String {
    format!("command {id} was accepted and goes on (look with 'sluice command explain {id}')")
}

/// A command as the gateway accepted it.
struct Accepted {
    raw: Box<RawValue>,
    command: Command,
}

impl Accepted {
    async fn offer(gateway: &Gateway, order: &Order) -> Result<Self> {
        let raw: Box<RawValue> = gateway.command(&order.device, &order.request()).await?;
        let command =
            serde_json::from_str(raw.get()).context("the gateway's command cannot be read")?;
        Ok(Self { raw, command })
    }
}

/// A command that is followed.
struct Sent<'a> {
    gateway: &'a Gateway,
    id: CommandId,
    /// It is to be verified after its success.
    expects: bool,
    begin: Instant,
    /// The stage that was printed last.
    shown: Option<String>,
    /// The newest that is known.
    reached: Command,
    /// What was shown of it before its channel told it.
    ahead: Ahead,
}

impl Sent<'_> {
    /// Prints the id; the stages come over the link, but an end that is known already is shown at once.
    fn accepted(&mut self, raw: &RawValue, output: &mut Output) -> Result<(), OutputError> {
        match output.format() {
            Format::Json => {
                output.raw(raw)?;
                self.ahead = Ahead::answered(&self.reached);
            }
            Format::Text => output.line(&format!("command {}", self.id))?,
        }
        if self.reached.state.is_final() {
            let ended = self.reached.clone();
            self.show_text(&ended, output)?;
        }
        Ok(())
    }

    async fn follow(
        &mut self,
        following: &mut Following,
        waiting: Waiting,
        output: &mut Output,
    ) -> Result<Exit> {
        following.until_done(self, waiting, output).await?;
        if !self.is_done() {
            let state = self.reached.state;
            output.note(&format!("still {state}: {}", goes_on(self.id)));
            return Ok(Exit::StillOpen);
        }
        Ok(Exit::after(self.reached.state, self.reached.verified))
    }

    fn saw(&mut self, command: Command, raw: &RawValue, output: &mut Output) -> Result<()> {
        match output.format() {
            Format::Json => output.raw(raw)?,
            Format::Text => self.show_text(&command, output)?,
        }
        self.reached = command;
        Ok(())
    }

    /// Progress is for the live line where that is seen, else it is a line each time.
    fn show_text(&mut self, command: &Command, output: &mut Output) -> Result<(), OutputError> {
        let progress = command.progress.filter(|_| !output.is_seen_live());
        let stage = stage(&Command { progress, ..command.clone() });
        if self.shown.as_ref() == Some(&stage) {
            return Ok(());
        }
        let elapsed = seconds(self.begin.elapsed());
        output.line(&format!("{elapsed:>9}  {stage}"))?;
        self.shown = Some(stage);
        Ok(())
    }
}

impl Followed for Sent<'_> {
    fn update(&mut self, update: &Update, output: &mut Output) -> Result<()> {
        let command: Command = serde_json::from_str(update.data.get())?;
        if command.id != self.id || !self.ahead.is_news(&command) {
            return Ok(());
        }
        self.saw(command, &update.data, output)
    }

    async fn catch_up(&mut self, output: &mut Output) -> Result<()> {
        let raw: Box<RawValue> = self.gateway.show(self.id).await?;
        let details: CommandDetails = serde_json::from_str(raw.get())?;
        if details.command.id != self.id {
            bail!("the gateway showed another command: {}", details.command.id);
        }
        self.ahead = Ahead::answered(&details.command);
        self.saw(details.command, &raw, output)
    }

    fn is_done(&self) -> bool {
        let Command { state, verified, .. } = &self.reached;
        let verifies = self.expects && *state == CommandState::Succeeded;
        state.is_final() && (!verifies || verified.is_some())
    }

    fn now(&self) -> String {
        let Command { state, progress, .. } = &self.reached;
        let waits = match state {
            CommandState::Scheduled => "waits for its time",
            CommandState::Queued => "waits for the device to receive, or for its turn",
            CommandState::Sent => "on its way",
            CommandState::Delivered => "the device has it",
            CommandState::Started => "the device works on it",
            CommandState::Cancelling => "the device is asked to give it up",
            CommandState::Succeeded => "waits for what is expected",
            CommandState::Failed
            | CommandState::Rejected
            | CommandState::Cancelled
            | CommandState::Superseded
            | CommandState::Expired
            | CommandState::TimedOut => "ended",
        };
        match progress {
            Some(percent) => format!("{}  {percent} %  {waits}", bar(percent / 100.0)),
            None => waits.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn says(dry: serde_json::Value, request: serde_json::Value) -> Vec<String> {
        let mut whole = json!({
            "valid": true, "errors": [], "receiver": "online", "position": 0, "deliver_by": 0,
            "user": "ada", "allowed": true,
        });
        for (key, value) in dry.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let (dry, request) = (serde_json::from_value(whole), serde_json::from_value(request));
        let mut lines = outlook(&dry.unwrap(), request.unwrap());
        assert!(lines.pop().unwrap().starts_with("it would expire unsent at "));
        lines
    }

    #[test]
    fn a_dry_run_reads_as_what_would_happen() {
        let plain = json!({"name": "set"});
        assert_eq!(
            says(json!({}), plain.clone()),
            ["it would be accepted", "ada may command the device", "it would be sent at once"]
        );
        let away = says(json!({"receiver": "offline", "position": 2}), plain.clone());
        let expected = ["the device is not receiving now", "2 commands of the device go before it"];
        assert_eq!(away[2..], expected);
        let forbidden = says(json!({"allowed": false}), plain.clone());
        assert_eq!(forbidden[..2], ["it would be refused", "ada may not command the device"]);
        let refused = json!({"valid": false, "errors": ["name ''"], "allowed": false});
        let refused = says(refused, plain);
        let expected = ["it would be refused", "  name ''", "ada may not command the device"];
        assert_eq!(refused[..3], expected);
        let later = says(json!({}), json!({"name": "set", "not_before": 9_999_999_999_999_i64}));
        assert!(later[2].starts_with("it would wait until "), "{later:?}");
    }
}
