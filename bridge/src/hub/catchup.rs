//! What a subscriber is sent of the past before it goes on live: `since` and `replay`.
//!
//! Each is a job of the subscriber, done in order and piece by piece, so that neither the hub's owner nor
//! the subscriber's outbox is ever full of the past. The owner calls [`Hub::catch_up`] whenever the
//! subscriber has room. What the ring still holds comes from there; for what it does not,
//! [`Next`] says what to fetch from the store, and [`Hub::found`] takes it.

use super::{Hub, Sink, Subscriber, SubscriberId, filters::Selection, wish::Wish};
use crate::{outbox::Delivery, rights::Rights, update::Update};
use protocol::{
    Cursor, Millis, Offset, Reply, RequestId, ResetReason, Seq, TopicFilter, TopicName,
};
use std::sync::Arc;

/// About how many bytes a step sends.
const STEP_BYTES: usize = 64 * 1024;

/// How many updates of the ring a step looks at.
const STEP_UPDATES: usize = 8_192;

/// Above this many channels a `reset` names the filter instead.
const RESET_NAMES_MAX: usize = 64;

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
    Replay { mark: Option<RequestId>, channel: TopicName, next: Seq, to: Seq },
}

#[derive(Debug)]
pub(super) struct Since {
    mark: Option<RequestId>,
    pub(super) wanted: Selection,
    wish: Wish,
    /// Everything up to here was sent.
    sent: Offset,
    /// The newest offset when it was asked for: what came later to channels that were live already has
    /// been sent live.
    asked_at: Offset,
    /// Channels without a kept past that have lost something, and were reset: their values follow.
    lost: Vec<TopicFilter>,
    /// The last piece came from the store's log, which does not have those channels.
    from_log: bool,
}

