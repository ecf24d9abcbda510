//! What one client subscribed, and which of it a message meets. Pure.

use super::{counters::Counters, share};
use crate::exchange::{Interest, Message, Share};
use bridge::event::ConnectionId;
use protocol::TopicFilter;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A granted filter with its options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub(super) filter: TopicFilter,
    /// The name of the share; none: the subscription is the client's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) share: Option<Box<str>>,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    /// MQTT 5 Subscription Identifier.
    pub(super) identifier: Option<u32>,
    /// How messages for it come.
    pub(super) source: Source,
    /// What was retained up to this one came, or comes, as retained, and not once more live; 0: nothing did.
    #[serde(skip)]
    pub(super) retained_through: u64,
}

impl Subscription {
    /// Whether `message`, on a topic that matches, has come to it as retained, or is older than what has.
    fn has_had(&self, message: &Message) -> bool {
        (1..=self.retained_through).contains(&message.retained_as)
    }

    /// Whether this is what a client calls `text`.
    fn is(&self, text: &str) -> bool {
        match &self.share {
            None => self.filter.as_str() == text,
            Some(name) => share::parts(text) == Some((Some(&**name), self.filter.as_str())),
        }
    }

    /// What the link follows for it.
    pub(super) fn interest(&self) -> Interest {
        let (filter, name) = (self.filter.clone(), self.share.clone());
        match name {
            None => Interest::Own(filter),
            Some(name) => Interest::Shared(Arc::new(Share { name, filter })),
        }
    }
}

/// How the messages of a subscription come to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// Through the exchange.
    Link,
    /// From the core, or from whoever publishes by hand: the device's own down topics.
    Own,
}

/// How a message is delivered to a client it matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grant {
    /// The highest QoS of the filters that match.
    pub(super) qos: u8,
    /// RETAIN as the subscription wants it on a message that is not retained-for-you.
    pub(super) retain: bool,
    /// The identifiers of all filters that match.
    pub(super) identifiers: Vec<u32>,
}

/// The subscriptions of one client.
#[derive(Debug)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    /// Counts all subscriptions there are.
    counters: Arc<Counters>,
}

impl Subscriptions {
    pub(super) const fn new(counters: Arc<Counters>) -> Self {
        Self { all: Vec::new(), counters }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscription> {
        self.all.iter()
    }

    pub(super) fn get(&self, filter: &str) -> Option<&Subscription> {
        self.all.iter().find(|known| known.is(filter))
    }

    /// The filters that are the client's alone.
    pub(super) fn filters(&self) -> impl Iterator<Item = &TopicFilter> + Clone {
        self.all.iter().filter(|known| known.share.is_none()).map(|known| &known.filter)
    }

    /// Whether some subscription's messages come by `source`.
    pub(super) fn any(&self, source: Source) -> bool {
        self.all.iter().any(|known| known.source == source)
    }

    /// Adds `subscription` or takes its options over; tells whether the filter was there already.
    pub(super) fn insert(&mut self, subscription: Subscription) -> bool {
        match self.known(&subscription) {
            Some(known) => {
                *known = subscription;
                true
            }
            None => {
                self.counters.comes(&subscription);
                if self.all.is_empty() {
                    // Most devices have one and keep it.
                    self.all.reserve_exact(1);
                }
                self.all.push(subscription);
                false
            }
        }
    }

    /// What is retained up to this one comes to `subscription` as retained.
    pub(super) fn note_retained(&mut self, subscription: &Subscription, through: u64) {
        if let Some(known) = self.known(subscription) {
            known.retained_through = through;
        }
    }

    /// The one to the same filter, by the same share.
    fn known(&mut self, subscription: &Subscription) -> Option<&mut Subscription> {
        let mut all = self.all.iter_mut();
        all.find(|it| it.filter == subscription.filter && it.share == subscription.share)
    }

    /// Removes the subscription to `filter`.
    pub(super) fn remove(&mut self, filter: &str) -> Option<Subscription> {
        let at = self.all.iter().position(|known| known.is(filter))?;
        let removed = self.all.swap_remove(at);
        self.counters.goes(&removed);
        Some(removed)
    }

    /// How a message that came by `share` is delivered; none: the client has left the share.
    pub(super) fn select_shared(&self, message: &Message, share: &Share) -> Option<Grant> {
        let same = |known: &&Subscription| {
            known.share.as_deref() == Some(&*share.name) && known.filter == share.filter
        };
        let known = self.all.iter().find(same)?;
        Some(Grant {
            qos: known.qos,
            retain: known.retain_as_published && message.retain,
            identifiers: known.identifier.into_iter().collect(),
        })
    }

    /// How `message`, which came by `source`, is delivered to `me`; none: it is not.
    ///
    /// A message that an [`Source::Own`] subscription matches comes twice, by both sources; only the
    /// one by [`Source::Own`] counts.
    pub(super) fn select(
        &self,
        message: &Message,
        source: Source,
        me: ConnectionId,
    ) -> Option<Grant> {
        let topic = message.topic.as_str();
        let mut grant: Option<Grant> = None;
        let matching = |known: &&Subscription| known.share.is_none() && known.filter.matches(topic);
        for known in self.all.iter().filter(matching) {
            if known.source == Source::Own && source == Source::Link {
                return None;
            }
            if (known.no_local && message.publisher == Some(me)) || known.has_had(message) {
                continue;
            }
            let grant = grant.get_or_insert_default();
            grant.qos = grant.qos.max(known.qos);
            grant.retain |= known.retain_as_published && message.retain;
            grant.identifiers.extend(known.identifier);
        }
        grant
    }
}

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.all.iter().for_each(|gone| self.counters.goes(gone));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ConnectionId = ConnectionId(1);

