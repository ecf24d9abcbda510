//! The hub: channels, their numbers and values, and who is subscribed to them.
//!
//! One owner calls it, so there is one order. Each update is encoded once and shared. This file numbers and
//! hands out what is new and looks up what there is; who is sent what is in `subscribing`, and what a
//! subscriber is sent of the past in `catchup`.

mod accounts;
mod catchup;
mod channels;
mod filters;
mod ring;
mod subscriber;
mod subscribing;
mod wish;

pub use catchup::{Found, Gap, Next};

use crate::{
    data::Data,
    outbox::Delivery,
    update::{ChannelKind, Stamp, Update},
};
use accounts::Accounts;
use ahash::HashMap;
use channels::{Channel, Channels, Target};
use filters::Selection;
use protocol::{Offset, Reply, Seq, Timestamp, TopicFilter, TopicName};
use ring::Ring;
use std::sync::Arc;
use subscriber::Subscriber;

/// Where a subscriber's messages go; cloned into every channel that it listens to. It keeps its own
/// time, for its pace must not jump when the wall clock does.
pub trait Sink: Clone {
    /// Takes an update.
    fn offer(&self, update: &Arc<Update>, delivery: Delivery);
    /// Takes an update of the past.
    fn replay(&self, update: &Arc<Update>);
    /// Lets go of what waits of the channel of `update`, where all of it is among what comes of the past after `offset`
    /// and up to `update`.
    fn supersede(&self, update: &Update, offset: Offset);
    /// Takes the value of a channel.
    fn snapshot(&self, channel: &TopicName, stamp: Stamp, data: &Data);
    /// Brings forward what still waits in a channel that is delivered in another way from here on.
    fn release(&self, channel: &TopicName);
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
    channels: Channels<S>,
    subscribers: HashMap<SubscriberId, Subscriber<S>>,
    accounts: Accounts,
    topics_subscribers: usize,
    /// Somebody has listened to topics without a break since this offset.
    topics_since: Offset,
    ring: Ring,
    gaps: Vec<Gap>,
    forgotten: Vec<(TopicName, Offset)>,
    /// The newest offset of the earlier life. Where channels are not kept, their numbers begin above it:
    /// so none is given twice.
    began: Offset,
    /// Where the numbers of kept channels begin that were not restored.
    new_channels_after: Seq,
    /// Updates that are to be kept, since they were last taken.
    to_keep: Vec<Arc<Update>>,
    forgotten_metrics: u64,
}

impl<S: Sink> Hub<S> {
    /// A hub whose numbers go on from `beginning`.
    #[must_use]
    pub fn new(beginning: Beginning, limits: HubLimits) -> Self {
        let Beginning { epoch, offset, channels, gaps, new_channels_after } = beginning;
        Self {
            epoch,
            offset,
            limits,
            channels: Channels::restored(channels),
            subscribers: HashMap::default(),
            accounts: Accounts::default(),
            topics_subscribers: 0,
            topics_since: offset,
            ring: Ring::new(offset, limits.ring_bytes),
            gaps,
            forgotten: Vec::new(),
            began: offset,
            new_channels_after,
            to_keep: Vec::new(),
            forgotten_metrics: 0,
        }
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
        let entry = match self.channels.get_mut(channel) {
            Some(entry) => entry,
            None => {
                self.open(channel)?;
                self.channels.get_mut(channel).expect("opened above")
            }
        };
        self.offset.0 += 1;
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
    pub fn forget(&mut self, name: &TopicName) {
        if let Some(channel) = self.channels.get_mut(name)
            && channel.value.take().is_some()
        {
            self.forgotten.push((name.clone(), self.offset));
        }
    }

    /// Channels whose value was forgotten since the last call, and up to which offset.
    pub fn take_forgotten(&mut self) -> Vec<(TopicName, Offset)> {
        std::mem::take(&mut self.forgotten)
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

    fn open(&mut self, name: &TopicName) -> Result<(), TooManyChannels> {
        if self.channels.len() >= self.limits.channels {
            return Err(TooManyChannels(self.limits.channels));
        }
        let kind = ChannelKind::of(name.as_str());
        let target = |(id, subscriber): (&SubscriberId, &Subscriber<S>)| {
            let wish = subscriber.wish(name, kind)?;
            let (sink, after) = (subscriber.sink.clone(), self.offset);
            Some(Target { subscriber: *id, sink, wish, after })
        };
        let targets = self.subscribers.iter().filter_map(target).collect();
        let seq = if kind.is_kept() { self.new_channels_after } else { Seq(self.began.0) };
        self.channels.insert(name.clone(), Channel::new(kind, seq, targets));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
