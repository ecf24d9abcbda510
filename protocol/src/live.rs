//! The WebSocket protocol of `/ws`: what clients send and what the gateway sends.

use crate::{
    BadTopic, Command, CommandId, CommandRequest, Millis, Offset, Seq, Timestamp, TopicFilter,
    TopicName,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, IgnoredAny},
};
use serde_json::{Map, Value, value::RawValue};
use std::fmt;

/// A client's own mark on a request; comes back on the reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub enum RequestId {
    /// A number.
    Number(#[cfg_attr(feature = "typescript", ts(type = "number"))] serde_json::Number),
    /// A text.
    Text(String),
}

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
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
        channels: Vec<TopicFilter>,
        /// How.
        #[serde(default)]
        options: SubscribeOptions,
    },
    /// Wants them no more.
    Unsubscribe {
        /// Filters as they were subscribed.
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
pub struct SubscribeOptions {
    /// All updates or the newest values; `every` unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// At most this many updates a second for each channel; above 0, at most 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<f64>,
    /// Whether the value of each channel comes first; true unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<bool>,
}

/// All updates or the newest values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
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
        let mut object: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| DecodeError::NotAnObject)?;
        let (id, id_fault) = take_id(&mut object);
        let refuse = |refusal| DecodeError::Refused { id: id.clone(), refusal };
        if let Some(refusal) = id_fault {
            return Err(refuse(refusal));
        }
        let message = Self::from_object(object).map_err(refuse)?;
        Ok((id, message))
    }

    fn from_object(mut object: Map<String, Value>) -> Result<Self, Refusal> {
        let kind = object.remove("type").unwrap_or(Value::Null);
        match kind.as_str() {
            Some("hello") => Ok(Self::Hello { token: field(&mut object, "token")? }),
            Some("subscribe") => Ok(Self::Subscribe {
                channels: filters(&mut object)?,
                options: options(&mut object)?,
            }),
            Some("unsubscribe") => Ok(Self::Unsubscribe { channels: filters(&mut object)? }),
            Some("replay") => Ok(Self::Replay {
                channel: field(&mut object, "channel")?,
                from: field(&mut object, "from")?,
                to: field(&mut object, "to")?,
            }),
            Some("command") => Ok(Self::Command {
                device: field(&mut object, "device")?,
                request: serde_json::from_value(Value::Object(object))
                    .map_err(|error| bad_request(format!("the command is not valid: {error}")))?,
            }),
            Some("cancel") => Ok(Self::Cancel { command: field(&mut object, "command")? }),
            Some("ping") => Ok(Self::Ping {}),
            Some(_) | None => Err(Refusal {
                code: "unknown_type",
                message: format!("there is no message of type {kind}: send one of {TYPES}"),
            }),
        }
    }
}

fn bad_request(message: String) -> Refusal {
    Refusal { code: "bad_request", message }
}

/// Takes the mark off; one that is neither number nor text is refused and not given back.
fn take_id(object: &mut Map<String, Value>) -> (Option<RequestId>, Option<Refusal>) {
    match object.remove("id") {
        None | Some(Value::Null) => (None, None),
        Some(Value::Number(number)) => (Some(RequestId::Number(number)), None),
        Some(Value::String(text)) => (Some(RequestId::Text(text)), None),
        Some(other) => {
            let message = format!("id {other} is neither a number nor a text");
            (None, Some(Refusal { code: "bad_id", message }))
        }
    }
}

fn field<T: DeserializeOwned>(object: &mut Map<String, Value>, name: &str) -> Result<T, Refusal> {
    let value = object.remove(name).unwrap_or(Value::Null);
    serde_json::from_value(value.clone())
        .map_err(|error| bad_request(format!("{name} = {value} is not valid: {error}")))
}

fn filters(object: &mut Map<String, Value>) -> Result<Vec<TopicFilter>, Refusal> {
    let texts: Vec<String> = field(object, "channels")?;
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

fn options(object: &mut Map<String, Value>) -> Result<SubscribeOptions, Refusal> {
    let bad = |message| Refusal { code: "bad_options", message };
    let options = match object.remove("options") {
        None | Some(Value::Null) => SubscribeOptions::default(),
        Some(value @ Value::Object(_)) => serde_json::from_value(value)
            .map_err(|error| bad(format!("options are not valid: {error}")))?,
        Some(other) => return Err(bad(format!("options {other} is not an object"))),
    };
    match (options.mode, options.throttle) {
        (Some(Mode::Every), Some(_)) => {
            Err(bad("mode 'every' and throttle exclude each other: leave one out".into()))
        }
        (_, Some(rate)) if !(rate > 0.0 && rate <= THROTTLE_MAX) => {
            Err(bad(format!("throttle {rate} is not above 0 and at most {THROTTLE_MAX}")))
        }
        (_, Some(_) | None) => Ok(options),
    }
}

/// One message of the array in a frame that the gateway sends.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub enum ServerMessage {
    /// An update of a channel; the only message without a `type`.
    Update(Update),
    /// Everything else.
    Reply(Reply),
}

