//! One WebSocket: reads what the client asks, writes what its outlet holds, and keeps the rules of
//! protocol.md, section 3: frames at the pace of `pace`; pings; close codes.

use super::{
    super::{Web, guests::Guest, who::Who},
    pace::Pace,
    past::{Past, Piece},
};
use crate::{
    auth::{Denied, Standing, User},
    core::{Outlet, Unanswered},
};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bridge::{
    hub::SubscriberId,
    outbox::{Counts, Encoding, Frame},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use protocol::{ClientMessage, CloseCode, DecodeError, Limits, Millis, Reply, RequestId};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::{self, Instant};
use tokio_tungstenite::tungstenite::{Error as TungsteniteError, error::ProtocolError};

/// How often the gateway pings.
const PING_EVERY: Duration = Duration::from_secs(25);

/// How long a pong may take.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How often a connection looks whether its reader is too slow.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Past this many bytes a frame is cut, so that one frame never holds the line for long.
pub(in crate::web) const FRAME_BYTES: usize = 64 * 1024;

/// The core's work for one client counts from here on.
const WORK: Duration = Duration::from_micros(100);

/// A client is not heard again for so many times as long as the core worked for it: no more than a tenth of the core
/// is for one.
const REST: u32 = 9;

/// But for no longer than this: its pongs are not heard either.
const REST_MAX: Duration = Duration::from_secs(1);

/// How long a closing connection waits for the client's close frame.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// The same for a reader that is too slow: what is in the socket goes out first.
const CLOSE_SLOW_WITHIN: Duration = Duration::from_secs(30);

/// When clients of a gateway that shuts down are asked to come back: protocol.md's back-off.
const COME_BACK_MS: std::ops::Range<u64> = 500..20_000;

/// At most so many of them a second.
const COME_BACK_PER_S: u64 = 500;

/// Why a connection ends.
#[derive(Debug)]
pub(in crate::web) enum End {
    /// The client closed it, or it broke.
    Gone,
    /// The gateway closes it.
    Close(CloseCode),
}

/// What a connection waits for.
#[derive(Debug)]
enum Event {
    Received(Option<Result<Message, axum::Error>>),
    Flushed(Result<(), axum::Error>),
    Ready,
    PingDue,
    Look,
    /// A piece of the past came.
    Past(Piece),
    /// The gateway stops, or the user may not go on as before.
    Interrupted,
}

pub(super) struct Connection {
    pub(super) web: Arc<Web>,
    pub(super) id: SubscriberId,
    pub(super) user: User,
    guest: Guest,
    peer: SocketAddr,
    pub(super) outlet: Outlet,
    pub(super) past: Past,
    reader: SplitStream<WebSocket>,
    writer: SplitSink<WebSocket, Message>,
    /// A frame was handed to the socket and has not left it.
    writing: bool,
    pace: Pace,
    next_ping_at: Instant,
    /// A ping went out, or should have, and this is when its pong is late.
    pong_by: Option<Instant>,
    next_look_at: Instant,
    /// Messages the client may still send in this second.
    allowance: u32,
    lagging: bool,
    /// When the client is heard again, if it rests.
    heard_at: Option<Instant>,
}

impl Connection {
    pub(super) fn new(
        web: Arc<Web>,
        id: SubscriberId,
        (user, guest): (User, Guest),
        peer: SocketAddr,
        encoding: Encoding,
        socket: WebSocket,
    ) -> Self {
        let outlet = Outlet::new(Arc::clone(&web.epoch), encoding);
        let (writer, reader) = socket.split();
        let now = Instant::now();
        let allowance = web.limits.websocket_messages_per_s;
        let pace = Pace::new(web.flush_every, now);
        Self {
            web,
            id,
            user,
            guest,
            peer,
            outlet,
            past: Past::default(),
            reader,
            writer,
            writing: false,
            pace,
            next_ping_at: now + PING_EVERY,
            pong_by: None,
            next_look_at: now + LOOK_EVERY,
            allowance,
            lagging: false,
            heard_at: None,
        }
    }

    /// Who asks, for the audit log.
    pub(super) fn who(&self) -> Who {
        Who::new(&self.user, Some(self.peer))
    }

    pub(super) async fn run(mut self) {
        // What is rare is boxed, so that it takes no memory while there is nothing to do.
        if Box::pin(self.greet()).await.is_ok() {
            let end = self.serve().await;
            Box::pin(self.farewell(end)).await;
        }
        self.note_counts();
        if self.lagging {
            self.web.stats.web.lagging_now.decrement();
        }
    }

    async fn farewell(&mut self, end: End) {
        tracing::debug!(?end, "ended");
        let id = self.id;
        // Nothing more is put in while it closes. A core that has ended needs no farewell.
        let _core_ended = self.web.core.ask(move |bridge, _| bridge.hub.leave(id)).await;
        self.close(end).await;
    }

    /// Joins the hub; `welcome` is the first message.
    async fn greet(&mut self) -> Result<(), Unanswered> {
        let limits = &self.web.limits;
        let limits = Limits {
            message_bytes: limits.websocket_message_bytes,
            subscriptions: limits.websocket_subscriptions,
            messages_per_s: limits.websocket_messages_per_s,
        };
        let (id, outlet, epoch) = (self.id, self.outlet.clone(), Arc::clone(&self.web.epoch));
        let member = self.user.member();
        let user = (!self.user.is_local()).then(|| self.user.name.as_ref().to_owned());
        let welcome = move |bridge: &mut bridge::bridge::Bridge<Outlet>, now| {
            outlet.say(&Reply::Welcome {
                session: id.0.to_string(),
                epoch: epoch.as_ref().into(),
                offset: bridge.hub.offset(),
                server_time: now,
                ping_interval_ms: millis(PING_EVERY),
                user,
                limits,
            });
            bridge.hub.join(id, outlet, member);
        };
        self.web.core.ask(welcome).await
    }

    async fn serve(&mut self) -> End {
        loop {
            self.past.go_on(&self.web, self.id, &self.outlet);
            let event = self.next_event().await;
            if let Err(end) = self.dispatch(event).await {
                return end;
            }
        }
    }

    /// In order of haste: the shutdown, the socket, then the clocks.
    async fn next_event(&mut self) -> Event {
        let may_write = !self.writing;
        tokio::select! {
            biased;
            () = self.guest.interrupt.cancelled() => Event::Interrupted,
            flushed = self.writer.flush(), if self.writing => Event::Flushed(flushed),
            message = hear(&mut self.reader, &mut self.heard_at) => Event::Received(message),
            piece = self.past.piece() => Event::Past(piece),
            () = self.pace.due(&self.outlet), if may_write => Event::Ready,
            () = time::sleep_until(self.next_ping_at) => Event::PingDue,
            () = time::sleep_until(self.next_look_at) => Event::Look,
        }
    }

    async fn dispatch(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Received(None | Some(Err(_))) if self.web.stopping.is_cancelled() => {
                Err(End::Gone)
            }
            Event::Received(None) => Err(End::Gone),
            Event::Received(Some(Err(error))) => Err(self.broken(&error)),
            Event::Received(Some(Ok(message))) => Box::pin(self.receive(message)).await,
            Event::Flushed(Ok(())) => {
                self.writing = false;
                Ok(())
            }
            Event::Flushed(Err(_)) => Err(End::Gone),
            Event::Ready => self.write().await,
            Event::PingDue => self.ping().await,
            Event::Look => self.look(),
            Event::Past(piece) => self.past.take(piece),
            Event::Interrupted if self.web.stopping.is_cancelled() => {
                Err(End::Close(CloseCode::ShuttingDown))
            }
            Event::Interrupted => {
                self.check_standing()?;
                // A new token came in the same moment.
                Box::pin(self.stay(self.user.clone())).await
            }
        }
    }

    fn broken(&self, error: &axum::Error) -> End {
        let Some(code) = breach(error) else { return End::Gone };
        self.web.stats.web.closed_malformed.increment();
        End::Close(code)
    }

    async fn write(&mut self) -> Result<(), End> {
        let Some(frame) = self.outlet.take(FRAME_BYTES) else { return Ok(()) };
        self.web.stats.web.frames_out.increment();
        self.web.stats.web.bytes_out.add(frame.bytes() as u64);
        let delivered = self.note_counts();
        self.pace.wrote(Instant::now(), delivered, &self.web.traffic);
        self.hand_over(match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes.into()),
        })
        .await
    }

    /// Gives a message to the socket without waiting for it to leave.
    async fn hand_over(&mut self, message: Message) -> Result<(), End> {
        self.writing = true;
        self.writer.feed(message).await.map_err(|_| End::Gone)
    }

    async fn ping(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.pong_by.is_some_and(|by| by <= now) {
            self.web.stats.web.closed_no_pong.increment();
            return Err(End::Close(CloseCode::NoPong));
        }
        if self.pong_by.is_some() {
            // The pong came in time for this look, or there is a moment left.
            self.next_ping_at = self.pong_by.unwrap_or(now);
            return Ok(());
        }
        self.pong_by = Some(now + PONG_WITHIN);
        self.next_ping_at = now + PONG_WITHIN;
        if self.writing {
            // What is stuck in the socket proves as much as a ping would.
            return Ok(());
        }
        self.hand_over(Message::Ping(Vec::new().into())).await
    }

    fn pong(&mut self) {
        if self.pong_by.take().is_some() {
            self.next_ping_at = Instant::now() + PING_EVERY;
        }
    }

    /// Once a second: fresh allowance, and whether the reader keeps up.
    fn look(&mut self) -> Result<(), End> {
        self.next_look_at = Instant::now() + LOOK_EVERY;
        self.allowance = self.web.limits.websocket_messages_per_s;
        self.note_counts();
        self.check_standing()?;
        if self.outlet.is_too_slow() {
            self.web.stats.web.closed_too_slow.increment();
            return Err(End::Close(CloseCode::TooSlow));
        }
        Ok(())
    }

    /// Ends the connection of a user who may not go on as before.
    fn check_standing(&self) -> Result<(), End> {
        match self.web.auth.standing(&self.user) {
            Standing::Good => Ok(()),
            Standing::Ended => Err(End::Close(CloseCode::Unauthenticated)),
            Standing::Changed => Err(End::Close(CloseCode::Forbidden)),
        }
    }

    /// A `hello` where the user is known: another token of the same user that allows the same takes the
    /// place of the first.
    pub(super) async fn renew(&mut self, token: Option<&str>) -> Result<(), End> {
        let Some(token) = token else { return Ok(()) };
        let renewed = self.web.auth.user_of(token);
        let user = renewed.map_err(|Denied| End::Close(CloseCode::Unauthenticated))?;
        let allowed = |user: &User| (user.name.clone(), user.role, user.rights.clone());
        if allowed(&user) != allowed(&self.user) {
            return Err(End::Close(CloseCode::Forbidden));
        }
        self.stay(user).await
    }

    /// Goes on with `user`, who may be counted for another token.
    async fn stay(&mut self, user: User) -> Result<(), End> {
        self.guest.renew(&user).map_err(|_too_many| End::Close(CloseCode::OverLimit))?;
        let (id, account) = (self.id, user.token().cloned());
        self.user = user;
        let moved = self.web.core.ask(move |bridge, _| bridge.hub.move_to(id, account)).await;
        moved.map_err(|_stopped| End::Close(CloseCode::ShuttingDown))
    }

    /// Counts what happened in the outbox; gives how many updates were written.
    fn note_counts(&mut self) -> u64 {
        let (lagging, counts) = {
            let mut outbox = self.outlet.lock();
            (outbox.is_lagging(), outbox.take_counts())
        };
        let Counts { delivered, conflated, resets } = counts;
        let counters = &self.web.stats.web;
        counters.updates_out.add(delivered);
        counters.updates_dropped.add(conflated);
        counters.overflow_resets.add(resets);
        match (self.lagging, lagging) {
            (false, true) => {
                counters.lags.increment();
                counters.lagging_now.increment();
            }
            (true, false) => counters.lagging_now.decrement(),
            (true, true) | (false, false) => {}
        }
        self.lagging = lagging;
        delivered
    }

    /// Has the client rest after the core has worked for it for so long.
    pub(super) fn rest(&mut self, worked: Duration) {
        if worked >= WORK {
            self.web.stats.web.rests.increment();
            self.heard_at = Some(Instant::now() + (worked * REST).min(REST_MAX));
        }
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(self.malformed()),
            Message::Ping(_) => return Ok(()),
            Message::Pong(_) => {
                self.pong();
                return Ok(());
            }
            // The answer leaves with the next look at the socket, which then ends.
            Message::Close(_) => return Ok(()),
        };
        let left = self.allowance.checked_sub(1).filter(|_| self.guest.may_send(&self.user));
        let Some(allowance) = left else {
            self.web.stats.web.closed_too_many_messages.increment();
            return Err(End::Close(CloseCode::TooManyMessages));
        };
        self.allowance = allowance;
        match ClientMessage::decode(&text) {
            Ok((mark, message)) => self.answer(mark, message).await,
            Err(DecodeError::NotAnObject) => Err(self.malformed()),
            Err(DecodeError::Refused { id, refusal }) => {
                self.refuse(id, refusal.code, refusal.message);
                Ok(())
            }
        }
    }

    fn malformed(&self) -> End {
        self.web.stats.web.closed_malformed.increment();
        End::Close(CloseCode::Malformed)
    }

    pub(super) fn refuse(&self, id: Option<RequestId>, code: &str, message: String) {
        self.web.stats.web.refused_messages.increment();
        self.outlet.say(&Reply::Error { id, code: code.into(), message });
    }

    /// Says goodbye and gives the client a moment to say it too, so that the close frame arrives.
    async fn close(&mut self, end: End) {
        let End::Close(code) = end else { return };
        let reason = if code == CloseCode::ShuttingDown {
            advice(self.web.stats.web.connections_now.get())
        } else {
            code.reason().into()
        };
        let frame = CloseFrame { code: code.code(), reason: reason.into() };
        let farewell = async {
            if self.writer.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.reader.next().await {}
            }
        };
        let patience = async {
            if code == CloseCode::TooSlow {
                let stopping = self.web.stopping.cancelled();
                let _no_haste = time::timeout(CLOSE_SLOW_WITHIN, stopping).await;
            }
            time::sleep(CLOSE_WITHIN).await;
        };
        tokio::select! {
            () = farewell => {}
            () = patience => {}
        }
    }
}

