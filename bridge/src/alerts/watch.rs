//! Watches devices with rules: what each rule knows of each device, and when something has lasted.

use super::{
    book::{Cause, Verdict},
    rule::{Condition, Rule, is_of_a_rule},
};
use crate::data::{Metrics, bare_json_text};
use protocol::{Alert, DeviceId, Millis, Status, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How a rule stands with a device; it is not kept where nothing is wrong.
#[derive(Clone, Debug, PartialEq)]
enum Standing {
    /// Wrong, but not for long enough: since when, and the value it was wrong with last.
    Pending { since: Timestamp, value: f64 },
    /// Raised.
    Raised,
}

/// The rules, and how they stand.
#[derive(Debug, Default)]
pub(super) struct Watch {
    rules: Vec<Rule>,
    /// Those about metrics: the metric's name as a JSON text without quotes, and the rule.
    thresholds: Vec<(String, usize)>,
    standing: HashMap<DeviceId, BTreeMap<usize, Standing>>,
    due: BTreeSet<(Timestamp, DeviceId, usize)>,
    /// Devices that are offline, and since when, where a rule is about that.
    offline: HashMap<DeviceId, Timestamp>,
}

impl Watch {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        let name = |(index, rule): (usize, &Rule)| match &rule.condition {
            Condition::Threshold { metric, .. } => Some((bare_json_text(metric), index)),
            Condition::Offline { .. } => None,
        };
        let thresholds = rules.iter().enumerate().filter_map(name).collect();
        Self { rules, thresholds, ..Self::default() }
    }

    pub(super) fn has_thresholds(&self) -> bool {
        !self.thresholds.is_empty()
    }

    /// Takes an open alert back: the rule that raised it for a device of this type does not raise it again while its
    /// cause stands, and clears it after. False: a rule raised it, and none does any more.
    pub(super) fn restore(&mut self, alert: &Alert, kind: Option<&str>) -> bool {
        if !is_of_a_rule(alert) {
            return true;
        }
        let is_its = |rule: &Rule| rule.is_for(kind) && rule.raises(alert);
        let its: Vec<_> =
            (0..self.rules.len()).filter(|index| is_its(&self.rules[*index])).collect();
        for index in &its {
            self.set(&alert.device, *index, Some(Standing::Raised));
        }
        !its.is_empty()
    }

    pub(super) fn telemetry(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<&str>,
        metrics: &Metrics,
    ) -> Vec<Verdict> {
        let members: Vec<_> = metrics.iter().collect();
        let seen = |(name, index): &(String, usize)| {
            if !self.rules[*index].is_for(kind) {
                return None;
            }
            let (_, value) = members.iter().find(|(known, _)| known == name)?;
            Some((*index, value.parse::<f64>().ok()?))
        };
        let seen: Vec<_> = self.thresholds.iter().filter_map(seen).collect();
        let verdicts =
            seen.into_iter().filter_map(|(index, value)| self.value(now, device, index, value));
        verdicts.collect()
    }

    pub(super) fn presence(
        &mut self,
        device: &DeviceId,
        kind: Option<&str>,
        status: Status,
        since: Timestamp,
    ) -> Vec<Verdict> {
        match status {
            Status::Online => {
                self.offline.remove(device);
                self.calm(device, |rule| matches!(rule.condition, Condition::Offline { .. }))
            }
            Status::Offline => {
                self.wait_for(device, kind, since);
                Vec::new()
            }
        }
    }

    /// What no rule says of the new type is over; the others begin anew.
    pub(super) fn kind_changed(&mut self, device: &DeviceId, kind: Option<&str>) -> Vec<Verdict> {
        let kind_owned = kind.map(str::to_owned);
        let verdicts = self.calm(device, |rule| !rule.is_for(kind_owned.as_deref()));
        if let Some(since) = self.offline.get(device).copied() {
            self.wait_for(device, kind, since);
        }
        verdicts
    }

    pub(super) fn device_gone(&mut self, device: &DeviceId) {
        self.calm(device, |_| true);
        self.offline.remove(device);
    }

    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        // Asked with each reading: what is not due is only looked at.
        while self.due.first().is_some_and(|(at, ..)| *at <= now)
            && let Some((_, device, index)) = self.due.pop_first()
        {
            let data = match self.standing(&device, index) {
                Some(Standing::Pending { since, value }) => {
                    self.rules[index].lasted(*since, *value)
                }
                Some(Standing::Raised) | None => continue,
            };
            self.set(&device, index, Some(Standing::Raised));
            verdicts.push(self.raise(&device, index, data));
        }
        verdicts
    }

    /// What a value means to a rule.
    fn value(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        index: usize,
        value: f64,
    ) -> Option<Verdict> {
        let Condition::Threshold { side, limit, clear, lasting, .. } = self.rules[index].condition
        else {
            return None;
        };
        match self.standing(device, index).cloned() {
            Some(Standing::Raised) if side.is_beyond(value, clear) => None,
            Some(Standing::Raised) => {
                self.set(device, index, None);
                Some(self.clear(device, index))
            }
            Some(Standing::Pending { since, .. }) if side.is_beyond(value, limit) => {
                self.pending(now, device, index, Standing::Pending { since, value }, lasting)
            }
            Some(Standing::Pending { .. }) => {
                self.set(device, index, None);
                None
            }
            None if side.is_beyond(value, limit) => {
                self.pending(now, device, index, Standing::Pending { since: now, value }, lasting)
            }
            None => None,
        }
    }

    /// Something is wrong: raised at once where it has lasted, else once it will have.
    fn pending(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        index: usize,
        standing: Standing,
        lasting: Millis,
    ) -> Option<Verdict> {
        let Standing::Pending { since, value } = standing else { return None };
        let due = since.plus(lasting);
        if due <= now {
            self.set(device, index, Some(Standing::Raised));
            let data = self.rules[index].lasted(since, value);
            return Some(self.raise(device, index, data));
        }
        self.set(device, index, Some(standing));
        self.due.insert((due, device.clone(), index));
        None
    }

    /// Waits for the time that an offline device may be away.
    fn wait_for(&mut self, device: &DeviceId, kind: Option<&str>, since: Timestamp) {
        for index in 0..self.rules.len() {
            let rule = &self.rules[index];
            let Condition::Offline { longer_than } = rule.condition else { continue };
            self.offline.insert(device.clone(), since);
            if !rule.is_for(kind) || self.standing(device, index).is_some() {
                continue;
            }
            self.set(device, index, Some(Standing::Pending { since, value: 0.0 }));
            self.due.insert((since.plus(longer_than), device.clone(), index));
        }
    }

    /// Nothing is wrong with a device any more, say these rules.
    fn calm(&mut self, device: &DeviceId, of: impl Fn(&Rule) -> bool) -> Vec<Verdict> {
        let Some(standing) = self.standing.get(device) else { return Vec::new() };
        let indices: Vec<_> =
            standing.keys().copied().filter(|index| of(&self.rules[*index])).collect();
        let mut verdicts = Vec::new();
        for index in indices {
            if self.standing(device, index) == Some(&Standing::Raised) {
                verdicts.push(self.clear(device, index));
            }
            self.set(device, index, None);
        }
        verdicts
    }

    fn standing(&self, device: &DeviceId, index: usize) -> Option<&Standing> {
        self.standing.get(device)?.get(&index)
    }

    /// Remembers how a rule stands, and no longer waits for what it waited for before.
    fn set(&mut self, device: &DeviceId, index: usize, standing: Option<Standing>) {
        if let Some(Standing::Pending { since, .. }) = self.standing(device, index) {
            let due = since.plus(self.rules[index].lasting());
            self.due.remove(&(due, device.clone(), index));
        }
        match standing {
            Some(standing) => {
                self.standing.entry(device.clone()).or_default().insert(index, standing);
            }
            None => {
                let Some(of_device) = self.standing.get_mut(device) else { return };
                of_device.remove(&index);
                if of_device.is_empty() {
                    self.standing.remove(device);
                }
            }
        }
    }

    fn raise(&self, device: &DeviceId, index: usize, data: Value) -> Verdict {
        let rule = &self.rules[index];
        let message = rule.message.clone().unwrap_or_else(|| rule.says(&data));
        Verdict::Raise(Cause { key: rule.key(device), message, data })
    }

    fn clear(&self, device: &DeviceId, index: usize) -> Verdict {
        Verdict::Clear(self.rules[index].key(device))
    }
}
