//! SUBSCRIBE and UNSUBSCRIBE: what is granted, what the link must follow, what is answered.
//!
//! The client is answered once the link follows; the core hears that the connection can receive
//! commands after the SUBACK is in the bytes to write, so that no command overtakes it.

use super::{
    batch::check_limits,
    connection::{Client, Connection, Done},
    outbox::Entry,
    publishing::is_under,
    reason::Reason,
    receives::is_down,
    subscriptions::{Grant, Source, Subscription},
    wire::{Subscribe, SubscribeEntry, suback, unsuback},
};
use crate::exchange::{Exchange, Link, Stopped};
use protocol::TopicFilter;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// The link follows the subscriptions again.
#[derive(Debug)]
pub(super) struct Linked {
    link: Option<Link>,
    answer: Answer,
}

/// What to tell the client.
#[derive(Debug)]
pub(super) enum Answer {
    /// SUBACK, and then the retained messages of these.
    Subscribed { id: u16, codes: Vec<u8>, granted: Vec<Granted> },
    /// UNSUBACK.
    Unsubscribed { id: u16, codes: Vec<Reason>, filters: Vec<String> },
}

/// A subscription that was granted.
#[derive(Debug)]
pub(super) struct Granted {
    subscription: Subscription,
    retained_wanted: bool,
}

#[derive(Debug)]
enum Change {
    Follow(TopicFilter),
    Leave(TopicFilter),
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// SUBSCRIBE came.
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) {
        let (mut codes, mut granted, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &subscribe.entries {
            match self.grant(entry, subscribe.identifier) {
                Ok(grant) => {
                    codes.push(grant.subscription.qos);
                    if grant.subscription.source == Source::Link {
                        changes.push(Change::Follow(grant.subscription.filter.clone()));
                    }
                    granted.push(grant);
                }
                Err(reason) => codes.push(reason.code()),
            }
        }
        let id = subscribe.id;
        self.change_link(changes, Answer::Subscribed { id, codes, granted });
    }

    fn grant(
        &mut self,
        entry: &SubscribeEntry<'_>,
        identifier: Option<u32>,
    ) -> Result<Granted, Reason> {
        check_limits(&self.shared, entry.filter).map_err(|_| Reason::TopicFilterInvalid)?;
        if entry.filter.starts_with("$share/") {
            return Err(Reason::SharedSubscriptionsNotSupported);
        }
        let filter: TopicFilter = entry.filter.parse().map_err(|_| Reason::TopicFilterInvalid)?;
        let known = self.session.subscriptions.get(entry.filter).is_some();
        let count_max = self.shared.limits.mqtt_subscriptions as usize;
        if !known && self.session.subscriptions.len() >= count_max {
            self.shared.counters.limit_subscriptions.increment();
            return Err(Reason::QuotaExceeded);
        }
        let own = |device| is_down(&filter, device);
        let source =
            if self.client.device.as_ref().is_some_and(own) { Source::Own } else { Source::Link };
        let subscription = Subscription {
            filter,
            qos: entry.qos,
            no_local: entry.no_local,
            retain_as_published: entry.retain_as_published,
            identifier,
            source,
        };
        self.session.subscriptions.insert(subscription.clone());
        let retained_wanted = entry.retain_handling == 0 || (entry.retain_handling == 1 && !known);
        Ok(Granted { subscription, retained_wanted })
    }

    /// UNSUBSCRIBE came.
    pub(super) fn unsubscribe(&mut self, id: u16, filters: &[&str]) {
        let (mut codes, mut changes) = (Vec::new(), Vec::new());
        for filter in filters {
            let removed = self.session.subscriptions.remove(filter);
            codes.push(match removed {
                Some(_) => Reason::Success,
                None => Reason::NoSubscriptionExisted,
            });
            if let Some(Subscription { source: Source::Link, filter, .. }) = removed {
                changes.push(Change::Leave(filter));
            }
        }
        let filters = filters.iter().map(|filter| (*filter).into()).collect();
        self.change_link(changes, Answer::Unsubscribed { id, codes, filters });
    }

    fn change_link(&mut self, changes: Vec<Change>, answer: Answer) {
        let link = self.link.take();
        if changes.is_empty() {
            self.linked(Linked { link, answer });
            return;
        }
        let exchange = self.shared.exchange.clone();
        self.work = Some(Box::pin(async move {
            match follow(exchange, link, changes).await {
                Ok(link) => Done::Linked(Linked { link: Some(link), answer }),
                Err(Stopped) => Done::Stopped,
            }
        }));
    }

    /// The link follows: answers the client.
    pub(super) fn linked(&mut self, linked: Linked) {
        self.link = linked.link.filter(|_| self.session.subscriptions.any(Source::Link));
        match linked.answer {
            Answer::Subscribed { id, codes, granted } => {
                suback(&mut self.out, self.client.version, id, &codes);
                self.listen_to_own();
                for grant in &granted {
                    self.attach_by_filter(&grant.subscription.filter);
                    self.send_retained(grant);
                }
                let filters = granted.iter().map(|grant| grant.subscription.filter.as_str());
                self.tell_receives_by(filters);
            }
            Answer::Unsubscribed { id, codes, filters } => {
                unsuback(&mut self.out, self.client.version, id, &codes);
                self.listen_to_own();
                self.tell_receives_by(filters.iter().map(String::as_str));
            }
        }
    }

    /// Opens or closes the way for what others publish to the device's own topics.
    pub(super) fn listen_to_own(&mut self) {
        let wanted = self.session.subscriptions.any(Source::Own);
        match &self.down {
            None if wanted => {
                let Client { id, connection, .. } = &self.client;
                self.down = Some(self.shared.registry.open_down(id, *connection));
            }
            Some(_) if !wanted => self.down = None,
            None | Some(_) => {}
        }
    }

    /// Goes on with the subscriptions of an earlier connection.
    pub(super) fn resume(&mut self) {
        let all = self.session.subscriptions.filters();
        let filters: Vec<TopicFilter> = all.cloned().collect();
        self.listen_to_own();
        for filter in &filters {
            self.attach_by_filter(filter);
        }
        self.tell_receives_by(filters.iter().map(TopicFilter::as_str));
        self.resend_desired();
    }

    fn attach_by_filter(&mut self, filter: &TopicFilter) {
        let under = |device: &protocol::DeviceId| is_under(filter.as_str(), device.as_str());
        if !self.client.attached && self.client.device.as_ref().is_some_and(under) {
            self.attach(false);
        }
    }

    fn send_retained(&mut self, granted: &Granted) {
        if !granted.retained_wanted {
            return;
        }
        let Subscription { filter, qos, identifier, .. } = &granted.subscription;
        let identifiers: Vec<u32> = identifier.iter().copied().collect();
        let retained = self.shared.retained.matching(filter);
        for message in self.shared.desired.and_others(filter, retained) {
            let grant = Grant { qos: *qos, retain: true, identifiers: identifiers.clone() };
            let entry = Entry::new(Arc::clone(&message), grant);
            let queued = self.session.outbox.push_retained(entry);
            self.count_dropped(queued);
        }
    }
}

async fn follow(
    exchange: Exchange,
    link: Option<Link>,
    changes: Vec<Change>,
) -> Result<Link, Stopped> {
    let mut link = match link {
        Some(link) => link,
        None => exchange.link().await?,
    };
    for change in changes {
        match change {
            Change::Follow(filter) => link.subscribe(&filter).await?,
            Change::Leave(filter) => link.unsubscribe(&filter).await?,
        }
    }
    Ok(link)
}
