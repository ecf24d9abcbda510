//! The bridge as a whole: hub, devices and commands, driven by what happens.
//!
//! The owner calls one method for each thing that happened, with the time; then it stores what
//! [`Bridge::take_effects`] says changed, and only then tells and sends it ([`Bridge::announce`]).
//! [`Bridge::tick`] wants to be called at [`Bridge::next_deadline`] and every second.

mod watching;

pub use watching::Watched;

use crate::{
    alerts::{AlertLimits, AlertSettings, Alerts, Change as AlertChange},
    audit::{Audit, Steps},
    command::book::{Caller, CancelError, CommandLimits, Commands, CreateError, Effect},
    data::{Data, Metrics},
    devices::{self, Devices, Kept, Tags, TooManyDevices},
    event::EdgeEvent,
    hub::{Beginning, Hub, HubLimits, Restored, Sink, TooManyChannels},
    ingest::Inbound,
    shadow::Shadows,
};
use protocol::{
    Alert, Command, CommandDetails, CommandId, CommandRequest, Desired, DeviceId, DryRun,
    GatewayStats, Millis, Presence, PresenceReason, Timestamp, TopicName,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

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
    /// Those that were told and are to be kept.
    alert_changes: Vec<AlertChange>,
    audit: Audit,
    /// Which steps of commands the audit log has.
    steps: Steps,
    refused: Refused,
}

/// Why a command for a device was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such device.
    #[error(
        "there is no device '{0}': it exists from its first message on, or from PUT /api/v1/devices/{0}"
    )]
    UnknownDevice(DeviceId),
    /// The command itself.
    #[error(transparent)]
    Refused(#[from] CreateError),
}

impl<S: Sink> Bridge<S> {
    /// A bridge that goes on from `past`. Devices that were online then are `connection_lost` now.
    #[must_use]
    pub fn new(now: Timestamp, settings: Settings, mut past: Past) -> Self {
        let Settings { node, silent_after, devices_max, hub, commands, .. } = settings;
        let known: HashSet<_> = past.devices.iter().map(|(device, _)| device.as_str()).collect();
        // Values of a device that was deleted stay deleted.
        for restored in &mut past.hub.channels {
            if device_of(&restored.channel).is_some_and(|device| !known.contains(device)) {
                restored.value = None;
            }
        }
        let mut devices = Devices::new(node, devices_max, silent_after);
        let lost = restore_devices(now, &mut devices, &past);
        let mut bridge = Self {
            hub: Hub::new(past.hub, hub),
            devices,
            commands: Commands::new(commands),
            shadows: Shadows::new(settings.desired_bytes_max),
            alerts: Alerts::new(settings.alert_limits, settings.alerts),
            alert_changes: Vec::new(),
            audit: past.audit,
            steps: Steps::default(),
            refused: Refused::default(),
        };
        bridge.alerts.restore(past.alerts);
        bridge.watch_on(now, past.desired);
        for (device, presence) in lost {
            bridge.tell_presence(now, &device, &presence);
        }
        bridge
    }

    /// What is to be kept of devices since the last call.
    pub fn take_device_changes(&mut self) -> Vec<devices::Change> {
        self.devices.take_changes()
    }

    /// Takes decoded messages of one connection.
    pub fn ingest(&mut self, now: Timestamp, inbound: Vec<Inbound>) {
        for message in inbound {
            if let Some(device) = message.device()
                && !self.heard(now, device)
            {
                continue;
            }
            match message {
                Inbound::Update { channel, device, timestamp, data } => {
                    let watched = device.filter(|_| self.alerts.watches_metrics());
                    let watched = watched.map(|device| (device, data.clone()));
                    self.publish(now, &channel, timestamp, data);
                    if let Some((device, data)) = watched {
                        self.measure(now, &device, &data);
                    }
                }
                Inbound::State { device, reported } => self.reported(now, &device, reported),
                Inbound::Event { device, event } => self.event(now, &device, event),
                Inbound::Answer { device, command, answer } => {
                    let known = self.commands.answer(now, &device, command, &answer);
                    self.refused.answers += u64::from(!known);
                }
            }
        }
    }

    /// Takes a message for `topics/{topic}`.
    pub fn raw(&mut self, now: Timestamp, topic: &TopicName, data: Data) {
        if self.hub.topics_wanted() {
            self.publish(now, &channel("topics", topic), None, data);
        }
    }

    /// Takes what happened on a device's connection.
    pub fn edge(&mut self, now: Timestamp, event: EdgeEvent) {
        match event {
            EdgeEvent::Attached { device, connection, address, protocol, took_over } => {
                let reason =
                    if took_over { PresenceReason::TakenOver } else { PresenceReason::Connected };
                let presence =
                    self.devices.attached(now, &device, connection, address, protocol, reason);
                match presence {
                    Ok(presence) => self.tell_presence(now, &device, &presence),
                    Err(TooManyDevices { .. }) => self.refused.devices += 1,
                }
            }
            EdgeEvent::Detached { device, connection, reason } => {
                if let Some(presence) = self.devices.detached(now, &device, connection, reason) {
                    self.tell_presence(now, &device, &presence);
                }
            }
            EdgeEvent::Receives { device, connection, own, cancels } => {
                self.commands.receives(now, &device, connection, own, cancels);
            }
            EdgeEvent::ReceivesNot { device, connection } => {
                self.commands.receives_not(now, &device, connection);
            }
            EdgeEvent::Delivered { command, attempt, .. } => {
                self.commands.delivered(now, command, attempt);
            }
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Timestamp) {
        self.commands.tick(now);
    }

    /// Looks for devices that fell silent, and for what lasted too long; call it about every second.
    pub fn look_for_silent(&mut self, now: Timestamp) {
        for (device, presence) in self.devices.silent(now) {
            self.tell_presence(now, &device, &presence);
        }
        self.look_for_alerts(now);
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.commands.next_deadline()
    }

    /// What is to be done since the last call, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        self.commands.take_effects()
    }

