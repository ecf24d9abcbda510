//! What messages of a client mean for the core, the exchange and the retained ones.
//!
//! One read of a socket gives one batch: one input to the core, one receipt for all its
//! acknowledgements. Wills go the same way.

use super::{
    access::MaybeAccess,
    pending::Receipts,
    reason::Reason,
    receives::down_device,
    shared::Shared,
    wire::{Will, expires_at},
};
use crate::{
    clock::now,
    config::Ack,
    core::{Input, raw},
    exchange::{Arrival, Message, Properties},
    rhythm::Cue,
    store::{Gathering, Receipt},
};
use bridge::{
    event::ConnectionId,
    ingest::{Inbound, decode, decode_mapped, decode_mended, decode_response},
    mapping::Spoken,
    route::Destination,
};
use bytes::Bytes;
use protocol::{BadTopic, CommandId, DeviceId, TopicName, levels};
use std::{sync::Arc, time::Instant};
use tokio::sync::{mpsc::error::TrySendError, oneshot};

/// A topic a client publishes to, and all that follows from its name.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) topic: TopicName,
    pub(super) destination: Option<Destination>,
    /// What it means to the mappings of devices that know only their own topics.
    mapped: Option<Arc<Spoken>>,
    /// Why the client may not publish there; none: it may.
    pub(super) forbidden: Option<Reason>,
    /// A device's own down topic: also asks the registry.
    down: bool,
}

/// A topic that cannot be published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadName {
    /// It is no topic name.
    Invalid,
    /// It is longer or deeper than the limits allow.
    OverLimit,
}

impl Known {
    /// Checks `topic`, resolves its route and asks whether a client with `access` may publish there.
    pub(super) fn new(shared: &Shared, topic: &str, access: &MaybeAccess) -> Result<Self, BadName> {
        check_limits(shared, topic)?;
        let topic: TopicName = topic.parse().map_err(|_: BadTopic| BadName::Invalid)?;
        Ok(Self {
            destination: shared.topics.routes.resolve(topic.as_str()),
            mapped: shared.topics.mappings.resolve(topic.as_str()),
            forbidden: forbidden(&topic, access),
            down: down_device(topic.as_str()).is_some(),
            topic,
        })
    }
}

/// Only the gateway itself publishes its figures, whoever else wants to.
fn forbidden(topic: &TopicName, access: &MaybeAccess) -> Option<Reason> {
    if levels(topic.as_str()).next() == Some("$SYS") {
        return Some(Reason::TopicNameInvalid);
    }
    let may = access.as_ref().is_none_or(|access| access.may_publish(topic.as_str()));
    (!may).then_some(Reason::NotAuthorized)
}

/// Counts and refuses a topic or filter that is longer or deeper than allowed.
pub(super) fn check_limits(shared: &Shared, topic: &str) -> Result<(), BadName> {
    let limits = &shared.limits;
    let too_long = topic.len() > limits.topic_bytes as usize;
    if too_long || levels(topic).count() > limits.topic_levels as usize {
        shared.counters.limit_topic.increment();
        return Err(BadName::OverLimit);
    }
    Ok(())
}

/// What a PUBLISH carries beside its topic.
#[derive(Debug)]
pub(super) struct Content<'a> {
    pub(super) payload: &'a [u8],
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) properties: Properties,
}

impl Content<'_> {
    /// Whether it deletes the retained message of its topic, and so says nothing `[MQTT-3.3.1-6]`.
    fn deletes(&self) -> bool {
        self.retain && self.payload.is_empty()
    }
}

/// Something to hand on, in order.
#[derive(Debug)]
pub(super) enum Step {
    Core(Input),
    Exchange(Message, Option<Gathering>),
}

/// Messages on their way from one client; made for the first of them, since most clients are silent most of the time.
#[derive(Debug, Default)]
pub(super) struct Batch(Option<Box<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    inbound: Vec<Inbound>,
    steps: Vec<Step>,
    /// What is to be stored of it beside what the core stores.
    gathering: Option<Gathering>,
}

impl Parts {
    /// Adds what a message says; mostly it is the only one.
    fn add(&mut self, inbound: Vec<Inbound>) {
        if self.inbound.is_empty() {
            self.inbound = inbound;
        } else {
            self.inbound.extend(inbound);
        }
    }
}

