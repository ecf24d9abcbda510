//! A command: what an operator asks, what a device is sent and answers, and what everybody sees of it.

use crate::{CommandId, DeviceId, Expect, Millis, Status, Timestamp, object, whole};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Where a command is in its life; section 4 of the contract draws the ways between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CommandState {
    /// Waits for `not_before`.
    Scheduled,
    /// Waits for the device to receive, or for its turn.
    Queued,
    /// Written to the device's connection; nothing came back yet.
    Sent,
    /// The device has it: PUBACK, or `received`.
    Delivered,
    /// The device works on it.
    Started,
    /// Sent, and the device was asked to give it up.
    Cancelling,
    /// Done, says the device. Final.
    Succeeded,
    /// Tried and not done, says the device. Final.
    Failed,
    /// The device refused it. Final.
    Rejected,
    /// Withdrawn before it was done. Final.
    Cancelled,
    /// A newer command took its place before it was sent. Final.
    Superseded,
    /// Never sent in its time: it certainly did not run. Final.
    Expired,
    /// Sent, and no final answer came in time: it may have run. Final but for a late answer.
    TimedOut,
}

impl CommandState {
    /// Every state.
    pub const ALL: [Self; 13] = [
        Self::Scheduled,
        Self::Queued,
        Self::Sent,
        Self::Delivered,
        Self::Started,
        Self::Cancelling,
        Self::Succeeded,
        Self::Failed,
        Self::Rejected,
        Self::Cancelled,
        Self::Superseded,
        Self::Expired,
        Self::TimedOut,
    ];

    /// Whether the command has ended. `timed_out` counts: only a late answer may still change it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Scheduled
            | Self::Queued
            | Self::Sent
            | Self::Delivered
            | Self::Started
            | Self::Cancelling => false,
            Self::Succeeded
            | Self::Failed
            | Self::Rejected
            | Self::Cancelled
            | Self::Superseded
            | Self::Expired
            | Self::TimedOut => true,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Started => "started",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for CommandState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A command as everybody sees it, in lists and on `commands/{device}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Command {
    /// Its id, given by the gateway.
    pub id: CommandId,
    /// The device it is for.
    pub device: DeviceId,
    /// What to do, in the device's own words.
    pub name: String,
    /// The arguments, an object.
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, Value>"))]
    pub params: Value,
    /// Where it is in its life.
    pub state: CommandState,
    /// How often it was sent.
    pub attempt: u32,
    /// Higher goes first; 0 unless told.
    pub priority: i32,
    /// The last progress the device reported, 0 to 100.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100)))]
    pub progress: Option<f64>,
    /// What the device returned.
    #[cfg_attr(feature = "typescript", ts(type = "unknown"))]
    pub result: Option<Value>,
    /// Why it failed or was rejected.
    pub error: Option<AnswerError>,
    /// Whether the final answer came after `finish_by`.
    pub late: bool,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Who asked for it; `local` where nobody needs to sign in.
    pub created_by: Option<String>,
    /// Not sent before this.
    pub not_before: Option<Timestamp>,
    /// Expired if it is not sent by then.
    pub deliver_by: Timestamp,
    /// Timed out if it is not finished by then; null until it is sent.
    pub finish_by: Option<Timestamp>,
    /// The batch it belongs to.
    pub batch: Option<String>,
    /// Whether what was expected of it was seen; null where nothing was, or not yet.
    pub verified: Option<bool>,
}

/// A command with its story, as it is wherever it stands alone: not in lists and channels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandDetails {
    /// The command.
    #[serde(flatten)]
    pub command: Command,
    /// Each step it took, oldest first.
    pub transitions: Vec<Transition>,
}

/// One step in a command's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Transition {
    /// The state it came to; the same as before for a note.
    pub state: CommandState,
    /// When.
    pub at: Timestamp,
    /// Who made it so.
    pub by: Actor,
    /// Why, for a person.
    pub reason: Option<String>,
}

/// Who moved a command: `user:NAME`, `device`, `timer` or `gateway`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String", extend("pattern" = "^(?:user:.*|device|timer|gateway)$"))
)]
pub enum Actor {
    /// A person or script, by name.
    User(String),
    /// The device, by an answer or a PUBACK.
    Device,
    /// A deadline.
    Timer,
    /// The gateway itself.
    Gateway,
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::User(name) => format!("user:{name}"),
            Actor::Device => "device".into(),
            Actor::Timer => "timer".into(),
            Actor::Gateway => "gateway".into(),
        }
    }
}

impl TryFrom<String> for Actor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match (text.as_str(), text.strip_prefix("user:")) {
            (_, Some(name)) => Ok(Self::User(name.into())),
            ("device", None) => Ok(Self::Device),
            ("timer", None) => Ok(Self::Timer),
            ("gateway", None) => Ok(Self::Gateway),
            (_, None) => Err(format!("'{text}' is not user:NAME, device, timer or gateway")),
        }
    }
}

/// What is asked for: the body of `POST /devices/{id}/commands`, and of a `command` message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandRequest {
    /// What to do, in the device's own words; 1-128 bytes.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 128)))]
    pub name: String,
    /// The arguments, an object of at most 100 levels; none means `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    pub params: Option<serde_json::Map<String, Value>>,
    /// How long it may wait to be sent (60,000 unless told), at most 30 days; 0: now or never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("maximum" = Self::DURATION_MAX)))]
    pub ttl_ms: Option<Millis>,
    /// How long the device may take once it is sent (30,000 unless told), 1 ms to 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("minimum" = 1, "maximum" = Self::DURATION_MAX))
    )]
    pub timeout_ms: Option<Millis>,
    /// Not to be sent before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(extend("maximum" = Timestamp::MAX)))]
    pub not_before: Option<Timestamp>,
    /// Higher goes first; 0 unless told.
    #[serde(default, deserialize_with = "whole::or_null", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(range(min = -2_147_483_648_i64, max = 2_147_483_647_i64))
    )]
    pub priority: Option<i32>,
    /// Takes the place of a queued command of the device with the same text; 1-128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 128)))]
    pub supersede: Option<String>,
    /// May be sent again after the device has it: running twice does no harm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// `started` and `progress` renew the device's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_extends: Option<bool>,
    /// Only say what would happen; over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// A condition on what the device says after success: whether it holds is `verified`.
    #[serde(
        default,
        deserialize_with = "object::or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub expect: Option<Expect>,
}

