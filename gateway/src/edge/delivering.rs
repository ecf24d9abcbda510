//! What comes for the client: into its outbox, and out of it into the bytes to write.

use super::{
    connection::{Connection, OUT_BYTES_HIGH},
    outbox::{Entry, Next, Received},
    reason::Reason,
    subscriptions::Source,
    wire::{Flow, Outgoing, Version, ack, encode_properties, publish},
};
use crate::{
    clock::now,
    core::{DeviceMessage, Input},
    exchange::{Message, Properties},
};
use bridge::{command::book::Unwritten, event::EdgeEvent};
use bytes::{Bytes, BytesMut};
use protocol::Timestamp;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// The core sends the device a command, a cancel or its desired state.
    pub(super) fn deliver_order(&mut self, order: &DeviceMessage) {
        let message = Arc::new(message_of(order));
        self.deliver(message, Source::Own, order.command.as_ref().map(|it| (it.id, it.attempt)));
    }

    /// Another client published to one of the device's own topics.
    pub(super) fn deliver_down(&mut self, message: Arc<Message>) {
        self.deliver(message, Source::Own, None);
    }

    /// The exchange has a message.
    pub(super) fn deliver_message(&mut self, message: Arc<Message>) {
        if message.served != Some(self.client.connection) {
            self.deliver(message, Source::Link, None);
        }
    }

    fn deliver(
        &mut self,
        message: Arc<Message>,
        source: Source,
        command: Option<(protocol::CommandId, u32)>,
    ) {
        let me = self.client.connection;
        if let Some(grant) = self.session.subscriptions.select(&message, source, me) {
            let entry = Entry { command, ..Entry::new(message, grant) };
            let queued = self.session.outbox.push(entry);
            if queued.is_err() {
                self.not_written(command, Unwritten::Full);
            }
            self.count_dropped(queued);
        }
    }

    /// Tells the core of a command that never reaches the client.
    fn not_written(&mut self, command: Option<(protocol::CommandId, u32)>, why: Unwritten) {
        if let Some((command, attempt)) = command {
            let event = EdgeEvent::NotWritten { command, attempt, why };
            self.batch.input(Input::Edge { event, mailbox: None });
        }
    }

    pub(super) fn count_dropped(&self, queued: Result<(), Entry>) {
        if let Err(entry) = queued {
            let counters = &self.shared.counters;
            let dropped =
                if entry.qos == 0 { &counters.dropped_qos0 } else { &counters.dropped_qos12 };
            dropped.increment();
            if self.shared.complaints.due(&self.client.id, std::time::Instant::now()) {
                let (client, address) = (&self.client.id, self.client.address);
                tracing::warn!(%client, %address, "reads too slowly: messages for it are dropped");
            }
        }
    }

    /// Moves messages to the bytes to write, as far as these and the client's window have room.
    pub(super) fn fill(&mut self) {
        while self.out.len() < OUT_BYTES_HIGH {
            match self.session.outbox.next() {
                Some(Next::Message { entry, id, duplicate }) => self.write(&entry, id, duplicate),
                Some(Next::Release(id)) => {
                    ack(&mut self.out, self.client.version, Flow::Rel, id, Reason::Success);
                }
                None => return,
            }
        }
    }

    fn write(&mut self, entry: &Entry, id: Option<u16>, duplicate: bool) {
        let message = &entry.message;
        let expires_in = message.properties.expires_at.map(|at| seconds_until(at, now()));
        let mut properties = BytesMut::new();
        if self.client.version == Version::V5 {
            let identifiers = &entry.identifiers;
            encode_properties(&mut properties, &message.properties, expires_in, identifiers);
        }
        let packet = Outgoing {
            topic: message.topic.as_str(),
            payload: &message.payload,
            qos: entry.qos,
            retain: entry.retain,
            duplicate,
            id,
            properties: &properties,
        };
        let counters = &self.shared.counters;
        let too_large = packet.packet_bytes(self.client.version) > self.client.packet_bytes_max;
        let dropped = if expires_in == Some(0) {
            Some(&counters.dropped_expired)
        } else if too_large {
            Some(&counters.dropped_too_large)
        } else {
            None
        };
        if let Some(dropped) = dropped {
            dropped.increment();
            if let Some(id) = id {
                self.session.outbox.acknowledge(id);
            }
            if too_large {
                self.not_written(entry.command, Unwritten::TooLarge);
            }
            return;
        }
        publish(&mut self.out, self.client.version, &packet);
        counters.publishes_out.increment();
    }

    /// PUBACK or PUBCOMP came.
    pub(super) fn acknowledged(&mut self, id: u16) {
        if let Some((command, attempt)) = self.session.outbox.acknowledge(id) {
            let event =
                EdgeEvent::Delivered { connection: self.client.connection, command, attempt };
            self.batch.input(Input::Edge { event, mailbox: None });
        }
    }

    /// PUBREC came.
    pub(super) fn received(&mut self, id: u16, accepted: bool) {
        let reason = match self.session.outbox.receive(id, accepted) {
            Received::Release => Reason::Success,
            Received::Unknown => Reason::PacketIdNotFound,
            Received::Refused => return,
        };
        ack(&mut self.out, self.client.version, Flow::Rel, id, reason);
    }
}

/// Whole seconds until `at`, rounded up; 0: it has passed.
fn seconds_until(at: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(at.since(now).0.div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn message_of(order: &DeviceMessage) -> Message {
    let command = order.command.as_ref();
    Message {
        topic: order.topic.clone(),
        payload: order.payload.clone(),
        qos: 1,
        retain: false,
        publisher: None,
        served: None,
        properties: Properties {
            payload_is_utf8: None,
            expires_at: command.map(|command| command.not_after),
            content_type: Some("application/json".into()),
            response_topic: command.map(|command| command.answer_topic.to_string()),
            correlation_data: command.map(|command| Bytes::from(command.id.to_string())),
            user: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_told_in_seconds_rounded_up() {
        let at = Timestamp(10_001);
        for (now, seconds) in [(10_001, 0), (10_000, 1), (9_001, 1), (9_000, 2), (99_999, 0)] {
            assert_eq!(seconds_until(at, Timestamp(now)), seconds, "{now}");
        }
    }
}
