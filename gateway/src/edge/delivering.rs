//! What comes for the client: into its outbox, and out of it into the bytes to write.

use super::{
    connection::{Connection, OUT_BYTES_HIGH},
    ending::End,
    journal::Then,
    outbox::{Answer, Entry, Next, Received, WrongFlow},
    reason::Reason,
    subscriptions::{Grant, Source},
    wire::{Flow, Outgoing, Version, ack, encode_properties, publish},
};
use crate::{
    clock::now,
    core::{DeviceMessage, Input},
    exchange::{Arrival, Message, Properties},
    store::Gathering,
};
use bridge::{command::book::Unwritten, event::EdgeEvent};
use bytes::{Bytes, BytesMut};
use protocol::{CommandId, Timestamp, TopicName};
use std::{collections::HashMap, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// Retained messages are taken while fewer messages than this wait.
const WAITING_LOW: usize = 100;

/// The topics that the gateway has given aliases to, towards one client.
#[derive(Debug)]
pub(super) struct Aliases {
    count_max: u16,
    known: HashMap<TopicName, u16>,
}

/// How a topic is named in a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    Plain,
    /// With an alias that it has from now on.
    Introduced(u16),
    /// By its alias alone.
    Alias(u16),
}

impl Aliases {
    /// None where the client wants none.
    pub(super) fn new(count_max: u16) -> Option<Box<Self>> {
        (count_max > 0).then(|| Box::new(Self { count_max, known: HashMap::new() }))
    }

