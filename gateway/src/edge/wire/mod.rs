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

pub(super) use connect::{BadConnect, Connect, Will, connect};
pub(super) use decode::{Packet, Publish, Subscribe, SubscribeEntry, decode};
pub(super) use encode::{
    Flow, Outgoing, ack, connack, disconnect, pingresp, publish, suback, unsuback,
};
pub(super) use frame::{Frame, FrameError, first_frame};
pub(super) use properties::{encode as encode_properties, expires_at};

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
