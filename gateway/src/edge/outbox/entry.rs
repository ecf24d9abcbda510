//! A message on its way to one client, and its place among all of the session.

use super::super::{budget::Weight, mark::Mark, subscriptions::Grant};
use crate::exchange::{Message, Share};
use protocol::{CommandId, Millis, Timestamp};
use std::sync::Arc;

/// A message that is late by no more than this was sent at once. MQTT counts expiry in whole seconds, and one of 0 is for
/// those who can have the message now: it takes a moment on its way here, and where a session is kept to the disk.
const AT_ONCE: Millis = Millis(250);

/// A message on its way to a client.
#[derive(Clone, Debug)]
pub(in crate::edge) struct Entry {
    pub(in crate::edge) message: Arc<Message>,
    pub(in crate::edge) qos: u8,
    pub(in crate::edge) retain: bool,
    pub(in crate::edge) identifiers: Vec<u32>,
    /// The command it carries, and which sending of it.
    pub(in crate::edge) command: Option<(CommandId, u32)>,
    /// The core was told that the command waits, and is told when it does no more.
    pub(in crate::edge) held_up: bool,
    /// It leaves the queue once this is set; none: it need not wait.
    pub(in crate::edge) stored: Option<Mark>,
    /// The shared subscription it came by.
    pub(in crate::edge) share: Option<Arc<Share>>,
}

impl Entry {
    /// `message` as `grant` says.
    pub(in crate::edge) fn new(message: Arc<Message>, grant: Grant) -> Self {
        let qos = message.qos.min(grant.qos);
        let (retain, identifiers) = (grant.retain, grant.identifiers);
        Self {
            message,
            qos,
            retain,
            identifiers,
            command: None,
            held_up: false,
            stored: None,
            share: None,
        }
    }

    /// Whether it is too late to begin sending it; the time is asked for only where it expires. A command is never late.
    pub(in crate::edge) fn has_expired(&self, now: impl FnOnce() -> Timestamp) -> bool {
        let late = if self.command.is_some() { Millis(0) } else { AT_ONCE };
        self.message.properties.expires_at.is_some_and(|at| at.plus(late) <= now())
    }

    pub(super) fn payload_bytes(&self) -> usize {
        self.message.payload.len()
    }

    /// What it takes of the memory for all; what several queues share counts in each.
    pub(super) fn weight(&self) -> Weight {
        Weight {
            messages: 1,
            payload_bytes: self.payload_bytes(),
            footprint_bytes: size_of::<Numbered>() + self.message.weight_bytes(),
        }
    }

    pub(super) fn may_leave(&self) -> bool {
        self.stored.as_ref().is_none_or(Mark::is_set)
    }
}

/// The place of a QoS 1 or 2 message among all of a session, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::edge) struct Number(pub(in crate::edge) u64);

impl Number {
    /// The packet id that the message has in every connection of the session.
    pub(in crate::edge) fn id(self) -> u16 {
        let ids = u64::from(u16::MAX);
        u16::try_from((self.0 - 1) % ids + 1).expect("at most 65,535")
    }
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Numbered {
    /// With QoS 1 and 2.
    pub(super) number: Option<Number>,
    pub(super) entry: Entry,
}
