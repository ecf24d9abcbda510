//! Telemetry: metrics as an object, with a time, as a batch of those, or one value for one metric.

use super::{Inbound, Undecodable, value};
use crate::{
    data::{Data, Metrics},
    route::Payload,
};
use protocol::{DeviceId, Timestamp, TopicName};
use serde::{
    Deserialize,
    de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// The updates that a payload gives; none where its batch is empty.
pub(super) fn updates(
    channel: &TopicName,
    device: &DeviceId,
    format: &Payload,
    payload: &[u8],
) -> Result<Vec<Inbound>, Undecodable> {
    let readings = match format {
        Payload::Json => readings(payload)?,
        Payload::Metric { name, text } => {
            let metrics = Metrics::one(name, &value::one(payload, *text)?);
            vec![Reading { timestamp: None, metrics }]
        }
    };
    let update = |Reading { timestamp, metrics }| Inbound::Update {
        channel: channel.clone(),
        device: Some(device.clone()),
        timestamp,
        data: Data::Metrics(metrics),
    };
    Ok(readings.into_iter().map(update).collect())
}

struct Reading {
    timestamp: Option<Timestamp>,
    metrics: Metrics,
}

/// The form with a time: `{"timestamp":ms,"data":{...}}`. As everywhere, other members are ignored; as among
/// metrics, the last of two with one name counts.
struct Stamped<'a> {
    timestamp: &'a RawValue,
    data: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Timestamp,
    Data,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Stamped<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(StampedVisitor)
    }
}

struct StampedVisitor;

impl<'de> Visitor<'de> for StampedVisitor {
    type Value = Stamped<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reading with its time")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stamped<'de>, A::Error> {
        let (mut timestamp, mut data) = (None, None);
        while let Some(member) = map.next_key()? {
            match member {
                Member::Timestamp => timestamp = Some(map.next_value()?),
                Member::Data => data = Some(map.next_value()?),
                Member::Other => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        let timestamp = timestamp.ok_or_else(|| A::Error::missing_field("timestamp"))?;
        let data = data.ok_or_else(|| A::Error::missing_field("data"))?;
        Ok(Stamped { timestamp, data })
    }
}

fn readings(payload: &[u8]) -> Result<Vec<Reading>, Undecodable> {
    let text = value::utf8(payload)?;
    if text.trim_ascii_start().starts_with('[') {
        let entries: Vec<&RawValue> = serde_json::from_str(text)?;
        let numbered = entries.into_iter().enumerate();
        return numbered
            .map(|(index, entry)| {
                reading(entry.get()).map_err(|Undecodable(why)| {
                    Undecodable(format!("entry {index} of the batch: {why}"))
                })
            })
            .collect();
    }
    Ok(vec![reading(text)?])
}

fn reading(text: &str) -> Result<Reading, Undecodable> {
    if let Some(metrics) = Metrics::plain(text) {
        return Ok(Reading { timestamp: None, metrics });
    }
    // The cheap look keeps other metrics from being read twice. They may have these names too, but then `data` is
    // no object.
    if text.contains("\"data\"")
        && text.contains("\"timestamp\"")
        && let Ok(Stamped { timestamp, data }) = serde_json::from_str(text)
        && data.get().starts_with('{')
    {
        let metrics = Metrics::parse(data.get())?;
        let read = serde_json::from_str(timestamp.get()).ok();
        let time = read.filter(|time: &Timestamp| time.is_in_range());
        if time.is_none() {
            return Err(Undecodable(format!(
                "timestamp {timestamp} is no whole number of milliseconds in 0-{}",
                Timestamp::MAX
            )));
        }
        return Ok(Reading { timestamp: time, metrics });
    }
    Ok(Reading { timestamp: None, metrics: Metrics::parse(text)? })
}
