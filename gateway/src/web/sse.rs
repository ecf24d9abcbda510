//! `GET /sse?channels=a,b`: the one-way way to listen (HTML Standard, server-sent events), for clients without
//! WebSocket. Each event's data is what a frame would be; its id is a cursor to resume from.

use super::{
    Web, asked::Asked, caller::Caller, guests::Guest, headers::NO_COPY, live, problem::Refused,
    who::Who,
};
use crate::{
    auth::{Standing, User},
    core::Outlet,
};
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use bridge::{
    hub::{Prelude, SubscriberId},
    outbox::{Encoding, Frame},
};
use futures_util::Stream;
use live::{Counted, FRAME_BYTES, Pace, Past};
use protocol::{Cursor, Offset, Reply, ServerMessage, SubscribeOptions, TopicFilter};
use serde::Deserialize;
use std::{convert::Infallible, pin::Pin, sync::Arc, task, time::Duration};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tracing::Instrument as _;

/// How long a client may take for each event of the rest when the gateway stops.
const REST_WITHIN: Duration = Duration::from_millis(500);

/// How often a comment says that the line is alive: as often as a WebSocket is pinged.
const COMMENT_EVERY: Duration = Duration::from_secs(25);

/// How often it is looked whether the reader is too slow.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When a client comes back that lost its line: full jitter over as long as a WebSocket client waits first.
const RETRY_MS: std::ops::Range<u64> = 500..5_000;

/// What may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    channels: String,
}

