//! What is fuzzed: functions that take any bytes and panic where a promise is broken.
//!
//! `fuzz/` runs them under libFuzzer for as long as one likes; the test `fuzzing` runs them on what is in
//! `fuzz/corpus`, and on mutations of it, for a bounded time on the stable toolchain. The gateway itself calls
//! none of them.

use crate::config;
pub use crate::{
    arrival::fuzzing::proxy,
    auth::fuzzing::jwt,
    edge::fuzzing::{packets, session},
};
use bridge::{
    ingest::{Inbound, decode, raw_message},
    route::{Codec, Route, RouteTable},
};
use protocol::{ClientMessage, TopicFilter, TopicName};
use serde_json::Value;

/// What is fuzzed under a name, which is that of a folder in `fuzz/corpus`.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("packets", packets),
    ("session", session),
    ("topics", topics),
    ("payloads", payloads),
    ("websocket", websocket),
    ("configuration", configuration),
    ("proxy", proxy),
    ("jwt", jwt),
];

/// Lines: a route's topic, its channel, a filter, and topics that they meet.
pub fn topics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (topic, channel, filter) = (line(), line(), line());
    let codecs = [Codec::Json, Codec::Scalar, Codec::Text];
    let routes = codecs.into_iter().filter_map(|codec| Route::new(topic, channel, codec).ok());
    let table = RouteTable::new(routes.collect());
    let filter: Option<TopicFilter> = filter.parse().ok();
    for topic in lines {
        let Ok(name) = topic.parse::<TopicName>() else { continue };
        // Where a message goes is a topic of its own, and the same each time.
        let destination = table.resolve(name.as_str());
        assert_eq!(destination, table.resolve(name.as_str()));
        if let Some(filter) = &filter {
            let naive = naively_matches(filter.as_str(), topic);
            assert_eq!(filter.matches(topic), naive, "{filter} and {topic}");
        }
    }
}

/// What `[MQTT-4.7.1]` and `[MQTT-4.7.2-1]` say, word by word.
fn naively_matches(filter: &str, topic: &str) -> bool {
    fn levels_match(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => levels_match(filter, topic),
            ([wanted, filter @ ..], [level, topic @ ..]) => {
                wanted == level && levels_match(filter, topic)
            }
            _ => false,
        }
    }
    let hidden = topic.starts_with('$') && filter.starts_with(['#', '+']);
    let (filter, topic): (Vec<&str>, Vec<&str>) =
        (filter.split('/').collect(), topic.split('/').collect());
    !hidden && levels_match(&filter, &topic)
}

/// A line with a topic, and a payload behind it.
pub fn payloads(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (topic, payload) = bytes.split_at(end);
    let payload = payload.get(1..).unwrap_or_default();
    let raw = raw_message(payload, 1, false, |bytes| format!("{} bytes", bytes.len()));
    is_json(&raw);
    let Ok(topic) = std::str::from_utf8(topic) else { return };
    let Some(destination) = RouteTable::new(Vec::new()).resolve(topic) else { return };
    for inbound in decode(&destination, payload).unwrap_or_default() {
        match inbound {
            Inbound::Update { data, .. } => is_json(&data),
            Inbound::State { reported, .. } => {
                let state: Result<Value, _> = serde_json::from_str(reported.get());
                assert!(state.is_ok_and(|state| state.is_object()), "{reported}");
            }
            Inbound::Event { .. }
            | Inbound::Recent { .. }
            | Inbound::Answer { .. }
            | Inbound::Mapped { .. } => {}
        }
    }
}

/// What goes to WebSockets as it is must be JSON.
fn is_json(data: &bridge::data::Data) {
    let text = data.text();
    if let Err(error) = serde_json::from_str::<Value>(text) {
        // Numbers beyond f64 are JSON, too, but not for this reader.
        assert!(error.to_string().contains("number out of range"), "{error}: {text}");
    }
}

/// A frame of a WebSocket.
pub fn websocket(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = ClientMessage::decode(text) {
        assert!(!error.to_string().is_empty());
    }
}

/// A configuration file.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match config::of_text(text) {
        Ok(config) => {
            assert!(config.routes().is_ok() && config.alert_rules().is_ok());
        }
        Err(mistakes) => assert!(!mistakes.0.is_empty()),
    }
}
