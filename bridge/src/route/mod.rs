//! Routes: which channel an MQTT topic feeds, and how its payload reads.
//!
//! Configured routes come first, then the built-in ones of the contract; the first that matches wins.
//! Connections publish to few topics, so they keep what [`RouteTable::resolve`] said of each. What a route of
//! the configuration may be is in `configured`, how topics are matched and channels made in `template`.

mod configured;
mod template;

pub use configured::{BadRoute, Codec, Route};
pub(crate) use template::Template;

use protocol::{CommandId, DeviceId, TopicName, levels};

/// Where the messages of one topic go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A device's metrics.
    Telemetry {
        /// `telemetry/{device}`.
        channel: TopicName,
        /// The device.
        device: DeviceId,
        /// How the payload reads.
        payload: Payload,
    },
    /// A channel that the configuration made.
    Custom {
        /// The channel.
        channel: TopicName,
        /// How the payload reads.
        payload: Payload,
    },
    /// A device's reported state.
    State {
        /// The device.
        device: DeviceId,
    },
    /// What a device raises and clears.
    Event {
        /// The device.
        device: DeviceId,
    },
    /// A device's report of its last commands.
    Recent {
        /// The device.
        device: DeviceId,
    },
    /// A device's answers to a command.
    Answer {
        /// The device.
        device: DeviceId,
        /// The command.
        command: CommandId,
    },
}

impl Destination {
    /// The device whose messages these are.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Telemetry { device, .. }
            | Self::State { device }
            | Self::Event { device }
            | Self::Recent { device }
            | Self::Answer { device, .. } => Some(device),
            Self::Custom { .. } => None,
        }
    }
}

/// How a payload reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// JSON: for telemetry an object, a stamped object or an array of those.
    Json,
    /// One value for one metric.
    Metric {
        /// The metric; empty for a channel that has none.
        name: String,
        /// Always a text, even where it looks like a number.
        text: bool,
    },
}

/// All routes in their order.
#[derive(Clone, Debug)]
pub struct RouteTable(Vec<Route>);

impl RouteTable {
    /// The configured routes, then the built-in ones.
    ///
    /// # Panics
    /// Never: the built-in routes are valid.
    #[must_use]
    pub fn new(configured: Vec<Route>) -> Self {
        let built_in = [
            ("devices/{device}/telemetry", Codec::Json),
            ("devices/{device}/telemetry/{metric}", Codec::Scalar),
        ];
        let built_in = built_in.map(|(topic, codec)| {
            Route::new(topic, "telemetry/{device}", codec).expect("the built-in routes are valid")
        });
        Self(configured.into_iter().chain(built_in).collect())
    }

    /// Where messages on `topic` go; none: to ordinary subscribers only.
    #[must_use]
    pub fn resolve(&self, topic: &str) -> Option<Destination> {
        self.0.iter().find_map(|route| route.resolve(topic)).or_else(|| device_topic(topic))
    }
}

/// The topics of a device that are more than a translation to a channel.
fn device_topic(topic: &str) -> Option<Destination> {
    let mut parts = levels(topic.strip_prefix("devices/")?);
    let device = parts.next()?.parse().ok()?;
    match (parts.next()?, parts.next(), parts.next(), parts.next()) {
        ("state", None, None, None) => Some(Destination::State { device }),
        ("events", None, None, None) => Some(Destination::Event { device }),
        ("commands", Some("recent"), None, None) => Some(Destination::Recent { device }),
        ("commands", Some(command), Some("ack"), None) => {
            Some(Destination::Answer { device, command: command.parse().ok()? })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
