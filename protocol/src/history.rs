//! Values of the past, as columns: `history` on `/ws` and `GET /devices/{id}/telemetry`.

use crate::{Millis, Timestamp, TopicName, object, whole};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// What of the past comes before the live updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged, deny_unknown_fields)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum HistoryRequest {
    /// The newest updates.
    Last {
        /// How many of each channel; 1 to 10,000.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
        last: u32,
    },
    /// From a time on.
    Since {
        /// The time.
        #[cfg_attr(feature = "schema", schemars(extend("maximum" = Timestamp::MAX)))]
        since: Timestamp,
        /// At most so many values of each metric, 1 to 10,000: downsampled if there are more.
        #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
        points: u32,
    },
}

/// The members of a request of either kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default, deserialize_with = "whole::or_null")]
    last: Option<u32>,
    since: Option<Timestamp>,
    #[serde(default, deserialize_with = "whole::or_null")]
    points: Option<u32>,
}

impl<'de> Deserialize<'de> for HistoryRequest {
    /// Each member is read as what it is: where serde tries one kind after the other, `2.0` is no whole number, and
    /// nothing tells which member is wrong.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match object::only(from)? {
            Asked { last: Some(last), since: None, points: None } => Ok(Self::Last { last }),
            Asked { last: None, since: Some(since), points: Some(points) } => {
                Ok(Self::Since { since, points })
            }
            Asked { .. } => {
                Err(D::Error::custom(r#"it is neither {"last":n} nor {"since":ms,"points":n}"#))
            }
        }
    }
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
        #[cfg_attr(feature = "typescript", ts(type = "Array<number | null>"))]
        #[cfg_attr(feature = "schema", schemars(with = "Vec<Option<f64>>"))]
        min: Vec<Option<Number>>,
        /// The greatest.
        #[cfg_attr(feature = "typescript", ts(type = "Array<number | null>"))]
        #[cfg_attr(feature = "schema", schemars(with = "Vec<Option<f64>>"))]
        max: Vec<Option<Number>>,
        /// The last value.
        #[cfg_attr(feature = "typescript", ts(type = "unknown[]"))]
        last: Vec<Value>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<HistoryRequest, String> {
        let mut json = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut json).map_err(|error| error.to_string())
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point_or_an_exponent() {
        for json in [r#"{"last":2}"#, r#"{"last":2.0}"#, r#"{"last":2e0,"since":null}"#] {
            assert_eq!(read(json), Ok(HistoryRequest::Last { last: 2 }), "{json}");
        }
        let since = HistoryRequest::Since { since: Timestamp(1_000), points: 3 };
        for json in [r#"{"since":1000,"points":3}"#, r#"{"since":1e3,"points":3.0}"#] {
            assert_eq!(read(json), Ok(since), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_the_member_or_what_is_together() {
        for (json, why) in [
            (r#"{"last":-1}"#, "last: invalid value: integer `-1`, expected u32"),
            (r#"{"last":1.5}"#, "last: invalid type: floating point `1.5`, expected u32"),
            (r#"{"since":0,"points":"3"}"#, "points: invalid type: string \"3\", expected u32"),
            (r#"{"last":1,"x":2}"#, "x: unknown field `x`, expected one of"),
            (r#"{"since":0}"#, "it is neither"),
            (r#"{"last":1,"points":2}"#, "it is neither"),
            ("{}", "it is neither"),
            ("[2]", "invalid type: sequence, expected an object"),
        ] {
            let said = read(json).expect_err(json);
            assert!(said.starts_with(why), "{json}: {said}");
        }
    }
}
