//! What a value must be beyond its type, and the relations between values.

use super::{Ask, Config, Retention};
use crate::auth;
use bridge::{
    mapping::Mappings,
    route::{self, RouteTable},
};
use protocol::TopicFilter;
use std::fmt;

/// A value that cannot be: the key, the value and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The key, such as `limits.topic_bytes`.
    pub key: String,
    /// What is wrong with its value.
    pub why: String,
}

impl std::error::Error for Unusable {}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.why)
    }
}

/// The longest topic that still fits a channel `topics/{topic}`.
const TOPIC_BYTES_MAX: u64 = 65_000;

/// The largest packet of MQTT (MQTT 5.0, section 2.1.4).
const PACKET_BYTES_MAX: u64 = 268_435_460;

impl Config {
    /// Everything that is wrong with the values.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Unusable> {
        let mut mistakes = Vec::new();
        for (key, value, least, most) in self.ranges() {
            if !(least..=most).contains(&value) {
                mistakes.push(unusable(key, format!("{value} is not in {least}-{most}")));
            }
        }
        mistakes.extend(self.http.allowed_origins.iter().filter_map(|text| bad_origin(text)));
        if let Err(error) = self.log.level.parse::<tracing_subscriber::filter::Targets>() {
            let why =
                format!("'{}' is not a level or a list of target=level: {error}", self.log.level);
            mistakes.push(unusable("log.level", why));
        }
        mistakes.extend(self.routes().err().unwrap_or_default());
        mistakes.extend(self.mappings().err().unwrap_or_default());
        let of_types = self.device_types().err().unwrap_or_default();
        mistakes.extend(of_types.into_iter().map(|why| unusable("types.dir", why)));
        mistakes.extend(self.retention.iter().enumerate().filter_map(bad_retention));
        mistakes.extend(self.alert_rules().err().unwrap_or_default());
        mistakes.extend(self.webhook.mistake());
        mistakes.extend(self.acl_rules().err().unwrap_or_default());
        mistakes.extend(self.jwt_keys().err());
        mistakes.extend(self.insecure());
        mistakes
    }

    /// Listeners that other machines reach though nobody has to sign in there.
    #[must_use]
    pub fn exposed(&self) -> Vec<Unusable> {
        let mqtt = (!self.mqtt_has_credentials() && !self.mqtt.listen.ip().is_loopback()).then(|| {
            let why = format!(
                "{} can be reached from other machines, and there are no credentials: make one with \
                 'sluice-gateway device add ID' (and the same --config or --data-dir), set auth.jwt, or use \
                 127.0.0.1",
                self.mqtt.listen
            );
            unusable("mqtt.listen", why)
        });
        let certified =
            self.mqtt_has_credentials() || self.mqtt.client_certificates.ask == Ask::Required;
        let tls_listen = self.mqtt.tls_listen.filter(|listen| !listen.ip().is_loopback());
        let mqtt_tls = tls_listen.filter(|_| !certified).map(|listen| {
            let why = format!(
                "{listen} can be reached from other machines, and there are no credentials: make one with \
                 'sluice-gateway device add ID' (and the same --config or --data-dir), set auth.jwt or \
                 mqtt.client_certificates.ask = \"required\" and mqtt.client_certificates.ca, or use 127.0.0.1"
            );
            unusable("mqtt.tls_listen", why)
        });
        let signed_in = auth::is_set_up(&self.data_dir.0);
        let http = (!signed_in && !self.http.listen.ip().is_loopback()).then(|| {
            let why = format!(
                "{} can be reached from other machines, and there are no credentials: make a token with \
                 'sluice-gateway token create' (and the same --config or --data-dir), or use 127.0.0.1",
                self.http.listen
            );
            unusable("http.listen", why)
        });
        mqtt.into_iter().chain(mqtt_tls).chain(http).collect()
    }

    /// The routes, compiled.
    ///
    /// # Errors
    /// Each route that cannot be, by its place.
    pub fn routes(&self) -> Result<RouteTable, Vec<Unusable>> {
        let (mut routes, mut mistakes) = (Vec::new(), Vec::new());
        for (index, route) in self.routes.iter().enumerate() {
            match route::Route::new(&route.topic, &route.channel, route.payload) {
                Ok(route) => routes.push(route),
                Err(error) => {
                    mistakes.push(unusable(&format!("routes[{index}]"), error.to_string()));
                }
            }
        }
        if mistakes.is_empty() { Ok(RouteTable::new(routes)) } else { Err(mistakes) }
    }

    /// The mappings, compiled.
    ///
    /// # Errors
    /// Each mapping that cannot be, by its place.
    pub fn mappings(&self) -> Result<Mappings, Vec<Unusable>> {
        let payload_bytes_max = self.limits.command_params_bytes as usize;
        let compiled = Mappings::new(&self.mappings, payload_bytes_max);
        compiled.map_err(|mistakes| {
            let named = |(place, why)| unusable(&format!("mappings[{place}]"), why);
            mistakes.into_iter().map(named).collect()
        })
    }

    /// Each number with its least and its greatest value.
    fn ranges(&self) -> Vec<(&'static str, u64, u64, u64)> {
        let (mqtt, limits) = (&self.mqtt, &self.limits);
        let day_ms = 86_400_000;
        let many = u64::from(u32::MAX);
        vec![
            ("mqtt.connect_timeout_ms", mqtt.connect_timeout_ms, 100, day_ms),
            ("mqtt.write_timeout_ms", mqtt.write_timeout_ms, 100, day_ms),
            ("mqtt.flapping_ban_s", mqtt.flapping_ban_s, 1, 365 * 86_400),
            ("http.flush_ms", self.http.flush_ms, 0, 10_000),
            ("http.header_timeout_ms", self.http.header_timeout_ms, 100, day_ms),
            ("http.body_timeout_ms", self.http.body_timeout_ms, 100, day_ms),
            ("http.write_timeout_ms", self.http.write_timeout_ms, 100, day_ms),
            ("tls.handshake_timeout_ms", self.tls.handshake_timeout_ms, 100, day_ms),
            ("proxy.header_timeout_ms", self.proxy.header_timeout_ms, 100, day_ms),
            ("presence.silent_after_ms", self.presence.silent_after_ms, 1_000, 365 * day_ms),
            ("shutdown.grace_ms", self.shutdown.grace_ms, 0, day_ms),
            ("limits.mqtt_packet_bytes", limits.mqtt_packet_bytes.into(), 1_024, PACKET_BYTES_MAX),
            ("limits.mqtt_connections", limits.mqtt_connections.into(), 1, many),
            ("limits.mqtt_subscriptions", limits.mqtt_subscriptions.into(), 1, many),
            ("limits.mqtt_sessions", limits.mqtt_sessions.into(), 0, many),
            ("limits.mqtt_session_seconds", limits.mqtt_session_seconds.into(), 0, many),
            // Each message that waits has a packet id of its own.
            ("limits.mqtt_queue_messages", limits.mqtt_queue_messages.into(), 1, 50_000),
            ("limits.mqtt_inflight", limits.mqtt_inflight.into(), 1, 10_000),
            (
                "limits.mqtt_queue_bytes",
                limits.mqtt_queue_bytes.into(),
                limits.mqtt_packet_bytes.into(),
                many,
            ),
            (
                "limits.mqtt_queued_bytes",
                limits.mqtt_queued_bytes.into(),
                limits.mqtt_queue_bytes.into(),
                many,
            ),
            ("limits.topic_bytes", limits.topic_bytes.into(), 1, TOPIC_BYTES_MAX),
            ("limits.topic_levels", limits.topic_levels.into(), 1, TOPIC_BYTES_MAX),
            ("limits.retained_messages", limits.retained_messages.into(), 0, many),
            ("limits.retained_bytes", limits.retained_bytes.into(), 0, many),
            (
                "limits.websocket_message_bytes",
                limits.websocket_message_bytes.into(),
                1_024,
                64 * 1024 * 1024,
            ),
            ("limits.websocket_connections", limits.websocket_connections.into(), 1, many),
            ("limits.websocket_messages_per_s", limits.websocket_messages_per_s.into(), 1, many),
            ("limits.websocket_subscriptions", limits.websocket_subscriptions.into(), 1, many),
            ("limits.token_connections", limits.token_connections.into(), 1, many),
            ("limits.token_messages_per_s", limits.token_messages_per_s.into(), 1, many),
            ("limits.token_subscriptions", limits.token_subscriptions.into(), 1, many),
            ("limits.ring_bytes", limits.ring_bytes.into(), 64 * 1024, many),
            ("store.recovery_bytes", self.store.recovery_bytes, 64 * 1024, u64::MAX),
            ("limits.http_body_bytes", limits.http_body_bytes.into(), 1_024, 64 * 1024 * 1024),
            ("limits.http_connections", limits.http_connections.into(), 1, many),
            ("limits.handshakes", limits.handshakes.into(), 1, many),
            ("limits.devices", limits.devices.into(), 1, many),
            ("limits.channels", limits.channels.into(), 1, many),
            ("limits.commands_per_device", limits.commands_per_device.into(), 1, many),
            ("limits.commands_kept", limits.commands_kept.into(), 1, many),
            ("limits.alerts_open", limits.alerts_open.into(), 1, many),
            ("limits.alerts_per_device", limits.alerts_per_device.into(), 1, many),
            ("limits.alerts_kept", limits.alerts_kept.into(), 0, many),
            ("limits.desired_bytes", limits.desired_bytes.into(), 2, 64 * 1024 * 1024),
            ("limits.audit_entries", limits.audit_entries.into(), 1_000, many),
            ("webhook.timeout_ms", self.webhook.timeout_ms, 100, day_ms),
            ("webhook.attempts", self.webhook.attempts.into(), 1, 100),
            ("webhook.queue", self.webhook.queue.into(), 1, 1_000_000),
            (
                "limits.command_params_bytes",
                limits.command_params_bytes.into(),
                2,
                limits.http_body_bytes.into(),
            ),
            ("limits.command_result_bytes", limits.command_result_bytes.into(), 2, many),
            ("limits.batch_devices", limits.batch_devices.into(), 1, 100_000),
            ("limits.batches_open", limits.batches_open.into(), 1, 10_000),
            ("limits.batches_kept", limits.batches_kept.into(), 1, many),
        ]
    }
}

fn unusable(key: &str, why: String) -> Unusable {
    Unusable { key: key.into(), why }
}

/// The most hours that a rule may say: a thousand years.
const HOURS_MAX: u64 = 1_000 * 366 * 24;

fn bad_retention((index, rule): (usize, &Retention)) -> Option<Unusable> {
    let key = |name: &str| format!("retention[{index}].{name}");
    if let Err(error) = rule.channels.parse::<TopicFilter>() {
        return Some(unusable(&key("channels"), error.to_string()));
    }
    match rule.hours {
        Some(hours @ (0 | HOURS_MAX..)) => {
            Some(unusable(&key("hours"), format!("{hours} is not in 1-{HOURS_MAX}")))
        }
        Some(_) | None => None,
    }
}

fn bad_origin(text: &str) -> Option<Unusable> {
    let authority = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let good = authority.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '*', ' ']));
    let why = format!("'{text}' is not an origin such as https://dashboard.example:8443");
    (!good).then(|| unusable("http.allowed_origins", why))
}
