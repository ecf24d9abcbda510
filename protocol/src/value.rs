//! When two JSON values say the same: for what is desired of a device, and for what is expected of a command.

use serde_json::{Number, Value};

/// Whether two values are equal; numbers by their worth: a device may report 20.0 for 20.
#[must_use]
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || same_worth(a, b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, value): (&String, &Value)| {
                b.get(name).is_some_and(|other| equal(value, other))
            };
            a.len() == b.len() && a.iter().all(same)
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::String(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_),
            other,
        ) => a == other,
    }
}

/// An integer and a fraction are compared as fractions; two integers were compared before.
fn same_worth(a: &Number, b: &Number) -> bool {
    (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64()
}
