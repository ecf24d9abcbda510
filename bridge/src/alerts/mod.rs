//! Alerts: what is wrong, once for each device, severity and code, until it is cleared.
//!
//! Raised by devices ([`Alerts::event`]), by rules ([`Alerts::telemetry`], [`Alerts::presence`],
//! [`Alerts::tick`]; see `watch`) and by commands that fail ([`Alerts::command`]; see `command`); acknowledged
//! and cleared by people. What follows is written in the `book`. [`Alerts::take_changes`] gives each change in
//! order, to be told, and [`Alerts::take_forgotten`] what is no longer kept.

mod book;
mod command;
mod rule;
mod watch;

pub use rule::{BadRule, Condition, Rule, Side, is_code};

use crate::data::Metrics;
use book::{Book, Cause, Key, Verdict};
use protocol::{
    Actor, Alert, AlertFigures, AlertId, AlertState, Command, DeviceEvent, DeviceId, Severity,
    Status, Timestamp,
};
use serde_json::Value;
use watch::Watch;

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

/// All alerts.
#[derive(Debug)]
pub struct Alerts {
    commands: Option<Severity>,
    watch: Watch,
    book: Book,
}

impl Alerts {
    /// No alerts yet.
    #[must_use]
    pub fn new(limits: AlertLimits, settings: AlertSettings) -> Self {
        let AlertSettings { rules, commands } = settings;
        Self { commands, watch: Watch::new(rules), book: Book::new(limits) }
    }

    /// Takes back alerts as they were kept; `kind_of` gives the type of a device. Those whose rule is no more are
    /// cleared: nothing a device says would.
    pub fn restore<'a>(
        &mut self,
        now: Timestamp,
        kept: Vec<Alert>,
        kind_of: impl Fn(&DeviceId) -> Option<&'a str>,
    ) {
        let mut without_rule = Vec::new();
        for alert in kept.iter().filter(|alert| alert.state != AlertState::Cleared) {
            if !self.watch.restore(alert, kind_of(&alert.device)) {
                without_rule.push(alert.id);
            }
        }
        self.book.restore(kept);
        without_rule.into_iter().for_each(|id| self.book.clear_without_rule(now, id));
    }

    /// A device said that something is wrong, or no longer.
    pub fn event(&mut self, now: Timestamp, device: &DeviceId, event: DeviceEvent) {
        let DeviceEvent { severity, code, message, data, clear } = event;
        let key = Key { device: device.clone(), severity, code };
        if clear {
            self.book.clear(now, &key, &Actor::Device);
        } else {
            let data = Value::Object(data.unwrap_or_default());
            self.book.raise(now, Cause { key, message, data });
        }
    }

    /// Whether some rule is about metrics.
    #[must_use]
    pub fn watches_metrics(&self) -> bool {
        self.watch.has_thresholds()
    }

    /// A device of type `kind` said new values. What lasted until now is raised first, though they may end it.
    pub fn telemetry(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<&str>,
        metrics: &Metrics,
    ) {
        self.tick(now);
        let verdicts = self.watch.telemetry(now, device, kind, metrics);
        self.follow(now, verdicts);
    }

    /// A device of type `kind` is online or offline since `since`; call it when one of these changes. What lasted
    /// until now is raised first.
    pub fn presence(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<&str>,
        status: Status,
        since: Timestamp,
    ) {
        self.tick(now);
        let verdicts = self.watch.presence(device, kind, status, since);
        self.follow(now, verdicts);
    }

    /// A device has another type than before. What lasted until now is raised first.
    pub fn kind_changed(&mut self, now: Timestamp, device: &DeviceId, kind: Option<&str>) {
        self.tick(now);
        let verdicts = self.watch.kind_changed(device, kind);
        self.follow(now, verdicts);
    }

    /// A command changed its state.
    pub fn command(&mut self, now: Timestamp, command: &Command) {
        if let Some(severity) = self.commands {
            self.follow(now, command::verdicts(command, severity));
        }
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
        self.book.acknowledge(now, id, user)
    }

    /// Somebody says that the cause of an alert is gone.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn clear(&mut self, now: Timestamp, id: AlertId, user: &str) -> Result<Alert, AlertError> {
        self.book.clear_one(now, id, user)
    }

    /// A device was deleted: nothing is wrong with it any more.
    pub fn device_gone(&mut self, now: Timestamp, device: &DeviceId) {
        self.watch.device_gone(device);
        self.book.clear_all_of(now, device);
    }

    /// The changes since the last call, in order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.book.take_changes()
    }

    /// The alerts that are no longer kept, since the last call.
    pub fn take_forgotten(&mut self) -> Vec<AlertId> {
        self.book.take_forgotten()
    }

    /// The store has `alert`, a change that was taken: from now on it is listed and counted like this.
    pub fn stored(&mut self, alert: &Alert) {
        self.book.note_stored(alert);
    }

    /// One alert as it is, stored or not.
    #[must_use]
    pub fn get(&self, id: AlertId) -> Option<&Alert> {
        self.book.get(id)
    }

    /// Alerts as they are stored ([`Alerts::stored`]), the newest first, from the one raised before `before` on.
    pub fn list(&self, before: Option<AlertId>) -> impl Iterator<Item = &Alert> {
        self.book.list(before)
    }

    /// How many are not cleared, as they are stored.
    #[must_use]
    pub fn figures(&self) -> AlertFigures {
        self.book.figures()
    }

    /// How many alerts were not raised, for there were too many.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.book.refused()
    }

    fn follow(&mut self, now: Timestamp, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            match verdict {
                Verdict::Raise(cause) => self.book.raise(now, cause),
                Verdict::Clear(key) => self.book.clear(now, &key, &Actor::Gateway),
            }
        }
    }
}

#[cfg(test)]
mod tests;
