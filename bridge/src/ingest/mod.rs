//! What a device's payload says: from bytes to updates, before anything is numbered or stored.
//!
//! Which of these a payload is its topic decides (`route`); how each reads has a file of its own.

mod answer;
mod deep;
mod event;
mod telemetry;
mod value;

pub use answer::{decode_mended, decode_response};
pub use value::raw_message;

use crate::{
    data::Data,
    mapping::Spoken,
    route::{Destination, Payload},
};
use protocol::{Answer, CommandId, DeviceEvent, DeviceId, Timestamp, TopicName};
use serde_json::{Value, value::RawValue};
use std::sync::Arc;

/// What an MQTT message means for the bridge.
#[derive(Clone, Debug)]
pub enum Inbound {
    /// A new value for a channel.
    Update {
        /// The channel.
        channel: TopicName,
        /// The device it came from, where the channel has one.
        device: Option<DeviceId>,
        /// The device's own time, where it gave one.
        timestamp: Option<Timestamp>,
        /// What it says.
        data: Data,
    },
    /// A device's reported state.
    State {
        /// The device.
        device: DeviceId,
        /// An object.
        reported: Arc<RawValue>,
    },
    /// A device raises an alert or clears one.
    Event {
        /// The device.
        device: DeviceId,
        /// What it says.
        event: DeviceEvent,
    },
    /// A device's report of its last commands.
    Recent {
        /// The device.
        device: DeviceId,
        /// What it knows of each.
        answers: Vec<(CommandId, Answer)>,
    },
    /// A device's answer to a command.
    Answer {
        /// The device.
        device: DeviceId,
        /// The command.
        command: CommandId,
        /// The answer.
        answer: Answer,
    },
    /// What a device said in its own way, on a topic that a mapping reads.
    Mapped {
        /// What the topic means.
        spoken: Arc<Spoken>,
        /// The payload.
        payload: Value,
    },
}

impl Inbound {
    /// The device it came from, where it tells of one.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Update { device, .. } => device.as_ref(),
            Self::State { device, .. }
            | Self::Event { device, .. }
            | Self::Recent { device, .. }
            | Self::Answer { device, .. } => Some(device),
            Self::Mapped { spoken, .. } => spoken.device.as_ref(),
        }
    }
}

/// A payload that is not what its route says; the text tells why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

impl From<serde_json::Error> for Undecodable {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// Reads `payload` as `destination` says. A batch gives one update an entry, all of them or none.
///
/// # Errors
/// [`Undecodable`] with the reason.
pub fn decode(destination: &Destination, payload: &[u8]) -> Result<Vec<Inbound>, Undecodable> {
    let one = match destination {
        Destination::Telemetry { channel, device, payload: format } => {
            return telemetry::updates(channel, device, format, payload);
        }
        Destination::Custom { channel, payload: format } => custom(channel, format, payload)?,
        Destination::State { device } => state(device, payload)?,
        Destination::Event { device } => {
            Inbound::Event { device: device.clone(), event: event::read(payload)? }
        }
        Destination::Recent { device } => {
            Inbound::Recent { device: device.clone(), answers: answer::recent(payload)? }
        }
        Destination::Answer { device, command } => {
            let answer = answer::read(payload)?;
            Inbound::Answer { device: device.clone(), command: *command, answer }
        }
    };
    Ok(vec![one])
}

fn custom(channel: &TopicName, format: &Payload, payload: &[u8]) -> Result<Inbound, Undecodable> {
    let json = match format {
        Payload::Json => value::checked(payload)?,
        Payload::Metric { text, .. } => value::one(payload, *text)?,
    };
    let (channel, data) = (channel.clone(), Data::Json(json.into()));
    Ok(Inbound::Update { channel, device: None, timestamp: None, data })
}

fn state(device: &DeviceId, payload: &[u8]) -> Result<Inbound, Undecodable> {
    let reported = value::checked(payload)?;
    if !reported.get().starts_with('{') {
        return Err(Undecodable("the reported state is not an object".into()));
    }
    Ok(Inbound::State { device: device.clone(), reported: reported.into() })
}

/// Reads what a mapped device said in its own way: JSON where it is some, but for what nests too deep in it, else a text.
/// None: it is neither, or begins like an object or an array and is none.
#[must_use]
pub fn decode_mapped(spoken: &Arc<Spoken>, payload: &[u8]) -> Option<Inbound> {
    let text = value::utf8(payload).ok()?;
    let payload = match serde_json::from_slice(&deep::cut(payload)) {
        Ok(json) => json,
        Err(_) if value::begins_as_container(text) => return None,
        Err(_) => Value::from(text),
    };
    Some(Inbound::Mapped { spoken: Arc::clone(spoken), payload })
}

#[cfg(test)]
mod tests;
