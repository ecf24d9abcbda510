//! Alerts: what a device raises on its `events` topic, and what everybody sees of it.

use crate::{DeviceId, Timestamp, id};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, str::FromStr};

/// How bad it is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// Somebody should look at it.
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    /// Every severity, from the least to the worst.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether an alert still matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AlertState {
    /// Its cause stands, and nobody said that they know.
    Active,
    /// Its cause stands, and somebody knows.
    Acknowledged,
    /// Its cause is gone. Final: what comes after is another alert.
    Cleared,
}

impl AlertState {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Acknowledged => "acknowledged",
            Self::Cleared => "cleared",
        }
    }
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An alert's id: a UUID (version 7, so that ids sort by when they were raised), 36 characters in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend(
        "format" = "uuid",
        "pattern" = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
        "examples" = ["0190d9c2-7c3a-7000-8000-000000000001"]
    ))
)]
pub struct AlertId(u128);

impl AlertId {
    /// The id of an alert raised at `at`; `ordinal` tells it from others of the same millisecond.
    #[must_use]
    pub fn new(at: Timestamp, ordinal: u64) -> Self {
        // RFC 9562, section 5.7: 48 bits of time, the version, 12 bits, the variant, 62 bits.
        let milliseconds = u128::from(at.0.max(0).cast_unsigned() & 0xffff_ffff_ffff);
        let low = u128::from(ordinal & 0x3fff_ffff_ffff_ffff);
        Self(milliseconds << 80 | 0x7 << 76 | 0b10 << 62 | low)
    }
}

/// A text that is no alert id, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAlertId(String);

impl fmt::Display for BadAlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is not an alert id: a UUID in text, such as 0190d9c2-7c3a-7000-8000-000000000001",
            self.0
        )
    }
}

impl std::error::Error for BadAlertId {}

impl FromStr for AlertId {
    type Err = BadAlertId;

    fn from_str(text: &str) -> Result<Self, BadAlertId> {
        id::parse_uuid(text).map(Self).ok_or_else(|| BadAlertId(text.into()))
    }
}

impl TryFrom<String> for AlertId {
    type Error = BadAlertId;

    fn try_from(text: String) -> Result<Self, BadAlertId> {
        text.parse()
    }
}

impl From<AlertId> for String {
    fn from(id: AlertId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        id::write_uuid(self.0, f)
    }
}

/// An alert, in lists and on `alerts/{severity}/{device}`. There is one of a device, severity and code
/// that is not cleared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Alert {
    /// Its id, given by the gateway.
    pub id: AlertId,
    /// The device it is about.
    pub device: DeviceId,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs.
    pub code: String,
    /// What it is, for people; of the newest time it was raised.
    pub message: String,
    /// More about it, an object; of the newest time it was raised.
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, Value>"))]
    pub data: Value,
    /// Whether it still matters.
    pub state: AlertState,
    /// How often it was raised.
    pub count: u64,
    /// When it was first raised.
    pub raised_at: Timestamp,
    /// When somebody said that they know.
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// When its cause was gone.
    pub cleared_at: Option<Timestamp>,
    /// Who cleared it: `user:NAME`, `device`, `timer` or `gateway`.
    pub cleared_by: Option<crate::Actor>,
}

/// What a device says on `devices/{device}/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceEvent {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for programs; 1-128 bytes.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 128)))]
    pub code: String,
    /// What it is, for people; at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = 1024)))]
    pub message: String,
    /// More about it, an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Map<String, Value>>,
    /// It is over: clears the alert of this severity and code.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clear: bool,
}

/// How many alerts are not cleared; part of `gateway/stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertFigures {
    /// Alerts that nobody acknowledged yet.
    pub active: u64,
    /// Alerts that somebody knows of.
    pub acknowledged: u64,
    /// Of both, those that are info.
    pub info: u64,
    /// Of both, those that are warnings.
    pub warning: u64,
    /// Of both, those that are critical.
    pub critical: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alerts_id_is_a_uuid_of_version_7_that_sorts_by_time() {
        let id = AlertId::new(Timestamp(0x0190_d9c2_7c3a), 1);
        assert_eq!(id.to_string(), "0190d9c2-7c3a-7000-8000-000000000001");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(AlertId::new(Timestamp(2), 0) > AlertId::new(Timestamp(1), 9));
        assert!("pump".parse::<AlertId>().unwrap_err().to_string().starts_with("'pump' is not"));
    }

    #[test]
    fn an_event_is_read_with_what_it_may_leave_out() {
        let event: DeviceEvent =
            serde_json::from_str(r#"{"severity":"warning","code":"hot"}"#).unwrap();
        assert_eq!((event.message.as_str(), event.data, event.clear), ("", None, false));
        let wrong = serde_json::from_str::<DeviceEvent>(r#"{"severity":"bad","code":"hot"}"#);
        assert!(wrong.is_err());
    }
}
