//! What a mapping says in the configuration, as it is written there.

use protocol::{AnswerStatus, DevicePattern};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How devices of one type, which know only their own topics, get commands and answer them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingSettings {
    /// The type of the devices. One without a type that speaks on a topic below gets it.
    pub r#type: String,
    /// Only devices whose ids match one of these; none: all.
    #[serde(default)]
    pub devices: Vec<DevicePattern>,
    /// Where commands go, with `{device}`.
    pub topic: String,
    /// What is sent: a text, or any JSON whose texts are filled in.
    #[serde(default = "all_params")]
    pub payload: Value,
    /// Only a client whose id matches is taken for the receiver; none: every one that subscribed.
    #[serde(default)]
    pub client: Option<DevicePattern>,
    /// What settles a command beside its deadlines.
    #[serde(default)]
    pub settles: Settles,
    /// The commands there are; none: any, all in the same way.
    #[serde(default)]
    pub commands: Vec<CommandSettings>,
    /// How answers read; the first that fits counts.
    #[serde(default)]
    pub answers: Vec<AnswerSettings>,
    /// Where the devices' presence comes.
    #[serde(default)]
    pub presence: Option<PresenceSettings>,
}

/// A command that goes its own way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSettings {
    /// Its name; `*`: every other one.
    pub name: String,
    /// Where it goes; none: where the mapping says.
    #[serde(default)]
    pub topic: Option<String>,
    /// What is sent; none: what the mapping says.
    #[serde(default)]
    pub payload: Option<Value>,
    /// What settles it; none: as the mapping says.
    #[serde(default)]
    pub settles: Option<Settles>,
}

/// What settles a command beside its deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settles {
    /// Its answer.
    #[default]
    Answer,
    /// The device cannot answer: the receiver's PUBACK, or that what is expected of the command was seen.
    Delivery,
}

/// How an answer reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerSettings {
    /// Where it comes, with `{device}` unless `command` says whose it is.
    pub topic: String,
    /// Where in it the command's id stands, as a JSON Pointer; none: it answers the command that is underway.
    #[serde(default)]
    pub command: Option<String>,
    /// Only to commands of these names; none: to all.
    #[serde(default)]
    pub commands: Vec<String>,
    /// What it must say, by JSON Pointer: this text or value, or `*` for anything.
    #[serde(default)]
    pub when: BTreeMap<String, Value>,
    /// What it means.
    #[serde(default = "succeeded")]
    pub status: AnswerStatus,
    /// Where its result stands.
    #[serde(default)]
    pub result: Option<String>,
    /// Where its progress stands, 0 to 100.
    #[serde(default)]
    pub progress: Option<String>,
    /// Where the code of its error stands; none: `failed`.
    #[serde(default)]
    pub code: Option<String>,
    /// Where the text of its error stands.
    #[serde(default)]
    pub message: Option<String>,
}

/// Where devices say whether they are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresenceSettings {
    /// The topic, with `{device}`.
    pub topic: String,
    /// Where in the payload it stands, as a JSON Pointer.
    #[serde(default)]
    pub at: String,
    /// What means that the device is there.
    pub online: Value,
    /// What means that it is not.
    pub offline: Value,
}

fn all_params() -> Value {
    "{params}".into()
}

fn succeeded() -> AnswerStatus {
    AnswerStatus::Succeeded
}
