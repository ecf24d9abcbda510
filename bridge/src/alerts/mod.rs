//! Alerts: what is wrong, once for each device, severity and code, until it is cleared.
//!
//! Raised by devices ([`Alerts::event`]), by rules ([`Alerts::telemetry`], [`Alerts::presence`],
//! [`Alerts::tick`]; see `watch`) and by commands that fail ([`Alerts::command`]); acknowledged and cleared
//! by people. [`Alerts::take_changes`] gives each change in order, to be told, and
//! [`Alerts::take_forgotten`] what is no longer kept.

mod rule;
mod watch;

pub use rule::{BadRule, Condition, Rule, Side, is_code};

use crate::data::Metrics;
use protocol::{
    Actor, Alert, AlertFigures, AlertId, AlertState, Command, CommandState, DeviceEvent, DeviceId,
    Severity, Status, Timestamp,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
};
use watch::{Verdict, Watch};

/// Bounds of the alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertLimits {
    /// Alerts in all that are not cleared.
    pub open: usize,
    /// Of these, those of one device.
    pub open_per_device: usize,
    /// Cleared alerts that are kept, the newest.
    pub cleared_kept: usize,
}

/// What raises alerts beside devices' events.
#[derive(Clone, Debug, Default)]
pub struct AlertSettings {
    /// The rules.
    pub rules: Vec<Rule>,
    /// How bad a command is that failed or timed out; none: no alert.
    pub commands: Option<Severity>,
}

/// What became of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It is new.
    Raised,
    /// It was raised again.
    Counted,
    /// Somebody knows of it.
    Acknowledged,
    /// Its cause is gone.
    Cleared,
}

/// A change of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What happened.
    pub occasion: Occasion,
    /// The alert as it is now.
    pub alert: Alert,
}

/// Why an alert was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertError {
    /// No such alert.
    #[error("there is no alert '{0}'")]
    Unknown(AlertId),
    /// It is cleared.
    #[error("alert '{0}' is cleared already")]
    AlreadyCleared(AlertId),
}

/// What tells alerts apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    device: DeviceId,
    severity: Severity,
    code: String,
}

/// What an alert says.
#[derive(Debug)]
struct Cause {
    key: Key,
    message: String,
    data: Value,
}

/// All alerts.
#[derive(Debug)]
pub struct Alerts {
    limits: AlertLimits,
    commands: Option<Severity>,
    watch: Watch,
    entries: BTreeMap<AlertId, Alert>,
    open: HashMap<Key, AlertId>,
    open_of: HashMap<DeviceId, usize>,
    cleared: VecDeque<AlertId>,
    /// Tells alerts of one millisecond apart.
    ordinal: u64,
    refused: u64,
    changes: Vec<Change>,
    forgotten: Vec<AlertId>,
}

