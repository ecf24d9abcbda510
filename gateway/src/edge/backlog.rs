//! Retained messages for a new subscription: sent as fast as the client takes them, however many there are. They wait
//! where they are retained until its outbox has room.

use super::{outbox::Room, shared::Shared, subscriptions::Subscription};
use crate::exchange::Message;
use protocol::{TopicFilter, TopicName, levels};
use std::{collections::BTreeMap, ops::Bound, sync::Arc};

/// How many topics are looked at for messages at once.
const TOPICS_AT_ONCE: usize = 1_000;

/// Retained messages by topic.
pub(super) type ByTopic = BTreeMap<TopicName, Arc<Message>>;

/// Subscriptions whose retained messages have not all been sent.
#[derive(Debug, Default)]
pub(super) struct Backlog(Vec<Wanted>);

/// A subscription whose retained messages are wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) filter: TopicFilter,
    pub(super) qos: u8,
    pub(super) identifier: Option<u32>,
    /// Only those that were retained up to this one: the later come live.
    through: u64,
    from: From,
    place: Place,
}

/// Where messages are retained, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// What is desired of devices.
    Desired,
    /// What clients published.
    Retained,
}

/// Where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The last topic that was looked at.
    after: Option<TopicName>,
    /// The bytes of the next message, where it had no room.
    needed_bytes: usize,
}

/// Some of the retained messages that match a filter.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) messages: Vec<Arc<Message>>,
    /// None: these are the last.
    pub(super) next: Option<Place>,
}

impl Wanted {
    pub(super) fn new(subscription: &Subscription, through: u64) -> Self {
        let Subscription { filter, qos, identifier, .. } = subscription.clone();
        Self { filter, qos, identifier, through, from: From::Desired, place: Place::default() }
    }

    fn page(&self, shared: &Shared, room: Room) -> Page {
        match self.from {
            From::Desired => shared.desired.page(&self.filter, &self.place, room),
            // What is desired is the gateway's, whatever clients published there.
            From::Retained => {
                let mut page = shared.retained.page(&self.filter, &self.place, room);
                page.messages.retain(|message| {
                    message.retained_as <= self.through
                        && shared.desired.on(message.topic.as_str()).is_none()
                });
                page
            }
        }
    }

    /// Goes on behind what was found; false: there is nothing more.
    fn go_on(&mut self, next: Option<Place>) -> bool {
        match (next, self.from) {
            (Some(next), _) => self.place = next,
            (None, From::Desired) => (self.from, self.place) = (From::Retained, Place::default()),
            (None, From::Retained) => return false,
        }
        true
    }
}

impl Backlog {
    /// How much room the next message needs, as far as that is known; none: there is nothing to send.
    pub(super) fn needed_bytes(&self) -> Option<usize> {
        self.0.first().map(|wanted| wanted.place.needed_bytes)
    }

    /// Adds the retained messages of a subscription, in the place of what is still wanted of it.
    pub(super) fn add(&mut self, wanted: Wanted) {
        self.remove(&wanted.filter);
        self.0.push(wanted);
    }

    /// The subscription is gone.
    pub(super) fn remove(&mut self, filter: &TopicFilter) {
        self.0.retain(|known| known.filter != *filter);
        self.tidy();
    }

