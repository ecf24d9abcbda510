//! Who comes, goes, subscribes and gives up: which filters are admitted, what a subscription is told first,
//! and from when on its channels come live.

use super::{
    Hub, HubLimits, Prelude, Sink, SubscriberId,
    catchup::refuse_channel,
    filters::Selection,
    subscriber::{Subscriber, reaches_topics},
    wish::Wish,
};
use crate::{
    rights::Member,
    update::{ChannelKind, Update},
};
use ahash::HashMap;
use protocol::{Reply, RequestId, ResetReason, SubscribeOptions, TopicFilter};
use std::sync::Arc;

impl<S: Sink> Hub<S> {
    /// Takes a subscriber in; it has no subscriptions yet.
    pub fn join(&mut self, id: SubscriberId, sink: S, member: impl Into<Member>) {
        self.subscribers.insert(id, Subscriber::new(sink, member.into()));
    }

    /// Counts a subscriber for another account from now on.
    pub fn move_to(&mut self, id: SubscriberId, account: Option<Arc<str>>) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        self.accounts.count(&mut subscriber, 0);
        subscriber.account = account;
        self.put_back(id, subscriber);
    }

    /// Lets a subscriber go.
    pub fn leave(&mut self, id: SubscriberId) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        self.accounts.count(&mut subscriber, 0);
        self.topics_subscribers -= usize::from(subscriber.counted_for_topics);
        let filters: Vec<_> = subscriber.filters.iter().cloned().collect();
        self.channels.matching_mut(&filters, |_, channel| {
            channel.remove(id);
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
            if options.since.is_none() {
                // Before the answer, for what waits under other options comes now.
                self.take_over(id, &mut subscriber, &filters, &Wish::of(options));
            }
            sink.reply(&Reply::Subscribed { id: mark.clone(), channels: filters.clone() });
            let prelude = prelude(self, &sink);
            self.begin(id, &mut subscriber, mark, filters, (options, prelude));
        }
        self.put_back(id, subscriber);
    }

    /// Gives up `filters` and answers `unsubscribed`.
    pub fn unsubscribe(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        filters: Vec<TopicFilter>,
    ) {
        let Some(mut subscriber) = self.subscribers.remove(&id) else { return };
        subscriber.filters.remove(&filters);
        subscriber.jobs.iter_mut().for_each(|job| job.forget(&filters));
        self.retarget(id, &subscriber, &filters);
        subscriber.sink.reply(&Reply::Unsubscribed { id: mark, channels: filters });
        self.put_back(id, subscriber);
    }

    /// Ends what taking a subscriber out of the map began, so that it and the rest of the hub can be used
    /// together.
    pub(super) fn put_back(&mut self, id: SubscriberId, mut subscriber: Subscriber<S>) {
        let filters = subscriber.count_with(&[]);
        self.accounts.count(&mut subscriber, filters);
        self.count_for_topics(&mut subscriber);
        self.subscribers.insert(id, subscriber);
    }

    /// Counts a subscriber among those who listen to topics while it does.
    fn count_for_topics(&mut self, subscriber: &mut Subscriber<S>) {
        let before = self.topics_subscribers;
        self.topics_subscribers -= usize::from(subscriber.counted_for_topics);
        subscriber.counted_for_topics = subscriber.reaches_topics();
        self.topics_subscribers += usize::from(subscriber.counted_for_topics);
        if before == 0 {
            self.topics_since = self.offset;
        }
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
        let Err(message) = self.has_room(subscriber, filters) else { return true };
        self.accounts.refused += 1;
        let code = "too_many_subscriptions".into();
        subscriber.sink.reply(&Reply::Error { id: mark.cloned(), code, message });
        false
    }

    /// Whether there is room for these filters too; else the reason.
    fn has_room(&self, subscriber: &Subscriber<S>, filters: &[TopicFilter]) -> Result<(), String> {
        let HubLimits { subscriptions: most, account_subscriptions: most_in_all, .. } = self.limits;
        let count = subscriber.count_with(filters);
        if count > most {
            return Err(format!(
                "a connection takes at most {most} channel filters: unsubscribe some"
            ));
        }
        if self.accounts.with(subscriber, count) > most_in_all {
            return Err(format!(
                "a token takes at most {most_in_all} channel filters, of all its connections"
            ));
        }
        Ok(())
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
                    Err(reason) => {
                        self.take_over(id, subscriber, &filters, &wish);
                        self.reset(subscriber, &filters, reason, &wish);
                    }
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
        subscriber.sink.reply(&Reply::Live { id: mark, offset: self.offset });
    }

    /// From here on the channels that `filters` match come live as `wish` says, whatever else was to come of them.
    fn take_over(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        filters: &[TopicFilter],
        wish: &Wish,
    ) {
        subscriber.jobs.iter_mut().for_each(|job| job.yield_to(filters));
        self.install(id, subscriber, filters, wish);
    }

    /// From here on the channels that `filters` match come live.
    pub(super) fn install(
        &mut self,
        id: SubscriberId,
        subscriber: &mut Subscriber<S>,
        filters: &[TopicFilter],
        wish: &Wish,
    ) {
        for filter in filters {
            subscriber.filters.set(filter, wish.clone());
        }
        self.retarget(id, subscriber, filters);
    }

    /// Works out anew how `id` is served by the channels that `filters` match.
    fn retarget(&mut self, id: SubscriberId, subscriber: &Subscriber<S>, filters: &[TopicFilter]) {
        let newest = self.offset;
        self.channels.matching_mut(filters, |name, channel| {
            match subscriber.wish(name, channel.kind) {
                Some(wish) => channel.serve(name, id, subscriber.sink.clone(), wish, newest),
                None => {
                    channel.remove(id);
                    subscriber.sink.withdraw(name);
                }
            }
        });
    }

    /// Sends the values of the channels that `filters` match.
    pub(super) fn send_values(
        &self,
        subscriber: &Subscriber<S>,
        filters: &[TopicFilter],
        wish: &Wish,
    ) {
        self.channels.matching(filters, |name, channel| {
            if let Some((stamp, data)) = &channel.value
                && subscriber.rights.may_see(name)
                && let Some(data) = wish.on(channel.kind).part(data)
            {
                subscriber.sink.snapshot(name, *stamp, &data);
            }
        });
        if self.topics_wanted() && filters.iter().any(reaches_topics) {
            self.send_topics(subscriber, filters, wish);
        }
    }

    /// Sends the newest message of each topic that `filters` match. Values of topics are not kept, for anybody may
    /// make any number of them: it is what memory has of the time since when somebody listens.
    fn send_topics(&self, subscriber: &Subscriber<S>, filters: &[TopicFilter], wish: &Wish) {
        let wanted = Selection::new(filters.to_vec());
        let since = self.topics_since.max(self.ring.from());
        let topics = self.ring.after(since).into_iter().flatten().filter(|update| {
            update.kind == ChannelKind::Topics
                && wanted.matches(update.channel.as_str())
                && subscriber.rights.may_see(&update.channel)
        });
        let newest: HashMap<_, _> = topics.map(|update| (&update.channel, update)).collect();
        let mut newest: Vec<_> = newest.into_values().collect();
        newest.sort_unstable_by_key(|update| update.stamp.offset);
        for Update { channel, stamp, data, .. } in newest.into_iter().map(Arc::as_ref) {
            if let Some(data) = wish.part(data) {
                subscriber.sink.snapshot(channel, *stamp, &data);
            }
        }
    }
}