impl Alerts {
    /// No alerts yet.
    #[must_use]
    pub fn new(limits: AlertLimits, settings: AlertSettings) -> Self {
        let AlertSettings { rules, commands } = settings;
        Self {
            limits,
            commands,
            watch: Watch::new(rules),
            entries: BTreeMap::new(),
            open: HashMap::new(),
            open_of: HashMap::new(),
            cleared: VecDeque::new(),
            ordinal: 0,
            refused: 0,
            changes: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    /// Takes back alerts as they were kept. What rules of the configuration raised and no rule says any
    /// more stays until somebody clears it.
    pub fn restore(&mut self, mut kept: Vec<Alert>) {
        kept.sort_by_key(|alert| (alert.cleared_at, alert.id));
        for alert in kept {
            match alert.state {
                AlertState::Cleared => self.cleared.push_back(alert.id),
                AlertState::Active | AlertState::Acknowledged => {
                    *self.open_of.entry(alert.device.clone()).or_default() += 1;
                    self.open.insert(key_of(&alert), alert.id);
                    self.watch.restore(&alert.device, alert.severity, &alert.code);
                }
            }
            self.entries.insert(alert.id, alert);
        }
        self.forget_cleared();
    }

    /// A device said that something is wrong, or no longer.
    pub fn event(&mut self, now: Timestamp, device: &DeviceId, event: DeviceEvent) {
        let DeviceEvent { severity, code, message, data, clear } = event;
        let key = Key { device: device.clone(), severity, code };
        if clear {
            self.clear_key(now, &key, &Actor::Device);
        } else {
            let data = Value::Object(data.unwrap_or_default());
            self.raise(now, Cause { key, message, data });
        }
    }

    /// Whether some rule is about metrics.
    #[must_use]
    pub fn watches_metrics(&self) -> bool {
        self.watch.has_thresholds()
    }

    /// A device of type `kind` said new values.
    pub fn telemetry(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<&str>,
        metrics: &Metrics,
    ) {
        let verdicts = self.watch.telemetry(now, device, kind, metrics);
        self.follow(now, verdicts);
    }

    /// A device of type `kind` is online or offline since `since`; call it when one of these changes.
    pub fn presence(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<&str>,
        status: Status,
        since: Timestamp,
    ) {
        let verdicts = self.watch.presence(device, kind, status, since);
        self.follow(now, verdicts);
    }

    /// A device has another type than before.
    pub fn kind_changed(&mut self, now: Timestamp, device: &DeviceId, kind: Option<&str>) {
        let verdicts = self.watch.kind_changed(device, kind);
        self.follow(now, verdicts);
    }

    /// A command changed its state.
    pub fn command(&mut self, now: Timestamp, command: &Command) {
        let Some(severity) = self.commands else { return };
        let raised = match command.state {
            CommandState::Failed => "failed",
            CommandState::TimedOut => "timed_out",
            CommandState::Succeeded => {
                for ended in ["failed", "timed_out"] {
                    let key = command_key(command, severity, ended);
                    self.clear_key(now, &key, &Actor::Gateway);
                }
                return;
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
            | CommandState::Expired => return,
        };
        if command.late {
            // It timed out before, and now it is known how it ended.
            let key = command_key(command, severity, "timed_out");
            self.clear_key(now, &key, &Actor::Gateway);
        }
        let message = match (&command.error, command.state) {
            (Some(error), CommandState::Failed) => {
                format!("command {} failed: {}", command.name, error.message)
            }
            (_, state) => format!("command {} {}", command.name, state.name().replace('_', " ")),
        };
        let data = json!({"command": command.id, "name": command.name, "error": command.error});
        self.raise(now, Cause { key: command_key(command, severity, raised), message, data });
    }

    /// Lets time pass: what lasted long enough is raised. Call it about every second.
    pub fn tick(&mut self, now: Timestamp) {
        let verdicts = self.watch.tick(now);
        self.follow(now, verdicts);
    }

    /// Somebody knows of an alert. Who was first stays.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn acknowledge(
        &mut self,
        now: Timestamp,
        id: AlertId,
        user: &str,
    ) -> Result<Alert, AlertError> {
        let alert = self.entries.get_mut(&id).ok_or(AlertError::Unknown(id))?;
        match alert.state {
            AlertState::Cleared => return Err(AlertError::AlreadyCleared(id)),
            AlertState::Acknowledged => {}
            AlertState::Active => {
                alert.state = AlertState::Acknowledged;
                alert.acknowledged_at = Some(now);
                alert.acknowledged_by = Some(user.into());
                let alert = alert.clone();
                self.changes.push(Change { occasion: Occasion::Acknowledged, alert });
            }
        }
        Ok(self.entries[&id].clone())
    }

    /// Somebody says that the cause of an alert is gone.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn clear(&mut self, now: Timestamp, id: AlertId, user: &str) -> Result<Alert, AlertError> {
        let alert = self.entries.get(&id).ok_or(AlertError::Unknown(id))?;
        if alert.state == AlertState::Cleared {
            return Err(AlertError::AlreadyCleared(id));
        }
        self.close(now, id, Actor::User(user.into()));
        // The bound on cleared alerts may be zero.
        let told = self.changes.last().expect("it was just cleared");
        Ok(told.alert.clone())
    }

    /// A device was deleted: nothing is wrong with it any more.
    pub fn device_gone(&mut self, now: Timestamp, device: &DeviceId) {
        self.watch.device_gone(device);
        let of_device = |(key, _): &(&Key, &AlertId)| key.device == *device;
        let mut open: Vec<_> = self.open.iter().filter(of_device).map(|(_, id)| *id).collect();
        open.sort_unstable();
        for id in open {
            self.close(now, id, Actor::Gateway);
        }
    }

    /// The changes since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The alerts that are no longer kept, since the last call.
    pub fn take_forgotten(&mut self) -> Vec<AlertId> {
        std::mem::take(&mut self.forgotten)
    }

    /// One alert.
    #[must_use]
    pub fn get(&self, id: AlertId) -> Option<&Alert> {
        self.entries.get(&id)
    }

    /// Alerts, the newest first, from the one raised before `before` on.
    pub fn list(&self, before: Option<AlertId>) -> impl Iterator<Item = &Alert> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range((Bound::Unbounded, end)).rev().map(|(_, alert)| alert)
    }

