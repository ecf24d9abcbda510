//! What the bridge watches over: alerts, what is desired of devices, and the audit log.

use super::{Bridge, channel};
use crate::{
    alerts::{self, AlertError, Alerts, Occasion},
    audit::{self, Deed, Party, Step},
    command::book::Effect,
    data::Data,
    hub::Sink,
    shadow::{self, DesireError, Expected},
};
use protocol::{
    Alert, AlertId, AlertState, Batch, BatchState, CommandDetails, Desired, DeviceEvent, DeviceId,
    DeviceState, Presence, Severity, Timestamp, TopicName,
};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};
use std::sync::Arc;

/// What is to be kept of it since the last call.
#[derive(Debug, Default)]
pub struct Watched {
    /// Alerts that changed, in order.
    pub alerts: Vec<alerts::Change>,
    /// Alerts that are no longer kept.
    pub forgotten: Vec<AlertId>,
    /// What is desired of devices.
    pub desired: Vec<shadow::Change>,
    /// Entries of the audit log.
    pub audit: Vec<audit::Change>,
}

impl<S: Sink> Bridge<S> {
    /// Writes something into the audit log.
    pub fn record(&mut self, now: Timestamp, deed: Deed<'_, impl Serialize>) {
        self.audit.record(now, deed);
    }

    /// The alerts, to look at.
    #[must_use]
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// How many entries of the audit log are kept.
    #[must_use]
    pub fn audit_count(&self) -> u64 {
        self.audit.count()
    }

