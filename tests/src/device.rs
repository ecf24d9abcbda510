//! A device whose every word the test decides.

use crate::{Connect, Message, Peer, Version};
use serde_json::Value;
use std::net::SocketAddr;

/// A device with a connection of its own, subscribed to its commands.
#[derive(Debug)]
pub struct Device {
    id: String,
    /// Its connection.
    pub peer: Peer,
}

/// A command as it arrived; not acknowledged.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The command's id.
    pub id: String,
    /// The payload.
    pub order: Value,
    /// The PUBLISH itself.
    pub message: Message,
}

impl Device {
    /// With MQTT 3.1.1, for commands and for being asked to cancel them.
    pub async fn connect(address: SocketAddr, id: &str) -> Self {
        Self::connect_as(address, Connect::new(Version::V3, id), "commands/#").await
    }

    /// With a CONNECT of its own; `below` is what it subscribes to under `devices/{id}/`.
    ///
    /// # Panics
    /// When the subscription is not granted.
    pub async fn connect_as(address: SocketAddr, connect: Connect<'_>, below: &str) -> Self {
        let id = connect.client.to_owned();
        let mut peer = Peer::connect(address, connect).await;
        assert_eq!(peer.subscribe(&format!("devices/{id}/{below}"), 1).await, 1);
        Self { id, peer }
    }

    /// Publishes under `devices/{id}/` with QoS 1, and waits for the PUBACK.
    pub async fn say(&mut self, below: &str, payload: &Value) {
        let topic = format!("devices/{}/{below}", self.id);
        self.peer.publish(&topic, payload.to_string().as_bytes(), 1).await;
    }

    /// The next command.
    ///
    /// # Panics
    /// When what comes is none.
    pub async fn command(&mut self) -> Delivered {
        let message = self.inbound().await;
        let order: Value = serde_json::from_slice(&message.payload).expect("commands are JSON");
        let id = order["id"].as_str().expect("a command has an id").to_owned();
        assert_eq!(message.topic, format!("devices/{}/commands/{id}", self.id));
        assert_eq!((message.qos, message.retain), (1, false), "commands come so");
        Delivered { id, order, message }
    }

    /// The next command, acknowledged.
    pub async fn take(&mut self) -> Delivered {
        let command = self.command().await;
        self.peer.puback(command.message.id).await;
        command
    }

    /// Answers a command.
    pub async fn answer(&mut self, command: &str, answer: &Value) {
        self.say(&format!("commands/{command}/ack"), answer).await;
    }

    /// The id of the command it is asked to give up; acknowledged.
    ///
    /// # Panics
    /// When what comes is no such wish.
    pub async fn cancel(&mut self) -> String {
        let message = self.inbound().await;
        self.peer.puback(message.id).await;
        let wish: Value = serde_json::from_slice(&message.payload).expect("wishes are JSON");
        let id = wish["id"].as_str().expect("a wish names the command").to_owned();
        assert_eq!(message.topic, format!("devices/{}/commands/{id}/cancel", self.id));
        id
    }

    /// The next message that is not its own answer, which its subscription brings back to it.
    async fn inbound(&mut self) -> Message {
        loop {
            let message = self.peer.message().await;
            if !message.topic.ends_with("/ack") {
                return message;
            }
            self.peer.puback(message.id).await;
        }
    }
}
