//! What a device's payload says: from bytes to updates, before anything is numbered or stored.

use crate::{
    alerts,
    data::{self, Data, Metrics},
    mapping::Spoken,
    route::{Destination, Payload},
};
use protocol::{Answer, AnswerStatus, CommandId, DeviceEvent, DeviceId, Timestamp, TopicName};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::sync::Arc;

/// What an MQTT message means for the bridge.
#[derive(Clone, Debug)]
pub enum Inbound {
    /// A new value for a channel.
    Update {
        /// The channel.
        channel: TopicName,
        /// The device it came from, where the channel has one.
        device: Option<DeviceId>,
        /// The device's own time, where it gave one.
        timestamp: Option<Timestamp>,
        /// What it says.
        data: Data,
    },
    /// A device's reported state.
    State {
        /// The device.
        device: DeviceId,
        /// An object.
        reported: Arc<RawValue>,
    },
    /// A device raises an alert or clears one.
    Event {
        /// The device.
        device: DeviceId,
        /// What it says.
        event: DeviceEvent,
    },
    /// A device's report of its last commands.
    Recent {
        /// The device.
        device: DeviceId,
        /// What it knows of each.
        answers: Vec<(CommandId, Answer)>,
    },
    /// A device's answer to a command.
    Answer {
        /// The device.
        device: DeviceId,
        /// The command.
        command: CommandId,
        /// The answer.
        answer: Answer,
    },
    /// What a device said in its own way, on a topic that a mapping reads.
    Mapped {
        /// What the topic means.
        spoken: Arc<Spoken>,
        /// The payload.
        payload: Value,
    },
}

impl Inbound {
    /// The device it came from, where it tells of one.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        match self {
            Self::Update { device, .. } => device.as_ref(),
            Self::State { device, .. }
            | Self::Event { device, .. }
            | Self::Recent { device, .. }
            | Self::Answer { device, .. } => Some(device),
            Self::Mapped { spoken, .. } => spoken.device.as_ref(),
        }
    }
}

/// A payload that is not what its route says; the text tells why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(String);

