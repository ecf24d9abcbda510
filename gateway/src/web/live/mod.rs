//! `/ws`: the handshake. What comes after it is in `connection`.

mod answer;
mod asked;
mod closing;
mod connection;
mod heartbeat;
mod hello;
mod pace;
mod past;
mod rests;
mod standing;

use super::{Web, problem::Refused};
use crate::files::{Kind, Place};
pub(super) use answer::filter_over_limit;
use axum::{
    extract::{
        ConnectInfo, State,
        ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use bridge::{hub::SubscriberId, outbox::Encoding};
use connection::Connection;
pub(super) use connection::FRAME_BYTES;
use hello::Visitor;
pub(super) use pace::{Pace, Traffic};
pub(super) use past::Past;
use protocol::{SUBPROTOCOL, SUBPROTOCOL_COLUMNS};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::Instrument;

/// What a connection buffers of its socket: small, for there may be ten thousand idle ones.
const READ_BUFFER_BYTES: usize = 512;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A number for a new subscriber.
pub(super) fn next_subscriber() -> SubscriberId {
    SubscriberId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `GET /ws`.
pub(super) async fn upgrade(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    accept(web, peer, &headers, upgrade).await.unwrap_or_else(IntoResponse::into_response)
}

async fn accept(
    web: Arc<Web>,
    peer: SocketAddr,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = upgrade?;
    let offers: Vec<_> = upgrade.requested_protocols().cloned().collect();
    let encoding = encoding(&offers)?;
    let message_bytes = usize::try_from(web.limits.websocket_message_bytes).unwrap_or(usize::MAX);
    let visitor = Visitor::new(&web, peer, headers).await?;
    let counted = Counted::new(&web)?;
    let id = next_subscriber();
    let span = tracing::info_span!("websocket", id = id.0, %peer);
    let tracker = web.sockets.clone();
    Ok(upgrade
        .protocols([SUBPROTOCOL_COLUMNS, SUBPROTOCOL])
        .max_message_size(message_bytes)
        .max_frame_size(message_bytes)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |mut socket| {
            let run = async move {
                let _counted = counted;
                if let Some((guest, hello)) = visitor.admit(&web, peer, &mut socket).await {
                    Connection::new(web, id, guest, peer, encoding, socket).run(hello).await;
                }
            };
            tracker.track_future(run).instrument(span)
        }))
}

/// The encoding of the subprotocol that is chosen: columns where they are offered.
fn encoding(offers: &[HeaderValue]) -> Result<Encoding, Refused> {
    let has = |protocol: &str| offers.iter().any(|offer| offer == protocol);
    if has(SUBPROTOCOL_COLUMNS) {
        Ok(Encoding::Columns)
    } else if offers.is_empty() || has(SUBPROTOCOL) {
        Ok(Encoding::Json)
    } else {
        let detail = format!(
            "none of {offers:?} is spoken here: offer {SUBPROTOCOL} or {SUBPROTOCOL_COLUMNS}"
        );
        Err(Refused::new(StatusCode::BAD_REQUEST, "bad_subprotocol", detail))
    }
}

/// Counts a connection while it is there, whatever way it ends.
pub(super) struct Counted {
    web: Arc<Web>,
    _place: Place,
}

impl Counted {
    /// Refuses one that would be one too many.
    pub(super) fn new(web: &Arc<Web>) -> Result<Self, Refused> {
        let counters = &web.stats.web;
        let Some(place) = web.room.take(Kind::WebSocket) else {
            counters.refused_full.increment();
            let detail = "no room for one more WebSocket: close some, or raise \
                          limits.websocket_connections or the limit of open files (ulimit -Hn)";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return Err(Refused::new(status, "too_many_connections", detail));
        };
        counters.connections_accepted.increment();
        counters.connections_now.increment();
        Ok(Self { web: Arc::clone(web), _place: place })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.web.stats.web.connections_now.decrement();
    }
}
