//! Packets of both versions as bytes, right and wrong ones, and what can be read from those that come.

use tests::{
    Version,
    mqtt::{field, packet},
};

/// Kinds of packets (MQTT 5.0, table 2-1).
pub(crate) const CONNECT: u8 = 1;
pub(crate) const CONNACK: u8 = 2;
pub(crate) const PUBLISH: u8 = 3;
pub(crate) const PUBACK: u8 = 4;
pub(crate) const PUBREC: u8 = 5;
pub(crate) const PUBREL: u8 = 6;
pub(crate) const PUBCOMP: u8 = 7;
pub(crate) const SUBSCRIBE: u8 = 8;
pub(crate) const SUBACK: u8 = 9;
pub(crate) const UNSUBSCRIBE: u8 = 10;
pub(crate) const UNSUBACK: u8 = 11;
pub(crate) const PINGREQ: u8 = 12;
pub(crate) const PINGRESP: u8 = 13;
pub(crate) const DISCONNECT: u8 = 14;
pub(crate) const AUTH: u8 = 15;

/// Properties (MQTT 5.0, table 2-4).
pub(crate) const EXPIRY: u8 = 0x02;
pub(crate) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;
pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(crate) const RESPONSE_INFORMATION: u8 = 0x1A;
pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const USER_PROPERTY: u8 = 0x26;

/// What a CONNECT says; the fields that matter are set by struct update.
#[derive(Clone, Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) version: Version,
    pub(crate) id: &'a str,
    pub(crate) clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) properties: Vec<u8>,
    pub(crate) will: Option<Will<'a>>,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a [u8]>,
}

/// A will.
#[derive(Clone, Debug)]
pub(crate) struct Will<'a> {
    pub(crate) topic: &'a str,
    pub(crate) payload: &'a [u8],
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) properties: Vec<u8>,
}

/// A will that says "gone".
pub(crate) fn will(topic: &str) -> Will<'_> {
    Will { topic, payload: b"gone", qos: 1, retain: false, properties: Vec::new() }
}

/// A clean session without keep-alive.
pub(crate) fn connect(version: Version, id: &str) -> Connect<'_> {
    let (properties, will, user, password) = (Vec::new(), None, None, None);
    Connect { version, id, clean: true, keep_alive_s: 0, properties, will, user, password }
}

/// A session that stays: for an hour with MQTT 5, for good with 3.1.1.
pub(crate) fn kept(version: Version, id: &str) -> Connect<'_> {
    let properties = session_expiry(3_600);
    Connect { clean: false, properties, ..connect(version, id) }
}

/// Session Expiry Interval.
pub(crate) fn session_expiry(seconds: u32) -> Vec<u8> {
    [&[0x11][..], &seconds.to_be_bytes()].concat()
}

impl Connect<'_> {
    /// The packet.
    pub(crate) fn packet(&self) -> Vec<u8> {
        packet(CONNECT, 0, &self.body())
    }

    /// Its body; [`FLAGS_AT`] is where its flags lie.
    pub(crate) fn body(&self) -> Vec<u8> {
        let level = if self.version == Version::V3 { 4 } else { 5 };
        let mut flags = u8::from(self.clean) << 1;
        let mut payload = field(self.id.as_bytes());
        if let Some(will) = &self.will {
            flags |= 0x04 | will.qos << 3 | u8::from(will.retain) << 5;
            payload.extend(with_properties(self.version, &will.properties));
            payload.extend(field(will.topic.as_bytes()));
            payload.extend(field(will.payload));
        }
        if let Some(user) = self.user {
            flags |= 0x80;
            payload.extend(field(user.as_bytes()));
        }
        if let Some(password) = self.password {
            flags |= 0x40;
            payload.extend(field(password));
        }
        let mut body = field(b"MQTT");
        body.extend([level, flags]);
        body.extend(self.keep_alive_s.to_be_bytes());
        body.extend(with_properties(self.version, &self.properties));
        body.extend(payload);
        body
    }
}

/// Where the flags lie in the body of a CONNECT.
pub(crate) const FLAGS_AT: usize = 7;

/// Properties with their length; nothing with 3.1.1.
pub(crate) fn with_properties(version: Version, properties: &[u8]) -> Vec<u8> {
    match version {
        Version::V3 => Vec::new(),
        Version::V5 => {
            let length = u8::try_from(properties.len()).ok().filter(|length| *length < 0x80);
            [&[length.expect("tests have few properties")], properties].concat()
        }
    }
}

