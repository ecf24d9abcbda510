//! One subscriber: what it may see, which channels it wants and how, and what it waits for of the past.

use super::{catchup::Job, filters::Filters, wish::Wish};
use crate::{
    rights::{Member, Rights},
    update::ChannelKind,
};
use protocol::{TopicFilter, TopicName};
use std::{collections::VecDeque, sync::Arc};

#[derive(Debug)]
pub(super) struct Subscriber<S> {
    pub(super) sink: S,
    pub(super) rights: Rights,
    pub(super) account: Option<Arc<str>>,
    /// How many filters were counted for its account.
    pub(super) counted: usize,
    /// It was counted among those who listen to `topics/`.
    pub(super) counted_for_topics: bool,
    pub(super) filters: Filters,
    pub(super) jobs: VecDeque<Job>,
}

impl<S> Subscriber<S> {
    /// One without subscriptions.
    pub(super) fn new(sink: S, member: Member) -> Self {
        let Member { rights, account } = member;
        let (filters, jobs) = (Filters::default(), VecDeque::new());
        let counted_for_topics = false;
        Self { sink, rights, account, counted: 0, counted_for_topics, filters, jobs }
    }

    /// How many filters it has, and waits for, once `more` are added.
    pub(super) fn count_with(&self, more: &[TopicFilter]) -> usize {
        let waiting = self.jobs.iter().map(Job::filters).sum::<usize>();
        let added = more.iter().filter(|filter| !self.filters.has(filter)).count();
        self.filters.len() + waiting + added
    }

    /// Whether a channel under `topics/` can come to it, also once it has been sent what it missed.
    pub(super) fn reaches_topics(&self) -> bool {
        self.filters.iter().any(reaches_topics) || self.jobs.iter().any(Job::reaches_topics)
    }

    /// How a channel comes to it: by the filter that gives most.
    pub(super) fn wish(&self, channel: &TopicName, kind: ChannelKind) -> Option<Wish> {
        if !self.rights.may_see(channel) {
            return None;
        }
        let mut most: Option<Wish> = None;
        self.filters.matching(channel.as_str(), |wish| {
            let wish = wish.on(kind);
            most = Some(match most.take() {
                Some(known) => known.most(wish),
                None => wish,
            });
        });
        most
    }
}

/// Whether a filter can match a channel under `topics/`.
pub(super) fn reaches_topics(filter: &TopicFilter) -> bool {
    matches!(protocol::levels(filter.as_str()).next(), Some("topics" | "+" | "#"))
}
