//! What end-to-end tests and benchmarks stand on: the real binaries as processes, and clients that
//! are written against `docs/protocol.md` and share no code with the gateway.
//!
//! [`TestGateway`] is the gateway; [`Live`] a WebSocket client; [`Peer`] a raw MQTT client that also
//! says what no library would, over TCP or TLS ([`Authority`]); [`Device`] a device whose every answer the test decides;
//! [`mosquitto`] runs Mosquitto and its own clients. Whatever is awaited has a deadline.

mod authority;
mod columns;
mod day;
mod deadline;
mod device;
mod gateway;
mod live;
pub mod mosquitto;
pub mod mqtt;
mod program;
mod stream;

pub use authority::{Authority, Identity, TlsVersion};
pub use day::{DAY_POINTS, DAY_READINGS, publish_day};
pub use deadline::{DEADLINE, soon, until};
pub use device::{Delivered, Device};
pub use gateway::TestGateway;
pub use live::{Live, is_update};
pub use mqtt::{Connect, Message, Packet, Peer, Version};
pub use program::{Ended, Program, binary};
pub use stream::Stream;
