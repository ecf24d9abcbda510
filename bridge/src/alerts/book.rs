//! The book of alerts: which are open and which cleared, within their bounds. Why one is raised is decided by
//! others; here it is told apart from others, counted, closed and at last forgotten.

use super::{AlertError, AlertLimits, Change, Occasion};
use protocol::{Actor, Alert, AlertFigures, AlertId, AlertState, DeviceId, Severity, Timestamp};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
};

/// What is said of an alert that is cleared because of that.
const RULE_GONE: &str = " (cleared: its rule is no longer in the configuration)";

/// What tells alerts apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) device: DeviceId,
    pub(super) severity: Severity,
    pub(super) code: String,
}

impl Key {
    fn of(alert: &Alert) -> Self {
        let Alert { device, severity, code, .. } = alert;
        Self { device: device.clone(), severity: *severity, code: code.clone() }
    }
}

/// What an alert says.
#[derive(Debug, PartialEq)]
pub(super) struct Cause {
    pub(super) key: Key,
    pub(super) message: String,
    pub(super) data: Value,
}

/// What follows for an alert from what was seen.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is to be raised.
    Raise(Cause),
    /// It is over.
    Clear(Key),
}

#[derive(Debug)]
pub(super) struct Book {
    limits: AlertLimits,
    entries: BTreeMap<AlertId, Alert>,
    /// Those that are not stored as they are, as they were stored last; none: never.
    unstored: HashMap<AlertId, Option<Alert>>,
    open: HashMap<Key, AlertId>,
    open_of: HashMap<DeviceId, usize>,
    /// In the order in which they were cleared.
    cleared: VecDeque<AlertId>,
    /// Tells alerts of one millisecond apart.
    ordinal: u64,
    refused: u64,
    changes: Vec<Change>,
    forgotten: Vec<AlertId>,
}

