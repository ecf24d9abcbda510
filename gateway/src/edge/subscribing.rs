//! SUBSCRIBE and UNSUBSCRIBE: what is granted, what the link must follow, what is answered.
//!
//! The client is answered once the link follows; the core hears that the connection can receive
//! commands after the SUBACK is in the bytes to write, so that no command overtakes it.

use super::{
    backlog::Wanted,
    batch::check_limits,
    connection::{Client, Connection, Done},
    ending::End,
    journal::{KeptWill, Then},
    outbox::Entry,
    publishing::is_under,
    reason::Reason,
    receives::is_down,
    share,
    subscriptions::{Grant, Source, Subscription},
    system,
    wire::{Subscribe, SubscribeEntry, listed_bytes, suback, unsuback},
};
use crate::exchange::{Exchange, Interest, Keeping, Link, Stopped};
use bridge::acl;
use protocol::TopicFilter;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// The link follows the subscriptions again.
#[derive(Debug)]
pub(super) struct Linked {
    link: Option<Box<Link>>,
    answer: Answer,
}

/// What to tell the client.
#[derive(Debug)]
pub(super) enum Answer {
    /// SUBACK, and then the retained messages of these.
    Subscribed { id: u16, codes: Vec<Result<u8, Reason>>, granted: Vec<Granted> },
    /// UNSUBACK.
    Unsubscribed { id: u16, codes: Vec<Reason>, filters: Vec<String> },
}

/// A subscription that was granted.
#[derive(Debug)]
pub(super) struct Granted {
    subscription: Subscription,
    retained: Wish,
}

/// Whether a subscription wants retained messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    /// It is new: what was published before it comes as retained, what is published later comes live, and nothing
    /// twice.
    New,
    /// What is retained comes beside the live messages that it gets anyway.
    Again,
}