impl<'de> Deserialize<'de> for ServerMessage {
    /// Looks for a `type` first: serde's own way through untagged enums cannot carry raw JSON.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Typed {
            r#type: Option<IgnoredAny>,
        }
        let message = Box::<RawValue>::deserialize(from)?;
        let typed: Typed = serde_json::from_str(message.get()).map_err(D::Error::custom)?;
        match typed.r#type {
            Some(_) => serde_json::from_str(message.get()).map(Self::Reply),
            None => serde_json::from_str(message.get()).map(Self::Update),
        }
        .map_err(D::Error::custom)
    }
}

/// An update of a channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
pub struct Update {
    /// The channel.
    pub channel: TopicName,
    /// Its number in the channel.
    pub seq: Seq,
    /// Its number in the gateway.
    pub offset: Offset,
    /// The device's own time where it gave one, else that of the arrival.
    pub timestamp: Timestamp,
    /// What the channel says.
    #[cfg_attr(feature = "typescript", ts(type = "unknown"))]
    pub data: Box<RawValue>,
    /// The channel's value, not an update of it.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "typescript", ts(as = "Option<bool>"))]
    pub snapshot: bool,
    /// Sent again on request.
    #[serde(default, skip_serializing_if = "is_false")]
    #[cfg_attr(feature = "typescript", ts(as = "Option<bool>"))]
    pub replayed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Everything the gateway says that is not an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
pub enum Reply {
    /// The first message.
    Welcome {
        /// The connection's own name, for logs.
        session: String,
        /// What the numbers belong to.
        epoch: String,
        /// The newest offset.
        offset: Offset,
        /// The gateway's clock.
        server_time: Timestamp,
        /// How often the gateway pings.
        ping_interval_ms: Millis,
        /// Who is signed in; null where nobody needs to.
        #[cfg_attr(feature = "typescript", ts(optional = nullable))]
        user: Option<String>,
        /// What is allowed.
        limits: Limits,
    },
    /// The channels are subscribed.
    Subscribed {
        /// The request's mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// What was granted.
        channels: Vec<TopicFilter>,
    },
    /// They are no longer.
    Unsubscribed {
        /// The request's mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// What was given up.
        channels: Vec<TopicFilter>,
    },
    /// What was asked for has been sent; from here on it is live.
    Live {
        /// The mark of the subscribe.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// The newest offset.
        offset: Offset,
    },
    /// Continuity is lost; the values follow as snapshots.
    Reset {
        /// Names, or the filter where it concerns all of it.
        channels: Vec<TopicFilter>,
        /// The epoch now.
        epoch: String,
        /// The newest offset.
        offset: Offset,
        /// Why.
        reason: ResetReason,
    },
    /// This consumer is slow, or no longer.
    Lag {
        /// Whether telemetry is conflated from here on.
        on: bool,
        /// How many updates conflation swallowed since it was last told.
        #[cfg_attr(feature = "typescript", ts(type = "number"))]
        dropped: u64,
    },
    /// Done.
    Ok {
        /// The request's mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// The command, where one was made or cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Box<Command>>,
    },
    /// Not done.
    Error {
        /// The request's mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// For programs; stable.
        code: String,
        /// For people: the value and the way out.
        message: String,
    },
    /// The gateway is there.
    Pong {
        /// The request's mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
        /// The gateway's clock.
        server_time: Timestamp,
    },
}

/// Why continuity is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub enum ResetReason {
    /// The numbers asked for belong to another epoch.
    Epoch,
    /// The updates asked for are no longer kept.
    Expired,
    /// They did not fit the connection's outbox.
    Overflow,
    /// The gateway was killed and lost some.
    Crash,
}

/// What a WebSocket connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Limits {
    /// The longest message a client may send, in bytes.
    pub message_bytes: u32,
    /// The most filters a connection may subscribe.
    pub subscriptions: u32,
    /// The most messages a client may send in a second.
    pub messages_per_s: u32,
}

/// How a received `seq` follows the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The next one, or the first.
    Next,
    /// This many updates are missing.
    Hole(u64),
    /// Already seen.
    Repeat,
}

impl Advance {
    /// Compares `seq` with the last one received of its channel.
    #[must_use]
    pub fn of(last: Option<Seq>, seq: Seq) -> Self {
        match last.map(|last| last.0) {
            None => Self::Next,
            Some(last) if seq.0 <= last => Self::Repeat,
            Some(last) if seq.0 == last + 1 => Self::Next,
            Some(last) => Self::Hole(seq.0 - last - 1),
        }
    }
}
