//! The hub: channels, their numbers and values, and who is subscribed to them.
//!
//! One owner calls it, so there is one order. Each update is encoded once and shared. What a subscriber is
//! sent of the past is in `catchup`.

mod accounts;
mod catchup;
mod filters;
mod ring;
mod wish;

pub use catchup::{Found, Gap, Next};

use crate::{
    data::Data,
    outbox::Delivery,
    rights::{Member, Rights},
    update::{ChannelKind, Stamp, Update},
};
use accounts::Accounts;
use ahash::HashMap;
use catchup::{Job, refuse_channel};
use filters::{Filters, Selection};
use protocol::{
    Offset, Reply, RequestId, ResetReason, Seq, SubscribeOptions, Timestamp, TopicFilter, TopicName,
};
use ring::Ring;
use std::{
    collections::{VecDeque, hash_map::Entry},
    sync::Arc,
};
use wish::{Parts, Wish};

/// Where a subscriber's messages go; cloned into every channel that it listens to. It keeps its own
/// time, for its pace must not jump when the wall clock does.
pub trait Sink: Clone {
    /// Takes an update.
    fn offer(&self, update: &Arc<Update>, delivery: Delivery);
    /// Takes an update of the past.
    fn replay(&self, update: &Arc<Update>);
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
    /// Filters of all subscribers with the same account.
    pub account_subscriptions: usize,
    /// About how much memory the newest updates may take, for who comes back soon.
    pub ring_bytes: usize,
}

/// Where the numbers go on.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// What the numbers belong to.
    pub epoch: String,
    /// The newest offset that was given.
    pub offset: Offset,
    /// Channels with their numbers and values.
    pub channels: Vec<Restored>,
    /// Offsets whose updates are not kept.
    pub gaps: Vec<Gap>,
    /// Kept channels that are not among these number their updates from behind this one: some may have
    /// been lost, with their numbers.
    pub new_channels_after: Seq,
}

/// A channel as it was kept.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Its name.
    pub channel: TopicName,
    /// Its newest number and time.
    pub stamp: Stamp,
    /// Its value.
    pub value: Option<Data>,
}

/// Whether what a subscription is told first reaches up to what comes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prelude {
    /// It does, or there is nothing to tell.
    Whole,
    /// Some of it is nowhere to be had.
    Gap,
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
    accounts: Accounts,
    topics_subscribers: usize,
    ring: Ring,
    gaps: Vec<Gap>,
    /// The newest offset of the earlier life. Where channels are not kept, their numbers begin above it:
    /// so none is given twice.
    began: Offset,
    /// Where the numbers of kept channels begin that were not restored.
    new_channels_after: Seq,
    /// Updates that are to be kept, since they were last taken.
    to_keep: Vec<Arc<Update>>,
    forgotten_metrics: u64,
}

#[derive(Debug)]
struct Channel<S> {
    kind: ChannelKind,
    seq: Seq,
    /// The offset of its newest update.
    newest: Offset,
    value: Option<(Stamp, Data)>,
    targets: Vec<Target<S>>,
}

#[derive(Debug)]
struct Target<S> {
    subscriber: SubscriberId,
    sink: S,
    wish: Wish,
}

#[derive(Debug)]
struct Subscriber<S> {
    sink: S,
    rights: Rights,
    account: Option<Arc<str>>,
    /// How many filters were counted for its account.
    counted: usize,
    filters: Filters,
    jobs: VecDeque<Job>,
}

