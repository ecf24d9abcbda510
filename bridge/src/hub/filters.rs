//! Many filters at once: which of them match a channel is found level by level, not filter by filter. So a subscriber
//! with a thousand filters delays nobody when a channel is new, or when it subscribes under a hundred thousand.

use super::wish::Wish;
use protocol::{TopicFilter, levels};
use std::collections::{HashMap, HashSet};

/// Up to so many filters are looked at one by one: less memory, and no slower.
const FEW: usize = 8;

/// A subscriber's filters, each once, and how it wants what they match.
#[derive(Debug, Default)]
pub(super) struct Filters {
    list: Vec<(TopicFilter, Wish)>,
    index: Option<Box<Index>>,
}

impl Filters {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &TopicFilter> {
        self.list.iter().map(|(filter, _)| filter)
    }

    pub(super) fn has(&self, filter: &TopicFilter) -> bool {
        self.place(filter).is_some()
    }

    /// Adds a filter, or gives it a new wish.
    pub(super) fn set(&mut self, filter: &TopicFilter, wish: Wish) {
        if let Some((_, old)) = self.place(filter).and_then(|place| self.list.get_mut(place)) {
            *old = wish;
            return;
        }
        self.list.push((filter.clone(), wish));
        match &mut self.index {
            Some(index) => index.add(filter, self.list.len() - 1),
            None => self.index = Index::of(self.list.iter().map(|(filter, _)| filter)),
        }
    }

    /// Removes those that are there.
    pub(super) fn remove(&mut self, filters: &[TopicFilter]) {
        let gone: HashSet<_> = filters.iter().collect();
        self.list.retain(|(filter, _)| !gone.contains(filter));
        self.index = Index::of(self.list.iter().map(|(filter, _)| filter));
    }

    /// Calls `act` with the wish of each filter that matches a channel.
    pub(super) fn matching(&self, channel: &str, mut act: impl FnMut(&Wish)) {
        let Some(index) = &self.index else {
            let matching = self.list.iter().filter(|(filter, _)| filter.matches(channel));
            return matching.for_each(|(_, wish)| act(wish));
        };
        index.matching(channel, &mut |place| {
            if let Some((_, wish)) = self.list.get(place) {
                act(wish);
            }
        });
    }

    fn place(&self, filter: &TopicFilter) -> Option<usize> {
        match &self.index {
            Some(index) => index.place(filter),
            None => self.list.iter().position(|(known, _)| known == filter),
        }
    }
}

/// Filters that something is selected by.
#[derive(Debug)]
pub(super) struct Selection {
    filters: Vec<TopicFilter>,
    index: Option<Box<Index>>,
}

impl Selection {
    pub(super) fn new(filters: Vec<TopicFilter>) -> Self {
        let index = Index::of(filters.iter());
        Self { filters, index }
    }

    pub(super) fn filters(&self) -> &[TopicFilter] {
        &self.filters
    }

    /// Whether any of them matches a channel.
    pub(super) fn matches(&self, channel: &str) -> bool {
        let Some(index) = &self.index else {
            return self.filters.iter().any(|filter| filter.matches(channel));
        };
        let mut any = false;
        index.matching(channel, &mut |_| any = true);
        any
    }

    /// Removes those that are there.
    pub(super) fn remove(&mut self, filters: &[TopicFilter]) {
        let gone: HashSet<_> = filters.iter().collect();
        self.filters.retain(|filter| !gone.contains(filter));
        self.index = Index::of(self.filters.iter());
    }
}

/// The places of filters in a list, by their levels.
#[derive(Debug, Default)]
struct Index {
    below: HashMap<Box<str>, Index>,
    /// What follows a `+`.
    any: Option<Box<Index>>,
    /// The filter that ends here.
    ends: Option<usize>,
    /// The filter that ends here with `#`.
    rest: Option<usize>,
}