impl CommandRequest {
    /// The longest wait and the longest time that may be asked for: 30 days.
    pub const DURATION_MAX: Millis = Millis(30 * 24 * 3_600_000);
}

/// What would become of a command: the answer to `dry_run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DryRun {
    /// Whether it would be accepted.
    pub valid: bool,
    /// Why it would not, one text for each mistake.
    pub errors: Vec<String>,
    /// Whether the device could receive it now.
    pub receiver: Status,
    /// How many commands of the device would go before it.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub position: usize,
    /// When it would expire unsent.
    pub deliver_by: Timestamp,
    /// Who asks; `local` where nobody needs to sign in.
    pub user: String,
    /// Whether this user may command the device.
    pub allowed: bool,
}

/// What a device receives on `devices/{device}/commands/{command}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delivery {
    /// The command's id; also the last level of the topic.
    pub id: CommandId,
    /// What to do.
    pub name: String,
    /// The arguments, an object.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, Value>"))]
    pub params: Value,
    /// 1 for the first sending.
    pub attempt: u32,
    /// When the command was created.
    pub issued_at: Timestamp,
    /// The device must not start it later.
    pub not_after: Timestamp,
    /// How long the device may take.
    pub timeout_ms: Millis,
}

/// What a device answers on `devices/{device}/commands/{command}/ack`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Answer {
    /// How far it is.
    pub status: AnswerStatus,
    /// The attempt it answers; the current one where it is not told.
    #[serde(default, deserialize_with = "whole::or_null", skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 100)))]
    pub progress: Option<f64>,
    /// What it returns; left out if it has more than 100 levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it failed or was rejected.
    #[serde(
        default,
        deserialize_with = "object::or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub error: Option<AnswerError>,
}

/// How far a device says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AnswerStatus {
    /// It has the command.
    Received,
    /// It works on it.
    Started,
    /// It works on it, and says how far it is.
    Progress,
    /// It is done.
    #[serde(alias = "executed")]
    Succeeded,
    /// It tried and could not.
    Failed,
    /// It refuses.
    Rejected,
    /// It gave it up, as asked.
    Cancelled,
    /// It was asked to give it up and goes on.
    NotCancelled,
}

impl AnswerStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::NotCancelled => "not_cancelled",
        }
    }
}

/// Why a device failed or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnswerError {
    /// For programs.
    #[serde(default)]
    pub code: String,
    /// For people.
    #[serde(default)]
    pub message: String,
}
