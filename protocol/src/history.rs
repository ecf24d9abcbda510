//! Values of the past, as columns: `history` on `/ws` and `GET /devices/{id}/telemetry`.

use crate::{Millis, Timestamp, TopicName, whole};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What of the past comes before the live updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = r#"it is neither {"last":n} nor {"since":ms,"points":n}"#
)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HistoryRequest {
    /// The newest updates.
    Last {
        /// How many of each channel; 1 to 10,000.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
        #[serde(deserialize_with = "whole::only")]
        last: u32,
    },
    /// From a time on.
    Since {
        /// The time.
        since: Timestamp,
        /// At most so many values of each metric, 1 to 10,000: downsampled if there are more.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
        #[serde(deserialize_with = "whole::only")]
        points: u32,
    },
}

impl HistoryRequest {
    /// The most updates or points of a channel that may be asked for.
    pub const POINTS_MAX: u32 = 10_000;

    pub(crate) fn check(&self) -> Result<(), String> {
        let (name, count) = match self {
            Self::Last { last } => ("last", last),
            Self::Since { points, .. } => ("points", points),
        };
        if !(1..=Self::POINTS_MAX).contains(count) {
            return Err(format!("history.{name} {count} is not in 1-{}", Self::POINTS_MAX));
        }
        match self {
            Self::Since { since, .. } if !since.is_in_range() => Err(format!(
                "history.since {since} is not in {}-{}",
                Timestamp::MIN,
                Timestamp::MAX
            )),
            Self::Since { .. } | Self::Last { .. } => Ok(()),
        }
    }
}

/// What a channel's metrics were, in columns of equal length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct History {
    /// The channel.
    pub channel: TopicName,
    /// The beginning of the time it covers.
    pub from: Timestamp,
    /// Its end, itself not covered.
    pub to: Timestamp,
    /// How long a bucket is; null: the values are as they came.
    pub bucket_ms: Option<Millis>,
    /// When each value was, or each bucket began.
    pub timestamps: Vec<Timestamp>,
    /// The columns, by metric.
    pub metrics: BTreeMap<String, HistoryColumn>,
}

/// One metric; null where there is no value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HistoryColumn {
    /// As it came.
    Values {
        /// A value for each time.
        #[cfg_attr(feature = "typescript", ts(type = "unknown[]"))]
        values: Vec<Value>,
    },
    /// Downsampled.
    Buckets {
        /// The least number of each bucket.
        min: Vec<Option<f64>>,
        /// The greatest.
        max: Vec<Option<f64>>,
        /// The last value.
        #[cfg_attr(feature = "typescript", ts(type = "unknown[]"))]
        last: Vec<Value>,
    },
}
