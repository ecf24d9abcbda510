//! A listener of the edge, plain or with TLS: it accepts sockets and makes connections of them.

use super::{Stage, door::Door, flushed::Flushed};
use crate::{
    arrival::{Arrivals, Carrier, Failing, Guest},
    auth::Brought,
};
use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{
    Instrument as _, Span,
    field::{Empty, display},
};

/// After so long a silence the system asks whether the other side is still there: half-open connections of
/// clients without keep-alive end that way.
const PROBE_AFTER: Duration = Duration::from_secs(60);

/// A bound listener.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    arrivals: Arc<Arrivals>,
    failing: Failing,
}

impl Listener {
    pub(super) async fn bind(address: SocketAddr, arrivals: Arrivals) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        prepare(&listener);
        Ok(Self { listener, arrivals: Arc::new(arrivals), failing: Failing::default() })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next socket. Nothing is lost when this is given up.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }

    /// Serves what was accepted, in a task of its own.
    pub(super) async fn accepted(
        &mut self,
        accepted: io::Result<(TcpStream, SocketAddr)>,
        door: &Door,
        tasks: &mut JoinSet<()>,
        stop: &CancellationToken,
    ) {
        match accepted {
            Ok((socket, peer)) => {
                door.shared.counters.sockets.increment();
                let welcoming = Arc::clone(&self.arrivals).welcome(socket, peer);
                let welcomed = Stage::new(welcomed(welcoming, door.clone(), stop.clone()));
                // At a lower level than what is logged in it: entering a span costs as much as a message.
                let span = tracing::debug_span!("mqtt", address = Empty);
                tasks.spawn(welcomed.live().instrument(span));
            }
            Err(error) => self.failing.rest("MQTT", &error).await,
        }
    }
}

/// Sets what each accepted socket takes over, so that it costs no call for each.
fn prepare(listener: &TcpListener) {
    let socket = SockRef::from(listener);
    let keepalive = TcpKeepalive::new().with_time(PROBE_AFTER);
    let set = socket.set_tcp_keepalive(&keepalive);
    if let Err(error) = set.and_then(|()| socket.set_tcp_nodelay(true)) {
        tracing::debug!(%error, "options of the socket are not to be had");
    }
}

/// Who is still at its TLS handshake takes no room of who is connected.
async fn welcomed(
    welcoming: impl Future<Output = Option<Guest>>,
    door: Door,
    stop: CancellationToken,
) -> Option<Stage> {
    let Guest { stream, address, certified } = stop.run_until_cancelled(welcoming).await??;
    Span::current().record("address", display(address));
    let ticket = door.ticket()?;
    let brought = certified.map_or(Brought::Nothing, Brought::Certificate);
    Some(match stream {
        Carrier::Plain(socket) => door.enter(socket, address, brought, ticket, stop),
        Carrier::Tls(stream) => door.enter(Flushed::new(stream), address, brought, ticket, stop),
    })
}