impl<S: Sink> Hub<S> {
    /// A hub whose numbers go on from `beginning`.
    #[must_use]
    pub fn new(beginning: Beginning, limits: HubLimits) -> Self {
        let Beginning { epoch, offset, channels, gaps, new_channels_after } = beginning;
        let restored = channels.into_iter().map(|Restored { channel, stamp, value }| {
            let kind = ChannelKind::of(channel.as_str());
            let value = value.map(|data| (stamp, data));
            let (seq, newest) = (stamp.seq, stamp.offset);
            (channel, Channel { kind, seq, newest, value, targets: Vec::new() })
        });
        Self {
            epoch,
            offset,
            limits,
            channels: restored.collect(),
            subscribers: HashMap::default(),
            accounts: Accounts::default(),
            topics_subscribers: 0,
            ring: Ring::new(offset, limits.ring_bytes),
            gaps,
            began: offset,
            new_channels_after,
            to_keep: Vec::new(),
            forgotten_metrics: 0,
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
        entry.newest = self.offset;
        let timestamp = timestamp.unwrap_or(now);
        let stamp = Stamp { seq: entry.seq, offset: self.offset, timestamp };
        self.forgotten_metrics += entry.keep_value(stamp, &data);
        let update = Arc::new(Update::new(channel.clone(), entry.kind, stamp, data));
        entry.offer(&update);
        if entry.kind.is_kept() {
            self.to_keep.push(Arc::clone(&update));
        }
        self.ring.push(update);
        Ok(())
    }

    /// The updates to be kept since the last call, in order.
    pub fn take_to_keep(&mut self) -> Vec<Arc<Update>> {
        std::mem::take(&mut self.to_keep)
    }

    /// The updates of some channels after `offset`, in order; none where memory does not reach back that
    /// far.
    pub fn newer(
        &self,
        channels: &[TopicName],
        offset: Offset,
    ) -> Option<impl Iterator<Item = &Arc<Update>>> {
        let newer = self.ring.after(offset)?;
        Some(newer.filter(move |update| channels.contains(&update.channel)))
    }

    /// The channels with telemetry that `filters` match and the subscriber may see, `most` of them at
    /// most.
    #[must_use]
    pub fn telemetry(
        &self,
        id: SubscriberId,
        filters: &[TopicFilter],
        most: usize,
    ) -> Vec<TopicName> {
        let Some(subscriber) = self.subscribers.get(&id) else { return Vec::new() };
        let selection = Selection::new(filters.to_vec());
        let wanted = self.channels.iter().filter(|(name, channel)| {
            channel.kind == ChannelKind::Telemetry
                && selection.matches(name.as_str())
                && subscriber.rights.may_see(name)
        });
        wanted.map(|(name, _)| name.clone()).take(most).collect()
    }

    /// The value of a channel.
    #[must_use]
    pub fn value(&self, channel: &TopicName) -> Option<&Data> {
        self.channels.get(channel)?.value.as_ref().map(|(_, data)| data)
    }

    /// The value of a channel, and of when it is.
    #[must_use]
    pub fn newest(&self, channel: &TopicName) -> Option<(Timestamp, &Data)> {
        let (stamp, data) = self.channels.get(channel)?.value.as_ref()?;
        Some((stamp.timestamp, data))
    }

    /// Forgets the value of a channel, for a device that is deleted. Its numbers go on.
    pub fn forget(&mut self, channel: &TopicName) {
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.value = None;
        }
    }

    /// Takes a subscriber in; it has no subscriptions yet.
    pub fn join(&mut self, id: SubscriberId, sink: S, member: impl Into<Member>) {
        let Member { rights, account } = member.into();
        let (filters, jobs) = (Filters::default(), VecDeque::new());
        let subscriber = Subscriber { sink, rights, account, counted: 0, filters, jobs };
        self.subscribers.insert(id, subscriber);
    }