    /// How many are not cleared.
    #[must_use]
    pub fn figures(&self) -> AlertFigures {
        let mut figures = AlertFigures::default();
        for id in self.open.values() {
            let alert = &self.entries[id];
            match alert.state {
                AlertState::Active => figures.active += 1,
                AlertState::Acknowledged => figures.acknowledged += 1,
                AlertState::Cleared => {}
            }
            match alert.severity {
                Severity::Info => figures.info += 1,
                Severity::Warning => figures.warning += 1,
                Severity::Critical => figures.critical += 1,
            }
        }
        figures
    }

    /// How many alerts were not raised, for there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn follow(&mut self, now: Timestamp, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            match verdict {
                Verdict::Raise { device, severity, code, message, data } => {
                    let key = Key { device, severity, code };
                    self.raise(now, Cause { key, message, data });
                }
                Verdict::Clear { device, severity, code } => {
                    self.clear_key(now, &Key { device, severity, code }, &Actor::Gateway);
                }
            }
        }
    }

    fn raise(&mut self, now: Timestamp, cause: Cause) {
        let Cause { key, message, data } = cause;
        if let Some(id) = self.open.get(&key) {
            let alert = self.entries.get_mut(id).expect("an open alert is kept");
            alert.count += 1;
            (alert.message, alert.data) = (message, data);
            let alert = alert.clone();
            return self.changes.push(Change { occasion: Occasion::Counted, alert });
        }
        let of_device = self.open_of.get(&key.device).copied().unwrap_or(0);
        if self.open.len() >= self.limits.open || of_device >= self.limits.open_per_device {
            self.refused += 1;
            return;
        }
        let alert = Alert {
            id: self.next_id(now),
            device: key.device.clone(),
            severity: key.severity,
            code: key.code.clone(),
            message,
            data,
            state: AlertState::Active,
            count: 1,
            raised_at: now,
            acknowledged_at: None,
            acknowledged_by: None,
            cleared_at: None,
            cleared_by: None,
        };
        *self.open_of.entry(key.device.clone()).or_default() += 1;
        self.open.insert(key, alert.id);
        self.entries.insert(alert.id, alert.clone());
        self.changes.push(Change { occasion: Occasion::Raised, alert });
    }

    fn next_id(&mut self, now: Timestamp) -> AlertId {
        loop {
            self.ordinal += 1;
            let id = AlertId::new(now, self.ordinal);
            if !self.entries.contains_key(&id) {
                return id;
            }
        }
    }

    fn clear_key(&mut self, now: Timestamp, key: &Key, by: &Actor) {
        if let Some(id) = self.open.get(key).copied() {
            self.close(now, id, by.clone());
        }
    }

    fn close(&mut self, now: Timestamp, id: AlertId, by: Actor) {
        let alert = self.entries.get_mut(&id).expect("callers looked it up");
        alert.state = AlertState::Cleared;
        alert.cleared_at = Some(now);
        alert.cleared_by = Some(by);
        let alert = alert.clone();
        self.open.remove(&key_of(&alert));
        if let Some(count) = self.open_of.get_mut(&alert.device) {
            *count -= 1;
            if *count == 0 {
                self.open_of.remove(&alert.device);
            }
        }
        self.cleared.push_back(id);
        self.changes.push(Change { occasion: Occasion::Cleared, alert });
        self.forget_cleared();
    }

    fn forget_cleared(&mut self) {
        while self.cleared.len() > self.limits.cleared_kept {
            let Some(id) = self.cleared.pop_front() else { return };
            self.entries.remove(&id);
            self.forgotten.push(id);
        }
    }
}

fn key_of(alert: &Alert) -> Key {
    let Alert { device, severity, code, .. } = alert;
    Key { device: device.clone(), severity: *severity, code: code.clone() }
}

/// Commands of one name have one alert for each way to fail.
fn command_key(command: &Command, severity: Severity, ended: &str) -> Key {
    let code = format!("command_{ended}:{}", command.name);
    Key { device: command.device.clone(), severity, code }
}

#[cfg(test)]
mod tests;
