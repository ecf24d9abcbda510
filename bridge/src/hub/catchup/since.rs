//! `since`: a subscriber that comes back gets what it missed, in the order of all channels, and is live then.

use super::{Job, Next, Rest, exactly};
use crate::{
    hub::{
        Hub, Sink, SubscriberId,
        filters::Selection,
        subscriber::{Subscriber, reaches_topics},
        wish::Wish,
    },
    outbox::Delivery,
    rights::Rights,
    update::Update,
};
use protocol::{Cursor, Millis, Offset, Reply, RequestId, ResetReason, TopicFilter};
use std::sync::Arc;

/// How many updates of the ring a step looks at.
const STEP_UPDATES: usize = 8_192;

/// Above this many channels a `reset` names the filter instead.
const RESET_NAMES_MAX: usize = 64;

#[derive(Debug)]
pub(in crate::hub) struct Since {
    mark: Option<RequestId>,
    wanted: Selection,
    /// Those of `wanted` that are to come live as `wish` says: not those that were given other options since.
    taking: Vec<TopicFilter>,
    wish: Wish,
    /// All after this was asked for.
    from: Offset,
    /// Everything up to here was sent.
    sent: Offset,
    /// The newest offset when it was asked for: of what came later, that need not be sent which another
    /// subscription had sent live.
    asked_at: Offset,
    /// Channels without a kept past that have lost something, and were reset: their values follow.
    lost: Vec<TopicFilter>,
    /// The last piece came from the store's log, which does not have those channels.
    from_log: bool,
}

impl Since {
    pub(super) fn filters(&self) -> &[TopicFilter] {
        self.wanted.filters()
    }

    pub(super) fn forget(&mut self, filters: &[TopicFilter]) {
        self.wanted.remove(filters);
        self.yield_to(filters);
    }

    /// Leaves to `filters` the options that they were given later.
    pub(super) fn yield_to(&mut self, filters: &[TopicFilter]) {
        self.taking.retain(|filter| !filters.contains(filter));
    }
}

impl<S: Sink> Hub<S> {
    /// Begins to resume from `cursor`, or says that it cannot be.
    pub(in crate::hub) fn resume(
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
        let (from, sent) = (cursor.offset, cursor.offset);
        let (asked_at, lost) = (self.offset, Vec::new());
        let from_log = false;
        let (taking, wanted) = (filters.clone(), Selection::new(filters));
        let mut since = Since { mark, wanted, taking, wish, from, sent, asked_at, lost, from_log };
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
            let topics = wanted.filters().iter().any(reaches_topics).then_some("topics/#");
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

    pub(super) fn step_since(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        mut since: Since,
        room: &mut usize,
    ) -> Rest {
        let Some(missed) = self.ring.after(since.sent) else {
            let next = Next::Log { after: since.sent, filters: since.wanted.filters().to_vec() };
            return Some((Job::Since(since), next));
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
            return Some((Job::Since(since), Next::Step));
        }
        self.go_live(id, subscriber, since);
        None
    }

    /// Sends what the store's log has up to an offset.
    pub(super) fn send_log(
        &self,
        id: SubscriberId,
        subscriber: &Subscriber<S>,
        since: &mut Since,
        updates: &[Arc<Update>],
        through: Offset,
    ) {
        self.reset_lost(subscriber, since);
        for update in updates {
            self.send_past(id, subscriber, since, update);
        }
        since.sent = since.sent.max(through);
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
        let wish = since.wish.on(update.kind);
        if update.stamp.offset > since.asked_at && self.told(id, update, &wish) {
            return 0;
        }
        let Some(part) = wish.part_of(update) else { return 0 };
        let channel = self.channels.get(name);
        let live = channel.and_then(|channel| channel.wish_of(id));
        if live.is_some_and(|live| wish.has_fields_of(live)) {
            subscriber.sink.supersede(&part, since.from);
        }
        subscriber.sink.replay(&part);
        part.bytes()
    }

    /// Everything was sent: from here on it is live.
    fn go_live(&mut self, id: SubscriberId, subscriber: &mut Subscriber<S>, since: Since) {
        let Since { mark, taking, wish, mut lost, .. } = since;
        lost.sort_unstable();
        lost.dedup();
        self.install(id, subscriber, &taking, &wish);
        if !lost.is_empty() {
            self.send_values(subscriber, &lost, &wish);
        }
        if let Delivery::Latest { interval: Millis(1..) } = wish.delivery {
            // What waited for its turn when the line was cut is older than what was seen.
            self.send_values(subscriber, &taking, &wish);
        }
        subscriber.sink.reply(&Reply::Live { id: mark, offset: self.offset });
    }

    /// What was missed is nowhere any more: the values instead, and live from here on.
    pub(super) fn give_up(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        mut since: Since,
    ) {
        self.reset(subscriber, since.wanted.filters(), ResetReason::Expired, &since.wish);
        since.lost.clear();
        self.go_live(id, subscriber, since);
    }
}
