//! What clients send on `/ws`, and how it is read.

use crate::{
    BadTopic, CommandId, CommandRequest, HistoryRequest, Offset, Seq, TopicFilter, TopicName,
    object,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{collections::HashMap, fmt};

/// A client's own mark on a request; comes back on the reply.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum RequestId {
    /// A number.
    Number(
        #[cfg_attr(feature = "typescript", ts(type = "number"))]
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Number"))]
        RequestNumber,
    ),
    /// A text.
    Text(String),
}

/// A JSON number of any size and precision, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestNumber(Box<str>);

impl From<u64> for RequestNumber {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl Serialize for RequestNumber {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.clone().into());
        raw.map_err(serde::ser::Error::custom)?.serialize(to)
    }
}

impl<'de> Deserialize<'de> for RequestNumber {
    /// Through a reader that has numbers only, one beyond 64 bits is rounded; [`ClientMessage::decode`]
    /// keeps it.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(from)?;
        Ok(Self(number.to_string().into()))
    }
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ClientMessage {
    /// Signs in, or renews the token.
    Hello {
        /// The token; not needed where everybody local is trusted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// Wants the updates of channels, all of them or none.
    Subscribe {
        /// Filters with MQTT's wildcards.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        channels: Vec<TopicFilter>,
        /// How.
        #[serde(default)]
        #[cfg_attr(feature = "schema", schemars(with = "Option<SubscribeOptions>"))]
        options: SubscribeOptions,
    },
    /// Wants them no more.
    Unsubscribe {
        /// Filters as they were subscribed.
        #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
        channels: Vec<TopicFilter>,
    },
    /// Wants the updates `from` to `to` of a channel again.
    Replay {
        /// The channel.
        channel: TopicName,
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
    },
    /// Commands a device.
    Command {
        /// The device.
        device: crate::DeviceId,
        /// What to do.
        #[serde(flatten)]
        request: CommandRequest,
    },
    /// Withdraws a command.
    Cancel {
        /// Its id.
        command: CommandId,
    },
    /// Asks whether the gateway is there.
    Ping {},
}

/// How updates of a subscription come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend("not" = {
        "properties": { "mode": { "const": "every" }, "throttle": { "type": "number" } },
        "required": ["mode", "throttle"],
    }))
)]
pub struct SubscribeOptions {
    /// All updates or the newest values; `every` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// At most this many updates a second for each channel; above 0, at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000)))]
    pub throttle: Option<f64>,
    /// Only these metrics, 1 to 256; an update without any of them is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 256)))]
    pub fields: Option<Vec<String>>,
    /// Whether the value of each channel comes first; true unless told or resumed with `since`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<bool>,
    /// What of the past comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryRequest>,
    /// Everything after this comes first, then what is live, without a hole or a repeat.
    #[serde(
        default,
        deserialize_with = "object::or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub since: Option<Cursor>,
}

/// A point in the gateway's order of updates, to resume from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cursor {
    /// What the number belongs to.
    pub epoch: String,
    /// The last update that was seen.
    pub offset: Offset,
}

/// All updates or the newest values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Mode {
    /// Each update.
    #[default]
    Every,
    /// Between two flushes a channel's updates merge into one.
    Latest,
}

/// A request that is refused; the connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs: `unknown_type`, `bad_options`, `bad_filter`, `bad_request`, `bad_id`.
    pub code: &'static str,
    /// For people: the value and the way out.
    pub message: String,
}

