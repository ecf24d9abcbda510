//! Reading a command's parameters, and saying what is wrong with them.

use super::Values;
use protocol::AnswerError;
use serde_json::Value;
use std::ops::RangeInclusive;

/// The number `params.name`.
///
/// # Errors
/// `bad_params` when it is missing, no number, or outside `range`.
pub(super) fn number(
    params: &Value,
    name: &str,
    range: RangeInclusive<f64>,
) -> Result<f64, AnswerError> {
    let given = params.get(name);
    given.and_then(Value::as_f64).filter(|value| range.contains(value)).ok_or_else(|| {
        let (start, end) = range.into_inner();
        let given = given.map_or_else(|| "nothing".into(), Value::to_string);
        AnswerError {
            code: "bad_params".into(),
            message: format!("'{name}' must be a number from {start} to {end}, not {given}"),
        }
    })
}

/// The number that is desired of a setting, if one is and it can be.
pub(super) fn desired(desired: &Values, name: &str, range: RangeInclusive<f64>) -> Option<f64> {
    desired.get(name).and_then(Value::as_f64).filter(|value| range.contains(value))
}

/// The refusal of a command that is not among `known`.
pub(super) fn refuse_unknown(name: &str, known: &[&str]) -> AnswerError {
    AnswerError {
        code: "unknown_command".into(),
        message: format!("'{name}' is not a command of this device: use {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_must_be_there_and_in_range() {
        let read = |params: Value| number(&params, "percent", 0.0..=100.0);
        assert_eq!(read(json!({"percent": 40})), Ok(40.0));
        for (params, given) in [
            (json!({}), "nothing"),
            (json!({"percent": "much"}), "\"much\""),
            (json!({"percent": 101}), "101"),
            (json!([]), "nothing"),
        ] {
            let error = read(params).expect_err("these parameters are bad");
            assert_eq!(error.code, "bad_params");
            assert!(error.message.ends_with(&format!("from 0 to 100, not {given}")), "{error:?}");
        }
    }
}
