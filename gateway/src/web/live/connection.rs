//! One WebSocket: reads what the client asks, writes what its outlet holds, and keeps the rules of
//! protocol.md, section 3. It waits for what comes next and hands that on: what is asked is done by `asked`, and the
//! next message is read when that is answered; frames go at the pace of `pace`, pings by `heartbeat`, a demanding
//! client has its `rests`, the past comes by `past`; `standing` says whether the user may go on, `closing` how it ends.

use super::{
    super::{Web, guests::Guest, who::Who},
    asked::{Answered, Answering, answer_of},
    closing::{End, breach},
    heartbeat::{Beat, Heartbeat, PING_EVERY},
    pace::Pace,
    past::{Past, Piece},
    rests::Rests,
};
use crate::{
    auth::User,
    core::{Outlet, Stopped},
};
use axum::extract::ws::{Message, WebSocket};
use bridge::{
    hub::SubscriberId,
    outbox::{Encoding, Frame},
};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use protocol::{ClientMessage, CloseCode, DecodeError, Limits, Millis, Reply, RequestId};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::{self, Instant};

/// How often a connection looks whether its reader is too slow.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Past this many bytes a frame is cut, so that one frame never holds the line for long.
pub(in crate::web) const FRAME_BYTES: usize = 64 * 1024;

/// What a connection waits for.
#[derive(Debug)]
enum Event {
    Received(Option<Result<Message, axum::Error>>),
    Flushed(Result<(), axum::Error>),
    Ready,
    BeatDue,
    Look,
    /// A piece of the past came.
    Past(Piece),
    /// What the client asked last is answered.
    Answered(Result<Answered, Stopped>),
    /// It is time to go, or the user may not go on as before.
    Interrupted,
}

pub(super) struct Connection {
    pub(super) web: Arc<Web>,
    pub(super) id: SubscriberId,
    pub(super) user: User,
    pub(super) guest: Guest,
    pub(super) peer: SocketAddr,
    pub(super) outlet: Outlet,
    pub(super) past: Past,
    /// The answer that is under way; the client's next message is read after it.
    pub(super) answering: Option<Answering>,
    pub(super) reader: SplitStream<WebSocket>,
    pub(super) writer: SplitSink<WebSocket, Message>,
    /// A frame was handed to the socket and has not left it.
    writing: bool,
    pace: Pace,
    heartbeat: Heartbeat,
    next_look_at: Instant,
    /// Messages the client may still send in this second.
    allowance: u32,
    lagging: bool,
    rests: Rests,
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
            answering: None,
            reader,
            writer,
            writing: false,
            pace,
            heartbeat: Heartbeat::new(now),
            next_look_at: now + LOOK_EVERY,
            allowance,
            lagging: false,
            rests: Rests::default(),
        }
    }

    /// Who asks, for the audit log.
    pub(super) fn who(&self) -> Who {
        Who::new(&self.user, Some(self.peer))
    }

    /// Serves the client, whose `hello`, if it said one, had this mark.
    pub(super) async fn run(mut self, hello: Option<RequestId>) {
        // What is rare is boxed, so that it takes no memory while there is nothing to do.
        if Box::pin(self.greet(hello)).await.is_ok() {
            let end = self.serve().await;
            Box::pin(self.farewell(end)).await;
        }
        self.note_counts();
        if self.lagging {
            self.web.stats.web.lagging_now.decrement();
        }
    }

    /// Joins the hub; `welcome` is the first message.
    async fn greet(&mut self, hello: Option<RequestId>) -> Result<(), Stopped> {
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
                id: hello,
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
        let (may_write, may_hear) = (!self.writing, self.answering.is_none());
        tokio::select! {
            biased;
            () = self.guest.interrupt.cancelled() => Event::Interrupted,
            flushed = self.writer.flush(), if self.writing => Event::Flushed(flushed),
            answered = answer_of(&mut self.answering), if !may_hear => Event::Answered(answered),
            message = self.rests.hear(&mut self.reader), if may_hear => Event::Received(message),
            piece = self.past.piece() => Event::Past(piece),
            () = self.pace.due(&self.outlet, &self.web.rhythm, &self.web.traffic), if may_write => Event::Ready,
            () = time::sleep_until(self.heartbeat.next_at()) => Event::BeatDue,
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
            Event::BeatDue => self.beat().await,
            Event::Look => self.look(),
            Event::Past(piece) => self.past.take(piece),
            Event::Answered(answered) => self.take_note(answered),
            Event::Interrupted if self.web.farewell.is_cancelled() => {
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
        match self.next_frame() {
            Some(frame) => self.hand_over(frame).await,
            None => Ok(()),
        }
    }

    /// What waits, as much as goes into one frame.
    pub(super) fn next_frame(&mut self) -> Option<Message> {
        let frame = self.outlet.take(FRAME_BYTES)?;
        self.web.stats.web.note_frame(frame.bytes());
        let delivered = self.note_counts();
        self.pace.wrote(Instant::now(), delivered, &self.web.traffic);
        Some(match frame {
            Frame::Text(text) => Message::Text(text.into()),
            Frame::Binary(bytes) => Message::Binary(bytes.into()),
        })
    }

    /// Gives a message to the socket without waiting for it to leave.
    async fn hand_over(&mut self, message: Message) -> Result<(), End> {
        self.writing = true;
        self.writer.feed(message).await.map_err(|_| End::Gone)
    }

    async fn beat(&mut self) -> Result<(), End> {
        match self.heartbeat.beat(Instant::now()) {
            Beat::Wait => Ok(()),
            // What is stuck in the socket proves as much as a ping would.
            Beat::Ping if self.writing => Ok(()),
            Beat::Ping => self.hand_over(Message::Ping(Vec::new().into())).await,
            // The pong may lie in the socket, from which nothing is read now.
            Beat::Late if self.answering.is_some() => {
                self.heartbeat.pong(Instant::now());
                Ok(())
            }
            Beat::Late => {
                self.web.stats.web.closed_no_pong.increment();
                Err(End::Close(CloseCode::NoPong))
            }
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

    /// Counts what happened in the outbox; gives how many updates were written.
    fn note_counts(&mut self) -> u64 {
        let (lagging, counts) = {
            let mut outbox = self.outlet.lock();
            (outbox.is_lagging(), outbox.take_counts())
        };
        let counters = &self.web.stats.web;
        match (self.lagging, lagging) {
            (false, true) => {
                counters.lags.increment();
                counters.lagging_now.increment();
            }
            (true, false) => counters.lagging_now.decrement(),
            (true, true) | (false, false) => {}
        }
        self.lagging = lagging;
        counters.note(counts)
    }

    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(self.malformed()),
            Message::Ping(_) => return Ok(()),
            Message::Pong(_) => {
                self.heartbeat.pong(Instant::now());
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

    /// The client has its answer, rests if the core has worked for it, and may ask again.
    fn take_note(&mut self, answered: Result<Answered, Stopped>) -> Result<(), End> {
        self.answering = None;
        let answered = answered.map_err(|Stopped| End::Close(CloseCode::ShuttingDown))?;
        if answered.past_follows {
            self.past.expect();
        }
        if self.rests.after(answered.worked) {
            self.web.stats.web.rests.increment();
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