/// `GET /sse`.
pub(super) async fn listen(
    State(web): State<Arc<Web>>,
    Caller(user): Caller,
    who: Who,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Refused> {
    let filters = filters(&wanted.channels)?;
    if filters.len() > web.limits.websocket_subscriptions as usize {
        let detail = format!("{} channels are too many", filters.len());
        return Err(Refused::bad_query(detail));
    }
    if let Some(why) = live::filter_over_limit(&web, &filters) {
        return Err(Refused::bad_query(why));
    }
    if let Some(hidden) = filters.iter().find(|filter| !who.rights.may_subscribe(filter)) {
        return Err(who.out_of_sight(&format!("'{hidden}'")));
    }
    // An empty one is that of a client which has none yet.
    let last = headers.get("last-event-id").filter(|id| !id.is_empty());
    let since = last.map(|id| cursor(id.as_bytes())).transpose()?;
    let came_with = since.as_ref().map(|Cursor { epoch, offset }| format!("{epoch}:{offset}"));
    let counted = Counted::new(&web)?;
    let guest = Guest::enter(&web, &user, &web.farewell)?;
    let options = SubscribeOptions { since, ..SubscribeOptions::default() };
    let (sender, events) = mpsc::channel(1);
    let sockets = web.sockets.clone();
    let id = live::next_subscriber();
    let speak = async move {
        let _counted = counted;
        Listener::new(web, id, (user, guest), came_with, sender).run(filters, options).await;
    };
    sockets.spawn(speak.instrument(tracing::info_span!("sse", id = id.0)));
    let keep_alive = KeepAlive::new().interval(COMMENT_EVERY);
    // Readings, as any answer: where a copy may be kept, says `headers`, and not what `Sse` puts there.
    let no_copy = [(header::CACHE_CONTROL, NO_COPY)];
    Ok((no_copy, Sse::new(Events(events)).keep_alive(keep_alive)))
}

fn filters(channels: &str) -> Result<Vec<TopicFilter>, Refused> {
    let parse = |text: &str| {
        text.parse()
            .map_err(|error| Refused::bad_query(format!("channel filter '{text}': {error}")))
    };
    channels.split(',').map(parse).collect()
}

/// `{epoch}:{offset}`, as an event's id was.
fn cursor(id: &[u8]) -> Result<Cursor, Refused> {
    let text = std::str::from_utf8(id).ok();
    let cursor = text.and_then(|text| text.split_once(':')).and_then(|(epoch, offset)| {
        Some(Cursor { epoch: epoch.into(), offset: Offset(offset.parse().ok()?) })
    });
    let bad = || {
        let id = String::from_utf8_lossy(id);
        Refused::bad_request(format!(
            "Last-Event-ID '{id}' is not EPOCH:OFFSET, as an id was given"
        ))
    };
    cursor.ok_or_else(bad)
}

/// What the response body reads.
struct Events(mpsc::Receiver<Event>);

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// One listening client.
struct Listener {
    web: Arc<Web>,
    id: SubscriberId,
    user: User,
    guest: Guest,
    outlet: Outlet,
    past: Past,
    events: mpsc::Sender<Event>,
    /// The id that the client came with: it resumes from there until it is live.
    came_with: Option<String>,
    /// What was asked for of the past has been sent: new ids can be resumed from.
    live: bool,
    offset: Offset,
}

impl Listener {
    fn new(
        web: Arc<Web>,
        id: SubscriberId,
        (user, guest): (User, Guest),
        came_with: Option<String>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let outlet = Outlet::new(Arc::clone(&web.epoch), Encoding::Json);
        let (past, offset) = (Past::default(), Offset(0));
        Self { web, id, user, guest, outlet, past, events, came_with, live: false, offset }
    }

    async fn run(mut self, filters: Vec<TopicFilter>, options: SubscribeOptions) {
        let (id, outlet, member) = (self.id, self.outlet.clone(), self.user.member());
        self.past.expect();
        let joined = self.web.core.ask(move |bridge, _| {
            bridge.hub.join(id, outlet, member);
            bridge.hub.subscribe(id, None, filters, &options, |_, _| Prelude::Whole);
        });
        if joined.await.is_err() {
            return;
        }
        let retry = Duration::from_millis(rand::random_range(RETRY_MS));
        if self.events.send(Event::default().retry(retry)).await.is_ok() {
            self.serve().await;
        }
        // A core that has ended needs no farewell.
        let _core_ended = self.web.core.ask(move |bridge, _| bridge.hub.leave(id)).await;
    }

    /// Sends frames until the client goes, is too slow, or the gateway stops.
    async fn serve(&mut self) {
        let mut look = time::interval(LOOK_EVERY);
        let mut pace = Pace::new(self.web.flush_every, Instant::now());
        let events = self.events.clone();
        loop {
            self.past.go_on(&self.web, self.id, &self.outlet);
            tokio::select! {
                () = self.guest.interrupt.cancelled() => return self.say_the_rest().await,
                () = events.closed() => return,
                piece = self.past.piece() => if self.past.take(piece).is_err() { return },
                _ = look.tick() => if self.is_too_slow() || self.web.auth.standing(&self.user) != Standing::Good { return },
                room = room_for_frame(&self.outlet, &mut pace, &self.web, &events) => {
                    let Some(room) = room else { return };
                    if let Some((event, delivered)) = self.next_event() {
                        pace.wrote(Instant::now(), delivered, &self.web.traffic);
                        room.send(event);
                    }
                }
            }
        }
    }

    /// At the farewell: sends what waits, as long as the client takes it.
    async fn say_the_rest(&mut self) {
        while self.web.farewell.is_cancelled()
            && let Some((event, _)) = self.next_event()
            && let Ok(Ok(())) = time::timeout(REST_WITHIN, self.events.send(event)).await
        {}
    }

    fn is_too_slow(&self) -> bool {
        let too_slow = self.outlet.is_too_slow();
        if too_slow {
            self.web.stats.web.closed_too_slow.increment();
        }
        too_slow
    }

    /// The next frame as an event, and how many updates are in it.
    fn next_event(&mut self) -> Option<(Event, u64)> {
        let Some(Frame::Text(text)) = self.outlet.take(FRAME_BYTES) else { return None };
        let counters = &self.web.stats.web;
        counters.note_frame(text.len());
        let delivered = counters.note(self.outlet.lock().take_counts());
        self.note_offset(&text);
        let event = Event::default().data(text);
        let event = match self.resumes_from() {
            Some(id) => event.id(id),
            None => event,
        };
        Some((event, delivered))
    }

    /// The id to resume from; none before a new client is live.
    fn resumes_from(&self) -> Option<String> {
        if self.live {
            return Some(format!("{}:{}", self.web.epoch, self.offset));
        }
        self.came_with.clone()
    }

    /// Reads the frame as the client does: it resumes from the greatest offset, once it was live.
    fn note_offset(&mut self, text: &str) {
        let messages: Vec<ServerMessage> =
            serde_json::from_str(text).expect("frames are arrays of messages");
        for message in messages {
            let offset = match message {
                ServerMessage::Update(update) => update.offset,
                ServerMessage::Reply(Reply::Live { offset, .. }) => {
                    self.live = true;
                    offset
                }
                ServerMessage::Reply(_) => continue,
            };
            self.offset = self.offset.max(offset);
        }
    }
}

/// Waits until there is something to send, its time has come, and the client has taken what was before.
async fn room_for_frame<'a>(
    outlet: &Outlet,
    pace: &mut Pace,
    web: &Web,
    events: &'a mpsc::Sender<Event>,
) -> Option<mpsc::Permit<'a, Event>> {
    pace.due(outlet, &web.rhythm, &web.traffic).await;
    events.reserve().await.ok()
}
