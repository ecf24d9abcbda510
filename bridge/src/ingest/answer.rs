//! Answers to commands: by topic, by Response Topic, or in a report of the last ones.

use super::{Inbound, Undecodable, decode, deep, value};
use crate::{data::Members, route::Destination};
use protocol::{Answer, AnswerError, AnswerStatus, CommandId, DeviceId};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

/// Reads the response of an MQTT 5 device, which came with the command's id as Correlation Data: such a
/// device need not know the form of an answer. What has no `status` is the result of a command that succeeded, a
/// plain text too; what begins like an object or an array and is none may have had a `status`, so it says nothing.
///
/// # Errors
/// [`Undecodable`] with the reason.
pub fn decode_response(
    device: &DeviceId,
    command: CommandId,
    payload: &[u8],
) -> Result<Inbound, Undecodable> {
    let payload = deep::cut(payload);
    let answer = match serde_json::from_slice::<Value>(&payload) {
        Ok(Value::Object(members)) if members.contains_key("status") => read(&payload)?,
        Ok(result) => succeeded(Some(result)),
        Err(_) if payload.is_empty() => succeeded(None),
        Err(error) => match value::utf8(&payload)? {
            text if value::begins_as_container(text) => return Err(error.into()),
            text => succeeded(Some(text.into())),
        },
    };
    Ok(Inbound::Answer { device: device.clone(), command, answer })
}

/// Reads an answer, or a report of some, that does not decode because an `error` in it is not an object of two texts:
/// how the command ended is said beside it. None: it is none, or something else is wrong with it.
#[must_use]
pub fn decode_mended(destination: &Destination, payload: &[u8]) -> Option<Vec<Inbound>> {
    let mend = match destination {
        Destination::Answer { .. } => mend,
        Destination::Recent { .. } => mend_report,
        Destination::Telemetry { .. }
        | Destination::Custom { .. }
        | Destination::State { .. }
        | Destination::Event { .. } => return None,
    };
    let payload = deep::cut(payload);
    let said: &RawValue = serde_json::from_slice(&payload).ok()?;
    decode(destination, mend(said.get())?.as_bytes()).ok()
}

/// A report with the answers in it mended; none where there is nothing to mend.
fn mend_report(report: &str) -> Option<String> {
    let entries: Vec<&RawValue> = serde_json::from_str(report).ok()?;
    let mended: Vec<_> = entries.iter().map(|entry| mend(entry.get())).collect();
    mended.iter().any(Option::is_some).then(|| {
        let as_it_is = |(mended, entry): (Option<String>, &&RawValue)| {
            mended.unwrap_or_else(|| entry.get().into())
        };
        let entries: Vec<_> = mended.into_iter().zip(&entries).map(as_it_is).collect();
        format!("[{}]", entries.join(","))
    })
}

/// An answer with the texts that can be made of its `error` in place of that, and all else as it stands; none where
/// there is nothing to mend.
fn mend(answer: &str) -> Option<String> {
    if !answer.starts_with('{') {
        return None;
    }
    let mut is_mended = false;
    let member = |(name, value): (&str, &str)| {
        let error = (name == "error").then(|| mend_error(value)).flatten();
        is_mended |= error.is_some();
        format!("\"{name}\":{}", error.as_deref().unwrap_or(value))
    };
    let members: Vec<_> = Members::of(answer).map(member).collect();
    is_mended.then(|| format!("{{{}}}", members.join(",")))
}

/// None where it is as it should be, or has a member twice, so that nobody knows which one counts.
fn mend_error(error: &str) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Said {
        code: Value,
        message: Value,
    }
    let is_object = error.starts_with('{');
    if error == "null" || (is_object && serde_json::from_str::<AnswerError>(error).is_ok()) {
        return None;
    }
    let said = if is_object {
        serde_json::from_str(error).ok()?
    } else {
        Said { message: serde_json::from_str(error).ok()?, ..Said::default() }
    };
    let text = |value: Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    Some(json!({ "code": text(said.code), "message": text(said.message) }).to_string())
}

/// Reads an answer, of which a result that nests too deep leaves no more than that.
pub(super) fn read(payload: &[u8]) -> Result<Answer, Undecodable> {
    let answer: Answer = value::object(&deep::cut(payload), "answer")?;
    match answer.progress {
        Some(done) if !(0.0..=100.0).contains(&done) => {
            Err(Undecodable(format!("progress {done} is not in 0-100")))
        }
        Some(_) | None => Ok(answer),
    }
}

/// The most commands that one report may name.
const RECENT_MAX: usize = 256;

/// A list of ids, each of a command that was carried out, and of answers with their `id`.
pub(super) fn recent(payload: &[u8]) -> Result<Vec<(CommandId, Answer)>, Undecodable> {
    let entries: Vec<Value> = serde_json::from_slice(&deep::cut(payload))?;
    if entries.len() > RECENT_MAX {
        return Err(Undecodable(format!(
            "{} commands are more than the {RECENT_MAX} that a report may name",
            entries.len()
        )));
    }
    let numbered = |(index, entry): (usize, Value)| {
        let named = |why: String| Undecodable(format!("entry {index} of the report: {why}"));
        let id = if entry.is_string() { &entry } else { &entry["id"] };
        let id = serde_json::from_value(id.clone()).map_err(|error| named(error.to_string()))?;
        let answer = if entry.is_string() {
            succeeded(None)
        } else {
            read(entry.to_string().as_bytes()).map_err(|error| named(error.to_string()))?
        };
        Ok((id, answer))
    };
    entries.into_iter().enumerate().map(numbered).collect()
}

fn succeeded(result: Option<Value>) -> Answer {
    let status = AnswerStatus::Succeeded;
    Answer { status, attempt: None, progress: None, result, error: None }
}
