//! What is known of the fleet, from the updates of its channels. No clock and no terminal: time is handed in.

mod row;

pub(super) use row::Row;

use crate::client::{Incoming, Said};
use protocol::{
    Alert, AlertId, AlertState, Command, CommandId, GatewayStats, Presence, Reply, Timestamp,
    TopicFilter, Update,
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The most devices, alerts and commands that are followed, of each; what is beyond is counted.
const ROWS_MAX: usize = 100_000;

/// How long a command that has ended stays in sight.
const ENDED_FOR_MS: u64 = 5_000;

/// The gateway says every second how many devices it knows. After so many times fewer than here it is no matter of
/// what is on its way: some are gone.
const FEWER_MAX: u32 = 5;

/// The gateway's figures come every second: after so many without, something is wrong.
const SILENT_MIN_S: f64 = 4.0;

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
    /// How long no figures have come, in seconds.
    silent_s: f64,
    /// How often in a row the gateway said that it knows fewer devices.
    fewer: u32,
    /// What was told since the lists were asked for, of devices [`Row::is_told`]: the lists know less of it.
    told_alerts: HashSet<AlertId>,
    told_commands: HashSet<CommandId>,
}

/// The devices there are, and the alerts and commands that stand, as the gateway lists them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) devices: HashSet<String>,
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
                Said::Reply(Reply::Reset { channels, .. }) => self.reset(channels),
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
            Some(("gateway", _)) => self.counted(serde_json::from_str(data).ok()),
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

    fn telemetry(&mut self, device: &str, update: &Update) {
        if let Some(row) = self.device(device) {
            row.telemetry(update);
        }
    }

    fn presence(&mut self, device: &str, presence: &Presence) {
        if let Some(row) = self.device(device) {
            row.presence(presence);
        }
    }

    fn counted(&mut self, stats: Option<GatewayStats>) {
        let fewer =
            stats.as_ref().is_some_and(|stats| stats.devices_known < self.devices.len() as u64);
        self.fewer = if fewer { self.fewer + 1 } else { 0 };
        self.stats = stats;
        self.silent_s = 0.0;
    }

    /// For how many seconds the gateway has told no figures, where that is too long.
    pub(super) fn silent_s(&self) -> Option<f64> {
        (self.stats.is_some() && self.silent_s >= SILENT_MIN_S).then_some(self.silent_s)
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

    /// What there is still comes anew, as snapshots; what does not is not so any more.
    fn reset(&mut self, channels: &[TopicFilter]) {
        self.resets += 1;
        for (id, row) in &mut self.devices {
            let is_meant = |first: &str| {
                channels.iter().any(|filter| filter.matches_levels([first, id.as_str()]))
            };
            if is_meant("telemetry") {
                row.forget_telemetry();
            }
            if is_meant("presence") {
                row.forget_presence();
            }
        }
    }

    /// Whether devices are gone: nobody is told of one that was deleted.
    pub(super) fn is_behind(&self) -> bool {
        self.fewer >= FEWER_MAX
    }

    /// From here on what is told is newer than what the lists will say.
    pub(super) fn lists_asked(&mut self) {
        self.told_alerts.clear();
        self.told_commands.clear();
        self.devices.values_mut().for_each(|row| row.is_told = false);
        self.fewer = 0;
    }

    /// Takes over what the lists say of all that nothing was told of since they were asked for.
    pub(super) fn lists(&mut self, lists: Lists) {
        self.devices.retain(|id, row| row.is_told || lists.devices.contains(id));
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
        self.silent_s += seconds;
        self.devices.values_mut().for_each(|row| row.tick(seconds));
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
mod tests;