impl From<serde_json::Error> for Undecodable {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// The latest time a device may claim: the end of ECMAScript's time range.
const TIMESTAMP_MAX: i64 = 8_640_000_000_000_000;

/// Reads `payload` as `destination` says. A batch gives one update an entry, all of them or none.
///
/// # Errors
/// [`Undecodable`] with the reason.
pub fn decode(destination: &Destination, payload: &[u8]) -> Result<Vec<Inbound>, Undecodable> {
    match destination {
        Destination::Telemetry { channel, device, payload: Payload::Json } => {
            let update = |reading: Reading| Inbound::Update {
                channel: channel.clone(),
                device: Some(device.clone()),
                timestamp: reading.timestamp,
                data: Data::Metrics(Arc::new(reading.metrics)),
            };
            Ok(readings(payload)?.into_iter().map(update).collect())
        }
        Destination::Telemetry { channel, device, payload: Payload::Metric { name, text } } => {
            let value = if *text { text_value(payload)? } else { scalar_value(payload)? };
            Ok(vec![Inbound::Update {
                channel: channel.clone(),
                device: Some(device.clone()),
                timestamp: None,
                data: Data::Metrics(Arc::new(Metrics::one(name, &value))),
            }])
        }
        Destination::Custom { channel, payload: format } => Ok(vec![Inbound::Update {
            channel: channel.clone(),
            device: None,
            timestamp: None,
            data: Data::Json(match format {
                Payload::Json => checked(payload)?.into(),
                Payload::Metric { text: false, .. } => scalar_value(payload)?.into(),
                Payload::Metric { text: true, .. } => text_value(payload)?.into(),
            }),
        }]),
        Destination::State { device } => {
            let reported = checked(payload)?;
            if !reported.get().starts_with('{') {
                return Err(Undecodable("the reported state is not an object".into()));
            }
            Ok(vec![Inbound::State { device: device.clone(), reported: reported.into() }])
        }
        Destination::Event { device } => {
            let event = event(payload)?;
            Ok(vec![Inbound::Event { device: device.clone(), event }])
        }
        Destination::Recent { device } => {
            let answers = recent(payload)?;
            Ok(vec![Inbound::Recent { device: device.clone(), answers }])
        }
        Destination::Answer { device, command } => {
            let answer = answer(payload)?;
            Ok(vec![Inbound::Answer { device: device.clone(), command: *command, answer }])
        }
    }
}

/// Reads what a mapped device said in its own way: JSON where it is some, else a text. None: it is neither.
#[must_use]
pub fn decode_mapped(spoken: &Arc<Spoken>, payload: &[u8]) -> Option<Inbound> {
    let text = std::str::from_utf8(payload).ok()?;
    let payload = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    Some(Inbound::Mapped { spoken: Arc::clone(spoken), payload })
}

/// The longest payload of an event, in bytes.
const EVENT_BYTES_MAX: usize = 16 * 1024;

/// The longest message of an event, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_024;

fn event(payload: &[u8]) -> Result<DeviceEvent, Undecodable> {
    if payload.len() > EVENT_BYTES_MAX {
        let bytes = payload.len();
        return Err(Undecodable(format!(
            "{bytes} bytes are more than the {EVENT_BYTES_MAX} of an event"
        )));
    }
    if !payload.trim_ascii_start().starts_with(b"{") {
        return Err(Undecodable("the event is not an object".into()));
    }
    let event: DeviceEvent = serde_json::from_slice(payload)?;
    if !alerts::is_code(&event.code) {
        return Err(Undecodable(alerts::BadRule::Code(event.code).to_string()));
    }
    if event.message.len() > MESSAGE_BYTES_MAX {
        let why = format!("the message is longer than {MESSAGE_BYTES_MAX} bytes");
        return Err(Undecodable(why));
    }
    Ok(event)
}

/// Reads the response of an MQTT 5 device, which came with the command's id as Correlation Data: such a
/// device need not know the form of an answer. What has no `status` is the result of a command that succeeded.
///
/// # Errors
/// [`Undecodable`] with the reason.
pub fn decode_response(
    device: &DeviceId,
    command: CommandId,
    payload: &[u8],
) -> Result<Inbound, Undecodable> {
    let value = serde_json::from_slice::<Value>(payload);
    let answer = match value {
        Ok(Value::Object(members)) if members.contains_key("status") => answer(payload)?,
        Ok(result) => succeeded(Some(result)),
        Err(_) if payload.is_empty() => succeeded(None),
        Err(_) => succeeded(Some(utf8(payload)?.into())),
    };
    Ok(Inbound::Answer { device: device.clone(), command, answer })
}

fn succeeded(result: Option<Value>) -> Answer {
    let status = AnswerStatus::Succeeded;
    Answer { status, attempt: None, progress: None, result, error: None }
}

/// The most commands that one report may name.
const RECENT_MAX: usize = 256;

/// A list of ids, each of a command that was carried out, and of answers with their `id`.
fn recent(payload: &[u8]) -> Result<Vec<(CommandId, Answer)>, Undecodable> {
    let entries: Vec<Value> = serde_json::from_str(utf8(payload)?)?;
    if entries.len() > RECENT_MAX {
        return Err(Undecodable(format!(
            "{} commands are more than the {RECENT_MAX} that a report may name",
            entries.len()
        )));
    }
    let read = |(index, entry): (usize, Value)| {
        let named = |why: String| Undecodable(format!("entry {index} of the report: {why}"));
        let id = if entry.is_string() { &entry } else { &entry["id"] };
        let id = serde_json::from_value(id.clone()).map_err(|error| named(error.to_string()))?;
        let answer = if entry.is_string() {
            succeeded(None)
        } else {
            answer(entry.to_string().as_bytes()).map_err(|error| named(error.to_string()))?
        };
        Ok((id, answer))
    };
    entries.into_iter().enumerate().map(read).collect()
}

/// An object; serde would take an array for one.
fn answer(payload: &[u8]) -> Result<Answer, Undecodable> {
    if !payload.trim_ascii_start().starts_with(b"{") {
        return Err(Undecodable("the answer is not an object".into()));
    }
    let answer: Answer = serde_json::from_slice(payload)?;
    match answer.progress {
        Some(done) if !(0.0..=100.0).contains(&done) => {
            Err(Undecodable(format!("progress {done} is not in 0-100")))
        }
        Some(_) | None => Ok(answer),
    }
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
    let text = utf8(payload)?;
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
    // The cheap look keeps the common form from being read twice. Metrics may have these names too, but
    // then `data` is no object.
    if text.contains("\"data\"")
        && text.contains("\"timestamp\"")
        && let Ok(Stamped { timestamp, data }) = serde_json::from_str(text)
        && data.get().starts_with('{')
    {
        let metrics = Metrics::parse(data.get())?;
        return match timestamp.get().parse() {
            Ok(time @ 0..=TIMESTAMP_MAX) => {
                Ok(Reading { timestamp: Some(Timestamp(time)), metrics })
            }
            Ok(_) | Err(_) => Err(Undecodable(format!(
                "timestamp {timestamp} is no whole number of milliseconds in 0-{TIMESTAMP_MAX}"
            ))),
        };
    }
    Ok(Reading { timestamp: None, metrics: Metrics::parse(text)? })
}

fn utf8(payload: &[u8]) -> Result<&str, Undecodable> {
    std::str::from_utf8(payload).map_err(|error| Undecodable(format!("not UTF-8: {error}")))
}

fn checked(payload: &[u8]) -> Result<Box<RawValue>, Undecodable> {
    let value: Box<RawValue> = serde_json::from_str(utf8(payload)?)?;
    data::check(&value)?;
    Ok(value)
}

/// A number, boolean or other JSON where it is one, else text.
fn scalar_value(payload: &[u8]) -> Result<Box<RawValue>, Undecodable> {
    if payload.is_empty() {
        return Err(Undecodable("an empty payload is no value".into()));
    }
    checked(payload).or_else(|_| text_value(payload))
}

fn text_value(payload: &[u8]) -> Result<Box<RawValue>, Undecodable> {
    Ok(serde_json::value::to_raw_value(utf8(payload)?)?)
}

/// The data of `topics/{topic}`: the payload as JSON, text or base64, whichever fits first.
#[must_use]
pub fn raw_message(
    payload: &[u8],
    qos: u8,
    retain: bool,
    base64: impl Fn(&[u8]) -> String,
) -> Data {
    let (encoding, value) = match (checked(payload), std::str::from_utf8(payload)) {
        (Ok(json), _) => ("json", json.get().to_owned()),
        (Err(_), Ok(text)) => ("utf8", Value::from(text).to_string()),
        (Err(_), Err(_)) => ("base64", Value::from(base64(payload)).to_string()),
    };
    let json =
        format!(r#"{{"payload":{value},"encoding":"{encoding}","qos":{qos},"retain":{retain}}}"#);
    Data::Json(RawValue::from_string(json).expect("composed of valid JSON").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn telemetry(payload: Payload) -> Destination {
        Destination::Telemetry {
            channel: "telemetry/d1".parse().expect("valid"),
            device: "d1".parse().expect("valid"),
            payload,
        }
    }

    fn metric(text: bool) -> Payload {
        Payload::Metric { name: "m".into(), text }
    }

    /// Each update as its time and its data.
    fn check(
        destination: &Destination,
        payload: &str,
    ) -> Result<Vec<(Option<i64>, String)>, String> {
        let inbound = decode(destination, payload.as_bytes()).map_err(|error| error.to_string())?;
        let pair = |inbound| match inbound {
            Inbound::Update { timestamp, data, .. } => {
                let mut text = String::new();
                data.write(&mut text);
                (timestamp.map(|time| time.0), text)
            }
            other @ (Inbound::State { .. }
            | Inbound::Event { .. }
            | Inbound::Recent { .. }
            | Inbound::Mapped { .. }
            | Inbound::Answer { .. }) => panic!("{other:?}"),
        };
        Ok(inbound.into_iter().map(pair).collect())
    }

    #[test]
    fn telemetry_comes_plain_stamped_or_as_a_batch() {
        let json = telemetry(Payload::Json);
        let one = |time, text: &str| Ok(vec![(time, text.to_owned())]);
        assert_eq!(check(&json, r#"{"a":1}"#), one(None, r#"{"a":1}"#));
        assert_eq!(check(&json, r#"{"timestamp":5,"data":{"a":1}}"#), one(Some(5), r#"{"a":1}"#));
        assert_eq!(check(&json, r#"{"timestamp":5,"a":1}"#), one(None, r#"{"timestamp":5,"a":1}"#));
        assert_eq!(
            check(&json, r#" [{"timestamp":5,"data":{"a":1}},{"a":2}]"#),
            Ok(vec![(Some(5), r#"{"a":1}"#.into()), (None, r#"{"a":2}"#.into())])
        );
        assert_eq!(check(&json, "[]"), Ok(vec![]));
    }

    #[test]
    fn a_batch_with_a_bad_entry_is_refused_whole_and_names_it() {
        let refused =
            check(&telemetry(Payload::Json), r#"[{"a":1},7]"#).expect_err("7 is no object");
        assert!(refused.starts_with("entry 1 of the batch"), "{refused}");
    }

    #[test]
    fn a_time_out_of_range_is_refused() {
        let refused = check(&telemetry(Payload::Json), r#"{"timestamp":-1,"data":{}}"#);
        let why = "is no whole number of milliseconds in 0-8640000000000000";
        assert_eq!(refused, Err(format!("timestamp -1 {why}")));
        for bad in ["1.5", "1000.0", "\"1000\"", "null", "8640000000000001", "{}"] {
            let payload = format!(r#"{{"data":{{"a":1}},"timestamp":{bad}}}"#);
            let refused = check(&telemetry(Payload::Json), &payload);
            assert_eq!(refused, Err(format!("timestamp {bad} {why}")));
        }
    }

    #[test]
    fn other_members_of_a_stamped_reading_are_ignored_and_metrics_may_be_named_like_its_own() {
        let json = telemetry(Payload::Json);
        let one = |time, text: &str| Ok(vec![(time, text.to_owned())]);
        let stamped = r#"{"timestamp":5,"data":{"a":1},"site":"north"}"#;
        assert_eq!(check(&json, stamped), one(Some(5), r#"{"a":1}"#));
        for plain in [r#"{"timestamp":5,"data":7}"#, r#"{"data":{"a":1}}"#] {
            assert_eq!(check(&json, plain), one(None, plain));
        }
    }

    #[test]
    fn scalars_are_json_where_they_can_be_else_text() {
        let scalar = telemetry(metric(false));
        for (payload, value) in [
            ("21.5", "21.5"),
            ("true", "true"),
            ("{\"a\":1}", "{\"a\":1}"),
            ("on", "\"on\""),
            ("1e999", "\"1e999\""),
        ] {
            assert_eq!(check(&scalar, payload), Ok(vec![(None, format!("{{\"m\":{value}}}"))]));
        }
        assert!(check(&scalar, "").is_err());
        assert_eq!(check(&telemetry(metric(true)), "1"), Ok(vec![(None, r#"{"m":"1"}"#.into())]));
    }

    #[test]
    fn an_answer_is_an_object_with_progress_in_its_range() {
        let destination = Destination::Answer {
            device: "d1".parse().unwrap(),
            command: "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c".parse().unwrap(),
        };
        let decoded = |payload: &str| decode(&destination, payload.as_bytes()).is_ok();
        assert!(decoded(r#" {"status":"progress","progress":100}"#));
        for bad in [
            r#"["failed",1,null,7,null]"#,
            r#"{"status":"progress","progress":101}"#,
            r#"{"status":"progress","progress":-1}"#,
            r#"{"status":"gone"}"#,
            "",
        ] {
            assert!(!decoded(bad), "{bad}");
        }
    }

    #[test]
    fn an_event_is_an_object_with_a_severity_and_a_code() {
        let destination = Destination::Event { device: "d1".parse().unwrap() };
        let decoded = |payload: &str| decode(&destination, payload.as_bytes()).is_ok();
        assert!(decoded(r#" {"severity":"info","code":"door","more":1}"#));
        assert!(decoded(r#"{"severity":"critical","code":"dry","message":"","data":{"l":0}}"#));
        let long = "x".repeat(1_025);
        for bad in [
            r#"["info","door","",null,false]"#,
            r#"{"severity":"fatal","code":"door"}"#,
            r#"{"severity":"info","code":""}"#,
            r#"{"severity":"info","code":"a\nb"}"#,
            r#"{"severity":"info"}"#,
            r#"{"severity":"info","code":"door","data":7}"#,
            &format!(r#"{{"severity":"info","code":"door","message":"{long}"}}"#),
            &format!(
                r#"{{"severity":"info","code":"door","data":{{"a":"{}"}}}}"#,
                "x".repeat(16_384)
            ),
            "",
        ] {
            assert!(!decoded(bad), "{bad}");
        }
    }

    #[test]
    fn a_report_of_the_last_commands_has_ids_and_answers() {
        let destination = Destination::Recent { device: "d1".parse().unwrap() };
        let id = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";
        let payload = format!(r#"["{id}", {{"id": "{id}", "status": "failed", "attempt": 2}}]"#);
        let decoded = decode(&destination, payload.as_bytes()).unwrap();
        let [Inbound::Recent { answers, .. }] = &decoded[..] else { panic!("{decoded:?}") };
        let statuses: Vec<_> = answers.iter().map(|(_, it)| (it.status, it.attempt)).collect();
        assert_eq!(statuses, [(AnswerStatus::Succeeded, None), (AnswerStatus::Failed, Some(2))]);
        for (bad, named) in [
            (format!(r#"["{id}", 7]"#), "entry 1"),
            (r#"[{"status": "failed"}]"#.into(), "entry 0"),
            (format!("[{}]", vec!["0"; 257].join(",")), "257"),
        ] {
            let refused = decode(&destination, bad.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains(named), "{refused}");
        }
    }

    #[test]
    fn a_response_without_a_status_is_the_result_of_success() {
        let (device, id) = ("d1".parse().unwrap(), CommandId::from_u128(1));
        let read = |payload: &str| {
            let read = decode_response(&device, id, payload.as_bytes()).unwrap();
            let Inbound::Answer { answer, .. } = read else { panic!("{read:?}") };
            (answer.status, answer.result)
        };
        let done = AnswerStatus::Succeeded;
        assert_eq!(read(r#"{"rpm": 900}"#), (done, Some(serde_json::json!({"rpm": 900}))));
        assert_eq!(read("done"), (done, Some("done".into())));
        assert_eq!(read(""), (done, None));
        assert_eq!(read(r#"{"status": "failed"}"#), (AnswerStatus::Failed, None));
        assert!(decode_response(&device, id, br#"{"status": "gone"}"#).is_err());
    }

    #[test]
    fn raw_messages_say_how_their_payload_is_written() {
        let text = |payload: &[u8]| {
            let mut text = String::new();
            raw_message(payload, 1, false, |_| "AP8=".into()).write(&mut text);
            text
        };
        assert_eq!(text(b"{}"), r#"{"payload":{},"encoding":"json","qos":1,"retain":false}"#);
        assert_eq!(text(b"hi"), r#"{"payload":"hi","encoding":"utf8","qos":1,"retain":false}"#);
        assert_eq!(
            text(b"\0\xff"),
            r#"{"payload":"AP8=","encoding":"base64","qos":1,"retain":false}"#
        );
    }

    proptest! {
        #[test]
        fn no_payload_panics(payload: Vec<u8>) {
            for payload_kind in [Payload::Json, metric(false), metric(true)] {
                let _decoded = decode(&telemetry(payload_kind), &payload);
            }
        }
    }
}
