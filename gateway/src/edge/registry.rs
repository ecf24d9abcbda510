//! Who is connected, by client id: for takeovers, and for messages to a device's own topics.

use super::{
    access::{self, MaybeAccess},
    session::Inherited,
};
use crate::{core::Downlink, exchange::Arrival, mailbox::Sender};
use ahash::HashMap;
use bridge::event::ConnectionId;
use protocol::DeviceId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// How many messages may wait for a device's connection so that a hand-published one joins them; beyond it,
/// those are dropped and counted.
const DOWN_MESSAGES_MAX: usize = 64;

/// Tells whoever has a client id what becomes of it.
#[derive(Debug)]
pub(super) enum Takeover {
    /// It ends for another connection with it.
    Heir(Heir),
    /// It ends because it may not stay; this is where the next one comes.
    Revoked(oneshot::Receiver<Takeover>),
    /// The device of that name was deleted; this is where the next one comes.
    Deleted(oneshot::Receiver<Takeover>),
}

/// The connection that takes over.
#[derive(Debug)]
pub(super) struct Heir {
    /// It wants nothing of an old session.
    pub(super) clean: bool,
    /// Where to leave what it inherits.
    pub(super) inherits: oneshot::Sender<Inherited>,
}

/// Who had a client id that was taken.
#[derive(Debug)]
pub(super) struct Incumbent {
    pub(super) takeover: oneshot::Sender<Takeover>,
    /// Whether it is the newcomer's own, who may inherit.
    pub(super) is_own: bool,
}

/// The way of messages to a device's own topics.
#[derive(Debug)]
pub(super) struct Down(Sender<Downlink>);

impl Down {
    /// Passes a message on; false: too many wait already, or the device is gone.
    pub(super) fn pass(&self, arrival: Arrival) -> bool {
        self.0.try_send(Downlink::Pass(arrival), DOWN_MESSAGES_MAX).is_ok()
    }
}

/// Why a client id is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotGiven {
    /// It is somebody else's.
    NotYours,
    /// Who wants it may not come in any more.
    Gone,
}

/// All client ids in use.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<HashMap<Arc<str>, Entry>>);

#[derive(Debug)]
struct Entry {
    connection: ConnectionId,
    access: MaybeAccess,
    takeover: oneshot::Sender<Takeover>,
    down: Option<Sender<Downlink>>,
}

impl Entry {
    fn tell(&mut self, what: impl FnOnce(oneshot::Receiver<Takeover>) -> Takeover) {
        let (next, taken_over) = oneshot::channel();
        let now = std::mem::replace(&mut self.takeover, next);
        // Who is ending already needs not be told.
        let _ending = now.send(what(taken_over));
    }
}

impl Registry {
    /// Takes `client_id` for `connection`. Gives where a later takeover arrives, and how to reach
    /// whoever had the id. What one user or device has, another takes only where it is the device of that name.
    ///
    /// `may_come` is asked under the lock, as [`Self::revoke`] asks: whose credential goes meanwhile is seen here or
    /// there, and who may not come in takes nobody's place.
    pub(super) fn claim(
        &self,
        client_id: &Arc<str>,
        connection: ConnectionId,
        access: &MaybeAccess,
        may_come: impl FnOnce(&MaybeAccess) -> bool,
    ) -> Result<(oneshot::Receiver<Takeover>, Option<Incumbent>), NotGiven> {
        let (takeover, taken_over) = oneshot::channel();
        let mut clients = self.lock();
        if !may_come(access) {
            return Err(NotGiven::Gone);
        }
        let is_own = |entry: &Entry| access.is_none() || access::is_same(&entry.access, access);
        let may_take = access.as_ref().is_none_or(|access| access.is_namesake());
        let foreign = |entry: &Entry| entry.access.is_some() && !is_own(entry) && !may_take;
        if clients.get(client_id).is_some_and(foreign) {
            return Err(NotGiven::NotYours);
        }
        let old = clients.remove(client_id);
        let own = old.as_ref().is_some_and(is_own);
        let (old, down) = old.map(|entry| (entry.takeover, entry.down)).unzip();
        // What is published to the device meanwhile still reaches the session that is inherited.
        let down = down.flatten().filter(|_| own);
        clients.insert(
            client_id.clone(),
            Entry { connection, access: access.clone(), takeover, down },
        );
        Ok((taken_over, old.map(|takeover| Incumbent { takeover, is_own: own })))
    }

    /// Ends all connections that may not stay.
    pub(super) fn revoke(&self, may_stay: impl Fn(&MaybeAccess) -> bool) {
        for entry in self.lock().values_mut().filter(|entry| !may_stay(&entry.access)) {
            entry.tell(Takeover::Revoked);
        }
    }

    /// Tells who has the client id of a device that it was deleted.
    pub(super) fn deleted(&self, device: &DeviceId) {
        if let Some(entry) = self.lock().get_mut(device.as_str()) {
            entry.tell(Takeover::Deleted);
        }
    }

    /// Gives `client_id` back, unless somebody else has it by now.
    pub(super) fn release(&self, client_id: &str, connection: ConnectionId) {
        let mut clients = self.lock();
        if clients.get(client_id).is_some_and(|entry| entry.connection == connection) {
            clients.remove(client_id);
        }
    }

    /// From now on messages to the device's own topics go to `down`; none: nowhere.
    pub(super) fn set_down(
        &self,
        client_id: &str,
        connection: ConnectionId,
        down: Option<Sender<Downlink>>,
    ) {
        let mut clients = self.lock();
        let entry = clients.get_mut(client_id).filter(|entry| entry.connection == connection);
        if let Some(entry) = entry {
            entry.down = down;
        }
    }

    /// The way of messages to the own topics of device `client_id`; none: it subscribed to none.
    pub(super) fn down(&self, client_id: &str) -> Option<Down> {
        let sender = self.lock().get(client_id)?.down.clone();
        sender.filter(|sender| !sender.is_closed()).map(Down)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
