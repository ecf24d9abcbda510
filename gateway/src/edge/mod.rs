//! The MQTT edge: our own listener in front of the exchange.
//!
//! Owns connections: it reads and checks what devices and other clients send, hands it to the core and
//! the exchange, and writes what comes for them. It decides nothing about devices or commands. One bad
//! peer harms only itself: each connection is a task of its own, everything it can make grow is
//! bounded and counted, and a panic ends that task alone.

mod backlog;
mod batch;
mod budget;
mod connection;
mod counters;
mod delivering;
mod desired;
mod door;
mod ending;
mod flapping;
mod flushed;
pub(crate) mod fuzzing;
mod handshake;
mod identity;
mod journal;
mod mark;
mod outbox;
mod pace;
mod parked;
mod pending;
mod publishing;
mod reading;
mod reason;
mod receives;
mod registry;
mod restoring;
mod retained;
mod session;
mod shared;
mod subscribing;
mod subscriptions;
mod system;
#[cfg(test)]
mod tests;
mod wire;

pub use counters::Counters;
pub use desired::DesiredPublisher;
pub use door::Door;

use crate::{
    auth::Brought,
    config::Config,
    core::Core,
    exchange::Exchange,
    store::{KeyAndBody, StoreHandle},
};
use bridge::{mapping::Mappings, route::RouteTable};
use ending::End;
use futures_util::FutureExt as _;
use handshake::Handshake;
use shared::Shared;
use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, panic::AssertUnwindSafe, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// After so long a silence the system asks whether the other side is still there: half-open connections of
/// clients without keep-alive end that way.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// How long accepting rests after it failed, as it does when the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The MQTT listener, bound and ready to run.
#[derive(Debug)]
pub struct Edge {
    listener: TcpListener,
    door: Door,
    sessions: Vec<KeyAndBody>,
}

/// The store, and what it has of MQTT.
#[derive(Debug)]
pub struct Past {
    /// Where more is kept.
    pub store: StoreHandle,
    /// The rows of `Table::Retained`.
    pub retained: Vec<KeyAndBody>,
    /// The rows of `Table::Session`.
    pub sessions: Vec<KeyAndBody>,
}

impl Edge {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(
        config: &Config,
        core: Core,
        exchange: Exchange,
        routes: RouteTable,
        mappings: Arc<Mappings>,
        past: Past,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(config.mqtt.listen).await?;
        let Past { store, retained, sessions } = past;
        let shared = Shared::new(config, core, exchange, routes, mappings, store);
        shared.retained.restore(retained);
        Ok(Self { listener, door: Door::new(Arc::new(shared)), sessions })
    }

    /// The address it listens on, with the port that was picked.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where streams come in that others accept.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// What it counts.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.door.counters()
    }

    /// The way to tell devices what is desired of them.
    #[must_use]
    pub fn desired_publisher(&self) -> DesiredPublisher {
        DesiredPublisher(Arc::downgrade(&self.door.shared))
    }

    /// Serves until `stop`; then no one new is accepted, clients are told, and it returns when all
    /// connections have ended.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tasks = JoinSet::new();
        let sessions = std::mem::take(&mut self.sessions);
        for parked in restoring::restore(&self.door.shared, sessions, &stop).await {
            tasks.spawn(parked.run());
        }
        tasks.spawn(system::run(self.door.shared.clone(), stop.clone()));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => self.accepted(accepted, &mut tasks, &stop).await,
                Some(ended) = tasks.join_next() => note(&self.door.shared, ended),
            }
        }
        drop(self.listener);
        while let Some(ended) = tasks.join_next().await {
            note(&self.door.shared, ended);
        }
    }

    async fn accepted(
        &self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) {
        match accepted {
            Ok((socket, address)) => {
                self.door.shared.counters.sockets.increment();
                let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER);
                let set = SockRef::from(&socket).set_tcp_keepalive(&keepalive);
                if let Err(error) = set.and_then(|()| socket.set_nodelay(true)) {
                    tracing::debug!(%error, "options of the socket are not to be had");
                }
                self.spawn(socket, address, tasks, stop);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    fn spawn(
        &self,
        socket: TcpStream,
        address: SocketAddr,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) {
        let Some(ticket) = self.door.ticket() else { return };
        let (door, stop) = (self.door.clone(), stop.clone());
        // At a lower level than what is logged in it: entering a span costs as much as a message.
        let span = tracing::debug_span!("mqtt", %address);
        let entering =
            async move { door.enter(socket, address, Brought::Nothing, ticket, stop).await };
        tasks.spawn(entering.instrument(span));
    }
}

/// The life of one connection, and of the session that outlives it.
async fn serve<S: AsyncRead + AsyncWrite>(handshake: Handshake<S>, room: OwnedSemaphorePermit) {
    // Both boxed, so that neither a session alone nor a connection holds the memory of the other.
    let session = Box::pin(connected(handshake)).await;
    drop(room);
    if let Some(session) = session {
        session.await;
    }
}

/// Gives the session that outlives the connection. A panic while serving is caught here, so that the device's
/// end is told and its client id is free again.
async fn connected<S: AsyncRead + AsyncWrite>(
    handshake: Handshake<S>,
) -> Option<Pin<Box<impl Future<Output = ()>>>> {
    let shared = handshake.shared.clone();
    // What begins and ends a connection is boxed, so that it takes no memory in between.
    let mut connection = Box::pin(handshake.run()).await?;
    shared.counters.connections_now.increment();
    let served = AssertUnwindSafe(connection.serve()).catch_unwind().await;
    let parked = Box::pin(connection.finish(served.unwrap_or(End::Panicked))).await;
    shared.counters.connections_now.decrement();
    parked.map(|parked| Box::pin(parked.run()))
}

/// A task has ended; one that panicked outside of serving is counted here.
fn note(shared: &Shared, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        shared.counters.panics.increment();
        tracing::error!(%error, "a connection's task panicked");
    }
}