impl Batch {
    /// Whether there is nothing to hand on.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|parts| parts.inbound.is_empty() && parts.steps.is_empty())
    }

    fn parts(&mut self) -> &mut Parts {
        self.0.get_or_insert_default()
    }

    /// Adds an input that is no message.
    pub(super) fn input(&mut self, input: Input) {
        self.parts().steps.push(Step::Core(input));
    }

    /// What is stored of it beside what the core stores.
    pub(super) fn gathering(&mut self, shared: &Shared) -> &Gathering {
        self.parts().gathering.get_or_insert_with(|| Gathering::new(shared.store.clone()))
    }

    /// Adds a message of `publisher`.
    pub(super) fn message(
        &mut self,
        shared: &Shared,
        publisher: ConnectionId,
        known: &Known,
        content: Content<'_>,
    ) {
        self.says(shared, known, &content);
        self.leaves(shared, publisher, known, content);
    }

    /// Adds what a message says to the core.
    fn says(&mut self, shared: &Shared, known: &Known, content: &Content<'_>) {
        // An answer first: what the same message says of the device's state comes after it.
        if let Some(spoken) = known.mapped.as_ref().filter(|_| !content.deletes()) {
            match decode_mapped(spoken, content.payload) {
                Some(inbound) => self.parts().inbound.push(inbound),
                None => shared.counters.undecodable.increment(),
            }
        }
        if let Some(destination) = &known.destination {
            self.parts().add(said(shared, known, destination, content));
        }
    }

    /// Adds what a message of `publisher` is to others, and of what is retained.
    pub(super) fn leaves(
        &mut self,
        shared: &Shared,
        publisher: ConnectionId,
        known: &Known,
        content: Content<'_>,
    ) {
        if shared.core.topics_wanted() {
            let data = raw(content.payload, content.qos, content.retain);
            self.input(Input::Raw { topic: known.topic.clone(), data });
        }
        if content.retain || known.down || shared.exchange.has_links() {
            let message = Message {
                topic: known.topic.clone(),
                payload: Bytes::copy_from_slice(content.payload),
                qos: content.qos,
                retain: content.retain,
                publisher: Some(publisher),
                served: None,
                retained_as: 0,
                properties: content.properties,
            };
            self.pass_on(shared, known, message);
        }
    }

    /// Adds the will of `publisher` to a batch without messages. One to a topic that clients may not publish to
    /// is dropped.
    pub(super) fn will(
        &mut self,
        shared: &Shared,
        publisher: ConnectionId,
        access: &MaybeAccess,
        will: Will,
    ) {
        let known = match Known::new(shared, &will.topic, access) {
            Ok(known) if known.forbidden.is_none() => known,
            Ok(_) | Err(_) => return shared.counters.dropped_forbidden.increment(),
        };
        shared.counters.wills.increment();
        let Will { payload, qos, retain, expiry, mut properties, .. } = will;
        properties.expires_at = expiry.map(|seconds| expires_at(now(), seconds));
        let content = Content { payload: &payload, qos, retain, properties };
        self.message(shared, publisher, &known, content);
        let inbound = std::mem::take(&mut self.parts().inbound);
        if !inbound.is_empty() {
            self.input(Input::LastWords(inbound));
        }
    }

    fn pass_on(&mut self, shared: &Shared, known: &Known, mut message: Message) {
        if message.retain && shared.retained.keep(&mut message).is_err() {
            shared.counters.limit_retained.increment();
            if shared.complaints.due("retained messages", Instant::now()) {
                let topic = known.topic.as_str();
                tracing::warn!(
                    topic,
                    "delivered but not retained: limits.retained_* is reached, or the disk fails"
                );
            }
        }
        let kept = message.retain || shared.exchange.has_keeping_links();
        // An empty one too: who waits for it waits for the rows of retained messages before it.
        let gathering = (message.qos > 0 && kept).then(|| self.gathering(shared).clone());
        let receiver = if known.down { down_device(known.topic.as_str()) } else { None };
        let arrival = || Arrival {
            message: Arc::new(message.clone()),
            share: None,
            gathering: gathering.clone(),
        };
        if let Some(down) = receiver.and_then(|device| shared.registry.down(device))
            && !down.pass(arrival())
        {
            let counters = &shared.counters;
            let dropped =
                if message.qos == 0 { &counters.dropped_qos0 } else { &counters.dropped_qos12 };
            dropped.increment();
        }
        // Asked once it is retained: who subscribes gets it as retained, or has a link by now.
        if shared.exchange.has_links() {
            self.parts().steps.push(Step::Exchange(message, gathering));
        }
    }

    /// The steps to hand it on, and what fires when a part of it is stored, as far as somebody waits.
    pub(super) fn into_steps(
        self,
        connection: ConnectionId,
        cue: Cue,
        wait: Wait,
    ) -> (Vec<Step>, Receipts) {
        let Parts { inbound, mut steps, gathering } =
            self.0.map(|parts| *parts).unwrap_or_default();
        let mut receipts = Receipts::default();
        if let (Some(gathering), Wait::UntilStored) = (&gathering, wait) {
            let (sender, receiver) = oneshot::channel();
            gathering.then(Receipt::patient(|stored| {
                if stored.is_ok() {
                    let _connection_may_be_gone = sender.send(());
                }
            }));
            receipts.left = Some(receiver);
        }
        if !inbound.is_empty() {
            let wanted = wait == Wait::UntilStored;
            let (receipt, receiver) = wanted.then(oneshot::channel).unzip();
            steps.push(Step::Core(Input::Ingest { connection, cue, inbound, receipt, gathering }));
            receipts.said = receiver;
        }
        (steps, receipts)
    }
}

