//! Which links want what: filters as the router knows them, and the links behind each.
//!
//! Pure bookkeeping. The router matches topics with filters; here a filter leads to its links. A filter is
//! given to the router once, however many links have it.

use super::{index::Index, router::Hit};
use protocol::TopicFilter;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroUsize,
};

/// A link; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LinkId(pub(super) u64);

/// A filter in the router; never used twice. rumqttd carries it as a Subscription Identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RouteId(pub(super) NonZeroUsize);

/// What the router must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A filter is wanted now.
    Subscribe(RouteId, TopicFilter),
    /// A filter is wanted no longer.
    Unsubscribe(TopicFilter),
}

/// Links, and the ticket from which on each wants messages.
pub(super) type Links = BTreeMap<LinkId, u64>;

struct Route {
    filter: TopicFilter,
    /// Who wants just this.
    links: Links,
    /// In the route of everything: who wants what the router was not given.
    beyond: Index,
    /// The log's next offset; none before the first message.
    next_offset: Option<u64>,
}

/// All filters and their links.
pub(super) struct Routes {
    routes: BTreeMap<RouteId, Route>,
    by_filter: HashMap<TopicFilter, RouteId>,
    next_id: NonZeroUsize,
    /// What the router was given and never forgets.
    given: HashSet<TopicFilter>,
    filters_max: usize,
    everything: TopicFilter,
}

impl Routes {
    /// Nothing wanted yet; a router is given up to `filters_max` distinct filters as they are, what comes beyond
    /// joins the route of everything (`#`).
    pub(super) fn new(filters_max: usize) -> Self {
        Self {
            routes: BTreeMap::new(),
            by_filter: HashMap::new(),
            next_id: NonZeroUsize::MIN,
            given: HashSet::new(),
            filters_max,
            everything: "#".parse().expect("# is a filter"),
        }
    }

    /// `link` wants what matches `filter` from the message with ticket `since` on.
    pub(super) fn add(&mut self, link: LinkId, filter: &TopicFilter, since: u64) -> Option<Change> {
        let joins = self.given.len() >= self.filters_max && !self.given.contains(filter);
        let place = if joins { self.everything.clone() } else { filter.clone() };
        let (id, change) = match self.by_filter.get(&place) {
            Some(id) => (*id, None),
            None => self.open(place),
        };
        let route = self.routes.get_mut(&id).expect("every filter has its route");
        if route.filter == *filter {
            route.links.insert(link, since);
        } else {
            route.beyond.insert(filter, link, since);
        }
        change
    }

    /// `link` wants `filter` no longer.
    pub(super) fn remove(&mut self, link: LinkId, filter: &TopicFilter) -> Vec<Change> {
        let own = self.remove_from(filter, |route| {
            route.links.remove(&link);
        });
        let everything = self.everything.clone();
        let beyond = self.remove_from(&everything, |route| route.beyond.remove(filter, link));
        own.into_iter().chain(beyond).collect()
    }

    /// Everything a new router must be told; the logs' offsets begin anew.
    pub(super) fn restore(&mut self) -> Vec<Change> {
        for route in self.routes.values_mut() {
            route.next_offset = None;
        }
        self.given = self.by_filter.keys().cloned().collect();
        let routes = self.routes.iter();
        routes.map(|(id, route)| Change::Subscribe(*id, route.filter.clone())).collect()
    }

    /// Notes that `hit` came and says how many before it did not.
    pub(super) fn missed(&mut self, hit: &Hit) -> usize {
        let Some(route) = self.routes.get_mut(&hit.route) else { return 0 };
        let expected = route.next_offset.replace(hit.offset + 1).unwrap_or(hit.offset);
        usize::try_from(hit.offset.saturating_sub(expected)).unwrap_or(usize::MAX)
    }

    /// The links that want the message of `hit`, which is on `topic`; the same link may come more than once.
    ///
    /// Asks the filter again on the real topic: to the router `$SYS/x` is like any other topic.
    pub(super) fn links(&self, hit: &Hit, topic: &str) -> impl Iterator<Item = LinkId> {
        let route = self.routes.get(&hit.route);
        let own = route.filter(|route| route.filter.matches(topic)).map(|route| &route.links);
        let own = own.into_iter().flatten().map(|(link, since)| (*link, *since));
        let beyond = route.filter(|route| !route.beyond.is_empty());
        let beyond = beyond.map(|route| route.beyond.find(topic)).unwrap_or_default();
        let ticket = hit.ticket;
        own.chain(beyond).filter(move |(_, since)| *since <= ticket).map(|(link, _)| link)
    }