    /// The first topics get the aliases: devices hear few.
    fn naming(&self, topic: &TopicName) -> Naming {
        match self.known.get(topic) {
            Some(alias) => Naming::Alias(*alias),
            None => match u16::try_from(self.known.len()) {
                Ok(count) if count < self.count_max => Naming::Introduced(count + 1),
                Ok(_) | Err(_) => Naming::Plain,
            },
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// The core sends the device a command, a cancel or its desired state.
    pub(super) fn deliver_order(&mut self, order: &DeviceMessage) {
        let message = Arc::new(message_of(order));
        let me = self.client.connection;
        let grant = self.session.subscriptions.select(&message, Source::Own, me);
        let command = order.command.as_ref().map(|it| (it.id, it.attempt));
        match grant {
            Some(grant) => self.queue_order(Entry { command, ..Entry::new(message, grant) }),
            None => self.not_written(command, Unwritten::NotSubscribed),
        }
    }

    /// Queues what the core sends. Of a command that has to wait it is told: until it is written it certainly does not
    /// run.
    fn queue_order(&mut self, entry: Entry) {
        let held_up = entry.command.is_some() && self.is_held_up(entry.qos);
        let command = entry.command.filter(|_| held_up);
        if self.queue(Entry { held_up, ..entry }, None)
            && let Some((command, attempt)) = command
        {
            self.tell_core(EdgeEvent::HeldUp { command, attempt });
        }
    }

    fn is_held_up(&self, qos: u8) -> bool {
        self.session.holds_up(qos)
            || self.out.len() >= OUT_BYTES_HIGH
            || self.rests().writing.is_some()
    }

    /// The core wants a command back that waits, if it still does.
    pub(super) fn give_back(&mut self, command: CommandId, attempt: u32) {
        if self.session.withdraw((command, attempt)) {
            self.tell_core(EdgeEvent::GivenBack { command, attempt });
        }
    }

    fn tell_core(&mut self, event: EdgeEvent) {
        self.batch.input(Input::Edge { event, mailbox: None });
    }

    /// A message came: of the exchange, or another client's to one of the device's own topics.
    pub(super) fn deliver(&mut self, arrival: Arrival, source: Source) {
        let Arrival { message, share, gathering } = arrival;
        let me = self.client.connection;
        if message.served == Some(me) {
            return;
        }
        let subscriptions = &self.session.subscriptions;
        let grant = match &share {
            Some(share) => subscriptions.select_shared(&message, share),
            None if self.session.stands_by(&self.client.access, &message) => None,
            None => subscriptions.select(&message, source, me),
        };
        if let Some(grant) = grant.filter(|_| self.may_have(&message)) {
            self.queue(Entry { share, ..Entry::new(message, grant) }, gathering);
        }
    }

    /// Whether `message` may be delivered to the client.
    pub(super) fn may_have(&self, message: &Message) -> bool {
        self.session.may_have(&self.client.access, message, &self.shared)
    }

    /// False: there is no room for it.
    pub(super) fn queue(&mut self, entry: Entry, gathering: Option<Gathering>) -> bool {
        let command = entry.command;
        let queued = self.session.push(entry, gathering, &self.shared);
        let has_room = queued.is_ok();
        if !has_room {
            self.not_written(command, Unwritten::Full);
        }
        self.count_dropped(queued);
        has_room
    }

    /// Tells the core of a command that never reaches the client.
    fn not_written(&mut self, command: Option<(CommandId, u32)>, why: Unwritten) {
        if let Some((command, attempt)) = command {
            self.tell_core(EdgeEvent::NotWritten { command, attempt, why });
        }
    }

    /// Takes retained messages that were promised, while few others wait.
    pub(super) fn pull_retained(&mut self) {
        if !self.may_pull_retained() {
            return;
        }
        let room = self.session.room(WAITING_LOW, &self.shared);
        let Some((wanted, messages)) = self.session.backlog.next(&self.shared, room) else {
            return;
        };
        for message in messages {
            if !self.may_have(&message) {
                continue;
            }
            let identifiers = wanted.identifier.into_iter().collect();
            let grant = Grant { qos: wanted.qos, retain: true, identifiers };
            self.queue(Entry::new(message, grant), None);
        }
    }

    /// Whether there are such, and room for the next.
    pub(super) fn may_pull_retained(&self) -> bool {
        let needed_bytes = self.session.backlog.needed_bytes();
        needed_bytes.is_some_and(|bytes| self.session.room(WAITING_LOW, &self.shared).has(bytes))
    }

    fn count_dropped(&self, queued: Result<(), Entry>) {
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
        self.pull_retained();
        while self.out.len() < OUT_BYTES_HIGH && self.rests().writing.is_none() {
            match self.session.next() {
                Some(Next::Message { entry, id, duplicate }) => self.write(&entry, id, duplicate),
                Some(Next::Release(id)) => {
                    self.ack(Flow::Rel, id, Reason::Success);
                }
                None => return,
            }
        }
    }

    /// Answers with a packet of a flow.
    pub(super) fn ack(&mut self, flow: Flow, id: u16, reason: Reason) {
        if let Some(publishing) = &mut self.publishing
            && flow != Flow::Rel
        {
            publishing.acknowledged = Some(Instant::now());
        }
        ack(&mut self.out, self.client.dialect, flow, id, reason);
        self.shared.counters.packets_out.increment();
    }

    /// Gives the store what was noted, and does what waited for it.
    pub(super) fn keep_journal(&mut self) {
        let Some(journal) = &mut self.session.journal else { return };
        journal.flush();
        while let Some(all) = self.session.journal.as_mut().and_then(|journal| journal.due()) {
            for then in all {
                match then {
                    Then::Release(id) => self.ack(Flow::Rel, id, Reason::Success),
                    Then::Complete(id) => {
                        self.ack(Flow::Comp, id, Reason::Success);
                    }
                    Then::Answer(answer) => self.answer(answer),
                }
            }
        }
    }

    fn write(&mut self, entry: &Entry, id: Option<u16>, duplicate: bool) {
        let message = &entry.message;
        let expires_in = message.properties.expires_at.map(|at| seconds_until(at, now()));
        let naming = match &self.aliases {
            Some(aliases) => aliases.naming(&message.topic),
            None => Naming::Plain,
        };
        let (topic, alias) = match naming {
            Naming::Plain => (message.topic.as_str(), None),
            Naming::Introduced(alias) => (message.topic.as_str(), Some(alias)),
            Naming::Alias(alias) => ("", Some(alias)),
        };
        let mut properties = BytesMut::new();
        if self.client.dialect.version == Version::V5 {
            let identifiers = &entry.identifiers;
            encode_properties(&mut properties, &message.properties, expires_in, identifiers, alias);
        }
        let packet = Outgoing {
            topic,
            payload: &message.payload,
            qos: entry.qos,
            retain: entry.retain,
            duplicate,
            id,
            properties: &properties,
        };
        let counters = &self.shared.counters;
        let too_large =
            !self.client.dialect.takes(packet.packet_bytes(self.client.dialect.version));
        // Of a QoS 2 message that was sent before, the client may have the id: its flow must end.
        let dropped = if entry.has_expired(now) && !(duplicate && entry.qos == 2) {
            Some(&counters.dropped_expired)
        } else if too_large {
            Some(&counters.dropped_too_large)
        } else {
            None
        };
        if let Some(dropped) = dropped {
            dropped.increment();
            if let Some(id) = id {
                self.session.give_up(id);
            }
            if too_large {
                self.not_written(entry.command, Unwritten::TooLarge);
            } else if let (Some((command, attempt)), true) = (entry.command, entry.held_up) {
                self.tell_core(EdgeEvent::GivenBack { command, attempt });
            }
            return;
        }
        publish(&mut self.out, self.client.dialect.version, &packet);
        counters.publishes_out.increment();
        counters.packets_out.increment();
        counters.payload_bytes_out.add(message.payload.len() as u64);
        if let (Naming::Introduced(alias), Some(aliases)) = (naming, &mut self.aliases) {
            aliases.known.insert(message.topic.clone(), alias);
        }
        if let Some(pace) = &mut self.pace
            && pace.delivered(Instant::now())
        {
            self.shared.counters.limit_rate_out.increment();
        }
        if let (Some((command, attempt)), true) = (entry.command, entry.held_up) {
            self.tell_core(EdgeEvent::Written { command, attempt });
        }
    }

    /// PUBACK or PUBCOMP came; `refused` is its reason code where the client did not take the message.
    pub(super) fn acknowledged(
        &mut self,
        id: u16,
        answer: Answer,
        refused: Option<u8>,
    ) -> Result<(), End> {
        let ended = self.session.answered(id, answer).map_err(wrong_flow)?;
        if let Some((command, attempt)) = ended.and_then(|ended| ended.command) {
            let connection = self.client.connection;
            let event = EdgeEvent::Delivered { connection, command, attempt, refused };
            self.batch.input(Input::Edge { event, mailbox: None });
        }
        Ok(())
    }

    /// PUBREC came.
    pub(super) fn received(&mut self, id: u16, accepted: bool) -> Result<(), End> {
        let reason = match self.session.received(id, accepted).map_err(wrong_flow)? {
            // The journal has it sent.
            Received::Release(_) if self.session.journal.is_some() => return Ok(()),
            Received::Release(_) => Reason::Success,
            Received::Unknown if accepted => Reason::PacketIdNotFound,
            Received::Unknown | Received::Refused(_) => return Ok(()),
        };
        self.ack(Flow::Rel, id, reason);
        Ok(())
    }
}

fn wrong_flow(_: WrongFlow) -> End {
    End::Violation(Reason::ProtocolError)
}

/// Whole seconds until `at`, rounded up; 0: it has passed.
fn seconds_until(at: Timestamp, now: Timestamp) -> u32 {
    u32::try_from(at.since(now).0.div_ceil(1_000)).unwrap_or(u32::MAX)
}

fn message_of(order: &DeviceMessage) -> Message {
    let command = order.command.as_ref();
    let answered = command.and_then(|it| Some((it.id, it.answer_topic.as_ref()?)));
    // What is sent to a device in its own way has a form of its own.
    let is_ours = command.is_none() || answered.is_some();
    Message {
        topic: order.topic.clone(),
        payload: order.payload.clone(),
        qos: 1,
        retain: false,
        publisher: None,
        served: None,
        retained_as: 0,
        properties: Properties {
            payload_is_utf8: None,
            expires_at: command.map(|command| command.not_after),
            content_type: is_ours.then(|| "application/json".into()),
            response_topic: answered.map(|(_, topic)| topic.to_string()),
            correlation_data: answered.map(|(id, _)| Bytes::from(id.to_string())),
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
