//! Packets a connected client may send.

use super::{
    Version,
    frame::Frame,
    properties::{expires_at, explains, ignored, properties, travel},
    reader::Reader,
};
use crate::{edge::reason::Reason, exchange};
use mqtt_protocol_core::mqtt::packet::Property;
use protocol::Timestamp;

/// A packet, borrowed from its frame.
#[derive(Debug)]
pub(crate) enum Packet<'a> {
    Publish(Publish<'a>),
    PubAck {
        id: u16,
        /// The reason code, where the client did not take the message.
        refused: Option<u8>,
    },
    PubRec {
        id: u16,
        /// Whether the client took the message.
        accepted: bool,
    },
    /// The id.
    PubRel(u16),
    /// The id.
    PubComp(u16),
    Subscribe(Subscribe<'a>),
    Unsubscribe {
        id: u16,
        filters: Vec<&'a str>,
    },
    PingReq,
    Disconnect {
        /// MQTT 5: 0 is a plain goodbye, 4 wants the will published.
        reason: u8,
        session_expiry: Option<u32>,
    },
}

/// A PUBLISH.
#[derive(Debug)]
pub(crate) struct Publish<'a> {
    /// As it came; may be empty with an alias, and is not yet checked to be a topic name.
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// With QoS 1 and 2; never 0.
    pub(crate) id: Option<u16>,
    pub(crate) alias: Option<u16>,
    pub(crate) properties: exchange::Properties,
}

/// A SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Subscribe<'a> {
    pub(crate) id: u16,
    pub(crate) identifier: Option<u32>,
    pub(crate) entries: Vec<SubscribeEntry<'a>>,
}

/// One filter of a SUBSCRIBE with its options.
#[derive(Debug)]
pub(crate) struct SubscribeEntry<'a> {
    /// As it came.
    pub(crate) filter: &'a str,
    pub(crate) qos: u8,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// 0: send retained messages, 1: if the subscription is new, 2: don't.
    pub(crate) retain_handling: u8,
}

/// Reads `frame`.
pub(crate) fn decode(
    version: Version,
    frame: &Frame,
    now: impl Fn() -> Timestamp,
) -> Result<Packet<'_>, Reason> {
    if frame.padded && version == Version::V5 {
        return Err(Reason::MalformedPacket);
    }
    let (kind, flags) = (frame.head >> 4, frame.head & 0x0F);
    let mut reader = Reader::new(&frame.body);
    if kind == 3 {
        return publish(version, flags, reader, now).map(Packet::Publish);
    }
    let flags_wanted = if matches!(kind, 6 | 8 | 10) { 0x02 } else { 0 };
    if flags != flags_wanted {
        return Err(Reason::MalformedPacket);
    }
    let packet = match kind {
        4 => {
            let (id, reason) = answer(version, &mut reader, TAKING)?;
            Packet::PubAck { id, refused: (reason >= 0x80).then_some(reason) }
        }
        5 => {
            let (id, reason) = answer(version, &mut reader, TAKING)?;
            Packet::PubRec { id, accepted: reason < 0x80 }
        }
        6 => Packet::PubRel(answer(version, &mut reader, RELEASING)?.0),
        7 => Packet::PubComp(answer(version, &mut reader, RELEASING)?.0),
        8 => Packet::Subscribe(subscribe(version, &mut reader)?),
        10 => unsubscribe(version, &mut reader)?,
        12 => Packet::PingReq,
        14 => disconnect(version, &mut reader)?,
        // A second CONNECT, what only a server sends, and AUTH without an agreed method.
        _ => return Err(Reason::ProtocolError),
    };
    reader.end()?;
    Ok(packet)
}

