//! What a subscriber is sent of the past before it goes on live: `since` and `replay`.
//!
//! Each is a job of the subscriber, done in order and piece by piece, so that neither the hub's owner nor
//! the subscriber's outbox is ever full of the past. The owner calls [`Hub::catch_up`] whenever the
//! subscriber has room. What the ring still holds comes from there; for what it does not,
//! [`Next`] says what to fetch from the store, and [`Hub::found`] takes it.

mod replay;
mod since;

use super::{Hub, Prelude, Sink, Subscriber, SubscriberId, subscriber::reaches_topics, wish::Wish};
use crate::update::Update;
use protocol::{
    Offset, Reply, RequestId, ResetReason, Seq, SubscribeOptions, TopicFilter, TopicName,
};
use replay::Replay;
use since::Since;
use std::sync::Arc;

/// About how many bytes a step sends.
const STEP_BYTES: usize = 64 * 1024;

/// Offsets that were given and whose updates are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub first: Offset,
    /// The last.
    pub last: Offset,
    /// Why.
    pub reason: ResetReason,
}

/// What a subscriber's past needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is live.
    Live,
    /// Another step, when there is room again.
    Step,
    /// Kept updates after an offset, in order, from the store.
    Log {
        /// The offset.
        after: Offset,
        /// Those of channels that one of them matches.
        filters: Vec<TopicFilter>,
    },
    /// Kept updates of one channel from the store.
    Range {
        /// The channel.
        channel: TopicName,
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
    },
}

/// What the store found.
#[derive(Clone, Debug)]
pub enum Found {
    /// All that was asked for up to an offset.
    Log {
        /// In order.
        updates: Vec<Arc<Update>>,
        /// Everything up to this one is there, or was looked at.
        through: Offset,
    },
    /// The beginning of the range, or all of it.
    Range(Vec<Arc<Update>>),
    /// They are no longer kept.
    Gone,
}

/// A piece of the past that a subscriber waits for.
#[derive(Debug)]
pub(super) enum Job {
    Since(Since),
    Replay(Replay),
}

/// What is left of a job, and what that needs; none where it is done.
type Rest = Option<(Job, Next)>;

impl Job {
    /// How many filters it counts for.
    pub(super) fn filters(&self) -> usize {
        match self {
            Self::Since(since) => since.filters().len(),
            Self::Replay(_) => 1,
        }
    }

    /// Whether a channel under `topics/` comes live with it.
    pub(super) fn reaches_topics(&self) -> bool {
        match self {
            Self::Since(since) => since.filters().iter().any(reaches_topics),
            Self::Replay(_) => false,
        }
    }

    /// Leaves to `filters` the options that they were given later.
    pub(super) fn yield_to(&mut self, filters: &[TopicFilter]) {
        match self {
            Self::Since(since) => since.yield_to(filters),
            Self::Replay(_) => {}
        }
    }

    /// Leaves out what is no longer wanted.
    pub(super) fn forget(&mut self, filters: &[TopicFilter]) {
        match self {
            Self::Since(since) => since.forget(filters),
            Self::Replay(_) => {}
        }
    }
}

impl<S: Sink> Hub<S> {
    /// Does the next piece of what `id` waits for.
    pub fn catch_up(&mut self, id: SubscriberId) -> Next {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return Next::Live };
        let mut room = STEP_BYTES;
        let next = loop {
            let Some(job) = subscriber.jobs.pop_front() else { break Next::Live };
            if let Some((job, next)) = self.step(id, &mut subscriber, job, &mut room) {
                subscriber.jobs.push_front(job);
                break next;
            }
        };
        self.put_back(id, subscriber);
        next
    }

    /// Takes what the store found for the first job of `id`; [`Self::catch_up`] goes on from there.
    pub fn found(&mut self, id: SubscriberId, found: Found) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        match (subscriber.jobs.pop_front(), found) {
            (Some(Job::Since(mut since)), Found::Log { updates, through }) => {
                self.send_log(id, &subscriber, &mut since, &updates, through);
                subscriber.jobs.push_front(Job::Since(since));
            }
            (Some(Job::Replay(mut replay)), Found::Range(updates)) => {
                replay.send(&subscriber.sink, &updates);
                subscriber.jobs.push_front(Job::Replay(replay));
            }
            (Some(Job::Since(since)), Found::Gone) => self.give_up(id, &mut subscriber, since),
            (Some(Job::Replay(replay)), Found::Gone) => self.end_lost(&subscriber, replay),
            // The job was dropped in between.
            (job, Found::Log { .. } | Found::Range(_)) => subscriber.jobs.extend(job),
            (None, Found::Gone) => {}
        }
        self.put_back(id, subscriber);
    }

    /// Sends a subscriber the updates of some channels after `offset`, in order, as `options` ask for them: what
    /// came while their history was read. What it got live meanwhile does not come again.
    pub fn send_newer(
        &self,
        (id, sink): (SubscriberId, &S),
        channels: &[TopicName],
        offset: Offset,
        options: &SubscribeOptions,
    ) -> Prelude {
        if channels.is_empty() {
            return Prelude::Whole;
        }
        let Some(newer) = self.newer(channels, offset) else { return Prelude::Gap };
        let wish = Wish::of(options);
        let news = newer.filter(|update| !self.told(id, update, &wish));
        news.filter_map(|update| wish.part_of(update)).for_each(|part| sink.replay(&part));
        Prelude::Whole
    }

    /// Whether a subscriber got all that `wish` asks for of an update when it was live.
    fn told(&self, id: SubscriberId, update: &Update, wish: &Wish) -> bool {
        self.channels.get(&update.channel).is_some_and(|channel| channel.told(id, update, wish))
    }

    /// One step of a job.
    fn step(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        job: Job,
        room: &mut usize,
    ) -> Rest {
        match job {
            Job::Since(since) => self.step_since(id, subscriber, since, room),
            Job::Replay(replay) => self.step_replay(subscriber, replay, room),
        }
    }

    /// Tells that continuity is lost, and the values.
    pub(super) fn reset(
        &self,
        subscriber: &Subscriber<S>,
        filters: &[TopicFilter],
        reason: ResetReason,
        wish: &Wish,
    ) {
        self.tell_reset(subscriber, filters, reason);
        self.send_values(subscriber, filters, wish);
    }

    fn tell_reset(&self, subscriber: &Subscriber<S>, filters: &[TopicFilter], reason: ResetReason) {
        subscriber.sink.reply(&Reply::Reset {
            channels: filters.to_vec(),
            epoch: self.epoch.clone(),
            offset: self.offset,
            reason,
        });
    }
}

/// The filter that matches nothing but `channel`.
fn exactly(channel: &TopicName) -> TopicFilter {
    channel.as_str().parse().expect("every topic name is a topic filter")
}

/// Tells that a channel is not for this user.
pub(super) fn refuse_channel<S: Sink>(sink: &S, id: Option<RequestId>, channel: &str) {
    let message = format!("'{channel}' is not among the channels that you may see");
    sink.reply(&Reply::Error { id, code: "forbidden".into(), message });
}