    /// Tells a command, once it is stored, to those who watch its device.
    pub fn announce(&mut self, now: Timestamp, details: &CommandDetails) {
        let channel = channel("commands", &details.command.device);
        self.publish(now, &channel, Some(now), Data::of(&details.command));
        self.watch_command(now, details);
    }

    /// Tells the gateway's own figures.
    pub fn tell_stats(&mut self, now: Timestamp, stats: &GatewayStats) {
        let channel = "gateway/stats".parse().expect("a valid channel");
        let data = serde_json::to_string(stats).expect("figures have text keys and finite numbers");
        let figures = Metrics::parse(&data).expect("figures are an object");
        self.publish(now, &channel, Some(now), Data::Metrics(Arc::new(figures)));
    }

    /// Takes a command in.
    ///
    /// # Errors
    /// [`CommandError`] with the value that cannot be.
    pub fn command(
        &mut self,
        now: Timestamp,
        id: CommandId,
        device: &DeviceId,
        request: CommandRequest,
        caller: Caller<'_>,
    ) -> Result<Command, CommandError> {
        self.check_known(device)?;
        Ok(self.commands.create(now, id, device, request, caller)?)
    }

    /// Says what would become of a command.
    ///
    /// # Errors
    /// [`CommandError::UnknownDevice`].
    pub fn dry_run(
        &self,
        now: Timestamp,
        device: &DeviceId,
        request: &CommandRequest,
    ) -> Result<DryRun, CommandError> {
        self.check_known(device)?;
        Ok(self.commands.dry_run(now, device, request))
    }

    /// Cancels a command, or asks its device to.
    ///
    /// # Errors
    /// [`CancelError`] where there is nothing to cancel or nobody to ask.
    pub fn cancel(
        &mut self,
        now: Timestamp,
        id: CommandId,
        user: &str,
    ) -> Result<Command, CancelError> {
        self.commands.cancel(now, id, user)
    }

    /// The commands, to look at.
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The devices, to look at.
    #[must_use]
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// Sets a device's type and tags.
    ///
    /// # Errors
    /// [`TooManyDevices`].
    pub fn put_device(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<String>,
        tags: Tags,
    ) -> Result<(), TooManyDevices> {
        self.devices.put(now, device, kind, tags)?;
        self.watch_kind(now, device);
        Ok(())
    }

    /// Forgets a device and its values; false where it is not known. Who watches is told first that
    /// it is no longer online: its connection, which the edge closes, says nothing of it any more.
    pub fn delete_device(&mut self, now: Timestamp, device: &DeviceId) -> bool {
        if let Some(presence) = self.devices.kicked(now, device) {
            self.tell_presence(now, device, &presence);
        }
        for first in ["telemetry", "presence", "state", "commands"] {
            self.hub.forget(&channel(first, device));
        }
        self.watching_ends(now, device);
        self.devices.delete(device).is_some()
    }

    /// How often something was refused.
    #[must_use]
    pub fn refused(&self) -> Refused {
        Refused { alerts: self.alerts.refused(), ..self.refused }
    }

    fn check_known(&self, device: &DeviceId) -> Result<(), CommandError> {
        match self.devices.get(device) {
            Some(_) => Ok(()),
            None => Err(CommandError::UnknownDevice(device.clone())),
        }
    }

    fn heard(&mut self, now: Timestamp, device: &DeviceId) -> bool {
        match self.devices.heard(now, device) {
            Ok(Some(presence)) => self.tell_presence(now, device, &presence),
            Ok(None) => {}
            Err(TooManyDevices { .. }) => {
                self.refused.devices += 1;
                return false;
            }
        }
        true
    }

    fn tell_presence(&mut self, now: Timestamp, device: &DeviceId, presence: &Presence) {
        self.publish(now, &channel("presence", device), Some(now), Data::of(presence));
        self.watch_presence(now, device, presence);
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

/// The device that a built-in channel belongs to.
fn device_of(channel: &TopicName) -> Option<&str> {
    match channel.as_str().split_once('/') {
        Some(("telemetry" | "presence" | "state" | "commands", device)) => Some(device),
        Some(("alerts", rest)) => rest.split_once('/').map(|(_, device)| device),
        Some(_) | None => None,
    }
}

/// Brings the devices back; gives those that were online, with the presence to tell.
fn restore_devices(
    now: Timestamp,
    devices: &mut Devices,
    past: &Past,
) -> Vec<(DeviceId, Presence)> {
    let mut seen: HashMap<&str, Timestamp> = HashMap::new();
    let mut presences: HashMap<&str, Presence> = HashMap::new();
    for Restored { channel, stamp, value } in &past.hub.channels {
        let Some(device) = device_of(channel) else { continue };
        let newest = seen.entry(device).or_insert(stamp.timestamp);
        *newest = stamp.timestamp.max(*newest);
        if let (true, Some(Data::Json(json))) = (channel.as_str().starts_with("presence/"), value)
            && let Ok(presence) = serde_json::from_str(json.get())
        {
            presences.insert(device, presence);
        }
    }
    let restore = |(device, kept): &(DeviceId, Kept)| {
        let (last_seen_at, presence) =
            (seen.get(device.as_str()).copied(), presences.remove(device.as_str()));
        let lost = devices.restore(now, device, kept.clone(), last_seen_at, presence)?;
        Some((device.clone(), lost))
    };
    past.devices.iter().filter_map(restore).collect()
}

fn channel(first: &str, rest: &impl std::fmt::Display) -> TopicName {
    format!("{first}/{rest}").parse().expect("ids and topics make valid channels")
}