impl Book {
    pub(super) fn new(limits: AlertLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            unstored: HashMap::new(),
            open: HashMap::new(),
            open_of: HashMap::new(),
            cleared: VecDeque::new(),
            ordinal: 0,
            refused: 0,
            changes: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    /// Takes back alerts as they were kept.
    pub(super) fn restore(&mut self, mut kept: Vec<Alert>) {
        kept.sort_by_key(|alert| (alert.cleared_at, alert.id));
        for alert in kept {
            match alert.state {
                AlertState::Cleared => self.cleared.push_back(alert.id),
                AlertState::Active | AlertState::Acknowledged => {
                    *self.open_of.entry(alert.device.clone()).or_default() += 1;
                    self.open.insert(Key::of(&alert), alert.id);
                }
            }
            self.entries.insert(alert.id, alert);
        }
        self.forget_cleared();
    }

    /// Raises an alert, or counts it where it is open already.
    pub(super) fn raise(&mut self, now: Timestamp, cause: Cause) {
        let Cause { key, message, data } = cause;
        if let Some(id) = self.open.get(&key).copied() {
            let alert = self.changing(id).expect("an open alert is kept");
            alert.count += 1;
            (alert.message, alert.data) = (message, data);
            let alert = alert.clone();
            return self.changes.push(Change { occasion: Occasion::Counted, alert });
        }
        if self.is_full_for(&key.device) {
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
        self.unstored.insert(alert.id, None);
        self.changes.push(Change { occasion: Occasion::Raised, alert });
    }

    /// An alert that is to be changed.
    fn changing(&mut self, id: AlertId) -> Option<&mut Alert> {
        let alert = self.entries.get_mut(&id)?;
        self.unstored.entry(id).or_insert_with(|| Some(alert.clone()));
        Some(alert)
    }

    /// The store has `alert`.
    pub(super) fn note_stored(&mut self, alert: &Alert) {
        if self.entries.get(&alert.id) == Some(alert) {
            self.unstored.remove(&alert.id);
        } else if let Some(stored) = self.unstored.get_mut(&alert.id) {
            *stored = Some(alert.clone());
        }
    }

    fn is_full_for(&self, device: &DeviceId) -> bool {
        let of_device = self.open_of.get(device).copied().unwrap_or(0);
        self.open.len() >= self.limits.open || of_device >= self.limits.open_per_device
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

    /// The cause is gone of what is open under `key`, if something is.
    pub(super) fn clear(&mut self, now: Timestamp, key: &Key, by: &Actor) {
        if let Some(id) = self.open.get(key).copied() {
            self.close(now, id, by.clone());
        }
    }

    /// Nobody watches the cause of an open alert any more, which its message says.
    pub(super) fn clear_without_rule(&mut self, now: Timestamp, id: AlertId) {
        if let Some(alert) = self.changing(id) {
            alert.message.push_str(RULE_GONE);
            self.close(now, id, Actor::Gateway);
        }
    }

    /// Nothing is wrong with a device any more.
    pub(super) fn clear_all_of(&mut self, now: Timestamp, device: &DeviceId) {
        let of_device = |(key, _): &(&Key, &AlertId)| key.device == *device;
        let mut open: Vec<_> = self.open.iter().filter(of_device).map(|(_, id)| *id).collect();
        open.sort_unstable();
        for id in open {
            self.close(now, id, Actor::Gateway);
        }
    }

    /// Somebody says that the cause of an alert is gone.
    pub(super) fn clear_one(
        &mut self,
        now: Timestamp,
        id: AlertId,
        user: &str,
    ) -> Result<Alert, AlertError> {
        let alert = self.entries.get(&id).ok_or(AlertError::Unknown(id))?;
        if alert.state == AlertState::Cleared {
            return Err(AlertError::AlreadyCleared(id));
        }
        self.close(now, id, Actor::User(user.into()));
        // The bound on cleared alerts may be zero.
        let told = self.changes.last().expect("it was just cleared");
        Ok(told.alert.clone())
    }

    /// Somebody knows of an alert. Who was first stays.
    pub(super) fn acknowledge(
        &mut self,
        now: Timestamp,
        id: AlertId,
        user: &str,
    ) -> Result<Alert, AlertError> {
        match self.entries.get(&id).ok_or(AlertError::Unknown(id))?.state {
            AlertState::Cleared => return Err(AlertError::AlreadyCleared(id)),
            AlertState::Acknowledged => {}
            AlertState::Active => {
                let alert = self.changing(id).expect("it was just found");
                alert.state = AlertState::Acknowledged;
                alert.acknowledged_at = Some(now);
                alert.acknowledged_by = Some(user.into());
                let alert = alert.clone();
                self.changes.push(Change { occasion: Occasion::Acknowledged, alert });
            }
        }
        Ok(self.entries[&id].clone())
    }

    fn close(&mut self, now: Timestamp, id: AlertId, by: Actor) {
        let alert = self.changing(id).expect("callers looked it up");
        alert.state = AlertState::Cleared;
        alert.cleared_at = Some(now);
        alert.cleared_by = Some(by);
        let alert = alert.clone();
        self.open.remove(&Key::of(&alert));
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
            self.unstored.remove(&id);
            self.forgotten.push(id);
        }
    }

    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    pub(super) fn take_forgotten(&mut self) -> Vec<AlertId> {
        std::mem::take(&mut self.forgotten)
    }

    pub(super) fn get(&self, id: AlertId) -> Option<&Alert> {
        self.entries.get(&id)
    }

    /// As they are stored, the newest first, from the one raised before `before` on.
    pub(super) fn list(&self, before: Option<AlertId>) -> impl Iterator<Item = &Alert> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.entries.range((Bound::Unbounded, end)).rev();
        all.filter_map(|(id, alert)| match self.unstored.get(id) {
            Some(stored) => stored.as_ref(),
            None => Some(alert),
        })
    }

    /// How many are not cleared, as they are stored.
    pub(super) fn figures(&self) -> AlertFigures {
        let mut figures = AlertFigures::default();
        let open = self.open.values().filter(|id| !self.unstored.contains_key(id));
        let were_open = self.unstored.values().flatten();
        let were_open = were_open.filter(|alert| alert.state != AlertState::Cleared);
        for alert in open.map(|id| &self.entries[id]).chain(were_open) {
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

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}