fn publish(
    version: Version,
    flags: u8,
    mut reader: Reader<'_>,
    now: impl Fn() -> Timestamp,
) -> Result<Publish<'_>, Reason> {
    let qos = flags >> 1 & 0x03;
    let duplicate = flags & 0x08 != 0;
    if qos == 3 || (qos == 0 && duplicate) {
        return Err(Reason::MalformedPacket);
    }
    let topic = reader.text()?;
    let id = if qos == 0 { None } else { Some(reader.packet_id()?) };
    let (mut alias, mut travelling) = (None, exchange::Properties::default());
    if version == Version::V5 {
        for property in properties(&mut reader)? {
            match property {
                Property::TopicAlias(number) => alias = Some(number.val()),
                Property::MessageExpiryInterval(seconds) => {
                    travelling.expires_at = Some(expires_at(now(), seconds.val()));
                }
                other => travel(&mut travelling, other).map_err(|_| Reason::ProtocolError)?,
            }
        }
    }
    let retain = flags & 0x01 != 0;
    Ok(Publish { topic, payload: reader.rest(), qos, retain, id, alias, properties: travelling })
}

/// The reasons of PUBACK and PUBREC `[MQTT-3.4.2-1]`, `[MQTT-3.5.2-1]`.
const TAKING: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];

/// Those of PUBREL and PUBCOMP `[MQTT-3.6.2-1]`, `[MQTT-3.7.2-1]`.
const RELEASING: &[u8] = &[0x00, 0x92];

/// A packet id and, where MQTT 5 gives one, one of these `reasons`.
fn answer(version: Version, reader: &mut Reader<'_>, reasons: &[u8]) -> Result<(u16, u8), Reason> {
    let id = reader.packet_id()?;
    if version == Version::V3 || reader.is_empty() {
        return Ok((id, 0));
    }
    let reason = reader.u8()?;
    if !reasons.contains(&reason) {
        return Err(Reason::ProtocolError);
    }
    if !reader.is_empty() {
        ignored(reader, explains)?;
    }
    Ok((id, reason))
}

fn subscribe<'a>(version: Version, reader: &mut Reader<'a>) -> Result<Subscribe<'a>, Reason> {
    let id = reader.packet_id()?;
    let mut identifier = None;
    if version == Version::V5 {
        for property in properties(reader)? {
            match property {
                Property::SubscriptionIdentifier(number) => identifier = Some(number.val()),
                Property::UserProperty(_) => {}
                _ => return Err(Reason::ProtocolError),
            }
        }
    }
    let mut entries = Vec::new();
    while !reader.is_empty() {
        entries.push(entry(version, reader)?);
    }
    if entries.is_empty() {
        return Err(Reason::ProtocolError);
    }
    Ok(Subscribe { id, identifier, entries })
}

fn entry<'a>(version: Version, reader: &mut Reader<'a>) -> Result<SubscribeEntry<'a>, Reason> {
    let filter = reader.filter()?;
    let options = reader.u8()?;
    let reserved = match version {
        Version::V3 => 0xFC,
        Version::V5 => 0xC0,
    };
    let (qos, retain_handling) = (options & 0x03, options >> 4 & 0x03);
    if options & reserved != 0 || qos == 3 {
        return Err(Reason::MalformedPacket);
    }
    if retain_handling == 3 {
        return Err(Reason::ProtocolError);
    }
    let (no_local, retain_as_published) = (options & 0x04 != 0, options & 0x08 != 0);
    Ok(SubscribeEntry { filter, qos, no_local, retain_as_published, retain_handling })
}

fn unsubscribe<'a>(version: Version, reader: &mut Reader<'a>) -> Result<Packet<'a>, Reason> {
    let id = reader.packet_id()?;
    if version == Version::V5 {
        ignored(reader, |property| matches!(property, Property::UserProperty(_)))?;
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        filters.push(reader.filter()?);
    }
    if filters.is_empty() {
        return Err(Reason::ProtocolError);
    }
    Ok(Packet::Unsubscribe { id, filters })
}

fn disconnect<'a>(version: Version, reader: &mut Reader<'a>) -> Result<Packet<'a>, Reason> {
    let (mut reason, mut session_expiry) = (0, None);
    if version == Version::V5 && !reader.is_empty() {
        reason = reader.u8()?;
        let rest = if reader.is_empty() { Vec::new() } else { properties(reader)? };
        for property in rest {
            match property {
                Property::SessionExpiryInterval(seconds) => session_expiry = Some(seconds.val()),
                property if explains(&property) => {}
                _ => return Err(Reason::ProtocolError),
            }
        }
    }
    Ok(Packet::Disconnect { reason, session_expiry })
}
