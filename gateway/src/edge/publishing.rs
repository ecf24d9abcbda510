//! What the client publishes: checked, routed, batched, acknowledged once it is stored.

use super::{
    batch::{BadName, Batch, Content, Known, Wait, forward, forward_now},
    connection::{Connection, Done},
    ending::End,
    journal::Then,
    pending::{Pending, PendingAck, PendingQueue},
    reason::Reason,
    session::Incoming,
    wire::{Flow, Publish, Version},
};
use crate::rhythm::Cue;
use ahash::HashMap;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

/// How many topic aliases an MQTT 5 client may set up; it is told.
pub(super) const TOPIC_ALIAS_MAXIMUM: u16 = 64;

/// How many topics a connection remembers the route of; devices publish to a handful.
const KNOWN_TOPICS_MAX: usize = 256;

/// What a connection keeps of what its client publishes.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    known: HashMap<Box<str>, Arc<Known>>,
    /// The topic of the last message, mostly that of the next too.
    last: Option<Arc<Known>>,
    aliases: BTreeMap<u16, Arc<Known>>,
    /// Of the batch that is being collected.
    acks: Vec<PendingAck>,
    pub(super) pending: PendingQueue,
    unacknowledged: Unacknowledged,
    /// A PUBREL that came before its PUBREC went out waits for that, and what comes behind it waits too.
    early_release: Option<u16>,
    /// Messages that were given up before they were stored, and so stay without acknowledgement.
    unstored: usize,
    /// When something was acknowledged last.
    pub(super) acknowledged: Option<Instant>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is stored.
    Stored,
    /// It never will be.
    GivenUp,
    /// It may be, when nobody waits any more.
    Open,
}

impl Outcome {
    /// That of one of which it is certain.
    pub(super) const fn of(stored: bool) -> Self {
        if stored { Self::Stored } else { Self::GivenUp }
    }
}

/// What of a QoS 1 or 2 message is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    All,
    /// A crash left what it says, but not what it leaves in queues.
    Rest,
    Nothing,
}

/// What the topic of a PUBLISH names.
enum Named {
    Known(Arc<Known>),
    /// It is valid, but not accepted.
    Refused(Reason),
}

impl Publishing {
    /// The topic with this name, where a message came on it before.
    fn recall(&mut self, name: &str) -> Option<Arc<Known>> {
        if let Some(last) = &self.last
            && last.topic.as_str() == name
        {
            return Some(last.clone());
        }
        self.last = self.known.get(name).cloned();
        self.last.clone()
    }

    fn remember(&mut self, known: Known) -> Arc<Known> {
        if self.known.len() >= KNOWN_TOPICS_MAX {
            self.known.clear();
        }
        let known = Arc::new(known);
        self.known.insert(known.topic.as_str().into(), known.clone());
        known
    }
}

/// How many messages wait for the first answer to them.
#[derive(Clone, Copy, Debug, Default)]
struct Unacknowledged {
    /// For PUBACK.
    qos1: usize,
    /// For PUBREC.
    qos2: usize,
}

impl Unacknowledged {
    const fn of(&mut self, qos: u8) -> &mut usize {
        if qos == 2 { &mut self.qos2 } else { &mut self.qos1 }
    }

