//! The bridge as a whole: hub, devices and commands, driven by what happens.
//!
//! The owner calls one method for each thing that happened, with the time; then it stores what
//! [`Bridge::take_effects`] says changed, and only then tells and sends it ([`Bridge::announce`]).
//! [`Bridge::tick`] wants to be called at [`Bridge::next_deadline`] and every second.

mod mapped;
mod watching;

pub use watching::Watched;

use crate::{
    alerts::{AlertLimits, AlertSettings, Alerts, Change as AlertChange},
    audit::{Audit, Steps},
    command::book::{
        self, BatchError, Caller, CancelError, CommandLimits, Commands, CreateError, Effect, Said,
        Unreadable,
    },
    data::{Data, Metrics},
    devices::{self, Devices, Kept, Tags, TooManyDevices},
    event::EdgeEvent,
    hub::{Beginning, Hub, HubLimits, Restored, Sink, TooManyChannels},
    ingest::Inbound,
    mapping::{Listeners, Mappings},
    rights::Rights,
    shadow::Shadows,
    types::DeviceTypes,
};
use protocol::{
    Alert, Batch, BatchRequest, BatchState, Command, CommandDetails, CommandId, CommandRequest,
    Desired, DeviceId, DryRun, GatewayStats, Millis, Presence, PresenceReason, Timestamp,
    TopicName,
};
use serde_json::Value;
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
    /// A bridge that goes on from `past`. Devices that were online then are `connection_lost` now; commands
    /// whose time passed meanwhile have ended, and what was not told of them yet is an effect.
    ///
    /// # Errors
    /// A command or batch that cannot be read.
    pub fn new(now: Timestamp, settings: Settings, mut past: Past) -> Result<Self, Unreadable> {
        let Settings { node, silent_after, devices_max, hub, commands, types, mappings, .. } =
            settings;
        let known: HashSet<_> = past.devices.iter().map(|(device, _)| device.as_str()).collect();
        // Values of a device that was deleted stay deleted.
        for restored in &mut past.hub.channels {
            if device_of(&restored.channel).is_some_and(|device| !known.contains(device)) {
                restored.value = None;
            }
        }
        let mut devices = Devices::new(node, devices_max, silent_after);
        let lost = restore_devices(now, &mut devices, &past);
        let mut commands = Commands::new(commands);
        commands.restore(now, past.commands)?;
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
            steps: Steps::default(),
            refused: Refused::default(),
        };
        for (device, _) in &past.devices {
            bridge.set_inflight(now, device);
        }
        bridge.restore_alerts(past.alerts);
        bridge.watch_on(now, past.desired);
        for (device, presence) in lost {
            bridge.tell_presence(now, &device, &presence);
        }
        Ok(bridge)
    }

    /// What is to be kept of commands since the last call.
    pub fn take_command_rows(&mut self) -> Vec<book::Row> {
        self.commands.take_rows()
    }

    /// What is to be kept of devices since the last call.
    pub fn take_device_changes(&mut self) -> Vec<devices::Change> {
        self.devices.take_changes()
    }

    /// Takes decoded messages of one connection.
    pub fn ingest(&mut self, now: Timestamp, inbound: Vec<Inbound>) {
        for message in inbound {
            if let Inbound::Mapped { spoken, payload } = &message {
                self.mapped(now, spoken, payload);
                continue;
            }
            if let Some(device) = message.device()
                && !self.heard(now, device)
            {
                continue;
            }
            match message {
                Inbound::Update { channel, device, timestamp, data } => {
                    if let (Some(device), Data::Metrics(metrics)) = (&device, &data) {
                        self.observe(now, device, Said::Telemetry, |name| metric(metrics, name));
                    }
                    let watched = device.filter(|_| self.alerts.watches_metrics());
                    let watched = watched.map(|device| (device, data.clone()));
                    self.publish(now, &channel, timestamp, data);
                    if let Some((device, data)) = watched {
                        self.measure(now, &device, &data);
                    }
                }
                Inbound::State { device, reported } => {
                    if (self.commands.expects_of(&device) || self.mapping_of(&device).is_some())
                        && let Ok(Value::Object(state)) = serde_json::from_str(reported.get())
                    {
                        self.observe(now, &device, Said::State, |name| state.get(name).cloned());
                    }
                    self.reported(now, &device, reported);
                }
                Inbound::Event { device, event } => self.event(now, &device, event),
                Inbound::Recent { device, answers } => {
                    self.commands.recent(now, &device, &answers);
                }
                Inbound::Answer { device, command, answer } => {
                    let known = self.commands.answer(now, &device, command, &answer);
                    self.refused.answers += u64::from(!known);
                }
                Inbound::Mapped { .. } => {}
            }
        }
    }

    /// A device said something; `value` gives what it said of a metric, or of a member of its state.
    fn observe(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        said: Said,
        value: impl Fn(&str) -> Option<Value>,
    ) {
        if self.mapping_of(device).is_some() {
            self.settle_by_expectation(now, device, said, &value);
        }
        if self.commands.expects_of(device) {
            self.commands.observe(now, device, said, value);
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
                // A device that a mapping serves is served by it alone.
                if self.mapping_of(&device).is_none() {
                    self.commands.receives(now, &device, connection, own, cancels);
                }
            }
            EdgeEvent::ReceivesNot { device, connection } => {
                if self.mapping_of(&device).is_none() {
                    self.commands.receives_not(now, &device, connection);
                }
            }
            EdgeEvent::Listens { connection, client, filters } => {
                self.listens(now, connection, client, filters);
            }
            EdgeEvent::Delivered { command, attempt, .. } => {
                self.commands.delivered(now, command, attempt);
                self.settle_by_delivery(now, command);
            }
            EdgeEvent::NotWritten { command, attempt, why } => {
                self.commands.not_written(now, command, attempt, why);
            }
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Timestamp) {
        self.ticked_at = now;
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
        let mut effects = self.commands.take_effects();
        self.watch_commands(&effects);
        let untold = std::mem::take(&mut self.alerts_untold);
        let tell = |(at, alert)| Effect::AlertChanged(at, Box::new(alert));
        effects.extend(untold.into_iter().map(tell));
        effects
    }

    /// What was to happen could not be stored; gives what of it is still to happen once it is.
    pub fn not_stored(&mut self, now: Timestamp, effects: Vec<Effect>) -> Vec<Effect> {
        self.commands.not_stored(now, effects)
    }

    /// What is to happen can be stored (again).
    pub fn stored(&mut self, now: Timestamp) {
        self.commands.stored(now);
    }

    /// Tells a command as it was at `at`, once that is stored, to those who watch its device.
    pub fn announce(&mut self, now: Timestamp, at: Timestamp, details: &CommandDetails) {
        let device = &details.command.device;
        let channel = channel("commands", device);
        self.publish(now, &channel, Some(at), Data::of(&details.command));
        if self.devices.get(device).is_none() {
            self.hub.forget(&channel);
        }
    }

    /// Tells a batch, once it is stored, to those who watch it.
    pub fn announce_batch(&mut self, now: Timestamp, batch: &Batch) {
        self.publish(now, &channel("batches", &batch.id), Some(now), Data::of(batch));
    }

    /// Forgets what was told of the commands of a device that was deleted.
    pub fn forget_commands_of(&mut self, device: &DeviceId) {
        if self.devices.get(device).is_none() {
            self.hub.forget(&channel("commands", device));
        }
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
        let mistakes = self.mistakes(device, &request)?;
        Ok(self.commands.create(now, id, device, request, mistakes, caller)?)
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
        user: &str,
    ) -> Result<DryRun, CommandError> {
        let mistakes = self.mistakes(device, request)?;
        Ok(self.commands.dry_run(now, device, request, mistakes, user))
    }

    /// Takes a batch in, for the devices that it names; of those that it describes, for the ones that the
    /// caller may see.
    ///
    /// # Errors
    /// [`CommandError`] with the value that cannot be; nothing was created then.
    pub fn command_batch(
        &mut self,
        now: Timestamp,
        id: String,
        ids: &mut dyn FnMut() -> CommandId,
        request: BatchRequest,
        (caller, rights): (Caller<'_>, &Rights),
    ) -> Result<Batch, CommandError> {
        let devices = self.meant(&request, rights)?;
        for device in &devices {
            let mistakes = self.mistakes(device, &request.command)?;
            if !mistakes.is_empty() {
                let named = mistakes.into_iter().map(|text| format!("device '{device}': {text}"));
                return Err(CreateError::BadParams(named.collect()).into());
            }
        }
        Ok(self.commands.create_batch(now, id, devices, ids, request, caller)?)
    }

    /// Begins no more rows of a batch.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn pause_batch(&mut self, now: Timestamp, id: &str) -> Result<Batch, BatchError> {
        self.commands.pause_batch(now, id)
    }

    /// Begins rows of a batch again.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn resume_batch(&mut self, now: Timestamp, id: &str) -> Result<Batch, BatchError> {
        self.commands.resume_batch(now, id)
    }

    /// Cancels what of a batch was not sent.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn cancel_batch(
        &mut self,
        now: Timestamp,
        id: &str,
        user: &str,
    ) -> Result<Batch, BatchError> {
        self.commands.cancel_batch(now, id, user)
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

    /// The types of devices that are described.
    #[must_use]
    pub fn types(&self) -> &DeviceTypes {
        &self.types
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
        let before = self.devices.get(device).and_then(|record| record.kind.clone());
        self.devices.put(now, device, kind, tags)?;
        self.watch_kind(now, device);
        self.set_inflight(now, device);
        self.map_anew(now, device, before.as_deref());
        Ok(())
    }

    /// Forgets a device and its values, and cancels what was not sent to it; false where it is not known.
    /// Who watches is told first that it is no longer online: its connection, which the edge closes, says
    /// nothing of it any more.
    pub fn delete_device(&mut self, now: Timestamp, device: &DeviceId, user: &str) -> bool {
        if let Some(presence) = self.devices.kicked(now, device) {
            self.tell_presence(now, device, &presence);
        }
        for first in ["telemetry", "presence", "state"] {
            self.hub.forget(&channel(first, device));
        }
        self.watching_ends(now, device);
        if self.mapping_of(device).is_some() {
            self.commands.receives_nowhere(now, device);
        }
        self.commands.delete_device(now, device, user);
        self.devices.delete(device).is_some()
    }

    /// How often something was refused.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let (alerts, subscriptions) = (self.alerts.refused(), self.hub.refused_subscriptions());
        Refused { alerts, subscriptions, ..self.refused }
    }

    /// What the device's type finds wrong with a command.
    fn mistakes(
        &self,
        device: &DeviceId,
        request: &CommandRequest,
    ) -> Result<Vec<String>, CommandError> {
        let unknown = || CommandError::UnknownDevice(device.clone());
        let kind = self.devices.get(device).ok_or_else(unknown)?.kind.as_deref();
        let mut mistakes = self.types.mistakes(kind, &request.name, request.params.as_ref());
        if let Some(mapping) = self.mappings.of(kind) {
            mistakes.extend(mapping.check(device, request).err());
        }
        Ok(mistakes)
    }

    /// The devices that a batch names, each once.
    fn meant(
        &self,
        request: &BatchRequest,
        rights: &Rights,
    ) -> Result<Vec<DeviceId>, CommandError> {
        let BatchRequest { devices, kind, tag, .. } = request;
        let all = |takes: &dyn Fn(&devices::Record) -> bool| {
            let mut taken: Vec<_> =
                self.devices.iter().filter(|(_, record)| takes(record)).collect();
            taken.retain(|(id, _)| rights.may_see_of("commands", id));
            let mut ids: Vec<_> = taken.into_iter().map(|(id, _)| id.clone()).collect();
            ids.sort_unstable();
            ids
        };
        match (devices, kind, tag) {
            (Some(devices), None, None) => {
                let hidden = devices.iter().find(|id| !rights.may_see_of("commands", id));
                if let Some(hidden) = hidden {
                    return Err(CommandError::UnknownDevice(hidden.clone()));
                }
                let mut seen = HashSet::new();
                Ok(devices.iter().filter(|device| seen.insert(*device)).cloned().collect())
            }
            (None, Some(kind), None) => Ok(all(&|record| record.kind.as_ref() == Some(kind))),
            (None, None, Some(tag)) => Ok(all(&|record| record.has_tag(tag))),
            _ => {
                let why = "name the devices by exactly one of devices, type and tag".to_owned();
                Err(CreateError::Invalid(why).into())
            }
        }
    }

    /// Tells the commands how many of a device may be under way.
    fn set_inflight(&mut self, now: Timestamp, device: &DeviceId) {
        let kind = self.devices.get(device).and_then(|record| record.kind.as_deref());
        self.commands.set_inflight(now, device, self.types.max_inflight(kind));
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

/// The value of a metric.
fn metric(metrics: &Metrics, name: &str) -> Option<Value> {
    let quoted = Value::from(name).to_string();
    let written = quoted.get(1..quoted.len() - 1)?;
    serde_json::from_str(metrics.get(written)?).ok()
}

/// When each device's commands were told of last, and what was said.
fn told(beginning: &Beginning) -> HashMap<DeviceId, (Timestamp, Command)> {
    let last = |restored: &Restored| {
        let device = restored.channel.as_str().strip_prefix("commands/")?.parse().ok()?;
        let Some(Data::Json(json)) = &restored.value else { return None };
        Some((device, (restored.stamp.timestamp, serde_json::from_str(json.get()).ok()?)))
    };
    beginning.channels.iter().filter_map(last).collect()
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
