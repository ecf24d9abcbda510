//! The bridge as a whole: hub, devices and commands, driven by what happens.
//!
//! The owner calls one method for each thing that happened, with the time; then it stores what
//! [`Bridge::take_effects`] says changed, and only then tells and sends it ([`Bridge::announce`]).
//! [`Bridge::tick`] wants to be called at [`Bridge::next_deadline`] and every second.

mod connections;
mod describing;
mod following;
mod hearing;
mod mapped;
mod orders;
mod restoring;
mod watching;

pub use orders::CommandError;
pub use watching::Watched;

use crate::{
    alerts::{AlertLimits, AlertSettings, Alerts, Change as AlertChange},
    audit::{Audit, Steps},
    command::book::{self, CommandLimits, Commands},
    data::{Data, Metrics},
    devices::{Devices, Kept},
    hub::{Beginning, Hub, HubLimits, Sink, TooManyChannels},
    mapping::{Listeners, Mappings},
    shadow::Shadows,
    types::DeviceTypes,
};
use protocol::{Alert, BatchState, Desired, DeviceId, GatewayStats, Millis, Timestamp, TopicName};
use restoring::{batches_told, forget_deleted, restore_devices, told};
use std::{collections::HashSet, sync::Arc};

/// What a bridge is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its own name in presence.
    pub node: String,
    /// After this a device without its own connection is silent.
    pub silent_after: Millis,
    /// Devices in all.
    pub devices_max: usize,
    /// Bounds of the hub.
    pub hub: HubLimits,
    /// Bounds of the commands.
    pub commands: CommandLimits,
    /// Bounds of the alerts.
    pub alert_limits: AlertLimits,
    /// What raises alerts.
    pub alerts: AlertSettings,
    /// The longest desired state, in bytes.
    pub desired_bytes_max: usize,
    /// The types of devices that are described.
    pub types: DeviceTypes,
    /// Devices that know only their own topics.
    pub mappings: Arc<Mappings>,
}

/// What was kept of an earlier life.
#[derive(Clone, Debug)]
pub struct Past {
    /// Channels and numbers.
    pub hub: Beginning,
    /// Devices.
    pub devices: Vec<(DeviceId, Kept)>,
    /// Alerts.
    pub alerts: Vec<Alert>,
    /// What is desired of devices.
    pub desired: Vec<(DeviceId, Desired)>,
    /// The audit log.
    pub audit: Audit,
    /// Commands and batches.
    pub commands: book::Kept,
}

/// How often the bridge had to refuse what a peer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Updates of channels beyond the limit.
    pub channels: u64,
    /// Messages of devices beyond the limit.
    pub devices: u64,
    /// Answers to commands that the device does not have.
    pub answers: u64,
    /// Alerts beyond the limits.
    pub alerts: u64,
    /// Subscriptions beyond those of a connection or a token.
    pub subscriptions: u64,
    /// Metrics that the value of a channel had no room for.
    pub metrics: u64,
}

/// Hub, devices and commands.
#[derive(Debug)]
pub struct Bridge<S> {
    /// Channels and subscribers.
    pub hub: Hub<S>,
    devices: Devices,
    commands: Commands,
    shadows: Shadows,
    alerts: Alerts,
    /// Those that are to be kept.
    alert_changes: Vec<AlertChange>,
    /// Those that are to be told once they are kept.
    alerts_untold: Vec<(Timestamp, Alert)>,
    audit: Audit,
    /// Which steps of commands the audit log has.
    steps: Steps,
    /// Batches of which it has that they were given up.
    aborted: HashSet<String>,
    /// The newest time that is known.
    ticked_at: Timestamp,
    types: DeviceTypes,
    mappings: Arc<Mappings>,
    /// Who subscribed to topics like those of mapped devices' commands.
    listeners: Listeners,
    refused: Refused,
}

impl<S: Sink> Bridge<S> {
    /// A bridge that goes on from `past`. Devices that were online then are `connection_lost` now; commands
    /// whose time passed meanwhile have ended, and what was not told of them yet is an effect.
    pub fn new(now: Timestamp, settings: Settings, mut past: Past) -> Self {
        let Settings { node, silent_after, devices_max, hub, commands, types, mappings, .. } =
            settings;
        forget_deleted(&mut past);
        let mut devices = Devices::new(node, devices_max, silent_after);
        let lost = restore_devices(now, &mut devices, &past);
        let mut commands = Commands::new(commands);
        let mut steps = Steps::default();
        past.commands.told = batches_told(&past.hub);
        commands.restore(now, past.commands, |kept| steps.restore(kept));
        commands.tell_untold(&told(&past.hub));
        let aborted = commands.batches().filter(|batch| batch.state == BatchState::Aborted);
        let aborted = aborted.map(|batch| batch.id.clone()).collect();
        let mut bridge = Self {
            aborted,
            ticked_at: now,
            hub: Hub::new(past.hub, hub),
            devices,
            commands,
            types,
            mappings,
            listeners: Listeners::default(),
            shadows: Shadows::new(settings.desired_bytes_max),
            alerts: Alerts::new(settings.alert_limits, settings.alerts),
            alert_changes: Vec::new(),
            alerts_untold: Vec::new(),
            audit: past.audit,
            steps,
            refused: Refused::default(),
        };
        for (device, _) in &past.devices {
            bridge.set_inflight(now, device);
        }
        bridge.restore_alerts(now, past.alerts);
        bridge.watch_on(now, past.desired);
        for (device, presence) in lost {
            bridge.tell_presence(now, &device, &presence);
        }
        bridge
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Timestamp) {
        self.ticked_at = now;
        self.commands.tick(now);
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.commands.next_deadline()
    }

    /// Tells the gateway's own figures.
    pub fn tell_stats(&mut self, now: Timestamp, stats: &GatewayStats) {
        let channel = "gateway/stats".parse().expect("a valid channel");
        let data = serde_json::to_string(stats).expect("figures have text keys and finite numbers");
        let figures = Metrics::parse(&data).expect("figures are an object");
        self.publish(now, &channel, Some(now), Data::Metrics(figures));
    }

    /// How often something was refused.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let (alerts, subscriptions) = (self.alerts.refused(), self.hub.refused_subscriptions());
        let metrics = self.hub.forgotten_metrics();
        Refused { alerts, subscriptions, metrics, ..self.refused }
    }

    fn publish(
        &mut self,
        now: Timestamp,
        channel: &TopicName,
        timestamp: Option<Timestamp>,
        data: Data,
    ) {
        if let Err(TooManyChannels { .. }) = self.hub.publish(now, channel, timestamp, data) {
            self.refused.channels += 1;
        }
    }
}

fn channel(first: &str, rest: &impl std::fmt::Display) -> TopicName {
    format!("{first}/{rest}").parse().expect("ids and topics make valid channels")
}
