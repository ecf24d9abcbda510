//! What may be expected of a command: a condition on what the device says after it claims success.

use crate::{Millis, equal};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// A condition on the telemetry or on the reported state that follows success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(optional_fields))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend(
        "oneOf" = [
            { "required": ["metric"], "properties": { "metric": { "type": "string" } } },
            { "required": ["state"], "properties": { "state": { "type": "string" } } },
        ],
        "if" = { "properties": { "op": { "enum": ["<", "<=", ">", ">="] } } },
        "then" = { "properties": { "value": { "type": "number" } } },
    ))
)]
pub struct Expect {
    /// The metric it is about, 1-128 bytes; or `state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 128)))]
    pub metric: Option<String>,
    /// The member of the reported state it is about, 1-128 bytes; or `metric`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 128)))]
    pub state: Option<String>,
    /// How the two compare.
    pub op: Operator,
    /// What it is compared with, of at most 100 levels; a number where `op` is one of order.
    #[cfg_attr(feature = "typescript", ts(type = "unknown"))]
    pub value: Value,
    /// How long after success it may take (30,000 unless told), 1 ms to 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("minimum" = 1, "maximum" = crate::CommandRequest::DURATION_MAX))
    )]
    pub within_ms: Option<Millis>,
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Operator {
    /// Equal: numbers by value, all else as JSON.
    #[serde(rename = "==")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
    /// Less, of numbers.
    #[serde(rename = "<")]
    Less,
    /// Less or equal, of numbers.
    #[serde(rename = "<=")]
    LessOrEqual,
    /// Greater, of numbers.
    #[serde(rename = ">")]
    Greater,
    /// Greater or equal, of numbers.
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

impl Operator {
    /// How it is written.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Whether `found` compares so with `wanted`.
    #[must_use]
    pub fn holds(self, found: &Value, wanted: &Value) -> bool {
        let numbers = found.as_f64().zip(wanted.as_f64());
        let ordered = |holds: fn(f64, f64) -> bool| numbers.is_some_and(|(a, b)| holds(a, b));
        match self {
            Self::Equal => equal(found, wanted),
            Self::NotEqual => !equal(found, wanted),
            Self::Less => ordered(|a, b| a < b),
            Self::LessOrEqual => ordered(|a, b| a <= b),
            Self::Greater => ordered(|a, b| a > b),
            Self::GreaterOrEqual => ordered(|a, b| a >= b),
        }
    }

    /// Whether it compares numbers only.
    #[must_use]
    pub const fn is_of_order(self) -> bool {
        match self {
            Self::Equal | Self::NotEqual => false,
            Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual => true,
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.metric.as_deref().or(self.state.as_deref()).unwrap_or_default();
        write!(f, "{what} {} {}", self.op.sign(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_compare_by_value_and_all_else_as_json() {
        use Operator as O;
        for (found, op, wanted, holds) in [
            (json!(21), O::Equal, json!(21.0), true),
            (json!(21), O::NotEqual, json!(21.0), false),
            (json!("on"), O::Equal, json!("on"), true),
            (json!("21"), O::Equal, json!(21), false),
            (json!({"a": [1]}), O::Equal, json!({"a": [1.0]}), true),
            (json!({"a": [1]}), O::NotEqual, json!({"a": [1, 2]}), true),
            (json!(9_007_199_254_740_993_u64), O::Equal, json!(9_007_199_254_740_992_u64), false),
            (json!(1), O::Less, json!(2), true),
            (json!(2), O::Less, json!(2), false),
            (json!(2), O::LessOrEqual, json!(2), true),
            (json!(3), O::Greater, json!(2), true),
            (json!(2), O::GreaterOrEqual, json!(2.5), false),
            (json!("b"), O::Greater, json!("a"), false),
            (json!(null), O::NotEqual, json!(1), true),
        ] {
            assert_eq!(op.holds(&found, &wanted), holds, "{found} {} {wanted}", op.sign());
        }
    }
}
