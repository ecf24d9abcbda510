//! Filters as a tree of levels: a topic finds the links that want it without asking each filter. Pure.

use super::routes::{LinkId, Links};
use protocol::{TopicFilter, levels};
use std::collections::HashMap;

/// Filters, and the links behind each.
#[derive(Debug, Default)]
pub(super) struct Index {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    /// Of the filter that ends here.
    links: Links,
    /// Of the filter that goes on with `#`.
    rest: Links,
    /// What goes on with `+`.
    any: Option<Box<Node>>,
    /// What goes on with a level's own name.
    named: HashMap<Box<str>, Node>,
}

impl Index {
    /// `link` wants what matches `filter` from the message with ticket `since` on.
    pub(super) fn insert(&mut self, filter: &TopicFilter, link: LinkId, since: u64) {
        let mut node = &mut self.root;
        for level in levels(filter.as_str()) {
            node = match level {
                "#" => {
                    node.rest.insert(link, since);
                    return;
                }
                "+" => node.any.get_or_insert_default(),
                name => node.named.entry(name.into()).or_default(),
            };
        }
        node.links.insert(link, since);
    }

    /// `link` wants `filter` no longer.
    pub(super) fn remove(&mut self, filter: &TopicFilter, link: LinkId) {
        self.root.remove(levels(filter.as_str()), link);
    }

    /// Whether nobody wants anything.
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// The links that want a message on `topic`, and from which ticket on; a link comes once for each of its filters
    /// that match.
    pub(super) fn find(&self, topic: &str) -> Vec<(LinkId, u64)> {
        let mut found = Vec::new();
        let levels: Vec<&str> = levels(topic).collect();
        // A wildcard at the beginning does not stand for `$SYS` and its like `[MQTT-4.7.2-1]`.
        if topic.starts_with('$') {
            let (first, after) = levels.split_first().expect("a topic has a level");
            if let Some(node) = self.root.named.get(*first) {
                node.find(after, &mut found);
            }
        } else {
            self.root.find(&levels, &mut found);
        }
        found
    }
}

impl Node {
    fn find(&self, levels: &[&str], found: &mut Vec<(LinkId, u64)>) {
        let add = |links: &Links, found: &mut Vec<_>| {
            found.extend(links.iter().map(|(link, since)| (*link, *since)));
        };
        // `#` stands for its parent, too.
        add(&self.rest, found);
        let Some((level, after)) = levels.split_first() else { return add(&self.links, found) };
        if let Some(node) = self.named.get(*level) {
            node.find(after, found);
        }
        if let Some(node) = &self.any {
            node.find(after, found);
        }
    }

    /// Nodes that nothing needs any more go with it.
    fn remove<'a>(&mut self, mut levels: impl Iterator<Item = &'a str>, link: LinkId) {
        match levels.next() {
            None => {
                self.links.remove(&link);
            }
            Some("#") => {
                self.rest.remove(&link);
            }
            Some("+") => {
                if let Some(node) = &mut self.any {
                    node.remove(levels, link);
                }
                self.any.take_if(|node| node.is_empty());
            }
            Some(name) => {
                let Some(node) = self.named.get_mut(name) else { return };
                node.remove(levels, link);
                if node.is_empty() {
                    self.named.remove(name);
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        let Self { links, rest, any, named } = self;
        links.is_empty() && rest.is_empty() && any.is_none() && named.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn filters() -> impl Strategy<Value = TopicFilter> {
        "([ab$+é]?/){0,3}[ab$+#é]?".prop_filter_map("not a filter", |text| text.parse().ok())
    }

    fn topics() -> impl Strategy<Value = String> {
        "([ab$é]?/){0,3}[ab$é]?".prop_filter("not a topic", |text| !text.is_empty())
    }

    proptest! {
        #[test]
        fn it_finds_what_the_filters_say_and_nothing_stays_behind(
            filters in prop::collection::btree_set(filters(), 0..12),
            removed in any::<prop::sample::Index>(),
            topics in prop::collection::vec(topics(), 1..20),
        ) {
            let mut index = Index::default();
            let all: Vec<_> = filters.into_iter().zip((0..).map(LinkId)).collect();
            for (filter, link) in &all {
                index.insert(filter, *link, link.0);
            }
            let split = removed.index(all.len() + 1);
            for (filter, link) in &all[..split] {
                index.remove(filter, *link);
            }
            for topic in &topics {
                let wanted = all[split..].iter().filter(|(filter, _)| filter.matches(topic));
                let wanted: BTreeSet<_> = wanted.map(|(_, link)| (*link, link.0)).collect();
                let found = index.find(topic);
                prop_assert_eq!(found.len(), wanted.len(), "each once: {}", topic);
                prop_assert_eq!(BTreeSet::from_iter(found), wanted, "{}", topic);
            }
            for (filter, link) in &all[split..] {
                index.remove(filter, *link);
            }
            prop_assert!(index.is_empty());
        }
    }
}