    fn message(topic: &str) -> Message {
        Message {
            topic: topic.parse().unwrap(),
            payload: "x".into(),
            qos: 1,
            retain: true,
            publisher: Some(ME),
            served: None,
            retained_as: 0,
            properties: crate::exchange::Properties::default(),
        }
    }

    fn subscription(filter: &str, qos: u8, identifier: u32) -> Subscription {
        Subscription {
            filter: filter.parse().unwrap(),
            share: None,
            qos,
            no_local: false,
            retain_as_published: false,
            identifier: Some(identifier),
            source: Source::Link,
            retained_through: 0,
        }
    }

    #[test]
    fn overlapping_filters_give_the_highest_qos_and_all_identifiers() {
        let mut all = Subscriptions::new(Arc::default());
        all.insert(subscription("a/#", 0, 7));
        all.insert(subscription("a/+", 2, 8));
        all.insert(subscription("b", 1, 9));
        assert_eq!(
            all.select(&message("a/x"), Source::Link, ME),
            Some(Grant { qos: 2, retain: false, identifiers: vec![7, 8] })
        );
        assert_eq!(all.select(&message("c"), Source::Link, ME), None);
    }

    #[test]
    fn no_local_hides_only_what_the_client_itself_published() {
        let mut all = Subscriptions::new(Arc::default());
        all.insert(Subscription { no_local: true, ..subscription("a", 1, 1) });
        assert_eq!(all.select(&message("a"), Source::Link, ME), None);
        assert!(all.select(&message("a"), Source::Link, ConnectionId(2)).is_some());
    }

    #[test]
    fn retain_stays_only_where_it_is_wanted_as_published() {
        let mut all = Subscriptions::new(Arc::default());
        all.insert(Subscription { retain_as_published: true, ..subscription("a", 1, 1) });
        assert!(all.select(&message("a"), Source::Link, ME).unwrap().retain);
    }

    #[test]
    fn what_came_as_retained_does_not_come_live() {
        let mut all = Subscriptions::new(Arc::default());
        all.insert(subscription("a", 1, 1));
        all.note_retained(&subscription("a", 1, 1), 5);
        let comes = |retained_as: u64| {
            let message = Message { retained_as, ..message("a") };
            all.select(&message, Source::Link, ME).is_some()
        };
        assert_eq!([0, 1, 5, 6].map(comes), [true, false, false, true]);
    }

    #[test]
    fn a_filter_subscribed_again_takes_the_new_options() {
        let mut all = Subscriptions::new(Arc::default());
        assert!(!all.insert(subscription("a", 0, 1)));
        assert!(all.insert(subscription("a", 2, 2)));
        assert_eq!(all.len(), 1);
        assert_eq!(all.select(&message("a"), Source::Link, ME).unwrap().qos, 2);
    }

    #[test]
    fn a_share_is_a_subscription_of_its_own() {
        let counters: Arc<Counters> = Arc::default();
        let mut all = Subscriptions::new(counters.clone());
        all.insert(subscription("a", 0, 1));
        all.insert(Subscription { share: Some("g".into()), ..subscription("a", 2, 2) });
        assert_eq!(counters.subscriptions_now.get(), 2);
        assert_eq!(counters.shared_subscriptions_now.get(), 1);
        let share = |name: &str| Share { name: name.into(), filter: "a".parse().unwrap() };
        assert_eq!(all.select(&message("a"), Source::Link, ME).unwrap().identifiers, [1]);
        assert_eq!(all.select_shared(&message("a"), &share("g")).unwrap().identifiers, [2]);
        assert_eq!(all.select_shared(&message("a"), &share("h")), None);
        assert_eq!(all.get("$share/g/a").unwrap().qos, 2);
        assert!(all.remove("$share/h/a").is_none() && all.remove("$share/g/a").is_some());
        assert_eq!(all.get("a").unwrap().qos, 0);
        drop(all);
        assert_eq!(counters.subscriptions_now.get(), 0);
    }

    #[test]
    fn a_message_to_an_own_topic_counts_by_its_own_way_only() {
        let mut all = Subscriptions::new(Arc::default());
        all.insert(Subscription { source: Source::Own, ..subscription("d/+", 1, 1) });
        all.insert(subscription("#", 0, 2));
        assert_eq!(all.select(&message("d/x"), Source::Link, ME), None);
        assert_eq!(all.select(&message("d/x"), Source::Own, ME).unwrap().identifiers, [1, 2]);
        assert!(all.select(&message("e"), Source::Link, ME).is_some());
    }
}