/// Why a text frame is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not a JSON object: the connection is closed with 4004.
    NotAnObject,
    /// An object that asks for nothing we know.
    Refused {
        /// The request's own mark, where it had one.
        id: Option<RequestId>,
        /// Why.
        refusal: Refusal,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("a message must be a JSON object"),
            Self::Refused { refusal, .. } => f.write_str(&refusal.message),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The types a client may send, for the message that refuses others.
const TYPES: &str = "hello, subscribe, unsubscribe, replay, command, cancel, ping";

impl ClientMessage {
    /// Reads a text frame.
    ///
    /// # Errors
    /// [`DecodeError::NotAnObject`] where the frame is no JSON object, else what is refused and why.
    pub fn decode(text: &str) -> Result<(Option<RequestId>, Self), DecodeError> {
        let mut fields: Fields<'_> =
            serde_json::from_str(text).map_err(|_| DecodeError::NotAnObject)?;
        let (id, id_fault) = take_id(&mut fields);
        let refuse = |refusal| DecodeError::Refused { id: id.clone(), refusal };
        if let Some(refusal) = id_fault {
            return Err(refuse(refusal));
        }
        let message = Self::from_fields(fields, text).map_err(refuse)?;
        Ok((id, message))
    }

    fn from_fields(mut fields: Fields<'_>, text: &str) -> Result<Self, Refusal> {
        let kind = fields.remove("type").map_or("null", RawValue::get);
        match serde_json::from_str::<String>(kind).as_deref() {
            Ok("hello") => Ok(Self::Hello { token: field(&mut fields, "token")? }),
            Ok("subscribe") => Ok(Self::Subscribe {
                channels: filters(&mut fields)?,
                options: options(&mut fields)?,
            }),
            Ok("unsubscribe") => Ok(Self::Unsubscribe { channels: filters(&mut fields)? }),
            Ok("replay") => Ok(Self::Replay {
                channel: field(&mut fields, "channel")?,
                from: field(&mut fields, "from")?,
                to: field(&mut fields, "to")?,
            }),
            Ok("command") => Ok(Self::Command {
                device: field(&mut fields, "device")?,
                request: read(text)
                    .map_err(|why| bad_request(format!("the command is not valid: {why}")))?,
            }),
            Ok("cancel") => Ok(Self::Cancel { command: field(&mut fields, "command")? }),
            Ok("ping") => Ok(Self::Ping {}),
            Ok(_) | Err(_) => Err(Refusal {
                code: "unknown_type",
                message: format!("there is no message of type {kind}: send one of {TYPES}"),
            }),
        }
    }
}

/// The members of a message as they were written: what nobody asks for is not looked into, however deep
/// it is.
type Fields<'a> = HashMap<String, &'a RawValue>;

fn bad_request(message: String) -> Refusal {
    Refusal { code: "bad_request", message }
}

/// Takes the mark off; one that is neither number nor text is refused and not given back.
fn take_id(fields: &mut Fields<'_>) -> (Option<RequestId>, Option<Refusal>) {
    let Some(raw) = fields.remove("id").map(RawValue::get) else { return (None, None) };
    match raw.as_bytes().first() {
        Some(b'n') => return (None, None),
        Some(b'-' | b'0'..=b'9') => {
            return (Some(RequestId::Number(RequestNumber(raw.into()))), None);
        }
        Some(b'"') => {
            if let Ok(text) = serde_json::from_str(raw) {
                return (Some(RequestId::Text(text)), None);
            }
        }
        Some(_) | None => {}
    }
    let message = format!("id {raw} is neither a number nor a text");
    (None, Some(Refusal { code: "bad_id", message }))
}

fn field<T: DeserializeOwned>(fields: &mut Fields<'_>, name: &str) -> Result<T, Refusal> {
    let value = fields.remove(name).map_or("null", RawValue::get);
    serde_json::from_str(value)
        .map_err(|error| bad_request(format!("{name} = {value} is not valid: {}", said(&error))))
}

/// Reads JSON that a client wrote, over whatever it came.
///
/// # Errors
/// What is wrong with it, and with which member.
pub fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json))
        .map_err(|error| said(&error))
}

/// What is wrong, without its line and column: who has a library write the message knows neither.
fn said(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
}

fn filters(fields: &mut Fields<'_>) -> Result<Vec<TopicFilter>, Refusal> {
    let texts: Vec<String> = field(fields, "channels")?;
    if texts.is_empty() {
        return Err(bad_request("channels is empty: name at least one".into()));
    }
    let parse = |text: String| {
        text.parse().map_err(|error: BadTopic| Refusal {
            code: "bad_filter",
            message: format!("channel filter '{text}': {error}"),
        })
    };
    texts.into_iter().map(parse).collect()
}

/// The most updates a second that `throttle` may ask for.
const THROTTLE_MAX: f64 = 1_000.0;

/// The most metrics that `fields` may name.
const FIELDS_MAX: usize = 256;

fn options(fields: &mut Fields<'_>) -> Result<SubscribeOptions, Refusal> {
    let bad = |message| Refusal { code: "bad_options", message };
    let options = match fields.remove("options").map(RawValue::get) {
        None | Some("null") => SubscribeOptions::default(),
        Some(object) if object.starts_with('{') => {
            read(object).map_err(|why| bad(format!("options are not valid: {why}")))?
        }
        Some(other) => return Err(bad(format!("options {other} is not an object"))),
    };
    options.check().map_err(bad)?;
    Ok(options)
}

impl SubscribeOptions {
    /// What cannot be, or cannot be together.
    fn check(&self) -> Result<(), String> {
        match (self.mode, self.throttle) {
            (Some(Mode::Every), Some(_)) => {
                return Err("mode 'every' and throttle exclude each other: leave one out".into());
            }
            (_, Some(rate)) if !(rate > 0.0 && rate <= THROTTLE_MAX) => {
                return Err(format!("throttle {rate} is not above 0 and at most {THROTTLE_MAX}"));
            }
            (_, Some(_) | None) => {}
        }
        match self.fields.as_ref().map(Vec::len) {
            Some(0) => return Err("fields is empty: name at least one metric".into()),
            Some(1..=FIELDS_MAX) | None => {}
            Some(count) => {
                return Err(format!("fields names {count} metrics, not at most {FIELDS_MAX}"));
            }
        }
        self.history.as_ref().map_or(Ok(()), HistoryRequest::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match ClientMessage::decode(text) {
            Err(DecodeError::Refused { refusal, .. }) => refusal.message,
            other => panic!("{text} is taken for {other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_with_a_member_names_it() {
        let command = refused(r#"{"type":"command","device":"d","name":"go","ttl_ms":-1}"#);
        assert!(command.contains("ttl_ms: invalid value: integer `-1`"), "{command}");
        let options = r#"{"type":"subscribe","channels":["a"],"options":{"throttle":"x"}}"#;
        let options = refused(options);
        assert!(options.contains("throttle: invalid type"), "{options}");
        let history =
            r#"{"type":"subscribe","channels":["a"],"options":{"history":{"last":1,"points":2}}}"#;
        let history = refused(history);
        assert!(
            history.ends_with(r#"history: it is neither {"last":n} nor {"since":ms,"points":n}"#)
        );
        let from = refused(r#"{"type":"replay","channel":"a","from":-1,"to":2}"#);
        assert_eq!(from, "from = -1 is not valid: invalid value: integer `-1`, expected u64");
    }
}
