//! What the edge tells of devices' connections.

use crate::command::book::Unwritten;
use protocol::{CommandId, DeviceId, PresenceReason, TopicFilter};
use std::net::SocketAddr;

/// One MQTT connection; never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Something that happened on a connection that matters to devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EdgeEvent {
    /// A connection turned out to be a device's own (section 1 of the contract).
    Attached {
        /// The device: the connection's client id.
        device: DeviceId,
        /// The connection.
        connection: ConnectionId,
        /// Its peer.
        address: SocketAddr,
        /// `mqtt3.1.1` or `mqtt5`.
        protocol: &'static str,
        /// It took the place of another connection of the device; that one's [`Self::Detached`]
        /// came before.
        took_over: bool,
    },
    /// A device's own connection ended.
    Detached {
        /// The device.
        device: DeviceId,
        /// The connection.
        connection: ConnectionId,
        /// How it ended.
        reason: PresenceReason,
    },
    /// A connection can receive the device's commands: its granted filters say so. Comes again when
    /// `cancels` changes.
    Receives {
        /// The device.
        device: DeviceId,
        /// The connection.
        connection: ConnectionId,
        /// It is the device's own, not one that named the device's topics.
        own: bool,
        /// It subscribed to the cancel topic too.
        cancels: bool,
    },
    /// It can no longer: it unsubscribed or ended.
    ReceivesNot {
        /// The device.
        device: DeviceId,
        /// The connection.
        connection: ConnectionId,
    },
    /// A connection listens to topics that may be command topics of mapped devices; to no more than these.
    Listens {
        /// The connection.
        connection: ConnectionId,
        /// Its client id.
        client: String,
        /// The filters; none: it listens no longer.
        filters: Vec<TopicFilter>,
    },
    /// The receiver acknowledged a command with PUBACK (or PUBCOMP).
    Delivered {
        /// The connection.
        connection: ConnectionId,
        /// The command.
        command: CommandId,
        /// Which sending of it.
        attempt: u32,
        /// The reason code of MQTT 5 where the receiver did not take it.
        refused: Option<u8>,
    },
    /// A command waits in the connection until its receiver has acknowledged what it has.
    HeldUp {
        /// The command.
        command: CommandId,
        /// Which sending of it.
        attempt: u32,
    },
    /// One that waited was written.
    Written {
        /// The command.
        command: CommandId,
        /// Which sending of it.
        attempt: u32,
    },
    /// One that waited is not written any more: its time has passed, or it was wanted back.
    GivenBack {
        /// The command.
        command: CommandId,
        /// Which sending of it.
        attempt: u32,
    },
    /// A command was not written to the connection, and never will be.
    NotWritten {
        /// The command.
        command: CommandId,
        /// Which sending of it.
        attempt: u32,
        /// Why.
        why: Unwritten,
    },
}