#[derive(Debug)]
enum Change {
    Follow(Interest),
    Leave(Interest),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// SUBSCRIBE came.
    pub(super) fn subscribe(&mut self, subscribe: &Subscribe<'_>) -> Result<(), End> {
        // `[MQTT-3.8.3-4]`
        if subscribe.entries.iter().any(|it| it.no_local && it.filter.starts_with("$share/")) {
            return Err(End::Violation(Reason::ProtocolError));
        }
        self.check_answer(subscribe.entries.len())?;
        let (mut codes, mut granted, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &subscribe.entries {
            match self.grant(entry, subscribe.identifier) {
                Ok(grant) => {
                    codes.push(Ok(grant.subscription.qos));
                    if grant.subscription.source == Source::Link {
                        changes.push(Change::Follow(grant.subscription.interest()));
                    }
                    granted.push(grant);
                }
                Err(reason) => codes.push(Err(reason)),
            }
        }
        let id = subscribe.id;
        self.change_link(changes, Answer::Subscribed { id, codes, granted });
        Ok(())
    }

    fn grant(
        &mut self,
        entry: &SubscribeEntry<'_>,
        identifier: Option<u32>,
    ) -> Result<Granted, Reason> {
        let (share, text) = share::parts(entry.filter).ok_or(Reason::TopicFilterInvalid)?;
        let share: Option<Box<str>> = share.map(Into::into);
        // Each for itself: who shares the deepest filter adds no levels to it.
        for limited in share.as_deref().into_iter().chain([text]) {
            check_limits(&self.shared, limited).map_err(|_| Reason::TopicFilterInvalid)?;
        }
        let filter: TopicFilter = text.parse().map_err(|_| Reason::TopicFilterInvalid)?;
        self.permit(&filter)?;
        let known = self.session.subscriptions.get(entry.filter).is_some();
        let count_max = self.shared.limits.mqtt_subscriptions as usize;
        if !known && self.session.subscriptions.len() >= count_max {
            self.shared.counters.limit_subscriptions.increment();
            return Err(Reason::QuotaExceeded);
        }
        let own = |device| share.is_none() && is_down(&filter, device);
        let source =
            if self.client.device.as_ref().is_some_and(own) { Source::Own } else { Source::Link };
        let retained = match entry.retain_handling {
            _ if share.is_some() => Wish::Nothing,
            0 | 1 if !known && source == Source::Link => Wish::New,
            0 => Wish::Again,
            1 if !known => Wish::Again,
            _ => Wish::Nothing,
        };
        let is_bridge = self.client.is_bridge;
        let subscription = Subscription {
            filter,
            share,
            qos: entry.qos,
            no_local: entry.no_local || is_bridge,
            retain_as_published: entry.retain_as_published || is_bridge,
            identifier,
            source,
            retained_through: 0,
        };
        self.session.subscriptions.insert(subscription.clone());
        Ok(Granted { subscription, retained })
    }

    /// Whether the client may subscribe `filter`; where it may read only a part of that, messages are asked.
    fn permit(&mut self, filter: &TopicFilter) -> Result<(), Reason> {
        let Some(access) = &self.client.access else { return Ok(()) };
        match access.grant(filter) {
            acl::Grant::Whole => {}
            acl::Grant::Partly => self.session.is_checked = true,
            acl::Grant::Refused => {
                self.shared.counters.refused_subscriptions.increment();
                return Err(Reason::NotAuthorized);
            }
        }
        Ok(())
    }

    /// UNSUBSCRIBE came.
    pub(super) fn unsubscribe(&mut self, id: u16, filters: &[&str]) -> Result<(), End> {
        self.check_answer(filters.len())?;
        let (mut codes, mut changes) = (Vec::new(), Vec::new());
        for filter in filters {
            let removed = self.session.subscriptions.remove(filter);
            codes.push(match removed {
                Some(_) => Reason::Success,
                None => Reason::NoSubscriptionExisted,
            });
            let Some(removed) = removed else { continue };
            self.session.backlog.remove(&removed.filter);
            if removed.source == Source::Link {
                changes.push(Change::Leave(removed.interest()));
            }
        }
        let filters = filters.iter().map(|filter| (*filter).into()).collect();
        self.change_link(changes, Answer::Unsubscribed { id, codes, filters });
        Ok(())
    }

    /// Refuses what asks for so many codes at once that the client does not take the answer `[MQTT-3.1.2-24]`.
    fn check_answer(&self, codes: usize) -> Result<(), End> {
        let takes = self.client.dialect.takes(listed_bytes(codes));
        if takes { Ok(()) } else { Err(End::Violation(Reason::PacketTooLarge)) }
    }

    fn change_link(&mut self, changes: Vec<Change>, answer: Answer) {
        let link = self.link.take();
        if changes.is_empty() {
            self.linked(Linked { link, answer });
            return;
        }
        let exchange = self.shared.exchange.clone();
        let keeping = match &self.session.journal {
            Some(_) => Keeping::OnDisk,
            None => Keeping::InMemory,
        };
        self.work = Some(Box::pin(async move {
            match follow(exchange, link, keeping, changes).await {
                Ok(link) => Done::Linked(Linked { link: Some(link), answer }),
                Err(Stopped) => Done::Stopped,
            }
        }));
    }

    /// The link follows: answers the client, once the disk knows where the session is kept there.
    pub(super) fn linked(&mut self, mut linked: Linked) {
        self.link = linked.link.filter(|_| self.session.subscriptions.any(Source::Link));
        if let Answer::Subscribed { granted, .. } = &mut linked.answer {
            self.part_retained(granted);
        }
        self.note_connected();
        match &mut self.session.journal {
            Some(journal) => journal.then(Then::Answer(linked.answer)),
            None => self.answer(linked.answer),
        }
    }

    /// What is retained by now comes to new subscriptions as retained: their link has begun to follow.
    fn part_retained(&mut self, granted: &mut [Granted]) {
        let through = self.shared.retained.last();
        for new in granted.iter_mut().filter(|granted| granted.retained == Wish::New) {
            new.subscription.retained_through = through;
            self.session.subscriptions.note_retained(&new.subscription, through);
        }
    }

    /// The disk is told how the session stands.
    pub(super) fn note_connected(&mut self) {
        let will = self.client.will.clone().map(|will| KeptWill { due: None, will: *will });
        self.session.note_head(&self.client.access, self.client.session_expiry, None, will);
    }

    pub(super) fn answer(&mut self, answer: Answer) {
        self.shared.counters.packets_out.increment();
        match answer {
            Answer::Subscribed { id, codes, granted } => {
                suback(&mut self.out, self.client.dialect, id, &codes);
                self.listen_to_own();
                for grant in &granted {
                    self.attach_by_filter(&grant.subscription.filter);
                    self.send_retained(grant);
                }
                let own = granted.iter().filter(|grant| grant.subscription.share.is_none());
                let filters = own.map(|grant| grant.subscription.filter.as_str());
                self.tell_receives_by(filters);
            }
            Answer::Unsubscribed { id, codes, filters } => {
                unsuback(&mut self.out, self.client.dialect, id, &codes);
                self.listen_to_own();
                self.tell_receives_by(filters.iter().map(String::as_str));
            }
        }
    }

    /// Opens or closes the way for what others publish to the device's own topics.
    pub(super) fn listen_to_own(&mut self) {
        let wanted = self.session.subscriptions.any(Source::Own);
        let down = wanted.then(|| self.mailbox());
        let Client { id, connection, .. } = &self.client;
        self.shared.registry.set_down(id, *connection, down);
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
        let through = match granted.retained {
            Wish::Nothing => return,
            Wish::New => granted.subscription.retained_through,
            Wish::Again => u64::MAX,
        };
        let Subscription { filter, qos, identifier, .. } = &granted.subscription;
        for message in system::matching(&self.shared, filter).into_iter().map(Arc::new) {
            if !self.may_have(&message) {
                continue;
            }
            let identifiers = identifier.iter().copied().collect();
            let grant = Grant { qos: *qos, retain: true, identifiers };
            self.queue(Entry::new(message, grant), None);
        }
        self.session.backlog.add(Wanted::new(&granted.subscription, through));
        self.pull_retained();
    }
}

async fn follow(
    exchange: Exchange,
    link: Option<Box<Link>>,
    keeping: Keeping,
    changes: Vec<Change>,
) -> Result<Box<Link>, Stopped> {
    let mut link = match link {
        Some(link) => link,
        None => Box::new(exchange.link(keeping).await?),
    };
    for change in changes {
        match change {
            Change::Follow(interest) => link.subscribe(interest).await?,
            Change::Leave(interest) => link.unsubscribe(interest).await?,
        }
    }
    Ok(link)
}
