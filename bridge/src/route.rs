//! Routes: which channel an MQTT topic feeds, and how its payload reads.
//!
//! Configured routes come first, then the built-in ones of the contract; the first that matches wins.
//! Connections publish to few topics, so they keep what [`RouteTable::resolve`] said of each.

use protocol::{CommandId, DeviceId, TopicName, levels};
use std::str::FromStr;

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
        for name in to.names() {
            if !from.names().any(|known| known == name) {
                let (channel, topic, name) = (channel.into(), topic.into(), name.into());
                return Err(BadRoute::Unknown { channel, topic, name });
            }
        }
        let first = levels(channel).next().unwrap_or_default();
        if RESERVED.contains(&first) || first.starts_with(['{', '$']) {
            return Err(BadRoute::Reserved(channel.into()));
        }
        if first == "telemetry" {
            let one_level = to.0.len() == 2 && !matches!(to.0.last(), Some(Level::Rest(_)));
            if !one_level {
                return Err(BadRoute::TelemetryShape(channel.into()));
            }
            if codec != Codec::Json && !from.names().any(|name| name == "metric") {
                return Err(BadRoute::NoMetric(topic.into()));
            }
        }
        Ok(Self { topic: from, channel: to, codec })
    }

    fn resolve(&self, topic: &str) -> Option<Destination> {
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

/// Levels of a topic, some of them named.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Level>);

#[derive(Clone, Debug)]
enum Level {
    Text(String),
    One(String),
    Rest(String),
}

impl Level {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::One(name) | Self::Rest(name) => Some(name),
        }
    }

    fn parse(level: &str) -> Option<Self> {
        let Some(inner) = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            let plain = !level.contains(['{', '}', '+', '#', '\0']);
            return plain.then(|| Self::Text(level.into()));
        };
        let (name, rest) = match inner.strip_suffix("...") {
            Some(name) => (name, true),
            None => (inner, false),
        };
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(word) {
            return None;
        }
        Some(if rest { Self::Rest(name.into()) } else { Self::One(name.into()) })
    }
}

impl FromStr for Template {
    type Err = BadRoute;

    fn from_str(template: &str) -> Result<Self, BadRoute> {
        let mut parsed: Vec<Level> = Vec::new();
        for text in levels(template) {
            let after_rest = matches!(parsed.last(), Some(Level::Rest(_)));
            let level = Level::parse(text).filter(|_| !after_rest && !template.is_empty());
            let level = level
                .ok_or_else(|| BadRoute::Level { template: template.into(), level: text.into() })?;
            if let Some(name) = level.name()
                && parsed.iter().any(|known| known.name() == Some(name))
            {
                return Err(BadRoute::Twice { template: template.into(), name: name.into() });
            }
            parsed.push(level);
        }
        Ok(Self(parsed))
    }
}

impl Template {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Level::name)
    }

    /// What the names stand for in `topic`; none: it is of another shape.
    pub(crate) fn captures<'a>(&'a self, topic: &'a str) -> Option<Captures<'a>> {
        let mut captures = Captures(Vec::new());
        let mut rest = Some(topic);
        for level in &self.0 {
            let remaining = rest?;
            let (first, behind) = match remaining.split_once('/') {
                Some((first, behind)) => (first, Some(behind)),
                None => (remaining, None),
            };
            match level {
                Level::Text(text) if text == first => rest = behind,
                Level::Text(_) => return None,
                Level::One(name) => {
                    captures.0.push((name, first));
                    rest = behind;
                }
                Level::Rest(name) => {
                    captures.0.push((name, remaining));
                    rest = None;
                }
            }
        }
        rest.is_none().then_some(captures)
    }

    fn filled(&self, captures: &Captures<'_>) -> String {
        let fill = |level: &Level| match level {
            Level::Text(text) => text.clone(),
            Level::One(name) | Level::Rest(name) => captures.get(name).unwrap_or_default().into(),
        };
        self.0.iter().map(fill).collect::<Vec<String>>().join("/")
    }
}