impl Index {
    /// That of a list; none where it is short.
    fn of<'a>(filters: impl ExactSizeIterator<Item = &'a TopicFilter>) -> Option<Box<Self>> {
        if filters.len() <= FEW {
            return None;
        }
        let mut index = Self::default();
        for (place, filter) in filters.enumerate() {
            index.add(filter, place);
        }
        Some(Box::new(index))
    }

    fn add(&mut self, filter: &TopicFilter, place: usize) {
        let mut node = self;
        for level in levels(filter.as_str()) {
            node = match level {
                "#" => {
                    node.rest = Some(place);
                    return;
                }
                "+" => node.any.get_or_insert_default(),
                level => node.below.entry(level.into()).or_default(),
            };
        }
        node.ends = Some(place);
    }

    fn place(&self, filter: &TopicFilter) -> Option<usize> {
        let mut node = self;
        for level in levels(filter.as_str()) {
            node = match level {
                "#" => return node.rest,
                "+" => node.any.as_deref()?,
                level => node.below.get(level)?,
            };
        }
        node.ends
    }

    /// Calls `found` with the place of each filter that matches a channel, by the rules of [`TopicFilter::matches`].
    fn matching(&self, channel: &str, found: &mut impl FnMut(usize)) {
        if !channel.starts_with('$') {
            return self.walk(levels(channel), found);
        }
        let mut below = levels(channel);
        if let Some(node) = below.next().and_then(|first| self.below.get(first)) {
            node.walk(below, found);
        }
    }

    fn walk<'a>(
        &self,
        mut below: impl Iterator<Item = &'a str> + Clone,
        found: &mut impl FnMut(usize),
    ) {
        self.rest.into_iter().for_each(&mut *found);
        let Some(level) = below.next() else {
            return self.ends.into_iter().for_each(found);
        };
        if let Some(node) = self.below.get(level) {
            node.walk(below.clone(), found);
        }
        if let Some(node) = &self.any {
            node.walk(below, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wish(rate: usize) -> Wish {
        let throttle = Some(rate as f64 + 1.0);
        Wish::of(&protocol::SubscribeOptions { throttle, ..Default::default() })
    }

    /// What tells the wishes of these tests apart.
    fn told(wish: &Wish) -> String {
        format!("{wish:?}")
    }

    fn filter() -> impl Strategy<Value = TopicFilter> {
        "([ab$+]?/){0,2}[ab+#$]?".prop_filter_map("no filter", |text| text.parse().ok())
    }

    proptest! {
        #[test]
        fn many_filters_match_as_each_of_them_does(
            filters in proptest::collection::vec(filter(), 0..40),
            removed in proptest::collection::vec(filter(), 0..8),
            channels in proptest::collection::vec("([ab$]?/){0,2}[ab$]?", 1..20),
        ) {
            let (mut all, mut list) = (Filters::default(), Vec::<(TopicFilter, Wish)>::new());
            for (rate, filter) in filters.iter().enumerate() {
                all.set(filter, wish(rate));
                list.retain(|(known, _)| known != filter);
                list.push((filter.clone(), wish(rate)));
            }
            let mut selection = Selection::new(filters.clone());
            all.remove(&removed);
            selection.remove(&removed);
            list.retain(|(filter, _)| !removed.contains(filter));
            prop_assert_eq!(all.len(), list.len());
            for filter in filters.iter().chain(&removed) {
                prop_assert_eq!(all.has(filter), list.iter().any(|(known, _)| known == filter));
            }
            for channel in channels.iter().filter(|channel| !channel.is_empty()) {
                let mut found = Vec::new();
                all.matching(channel, |wish| found.push(told(wish)));
                let matching = list.iter().filter(|(filter, _)| filter.matches(channel));
                let mut wanted: Vec<_> = matching.map(|(_, wish)| told(wish)).collect();
                found.sort();
                wanted.sort();
                prop_assert_eq!(selection.matches(channel), !wanted.is_empty());
                prop_assert_eq!(found, wanted);
            }
        }
    }
}
