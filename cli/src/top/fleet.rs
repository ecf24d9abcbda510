//! What is known of the fleet, from the updates of its channels. No clock and no terminal: time is handed in.

use crate::{
    client::{Incoming, Said},
    text::compact,
};
use protocol::{
    Alert, AlertId, AlertState, Command, CommandId, GatewayStats, Presence, Reply, Seq, Status,
    Timestamp, Update,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The most devices, alerts and commands that are followed, of each; what is beyond is counted.
const ROWS_MAX: usize = 100_000;

/// How long a command that has ended stays in sight.
const ENDED_FOR_MS: u64 = 5_000;

/// The weight of the newest second in a rate.
const NEWEST: f64 = 0.4;

/// The fleet.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) stats: Option<GatewayStats>,
    pub(super) devices: BTreeMap<String, Row>,
    pub(super) alerts: HashMap<AlertId, Alert>,
    pub(super) commands: HashMap<CommandId, Command>,
    /// When commands that have ended did.
    ended: HashMap<CommandId, Timestamp>,
    /// What did not fit.
    pub(super) left_out: u64,
    /// Resets since the start: continuity was lost, and the values came anew.
    pub(super) resets: u64,
    pub(super) lagging: bool,
    /// What was told since the lists were asked for: the lists know less of it.
    told_alerts: HashSet<AlertId>,
    told_commands: HashSet<CommandId>,
}

/// A device.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) status: Option<Status>,
    pub(super) since: Option<Timestamp>,
    /// Its own time of its newest values.
    pub(super) seen: Option<Timestamp>,
    pub(super) values: Map<String, Value>,
    /// Updates a second.
    pub(super) rate: f64,
    seq: Option<Seq>,
    /// `seq` at the last tick.
    ticked: Option<Seq>,
}

impl Row {
    pub(super) fn is_online(&self) -> bool {
        self.status == Some(Status::Online)
    }

    pub(super) fn values(&self) -> String {
        if self.values.is_empty() {
            return "-".into();
        }
        compact(&Value::Object(self.values.clone()))
    }
}

/// The alerts and commands that stand, as the gateway lists them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) alerts: Vec<Alert>,
    pub(super) commands: Vec<Command>,
}

impl Fleet {
    /// Takes a frame in. True where it says that all that was asked for is here.
    pub(super) fn frame(&mut self, frame: &[Incoming]) -> bool {
        let mut live = false;
        for incoming in frame {
            match &incoming.message {
                Said::Update(update) => self.update(update),
                Said::Reply(Reply::Live { .. }) => live = true,
                Said::Reply(Reply::Reset { .. }) => self.reset(),
                Said::Reply(Reply::Lag { on, .. }) => self.lagging = *on,
                Said::Reply(_) | Said::Unknown => {}
            }
        }
        live
    }

    /// What comes that cannot be read is passed over: it is for a newer version than this.
    fn update(&mut self, update: &Update) {
        let data = update.data.get();
        let channel = update.channel.as_str();
        match channel.split_once('/') {
            Some(("telemetry", device)) => self.telemetry(device, update),
            Some(("presence", device)) => {
                if let Ok(presence) = serde_json::from_str(data) {
                    self.presence(device, &presence);
                }
            }
            Some(("alerts", _)) => {
                if let Ok(alert) = serde_json::from_str(data) {
                    self.alert(alert);
                }
            }
            Some(("commands", _)) => {
                if let Ok(command) = serde_json::from_str(data) {
                    self.command(command, update.timestamp);
                }
            }
            Some(("gateway", _)) => self.stats = serde_json::from_str(data).ok(),
            Some(_) | None => {}
        }
    }

    fn device(&mut self, id: &str) -> Option<&mut Row> {
        if !self.devices.contains_key(id) {
            if self.devices.len() >= ROWS_MAX {
                self.left_out += 1;
                return None;
            }
            self.devices.insert(id.to_owned(), Row::default());
        }
        self.devices.get_mut(id)
    }

    /// `seq` counts all updates of a channel, those that were merged away too: so it is what a rate is made of.
    fn telemetry(&mut self, device: &str, update: &Update) {
        let Some(row) = self.device(device) else { return };
        if let Ok(values) = serde_json::from_str::<Map<String, Value>>(update.data.get()) {
            row.values.extend(values);
        }
        row.seen = Some(row.seen.map_or(update.timestamp, |seen| seen.max(update.timestamp)));
        row.seq = row.seq.max(Some(update.seq));
        if update.snapshot || row.ticked.is_none() {
            let before =
                if update.snapshot { update.seq } else { Seq(update.seq.0.saturating_sub(1)) };
            row.ticked = Some(before);
        }
    }

    fn presence(&mut self, device: &str, presence: &Presence) {
        let Some(row) = self.device(device) else { return };
        (row.status, row.since) = (Some(presence.status), Some(presence.since));
    }

    fn alert(&mut self, alert: Alert) {
        self.told_alerts.insert(alert.id);
        if alert.state == AlertState::Cleared {
            self.alerts.remove(&alert.id);
        } else if self.alerts.len() < ROWS_MAX {
            self.alerts.insert(alert.id, alert);
        } else {
            self.left_out += 1;
        }
    }

    fn command(&mut self, command: Command, at: Timestamp) {
        self.told_commands.insert(command.id);
        let known = self.commands.contains_key(&command.id);
        if command.state.is_final() && !known {
            return;
        }
        if command.state.is_final() {
            self.ended.insert(command.id, at);
        }
        if known || self.commands.len() < ROWS_MAX {
            self.commands.insert(command.id, command);
        } else {
            self.left_out += 1;
        }
    }

