//! `sluice desired`: what a device is wanted to be, beside what it reports.

use crate::{
    Exit, Output,
    args::{Desire, DesiredAction},
    follow::{Followed, Following},
    gateway::{CallError, Gateway},
    output::{Format, OutputError},
    text::{clean, compact},
};
use anyhow::{Context, Result, bail};
use protocol::{DeviceId, DeviceState, Update, equal};
use serde_json::{Map, Value, value::to_raw_value};

/// How often a change is tried that others come before: it is made to what they want, too.
const TRIES_MAX: u32 = 5;

/// Does what `action` asks.
pub(crate) async fn run(
    gateway: &Gateway,
    action: DesiredAction,
    output: &mut Output,
) -> Result<Exit> {
    match action {
        DesiredAction::Get { device } => {
            show(&gateway.desired(&device).await?, output)?;
            Ok(Exit::Fine)
        }
        DesiredAction::Set(desire) if desire.waiting.is_wanted() => {
            set_and_follow(gateway, &desire, output).await
        }
        DesiredAction::Set(desire) => {
            show(&set(gateway, &desire).await?, output)?;
            Ok(Exit::Fine)
        }
    }
}

/// Changes the newest version, or the one that was named.
async fn set(gateway: &Gateway, desire: &Desire) -> Result<DeviceState> {
    let device = &desire.device;
    for _ in 0..TRIES_MAX {
        let newest = gateway.desired(device).await?;
        if let Some(wanted) = desire.if_version.filter(|wanted| *wanted != newest.version) {
            bail!(
                "what is desired of {device} is at version {}, not {wanted}: look at it with 'sluice desired \
                 get {device}', then name that version",
                newest.version
            );
        }
        let desired = desire.applied_to(&newest)?;
        match gateway.desire(device, &desired, newest.version).await {
            Err(CallError::Refused(refused)) if refused.code == "precondition_failed" => {}
            changed => return Ok(changed?),
        }
    }
    bail!("what is desired of {device} was changed by others {TRIES_MAX} times in a row: try again")
}

impl Desire {
    /// What is wanted once this is done to `newest`.
    fn applied_to(&self, newest: &DeviceState) -> Result<Map<String, Value>> {
        let mut desired = Map::new();
        if !self.replace {
            desired = serde_json::from_str(newest.desired.get())
                .context("what the gateway says is desired is no object")?;
        }
        desired.retain(|key, _| !self.remove.contains(key));
        desired.extend(self.object.clone().unwrap_or_default());
        desired.extend(self.pairs.iter().cloned());
        Ok(desired)
    }
}

fn show(state: &DeviceState, output: &mut Output) -> Result<(), OutputError> {
    match output.format() {
        Format::Json => match to_raw_value(state) {
            Ok(raw) => output.raw(&raw),
            Err(error) => output.line(&error.to_string()),
        },
        Format::Text => lines(state).iter().try_for_each(|line| output.line(line)),
    }
}

fn lines(state: &DeviceState) -> Vec<String> {
    let value = |raw: &str| serde_json::from_str(raw).unwrap_or_default();
    let (desired, reported): (Value, Value) =
        (value(state.desired.get()), value(state.reported.get()));
    let mut lines = vec![
        format!("version    {}", state.version),
        format!("desired    {}", compact(&desired)),
        format!("reported   {}", compact(&reported)),
        format!("in sync    {}", if state.in_sync { "yes" } else { "no" }),
    ];
    lines.extend(differences(&desired, &reported).into_iter().filter(|_| !state.in_sync));
    lines
}

/// The members that the device does not report as they are wanted.
fn differences(desired: &Value, reported: &Value) -> Vec<String> {
    let wanted = desired.as_object().into_iter().flatten();
    let is_reported = |key: &str, value| reported.get(key).is_some_and(|is| equal(is, value));
    let differs = wanted.filter(|(key, value)| !is_reported(key, value));
    let line = |(key, value): (&String, &Value)| {
        let is = reported.get(key).map_or_else(|| "nothing".into(), compact);
        format!("  {}: {} is wanted, {is} is reported", clean(key), compact(value))
    };
    differs.map(line).collect()
}

/// Listens first and changes then, so that no report is missed.
async fn set_and_follow(gateway: &Gateway, desire: &Desire, output: &mut Output) -> Result<Exit> {
    let device = &desire.device;
    let mut following = Following::start(gateway, format!("state/{device}")).await?;
    let state = set(gateway, desire).await?;
    show(&state, output)?;
    let goes_on = format!("version {} is desired of {device}", state.version);
    let mut wanted = Wanted { gateway, device, shown: lines(&state), state };
    following.until_done(&mut wanted, desire.waiting, output).await.context(goes_on)?;
    if wanted.is_done() {
        return Ok(Exit::Fine);
    }
    output.note(&format!("{device} does not report it yet"));
    Ok(Exit::StillOpen)
}

/// A desired state that is followed until the device reports it.
struct Wanted<'a> {
    gateway: &'a Gateway,
    device: &'a DeviceId,
    shown: Vec<String>,
    state: DeviceState,
}

impl Wanted<'_> {
    /// What comes of an older version was on its way when we changed it.
    fn saw(&mut self, state: DeviceState, output: &mut Output) -> Result<()> {
        let lines = lines(&state);
        if state.version < self.state.version || lines == self.shown {
            return Ok(());
        }
        show(&state, output)?;
        (self.shown, self.state) = (lines, state);
        Ok(())
    }
}

impl Followed for Wanted<'_> {
    fn update(&mut self, update: &Update, output: &mut Output) -> Result<()> {
        self.saw(serde_json::from_str(update.data.get())?, output)
    }

    async fn catch_up(&mut self, output: &mut Output) -> Result<()> {
        self.saw(self.gateway.desired(self.device).await?, output)
    }

    fn is_done(&self) -> bool {
        self.state.in_sync
    }

    fn now(&self) -> String {
        format!("{} does not report it yet", self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_is_reported_as_wanted_however_it_is_written() {
        let wanted = json!({"limit": 20, "range": [1, 2], "mode": "eco"});
        let told = differences(&wanted, &json!({"limit": 20.0, "range": [1.0, 2.0], "rpm": 5}));
        assert_eq!(told, ["  mode: eco is wanted, nothing is reported"]);
    }
}
