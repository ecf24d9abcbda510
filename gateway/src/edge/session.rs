//! What belongs to a client rather than to its connection, so that it can outlive that.

use super::{
    access::MaybeAccess,
    backlog::Backlog,
    journal::{Head, Journal, KeptWill},
    mark::Mark,
    outbox::{Answer, Bounds, Ended, Entry, Next, Outbox, Received, Room, WrongFlow},
    receives::{down_device, stands_by},
    shared::Shared,
    subscriptions::{Subscription, Subscriptions},
};
use crate::{
    core::Downlink,
    exchange::{Exchange, Link, Message},
    mailbox::Mailbox,
    store::Gathering,
};
use bridge::acl::Grant;
use protocol::{CommandId, Timestamp};
use std::{collections::BTreeMap, sync::Arc};

/// A client's session (MQTT 5.0, section 4.1).
#[derive(Debug)]
pub(super) struct Session {
    pub(super) subscriptions: Subscriptions,
    /// Made for the first message: most devices are sent one now and then.
    outbox: Option<Box<Outbox>>,
    /// How many messages may be in flight to the client.
    window: u16,
    /// QoS 2 messages received and not yet released, by id.
    pub(super) incoming: BTreeMap<u16, Incoming>,
    /// Retained messages that were promised and wait for room.
    pub(super) backlog: Backlog,
    /// Some subscription reaches further than its client may read: each message is asked.
    pub(super) is_checked: bool,
    /// Its side of the disk; none: it ends with its connection.
    pub(super) journal: Option<Box<Journal>>,
}

/// A QoS 2 message of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Handed on, not known to be stored.
    Pending,
    /// What it says was stored when the process died, what it leaves in queues was not.
    Said,
    /// The same, and what it leaves was handed on when it came again.
    RestPending,
    /// Stored; PUBREC was sent.
    Recorded,
}

impl Incoming {
    /// Whether its PUBREC follows when it is stored.
    pub(super) const fn is_pending(self) -> bool {
        matches!(self, Self::Pending | Self::RestPending)
    }
}

impl Session {
    /// A new session; `window` messages may be in flight to the client.
    pub(super) fn new(shared: &Shared, window: u16) -> Self {
        Self {
            subscriptions: Subscriptions::new(Arc::clone(&shared.counters)),
            outbox: None,
            window,
            incoming: BTreeMap::new(),
            backlog: Backlog::default(),
            is_checked: false,
            journal: None,
        }
    }

    /// Queues a message; on the disk too where the session is kept there, with what `gathering` holds if there
    /// is one. Gives it back where there is no room.
    pub(super) fn push(
        &mut self,
        mut entry: Entry,
        gathering: Option<Gathering>,
        shared: &Shared,
    ) -> Result<(), Entry> {
        // Who sends commands keeps them, and sends them again.
        let journal = self.journal.as_ref().filter(|_| entry.qos > 0 && entry.command.is_none());
        if journal.is_none() {
            return self.outbox(shared).push(entry).map(|_| ());
        }
        entry.stored = Some(Mark::default());
        let kept = entry.clone();
        let number = self.outbox(shared).push(entry)?;
        if let (Some(journal), Some(number)) = (&self.journal, number) {
            let gathering = gathering.unwrap_or_else(|| Gathering::new(shared.store.clone()));
            journal.queued(&gathering, number, &kept);
        }
        Ok(())
    }

    pub(super) fn outbox(&mut self, shared: &Shared) -> &mut Outbox {
        self.outbox.get_or_insert_with(|| Box::new(Outbox::new(bounds(shared), self.window)))
    }

    /// Goes on for a client that came back: see [`Outbox::resume`]. Of its own messages nobody waits any more for those
    /// that are in doubt.
    pub(super) fn resume(&mut self, window: u16) {
        let pending = self.incoming.iter().filter(|(_, known)| known.is_pending());
        let pending: Vec<u16> = pending.map(|(id, _)| *id).collect();
        pending.into_iter().for_each(|id| self.not_stored(id));
        self.window = window;
        if let Some(outbox) = &mut self.outbox {
            outbox.resume(window);
        }
    }

    /// A QoS 2 message of the client is not known to be stored: as far as it was new, it is new when it comes again.
    pub(super) fn not_stored(&mut self, id: u16) {
        match self.incoming.get_mut(&id) {
            Some(known @ Incoming::RestPending) => *known = Incoming::Said,
            Some(_) | None => self.forget_incoming(id),
        }
    }

    /// From now on `id` means another QoS 2 message of the client, on the disk too.
    pub(super) fn forget_incoming(&mut self, id: u16) {
        self.incoming.remove(&id);
        if let Some(journal) = &mut self.journal {
            journal.incoming_done(id);
        }
    }

    /// How much may be queued until so many messages wait.
    pub(super) fn room(&self, waiting_max: usize, shared: &Shared) -> Room {
        match &self.outbox {
            Some(outbox) => outbox.room(waiting_max),
            None => Outbox::new(bounds(shared), self.window).room(waiting_max),
        }
    }

