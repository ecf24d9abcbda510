//! `/mqtt`: MQTT over WebSocket (MQTT 5.0, section 6; 3.1.1, section 6). The edge serves it like any other
//! connection; here a WebSocket becomes a stream of bytes.

use super::{Web, caller::Caller, guests::Guest, problem::Refused};
use crate::auth::{Brought, Standing, User};
use axum::{
    Extension,
    extract::{
        ConnectInfo, State,
        ws::{Message, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection},
    },
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bytes::{Buf as _, Bytes};
use futures_util::{Sink, Stream as _};
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

/// What a client offers [MQTT-6.0.0-3].
const SUBPROTOCOL: &str = "mqtt";

/// What a connection buffers of its socket.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// How often it is looked whether the user may still be here.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The most of an MQTT stream that goes into one frame.
const FRAME_BYTES: usize = 64 * 1024;

/// `GET /mqtt`.
pub(super) async fn upgrade(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    caller: Option<Extension<Caller>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let caller = caller.map(|Extension(caller)| caller);
    std::future::ready(
        accept(web, peer, caller, upgrade).unwrap_or_else(IntoResponse::into_response),
    )
    .await
}

fn accept(
    web: Arc<Web>,
    peer: SocketAddr,
    caller: Option<Caller>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = checked(&web, caller.as_ref(), upgrade)?;
    let enter = |Caller(user): &Caller| Guest::enter(&web, user, &web.stopping);
    let guest = caller.as_ref().map(enter).transpose()?;
    // Packets and frames are cut where the client likes: a frame may have a packet and the next one's begin.
    let message_bytes = web.limits.mqtt_packet_bytes.saturating_mul(2) as usize;
    let tracker = web.sockets.clone();
    let span = tracing::debug_span!("mqtt", address = %peer, websocket = true);
    let user = caller.map(|Caller(user)| user);
    Ok(upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(message_bytes)
        .max_frame_size(message_bytes)
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .on_upgrade(move |socket| {
            tracker.track_future(serve(web, socket, peer, user, guest)).instrument(span)
        }))
}

/// What can become MQTT: a WebSocket that says so, of somebody who may.
fn checked(
    web: &Web,
    caller: Option<&Caller>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<WebSocketUpgrade, Refused> {
    let upgrade = upgrade?;
    if let Some(Caller(user)) = caller.filter(|Caller(user)| user.rights.is_narrowed()) {
        web.stats.web.refused_forbidden.increment();
        let detail = format!("the token of '{}' is narrowed, and MQTT would show more", user.name);
        return Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    if !upgrade.requested_protocols().any(|offer| offer == SUBPROTOCOL) {
        let detail = format!("MQTT over WebSocket needs the subprotocol '{SUBPROTOCOL}'");
        return Err(Refused::new(StatusCode::BAD_REQUEST, "bad_subprotocol", detail));
    }
    Ok(upgrade)
}

/// Has the edge serve what comes over the WebSocket.
async fn serve(
    web: Arc<Web>,
    socket: WebSocket,
    peer: SocketAddr,
    user: Option<User>,
    guest: Option<Guest>,
) {
    let stop = match &guest {
        Some(guest) => guest.interrupt.clone(),
        None => web.stopping.child_token(),
    };
    let brought = user.clone().map_or(Brought::NothingByHttp, Brought::User);
    tokio::select! {
        () = web.mqtt.serve(ByteStream::new(socket), peer, brought, stop.clone()) => {}
        () = stop_when_expired(&web, user.as_ref(), &stop) => {}
    }
}

/// Ends a connection in order when its user's token expires; never returns, for that end takes time. Who showed no
/// token here signs in over MQTT, and is ended there.
async fn stop_when_expired(web: &Web, user: Option<&User>, stop: &CancellationToken) {
    while user.is_none_or(|user| web.auth.standing(user) == Standing::Good) {
        sleep(LOOK_EVERY).await;
    }
    stop.cancel();
    std::future::pending().await
}

/// The bytes of a WebSocket's binary frames.
#[derive(Debug)]
struct ByteStream {
    socket: WebSocket,
    /// Of a frame that was read in part.
    rest: Bytes,
}

impl ByteStream {
    fn new(socket: WebSocket) -> Self {
        Self { socket, rest: Bytes::new() }
    }

    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => Ok(Some(bytes)),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                // "If any other type of data frame is received the recipient MUST close" [MQTT-6.0.0-1].
                Some(Ok(Message::Text(_))) => {
                    Err(io::Error::new(io::ErrorKind::InvalidData, "a text frame"))
                }
                Some(Ok(Message::Close(_))) | None => Ok(None),
                Some(Err(error)) => Err(io::Error::other(error)),
            });
        }
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.poll_frame(context))? {
                Some(bytes) => self.rest = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let bytes = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest.split_to(bytes));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let socket = Pin::new(&mut self.socket);
        ready!(socket.poll_ready(context)).map_err(io::Error::other)?;
        let mut frame = bytes.take(FRAME_BYTES);
        let frame = frame.copy_to_bytes(frame.remaining());
        let taken = frame.len();
        Pin::new(&mut self.socket).start_send(Message::Binary(frame)).map_err(io::Error::other)?;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context).map_err(io::Error::other)
    }
}
