//! Answers to commands: by topic, by Response Topic, or in a report of the last ones.

use super::{Inbound, Undecodable, decode, deep, value};
use crate::route::Destination;
use protocol::{Answer, AnswerStatus, CommandId, DeviceId};
use serde_json::{Value, json};

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
/// how the command ended is said beside it. None: it is none, or something else is wrong with it too.
#[must_use]
pub fn decode_mended(destination: &Destination, payload: &[u8]) -> Option<Vec<Inbound>> {
    let mut said: Value = match destination {
        Destination::Answer { .. } | Destination::Recent { .. } => {
            serde_json::from_slice(&deep::cut(payload)).ok()?
        }
        Destination::Telemetry { .. }
        | Destination::Custom { .. }
        | Destination::State { .. }
        | Destination::Event { .. } => return None,
    };
    if let Value::Array(entries) = &mut said {
        entries.iter_mut().for_each(mend);
    } else {
        mend(&mut said);
    }
    decode(destination, said.to_string().as_bytes()).ok()
}

/// Puts the texts that can be made of an answer's `error` in its place.
fn mend(answer: &mut Value) {
    let Some(error) = answer.get_mut("error").filter(|error| !error.is_null()) else { return };
    let text = |value: Option<&Value>| {
        let value = value.filter(|value| !value.is_null());
        value.map_or(String::new(), |value| {
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        })
    };
    let (code, message) = if error.is_object() {
        (text(error.get("code")), text(error.get("message")))
    } else {
        (String::new(), text(Some(error)))
    };
    *error = json!({ "code": code, "message": message });
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
