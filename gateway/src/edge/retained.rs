//! Retained messages: the last one of each topic whose publisher set RETAIN.
//!
//! In memory. Everything goes through [`Retained::keep`] and [`Retained::matching`], so that they can
//! move to the disk without anybody noticing.

use crate::exchange::Message;
use protocol::{TopicFilter, TopicName, levels};
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

/// All retained messages, bounded in number and bytes.
#[derive(Debug)]
pub(super) struct Retained {
    messages_max: usize,
    bytes_max: usize,
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_topic: BTreeMap<TopicName, Arc<Message>>,
    bytes: usize,
}

/// The bounds are reached: the message is not retained, an older one on its topic is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Retained {
    pub(super) fn new(messages_max: u32, bytes_max: u32) -> Self {
        let (messages_max, bytes_max) = (messages_max as usize, bytes_max as usize);
        Self { messages_max, bytes_max, kept: RwLock::default() }
    }

    /// Keeps `message` in the place of an older one on its topic; an empty payload only removes that.
    pub(super) fn keep(&self, message: Arc<Message>) -> Result<(), Full> {
        let mut kept = self.kept.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(old) = kept.by_topic.remove(&message.topic) {
            kept.bytes -= bytes(&old);
        }
        if message.payload.is_empty() {
            return Ok(());
        }
        let bytes_after = kept.bytes + bytes(&message);
        if kept.by_topic.len() >= self.messages_max || bytes_after > self.bytes_max {
            return Err(Full);
        }
        kept.bytes = bytes_after;
        kept.by_topic.insert(message.topic.clone(), message);
        Ok(())
    }

    /// The retained messages whose topic `filter` matches, by topic.
    pub(super) fn matching(&self, filter: &TopicFilter) -> Vec<Arc<Message>> {
        let kept = self.kept.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fixed = fixed_part(filter);
        let Ok(from) = fixed.parse::<TopicName>() else {
            return matches(kept.by_topic.iter(), filter);
        };
        let within = kept.by_topic.range(from..);
        matches(within.take_while(|(topic, _)| topic.as_str().starts_with(&fixed)), filter)
    }
}

fn bytes(message: &Message) -> usize {
    message.topic.as_str().len() + message.payload.len()
}

/// The levels before the first wildcard: every topic that matches starts with them.
fn fixed_part(filter: &TopicFilter) -> String {
    let fixed = levels(filter.as_str()).take_while(|level| !["+", "#"].contains(level));
    fixed.collect::<Vec<_>>().join("/")
}

fn matches<'a>(
    all: impl Iterator<Item = (&'a TopicName, &'a Arc<Message>)>,
    filter: &TopicFilter,
) -> Vec<Arc<Message>> {
    all.filter(|(topic, _)| filter.matches(topic.as_str())).map(|(_, kept)| kept.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(topic: &str, payload: &str) -> Arc<Message> {
        Arc::new(Message {
            topic: topic.parse().unwrap(),
            payload: payload.to_owned().into(),
            qos: 1,
            retain: true,
            publisher: None,
            served: None,
            properties: crate::exchange::Properties::default(),
        })
    }

    fn found(retained: &Retained, filter: &str) -> Vec<String> {
        let found = retained.matching(&filter.parse().unwrap());
        found.iter().map(|kept| kept.topic.to_string()).collect()
    }

    #[test]
    fn the_last_message_of_a_topic_stays_until_an_empty_one() {
        let retained = Retained::new(10, 1_000);
        retained.keep(message("a/b", "1")).unwrap();
        retained.keep(message("a/b", "2")).unwrap();
        let kept = retained.matching(&"a/+".parse().unwrap());
        assert_eq!(kept.iter().map(|kept| &kept.payload[..]).collect::<Vec<_>>(), [b"2"]);
        retained.keep(message("a/b", "")).unwrap();
        assert_eq!(found(&retained, "a/+"), Vec::<String>::new());
    }

    #[test]
    fn messages_over_the_bounds_are_refused_and_leave_nothing_stale() {
        let retained = Retained::new(2, 10);
        retained.keep(message("a", "1")).unwrap();
        retained.keep(message("b", "1")).unwrap();
        assert_eq!(retained.keep(message("c", "1")), Err(Full));
        assert_eq!(retained.keep(message("b", "123456789")), Err(Full));
        assert_eq!(found(&retained, "#"), ["a"]);
        retained.keep(message("c", "1")).unwrap();
    }

    proptest! {
        #[test]
        fn what_matches_is_found(
            topics in prop::collection::vec("[ab$]?(/[ab]?){0,2}", 1..8),
            filter in "[ab+$]?(/[ab+]?){0,2}(/#)?",
        ) {
            prop_assume!(!filter.is_empty() && topics.iter().all(|topic| !topic.is_empty()));
            let retained = Retained::new(100, 10_000);
            for topic in &topics {
                retained.keep(message(topic, "x")).unwrap();
            }
            let parsed: TopicFilter = filter.parse().unwrap();
            let mut expected: Vec<_> = topics.into_iter().filter(|t| parsed.matches(t)).collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(found(&retained, &filter), expected);
        }
    }
}