    const fn all(self) -> usize {
        self.qos1 + self.qos2
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Made for the first message: a device may only listen.
    pub(super) fn publishing(&mut self) -> &mut Publishing {
        self.publishing.get_or_insert_default()
    }

    /// Whether the next packet may be decoded.
    pub(super) fn may_decode(&self) -> bool {
        let unacknowledged = |publishing: &Publishing| publishing.unacknowledged.all();
        let unacknowledged = self.publishing.as_deref().map_or(0, unacknowledged);
        let full =
            self.client.dialect.version == Version::V3 && unacknowledged >= self.receive_maximum();
        let rests = self.rests().reading.is_some();
        self.work.is_none() && !full && !rests && !self.holds_a_release()
    }

    /// Whether a PUBREL waits for its PUBREC.
    pub(super) fn holds_a_release(&self) -> bool {
        self.publishing.as_deref().is_some_and(|it| it.early_release.is_some())
    }

    /// How many QoS 1 and 2 messages a client may have unacknowledged: MQTT 5 clients are told; a 3.1.1
    /// client is not read while it has as many.
    fn receive_maximum(&self) -> usize {
        self.shared.limits.mqtt_inflight.into()
    }

    /// PUBLISH came.
    pub(super) fn published(&mut self, publish: Publish<'_>) -> Result<(), End> {
        let counters = &self.shared.counters;
        match publish.qos {
            0 => &counters.publishes_in_qos0,
            1 => &counters.publishes_in_qos1,
            _ => &counters.publishes_in_qos2,
        }
        .increment();
        counters.payload_bytes_in.add(publish.payload.len() as u64);
        self.pace_reading(publish.payload.len());
        let known = match self.known(&publish)? {
            Named::Known(known) => known,
            Named::Refused(reason) => return self.refuse(&publish, reason),
        };
        let news = match publish.id {
            Some(id) => self.receive(id, publish.qos)?,
            None => News::All,
        };
        if news == News::Nothing {
            return Ok(());
        }
        let refused = known.forbidden;
        if let (Some(journal), Some(id), 2, None) =
            (&mut self.session.journal, publish.id, publish.qos, refused)
        {
            journal.incoming(id, || self.batch.gathering(&self.shared).clone());
        }
        if refused.is_some() {
            self.shared.counters.dropped_forbidden.increment();
        } else {
            self.attach_by(&known);
            let Publish { payload, qos, retain, properties, .. } = publish;
            let content = Content { payload, qos, retain, properties };
            let (shared, publisher) = (&self.shared, self.client.connection);
            match news {
                News::All => self.batch.message(shared, publisher, &known, content),
                News::Rest => self.batch.leaves(shared, publisher, &known, content),
                News::Nothing => {}
            }
        }
        if let Some(id) = publish.id {
            let flow = if publish.qos == 1 { Flow::Ack } else { Flow::Rec };
            let reason = refused.unwrap_or(Reason::Success);
            self.publishing().acks.push(PendingAck { flow, id, reason });
        }
        Ok(())
    }

    /// The topic of `publish`, by alias or name.
    fn known(&mut self, publish: &Publish<'_>) -> Result<Named, End> {
        let alias_fits =
            publish.alias.is_none_or(|alias| (1..=TOPIC_ALIAS_MAXIMUM).contains(&alias));
        if !alias_fits {
            return Err(End::Violation(Reason::TopicAliasInvalid));
        }
        if publish.topic.is_empty() {
            let alias = publish.alias.ok_or(End::Violation(Reason::ProtocolError))?;
            let known = self.publishing().aliases.get(&alias).cloned();
            return known.map(Named::Known).ok_or(End::Violation(Reason::ProtocolError));
        }
        let known = match self.publishing().recall(publish.topic) {
            Some(known) => known,
            None => match Known::new(&self.shared, publish.topic, &self.client.access) {
                Ok(known) => self.publishing().remember(known),
                Err(BadName::OverLimit) => return Ok(Named::Refused(Reason::TopicNameInvalid)),
                Err(BadName::Invalid) => return Err(End::Violation(Reason::TopicNameInvalid)),
            },
        };
        if let Some(alias) = publish.alias {
            self.publishing().aliases.insert(alias, known.clone());
        }
        Ok(Named::Known(known))
    }

    /// Tells an MQTT 5 client that its message is not accepted; who cannot be told is disconnected,
    /// so that no message is lost in silence.
    fn refuse(&mut self, publish: &Publish<'_>, reason: Reason) -> Result<(), End> {
        let Some(id) = publish.id.filter(|_| self.client.dialect.version == Version::V5) else {
            return Err(End::Violation(reason));
        };
        if self.receive(id, publish.qos)? != News::Nothing {
            let flow = if publish.qos == 1 { Flow::Ack } else { Flow::Rec };
            self.publishing().acks.push(PendingAck { flow, id, reason });
        }
        Ok(())
    }

    /// Takes the id of a QoS 1 or 2 message; says what is new of it.
    fn receive(&mut self, id: u16, qos: u8) -> Result<News, End> {
        let known = self.session.incoming.get_mut(&id).filter(|_| qos == 2);
        match known {
            // Its PUBREC follows when it is stored.
            Some(Incoming::Pending | Incoming::RestPending) => return Ok(News::Nothing),
            Some(said @ Incoming::Said) => {
                *said = Incoming::RestPending;
                self.publishing().unacknowledged.qos2 += 1;
                return Ok(News::Rest);
            }
            Some(Incoming::Recorded) => {
                self.ack(Flow::Rec, id, Reason::Success);
                return Ok(News::Nothing);
            }
            None => {}
        }
        let unfinished = self.publishing().unacknowledged.qos1 + self.session.incoming.len();
        if self.client.dialect.version == Version::V5 && unfinished >= self.receive_maximum() {
            self.shared.counters.limit_receive_maximum.increment();
            return Err(End::Violation(Reason::ReceiveMaximumExceeded));
        }
        if qos == 2 {
            self.session.incoming.insert(id, Incoming::Pending);
        }
        *self.publishing().unacknowledged.of(qos) += 1;
        Ok(News::All)
    }

    /// A message on a topic of the client's own device makes the connection that device's.
    fn attach_by(&mut self, known: &Known) {
        let Some(device) = self.client.device.as_ref().filter(|_| !self.client.attached) else {
            return;
        };
        if is_under(known.topic.as_str(), device.as_str()) {
            self.attach(false);
        }
    }

    /// Hands the collected batch on, if there is one and nothing is being handed on.
    pub(super) fn hand_on(&mut self) {
        if self.work.is_some() {
            return;
        }
        let acks = self.publishing.as_mut().map(|publishing| std::mem::take(&mut publishing.acks));
        let acks = acks.unwrap_or_default();
        if self.batch.is_empty() && acks.is_empty() {
            return;
        }
        let batch: Batch = std::mem::take(&mut self.batch);
        let (cue, wait) = match acks.is_empty() {
            true => (Cue::Own, Wait::ForNothing),
            false => (self.cue(), Wait::of(self.shared.ack)),
        };
        let (steps, receipts) = batch.into_steps(self.client.connection, cue, wait);
        let pending = Pending { receipts, acks };
        let Ok(steps) = forward_now(&self.shared, steps) else {
            self.work = Some(Box::pin(std::future::ready(Done::Stopped)));
            return;
        };
        if steps.is_empty() {
            return self.forwarded(pending);
        }
        let shared = self.shared.clone();
        self.work = Some(Box::pin(async move {
            match forward(&shared, steps).await {
                Ok(()) => Done::Forwarded(pending),
                Err(_) => Done::Stopped,
            }
        }));
    }

    /// Why the client publishes what it waits for; the store is told.
    fn cue(&self) -> Cue {
        let acknowledged = self.publishing.as_ref().and_then(|publishing| publishing.acknowledged);
        let cue = Cue::after(acknowledged.map(|at| self.heard - at));
        self.shared.store.note(cue);
        cue
    }

    /// A batch is with the core and the exchange. One without acknowledgements is not waited for.
    pub(super) fn forwarded(&mut self, pending: Pending) {
        if !pending.acks.is_empty() {
            self.publishing().pending.push(pending);
        }
    }

    /// What became of the oldest batch: one that is stored can be acknowledged.
    pub(super) fn stored(&mut self, outcome: Outcome) -> Result<(), End> {
        let stored = outcome == Outcome::Stored;
        for PendingAck { flow, id, reason } in self.publishing().pending.pop() {
            *self.publishing().unacknowledged.of(if flow == Flow::Rec { 2 } else { 1 }) -= 1;
            match (flow, stored, reason) {
                (Flow::Rec, true, Reason::Success) => {
                    self.session.incoming.insert(id, Incoming::Recorded);
                }
                (Flow::Rec, true, _) => self.session.forget_incoming(id),
                (Flow::Rec, false, _) => self.session.not_stored(id),
                (Flow::Ack | Flow::Rel | Flow::Comp, ..) => {}
            }
            match (outcome, self.client.dialect.version) {
                (Outcome::Stored, Version::V3) => self.ack(flow, id, Reason::Success),
                (Outcome::Stored, Version::V5) => self.ack(flow, id, reason),
                (Outcome::GivenUp, _) => {
                    self.publishing().unstored += 1;
                    self.shared.counters.unstored.increment();
                }
                (Outcome::Open, _) => {}
            }
            let early = self.publishing().early_release.take_if(|early| *early == id);
            if early.is_some() && outcome == Outcome::Stored {
                self.released(id);
            }
        }
        // A client whose window is full of them would wait for ever; it is to come back and send again.
        if self.publishing().unstored >= self.receive_maximum() {
            return Err(End::Violation(Reason::ImplementationSpecific));
        }
        Ok(())
    }

    /// PUBREL came.
    pub(super) fn released(&mut self, id: u16) {
        if self.session.incoming.get(&id).is_some_and(|known| known.is_pending()) {
            self.publishing().early_release = Some(id);
            return;
        }
        let known = self.session.incoming.remove(&id).is_some();
        if let Some(journal) = self.session.journal.as_mut().filter(|_| known) {
            // After PUBCOMP the id may mean another message: the disk must not know it any more.
            journal.incoming_done(id);
            return journal.then(Then::Complete(id));
        }
        let reason = if known { Reason::Success } else { Reason::PacketIdNotFound };
        self.ack(Flow::Comp, id, reason);
    }

    /// A message of so many bytes counts for the client's rates.
    fn pace_reading(&mut self, bytes: usize) {
        let Some(pace) = &mut self.pace else { return };
        if pace.came(bytes, Instant::now()) {
            self.shared.counters.limit_rate_in.increment();
        }
    }
}

/// Whether `topic` is under `devices/{device}/`.
pub(super) fn is_under(topic: &str, device: &str) -> bool {
    let rest = topic.strip_prefix("devices/").and_then(|rest| rest.strip_prefix(device));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
