//! One MQTT connection over rumqttc, from CONNECT to its end.
//!
//! Wraps both protocol versions in one shape and keeps rumqttc's own reconnecting out of play: it
//! would come back at once, without subscriptions, and forget its queue. A broken connection is
//! over; the shell opens a new one when it is time and still has everything unacknowledged.

mod v3;
mod v5;

use crate::{FleetConfig, MqttVersion};
use futures_util::{Stream, StreamExt};
use protocol::{CommandId, DeviceId};
use rumqttc::{TlsConfiguration, Transport};
use rustls::ClientConfig;
use std::{pin::Pin, sync::Arc, time::Duration};

/// The time within which a broker must answer CONNECT and take what is written.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which a quiet connection is checked with a ping.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// The longest packet sent or taken, in bytes: the contract's own limit, above every batch.
const PACKET_BYTES_MAX: usize = 256 * 1024;
/// Requests that rumqttc's queue holds: all that may be in flight, a SUBSCRIBE and a DISCONNECT,
/// so that it is never full.
const REQUESTS_MAX: usize = crate::flight::MESSAGES_MAX + 2;
/// Packet ids in use at once, likewise; rumqttc keeps a slot for each.
const PACKETS_MAX: u16 = 2 * crate::flight::MESSAGES_MAX as u16;

/// What happens on a connection.
#[derive(Debug, PartialEq)]
pub(crate) enum Signal {
    /// The broker accepted it.
    Connected,
    /// The oldest message handed over was written, under this packet id; 0 with QoS 0.
    Written(u16),
    /// The PUBACK for a packet id came.
    Acknowledged(u16),
    /// The broker refused the message with this packet id for good (MQTT 5).
    Refused(u16),
    /// A message came.
    Message {
        /// Its topic.
        topic: String,
        /// Its payload.
        payload: Vec<u8>,
    },
    /// The DISCONNECT was written: the connection has ended well.
    Finished,
    /// The connection has ended badly, or never began; nothing comes after this.
    Broken(String),
}

/// A message to publish.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: bool,
    /// QoS 1, not 0.
    pub(crate) confirmed: bool,
    /// The command that this answers: MQTT 5's Correlation Data.
    pub(crate) answers: Option<CommandId>,
}

/// rumqttc's queue did not take a request: the connection is of no use any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stuck;

/// The way to a broker.
struct Way<'a> {
    host: &'a str,
    port: u16,
    transport: Transport,
}

type Signals = Pin<Box<dyn Stream<Item = Signal> + Send>>;

enum Client {
    V3(rumqttc::AsyncClient),
    V5(rumqttc::v5::AsyncClient),
}

/// A connection: hand it letters, and ask for the next signal all the time. Dropping it cuts it.
pub(crate) struct Connection {
    client: Client,
    signals: Signals,
}

impl Connection {
    /// Begins to connect; the first signal tells the outcome.
    pub(crate) fn open(
        id: &DeviceId,
        config: &FleetConfig,
        tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        let secret = config.secrets.as_ref().and_then(|secrets| secrets.of(id));
        let broker = &config.broker;
        let way = match tls {
            None => Way { host: broker.host(), port: broker.port(), transport: Transport::Tcp },
            Some(tls) => Way {
                // A certificate names addresses without brackets.
                host: broker.host().trim_matches(['[', ']']),
                port: broker.port(),
                transport: Transport::tls_with_config(TlsConfiguration::Rustls(tls)),
            },
        };
        match config.mqtt {
            MqttVersion::V3 => v3::open(id, way, secret),
            MqttVersion::V5 => v5::open(id, way, secret),
        }
    }

    /// The next thing that happens.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped: what rumqttc was doing goes on with the next call.
    pub(crate) async fn next(&mut self) -> Signal {
        let ended = || Signal::Broken("the connection is over".into());
        self.signals.next().await.unwrap_or_else(ended)
    }

    pub(crate) fn publish(&self, letter: Letter) -> Result<(), Stuck> {
        match &self.client {
            Client::V3(client) => v3::publish(client, letter),
            Client::V5(client) => v5::publish(client, letter),
        }
    }

    /// Subscribes to the device's commands, the wishes to cancel them, and what it is wanted to be.
    pub(crate) fn subscribe(&self, id: &DeviceId) -> Result<(), Stuck> {
        let filters = ["commands/#", "desired"].map(|what| format!("devices/{id}/{what}"));
        match &self.client {
            Client::V3(client) => v3::subscribe(client, filters),
            Client::V5(client) => v5::subscribe(client, filters),
        }
    }

    /// Ends the connection well, after all that was handed over before.
    pub(crate) fn disconnect(&self) -> Result<(), Stuck> {
        match &self.client {
            Client::V3(client) => client.try_disconnect().map_err(|_| Stuck),
            Client::V5(client) => client.try_disconnect().map_err(|_| Stuck),
        }
    }
}
