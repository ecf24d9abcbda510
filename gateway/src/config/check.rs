//! What values must be beyond their types: each section knows its own, here they are asked together; and
//! which listeners must not be open to all.

use super::{Ask, Config, store::bad_retention};
use crate::auth;
use std::{fmt, ops::RangeInclusive};

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

/// A number: its key, its value, and between which values it must be.
pub(super) type Range = (&'static str, u64, RangeInclusive<u64>);

/// A day in milliseconds: longer than anybody waits.
pub(super) const DAY_MS: u64 = 86_400_000;

/// As many as a number of 32 bits can say.
pub(super) const MANY: u64 = u32::MAX as u64;

impl Config {
    /// Everything that is wrong with the values.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Unusable> {
        let mut mistakes = self.bad_numbers();
        let nowhere = self.data_dir.0.as_os_str().is_empty();
        let why = "it is empty: name a directory, or leave it out for ./data";
        mistakes.extend(nowhere.then(|| unusable("data_dir", why.into())));
        mistakes.extend(self.http.mistakes());
        mistakes.extend(self.log.mistake());
        mistakes.extend(self.routes().err().unwrap_or_default());
        mistakes.extend(self.mappings().err().unwrap_or_default());
        let of_types = self.device_types().err().unwrap_or_default();
        mistakes.extend(of_types.into_iter().map(|why| unusable("types.dir", why)));
        mistakes.extend(self.retention.iter().enumerate().flat_map(bad_retention));
        mistakes.extend(self.alert_rules().err().unwrap_or_default());
        mistakes.extend(self.webhook.mistakes());
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

    /// Numbers that are out of their ranges, and of those that are not, those that are greater than another allows.
    fn bad_numbers(&self) -> Vec<Unusable> {
        let out = self.ranges().filter(|(_, value, range)| !range.contains(value));
        let mut mistakes: Vec<_> = out
            .map(|(key, value, range)| {
                unusable(key, format!("{value} is not in {}-{}", range.start(), range.end()))
            })
            .collect();
        for ((key, value), (other, most)) in self.limits.within_others() {
            let told = |mistake: &Unusable| [key, other].contains(&&*mistake.key);
            if value > most && !mistakes.iter().any(told) {
                let why = format!(
                    "{value} is more than {other}, {most}: lower the one or raise the other"
                );
                mistakes.push(unusable(key, why));
            }
        }
        mistakes
    }

    /// Each number with the values that it must be between.
    fn ranges(&self) -> impl Iterator<Item = Range> {
        let Self { mqtt, http, tls, proxy, presence, shutdown, limits, store, webhook, .. } = self;
        let listeners = mqtt.ranges().into_iter().chain(http.ranges()).chain(tls.ranges());
        let own = self.workers.ranges().into_iter();
        let others = own.chain(presence.ranges()).chain(shutdown.ranges());
        let kept = limits.ranges().chain(store.ranges()).chain(webhook.ranges());
        listeners.chain(proxy.ranges()).chain(others).chain(kept)
    }
}

/// A mistake in the value of a key.
pub(super) fn unusable(key: &str, why: String) -> Unusable {
    Unusable { key: key.into(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_beyond_another_names_both_and_is_no_mistake_where_the_other_is_one() {
        let told = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            let mistakes = config.mistakes();
            mistakes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let small_body = told(|config| config.limits.http_body_bytes = 32_768);
        let way_out =
            "65536 is more than limits.http_body_bytes, 32768: lower the one or raise the other";
        assert_eq!(small_body, [format!("limits.command_params_bytes: {way_out}")]);
        let small_queue = told(|config| config.limits.mqtt_queue_bytes = 2_048);
        assert!(
            small_queue.len() == 1
                && small_queue[0].contains(
                    "mqtt_packet_bytes: 262144 is more than limits.mqtt_queue_bytes, 2048"
                ),
            "{small_queue:?}"
        );
        let no_body = told(|config| config.limits.http_body_bytes = 0);
        assert_eq!(no_body, ["limits.http_body_bytes: 0 is not in 1024-67108864"]);
    }
}