    /// Whether a message has to wait in the queue: see [`Outbox::holds_up`].
    pub(super) fn holds_up(&self, qos: u8) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.holds_up(qos))
    }

    /// Takes a command out of the queue: see [`Outbox::withdraw`].
    pub(super) fn withdraw(&mut self, command: (CommandId, u32)) -> bool {
        self.outbox.as_mut().is_some_and(|outbox| outbox.withdraw(command))
    }

    /// What to write next: see [`Outbox::next`].
    pub(super) fn next(&mut self) -> Option<Next> {
        self.outbox.as_mut()?.next()
    }

    /// Lets go of commands: see [`Outbox::forget_commands`].
    pub(super) fn forget_commands(&mut self) {
        if let Some(outbox) = &mut self.outbox {
            outbox.forget_commands();
        }
    }

    /// From now on its client may do what `access` says.
    pub(super) fn restrict(&mut self, access: &MaybeAccess) {
        self.is_checked = access.as_ref().is_some_and(|access| {
            self.subscriptions.iter().any(|known| access.grant(&known.filter) != Grant::Whole)
        });
    }

    /// Whether `message` may be delivered to its client; where not, that is counted.
    pub(super) fn may_have(
        &self,
        access: &MaybeAccess,
        message: &Message,
        shared: &Shared,
    ) -> bool {
        let Some(access) = access.as_ref().filter(|_| self.is_checked) else { return true };
        let may = access.may_read(message.topic.as_str());
        if !may {
            shared.counters.dropped_unreadable.increment();
        }
        may
    }

    /// Whether `message` is a copy of what another client receives for a device, and its client stands by for that one.
    pub(super) fn stands_by(&self, access: &MaybeAccess, message: &Message) -> bool {
        let topic = message.topic.as_str();
        let device = message.served.and_then(|_| down_device(topic)?.parse().ok());
        device.is_some_and(|device| {
            access.as_ref().is_none_or(|access| access.may_receive(&device))
                && stands_by(self.subscriptions.filters(), &device, topic)
        })
    }

    /// PUBACK or PUBCOMP came.
    pub(super) fn answered(&mut self, id: u16, answer: Answer) -> Result<Option<Ended>, WrongFlow> {
        let Some(outbox) = &mut self.outbox else { return Ok(None) };
        let ended = outbox.answer(id, answer)?;
        Ok(ended.inspect(|ended| self.note_done(ended)))
    }

    /// What `id` carries is not sent after all.
    pub(super) fn give_up(&mut self, id: u16) {
        if let Some(ended) = self.outbox.as_mut().and_then(|outbox| outbox.end(id)) {
            self.note_done(&ended);
        }
    }

    /// PUBREC came. Where the journal must know first, it has PUBREL sent.
    pub(super) fn received(&mut self, id: u16, accepted: bool) -> Result<Received, WrongFlow> {
        let Some(outbox) = &mut self.outbox else { return Ok(Received::Unknown) };
        let received = outbox.receive(id, accepted)?;
        if let Some(journal) = &mut self.journal {
            match received {
                Received::Release(number) => journal.released(number),
                Received::Refused(number) => journal.done(number),
                Received::Unknown => {}
            }
        }
        Ok(received)
    }

    fn note_done(&mut self, ended: &Ended) {
        if let Some(journal) = &mut self.journal {
            journal.done(ended.number);
        }
    }

    /// Writes what the disk must know of the session as a whole; `ends_at` is none while its client is
    /// connected.
    pub(super) fn note_head(
        &mut self,
        access: &MaybeAccess,
        lasts_s: u32,
        ends_at: Option<Timestamp>,
        will: Option<KeptWill>,
    ) {
        let Some(journal) = &mut self.journal else { return };
        journal.head(&Head {
            session: journal.session(),
            lasts_s,
            ends_at,
            owner: access.as_ref().map(|access| access.principal.identity.clone()),
            sent_through: self.outbox.as_ref().map_or(0, |outbox| outbox.sent_through().0),
            subscriptions: self.subscriptions.iter().cloned().collect(),
            will,
        });
    }

    /// The session has ended: what shared subscriptions gave it and it has not acknowledged goes to others.
    pub(super) async fn pass_on(&self, link: Option<Box<Link>>, exchange: &Exchange) {
        let shared = self.subscriptions.iter().filter(|known| known.share.is_some());
        let interests: Vec<_> = shared.map(Subscription::interest).collect();
        let Some(mut link) = link.filter(|_| !interests.is_empty()) else { return };
        for interest in interests {
            // Nothing more comes by it then.
            if link.unsubscribe(interest).await.is_err() {
                return;
            }
        }
        let come = link.rest().into_iter().filter(|arrival| arrival.message.qos > 0);
        let come = come.filter_map(|arrival| Some((arrival.share?, arrival.message)));
        let sent = self.outbox.as_ref().map(|outbox| outbox.unacknowledged_shared());
        for (share, message) in sent.into_iter().flatten().chain(come) {
            exchange.pass_on(share, message);
        }
    }

    /// The session has ended: nothing of it stays on the disk.
    pub(super) fn forget(&mut self) {
        if let Some(journal) = self.journal.take() {
            let numbers = self.outbox.iter().flat_map(|outbox| outbox.numbers());
            journal.erase(numbers, self.incoming.keys().copied());
        }
    }
}

/// What a connection leaves to the one that takes its client id.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    /// It was a device's own connection.
    pub(super) attached: bool,
    /// Its session, if that goes on.
    pub(super) session: Option<Kept>,
    /// It had one on the disk that has ended.
    pub(super) ended: bool,
}

/// A session between two connections, with the ways its messages come.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) session: Session,
    pub(super) link: Option<Box<Link>>,
    /// None: nothing had to reach it but by the exchange.
    pub(super) mailbox: Option<Mailbox<Downlink>>,
}

/// The bounds of each outbox.
fn bounds(shared: &Shared) -> Bounds {
    Bounds {
        messages_max: shared.limits.mqtt_queue_messages as usize,
        payload_bytes_max: shared.limits.mqtt_queue_bytes as usize,
        budget: Arc::clone(&shared.budget),
    }
}
