//! How connections come in, whoever accepted them: the plain listener, TLS, WebSocket.

use super::{counters::Counters, flushed::Flushed, handshake::Handshake, serve, shared::Shared};
use crate::auth::Brought;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// How many sockets over the limit are answered at the same time; more are closed unanswered.
const REFUSALS_MAX: usize = 64;

/// Where accepted streams become MQTT connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Door {
    pub(super) shared: Arc<Shared>,
    room: Arc<Semaphore>,
    refusals: Arc<Semaphore>,
}

/// A stream may come in; or it is one too many, and will be told.
#[derive(Debug)]
pub(super) struct Ticket {
    permit: OwnedSemaphorePermit,
    room: bool,
}

impl Door {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let room = Arc::new(Semaphore::new(shared.limits.mqtt_connections as usize));
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        Self { shared, room, refusals }
    }

    /// What is counted of all connections.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.shared.counters.clone()
    }

    /// Serves MQTT on a stream that buffers what is written, until its connection and the session that
    /// outlives it have ended, or `stop`.
    pub async fn serve<S>(
        &self,
        stream: S,
        address: SocketAddr,
        brought: Brought,
        stop: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(ticket) = self.ticket() {
            self.enter(Flushed::new(stream), address, brought, ticket, stop).await;
        }
    }

    /// Whether one more may come in; none: it is to be closed unanswered.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        if let Ok(permit) = self.room.clone().try_acquire_owned() {
            return Some(Ticket { permit, room: true });
        }
        match self.refusals.clone().try_acquire_owned() {
            Ok(permit) => Some(Ticket { permit, room: false }),
            Err(_) => {
                self.shared.counters.refused_full.increment();
                None
            }
        }
    }

    /// Serves a stream that has its ticket. No `async fn`: that would hold what it is given twice.
    pub(super) fn enter<S: AsyncRead + AsyncWrite>(
        &self,
        socket: S,
        address: SocketAddr,
        brought: Brought,
        ticket: Ticket,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + use<S> {
        let Ticket { permit, room } = ticket;
        let shared = self.shared.clone();
        let handshake = Handshake { shared, socket, address, brought, room, stop };
        serve(handshake, permit)
    }
}