/// What somebody waits for once a batch is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    UntilStored,
    ForNothing,
}

impl Wait {
    /// What an acknowledgement waits for: one of what is in memory for nothing more.
    pub(super) const fn of(ack: Ack) -> Self {
        match ack {
            Ack::Accepted => Self::ForNothing,
            Ack::Stored | Ack::Synced => Self::UntilStored,
        }
    }
}

/// The core or the exchange has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped;

/// Hands on what there is room for at once, and gives back what must wait.
pub(super) fn forward_now(shared: &Shared, steps: Vec<Step>) -> Result<Vec<Step>, Stopped> {
    let mut steps = steps.into_iter();
    let mut rest = Vec::new();
    for step in steps.by_ref() {
        match step {
            Step::Core(input) => match shared.core.try_send(input) {
                Ok(()) => continue,
                Err(TrySendError::Full(input)) => rest.push(Step::Core(input)),
                Err(TrySendError::Closed(_)) => return Err(Stopped),
            },
            exchange @ Step::Exchange(..) => rest.push(exchange),
        }
        break;
    }
    rest.extend(steps);
    Ok(rest)
}

/// Hands `steps` on, waiting for room.
pub(super) async fn forward(shared: &Shared, steps: Vec<Step>) -> Result<(), Stopped> {
    for step in steps {
        match step {
            Step::Core(input) => shared.core.send(input).await.map_err(|_| Stopped)?,
            Step::Exchange(message, gathering) => {
                let published = shared.exchange.publish_gathering(message, gathering).await;
                published.map_err(|_| Stopped)?;
            }
        }
    }
    Ok(())
}

/// What a message says to its route. What is not as it should be is complained about, also where it can be understood.
fn said(
    shared: &Shared,
    known: &Known,
    destination: &Destination,
    content: &Content<'_>,
) -> Vec<Inbound> {
    let decoded = match response(destination, &content.properties) {
        Some((device, command)) => {
            decode_response(device, command, content.payload).map(|answer| vec![answer])
        }
        None if content.deletes() => Ok(Vec::new()),
        None => decode(destination, content.payload),
    };
    match decoded {
        Ok(inbound) => inbound,
        Err(error) => {
            complain(shared, known, destination, &error);
            decode_mended(destination, content.payload).unwrap_or_default()
        }
    }
}

/// Whether a message is the response to a command in the way of MQTT 5: on its Response Topic, with its
/// Correlation Data.
fn response<'a>(
    destination: &'a Destination,
    properties: &Properties,
) -> Option<(&'a DeviceId, CommandId)> {
    let Destination::Answer { device, command } = destination else { return None };
    let correlation = properties.correlation_data.as_ref()?;
    (correlation.as_ref() == command.to_string().as_bytes()).then_some((device, *command))
}

fn complain(
    shared: &Shared,
    known: &Known,
    destination: &Destination,
    error: &bridge::ingest::Undecodable,
) {
    shared.counters.undecodable.increment();
    let topic = known.topic.as_str();
    let whom = destination.device().map_or(topic, |device| device.as_str());
    if shared.complaints.due(whom, Instant::now()) {
        tracing::warn!(topic, %error, "a payload is not what its route says");
    } else {
        tracing::debug!(topic, %error, "a payload is not what its route says");
    }
}
