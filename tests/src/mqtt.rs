//! A raw MQTT client: it writes what it is told, right or wrong, and shows every packet that comes.

mod packet;

pub use packet::{Connect, Message, PUBLISH, Packet, Version, WILL_RETAIN, field, packet, publish};

use crate::{Stream, soon};
use std::{collections::VecDeque, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection.
#[derive(Debug)]
pub struct Peer {
    stream: Box<dyn Stream>,
    version: Version,
    buffer: Vec<u8>,
    inbox: VecDeque<Packet>,
    last_id: u16,
}

impl Peer {
    /// Opens a connection and says nothing yet.
    ///
    /// # Panics
    /// When the gateway does not accept.
    pub async fn open(address: SocketAddr, version: Version) -> Self {
        let stream = soon("a connection", TcpStream::connect(address)).await;
        let stream = stream.expect("the gateway accepts");
        stream.set_nodelay(true).expect("a fresh socket");
        Self::over(stream, version)
    }

    /// Speaks MQTT over any stream, and says nothing yet.
    pub fn over(stream: impl Stream + 'static, version: Version) -> Self {
        let (stream, buffer, inbox) = (Box::new(stream), Vec::new(), VecDeque::new());
        Self { stream, version, buffer, inbox, last_id: 0 }
    }

    /// Connects and takes the CONNACK.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect(address: SocketAddr, connect: Connect<'_>) -> Self {
        let mut peer = Self::open(address, connect.version).await;
        peer.come_in(connect).await;
        peer
    }

    /// Sends CONNECT and takes the CONNACK.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn come_in(&mut self, connect: Connect<'_>) {
        self.send(&connect.encode()).await;
        let answer = self.expect(packet::CONNACK).await;
        assert_eq!(answer.body[1], 0, "CONNECT is refused with {}", answer.body[1]);
    }

    /// Connects and takes the CONNACK, where the gateway is there and says yes.
    pub async fn try_connect(address: SocketAddr, connect: Connect<'_>) -> Option<Self> {
        let stream = soon("a connection", TcpStream::connect(address)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let mut peer = Self::over(stream, connect.version);
        peer.send(&connect.encode()).await;
        let answer = peer.next().await?;
        (answer.kind == packet::CONNACK && answer.body[1] == 0).then_some(peer)
    }

    /// Writes bytes as they are. A peer that is gone shows when it is read from.
    pub async fn send(&mut self, bytes: &[u8]) {
        let sent = async {
            self.stream.write_all(bytes).await?;
            // TLS keeps what a full socket does not take.
            self.stream.flush().await
        };
        let _gone = soon("bytes to leave", sent).await;
    }

    /// The next packet; none where the gateway closed.
    ///
    /// # Panics
    /// When nothing happens.
    pub async fn next(&mut self) -> Option<Packet> {
        match self.inbox.pop_front() {
            Some(packet) => Some(packet),
            None => soon("a packet", self.read()).await,
        }
    }

    async fn read(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = Packet::take(&mut self.buffer) {
                return Some(packet);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The first packet of a kind; others wait for [`Self::next`].
    ///
    /// # Panics
    /// When the gateway closes instead.
    pub async fn expect(&mut self, kind: u8) -> Packet {
        if let Some(place) = self.inbox.iter().position(|packet| packet.kind == kind) {
            return self.inbox.remove(place).expect("found there");
        }
        loop {
            let read = soon("a packet of the kind", self.read()).await;
            let packet = read.unwrap_or_else(|| panic!("closed instead of a packet {kind}"));
            if packet.kind == kind {
                return packet;
            }
            self.inbox.push_back(packet);
        }
    }

    /// What has come and was not looked at yet.
    pub fn waiting(&mut self) -> Vec<Packet> {
        self.inbox.drain(..).collect()
    }

    /// Waits until the gateway closes, whatever it says before.
    pub async fn closed(mut self) {
        let closed = async { while self.read().await.is_some() {} };
        soon("a close", closed).await;
    }

    /// The next message, not acknowledged.
    pub async fn message(&mut self) -> Message {
        let packet = self.expect(packet::PUBLISH).await;
        packet.message(self.version)
    }

    /// Publishes with QoS 0 or 1; with 1 the PUBACK is waited for.
    pub async fn publish(&mut self, topic: &str, payload: &[u8], qos: u8) {
        let id = self.next_id();
        self.send(&publish(self.version, topic, payload, qos, id)).await;
        if qos > 0 {
            self.expect(packet::PUBACK).await;
        }
    }

    /// Publishes with QoS 1 by MQTT 5; gives the reason code of the PUBACK.
    pub async fn publish_for_code(&mut self, topic: &str, payload: &[u8]) -> u8 {
        self.publish_unawaited(topic, payload).await;
        let answer = self.expect(packet::PUBACK).await;
        answer.body.get(2).copied().unwrap_or_default()
    }

    /// Publishes with QoS 1; the PUBACK comes among what is read next.
    pub async fn publish_unawaited(&mut self, topic: &str, payload: &[u8]) {
        let id = self.next_id();
        self.send(&publish(self.version, topic, payload, 1, id)).await;
    }

    /// Subscribes and waits for the SUBACK; gives its reason code.
    pub async fn subscribe(&mut self, filter: &str, qos: u8) -> u8 {
        let id = self.next_id().to_be_bytes();
        let properties: &[u8] = if self.version == Version::V5 { &[0] } else { &[] };
        let body = [&id[..], properties, &field(filter.as_bytes()), &[qos]].concat();
        self.send(&packet(packet::SUBSCRIBE, 2, &body)).await;
        let answer = self.expect(packet::SUBACK).await;
        *answer.body.last().expect("a SUBACK has a code for each filter")
    }

    /// Subscribes many filters with QoS 0 in one packet; gives the reason code of each.
    pub async fn subscribe_all(&mut self, filters: &[String]) -> Vec<u8> {
        let wanted: Vec<u8> = filters
            .iter()
            .flat_map(|filter| [field(filter.as_bytes()), vec![0]].concat())
            .collect();
        self.ask(packet::SUBSCRIBE, &wanted).await;
        let answer = self.expect(packet::SUBACK).await;
        answer.body[answer.body.len() - filters.len()..].to_vec()
    }

    /// Unsubscribes many filters in one packet.
    pub async fn unsubscribe_all(&mut self, filters: &[String]) {
        let unwanted: Vec<u8> =
            filters.iter().flat_map(|filter| field(filter.as_bytes())).collect();
        self.ask(packet::UNSUBSCRIBE, &unwanted).await;
        self.expect(packet::UNSUBACK).await;
    }

    async fn ask(&mut self, kind: u8, filters: &[u8]) {
        let id = self.next_id().to_be_bytes();
        let properties: &[u8] = if self.version == Version::V5 { &[0] } else { &[] };
        self.send(&packet(kind, 2, &[&id[..], properties, filters].concat())).await;
    }

    /// Acknowledges a message of QoS 1.
    pub async fn puback(&mut self, id: u16) {
        self.send(&packet(packet::PUBACK, 0, &id.to_be_bytes())).await;
    }

    /// Acknowledges a message of QoS 1 by MQTT 5 with this reason code.
    pub async fn puback_with(&mut self, id: u16, reason: u8) {
        self.send(&packet(packet::PUBACK, 0, &[&id.to_be_bytes()[..], &[reason]].concat())).await;
    }

    /// Waits until the gateway has read all that was sent.
    pub async fn settle(&mut self) {
        self.send(&packet(packet::PINGREQ, 0, &[])).await;
        self.expect(packet::PINGRESP).await;
    }

    /// Says goodbye.
    pub async fn disconnect(mut self) {
        self.send(&packet(packet::DISCONNECT, 0, &[])).await;
        self.closed().await;
    }

    fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }
}
