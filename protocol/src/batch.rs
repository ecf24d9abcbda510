//! Batches: one command for many devices, a few at a time.

use crate::{CommandRequest, CommandState, DeviceId, object, whole};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{collections::BTreeMap, fmt};

/// The body of `POST /command-batches`: exactly one of `devices`, `type` and `tag` names the devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("oneOf" = [
        { "required": ["devices"], "properties": { "devices": { "type": "array" } } },
        { "required": ["type"], "properties": { "type": { "type": "string" } } },
        { "required": ["tag"], "properties": { "tag": { "type": "string" } } },
    ]))
)]
pub struct BatchRequest {
    /// These devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<DeviceId>>,
    /// All devices of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// All devices with this label: `name`, or `name:value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What each is asked to do.
    #[serde(deserialize_with = "object::only")]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("properties" = { "dry_run": { "enum": [false, null] } }))
    )]
    pub command: CommandRequest,
    /// How many may be under way at a time; all of them unless told.
    #[serde(default, deserialize_with = "whole::or_null", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 4_294_967_295_u32)))]
    pub concurrency: Option<u32>,
    /// How many may begin in a second; above 0, at most 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 10_000)))]
    pub rate: Option<f64>,
    /// After how many failures the rest is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_after: Option<AbortAfter>,
    /// For the commands of one device only: `true` is refused, so that nobody who means to try out commands a fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("enum" = [false, null])))]
    pub dry_run: Option<bool>,
}

/// When a batch is given up: as soon as so many rows have failed, were rejected, timed out or expired.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AbortAfter {
    /// So many rows.
    Failures(#[cfg_attr(feature = "schema", schemars(range(max = 4_294_967_295_u32)))] u32),
    /// So many percent of all rows; above 0, at most 100.
    Percent(
        #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 100)))]
        f64,
    ),
}

impl<'de> Deserialize<'de> for AbortAfter {
    /// As everywhere, other members are ignored; as an enum is read, they would be errors.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Bound { failures, percent } = object::only(from)?;
        match (failures, percent) {
            (Some(failures), None) => Ok(Self::Failures(failures)),
            (None, Some(percent)) => Ok(Self::Percent(percent)),
            (None, None) | (Some(_), Some(_)) => {
                Err(D::Error::custom("name exactly one of failures and percent"))
            }
        }
    }
}

/// [`AbortAfter`] as it is written.
#[derive(Deserialize)]
struct Bound {
    #[serde(default, deserialize_with = "whole::or_null")]
    failures: Option<u32>,
    percent: Option<f64>,
}

/// Where a batch is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BatchState {
    /// Rows begin, as far as `concurrency` and `rate` allow.
    Running,
    /// No more rows begin or are sent until it is resumed; the time of those that have begun runs on.
    Paused,
    /// Every row has ended.
    Done,
    /// Too many rows failed: what was not sent by then is cancelled.
    Aborted,
    /// Somebody cancelled it: what was not sent by then is cancelled.
    Cancelled,
}

impl BatchState {
    /// Whether it begins no more rows, ever.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Running | Self::Paused => false,
            Self::Done | Self::Aborted | Self::Cancelled => true,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for BatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A batch as `GET /command-batches/{id}` and `batches/{batch}` give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Batch {
    /// Its id, given by the gateway.
    pub id: String,
    /// Where it is in its life.
    pub state: BatchState,
    /// How many rows it has: one for each device.
    pub total: usize,
    /// How many of them are in which state; states without any are left out. What is not yet sent
    /// counts as `queued`.
    #[cfg_attr(feature = "typescript", ts(type = "{ [state in CommandState]?: number }"))]
    pub counts: BTreeMap<CommandState, usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_given_up_after_failures_or_a_percentage_whatever_else_is_said() {
        let read = |text: &str| serde_json::from_str::<AbortAfter>(text);
        let failures = read(r#"{"failures":3,"why":"the pumps are old"}"#);
        assert_eq!(failures.unwrap(), AbortAfter::Failures(3));
        assert_eq!(read(r#"{"percent":2.5,"failures":null}"#).unwrap(), AbortAfter::Percent(2.5));
        for bad in ["{}", r#"{"failures":3,"percent":5}"#, r#"{"failures":-1}"#, "[3]", "3"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
