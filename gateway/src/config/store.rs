//! What is kept on disk, for how long, and when that is acknowledged: `[store]`, `[[retention]]`, `[ingest]`.

use super::{
    Config,
    check::{Range, Unusable, unusable},
};
use crate::store;
use protocol::TopicFilter;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When what devices publish is acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// What a QoS 1 or 2 publish must survive once it is acknowledged.
    pub ack: Ack,
}

/// What a QoS 1 or 2 publish must survive once it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Nothing: it is in memory.
    Accepted,
    /// The end of the process, however it comes: it is committed.
    #[default]
    Stored,
    /// A power cut too: it is on the disk.
    Synced,
}

/// What is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Bytes of the newest updates of all channels, packed: how far back a subscriber can resume.
    pub recovery_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { recovery_bytes: 64 * 1024 * 1024 }
    }
}

impl Store {
    pub(super) fn ranges(&self) -> [Range; 1] {
        [("store.recovery_bytes", self.recovery_bytes, 64 * 1024..=u64::MAX)]
    }
}

/// How long the updates of some channels are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// A filter with MQTT's wildcards.
    pub channels: String,
    /// Older updates go; in hours.
    #[serde(default)]
    pub hours: Option<u64>,
    /// All these channels together keep so many bytes; the oldest go first.
    #[serde(default)]
    pub bytes: Option<u64>,
}

impl Config {
    /// The store's settings.
    ///
    /// # Panics
    /// Where [`Self::mistakes`] has something to say of `retention`.
    #[must_use]
    pub fn store_settings(&self) -> store::Settings {
        let rule = |retention: &Retention| store::Rule {
            channels: retention.channels.parse().expect("checked with the other settings"),
            age: retention.hours.map(|hours| Duration::from_secs(hours * 3_600)),
            bytes: retention.bytes,
        };
        store::Settings {
            survives: match self.ingest.ack {
                Ack::Accepted | Ack::Stored => store::Survives::KilledProcess,
                Ack::Synced => store::Survives::PowerCut,
            },
            retention: self.retention.iter().map(rule).collect(),
            recovery_bytes: self.store.recovery_bytes,
            ..store::Settings::new(self.data_dir.0.clone())
        }
    }
}

/// The most hours that a rule may say: a thousand years.
const HOURS_MAX: u64 = 1_000 * 366 * 24;

/// What is wrong with the rule at a place.
pub(super) fn bad_retention((index, rule): (usize, &Retention)) -> impl Iterator<Item = Unusable> {
    let unusable =
        move |name: &str, why: String| unusable(&format!("retention[{index}].{name}"), why);
    let channels = rule.channels.parse::<TopicFilter>().err();
    let channels = channels.map(|error| unusable("channels", error.to_string()));
    let hours = match rule.hours {
        Some(hours @ (0 | HOURS_MAX..)) => {
            Some(unusable("hours", format!("{hours} is not in 1-{HOURS_MAX}")))
        }
        Some(_) | None => None,
    };
    channels.into_iter().chain(hours)
}
