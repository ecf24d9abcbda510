//! How texts become values.

use jiff::{SignedDuration, tz::TimeZone};
use protocol::{
    AbortAfter, AlertState, BadId, CommandState, DeviceId, Expect, Millis, Operator, Severity,
    Status, Timestamp,
};
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error as NotOne};
use serde_json::{Map, Value};
use std::time::Duration;

pub(super) fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn parse_status(text: &str) -> Result<Status, String> {
    named(text).map_err(|_| "use online or offline".into())
}

pub(super) fn parse_severity(text: &str) -> Result<Severity, String> {
    named(text).map_err(|_| "use info, warning or critical".into())
}

pub(super) fn parse_alert_state(text: &str) -> Result<AlertState, String> {
    named(text).map_err(|_| "use active, acknowledged or cleared".into())
}

pub(super) fn parse_command_state(text: &str) -> Result<CommandState, String> {
    let names = CommandState::ALL.map(CommandState::name).join(", ");
    named(text).map_err(|_| format!("use one of {names}"))
}

/// What bears this name on the wire.
fn named<T: DeserializeOwned>(name: &str) -> Result<T, NotOne> {
    T::deserialize(name.into_deserializer())
}

pub(super) fn parse_throttle(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1_000.0 => Ok(rate),
        Ok(_) | Err(_) => Err("use a number above 0, at most 1000".into()),
    }
}

pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 10_000.0 => Ok(rate),
        Ok(_) | Err(_) => Err("use a number above 0, at most 10000".into()),
    }
}

pub(super) fn parse_abort_after(text: &str) -> Result<AbortAfter, String> {
    let parsed = match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().map(AbortAfter::Percent),
        None => text.parse().ok().map(AbortAfter::Failures),
    };
    let possible = |after: &AbortAfter| match *after {
        AbortAfter::Failures(failures) => failures > 0,
        AbortAfter::Percent(percent) => percent > 0.0 && percent <= 100.0,
    };
    parsed.filter(possible).ok_or_else(|| "use a number of failures, or up to 100%".into())
}

/// A condition: a metric, or `state.` and a member of the reported state; how they compare; a value.
pub(super) fn parse_expect(text: &str) -> Result<Expect, String> {
    let usage = "write it like 'temperature>=20' or 'state.mode==eco'";
    let at = text.find(['=', '!', '<', '>']).ok_or(usage)?;
    let (name, rest) = text.split_at(at);
    let ops = ["==", "!=", "<=", ">=", "<", ">"];
    let sign = ops.into_iter().find(|sign| rest.starts_with(sign)).ok_or(usage)?;
    let op: Operator = named(sign).map_err(|_| usage)?;
    let value = parse_value(rest.strip_prefix(sign).ok_or(usage)?);
    if name.is_empty() || (op.is_of_order() && !value.is_number()) {
        return Err(usage.into());
    }
    let state = name.strip_prefix("state.").map(Into::into);
    let metric = state.is_none().then(|| name.into());
    Ok(Expect { metric, state, op, value, within_ms: None })
}

/// A device that is named in an address: there `.` and `..` are steps, and would name something else.
pub(super) fn parse_device(text: &str) -> Result<DeviceId, String> {
    if matches!(text, "." | "..") {
        return Err("an address cannot name it: give the device another id".into());
    }
    text.parse().map_err(|error: BadId| error.to_string())
}

pub(super) fn parse_pair(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), parse_value(value))),
        Some(_) | None => Err("write it as key=value".into()),
    }
}

fn parse_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

pub(super) fn parse_object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("use a JSON object: {error}"))
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed: Option<SignedDuration> = text.parse().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "use a number with a unit, such as 500ms, 60s, 5m or 1h30m".into())
}

pub(super) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    if let Some(later) = text.strip_prefix('+') {
        return Ok(crate::text::now().plus(millis(parse_duration(later)?)));
    }
    let absolute: Option<jiff::Timestamp> = text.parse().ok();
    absolute
        .or_else(|| local_moment(text))
        .map(|moment| Timestamp(moment.as_millisecond()))
        .ok_or_else(|| "use +10m, 2030-01-31T18:30 or 2030-01-31T18:30:00Z".into())
}

fn local_moment(text: &str) -> Option<jiff::Timestamp> {
    let civil: jiff::civil::DateTime = text.parse().ok()?;
    civil.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp())
}
