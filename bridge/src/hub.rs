//! The hub: channels, their numbers and values, and who is subscribed to them.
//!
//! One owner calls it, so there is one order. Each update is encoded once and shared.

use crate::{
    data::Data,
    outbox::Delivery,
    update::{ChannelKind, Stamp, Update},
};
use protocol::{
    Millis, Mode, Offset, Reply, RequestId, ResetReason, Seq, SubscribeOptions, Timestamp,
    TopicFilter, TopicName,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// Where a subscriber's messages go; cloned into every channel that it listens to. It keeps its own
/// time, for its pace must not jump when the wall clock does.
pub trait Sink: Clone {
    /// Takes an update.
    fn offer(&self, update: &Arc<Update>, delivery: Delivery);
    /// Takes the value of a channel.
    fn snapshot(&self, channel: &TopicName, stamp: Stamp, data: &Data);
    /// Forgets what still waits in a channel that is no longer wanted.
    fn withdraw(&self, channel: &TopicName);
    /// Takes a reply.
    fn reply(&self, reply: &Reply);
}

/// One subscriber; never used twice while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub u64);

/// Bounds of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubLimits {
    /// Channels in all: each keeps its number and its value.
    pub channels: usize,
    /// Filters of one subscriber.
    pub subscriptions: usize,
}

/// There are as many channels as the limit allows, and the update would need one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more than {0} channels: raise limits.channels")]
pub struct TooManyChannels(usize);

/// Channels and subscribers.
#[derive(Debug)]
pub struct Hub<S> {
    epoch: String,
    offset: Offset,
    limits: HubLimits,
    channels: HashMap<TopicName, Channel<S>>,
    subscribers: HashMap<SubscriberId, Subscriber<S>>,
    topics_subscribers: usize,
}

#[derive(Debug)]
struct Channel<S> {
    kind: ChannelKind,
    seq: Seq,
    value: Option<(Stamp, Data)>,
    targets: Vec<Target<S>>,
}

#[derive(Debug)]
struct Target<S> {
    subscriber: SubscriberId,
    sink: S,
    delivery: Delivery,
}

#[derive(Debug)]
struct Subscriber<S> {
    sink: S,
    filters: Vec<(TopicFilter, Wish)>,
}

/// How a filter wants its channels, where the channel's kind lets it choose.
#[derive(Clone, Copy, Debug)]
struct Wish(Delivery);

impl Wish {
    fn of(options: &SubscribeOptions) -> Self {
        Self(match (options.throttle, options.mode) {
            (Some(rate), _) => Delivery::Latest { interval: interval(rate) },
            (None, Some(Mode::Latest)) => Delivery::Latest { interval: Millis(0) },
            (None, Some(Mode::Every) | None) => Delivery::Every,
        })
    }

    fn on(self, kind: ChannelKind) -> Delivery {
        match kind {
            ChannelKind::Telemetry | ChannelKind::Topics | ChannelKind::Stats => self.0,
            ChannelKind::Whole => Delivery::Every,
        }
    }
}

/// The least whole time between updates that gives at most `rate` a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive rate gives a positive time, and `as` saturates"
)]
fn interval(rate: f64) -> Millis {
    Millis((1_000.0 / rate).ceil() as u64)
}

impl<S: Sink> Hub<S> {
    /// An empty hub whose numbers belong to `epoch`.
    #[must_use]
    pub fn new(epoch: String, limits: HubLimits) -> Self {
        Self {
            epoch,
            offset: Offset(0),
            limits,
            channels: HashMap::new(),
            subscribers: HashMap::new(),
            topics_subscribers: 0,
        }
    }

    /// What the numbers belong to.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The newest offset.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Whether somebody listens to a channel under `topics/`.
    #[must_use]
    pub fn topics_wanted(&self) -> bool {
        self.topics_subscribers > 0
    }

