//! Types of devices: which commands they take, and what the parameters of these are.

use crate::whole;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A type of devices, as `GET /device-types` gives it and as a file of `types.dir` describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceType {
    /// Its name: the `type` of the devices it is about.
    #[serde(rename = "type")]
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// How many commands of one device may be sent and not ended; 1 keeps their order.
    #[serde(default = "one", deserialize_with = "whole::only")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000)))]
    pub max_inflight: u32,
    /// The commands it takes, by name. A command that is not among them is passed on unchecked.
    #[serde(default)]
    pub commands: BTreeMap<String, CommandType>,
}

/// A command of a type of devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CommandType {
    /// Its name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What it does, for people.
    #[serde(default)]
    pub description: Option<String>,
    /// The JSON Schema (draft 2020-12) of its parameters: what `params` is checked against.
    #[serde(default = "any_object")]
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, Value>"))]
    pub params: Value,
}

const fn one() -> u32 {
    1
}

fn any_object() -> Value {
    serde_json::json!({ "type": "object" })
}
