//! Builds packets by hand, right ones and wrong ones.

/// A packet with this first byte and body.
pub(crate) fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![head];
    let mut length = body.len();
    while length >= 0x80 {
        bytes.push(0x80 | (length & 0x7F) as u8);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    bytes
}

/// A text with its length.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

pub(crate) fn version_properties(version: u8, properties: &[u8]) -> Vec<u8> {
    if version == 5 { [&[properties.len() as u8], properties].concat() } else { Vec::new() }
}

/// What a CONNECT says; change what matters.
pub(crate) struct Connect<'a> {
    pub(crate) version: u8,
    pub(crate) id: &'a str,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) properties: &'a [u8],
    /// Topic and payload.
    pub(crate) will: Option<(&'a str, &'a str)>,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
}

/// A clean session without keep-alive, of a client that wants reasons as codes, not in words.
pub(crate) fn client(version: u8, id: &str) -> Connect<'_> {
    Connect {
        version,
        id,
        clean: true,
        keep_alive: 0,
        properties: &CODES,
        will: None,
        user: None,
        password: None,
    }
}

/// Request Problem Information 0.
pub(crate) const CODES: [u8; 2] = [0x17, 0];

impl Connect<'_> {
    pub(crate) fn packet(&self) -> Vec<u8> {
        let flags = u8::from(self.clean) << 1
            | u8::from(self.will.is_some()) << 2
            | u8::from(self.password.is_some()) << 6
            | u8::from(self.user.is_some()) << 7;
        let mut body = text("MQTT");
        body.extend([self.version, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        body.extend(version_properties(self.version, self.properties));
        body.extend(text(self.id));
        if let Some((topic, payload)) = self.will {
            body.extend(version_properties(self.version, &[]));
            body.extend(text(topic));
            body.extend(text(payload));
        }
        for said in [self.user, self.password].into_iter().flatten() {
            body.extend(text(said));
        }
        packet(0x10, &body)
    }
}

/// A PUBLISH; `id` counts with QoS 1 and 2.
pub(crate) fn publish(version: u8, topic: &str, qos: u8, id: u16, payload: &str) -> Vec<u8> {
    publish_with(version, qos << 1, &[], topic, id, payload)
}

/// A PUBLISH with flags and properties.
pub(crate) fn publish_with(
    version: u8,
    flags: u8,
    properties: &[u8],
    topic: &str,
    id: u16,
    payload: &str,
) -> Vec<u8> {
    let mut body = text(topic);
    if flags & 0x06 != 0 {
        body.extend(id.to_be_bytes());
    }
    body.extend(version_properties(version, properties));
    body.extend(payload.as_bytes());
    packet(0x30 | flags, &body)
}

/// A SUBSCRIBE of filters with their options.
pub(crate) fn subscribe(version: u8, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    subscribe_with(version, &[], id, filters)
}

/// A SUBSCRIBE with properties.
pub(crate) fn subscribe_with(
    version: u8,
    properties: &[u8],
    id: u16,
    filters: &[(&str, u8)],
) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(version_properties(version, properties));
    for (filter, options) in filters {
        body.extend(text(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

/// An UNSUBSCRIBE.
pub(crate) fn unsubscribe(version: u8, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(version_properties(version, &[]));
    body.extend(filters.iter().flat_map(|filter| text(filter)));
    packet(0xA2, &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP by their first byte.
pub(crate) fn ack(head: u8, id: u16) -> Vec<u8> {
    packet(head, &id.to_be_bytes())
}

pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];
pub(crate) const PINGRESP: [u8; 2] = [0xD0, 0];
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];