impl<S: Sink> Hub<S> {
    /// Does the next piece of what `id` waits for.
    pub fn catch_up(&mut self, id: SubscriberId) -> Next {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return Next::Live };
        let mut room = STEP_BYTES;
        let next = loop {
            let Some(job) = subscriber.jobs.pop_front() else { break Next::Live };
            let (job, next) = self.step(id, &mut subscriber, job, &mut room);
            if let Some(job) = job {
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
                self.reset_lost(&subscriber, &mut since);
                for update in &updates {
                    self.send_past(id, &subscriber, &since, update);
                }
                since.sent = since.sent.max(through);
                subscriber.jobs.push_front(Job::Since(since));
            }
            (Some(Job::Replay { mark, channel, next, to }), Found::Range(updates)) => {
                let next = send_range(&subscriber.sink, &updates, next);
                subscriber.jobs.push_front(Job::Replay { mark, channel, next, to });
            }
            (Some(job), Found::Gone) => self.give_up(id, &mut subscriber, job),
            // The job was dropped in between.
            (job, Found::Log { .. } | Found::Range(_)) => subscriber.jobs.extend(job),
            (None, Found::Gone) => {}
        }
        self.put_back(id, subscriber);
    }

    /// Begins to resume from `cursor`, or says that it cannot be.
    pub(super) fn resume(
        &self,
        subscriber: &Subscriber<S>,
        mark: Option<RequestId>,
        filters: Vec<TopicFilter>,
        wish: Wish,
        cursor: &Cursor,
    ) -> Result<Job, ResetReason> {
        if cursor.epoch != self.epoch || cursor.offset > self.offset {
            return Err(ResetReason::Epoch);
        }
        if let Some(gap) = self.gaps.iter().find(|gap| gap.last > cursor.offset) {
            return Err(gap.reason);
        }
        let (sent, asked_at, lost) = (cursor.offset, self.offset, Vec::new());
        let from_log = false;
        let wanted = Selection::new(filters);
        let mut since = Since { mark, wanted, wish, sent, asked_at, lost, from_log };
        self.reset_lost(subscriber, &mut since);
        since.from_log = !since.lost.is_empty();
        Ok(Job::Since(since))
    }

    /// Tells of the channels whose missed updates neither memory nor the store has.
    fn reset_lost(&self, subscriber: &Subscriber<S>, since: &mut Since) {
        if std::mem::replace(&mut since.from_log, true) {
            return;
        }
        let lost = self.lost_for_good(&subscriber.rights, &since.wanted, since.sent);
        if !lost.is_empty() {
            self.tell_reset(subscriber, &lost, ResetReason::Expired);
            since.lost.extend(lost);
        }
    }

    /// The channels that are not kept, match, may be seen, and may have had an update after `offset` that
    /// memory no longer has.
    fn lost_for_good(
        &self,
        rights: &Rights,
        wanted: &Selection,
        offset: Offset,
    ) -> Vec<TopicFilter> {
        if offset <= self.began && self.began > Offset(0) {
            // Of an earlier life nothing is known of them, not even which there were; their numbers jump.
            let stats = wanted.matches("gateway/stats").then_some("gateway/stats");
            let topics = wanted.filters().iter().any(super::reaches_topics).then_some("topics/#");
            let lost = stats.into_iter().chain(topics);
            return lost.map(|filter| filter.parse().expect("a valid filter")).collect();
        }
        if offset >= self.ring.from() {
            return Vec::new();
        }
        let lost = self.channels.iter().filter(|(name, channel)| {
            !channel.kind.is_kept()
                && channel.newest > offset
                && wanted.matches(name.as_str())
                && rights.may_see(name)
        });
        let names: Vec<_> = lost.map(|(name, _)| exactly(name)).collect();
        if names.len() <= RESET_NAMES_MAX { names } else { wanted.filters().to_vec() }
    }

    /// One step of a job: what is left of it, and what that needs.
    fn step(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        job: Job,
        room: &mut usize,
    ) -> (Option<Job>, Next) {
        match job {
            Job::Since(since) => self.step_since(id, subscriber, since, room),
            Job::Replay { mark, channel, next, to } => {
                self.step_replay(subscriber, mark, channel, (next, to), room)
            }
        }
    }

    fn step_since(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        mut since: Since,
        room: &mut usize,
    ) -> (Option<Job>, Next) {
        let Some(missed) = self.ring.after(since.sent) else {
            let next = Next::Log { after: since.sent, filters: since.wanted.filters().to_vec() };
            return (Some(Job::Since(since)), next);
        };
        since.from_log = false;
        let mut sent = since.sent;
        for update in missed.take(STEP_UPDATES) {
            if *room == 0 {
                break;
            }
            *room = room.saturating_sub(self.send_past(id, subscriber, &since, update));
            sent = update.stamp.offset;
        }
        since.sent = sent;
        if since.sent < self.offset {
            return (Some(Job::Since(since)), Next::Step);
        }
        self.go_live(id, subscriber, since);
        (None, Next::Live)
    }

    /// Sends an update of the past, if it is wanted and was not sent live. Gives its size.
    fn send_past(
        &self,
        id: SubscriberId,
        subscriber: &Subscriber<S>,
        since: &Since,
        update: &Arc<Update>,
    ) -> usize {
        let name = &update.channel;
        if !since.wanted.matches(name.as_str()) || !subscriber.rights.may_see(name) {
            return 0;
        }
        let live = update.stamp.offset > since.asked_at
            && self.channels.get(name).is_some_and(|channel| channel.has(id));
        if live {
            return 0;
        }
        let Some(part) = since.wish.on(update.kind).part_of(update) else { return 0 };
        subscriber.sink.replay(&part);
        part.bytes()
    }

    /// Everything was sent: from here on it is live.
    fn go_live(&mut self, id: SubscriberId, subscriber: &mut Subscriber<S>, since: Since) {
        let Since { mark, wanted, wish, mut lost, .. } = since;
        let filters = wanted.filters();
        lost.sort_unstable();
        lost.dedup();
        self.install(id, subscriber, filters, &wish);
        if !lost.is_empty() {
            self.send_values(subscriber, &lost, &wish);
        }
        if let Delivery::Latest { interval: Millis(1..) } = wish.delivery {
            // What waited for its turn when the line was cut is older than what was seen.
            self.send_values(subscriber, filters, &wish);
        }
        subscriber.sink.reply(&Reply::Live { id: mark, offset: self.offset });
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

    fn give_up(&mut self, id: SubscriberId, subscriber: &mut Subscriber<S>, job: Job) {
        match job {
            Job::Since(mut since) => {
                self.reset(subscriber, since.wanted.filters(), ResetReason::Expired, &since.wish);
                since.lost.clear();
                self.go_live(id, subscriber, since);
            }
            Job::Replay { mark, channel, .. } => {
                self.reset(subscriber, &[exactly(&channel)], ResetReason::Expired, &whole());
                subscriber.sink.reply(&Reply::Ok { id: mark, command: None });
            }
        }
    }

    /// Begins a `replay`, or refuses it.
    pub fn replay(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        channel: TopicName,
        (from, to): (Seq, Seq),
    ) {
        let newest = self.channels.get(&channel).map_or(Seq(0), |channel| channel.seq);
        let most = self.limits.subscriptions;
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        if !subscriber.rights.may_see(&channel) {
            return refuse_channel(&subscriber.sink, mark, channel.as_str());
        }
        if from == Seq(0) || from > to || to > newest {
            let message = format!(
                "{from} to {to} is no range of '{channel}', whose updates are numbered 1 to {newest}"
            );
            let code = "bad_range".into();
            return subscriber.sink.reply(&Reply::Error { id: mark, code, message });
        }
        if subscriber.jobs.len() >= most {
            let message = format!("{most} requests for the past wait already: wait for their ends");
            let code = "too_many_replays".into();
            return subscriber.sink.reply(&Reply::Error { id: mark, code, message });
        }
        subscriber.jobs.push_back(Job::Replay { mark, channel, next: from, to });
    }

    fn step_replay(
        &mut self,
        subscriber: &mut Subscriber<S>,
        mark: Option<RequestId>,
        channel: TopicName,
        (next, to): (Seq, Seq),
        room: &mut usize,
    ) -> (Option<Job>, Next) {
        if next > to {
            subscriber.sink.reply(&Reply::Ok { id: mark, command: None });
            return (None, Next::Live);
        }
        let job =
            |next| Some(Job::Replay { mark: mark.clone(), channel: channel.clone(), next, to });
        if let Some(found) = self.ring.range(&channel, (next, to), REPLAY_AT_ONCE) {
            *room = room.saturating_sub(found.iter().map(|update| update.bytes()).sum());
            let next = send_range(&subscriber.sink, &found, next);
            return (job(next), Next::Step);
        }
        let kept = self.channels.get(&channel).is_some_and(|channel| channel.kind.is_kept());
        if kept {
            return (job(next), Next::Range { channel: channel.clone(), from: next, to });
        }
        self.reset(subscriber, &[exactly(&channel)], ResetReason::Expired, &whole());
        subscriber.sink.reply(&Reply::Ok { id: mark, command: None });
        (None, Next::Live)
    }
}

/// How many updates of a replay a step sends.
const REPLAY_AT_ONCE: usize = 256;

/// Sends updates that follow each other, and says what comes after them.
fn send_range<S: Sink>(sink: &S, updates: &[Arc<Update>], next: Seq) -> Seq {
    updates.iter().for_each(|update| sink.replay(update));
    updates.last().map_or(next, |last| Seq(last.stamp.seq.0 + 1))
}

/// The filter that matches nothing but `channel`.
fn exactly(channel: &TopicName) -> TopicFilter {
    channel.as_str().parse().expect("every topic name is a topic filter")
}

/// A wish for everything.
fn whole() -> Wish {
    Wish::of(&protocol::SubscribeOptions::default())
}

/// Tells that a channel is not for this user.
pub(super) fn refuse_channel<S: Sink>(sink: &S, id: Option<RequestId>, channel: &str) {
    let message = format!("'{channel}' is not among the channels that you may see");
    sink.reply(&Reply::Error { id, code: "forbidden".into(), message });
}