    fn reset(&mut self) {
        self.resets += 1;
        for row in self.devices.values_mut() {
            (row.seq, row.ticked) = (None, None);
        }
    }

    /// From here on what is told is newer than what the lists will say.
    pub(super) fn lists_asked(&mut self) {
        self.told_alerts.clear();
        self.told_commands.clear();
    }

    /// Takes over what the lists say of all that nothing was told of since they were asked for.
    pub(super) fn lists(&mut self, lists: Lists) {
        self.alerts.retain(|id, _| self.told_alerts.contains(id));
        self.commands.retain(|id, _| self.told_commands.contains(id));
        for alert in lists.alerts.into_iter().take(ROWS_MAX) {
            if !self.told_alerts.contains(&alert.id) {
                self.alerts.insert(alert.id, alert);
            }
        }
        for command in lists.commands.into_iter().take(ROWS_MAX) {
            if !self.told_commands.contains(&command.id) {
                self.commands.insert(command.id, command);
            }
        }
        self.lists_asked();
    }

    /// `seconds` have passed: rates are made, and what has ended some time ago goes.
    pub(super) fn tick(&mut self, now: Timestamp, seconds: f64) {
        for row in self.devices.values_mut() {
            let (seq, ticked) = (row.seq.map_or(0, |seq| seq.0), row.ticked.map_or(0, |seq| seq.0));
            #[expect(
                clippy::cast_precision_loss,
                reason = "updates of a second are far below 2^52"
            )]
            let newest = seq.saturating_sub(ticked) as f64 / seconds;
            row.rate =
                if row.rate == 0.0 { newest } else { row.rate + NEWEST * (newest - row.rate) };
            if row.rate < 0.05 {
                row.rate = 0.0;
            }
            row.ticked = row.seq;
        }
        let over = |at: &Timestamp| now.since(*at).0 > ENDED_FOR_MS;
        let gone: Vec<_> = self.ended.extract_if(|_, at| over(at)).map(|(id, _)| id).collect();
        for id in gone {
            self.commands.remove(&id);
        }
    }

    /// Devices that are online, of those that are known.
    pub(super) fn online(&self) -> usize {
        self.devices.values().filter(|row| row.is_online()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(channel: &str, seq: u64, data: Value) -> Incoming {
        let update = json!({ "channel": channel, "seq": seq, "offset": seq, "timestamp": 1_000, "data": data });
        Incoming::read(serde_json::value::to_raw_value(&update).unwrap())
    }

    fn command(id: u128, state: &str) -> Value {
        json!({
            "id": CommandId::from_u128(id), "device": "d", "name": "set", "params": {}, "state": state,
            "attempt": 1, "priority": 0, "progress": null, "result": null, "error": null, "late": false,
            "created_at": 0, "created_by": null, "not_before": null, "deliver_by": 0, "finish_by": null,
            "batch": null, "verified": null,
        })
    }

    #[test]
    fn a_rate_counts_what_was_merged_away_too() {
        let mut fleet = Fleet::default();
        let mut snapshot = said("telemetry/d", 100, json!({"a": 1}));
        if let Said::Update(update) = &mut snapshot.message {
            update.snapshot = true;
        }
        fleet.frame(&[snapshot]);
        fleet.tick(Timestamp(0), 1.0);
        assert_eq!(fleet.devices["d"].rate, 0.0, "a snapshot is no news");
        fleet.frame(&[said("telemetry/d", 110, json!({"a": 2}))]);
        fleet.tick(Timestamp(0), 2.0);
        assert_eq!(fleet.devices["d"].rate, 5.0);
        for _ in 0..20 {
            fleet.tick(Timestamp(0), 1.0);
        }
        assert_eq!(fleet.devices["d"].rate, 0.0, "it fell silent");
    }

    #[test]
    fn values_are_the_newest_of_each_metric() {
        let mut fleet = Fleet::default();
        fleet.frame(&[said("telemetry/d", 1, json!({"a": 1, "b": 2}))]);
        fleet.frame(&[said("telemetry/d", 2, json!({"b": 3}))]);
        assert_eq!(fleet.devices["d"].values(), "a=1 b=3");
    }

    #[test]
    fn a_command_that_ended_stays_in_sight_for_a_while() {
        let mut fleet = Fleet::default();
        fleet.frame(&[said("commands/d", 1, command(1, "succeeded"))]);
        assert!(fleet.commands.is_empty(), "it had ended before");
        fleet.frame(&[said("commands/d", 2, command(2, "sent"))]);
        fleet.frame(&[said("commands/d", 3, command(2, "failed"))]);
        fleet.tick(Timestamp(2_000), 1.0);
        assert_eq!(fleet.commands.len(), 1);
        fleet.tick(Timestamp(7_000), 1.0);
        assert!(fleet.commands.is_empty());
    }

    #[test]
    fn lists_do_not_overrule_what_was_told_meanwhile() {
        let mut fleet = Fleet::default();
        fleet.frame(&[said("commands/d", 1, command(9, "sent"))]);
        fleet.lists_asked();
        fleet.frame(&[said("commands/d", 2, command(1, "started"))]);
        let listed = [command(1, "queued"), command(2, "queued")];
        let commands = listed.map(|command| serde_json::from_value(command).unwrap()).into();
        fleet.lists(Lists { alerts: vec![], commands });
        let state =
            |id| fleet.commands.get(&CommandId::from_u128(id)).map(|known| known.state.name());
        assert_eq!([state(1), state(2), state(9)], [Some("started"), Some("queued"), None]);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let mut fleet = Fleet::default();
        fleet.frame(&[
            said("presence/d", 1, json!(7)),
            said("alerts/info/d", 1, json!({})),
            said("news", 1, json!({})),
        ]);
        assert!(fleet.alerts.is_empty());
    }
}
