//! CONNECT (MQTT 5.0, section 3.1; 3.1.1, section 3.1).

use super::{
    Reasons, Version,
    properties::{properties, travel},
    reader::Reader,
};
use crate::{edge::reason::Reason, exchange};
use mqtt_protocol_core::mqtt::packet::Property;
use serde::{Deserialize, Serialize};

/// What a client wants when it comes.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    /// A bridge of another broker: none of its own messages comes back, and RETAIN comes as it was published.
    pub(crate) is_bridge: bool,
    pub(crate) client_id: String,
    /// Clean Session, or Clean Start.
    pub(crate) clean: bool,
    /// In seconds; 0: none.
    pub(crate) keep_alive: u16,
    /// In seconds; `u32::MAX`: never.
    pub(crate) session_expiry: u32,
    /// QoS 1 and 2 messages it takes unacknowledged.
    pub(crate) receive_maximum: Option<u16>,
    /// The largest packet it takes, in bytes.
    pub(crate) packet_bytes_max: Option<u32>,
    /// How many topic aliases it lets the gateway set up.
    pub(crate) aliases_max: u16,
    pub(crate) reasons: Reasons,
    pub(crate) will: Option<Will>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Password>,
    /// It wants to authenticate in a way that is not offered.
    pub(crate) extended_authentication: bool,
}

/// A password, which no log shows.
pub(crate) struct Password(pub(crate) Box<[u8]>);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// The message to publish when the client is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Will {
    /// As it came: not yet checked to be a topic name.
    pub(crate) topic: String,
    #[serde(with = "in_base64")]
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// In seconds.
    pub(crate) delay: u32,
    /// In seconds from its publication.
    pub(crate) expiry: Option<u32>,
    #[serde(with = "as_on_the_wire")]
    pub(crate) properties: exchange::Properties,
}

