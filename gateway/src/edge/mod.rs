//! The MQTT edge: our own listener in front of the exchange.
//!
//! Owns connections: it reads and checks what devices and other clients send, hands it to the core and
//! the exchange, and writes what comes for them. It decides nothing about devices or commands. One bad
//! peer harms only itself: each connection is a task of its own, everything it can make grow is
//! bounded and counted, and a panic ends that task alone.

mod access;
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
mod listener;
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
mod revoking;
mod session;
mod settling;
pub(crate) mod share;
mod shared;
mod sign_in;
mod subscribing;
mod subscriptions;
mod system;
#[cfg(test)]
mod tests;
mod welcome;
mod wire;

pub use counters::Counters;
pub use desired::DesiredPublisher;
pub use door::Door;
use door::Ticket;

use crate::{
    arrival::{Arrivals, MqttArrivals},
    auth::Gate,
    config::Config,
    core::Core,
    exchange::Exchange,
    store::{KeyAndBody, StoreHandle},
};
use bridge::{mapping::Mappings, route::RouteTable};
use connection::Connection;
use ending::End;
use futures_util::FutureExt as _;
use handshake::Handshake;
use listener::Listener;
use shared::Shared;
use std::{io, net::SocketAddr, panic::AssertUnwindSafe, pin::Pin, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::{JoinError, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

/// The MQTT listeners, bound and ready to run.
#[derive(Debug)]
pub struct Edge {
    plain: Listener,
    tls: Option<Listener>,
    door: Door,
    sessions: Vec<KeyAndBody>,
}

/// An address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{key} = {address} cannot be bound: {source}")]
pub struct BindError {
    /// The key that changes it.
    pub key: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// What the system says.
    pub source: io::Error,
}

async fn listener(
    key: &'static str,
    address: SocketAddr,
    arrivals: Arrivals,
) -> Result<Listener, BindError> {
    Listener::bind(address, arrivals).await.map_err(|source| BindError { key, address, source })
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

/// What topics mean.
#[derive(Debug)]
pub struct Topics {
    /// Which channels they feed.
    pub routes: RouteTable,
    /// What they are to devices that know only their own.
    pub mappings: Arc<Mappings>,
}

impl Edge {
    /// Binds the listeners.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn bind(
        config: &Config,
        arrivals: MqttArrivals,
        core: Core,
        exchange: Exchange,
        topics: Topics,
        gate: Gate,
        past: Past,
    ) -> Result<Self, BindError> {
        let MqttArrivals { plain, tls, room } = arrivals;
        let plain = listener("mqtt.listen", config.mqtt.listen, plain).await?;
        let tls = match config.mqtt.tls_listen.zip(tls) {
            Some((address, tls)) => Some(listener("mqtt.tls_listen", address, tls).await?),
            None => None,
        };
        let Past { store, retained, sessions } = past;
        let shared = Shared::new(config, core, exchange, topics, gate, store);
        shared.retained.restore(retained);
        Ok(Self { plain, tls, door: Door::new(Arc::new(shared), room), sessions })
    }

    /// The address it listens on, with the port that was picked.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.plain.local_address()
    }

    /// The same of the listener with TLS, where there is one.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn tls_address(&self) -> io::Result<Option<SocketAddr>> {
        self.tls.as_ref().map(Listener::local_address).transpose()
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

    /// Restores the sessions that are kept, then serves until `stop`; then no one new is accepted and clients are
    /// told. Sessions that are kept take what the last connections said; it returns when all have ended.
    pub async fn run(mut self, stop: CancellationToken) {
        self.door.shared.stopping.get_or_init(|| stop.clone());
        let mut tasks = JoinSet::new();
        let sessions = std::mem::take(&mut self.sessions);
        for parked in restoring::restore(&self.door.shared, sessions).await {
            tasks.spawn(parked.run());
        }
        self.door.shared.restored.cancel();
        tasks.spawn(system::run(self.door.shared.clone(), stop.clone()));
        tasks.spawn(revoking::run(self.door.shared.clone(), stop.clone()));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.plain.accept() => {
                    self.plain.accepted(accepted, &self.door, &mut tasks, &stop).await;
                }
                accepted = accept_secured(self.tls.as_ref()) => if let Some(tls) = &mut self.tls {
                    tls.accepted(accepted, &self.door, &mut tasks, &stop).await;
                },
                Some(ended) = tasks.join_next() => note(&self.door.shared, ended),
            }
        }
        drop((self.plain, self.tls));
        finish_sessions(&self.door.shared).await;
        while let Some(ended) = tasks.join_next().await {
            note(&self.door.shared, ended);
        }
    }
}

/// Sessions outlive the connections, so that what one client said to the end is kept for the others.
async fn finish_sessions(shared: &Shared) {
    shared.serving.close();
    shared.serving.wait().await;
    if shared.exchange.caught_up().await.is_err() {
        tracing::debug!("the exchange has stopped: sessions have what came");
    }
    shared.sessions_end.cancel();
}

/// The next socket of the listener with TLS, where there is one.
async fn accept_secured(tls: Option<&Listener>) -> io::Result<(TcpStream, SocketAddr)> {
    match tls {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// A part of the life of one connection, and of the session that outlives it; gives the part that follows. Each is
/// boxed by itself, so that none holds the memory of another.
struct Stage(Pin<Box<dyn Future<Output = Option<Stage>> + Send>>);

impl Stage {
    fn new(stage: impl Future<Output = Option<Self>> + Send + 'static) -> Self {
        Self(Box::pin(stage))
    }

    /// Lives through this part and all that follow.
    async fn live(mut self) {
        while let Some(next) = self.0.await {
            self = next;
        }
    }
}

/// How a connection begins. No `async fn`: that would hold the handshake twice.
fn begin<S>(handshake: Handshake<S>, ticket: Ticket) -> Stage
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let here = (ticket, handshake.shared.serving.token());
    let opened = handshake.run();
    Stage::new(opened.map(|connection| Some(Stage::new(connected(connection?, here)))))
}

/// Gives the session that outlives the connection. A panic while serving is caught here, so that the device's
/// end is told and its client id is free again.
async fn connected<S>(
    mut connection: Box<Connection<S>>,
    _here: (Ticket, TaskTrackerToken),
) -> Option<Stage>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shared = connection.shared.clone();
    shared.system.note_clients(shared.counters.connections_now.incremented());
    let served = AssertUnwindSafe(connection.serve()).catch_unwind().await;
    let parked = Box::pin(connection.finish(served.unwrap_or(End::Panicked))).await;
    shared.counters.connections_now.decrement();
    parked.map(|parked| Stage::new(parked.run().map(|()| None)))
}

/// A task has ended; one that panicked outside of serving is counted here.
fn note(shared: &Shared, ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        shared.counters.panics.increment();
        tracing::error!(%error, "a connection's task panicked");
    }
}
