//! How deep what is kept of a command may nest: a row wraps it, and whoever reads JSON stops somewhere, most at 128
//! levels. So do lists and channels, which wrap it too.

use serde_json::{Map, Value};

/// The most levels of arrays and objects in parameters, in a result and in what is expected.
pub(crate) const LEVELS_MAX: usize = 100;

/// Refuses what nests deeper than [`LEVELS_MAX`].
pub(super) fn check(what: &str, levels: usize) -> Result<(), String> {
    if levels <= LEVELS_MAX {
        return Ok(());
    }
    Err(format!("{what} nests more than {LEVELS_MAX} levels deep"))
}

/// The levels of an object, itself included.
pub(super) fn of_object(members: &Map<String, Value>) -> usize {
    1 + members.values().map(of).max().unwrap_or(0)
}

/// The levels of a value: none where it holds no other. Whoever reads JSON for us bounds them.
pub(super) fn of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(items) => 1 + items.iter().map(of).max().unwrap_or(0),
        Value::Object(members) => of_object(members),
    }
}