/// A payload as text.
mod in_base64 {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Properties that travel with a message, as in a PUBLISH.
mod as_on_the_wire {
    use super::{
        super::properties::{encode, properties, travel},
        in_base64,
    };
    use crate::{edge::wire::reader::Reader, exchange::Properties};
    use bytes::BytesMut;
    use serde::{Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(with: &Properties, to: S) -> Result<S::Ok, S::Error> {
        let (mut encoded, mut out) = (BytesMut::new(), BytesMut::new());
        encode(&mut encoded, with, None, &[], None);
        crate::edge::wire::encode::variable(&mut out, encoded.len());
        out.extend_from_slice(&encoded);
        in_base64::serialize(&out, to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Properties, D::Error> {
        let bytes = in_base64::deserialize(from)?;
        let unreadable = || D::Error::custom("these are no properties of MQTT");
        let mut found = Properties::default();
        for property in properties(&mut Reader::new(&bytes)).map_err(|_| unreadable())? {
            travel(&mut found, property).map_err(|_| unreadable())?;
        }
        Ok(found)
    }
}

/// A CONNECT that is none; `version` tells how to answer, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadConnect {
    pub(crate) version: Option<Version>,
    pub(crate) reason: Reason,
}

/// The level by which bridges of Mosquitto say that they speak 3.1.1 and are bridges. It is in no standard; they ask
/// for it first, and come again with plain 3.1.1 only where a broker of 3.1.1 refuses it.
const BRIDGE_LEVEL: u8 = 0x84;

/// Reads the body of a CONNECT.
pub(crate) fn connect(body: &[u8]) -> Result<Connect, BadConnect> {
    let mut reader = Reader::new(body);
    let (version, level) = protocol(&mut reader)?;
    let bad = |reason| BadConnect { version: Some(version), reason };
    let connect = read(version, reader).map_err(bad)?;
    Ok(Connect { is_bridge: level == BRIDGE_LEVEL, ..connect })
}

/// The version, and the level that said so.
fn protocol(reader: &mut Reader<'_>) -> Result<(Version, u8), BadConnect> {
    let silent = |reason| BadConnect { version: None, reason };
    let name = reader.text().map_err(silent)?;
    let level = reader.u8().map_err(silent)?;
    let unsupported =
        |version| BadConnect { version: Some(version), reason: Reason::UnsupportedVersion };
    match (name, level) {
        ("MQTT", 4 | BRIDGE_LEVEL) => Ok((Version::V3, level)),
        ("MQTT", 5) => Ok((Version::V5, level)),
        ("MQTT", 0..4) | ("MQIsdp", _) => Err(unsupported(Version::V3)),
        ("MQTT", _) => Err(unsupported(Version::V5)),
        _ => Err(silent(Reason::ProtocolError)),
    }
}

fn read(version: Version, mut reader: Reader<'_>) -> Result<Connect, Reason> {
    let flags = Flags::read(version, reader.u8()?)?;
    let mut connect = Connect {
        version,
        is_bridge: false,
        client_id: String::new(),
        clean: flags.has(Flags::CLEAN),
        keep_alive: reader.u16()?,
        session_expiry: if version == Version::V3 && !flags.has(Flags::CLEAN) {
            u32::MAX
        } else {
            0
        },
        receive_maximum: None,
        packet_bytes_max: None,
        aliases_max: 0,
        reasons: Reasons::InWords,
        will: None,
        user: None,
        password: None,
        extended_authentication: false,
    };
    if version == Version::V5 {
        let all = properties(&mut reader)?;
        for property in &all {
            connect.take(property)?;
        }
        let is_data = |property: &Property| matches!(property, Property::AuthenticationData(_));
        if !connect.extended_authentication && all.iter().any(is_data) {
            return Err(Reason::ProtocolError);
        }
    }
    // One with control characters is refused by its own code.
    connect.client_id = reader.any_text()?.into();
    if flags.has(Flags::WILL) {
        connect.will = Some(will(version, flags, &mut reader)?);
    }
    if flags.has(Flags::USER_NAME) {
        connect.user = Some(reader.text()?.into());
    }
    if flags.has(Flags::PASSWORD) {
        connect.password = Some(Password(reader.binary()?.into()));
    }
    reader.end()?;
    Ok(connect)
}

impl Connect {
    fn take(&mut self, property: &Property) -> Result<(), Reason> {
        match property {
            Property::SessionExpiryInterval(seconds) => self.session_expiry = seconds.val(),
            Property::ReceiveMaximum(count) => self.receive_maximum = Some(count.val()),
            Property::MaximumPacketSize(bytes) => self.packet_bytes_max = Some(bytes.val()),
            Property::AuthenticationMethod(_) => self.extended_authentication = true,
            Property::TopicAliasMaximum(count) => self.aliases_max = count.val(),
            Property::RequestProblemInformation(wanted) if wanted.val() == 0 => {
                self.reasons = Reasons::AsCodes;
            }
            // The Response Topic of a command says all; there is no Response Information beside it.
            Property::RequestResponseInformation(_)
            | Property::RequestProblemInformation(_)
            | Property::AuthenticationData(_)
            | Property::UserProperty(_) => {}
            _ => return Err(Reason::ProtocolError),
        }
        Ok(())
    }
}

fn will(version: Version, flags: Flags, reader: &mut Reader<'_>) -> Result<Will, Reason> {
    let (mut delay, mut expiry, mut travelling) = (0, None, exchange::Properties::default());
    if version == Version::V5 {
        for property in properties(reader)? {
            match property {
                Property::WillDelayInterval(seconds) => delay = seconds.val(),
                Property::MessageExpiryInterval(seconds) => expiry = Some(seconds.val()),
                other => travel(&mut travelling, other).map_err(|_| Reason::ProtocolError)?,
            }
        }
    }
    Ok(Will {
        topic: reader.text()?.into(),
        payload: reader.binary()?.into(),
        qos: flags.will_qos(),
        retain: flags.has(Flags::WILL_RETAIN),
        delay,
        expiry,
        properties: travelling,
    })
}

#[derive(Clone, Copy)]
struct Flags(u8);

impl Flags {
    const RESERVED: u8 = 0x01;
    const CLEAN: u8 = 0x02;
    const WILL: u8 = 0x04;
    const WILL_RETAIN: u8 = 0x20;
    const PASSWORD: u8 = 0x40;
    const USER_NAME: u8 = 0x80;

    /// Checks what the flags say of each other: no will, no will's flags; 3.1.1 has no password
    /// without a name.
    fn read(version: Version, byte: u8) -> Result<Self, Reason> {
        let flags = Self(byte);
        let will_without_flag =
            !flags.has(Self::WILL) && (flags.will_qos() > 0 || flags.has(Self::WILL_RETAIN));
        let password_alone =
            version == Version::V3 && flags.has(Self::PASSWORD) && !flags.has(Self::USER_NAME);
        if flags.has(Self::RESERVED) || flags.will_qos() > 2 || will_without_flag || password_alone
        {
            return Err(Reason::MalformedPacket);
        }
        Ok(flags)
    }

    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn will_qos(self) -> u8 {
        self.0 >> 3 & 0x03
    }
}
