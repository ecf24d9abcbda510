//! What one client subscribed, and which of it a message meets. Pure.

use crate::exchange::Message;
use bridge::event::ConnectionId;
use protocol::TopicFilter;

/// A granted filter with its options.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) filter: TopicFilter,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    /// MQTT 5 Subscription Identifier.
    pub(super) identifier: Option<u32>,
    /// How messages for it come.
    pub(super) source: Source,
}

/// How the messages of a subscription come to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Debug, Default)]
pub(super) struct Subscriptions(Vec<Subscription>);

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, filter: &str) -> Option<&Subscription> {
        self.0.iter().find(|known| known.filter.as_str() == filter)
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &TopicFilter> + Clone {
        self.0.iter().map(|known| &known.filter)
    }

    /// Whether some subscription's messages come by `source`.
    pub(super) fn any(&self, source: Source) -> bool {
        self.0.iter().any(|known| known.source == source)
    }

    /// Adds `subscription` or takes its options over; tells whether the filter was there already.
    pub(super) fn insert(&mut self, subscription: Subscription) -> bool {
        match self.0.iter_mut().find(|known| known.filter == subscription.filter) {
            Some(known) => {
                *known = subscription;
                true
            }
            None => {
                self.0.push(subscription);
                false
            }
        }
    }

    /// Removes the subscription to `filter`.
    pub(super) fn remove(&mut self, filter: &str) -> Option<Subscription> {
        let at = self.0.iter().position(|known| known.filter.as_str() == filter)?;
        Some(self.0.swap_remove(at))
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
        for known in self.0.iter().filter(|known| known.filter.matches(topic)) {
            if known.source == Source::Own && source == Source::Link {
                return None;
            }
            if known.no_local && message.publisher == Some(me) {
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
            properties: crate::exchange::Properties::default(),
        }
    }

    fn subscription(filter: &str, qos: u8, identifier: u32) -> Subscription {
        Subscription {
            filter: filter.parse().unwrap(),
            qos,
            no_local: false,
            retain_as_published: false,
            identifier: Some(identifier),
            source: Source::Link,
        }
    }

    #[test]
    fn overlapping_filters_give_the_highest_qos_and_all_identifiers() {
        let mut all = Subscriptions::default();
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
        let mut all = Subscriptions::default();
        all.insert(Subscription { no_local: true, ..subscription("a", 1, 1) });
        assert_eq!(all.select(&message("a"), Source::Link, ME), None);
        assert!(all.select(&message("a"), Source::Link, ConnectionId(2)).is_some());
    }

    #[test]
    fn retain_stays_only_where_it_is_wanted_as_published() {
        let mut all = Subscriptions::default();
        all.insert(Subscription { retain_as_published: true, ..subscription("a", 1, 1) });
        assert!(all.select(&message("a"), Source::Link, ME).unwrap().retain);
    }

    #[test]
    fn a_filter_subscribed_again_takes_the_new_options() {
        let mut all = Subscriptions::default();
        assert!(!all.insert(subscription("a", 0, 1)));
        assert!(all.insert(subscription("a", 2, 2)));
        assert_eq!(all.len(), 1);
        assert_eq!(all.select(&message("a"), Source::Link, ME).unwrap().qos, 2);
    }

    #[test]
    fn a_message_to_an_own_topic_counts_by_its_own_way_only() {
        let mut all = Subscriptions::default();
        all.insert(Subscription { source: Source::Own, ..subscription("d/+", 1, 1) });
        all.insert(subscription("#", 0, 2));
        assert_eq!(all.select(&message("d/x"), Source::Link, ME), None);
        assert_eq!(all.select(&message("d/x"), Source::Own, ME).unwrap().identifiers, [1, 2]);
        assert!(all.select(&message("e"), Source::Link, ME).is_some());
    }
}