    fn open(&mut self, filter: TopicFilter) -> (RouteId, Option<Change>) {
        let id = RouteId(self.next_id);
        self.next_id = self.next_id.checked_add(1).expect("nobody subscribes 2^64 times");
        let (links, beyond) = (Links::new(), Index::default());
        let route = Route { filter: filter.clone(), links, beyond, next_offset: None };
        self.routes.insert(id, route);
        self.given.insert(filter.clone());
        self.by_filter.insert(filter.clone(), id);
        (id, Some(Change::Subscribe(id, filter)))
    }

    /// Has the route of `place` changed, and closed where nobody wants it any more.
    fn remove_from(
        &mut self,
        place: &TopicFilter,
        change: impl FnOnce(&mut Route),
    ) -> Option<Change> {
        let id = *self.by_filter.get(place)?;
        let route = self.routes.get_mut(&id)?;
        change(route);
        if !route.links.is_empty() || !route.beyond.is_empty() {
            return None;
        }
        self.routes.remove(&id);
        self.by_filter.remove(place);
        Some(Change::Unsubscribe(place.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: LinkId = LinkId(1);
    const TWO: LinkId = LinkId(2);

    fn filter(text: &str) -> TopicFilter {
        text.parse().unwrap()
    }

    fn id(change: Option<Change>) -> RouteId {
        match change {
            Some(Change::Subscribe(id, _)) => id,
            Some(Change::Unsubscribe(_)) | None => panic!("no new route: {change:?}"),
        }
    }

    fn links(routes: &Routes, route: RouteId, ticket: u64, topic: &str) -> Vec<LinkId> {
        routes.links(&Hit { ticket, route, offset: 0 }, topic).collect()
    }

    #[test]
    fn the_router_is_told_of_a_filter_once_and_when_the_last_link_goes() {
        let mut routes = Routes::new(10);
        let route = id(routes.add(ONE, &filter("a/+"), 0));
        assert_eq!(routes.add(TWO, &filter("a/+"), 0), None);
        assert_eq!(links(&routes, route, 0, "a/b"), [ONE, TWO]);
        assert_eq!(routes.remove(ONE, &filter("a/+")), []);
        assert_eq!(links(&routes, route, 0, "a/b"), [TWO]);
        assert_eq!(routes.remove(TWO, &filter("a/+")), [Change::Unsubscribe(filter("a/+"))]);
        assert_eq!(links(&routes, route, 0, "a/b"), []);
    }

    #[test]
    fn a_link_gets_nothing_from_before_its_subscription() {
        let mut routes = Routes::new(10);
        let route = id(routes.add(ONE, &filter("a"), 5));
        assert_eq!(routes.add(TWO, &filter("a"), 7), None);
        assert_eq!(links(&routes, route, 6, "a"), [ONE]);
        assert_eq!(links(&routes, route, 7, "a"), [ONE, TWO]);
    }

    #[test]
    fn filters_beyond_the_bound_share_the_route_of_everything() {
        let mut routes = Routes::new(1);
        routes.add(ONE, &filter("a"), 0);
        let everything = id(routes.add(ONE, &filter("b"), 0));
        assert_eq!(routes.add(TWO, &filter("c"), 0), None);
        assert_eq!(routes.add(TWO, &filter("#"), 0), None);
        assert_eq!(links(&routes, everything, 0, "b"), [TWO, ONE]);
        assert_eq!(links(&routes, everything, 0, "d"), [TWO]);
        assert_eq!(routes.remove(ONE, &filter("b")), []);
        assert_eq!(routes.remove(TWO, &filter("c")), []);
        assert_eq!(routes.remove(TWO, &filter("#")), [Change::Unsubscribe(filter("#"))]);
    }

    #[test]
    fn filters_that_come_and_go_give_the_router_no_more_than_the_bound() {
        let mut routes = Routes::new(2);
        let mut given = HashSet::new();
        for number in 0..100 {
            let fickle = filter(&format!("a/{number}"));
            if let Some(Change::Subscribe(_, filter)) = routes.add(ONE, &fickle, 0) {
                given.insert(filter);
            }
            routes.remove(ONE, &fickle);
        }
        assert_eq!(given, [filter("a/0"), filter("a/1"), filter("#")].into());
        // A new router knows none of them.
        assert_eq!(routes.restore(), []);
        assert!(matches!(
            routes.add(ONE, &filter("b"), 0),
            Some(Change::Subscribe(_, told)) if told == filter("b")
        ));
    }

    #[test]
    fn holes_in_a_log_are_counted_until_a_new_router_begins_anew() {
        let mut routes = Routes::new(1);
        let route = id(routes.add(ONE, &filter("a"), 0));
        let mut missed = |offset| routes.missed(&Hit { ticket: 0, route, offset });
        assert_eq!((missed(3), missed(4), missed(8), missed(9)), (0, 0, 3, 0));
        assert_eq!(routes.restore(), [Change::Subscribe(route, filter("a"))]);
        assert_eq!(routes.missed(&Hit { ticket: 0, route, offset: 0 }), 0);
    }
}
