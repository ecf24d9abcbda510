//! Packets of MQTT 3.1.1 and 5 as bytes (chapter 3 of both standards).

/// The answer to CONNECT.
pub(super) const CONNACK: u8 = 2;
/// A message.
pub const PUBLISH: u8 = 3;
/// The answer to a message of QoS 1.
pub(super) const PUBACK: u8 = 4;
/// Wants messages.
pub(super) const SUBSCRIBE: u8 = 8;
/// The answer to SUBSCRIBE.
pub(super) const SUBACK: u8 = 9;
/// Wants them no longer.
pub(super) const UNSUBSCRIBE: u8 = 10;
/// The answer to UNSUBSCRIBE.
pub(super) const UNSUBACK: u8 = 11;
/// Asks for a sign of life.
pub(super) const PINGREQ: u8 = 12;
/// The sign of life.
pub(super) const PINGRESP: u8 = 13;
/// Says goodbye.
pub(super) const DISCONNECT: u8 = 14;

/// The version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1.
    V3,
    /// 5.0.
    V5,
}

/// What a CONNECT says.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// The version.
    pub version: Version,
    /// The client id.
    pub client: &'a str,
    /// Whether an older session is thrown away.
    pub clean: bool,
    /// Seconds; 0 switches it off.
    pub keep_alive_s: u16,
    /// Topic and payload of the will, with QoS 1.
    pub will: Option<(&'a str, &'a [u8])>,
    /// The will's flags beside QoS 1, such as [`WILL_RETAIN`].
    pub will_flags: u8,
    /// The user name.
    pub user: Option<&'a str>,
    /// The password.
    pub password: Option<&'a str>,
}

/// The will is a retained message.
pub const WILL_RETAIN: u8 = 0x20;

const WILL: u8 = 0x04;
const WILL_QOS_1: u8 = 0x08;
const CLEAN: u8 = 0x02;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

impl<'a> Connect<'a> {
    /// A clean session without keep-alive and will.
    #[must_use]
    pub const fn new(version: Version, client: &'a str) -> Self {
        Self {
            version,
            client,
            clean: true,
            keep_alive_s: 0,
            will: None,
            will_flags: 0,
            user: None,
            password: None,
        }
    }

    /// The packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (level, no_properties): (u8, &[u8]) = match self.version {
            Version::V3 => (4, &[]),
            Version::V5 => (5, &[0]),
        };
        let mut flags = if self.clean { CLEAN } else { 0 };
        let mut will = Vec::new();
        if let Some((topic, payload)) = self.will {
            flags |= WILL | WILL_QOS_1 | self.will_flags;
            will = [no_properties, &field(topic.as_bytes()), &field(payload)].concat();
        }
        let mut signed = Vec::new();
        for (flag, said) in [(USER_NAME, self.user), (PASSWORD, self.password)] {
            if let Some(said) = said {
                flags |= flag;
                signed.extend(field(said.as_bytes()));
            }
        }
        let keep_alive = self.keep_alive_s.to_be_bytes();
        let head = [&field(b"MQTT")[..], &[level, flags], &keep_alive, no_properties].concat();
        packet(1, 0, &[head, field(self.client.as_bytes()), will, signed].concat())
    }
}

/// A text or binary field: its length in two bytes, then itself.
///
/// # Panics
/// When it is longer than MQTT allows.
#[must_use]
pub fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("at most 65,535 bytes");
    [&length.to_be_bytes(), bytes].concat()
}

/// A packet of any kind, with the length in front.
#[must_use]
pub fn packet(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind << 4 | flags];
    let mut rest = body.len();
    loop {
        let low = u8::try_from(rest % 128).expect("below 128");
        rest /= 128;
        packet.push(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A PUBLISH without properties; the packet id is left out with QoS 0.
#[must_use]
pub fn publish(version: Version, topic: &str, payload: &[u8], qos: u8, id: u16) -> Vec<u8> {
    let mut body = field(topic.as_bytes());
    if qos > 0 {
        body.extend(id.to_be_bytes());
    }
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(payload);
    packet(PUBLISH, qos << 1, &body)
}

/// A packet that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The kind, 1 to 15.
    pub kind: u8,
    /// The low half of the first byte.
    pub flags: u8,
    /// Everything behind the length.
    pub body: Vec<u8>,
}

/// A PUBLISH that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// 0 to 2.
    pub qos: u8,
    /// Whether it was kept for who subscribes later.
    pub retain: bool,
    /// Whether it was sent before.
    pub dup: bool,
    /// The packet id; 0 with QoS 0.
    pub id: u16,
    /// The properties of MQTT 5 as they came.
    pub properties: Vec<u8>,
}

impl Packet {
    /// Takes one whole packet off the buffer.
    pub(super) fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        let (length, digits) = length(buffer.get(1..)?)?;
        let begin = 1 + digits;
        let rest = buffer.get(begin..)?;
        if rest.len() < length {
            return None;
        }
        let body = rest.get(..length)?.to_vec();
        let first = buffer[0];
        buffer.drain(..begin + length);
        Some(Self { kind: first >> 4, flags: first & 0x0f, body })
    }

    /// Reads it as a PUBLISH.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn message(&self, version: Version) -> Message {
        assert_eq!(self.kind, PUBLISH, "{self:?} is no PUBLISH");
        let qos = self.flags >> 1 & 3;
        let (topic, mut rest) = split_field(&self.body);
        let mut id = 0;
        if qos > 0 {
            id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        let mut properties = Vec::new();
        if version == Version::V5 {
            let (bytes, digits) = length(rest).expect("properties have a length");
            properties = rest[digits..digits + bytes].to_vec();
            rest = &rest[digits + bytes..];
        }
        let topic = String::from_utf8(topic.to_vec()).expect("topics are UTF-8");
        let (retain, dup) = (self.flags & 1 != 0, self.flags & 8 != 0);
        Message { topic, payload: rest.to_vec(), qos, retain, dup, id, properties }
    }
}

fn split_field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    bytes[2..].split_at(length)
}

/// A variable byte integer, and how many bytes it has; none where it is not whole.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}
