//! Routes that the configuration may make, and why others cannot be.

use super::{Destination, Payload, Template};
use protocol::{TopicName, levels};

/// The codec of a route, as the configuration names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// [`Payload::Json`].
    #[default]
    Json,
    /// One value: number, boolean or JSON where it is one, else text.
    Scalar,
    /// One value, always a text.
    Text,
}

/// A route that cannot be: what is wrong, with the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    /// A level with braces that is not `{name}`, or `{name...}` at the end.
    #[error(
        "'{template}': level '{level}' is not a text without + # {{ }}, {{name}}, or a last {{name...}}"
    )]
    Level {
        /// The template.
        template: String,
        /// The level.
        level: String,
    },
    /// A name that stands twice in the topic.
    #[error("'{template}' names {{{name}}} twice")]
    Twice {
        /// The template.
        template: String,
        /// The name.
        name: String,
    },
    /// A name of the channel that the topic does not have.
    #[error("channel '{channel}' uses {{{name}}}, which topic '{topic}' does not have")]
    Unknown {
        /// The channel's template.
        channel: String,
        /// The topic's template.
        topic: String,
        /// The name.
        name: String,
    },
    /// A channel that the gateway itself writes.
    #[error(
        "channel '{0}' is the gateway's own: use telemetry/{{device}} or a first level of your own"
    )]
    Reserved(String),
    /// A telemetry channel that is not `telemetry/{device}`.
    #[error("channel '{0}' is not telemetry/ with one level for the device")]
    TelemetryShape(String),
    /// One value without the name of its metric.
    #[error("topic '{0}' gives one value but no {{metric}} to name it")]
    NoMetric(String),
}

/// First levels of channels that only the gateway writes.
const RESERVED: [&str; 7] =
    ["alerts", "batches", "commands", "gateway", "presence", "state", "topics"];

/// A route: messages on topics of one shape go to channels of another.
#[derive(Clone, Debug)]
pub struct Route {
    topic: Template,
    channel: Template,
    codec: Codec,
}

impl Route {
    /// The route from topics like `topic` to channels like `channel`.
    ///
    /// # Errors
    /// [`BadRoute`] where a template is malformed or the two do not fit.
    pub fn new(topic: &str, channel: &str, codec: Codec) -> Result<Self, BadRoute> {
        let (from, to): (Template, Template) = (topic.parse()?, channel.parse()?);
        if let Some(name) = to.names().find(|name| !from.has(name)) {
            let (channel, topic, name) = (channel.into(), topic.into(), name.into());
            return Err(BadRoute::Unknown { channel, topic, name });
        }
        let first = levels(channel).next().unwrap_or_default();
        if RESERVED.contains(&first) || first.starts_with(['{', '$']) {
            return Err(BadRoute::Reserved(channel.into()));
        }
        if first == "telemetry" {
            if !to.has_two_levels() {
                return Err(BadRoute::TelemetryShape(channel.into()));
            }
            if codec != Codec::Json && !from.has("metric") {
                return Err(BadRoute::NoMetric(topic.into()));
            }
        }
        Ok(Self { topic: from, channel: to, codec })
    }

    /// Where messages on `topic` go; none: the route is not about it.
    pub(super) fn resolve(&self, topic: &str) -> Option<Destination> {
        let captures = self.topic.captures(topic)?;
        let channel: TopicName = self.channel.filled(&captures).parse().ok()?;
        let payload = match self.codec {
            Codec::Json => Payload::Json,
            codec @ (Codec::Scalar | Codec::Text) => Payload::Metric {
                name: captures.get("metric").unwrap_or_default().into(),
                text: codec == Codec::Text,
            },
        };
        match channel.as_str().strip_prefix("telemetry/") {
            Some(device) => {
                let device = device.parse().ok()?;
                Some(Destination::Telemetry { channel, device, payload })
            }
            None => Some(Destination::Custom { channel, payload }),
        }
    }
}
