//! Telemetry: metrics as an object, with a time, as a batch of those, or one value for one metric.

use super::{Inbound, Undecodable, value};
use crate::{
    data::{Data, Metrics},
    route::Payload,
};
use protocol::{DeviceId, Timestamp, TopicName};
use serde::Deserialize;
use serde_json::value::RawValue;

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

/// The form with a time: `{"timestamp":ms,"data":{...}}`. As everywhere, other members are ignored.
#[derive(Deserialize)]
struct Stamped<'a> {
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    data: &'a RawValue,
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
