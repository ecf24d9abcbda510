//! Who is connected, by client id: for takeovers, and for messages to a device's own topics.

use super::session::Inherited;
use crate::{
    exchange::Arrival,
    mailbox::{Receiver, Sender, mailbox},
};
use bridge::event::ConnectionId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// How many hand-published messages may wait for a device's connection; beyond it they are dropped
/// and counted.
const DOWN_MESSAGES_MAX: u32 = 64;

/// Asks whoever has a client id to end for another connection with it.
#[derive(Debug)]
pub(super) struct Takeover {
    /// The newcomer wants nothing of an old session.
    pub(super) clean: bool,
    /// Where to leave what it inherits.
    pub(super) heir: oneshot::Sender<Inherited>,
}

/// All client ids in use.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<HashMap<Arc<str>, Entry>>);

#[derive(Debug)]
struct Entry {
    connection: ConnectionId,
    takeover: oneshot::Sender<Takeover>,
    down: Option<Sender<Arrival>>,
}

impl Registry {
    /// Takes `client_id` for `connection`. Gives where a later takeover arrives, and how to reach
    /// whoever had the id.
    pub(super) fn claim(
        &self,
        client_id: &Arc<str>,
        connection: ConnectionId,
    ) -> (oneshot::Receiver<Takeover>, Option<oneshot::Sender<Takeover>>) {
        let (takeover, taken_over) = oneshot::channel();
        let mut clients = self.lock();
        let old = clients.remove(client_id);
        let (old, down) = old.map(|entry| (entry.takeover, entry.down)).unzip();
        // What is published to the device meanwhile still reaches the session that is inherited.
        let entry = Entry { connection, takeover, down: down.flatten() };
        clients.insert(client_id.clone(), entry);
        (taken_over, old)
    }

    /// Gives `client_id` back, unless somebody else has it by now.
    pub(super) fn release(&self, client_id: &str, connection: ConnectionId) {
        let mut clients = self.lock();
        if clients.get(client_id).is_some_and(|entry| entry.connection == connection) {
            clients.remove(client_id);
        }
    }

    /// From now on messages to the device's own topics come out of the receiver.
    pub(super) fn open_down(&self, client_id: &str, connection: ConnectionId) -> Receiver<Arrival> {
        let (sender, receiver) = mailbox(DOWN_MESSAGES_MAX);
        let mut clients = self.lock();
        let entry = clients.get_mut(client_id).filter(|entry| entry.connection == connection);
        if let Some(entry) = entry {
            entry.down = Some(sender);
        }
        receiver
    }

    /// Where messages to the own topics of device `client_id` go; none: it subscribed to none.
    pub(super) fn down(&self, client_id: &str) -> Option<Sender<Arrival>> {
        self.lock().get(client_id)?.down.clone().filter(|sender| !sender.is_closed())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