/// What to close with when a stream failed: by a message over the size limit or a breach of RFC 6455. None: the line
/// broke.
pub(super) fn breach(error: &axum::Error) -> Option<CloseCode> {
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref()) {
        Some(TungsteniteError::Capacity(_)) => Some(CloseCode::MessageTooBig),
        Some(TungsteniteError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => None,
        Some(TungsteniteError::Protocol(_) | TungsteniteError::Utf8(_)) => {
            Some(CloseCode::Malformed)
        }
        _ => None,
    }
}

/// When to come back: at random within a time in which so many connections can begin anew.
fn advice(connections: u64) -> String {
    let (least, most) = (COME_BACK_MS.start, COME_BACK_MS.end);
    let spread = (connections * 1_000 / COME_BACK_PER_S).clamp(least, most - least);
    let after = rand::random_range(least..=least + spread);
    format!("{}; come back after {after} ms", CloseCode::ShuttingDown.reason())
}

/// Waits for the next message of a client, who may have to rest before.
async fn hear(
    reader: &mut SplitStream<WebSocket>,
    heard_at: &mut Option<Instant>,
) -> Option<Result<Message, axum::Error>> {
    if let Some(at) = *heard_at {
        time::sleep_until(at).await;
        *heard_at = None;
    }
    reader.next().await
}

fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn who_is_sent_away_is_told_to_come_back_at_a_time_of_its_own() {
        for (connections, most) in [(0, 1_000), (1_000, 2_500), (1_000_000, 20_000)] {
            let told: HashSet<u64> = (0..100)
                .map(|_| {
                    let reason = advice(connections);
                    let after = reason.strip_prefix("shutting down; come back after ").unwrap();
                    after.strip_suffix(" ms").unwrap().parse().unwrap()
                })
                .collect();
            assert!(told.iter().all(|after| (500..=most).contains(after)), "{told:?}");
            assert!(told.len() > 10, "{told:?}");
        }
    }
}