    /// How many subscribers there are.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.len()
    }

    /// Numbers and sends an update of `channel`. Without a time of its own it has that of arrival.
    ///
    /// # Errors
    /// [`TooManyChannels`] where the channel would be one too many.
    pub fn publish(
        &mut self,
        now: Timestamp,
        channel: &TopicName,
        timestamp: Option<Timestamp>,
        data: Data,
    ) -> Result<(), TooManyChannels> {
        if !self.channels.contains_key(channel) {
            self.open(channel)?;
        }
        self.offset.0 += 1;
        let entry = self.channels.get_mut(channel).expect("opened above");
        entry.seq.0 += 1;
        let timestamp = timestamp.unwrap_or(now);
        let stamp = Stamp { seq: entry.seq, offset: self.offset, timestamp };
        if entry.kind != ChannelKind::Topics {
            let value = match entry.value.take() {
                Some((_, old)) => old.merged(&data),
                None => data.clone(),
            };
            entry.value = Some((stamp, value));
        }
        if !entry.targets.is_empty() {
            let update = Arc::new(Update::new(channel.clone(), entry.kind, stamp, data));
            for target in &entry.targets {
                target.sink.offer(&update, target.delivery);
            }
        }
        Ok(())
    }

    /// The value of a channel.
    #[must_use]
    pub fn value(&self, channel: &TopicName) -> Option<&Data> {
        self.channels.get(channel)?.value.as_ref().map(|(_, data)| data)
    }

    /// Forgets the value of a channel, for a device that is deleted. Its numbers go on.
    pub fn forget(&mut self, channel: &TopicName) {
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.value = None;
        }
    }

    /// Takes a subscriber in; it has no subscriptions yet.
    pub fn join(&mut self, id: SubscriberId, sink: S) {
        self.subscribers.insert(id, Subscriber { sink, filters: Vec::new() });
    }

    /// Lets a subscriber go.
    pub fn leave(&mut self, id: SubscriberId) {
        let Some(subscriber) = self.subscribers.remove(&id) else { return };
        let filters: Vec<_> = subscriber.filters.into_iter().map(|(filter, _)| filter).collect();
        self.topics_subscribers -= usize::from(filters.iter().any(reaches_topics));
        self.for_matching(&filters, |_, channel| {
            channel.targets.retain(|target| target.subscriber != id);
        });
    }

    /// Subscribes to `filters`, all or none, and answers: `subscribed`, the values, `live`.
    pub fn subscribe(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        filters: Vec<TopicFilter>,
        options: &SubscribeOptions,
    ) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        let added = filters.iter().filter(|filter| !subscriber.has(filter)).count();
        if subscriber.filters.len() + added > self.limits.subscriptions {
            let message = format!(
                "a connection takes at most {} channel filters: unsubscribe some",
                self.limits.subscriptions
            );
            let code = "too_many_subscriptions".into();
            return subscriber.sink.reply(&Reply::Error { id: mark, code, message });
        }
        let had_topics = subscriber.reaches_topics();
        for filter in &filters {
            subscriber.set(filter, Wish::of(options));
        }
        self.topics_subscribers += usize::from(!had_topics && subscriber.reaches_topics());
        let sink = subscriber.sink.clone();
        sink.reply(&Reply::Subscribed { id: mark.clone(), channels: filters.clone() });
        self.retarget(id, &filters);
        if options.snapshot.unwrap_or(true) {
            self.send_values(&sink, &filters);
        }
        sink.reply(&Reply::Live { id: mark, offset: self.offset });
    }

    /// Gives up `filters` and answers `unsubscribed`.
    pub fn unsubscribe(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        filters: Vec<TopicFilter>,
    ) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        let had_topics = subscriber.reaches_topics();
        subscriber.filters.retain(|(filter, _)| !filters.contains(filter));
        self.topics_subscribers -= usize::from(had_topics && !subscriber.reaches_topics());
        let sink = subscriber.sink.clone();
        self.retarget(id, &filters);
        sink.reply(&Reply::Unsubscribed { id: mark, channels: filters });
    }

    /// Answers a `replay`: nothing older than the value is kept, so a `reset` and the value.
    pub fn replay(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        channel: &TopicName,
        (from, to): (Seq, Seq),
    ) {
        let Some(subscriber) = self.subscribers.get(&id) else { return };
        let newest = self.channels.get(channel).map_or(Seq(0), |channel| channel.seq);
        if from == Seq(0) || from > to || to > newest {
            let message = format!(
                "{from} to {to} is no range of '{channel}', whose updates are numbered 1 to {newest}"
            );
            let code = "bad_range".into();
            return subscriber.sink.reply(&Reply::Error { id: mark, code, message });
        }
        let filter: TopicFilter =
            channel.as_str().parse().expect("every topic name is a topic filter");
        subscriber.sink.reply(&Reply::Reset {
            channels: vec![filter.clone()],
            epoch: self.epoch.clone(),
            offset: self.offset,
            reason: ResetReason::Expired,
        });
        self.send_values(&subscriber.sink, &[filter]);
        subscriber.sink.reply(&Reply::Ok { id: mark, command: None });
    }

    fn open(&mut self, name: &TopicName) -> Result<(), TooManyChannels> {
        if self.channels.len() >= self.limits.channels {
            return Err(TooManyChannels(self.limits.channels));
        }
        let kind = ChannelKind::of(name.as_str());
        let target = |(id, subscriber): (&SubscriberId, &Subscriber<S>)| {
            let delivery = subscriber.delivery(name, kind)?;
            Some(Target { subscriber: *id, sink: subscriber.sink.clone(), delivery })
        };
        let targets = self.subscribers.iter().filter_map(target).collect();
        self.channels.insert(name.clone(), Channel { kind, seq: Seq(0), value: None, targets });
        Ok(())
    }

    /// Works out anew how `id` is served by the channels that `filters` match.
    fn retarget(&mut self, id: SubscriberId, filters: &[TopicFilter]) {
        let Some(subscriber) = self.subscribers.remove(&id) else { return };
        self.for_matching(filters, |name, channel| {
            channel.targets.retain(|target| target.subscriber != id);
            let sink = subscriber.sink.clone();
            match subscriber.delivery(name, channel.kind) {
                Some(delivery) => channel.targets.push(Target { subscriber: id, sink, delivery }),
                None => sink.withdraw(name),
            }
        });
        self.subscribers.insert(id, subscriber);
    }

    fn send_values(&self, sink: &S, filters: &[TopicFilter]) {
        let send = |name: &TopicName, channel: &Channel<S>| {
            if let Some((stamp, data)) = &channel.value {
                sink.snapshot(name, *stamp, data);
            }
        };
        if let [filter] = filters
            && filter.is_literal()
        {
            if let Some((name, channel)) = self.literal(filter) {
                send(name, channel);
            }
            return;
        }
        for (name, channel) in &self.channels {
            if filters.iter().any(|filter| filter.matches(name.as_str())) {
                send(name, channel);
            }
        }
    }

    fn literal(&self, filter: &TopicFilter) -> Option<(&TopicName, &Channel<S>)> {
        self.channels.get_key_value(&filter.as_str().parse::<TopicName>().ok()?)
    }

    /// Calls `act` on each existing channel that any of `filters` matches.
    fn for_matching(
        &mut self,
        filters: &[TopicFilter],
        mut act: impl FnMut(&TopicName, &mut Channel<S>),
    ) {
        if let [filter] = filters
            && filter.is_literal()
        {
            if let Ok(name) = filter.as_str().parse::<TopicName>()
                && let Entry::Occupied(mut channel) = self.channels.entry(name.clone())
            {
                act(&name, channel.get_mut());
            }
            return;
        }
        for (name, channel) in &mut self.channels {
            if filters.iter().any(|filter| filter.matches(name.as_str())) {
                act(name, channel);
            }
        }
    }
}

impl<S> Subscriber<S> {
    fn has(&self, filter: &TopicFilter) -> bool {
        self.filters.iter().any(|(known, _)| known == filter)
    }

    fn set(&mut self, filter: &TopicFilter, wish: Wish) {
        match self.filters.iter_mut().find(|(known, _)| known == filter) {
            Some((_, old)) => *old = wish,
            None => self.filters.push((filter.clone(), wish)),
        }
    }

    fn reaches_topics(&self) -> bool {
        self.filters.iter().any(|(filter, _)| reaches_topics(filter))
    }

    /// How a channel comes to this subscriber: by the filter that gives most.
    fn delivery(&self, channel: &TopicName, kind: ChannelKind) -> Option<Delivery> {
        let matching = self.filters.iter().filter(|(filter, _)| filter.matches(channel.as_str()));
        matching.map(|(_, wish)| wish.on(kind)).reduce(Delivery::most)
    }
}

/// Whether a filter can match a channel under `topics/`.
fn reaches_topics(filter: &TopicFilter) -> bool {
    matches!(protocol::levels(filter.as_str()).next(), Some("topics" | "+" | "#"))
}

#[cfg(test)]
mod tests;
