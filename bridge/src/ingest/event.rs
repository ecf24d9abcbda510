//! Events: what a device raises and clears.

use super::{Undecodable, value};
use crate::alerts;
use protocol::DeviceEvent;

/// The longest payload of an event, in bytes.
const EVENT_BYTES_MAX: usize = 16 * 1024;

/// The longest message of an event, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_024;

pub(super) fn read(payload: &[u8]) -> Result<DeviceEvent, Undecodable> {
    if payload.len() > EVENT_BYTES_MAX {
        let bytes = payload.len();
        return Err(Undecodable(format!(
            "{bytes} bytes are more than the {EVENT_BYTES_MAX} of an event"
        )));
    }
    let event: DeviceEvent = value::object(payload, "event")?;
    if !alerts::is_code(&event.code) {
        return Err(Undecodable(alerts::BadRule::Code(event.code).to_string()));
    }
    if event.message.len() > MESSAGE_BYTES_MAX {
        let why = format!("the message is longer than {MESSAGE_BYTES_MAX} bytes");
        return Err(Undecodable(why));
    }
    Ok(event)
}