    /// An empty one, which most have, takes no memory.
    fn tidy(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    /// The next messages as far as there is room, perhaps none yet, with the subscription that wants them.
    pub(super) fn next(
        &mut self,
        shared: &Shared,
        room: Room,
    ) -> Option<(Wanted, Vec<Arc<Message>>)> {
        let wanted = self.0.first_mut()?;
        let mut page = wanted.page(shared, room);
        // Mostly nothing is desired that matches: to come back for the rest would cost each subscription a waking.
        if wanted.from == From::Desired && page.next.is_none() && page.messages.is_empty() {
            wanted.go_on(None);
            page = wanted.page(shared, room);
        }
        let told = wanted.clone();
        if !wanted.go_on(page.next) {
            self.0.remove(0);
            self.tidy();
        }
        Some((told, page.messages))
    }
}

/// The messages of `kept` from `place` on that `filter` matches, in the order of their topics, as far as there is room.
pub(super) fn page(kept: &ByTopic, filter: &TopicFilter, place: &Place, room: Room) -> Page {
    page_of(kept, filter, place, room, TOPICS_AT_ONCE)
}

fn page_of(
    kept: &ByTopic,
    filter: &TopicFilter,
    place: &Place,
    mut room: Room,
    topics_max: usize,
) -> Page {
    let fixed = fixed_part(filter);
    let first: Option<TopicName> = fixed.parse().ok();
    let from = match (&place.after, &first) {
        (Some(after), _) => Bound::Excluded(after),
        (None, Some(first)) => Bound::Included(first),
        (None, None) => Bound::Unbounded,
    };
    let mut messages = Vec::new();
    let mut after = place.after.as_ref();
    let here = kept.range((from, Bound::Unbounded));
    let here = here.take_while(|(topic, _)| topic.as_str().starts_with(&fixed));
    for (looked_at, (topic, message)) in here.enumerate() {
        let matches = filter.matches(topic.as_str());
        let needed_bytes = if matches { message.payload.len() } else { 0 };
        if looked_at >= topics_max || (matches && !room.take(needed_bytes)) {
            return Page { messages, next: Some(Place { after: after.cloned(), needed_bytes }) };
        }
        if matches {
            messages.push(Arc::clone(message));
        }
        after = Some(topic);
    }
    Page { messages, next: None }
}

/// The levels before the first wildcard: every topic that matches starts with them.
fn fixed_part(filter: &TopicFilter) -> String {
    let fixed = levels(filter.as_str()).take_while(|level| !["+", "#"].contains(level));
    fixed.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::{super::retained::tests::message, *};
    use proptest::prelude::*;

    fn kept<'a>(topics: impl IntoIterator<Item = &'a str>, payload: &str) -> ByTopic {
        let messages = topics.into_iter().map(|topic| message(topic, payload));
        messages.map(|message| (message.topic.clone(), Arc::new(message))).collect()
    }

    /// The topics of each page, of three topics at most.
    fn pages(kept: &ByTopic, filter: &str, room: Room) -> Vec<Vec<String>> {
        let (filter, mut place, mut pages) =
            (filter.parse().unwrap(), Place::default(), Vec::new());
        loop {
            let page = page_of(kept, &filter, &place, room, 3);
            pages.push(page.messages.iter().map(|message| message.topic.to_string()).collect());
            let Some(next) = page.next else { return pages };
            assert_ne!(next, place, "it goes on");
            place = next;
        }
    }

    #[test]
    fn a_page_takes_what_has_room_and_the_next_goes_on_behind_it() {
        let kept = kept(["a", "b", "c"], "12345");
        let room = |messages, bytes| Room { messages, bytes, any: false };
        assert_eq!(pages(&kept, "#", room(2, 100)), [vec!["a", "b"], vec!["c"]]);
        assert_eq!(pages(&kept, "#", room(9, 14)), [vec!["a", "b"], vec!["c"]]);
        let page = page(&kept, &"#".parse().unwrap(), &Place::default(), room(9, 4));
        assert_eq!(page.messages.len(), 0);
        assert_eq!(page.next, Some(Place { after: None, needed_bytes: 5 }));
        assert!(!room(9, 4).has(5));
    }

    #[test]
    fn where_nothing_is_held_one_message_of_any_size_has_room() {
        let kept = kept(["a", "b"], "12345");
        let room = Room { messages: 9, bytes: 4, any: true };
        assert_eq!(pages(&kept, "#", room), [["a"], ["b"]]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_matches_is_found(
            topics in prop::collection::vec("[ab$]?(/[ab]?){0,2}", 1..8),
            filter in "[ab+$]?(/[ab+]?){0,2}(/#)?",
        ) {
            prop_assume!(!filter.is_empty() && topics.iter().all(|topic| !topic.is_empty()));
            let kept = kept(topics.iter().map(String::as_str), "x");
            let parsed: TopicFilter = filter.parse().unwrap();
            let mut expected: Vec<_> = topics.into_iter().filter(|t| parsed.matches(t)).collect();
            expected.sort();
            expected.dedup();
            let found = pages(&kept, &filter, Room { messages: 2, bytes: 1, any: true });
            prop_assert_eq!(found.concat(), expected);
        }
    }
}