/// What the names of a template stand for.
pub(crate) struct Captures<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Captures<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn telemetry(device: &str, payload: Payload) -> Option<Destination> {
        Some(Destination::Telemetry {
            channel: format!("telemetry/{device}").parse().unwrap(),
            device: device.parse().unwrap(),
            payload,
        })
    }

    fn metric(name: &str) -> Payload {
        Payload::Metric { name: name.into(), text: false }
    }

    #[test]
    fn the_built_in_routes_are_those_of_the_contract() {
        let table = RouteTable::new(vec![]);
        let id = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";
        assert_eq!(table.resolve("devices/d1/telemetry"), telemetry("d1", Payload::Json));
        assert_eq!(table.resolve("devices/d1/telemetry/temp"), telemetry("d1", metric("temp")));
        assert_eq!(
            table.resolve("devices/d1/state"),
            Some(Destination::State { device: "d1".parse().unwrap() })
        );
        assert_eq!(
            table.resolve(&format!("devices/d1/commands/{id}/ack")),
            Some(Destination::Answer {
                device: "d1".parse().unwrap(),
                command: id.parse().unwrap()
            })
        );
        for other in [
            "devices/d 1/telemetry",
            "devices//telemetry",
            "devices/d1/telemetry/a/b",
            "devices/d1/commands/7/ack",
            "devices/d1",
            "devices",
            "/devices/d1/telemetry",
            "other/topic",
        ] {
            assert_eq!(table.resolve(other), None, "{other}");
        }
    }

    #[test]
    fn configured_routes_come_first_and_capture() {
        let route = |topic, channel, codec| Route::new(topic, channel, codec).unwrap();
        let table = RouteTable::new(vec![
            route("plant/{area}/{device}/{metric}", "telemetry/{device}", Codec::Scalar),
            route("weather/{place...}", "weather/{place...}", Codec::Json),
        ]);
        assert_eq!(table.resolve("plant/hall/p1/rpm"), telemetry("p1", metric("rpm")));
        assert_eq!(
            table.resolve("weather/at//wien"),
            Some(Destination::Custom {
                channel: "weather/at//wien".parse().unwrap(),
                payload: Payload::Json
            })
        );
        assert_eq!(table.resolve("weather"), None);
    }

    #[test]
    fn routes_that_cannot_be_say_why() {
        let refused = |topic, channel, codec| Route::new(topic, channel, codec).unwrap_err();
        let level = |template: &str, level: &str| BadRoute::Level {
            template: template.into(),
            level: level.into(),
        };
        assert_eq!(refused("a/{x", "b", Codec::Json), level("a/{x", "{x"));
        assert_eq!(refused("a/{x...}/b", "b", Codec::Json), level("a/{x...}/b", "b"));
        assert_eq!(refused("a/+", "b", Codec::Json), level("a/+", "+"));
        assert_eq!(refused("", "b", Codec::Json), level("", ""));
        assert!(matches!(refused("{x}/{x}", "b", Codec::Json), BadRoute::Twice { .. }));
        assert!(matches!(refused("a/{x}", "b/{y}", Codec::Json), BadRoute::Unknown { .. }));
        assert!(matches!(refused("a/{x}", "presence/{x}", Codec::Json), BadRoute::Reserved(_)));
        assert!(matches!(refused("a/{x}", "{x}", Codec::Json), BadRoute::Reserved(_)));
        assert!(matches!(
            refused("a/{x...}", "telemetry/{x...}", Codec::Json),
            BadRoute::TelemetryShape(_)
        ));
        assert!(matches!(refused("a/{d}", "telemetry/{d}", Codec::Text), BadRoute::NoMetric(_)));
    }

    proptest! {
        #[test]
        fn no_text_panics(template: String, topic: String) {
            let table = RouteTable::new(Route::new(&template, "x/y", Codec::Json).into_iter().collect());
            let _destination = table.resolve(&topic);
        }

        #[test]
        fn a_rest_template_copies_the_topic(rest in "[a-z/]{1,12}") {
            let table =
                RouteTable::new(vec![Route::new("w/{r...}", "c/{r...}", Codec::Json).unwrap()]);
            let channel = match table.resolve(&format!("w/{rest}")) {
                Some(Destination::Custom { channel, .. }) => channel.to_string(),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(channel, format!("c/{rest}"));
        }
    }
}
