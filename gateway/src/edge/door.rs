//! How connections come in, whoever accepted them: the plain listener, TLS, WebSocket.

use super::{
    Stage, begin, counters::Counters, flushed::Flushed, handshake::Handshake, shared::Shared,
};
use crate::{
    auth::Brought,
    files::{Kind, Place, Room},
};
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
    room: Arc<Room>,
    refusals: Arc<Semaphore>,
}

/// What a stream comes in with.
#[derive(Debug)]
pub(super) enum Ticket {
    /// It may stay.
    Room { _place: Place },
    /// It is one too many, and will be told.
    Refusal { _place: OwnedSemaphorePermit },
}

impl Door {
    pub(super) fn new(shared: Arc<Shared>, room: Arc<Room>) -> Self {
        let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
        Self { shared, room, refusals }
    }

    /// What is counted of all connections.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.shared.counters.clone()
    }

    /// Serves MQTT on a stream that buffers what is written, until its connection and the session that
    /// outlives it have ended, or `stop`. Who comes before the edge has restored the sessions waits for that.
    pub async fn serve<S>(
        &self,
        stream: S,
        address: SocketAddr,
        brought: Brought,
        stop: CancellationToken,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(ticket) = self.ticket() else { return };
        if stop.run_until_cancelled(self.shared.restored.cancelled()).await.is_some() {
            self.enter(Flushed::new(stream), address, brought, ticket, stop).live().await;
        }
    }

    /// Whether one more may come in; none: it is to be closed unanswered.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        if let Some(place) = self.room.take(Kind::Mqtt) {
            return Some(Ticket::Room { _place: place });
        }
        match self.refusals.clone().try_acquire_owned() {
            Ok(place) => Some(Ticket::Refusal { _place: place }),
            Err(_) => {
                self.shared.counters.refused_full.increment();
                None
            }
        }
    }

    /// Serves a stream that has its ticket.
    pub(super) fn enter<S>(
        &self,
        socket: S,
        address: SocketAddr,
        brought: Brought,
        ticket: Ticket,
        stop: CancellationToken,
    ) -> Stage
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let room = matches!(ticket, Ticket::Room { .. });
        let shared = self.shared.clone();
        let handshake = Handshake { shared, socket, address, brought, room, stop };
        begin(handshake, ticket)
    }
}
