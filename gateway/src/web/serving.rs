//! HTTP connections: accepted up to a bound, and given up where a head, a body or the reading of an answer takes
//! too long. So a peer that does nothing (slowloris) holds neither the gateway nor its end.

use super::{Web, cut::CutStream};
use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

/// How long accepting rests after it failed, as it does when the process has too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a connection beyond the bound is told, as far as its socket takes it at once.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n";

/// A body did not come whole within `http.body_timeout_ms`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body did not come whole within http.body_timeout_ms")]
pub(super) struct BodyTooSlow;

/// Serves what connects to `tcp` until the gateway stops, then until all connections have ended. `cut` ends those
/// whose request never comes whole.
pub(super) async fn serve(tcp: TcpListener, router: Router, web: Arc<Web>, cut: CancellationToken) {
    let room = Arc::new(Semaphore::new(web.limits.http_connections as usize));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = web.stopping.cancelled() => break,
            accepted = tcp.accept() => match accepted {
                Ok((socket, address)) => {
                    let Ok(room) = Arc::clone(&room).try_acquire_owned() else {
                        refuse(&socket, &web);
                        continue;
                    };
                    prepare(&socket);
                    let serving = connection(socket, address, router.clone(), Arc::clone(&web), cut.clone());
                    connections.spawn(async move {
                        let _room = room;
                        serving.await;
                    });
                }
                Err(error) => rest(&error).await,
            },
            Some(ended) = connections.join_next() => note(ended),
        }
    }
    drop(tcp);
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
}

async fn rest(error: &io::Error) {
    tracing::warn!(%error, "cannot accept an HTTP connection");
    time::sleep(ACCEPT_PAUSE).await;
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an HTTP connection's task panicked");
    }
}

/// Small writes go at once. When the option cannot be set the peer has gone already.
fn prepare(socket: &TcpStream) {
    let _gone_already = socket.set_nodelay(true);
}

fn refuse(socket: &TcpStream, web: &Web) {
    web.stats.http.refused_full.increment();
    // Nobody is waited for here: who cannot take it sees a closed connection.
    let _not_told = socket.try_write(FULL);
}

/// Serves one connection over any stream: of TCP as it is, or of TLS after its handshake.
async fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    address: SocketAddr,
    router: Router,
    web: Arc<Web>,
    cut: CancellationToken,
) {
    let counters = &web.stats.http;
    counters.connections_accepted.increment();
    counters.connections_now.increment();
    let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        TowerToHyperService::new(router.clone()).call(request)
    });
    let stream = CutStream::new(stream, cut, web.patience.write);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(web.patience.head)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = web.stopping.cancelled() => {
            // It takes no further request.
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        count(&error, &web);
    }
    web.stats.http.connections_now.decrement();
}

fn count(error: &hyper::Error, web: &Web) {
    let counters = &web.stats.http;
    if error.is_timeout() {
        counters.closed_idle.increment();
    } else if error.is_parse() {
        counters.refused_malformed.increment();
    } else if timed_out(error) {
        counters.closed_unread.increment();
    }
    tracing::debug!(%error, "an HTTP connection ended");
}

fn timed_out(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|source| source.kind() == io::ErrorKind::TimedOut)
}

/// The layer that bounds how long a request's body may take.
pub(super) async fn hurry(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let deadline = Instant::now() + web.patience.body;
    let request = request.map(|body| match body.is_end_stream() {
        true => body,
        false => until(body, deadline, web),
    });
    next.run(request).await
}

fn until(body: Body, deadline: Instant, web: Arc<Web>) -> Body {
    let pieces = Some(body.into_data_stream());
    Body::from_stream(stream::unfold(pieces, move |pieces| {
        let web = Arc::clone(&web);
        async move {
            let mut pieces = pieces?;
            if let Ok(piece) = time::timeout_at(deadline, pieces.next()).await {
                return Some((piece?, Some(pieces)));
            }
            web.stats.http.slow_bodies.increment();
            Some((Err(axum::Error::new(BodyTooSlow)), None))
        }
    }))
}
