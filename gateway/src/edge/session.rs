//! What belongs to a client rather than to its connection, so that it can outlive that.

use super::{
    outbox::{Bounds, Outbox},
    subscriptions::Subscriptions,
};
use crate::{
    config::Limits,
    exchange::{Link, Message},
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::mpsc;

/// A client's session (MQTT 5.0, section 4.1).
#[derive(Debug)]
pub(super) struct Session {
    pub(super) subscriptions: Subscriptions,
    pub(super) outbox: Outbox,
    /// QoS 2 messages received and not yet released, by id.
    pub(super) incoming: HashMap<u16, Incoming>,
}

/// A QoS 2 message of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// Handed on, not known to be stored.
    Pending,
    /// Stored; PUBREC was sent.
    Recorded,
}

impl Session {
    /// A new session; `window` messages may be in flight to the client.
    pub(super) fn new(limits: &Limits, window: u16) -> Self {
        let bounds = Bounds {
            messages_max: limits.mqtt_queue_messages as usize,
            payload_bytes_max: limits.mqtt_queue_bytes as usize,
            retained_max: limits.retained_messages as usize,
        };
        Self {
            subscriptions: Subscriptions::default(),
            outbox: Outbox::new(bounds, window),
            incoming: HashMap::new(),
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
}

/// A session between two connections, with the ways its messages come.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) session: Session,
    pub(super) link: Option<Link>,
    pub(super) down: Option<mpsc::Receiver<Arc<Message>>>,
}