    /// Somebody knows of an alert.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn acknowledge_alert(
        &mut self,
        now: Timestamp,
        id: AlertId,
        user: &str,
    ) -> Result<Alert, AlertError> {
        let alert = self.alerts.acknowledge(now, id, user);
        self.tell_alerts(now);
        alert
    }

    /// Somebody says that the cause of an alert is gone.
    ///
    /// # Errors
    /// [`AlertError`].
    pub fn clear_alert(
        &mut self,
        now: Timestamp,
        id: AlertId,
        user: &str,
    ) -> Result<Alert, AlertError> {
        let alert = self.alerts.clear(now, id, user);
        self.tell_alerts(now);
        alert
    }

    /// Something is desired of a device that is known.
    ///
    /// # Errors
    /// [`DesireError`].
    pub fn desire(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        desired: Map<String, Value>,
        expected: &Expected,
    ) -> Result<DeviceState, DesireError> {
        let state = self.shadows.desire(device, desired, expected)?;
        self.tell_state(now, device, &state);
        Ok(state)
    }

    /// What a device reports and what is desired of it.
    #[must_use]
    pub fn device_state(&self, device: &DeviceId) -> DeviceState {
        self.shadows.get(device)
    }

    /// The devices of which something is desired, and what.
    pub fn all_desired(&self) -> impl Iterator<Item = (&DeviceId, Desired)> {
        self.shadows.all_desired()
    }

    /// What is to be kept since the last call.
    pub fn take_watched(&mut self) -> Watched {
        Watched {
            alerts: std::mem::take(&mut self.alert_changes),
            forgotten: self.alerts.take_forgotten(),
            desired: self.shadows.take_changes(),
            audit: self.audit.take_changes(),
        }
    }

    /// Lets time pass for alerts; about every second.
    pub(super) fn look_for_alerts(&mut self, now: Timestamp) {
        self.alerts.tick(now);
        self.tell_alerts(now);
        let commands = &self.commands;
        self.steps.sweep(|id| commands.get(id).is_some());
        self.aborted.retain(|id| commands.batch(id).is_some());
    }

    pub(super) fn event(&mut self, now: Timestamp, device: &DeviceId, event: DeviceEvent) {
        self.alerts.event(now, device, event);
        self.tell_alerts(now);
    }

    /// Holds new values of a device against the rules.
    pub(super) fn measure(&mut self, now: Timestamp, device: &DeviceId, data: &Data) {
        let Data::Metrics(metrics) = data else { return };
        let kind = self.devices.get(device).and_then(|record| record.kind.as_deref());
        self.alerts.telemetry(now, device, kind, metrics);
        self.tell_alerts(now);
    }

    pub(super) fn reported(&mut self, now: Timestamp, device: &DeviceId, reported: Arc<RawValue>) {
        let state = self.shadows.reported(device, reported);
        self.tell_state(now, device, &state);
    }

    pub(super) fn watch_presence(&mut self, now: Timestamp, device: &DeviceId, told: &Presence) {
        let kind = self.devices.get(device).and_then(|record| record.kind.as_deref());
        self.alerts.presence(now, device, kind, told.status, told.since);
        self.tell_alerts(now);
    }

    /// A device's type was set, or the device is there again after a restart, under rules that may be new. What it
    /// said before is held against them as if it came now: it may say nothing more while that stands.
    pub(super) fn watch_kind(&mut self, now: Timestamp, device: &DeviceId) {
        let Some(record) = self.devices.get(device) else { return };
        let kind = record.kind.as_deref();
        self.alerts.kind_changed(now, device, kind);
        self.alerts.presence(now, device, kind, record.status(), record.since());
        if self.alerts.watches_metrics()
            && let Some(Data::Metrics(metrics)) = self.hub.value(&channel("telemetry", device))
        {
            self.alerts.telemetry(now, device, kind, metrics);
        }
        self.tell_alerts(now);
    }

    /// Records what is new with commands, and raises or clears alerts about them: when it is decided, so that
    /// it is kept together with the commands.
    pub(super) fn watch_commands(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Created(_, details) | Effect::Changed(_, details) => {
                    self.watch_command(details);
                }
                Effect::BatchChanged(batch) => self.watch_batch(batch),
                Effect::Send { .. }
                | Effect::AskCancel { .. }
                | Effect::Recall { .. }
                | Effect::AlertChanged(..)
                | Effect::Forget(_) => {}
            }
        }
    }

    /// Records once that a batch was given up; what users do with batches is recorded where they ask for it.
    fn watch_batch(&mut self, batch: &Batch) {
        let aborted = batch.state == BatchState::Aborted;
        if aborted && self.aborted.insert(batch.id.clone()) {
            let details = json!({"batch": batch.id, "total": batch.total, "counts": batch.counts});
            let now = self.ticked_at;
            let (by, action) = (Party::Gateway, "batch.aborted");
            self.audit.record(now, Deed { by, action, device: None, details });
        }
    }

    fn watch_command(&mut self, details: &CommandDetails) {
        let Some(now) = details.transitions.last().map(|step| step.at) else { return };
        let mut changed = false;
        for (kind, step) in self.steps.unseen(details) {
            self.audit.step(step.at, details, step);
            changed |= kind == Step::Change;
        }
        if changed {
            self.alerts.command(now, &details.command);
            self.tell_alerts(now);
        }
    }

    pub(super) fn watching_ends(&mut self, now: Timestamp, device: &DeviceId) {
        self.alerts.device_gone(now, device);
        self.tell_alerts(now);
        self.shadows.forget(device);
        for severity in Severity::ALL {
            self.hub.forget(&alert_channel(severity, device));
        }
    }

    /// Goes on with what was kept: what was desired but not told is told, and who is away is waited for.
    pub(super) fn watch_on(&mut self, now: Timestamp, desired: Vec<(DeviceId, Desired)>) {
        for (device, desired) in desired {
            if self.devices.get(&device).is_some() {
                self.shadows.restore_desired(device, desired);
            }
        }
        let devices: Vec<_> = self.devices.iter().map(|(device, _)| device.clone()).collect();
        for device in devices {
            let told = self.hub.value(&channel("state", &device)).and_then(read_state);
            let told = told.unwrap_or_default();
            if let Some(state) = self.shadows.restore_told(&device, &told) {
                self.tell_state(now, &device, &state);
            }
            self.watch_kind(now, &device);
        }
    }

    fn tell_state(&mut self, now: Timestamp, device: &DeviceId, state: &DeviceState) {
        self.publish(now, &channel("state", device), None, Data::of(state));
    }

    /// Lists and tells an alert as it was at `at`, once that is stored, the latter to those who watch its device.
    pub fn announce_alert(&mut self, now: Timestamp, at: Timestamp, alert: &Alert) {
        self.alerts.stored(alert);
        let name = alert_channel(alert.severity, &alert.device);
        self.publish(now, &name, Some(at), Data::of(alert));
        if self.devices.get(&alert.device).is_none() {
            self.hub.forget(&name);
        }
    }

    /// Goes on with the alerts that were kept; those that were not told as they are now will be.
    pub(super) fn restore_alerts(&mut self, now: Timestamp, kept: Vec<Alert>) {
        let mut untold: Vec<_> = kept.iter().filter_map(|alert| self.untold(alert)).collect();
        untold.sort_by_key(|(at, alert)| (*at, alert.id));
        self.alerts_untold.extend(untold);
        let kind_of = |device: &DeviceId| self.devices.get(device)?.kind.as_deref();
        self.alerts.restore(now, kept, kind_of);
        self.tell_alerts(now);
    }

    /// The alert and when it changed, where its channel's last word came before that.
    fn untold(&self, alert: &Alert) -> Option<(Timestamp, Alert)> {
        let changed = alert.cleared_at.or(alert.acknowledged_at).unwrap_or(alert.raised_at);
        let Some((at, told)) = self.hub.newest(&alert_channel(alert.severity, &alert.device))
        else {
            let stands = alert.state != AlertState::Cleared;
            return (stands && self.devices.get(&alert.device).is_some())
                .then(|| (changed, alert.clone()));
        };
        let Data::Json(json) = told else { return None };
        let told: Alert = serde_json::from_str(json.get()).ok()?;
        let is_older = if told.id == alert.id { told != *alert } else { changed > at };
        is_older.then(|| (changed.max(at), alert.clone()))
    }

    /// Has the changes of alerts kept, and told once they are.
    fn tell_alerts(&mut self, now: Timestamp) {
        for change in self.alerts.take_changes() {
            self.alerts_untold.push((now, change.alert.clone()));
            // Who counts up fast is written down and told elsewhere as often as it is asked for.
            match (self.alert_changes.last_mut(), change.occasion) {
                (Some(last), Occasion::Counted) if last.alert.id == change.alert.id => {
                    last.alert = change.alert;
                }
                _ => self.alert_changes.push(change),
            }
        }
    }
}

fn alert_channel(severity: Severity, device: &DeviceId) -> TopicName {
    format!("alerts/{severity}/{device}").parse().expect("ids make valid channels")
}

fn read_state(data: &Data) -> Option<DeviceState> {
    match data {
        Data::Json(json) => serde_json::from_str(json.get()).ok(),
        Data::Metrics(_) => None,
    }
}
