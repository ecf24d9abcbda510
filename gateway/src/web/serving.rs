//! HTTP connections: accepted up to a bound, and given up where a head, a body or the reading of an answer takes
//! too long. So a peer that does nothing (slowloris) holds neither the gateway nor its end.

use super::{
    Web,
    cut::{CutStream, Unread},
};
use crate::{
    arrival::{Arrivals, Carrier, Failing, Guest},
    core::Stopped,
    files::Kind,
};
use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{ConnectInfo, Request},
};
use futures_util::{StreamExt as _, stream};
use hyper::{body::Incoming, server::conn::http1, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

/// What a connection beyond the bound is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n";

/// How many connections beyond the bound are told so at the same time; more are closed unanswered.
const REFUSALS_MAX: usize = 64;

/// How long telling may take.
const REFUSE_WITHIN: Duration = Duration::from_secs(2);

/// A body did not come whole within `http.body_timeout_ms`.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body did not come whole within http.body_timeout_ms")]
pub(super) struct BodyTooSlow;

/// What all connections have in common.
struct Hall {
    refusals: Semaphore,
    router: Router,
    web: Arc<Web>,
    /// Ends those whose request never comes whole.
    cut: CancellationToken,
}

/// Serves what connects to `tcp` until the gateway stops, then until all connections have ended. `cut` ends those
/// whose request never comes whole.
pub(super) async fn serve(
    tcp: TcpListener,
    arrivals: Arrivals,
    router: Router,
    web: Arc<Web>,
    cut: CancellationToken,
) {
    let (stopping, refusals) = (web.stopping.clone(), Semaphore::new(REFUSALS_MAX));
    let hall = Arc::new(Hall { refusals, router, web, cut });
    let arrivals = Arc::new(arrivals);
    let (mut connections, mut failing) = (JoinSet::new(), Failing::default());
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            accepted = tcp.accept() => match accepted {
                Ok((socket, peer)) => {
                    // Small writes go at once. When the option cannot be set the peer has gone already.
                    let _gone_already = socket.set_nodelay(true);
                    let welcoming = Arc::clone(&arrivals).welcome(socket, peer);
                    connections.spawn(enter(Arc::clone(&hall), welcoming));
                }
                Err(error) => failing.rest("HTTP", &error).await,
            },
            Some(ended) = connections.join_next() => note(ended),
        }
    }
    drop(tcp);
    while let Some(ended) = connections.join_next().await {
        note(ended);
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an HTTP connection's task panicked");
    }
}

/// Who is still at its TLS handshake takes no room of who asks something.
async fn enter(hall: Arc<Hall>, welcoming: impl Future<Output = Option<Guest>>) {
    let welcomed = tokio::select! {
        biased;
        () = hall.web.stopping.cancelled() => None,
        welcomed = welcoming => welcomed,
    };
    let Some(Guest { stream, address, certified: _ }) = welcomed else { return };
    match stream {
        Carrier::Plain(socket) => admit(&hall, socket, address).await,
        Carrier::Tls(stream) => admit(&hall, stream, address).await,
    }
}

async fn admit<S>(hall: &Hall, stream: S, address: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match hall.web.room.take(Kind::Http) {
        Some(_place) => connection(hall, stream, address).await,
        None => refuse(hall, stream).await,
    }
}

/// Tells that there is no room. It reads until the peer closes: what lay unread would make the system throw away
/// what was told.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(hall: &Hall, mut stream: S) {
    hall.web.stats.http.refused_full.increment();
    let Ok(_place) = hall.refusals.try_acquire() else { return };
    let telling = async {
        stream.write_all(FULL).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    let _gone_or_late = time::timeout(REFUSE_WITHIN, telling).await;
}

/// Serves one connection over any stream: of TCP as it is, or of TLS after its handshake.
async fn connection<S>(hall: &Hall, stream: S, address: SocketAddr)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Hall { router, web, cut, .. } = hall;
    let counters = &web.stats.http;
    counters.connections_accepted.increment();
    counters.connections_now.increment();
    let unread = Unread::default();
    let service = hyper::service::service_fn(|mut request: hyper::Request<Incoming>| {
        unread.set(!request.body().is_end_stream());
        request.extensions_mut().insert(ConnectInfo(address));
        request.extensions_mut().insert(unread.clone());
        TowerToHyperService::new(router.clone()).call(request)
    });
    let stream = CutStream::new(stream, cut.clone(), web.patience.write, unread.clone());
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
        count(&error, web);
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

/// Bounds how long a request's body may take, and tells one that the gateway's end cut short from others.
pub(super) fn hurry(web: &Arc<Web>, request: Request) -> Request {
    let deadline = Instant::now() + web.patience.body;
    let unread = request.extensions().get::<Unread>().cloned().unwrap_or_default();
    request.map(|body| match body.is_end_stream() {
        true => body,
        false => until(body, deadline, Arc::clone(web), unread),
    })
}

fn until(body: Body, deadline: Instant, web: Arc<Web>, unread: Unread) -> Body {
    let pieces = Some(body.into_data_stream());
    Body::from_stream(stream::unfold(pieces, move |pieces| {
        let (web, unread) = (Arc::clone(&web), unread.clone());
        async move {
            let mut pieces = pieces?;
            if let Ok(piece) = time::timeout_at(deadline, pieces.next()).await {
                // Then it is the gateway that cut it: who had gone would not hear this either.
                let cut = |error| {
                    if web.stopping.is_cancelled() { axum::Error::new(Stopped) } else { error }
                };
                unread.set(piece.is_some());
                return Some((piece?.map_err(cut), Some(pieces)));
            }
            web.stats.http.slow_bodies.increment();
            Some((Err(axum::Error::new(BodyTooSlow)), None))
        }
    }))
}
