//! MQTT on the wire: packets out of bytes and bytes out of packets, for 3.1.1 and 5.
//!
//! Decoding borrows from the frame and allocates only for properties, whose formats
//! `mqtt-protocol-core` knows; encoding appends to the buffer that is written next. No state: which
//! packet may come when, and what it means, is the connection's to say.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enums list all properties and errors of MQTT 5; a packet has a few"
)]

mod connect;
mod decode;
mod encode;
mod frame;
mod properties;
mod reader;
mod record;

pub(super) use connect::{BadConnect, Connect, Will, connect};
pub(super) use decode::{Packet, Publish, Subscribe, SubscribeEntry, decode};
pub(super) use encode::{
    Flow, Outgoing, ack, connack, disconnect, listed_bytes, pingresp, publish, suback, unsuback,
};
pub(super) use frame::{Frame, FrameError, take_frame};
pub(super) use properties::{encode as encode_properties, expires_at};
pub(super) use record::{decode_record, encode_record};

use super::reason::Reason;

/// How a client is spoken to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) version: Version,
    pub(super) reasons: Reasons,
    /// The largest packet it takes.
    pub(super) packet_bytes_max: u32,
}

/// Whether a client wants reasons in words (MQTT 5.0, section 3.1.2.11.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasons {
    InWords,
    AsCodes,
}

impl Dialect {
    /// Whether the client takes a packet of so many bytes.
    pub(super) fn takes(self, packet_bytes: usize) -> bool {
        packet_bytes <= self.packet_bytes_max as usize
    }

    /// The words for `reason`; none: there are none, the client cannot hear them or does not want to.
    fn words(&self, reason: Reason) -> Option<&'static str> {
        let wanted = self.version == Version::V5 && self.reasons == Reasons::InWords;
        reason.words().filter(|_| wanted)
    }
}

/// The version a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// MQTT 3.1.1.
    V3,
    /// MQTT 5.
    V5,
}

impl Version {
    /// As presence names it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V3 => "mqtt3.1.1",
            Self::V5 => "mqtt5",
        }
    }
}
