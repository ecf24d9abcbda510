//! What devices say: decoded messages of connections, each to where it belongs.

use super::{Bridge, channel};
use crate::{
    command::book::Said,
    data::{Data, Metrics},
    devices::TooManyDevices,
    hub::Sink,
    ingest::Inbound,
};
use protocol::{DeviceId, Timestamp, TopicName};
use serde_json::{Value, value::RawValue};

/// Notes that a device says something, and decides whether it may be there.
pub(super) type Admit<S> = fn(&mut Bridge<S>, Timestamp, &DeviceId) -> bool;

impl<S: Sink> Bridge<S> {
    /// Takes decoded messages of one connection.
    pub fn ingest(&mut self, now: Timestamp, inbound: Vec<Inbound>) {
        for message in inbound {
            self.take_of(now, message, Self::heard);
        }
    }

    /// Takes a decoded will. What it says counts, but it was written before and nobody speaks now: it makes no
    /// device online, least of all the one whose end it tells.
    pub fn last_words(&mut self, now: Timestamp, inbound: Vec<Inbound>) {
        for message in inbound {
            self.take_of(now, message, Self::noted);
        }
    }

    /// Takes what was said where its device may be there, which `admit` decides.
    fn take_of(&mut self, now: Timestamp, message: Inbound, admit: Admit<S>) {
        if let Inbound::Mapped { spoken, payload } = &message {
            self.mapped(now, spoken, payload, admit);
        } else if message.device().is_none_or(|device| admit(self, now, device)) {
            self.take(now, message);
        }
    }

    /// Takes what a device said that may be there.
    fn take(&mut self, now: Timestamp, message: Inbound) {
        match message {
            Inbound::Update { channel, device, timestamp, data } => {
                self.updated(now, &channel, device, timestamp, data);
            }
            Inbound::State { device, reported } => {
                self.observe_state(now, &device, &reported);
                self.reported(now, &device, reported);
            }
            Inbound::Event { device, event } => self.event(now, &device, event),
            Inbound::Recent { device, answers } => self.commands.recent(now, &device, &answers),
            Inbound::Answer { device, command, answer } => {
                let known = self.commands.answer(now, &device, command, &answer);
                self.refused.answers += u64::from(!known);
            }
            Inbound::Mapped { .. } => {}
        }
    }

    fn updated(
        &mut self,
        now: Timestamp,
        channel: &TopicName,
        device: Option<DeviceId>,
        timestamp: Option<Timestamp>,
        data: Data,
    ) {
        if let (Some(device), Data::Metrics(metrics)) = (&device, &data) {
            self.observe(now, device, Said::Telemetry, |name| metric(metrics, name));
        }
        let watched = device.filter(|_| self.alerts.watches_metrics());
        let watched = watched.map(|device| (device, data.clone()));
        self.publish(now, channel, timestamp, data);
        if let Some((device, data)) = watched {
            self.measure(now, &device, &data);
        }
    }

    /// The state is read only where a command or a mapping asks for it.
    fn observe_state(&mut self, now: Timestamp, device: &DeviceId, reported: &RawValue) {
        if (self.commands.expects_of(device) || self.mapping_of(device).is_some())
            && let Ok(Value::Object(state)) = serde_json::from_str(reported.get())
        {
            self.observe(now, device, Said::State, |name| state.get(name).cloned());
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

    pub(super) fn heard(&mut self, now: Timestamp, device: &DeviceId) -> bool {
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

    fn noted(&mut self, now: Timestamp, device: &DeviceId) -> bool {
        let noted = self.devices.noted(now, device).is_ok();
        self.refused.devices += u64::from(!noted);
        noted
    }
}

/// The value of a metric.
fn metric(metrics: &Metrics, name: &str) -> Option<Value> {
    let quoted = Value::from(name).to_string();
    let written = quoted.get(1..quoted.len() - 1)?;
    serde_json::from_str(metrics.get(written)?).ok()
}
