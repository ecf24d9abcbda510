//! What a client is told when it is let in: the properties of its CONNACK.

use super::{
    publishing::TOPIC_ALIAS_MAXIMUM,
    reason::Reason,
    shared::Shared,
    wire::{Connect, Dialect, Version, connack},
};
use bytes::BytesMut;
use mqtt_protocol_core::mqtt::{
    packet::{
        AssignedClientIdentifier, MaximumPacketSize, Property, ReceiveMaximum, ServerKeepAlive,
        SessionExpiryInterval, TopicAliasMaximum,
    },
    result_code::MqttError,
};
use std::sync::Arc;

/// What a client is told that it did not ask for.
pub(super) struct Told {
    /// Its client id.
    pub(super) assigned: Option<Arc<str>>,
    pub(super) session_expiry: Option<u32>,
    pub(super) keep_alive: Option<u16>,
}

impl Told {
    pub(super) fn to(shared: &Shared, connect: &Connect, assigned: Option<Arc<str>>) -> Self {
        let seconds_max = shared.limits.mqtt_session_seconds;
        Self {
            assigned,
            session_expiry: (seconds_max < connect.session_expiry).then_some(seconds_max),
            keep_alive: keep_alive_told(connect, shared.mqtt.keep_alive_max_s),
        }
    }
}

/// The keep-alive that an MQTT 5 client is told because it wants a longer one than `max` seconds. One of
/// 3.1.1 cannot be told.
fn keep_alive_told(connect: &Connect, max: u16) -> Option<u16> {
    let longer = connect.keep_alive == 0 || connect.keep_alive > max;
    (max > 0 && longer && connect.version == Version::V5).then_some(max)
}

/// A client of 3.1.1 is told none.
pub(super) fn connack_properties(
    shared: &Shared,
    version: Version,
    told: &Told,
) -> Result<Vec<Property>, MqttError> {
    if version == Version::V3 {
        return Ok(Vec::new());
    }
    let mut properties: Vec<Property> = vec![
        ReceiveMaximum::new(shared.limits.mqtt_inflight)?.into(),
        MaximumPacketSize::new(shared.limits.mqtt_packet_bytes)?.into(),
        TopicAliasMaximum::new(TOPIC_ALIAS_MAXIMUM)?.into(),
    ];
    if let Some(seconds) = told.keep_alive {
        properties.push(ServerKeepAlive::new(seconds)?.into());
    }
    if let Some(seconds) = told.session_expiry {
        properties.push(SessionExpiryInterval::new(seconds)?.into());
    }
    if let Some(assigned) = &told.assigned {
        properties.push(AssignedClientIdentifier::new(&**assigned)?.into());
    }
    Ok(properties)
}

/// Whether the client takes a packet as large as its CONNACK. One that does not is closed without a word.
pub(super) fn takes_connack(dialect: Dialect, properties: &[Property]) -> bool {
    let mut packet = BytesMut::new();
    connack(&mut packet, dialect, false, Reason::Success, properties);
    dialect.takes(packet.len())
}