    /// Counts a subscriber for another account from now on.
    pub fn move_to(&mut self, id: SubscriberId, account: Option<Arc<str>>) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        self.accounts.count(&mut subscriber, 0);
        subscriber.account = account;
        self.put_back(id, subscriber);
    }

    /// How often subscriptions were refused because there were too many.
    #[must_use]
    pub fn refused_subscriptions(&self) -> u64 {
        self.accounts.refused
    }

    /// How many metrics values had no room for.
    #[must_use]
    pub fn forgotten_metrics(&self) -> u64 {
        self.forgotten_metrics
    }

    /// Ends what [`HashMap::remove`] began, so that a subscriber and the rest of the hub can be used together.
    fn put_back(&mut self, id: SubscriberId, mut subscriber: Subscriber<S>) {
        let filters = subscriber.count_with(&[]);
        self.accounts.count(&mut subscriber, filters);
        self.subscribers.insert(id, subscriber);
    }

    /// Lets a subscriber go.
    pub fn leave(&mut self, id: SubscriberId) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        self.accounts.count(&mut subscriber, 0);
        let filters: Vec<_> = subscriber.filters.iter().cloned().collect();
        self.topics_subscribers -= usize::from(filters.iter().any(reaches_topics));
        self.for_matching(&filters, |_, channel| {
            channel.targets.retain(|target| target.subscriber != id);
        });
    }

    /// Subscribes to `filters`, all or none, and answers: `subscribed`, what the options ask for,
    /// `live`. With `since` the owner goes on with [`Self::catch_up`]. `prelude` says what comes first
    /// (`history`); where that has a gap, a reset tells so.
    pub fn subscribe(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        filters: Vec<TopicFilter>,
        options: &SubscribeOptions,
        prelude: impl FnOnce(&Self, &S) -> Prelude,
    ) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        let sink = subscriber.sink.clone();
        if self.admit(&subscriber, mark.as_ref(), &filters) {
            sink.reply(&Reply::Subscribed { id: mark.clone(), channels: filters.clone() });
            let prelude = prelude(self, &sink);
            self.begin(id, &mut subscriber, mark, filters, (options, prelude));
        }
        self.put_back(id, subscriber);
    }

    /// Whether the filters may be subscribed; says so if not.
    fn admit(
        &mut self,
        subscriber: &Subscriber<S>,
        mark: Option<&RequestId>,
        filters: &[TopicFilter],
    ) -> bool {
        if let Some(hidden) = filters.iter().find(|filter| !subscriber.rights.may_subscribe(filter))
        {
            refuse_channel(&subscriber.sink, mark.cloned(), hidden.as_str());
            return false;
        }
        let HubLimits { subscriptions: most, account_subscriptions: most_in_all, .. } = self.limits;
        let count = subscriber.count_with(filters);
        let message = if count > most {
            format!("a connection takes at most {most} channel filters: unsubscribe some")
        } else if self.accounts.with(subscriber, count) > most_in_all {
            format!("a token takes at most {most_in_all} channel filters, of all its connections")
        } else {
            return true;
        };
        self.accounts.refused += 1;
        let code = "too_many_subscriptions".into();
        subscriber.sink.reply(&Reply::Error { id: mark.cloned(), code, message });
        false
    }

    fn begin(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        mark: Option<RequestId>,
        filters: Vec<TopicFilter>,
        (options, prelude): (&SubscribeOptions, Prelude),
    ) {
        let wish = Wish::of(options);
        match &options.since {
            Some(cursor) => {
                match self.resume(subscriber, mark.clone(), filters.clone(), wish.clone(), cursor) {
                    Ok(job) => return subscriber.jobs.push_back(job),
                    Err(reason) => self.reset(subscriber, &filters, reason, &wish),
                }
            }
            None if prelude == Prelude::Gap => {
                self.reset(subscriber, &filters, ResetReason::Expired, &wish);
            }
            None if options.snapshot.unwrap_or(true) => {
                self.send_values(subscriber, &filters, &wish);
            }
            None => {}
        }
        self.install(id, subscriber, &filters, &wish);
        subscriber.sink.reply(&Reply::Live { id: mark, offset: self.offset });
    }

    /// From here on the channels that `filters` match come live.
    fn install(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        filters: &[TopicFilter],
        wish: &Wish,
    ) {
        let had_topics = subscriber.reaches_topics();
        for filter in filters {
            subscriber.filters.set(filter, wish.clone());
        }
        self.topics_subscribers += usize::from(!had_topics && subscriber.reaches_topics());
        self.retarget(id, subscriber, filters);
    }

    /// Gives up `filters` and answers `unsubscribed`.
    pub fn unsubscribe(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        filters: Vec<TopicFilter>,
    ) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        let had_topics = subscriber.reaches_topics();
        subscriber.filters.remove(&filters);
        for job in &mut subscriber.jobs {
            if let Job::Since(since) = job {
                since.wanted.remove(&filters);
            }
        }
        self.topics_subscribers -= usize::from(had_topics && !subscriber.reaches_topics());
        self.retarget(id, &subscriber, &filters);
        subscriber.sink.reply(&Reply::Unsubscribed { id: mark, channels: filters });
        self.put_back(id, subscriber);
    }

    fn open(&mut self, name: &TopicName) -> Result<(), TooManyChannels> {
        if self.channels.len() >= self.limits.channels {
            return Err(TooManyChannels(self.limits.channels));
        }
        let kind = ChannelKind::of(name.as_str());
        let target = |(id, subscriber): (&SubscriberId, &Subscriber<S>)| {
            let wish = subscriber.wish(name, kind)?;
            Some(Target { subscriber: *id, sink: subscriber.sink.clone(), wish })
        };
        let targets = self.subscribers.iter().filter_map(target).collect();
        let seq = if kind.is_kept() { self.new_channels_after } else { Seq(self.began.0) };
        let channel = Channel { kind, seq, newest: Offset(0), value: None, targets };
        self.channels.insert(name.clone(), channel);
        Ok(())
    }

    /// Works out anew how `id` is served by the channels that `filters` match.
    fn retarget(&mut self, id: SubscriberId, subscriber: &Subscriber<S>, filters: &[TopicFilter]) {
        self.for_matching(filters, |name, channel| {
            channel.targets.retain(|target| target.subscriber != id);
            let sink = subscriber.sink.clone();
            match subscriber.wish(name, channel.kind) {
                Some(wish) => channel.targets.push(Target { subscriber: id, sink, wish }),
                None => sink.withdraw(name),
            }
        });
    }

    fn send_values(&self, subscriber: &Subscriber<S>, filters: &[TopicFilter], wish: &Wish) {
        let send = |name: &TopicName, channel: &Channel<S>| {
            if let Some((stamp, data)) = &channel.value
                && subscriber.rights.may_see(name)
                && let Some(data) = wish.on(channel.kind).part(data)
            {
                subscriber.sink.snapshot(name, *stamp, &data);
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
        let selection = Selection::new(filters.to_vec());
        for (name, channel) in &self.channels {
            if selection.matches(name.as_str()) {
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
        let selection = Selection::new(filters.to_vec());
        for (name, channel) in &mut self.channels {
            if selection.matches(name.as_str()) {
                act(name, channel);
            }
        }
    }
}

impl<S: Sink> Channel<S> {
    /// Gives how many metrics the value had no room for.
    fn keep_value(&mut self, stamp: Stamp, data: &Data) -> u64 {
        if self.kind == ChannelKind::Topics {
            return 0;
        }
        let (value, forgotten) = match self.value.take() {
            Some((_, old)) => old.merge(data),
            None => (data.clone(), 0),
        };
        self.value = Some((stamp, value));
        forgotten
    }

    fn offer(&self, update: &Arc<Update>) {
        let mut parts = Parts::default();
        for target in &self.targets {
            if let Some(part) = parts.of(update, &target.wish) {
                target.sink.offer(&part, target.wish.delivery);
            }
        }
    }

    fn has(&self, id: SubscriberId) -> bool {
        self.targets.iter().any(|target| target.subscriber == id)
    }
}

impl<S> Subscriber<S> {
    /// How many filters it has, and waits for, once `more` are added.
    fn count_with(&self, more: &[TopicFilter]) -> usize {
        let waiting = self.jobs.iter().map(|job| match job {
            Job::Since(since) => since.wanted.filters().len(),
            Job::Replay { .. } => 1,
        });
        let added = more.iter().filter(|filter| !self.filters.has(filter)).count();
        self.filters.len() + waiting.sum::<usize>() + added
    }

    fn reaches_topics(&self) -> bool {
        self.filters.iter().any(reaches_topics)
    }

    /// How a channel comes to this subscriber: by the filter that gives most.
    fn wish(&self, channel: &TopicName, kind: ChannelKind) -> Option<Wish> {
        if !self.rights.may_see(channel) {
            return None;
        }
        let mut most: Option<Wish> = None;
        self.filters.matching(channel.as_str(), |wish| {
            let wish = wish.on(kind);
            most = Some(match most.take() {
                Some(known) => known.most(wish),
                None => wish,
            });
        });
        most
    }
}

/// Whether a filter can match a channel under `topics/`.
fn reaches_topics(filter: &TopicFilter) -> bool {
    matches!(protocol::levels(filter.as_str()).next(), Some("topics" | "+" | "#"))
}

#[cfg(test)]
mod tests;
