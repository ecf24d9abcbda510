//! Packets the gateway sends, appended to a buffer.

use super::{Dialect, Version};
use crate::edge::reason::Reason;
use bytes::{BufMut as _, BytesMut};
use mqtt_protocol_core::mqtt::packet::Property;

/// PUBACK, PUBREC, PUBREL and PUBCOMP, by their first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flow {
    Ack = 0x40,
    Rec = 0x50,
    Rel = 0x62,
    Comp = 0x70,
}

/// A PUBLISH to a client.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) duplicate: bool,
    /// With QoS 1 and 2.
    pub(crate) id: Option<u16>,
    /// Encoded; empty for 3.1.1.
    pub(crate) properties: &'a [u8],
}

impl Outgoing<'_> {
    fn body_bytes(&self, version: Version) -> usize {
        let id = if self.id.is_some() { 2 } else { 0 };
        let properties = match version {
            Version::V3 => 0,
            Version::V5 => variable_bytes(self.properties.len()) + self.properties.len(),
        };
        2 + self.topic.len() + id + properties + self.payload.len()
    }

    /// The size of the whole packet.
    pub(crate) fn packet_bytes(&self, version: Version) -> usize {
        let body = self.body_bytes(version);
        1 + variable_bytes(body) + body
    }
}

/// Appends `packet`.
pub(crate) fn publish(out: &mut BytesMut, version: Version, packet: &Outgoing<'_>) {
    let body_bytes = packet.body_bytes(version);
    out.reserve(5 + body_bytes);
    let flags = u8::from(packet.duplicate) << 3 | packet.qos << 1 | u8::from(packet.retain);
    out.put_u8(0x30 | flags);
    variable(out, body_bytes);
    text(out, packet.topic);
    if let Some(id) = packet.id {
        out.put_u16(id);
    }
    if version == Version::V5 {
        variable(out, packet.properties.len());
        out.put_slice(packet.properties);
    }
    out.put_slice(packet.payload);
}

/// Appends a packet of a flow; 3.1.1 has no reasons.
pub(crate) fn ack(out: &mut BytesMut, dialect: Dialect, flow: Flow, id: u16, reason: Reason) {
    if dialect.version == Version::V3 || reason == Reason::Success {
        out.put_slice(&[flow as u8, 2]);
        return out.put_u16(id);
    }
    let explained = explanation(dialect, reason, 4 + 1);
    out.put_u8(flow as u8);
    variable(out, 3 + explained.len());
    out.put_u16(id);
    out.put_u8(reason.code());
    out.put_slice(&explained);
}

/// The properties that say `reason` in words, with their length; empty: there are none to say, or they
/// would make a packet of `other_bytes` larger than the client takes.
fn explanation(dialect: Dialect, reason: Reason, other_bytes: usize) -> Vec<u8> {
    let Some(words) = dialect.words(reason) else { return Vec::new() };
    let properties = [&[REASON_STRING, 0, words.len() as u8][..], words.as_bytes()].concat();
    // The words have 124 bytes at most: so the length of the properties takes one, and that of the packet one or two.
    if !dialect.takes(other_bytes + properties.len() + 2) {
        return Vec::new();
    }
    [&[properties.len() as u8][..], &properties].concat()
}

/// The identifier of Reason String.
const REASON_STRING: u8 = 0x1F;

/// Appends CONNACK, as far as 3.1.1 can say `reason`; `properties` are for MQTT 5.
pub(crate) fn connack(
    out: &mut BytesMut,
    dialect: Dialect,
    session_present: bool,
    reason: Reason,
    properties: &[Property],
) {
    let present = u8::from(session_present);
    match dialect.version {
        Version::V3 => {
            if let Some(code) = reason.connack_v3() {
                out.put_slice(&[0x20, 2, present, code]);
            }
        }
        Version::V5 => {
            let mut encoded: Vec<u8> =
                properties.iter().flat_map(Property::to_continuous_buffer).collect();
            let explained = explanation(dialect, reason, 5 + encoded.len());
            encoded.extend(explained.iter().skip(1));
            out.put_u8(0x20);
            variable(out, 2 + variable_bytes(encoded.len()) + encoded.len());
            out.put_slice(&[present, reason.code()]);
            variable(out, encoded.len());
            out.put_slice(&encoded);
        }
    }
}

/// Appends SUBACK: of each filter the QoS granted, or why not.
pub(crate) fn suback(out: &mut BytesMut, dialect: Dialect, id: u16, codes: &[Result<u8, Reason>]) {
    let five = |code: &Result<u8, Reason>| code.unwrap_or_else(Reason::code);
    match dialect.version {
        Version::V3 => listed(out, 0x90, id, &[], codes.iter().map(|code| code.unwrap_or(0x80))),
        Version::V5 => {
            let refused = codes.iter().find_map(|code| code.err());
            let properties = listed_properties(dialect, refused, codes.len());
            listed(out, 0x90, id, &properties, codes.iter().map(five));
        }
    }
}

/// Appends UNSUBACK; 3.1.1 has no codes.
pub(crate) fn unsuback(out: &mut BytesMut, dialect: Dialect, id: u16, codes: &[Reason]) {
    match dialect.version {
        Version::V3 => listed(out, 0xB0, id, &[], [].into_iter()),
        Version::V5 => listed(out, 0xB0, id, &[0], codes.iter().map(|code| code.code())),
    }
}

/// The properties of a SUBACK whose first refusal is `refused`.
fn listed_properties(dialect: Dialect, refused: Option<Reason>, codes: usize) -> Vec<u8> {
    let explained = refused.map_or_else(Vec::new, |reason| explanation(dialect, reason, 7 + codes));
    if explained.is_empty() { vec![0] } else { explained }
}

/// The least size of a SUBACK or UNSUBACK of MQTT 5 with so many codes.
pub(crate) fn listed_bytes(codes: usize) -> usize {
    let body_bytes = 2 + 1 + codes;
    1 + variable_bytes(body_bytes) + body_bytes
}

fn listed(
    out: &mut BytesMut,
    head: u8,
    id: u16,
    properties: &[u8],
    codes: impl ExactSizeIterator<Item = u8>,
) {
    out.put_u8(head);
    variable(out, 2 + properties.len() + codes.len());
    out.put_u16(id);
    out.put_slice(properties);
    out.extend(codes);
}

/// Appends PINGRESP.
pub(crate) fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xD0, 0]);
}

/// Appends DISCONNECT; a 3.1.1 client is told nothing.
pub(crate) fn disconnect(out: &mut BytesMut, dialect: Dialect, reason: Reason) {
    if dialect.version == Version::V5 {
        let explained = explanation(dialect, reason, 3);
        out.put_u8(0xE0);
        variable(out, 1 + explained.len());
        out.put_u8(reason.code());
        out.put_slice(&explained);
    }
}

/// Appends UTF-8 with its length. Longer than 65,535 bytes nothing is: it came from a packet.
pub(super) fn text(out: &mut BytesMut, text: &str) {
    binary(out, text.as_bytes());
}

/// Appends bytes with their length.
pub(super) fn binary(out: &mut BytesMut, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(&bytes[..length.into()]);
}

/// Appends a variable byte integer.
pub(super) fn variable(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(0x80 | (value & 0x7F) as u8);
        value >>= 7;
    }
    out.put_u8((value & 0x7F) as u8);
}

fn variable_bytes(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}
