//! MQTT 5 properties: which packet may carry which, each at most once unless it says otherwise.

use super::{encode, reader::Reader};
use crate::{edge::reason::Reason, exchange};
use bytes::{BufMut as _, Bytes, BytesMut};
use mqtt_protocol_core::mqtt::{
    packet::Property, prelude::PropertyValueAccess as _, result_code::MqttError,
};
use protocol::{Millis, Timestamp, TopicName};
use std::mem::{Discriminant, discriminant};

/// The properties at the front of `reader`. Of those that may not repeat, a second one is a protocol
/// error.
pub(super) fn properties(reader: &mut Reader<'_>) -> Result<Vec<Property>, Reason> {
    let length = reader.variable()?;
    let mut rest = reader.bytes(length)?;
    let mut found: Vec<Property> = Vec::new();
    let mut seen: Vec<Discriminant<Property>> = Vec::new();
    while !rest.is_empty() {
        let (property, consumed) = Property::parse(rest).map_err(|error| reason(rest, &error))?;
        rest = rest.get(consumed..).ok_or(Reason::MalformedPacket)?;
        let kind = discriminant(&property);
        if !matches!(property, Property::UserProperty(_)) {
            if seen.contains(&kind) {
                return Err(Reason::ProtocolError);
            }
            seen.push(kind);
        }
        if texts(&property).any(|text| text.contains('\0')) {
            return Err(Reason::MalformedPacket);
        }
        found.push(property);
    }
    Ok(found)
}

/// The texts that `property` has: two where it is a user property `[MQTT-1.5.7-1]`.
fn texts(property: &Property) -> impl Iterator<Item = &str> {
    property
        .as_str()
        .into_iter()
        .chain(property.as_key_value().into_iter().flat_map(|(k, v)| [k, v]))
}

/// What is wrong with the property at the front of `rest`.
fn reason(rest: &[u8], error: &MqttError) -> Reason {
    match error {
        // Alias 0 (section 3.3.2.3.4).
        MqttError::ProtocolError if rest.first() == Some(&TOPIC_ALIAS) => Reason::TopicAliasInvalid,
        MqttError::ProtocolError => Reason::ProtocolError,
        _ => Reason::MalformedPacket,
    }
}

/// The identifier of Topic Alias.
const TOPIC_ALIAS: u8 = 0x23;

/// Reads properties that a packet may carry but that say nothing to the gateway; any other is a
/// protocol error.
pub(super) fn ignored(
    reader: &mut Reader<'_>,
    allowed: impl Fn(&Property) -> bool,
) -> Result<(), Reason> {
    let all = properties(reader)?;
    if all.iter().all(allowed) { Ok(()) } else { Err(Reason::ProtocolError) }
}

/// Whether `property` only explains something to a person.
pub(super) fn explains(property: &Property) -> bool {
    matches!(property, Property::ReasonString(_) | Property::UserProperty(_))
}

/// When what expires in `seconds` from `now` has expired.
pub(crate) fn expires_at(now: Timestamp, seconds: u32) -> Timestamp {
    now.plus(Millis(u64::from(seconds) * 1_000))
}

/// Takes `property` into those that travel with a message unchanged; gives it back if it is none of
/// them.
pub(super) fn travel(with: &mut exchange::Properties, property: Property) -> Result<(), Property> {
    match property {
        Property::PayloadFormatIndicator(format) => with.payload_is_utf8 = Some(format.val() == 1),
        Property::ContentType(text) => with.content_type = Some(text.val().into()),
        Property::ResponseTopic(topic) if topic.val().parse::<TopicName>().is_ok() => {
            with.response_topic = Some(topic.val().into());
        }
        Property::CorrelationData(data) => {
            with.correlation_data = Some(Bytes::copy_from_slice(data.val()));
        }
        Property::UserProperty(pair) => with.user.push((pair.key().into(), pair.val().into())),
        other => return Err(other),
    }
    Ok(())
}

/// Appends the properties of a PUBLISH to a client; `expiry` is in seconds.
pub(crate) fn encode(
    out: &mut BytesMut,
    properties: &exchange::Properties,
    expiry: Option<u32>,
    identifiers: &[u32],
    alias: Option<u16>,
) {
    if let Some(alias) = alias {
        out.put_u8(TOPIC_ALIAS);
        out.put_u16(alias);
    }
    if let Some(utf8) = properties.payload_is_utf8 {
        out.put_slice(&[0x01, u8::from(utf8)]);
    }
    if let Some(seconds) = expiry {
        out.put_u8(0x02);
        out.put_u32(seconds);
    }
    if let Some(content_type) = &properties.content_type {
        out.put_u8(0x03);
        encode::text(out, content_type);
    }
    if let Some(topic) = &properties.response_topic {
        out.put_u8(0x08);
        encode::text(out, topic);
    }
    if let Some(data) = &properties.correlation_data {
        out.put_u8(0x09);
        encode::binary(out, data);
    }
    for identifier in identifiers {
        out.put_u8(0x0B);
        encode::variable(out, *identifier as usize);
    }
    for (key, value) in &properties.user {
        out.put_u8(0x26);
        encode::text(out, key);
        encode::text(out, value);
    }
}
