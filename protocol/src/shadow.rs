//! What is desired of a device and what it reports.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;

/// What is desired of a device beside what it reports: the data of `state/{device}`, and the answer of
/// `GET|PUT /devices/{id}/desired`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceState {
    /// What the device says it is, an object; empty until it said something.
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub reported: Arc<RawValue>,
    /// What it is wanted to be, an object; empty until somebody wanted something.
    #[cfg_attr(feature = "typescript", ts(type = "Record<string, unknown>"))]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub desired: Arc<RawValue>,
    /// Counts the changes of `desired`; 0: there was none.
    pub version: u64,
    /// Each member of `desired` is equal in `reported`.
    pub in_sync: bool,
}

impl Default for DeviceState {
    /// Nothing was reported, and nothing is desired.
    fn default() -> Self {
        let empty: Arc<RawValue> = RawValue::from_string("{}".into()).expect("an object").into();
        Self { reported: Arc::clone(&empty), desired: empty, version: 0, in_sync: true }
    }
}

/// What a device receives on `devices/{device}/desired`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Desired {
    /// Counts the changes.
    pub version: u64,
    /// What it is wanted to be, an object.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub desired: Arc<RawValue>,
}
