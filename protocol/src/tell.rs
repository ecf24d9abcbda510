//! What the gateway sends on `/ws`.

use crate::{
    CommandDetails, History, Millis, Offset, RequestId, Seq, Timestamp, TopicFilter, TopicName,
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, IgnoredAny},
};
use serde_json::value::RawValue;

/// One message of the array in a frame that the gateway sends.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Reply {
    /// The first message.
    Welcome {
        /// The mark of the hello that it answers; it comes unasked where none is needed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<RequestId>,
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
    /// Values of the past.
    History(History),
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
        /// The command with its story, where one was made or cancelled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Box<CommandDetails>>,
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