/// A PUBLISH; `flags` are its lower four bits.
pub(crate) fn publish(
    version: Version,
    flags: u8,
    topic: &str,
    id: u16,
    payload: &[u8],
) -> Vec<u8> {
    publish_with(version, flags, &[], topic, id, payload)
}

/// A PUBLISH with properties.
pub(crate) fn publish_with(
    version: Version,
    flags: u8,
    properties: &[u8],
    topic: &str,
    id: u16,
    payload: &[u8],
) -> Vec<u8> {
    let id = id.to_be_bytes();
    let id: &[u8] = if flags & 0x06 == 0 { &[] } else { &id };
    let properties = with_properties(version, properties);
    packet(PUBLISH, flags, &[&field(topic.as_bytes())[..], id, &properties, payload].concat())
}

/// A SUBSCRIBE of filters with their options.
pub(crate) fn subscribe(version: Version, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    subscribe_with(version, &[], id, filters)
}

/// A SUBSCRIBE with properties.
pub(crate) fn subscribe_with(
    version: Version,
    properties: &[u8],
    id: u16,
    filters: &[(&str, u8)],
) -> Vec<u8> {
    let mut body = [&id.to_be_bytes()[..], &with_properties(version, properties)].concat();
    for (filter, options) in filters {
        body.extend(field(filter.as_bytes()));
        body.push(*options);
    }
    packet(SUBSCRIBE, 2, &body)
}

/// An UNSUBSCRIBE.
pub(crate) fn unsubscribe(version: Version, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = [&id.to_be_bytes()[..], &with_properties(version, &[])].concat();
    body.extend(filters.iter().flat_map(|filter| field(filter.as_bytes())));
    packet(UNSUBSCRIBE, 2, &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(crate) fn answer(kind: u8, id: u16) -> Vec<u8> {
    packet(kind, if kind == PUBREL { 2 } else { 0 }, &id.to_be_bytes())
}

/// The same of MQTT 5, with a reason.
pub(crate) fn answer_with(kind: u8, id: u16, reason: u8) -> Vec<u8> {
    let body = [&id.to_be_bytes()[..], &[reason]].concat();
    packet(kind, if kind == PUBREL { 2 } else { 0 }, &body)
}

/// A PINGREQ.
pub(crate) fn ping() -> Vec<u8> {
    packet(PINGREQ, 0, &[])
}

/// A DISCONNECT that is a plain goodbye.
pub(crate) fn goodbye() -> Vec<u8> {
    packet(DISCONNECT, 0, &[])
}

/// Properties that came, with their length: identifiers and values, and what lies behind them.
pub(crate) fn properties(bytes: &[u8]) -> (Vec<(u8, Vec<u8>)>, &[u8]) {
    let (length, digits) = variable(bytes);
    let (mut rest, behind) = bytes[digits..].split_at(length);
    let mut found = Vec::new();
    while let [identifier, after @ ..] = rest {
        let size = match identifier {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => 1,
            0x13 | 0x21..=0x23 => 2,
            0x02 | 0x11 | 0x18 | 0x27 => 4,
            0x0B => variable(after).1,
            0x26 => {
                let name = 2 + two(after);
                name + 2 + two(&after[name..])
            }
            _ => 2 + two(after),
        };
        found.push((*identifier, after[..size].to_vec()));
        rest = &after[size..];
    }
    (found, behind)
}

/// The value of a property that came.
pub(crate) fn property(properties: &[(u8, Vec<u8>)], wanted: u8) -> Option<&[u8]> {
    let found = properties.iter().find(|(identifier, _)| *identifier == wanted);
    found.map(|(_, value)| value.as_slice())
}

fn two(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// A variable byte integer in as few bytes as can be `[MQTT-1.5.5-1]`, and how many these are.
pub(crate) fn variable(bytes: &[u8]) -> (usize, usize) {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            assert!(place == 0 || *byte != 0, "{bytes:?} begins with more bytes than it needs");
            return (value, place + 1);
        }
    }
    panic!("{bytes:?} begins with no variable byte integer");
}

/// No bytes.
pub(crate) const NOTHING: [u8; 0] = [];
