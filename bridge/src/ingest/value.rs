//! Payloads as JSON, whatever they are: what the other files read their parts with.

use super::Undecodable;
use crate::data::{self, Data};
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

/// The payload as text.
pub(super) fn utf8(payload: &[u8]) -> Result<&str, Undecodable> {
    std::str::from_utf8(payload).map_err(|error| Undecodable(format!("not UTF-8: {error}")))
}

/// Whether a text means to be an object or an array, behind blanks or a byte order mark, whatever follows.
pub(super) fn begins_as_container(text: &str) -> bool {
    let blank = |character: char| character.is_whitespace() || character == '\u{feff}';
    text.trim_start_matches(blank).starts_with(['{', '['])
}

/// JSON that a channel may hold.
pub(super) fn checked(payload: &[u8]) -> Result<Box<RawValue>, Undecodable> {
    let value: Box<RawValue> = serde_json::from_str(utf8(payload)?)?;
    data::check(&value)?;
    Ok(value)
}

/// Reads an object, the `what` of a device; serde would take an array for one.
pub(super) fn object<T: DeserializeOwned>(payload: &[u8], what: &str) -> Result<T, Undecodable> {
    if !payload.trim_ascii_start().starts_with(b"{") {
        return Err(Undecodable(format!("the {what} is not an object")));
    }
    Ok(serde_json::from_slice(payload)?)
}

/// One value: a text where only a text will do.
pub(super) fn one(payload: &[u8], text: bool) -> Result<Box<RawValue>, Undecodable> {
    if text { text_value(payload) } else { scalar_value(payload) }
}

/// A number, boolean or other JSON where it is one, else text.
fn scalar_value(payload: &[u8]) -> Result<Box<RawValue>, Undecodable> {
    if payload.is_empty() {
        return Err(Undecodable("an empty payload is no value".into()));
    }
    checked(payload).or_else(|_| text_value(payload))
}

fn text_value(payload: &[u8]) -> Result<Box<RawValue>, Undecodable> {
    Ok(serde_json::value::to_raw_value(utf8(payload)?)?)
}

/// The data of `topics/{topic}`: the payload as JSON, text or base64, whichever fits first.
#[must_use]
pub fn raw_message(
    payload: &[u8],
    qos: u8,
    retain: bool,
    base64: impl Fn(&[u8]) -> String,
) -> Data {
    let (encoding, value) = match (checked(payload), std::str::from_utf8(payload)) {
        (Ok(json), _) => ("json", json.get().to_owned()),
        (Err(_), Ok(text)) => ("utf8", Value::from(text).to_string()),
        (Err(_), Err(_)) => ("base64", Value::from(base64(payload)).to_string()),
    };
    let json =
        format!(r#"{{"payload":{value},"encoding":"{encoding}","qos":{qos},"retain":{retain}}}"#);
    Data::Json(RawValue::from_string(json).expect("composed of valid JSON").into())
}
