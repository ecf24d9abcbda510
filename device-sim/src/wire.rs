//! Between the device's words and MQTT's: topics and payloads, out and in.

use crate::{link::Letter, mail::Parcel, model::Values, outbox};
use protocol::{CommandId, Delivery, Desired, DeviceId, topics};
use serde_json::Value;

/// The message for a parcel. The state is that of now; readings are `confirmed` (QoS 1) or not.
pub(crate) fn letter(
    id: &DeviceId,
    parcel: &Parcel,
    state: impl FnOnce() -> Value,
    confirmed: bool,
) -> Letter {
    let plain = Letter {
        topic: String::new(),
        payload: Vec::new(),
        retain: false,
        confirmed: true,
        answers: None,
    };
    match parcel {
        Parcel::Answer(command, answer) => Letter {
            topic: topics::answer(id, *command),
            payload: serde_json::to_vec(answer).unwrap_or_default(),
            answers: Some(*command),
            ..plain
        },
        Parcel::State => Letter {
            topic: format!("devices/{id}/state"),
            payload: state().to_string().into_bytes(),
            retain: true,
            ..plain
        },
        Parcel::Event(event) => Letter {
            topic: format!("devices/{id}/events"),
            payload: serde_json::to_vec(event).unwrap_or_default(),
            ..plain
        },
        Parcel::Readings(readings) => Letter {
            topic: topics::telemetry(id),
            payload: outbox::payload(readings),
            confirmed,
            ..plain
        },
    }
}

/// What came on a topic of the device.
#[derive(Debug, PartialEq)]
pub(crate) enum Arrival {
    /// A command.
    Command(Box<Delivery>),
    /// The wish to give one up.
    Cancel(CommandId),
    /// What the device is wanted to be.
    Desired {
        /// Counts the changes.
        version: u64,
        /// What is wanted.
        desired: Values,
    },
    /// An answer of our own, which the subscription matches too.
    Echo,
    /// Nothing of the contract.
    Malformed,
}

impl Arrival {
    /// Reads a message for `device`; anything that is none of the above is malformed.
    pub(crate) fn read(device: &DeviceId, topic: &str, payload: &[u8]) -> Self {
        let rest =
            topic.strip_prefix("devices/").and_then(|rest| rest.strip_prefix(device.as_str()));
        if rest == Some("/desired") {
            return Self::desired(payload);
        }
        let Some(rest) = rest.and_then(|rest| rest.strip_prefix("/commands/")) else {
            return Self::Malformed;
        };
        match rest.split_once('/') {
            Some((_, "ack")) => Self::Echo,
            Some((id, "cancel")) => id.parse().map_or(Self::Malformed, Self::Cancel),
            Some(_) => Self::Malformed,
            None => match serde_json::from_slice::<Delivery>(payload) {
                Ok(delivery) if delivery.id.to_string() == rest => Self::Command(delivery.into()),
                Ok(_) | Err(_) => Self::Malformed,
            },
        }
    }
}

impl Arrival {
    /// An empty payload is a retained message that was taken back: nothing is desired any more.
    fn desired(payload: &[u8]) -> Self {
        if payload.is_empty() {
            return Self::Desired { version: 0, desired: Values::new() };
        }
        let said = serde_json::from_slice::<Desired>(payload).ok();
        let read =
            |said: Desired| Some((said.version, serde_json::from_str(said.desired.get()).ok()?));
        match said.and_then(read) {
            Some((version, desired)) => Self::Desired { version, desired },
            None => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";

    fn read(rest: &str, payload: &Value) -> Arrival {
        let device = "pump-001".parse().expect("a device id");
        Arrival::read(&device, &format!("devices/{rest}"), payload.to_string().as_bytes())
    }

    fn delivery(id: &str) -> Value {
        json!({"id": id, "name": "reboot", "params": {}, "attempt": 1, "issued_at": 1,
               "not_after": 2, "timeout_ms": 1, "something": "new"})
    }

    #[test]
    fn commands_cancels_and_echoes_are_told_apart() {
        let command = read(&format!("pump-001/commands/{ID}"), &delivery(ID));
        assert!(matches!(command, Arrival::Command(delivery) if delivery.name == "reboot"));
        let cancel = read(&format!("pump-001/commands/{ID}/cancel"), &json!({ "id": ID }));
        assert_eq!(cancel, Arrival::Cancel(ID.parse().expect("a command id")));
        assert_eq!(read(&format!("pump-001/commands/{ID}/ack"), &json!({})), Arrival::Echo);
    }

    #[test]
    fn what_is_desired_is_read_and_may_be_taken_back() {
        let said = json!({"version": 3, "desired": {"target": 20}, "something": "new"});
        let desired = Values::from_iter([("target".into(), json!(20))]);
        assert_eq!(read("pump-001/desired", &said), Arrival::Desired { version: 3, desired });
        let device = "pump-001".parse().expect("a device id");
        let nothing = Arrival::Desired { version: 0, desired: Values::new() };
        assert_eq!(Arrival::read(&device, "devices/pump-001/desired", b""), nothing);
    }

    #[test]
    fn all_else_is_malformed() {
        let other = "0190d9c2-7c3a-7b6e-8f00-000000000000";
        for (rest, payload) in [
            (format!("pump-001/commands/{ID}"), json!("reboot")),
            (format!("pump-001/commands/{ID}"), delivery(other)),
            (format!("pump-001/commands/{ID}/undo"), delivery(ID)),
            ("pump-001/commands/7/cancel".into(), json!({})),
            (format!("pump-0011/commands/{ID}"), delivery(ID)),
            (format!("pump-002/commands/{ID}"), delivery(ID)),
            ("pump-001/desired".into(), json!({})),
        ] {
            assert_eq!(read(&rest, &payload), Arrival::Malformed, "{rest}");
        }
    }
}
