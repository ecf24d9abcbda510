//! A gateway that plays a script: HTTP by tables, each WebSocket connection by its own list of steps.
//!
//! It follows `docs/protocol.md` as far as `sluice` can tell, and writes down what it was asked.

use axum::{
    Json, Router,
    body::Body,
    extract::{
        Path, RawQuery, Request, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use protocol::{ClientMessage, CommandRequest, SUBPROTOCOL, SUBPROTOCOL_COLUMNS};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

/// The id of the command that the fake accepts.
pub(crate) const COMMAND: &str = "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";

/// A fixed time, 2023-11-14 22:13:20 UTC.
pub(crate) const THEN: i64 = 1_700_000_000_000;

/// What the fake knows and does.
#[derive(Default)]
pub(crate) struct Script {
    /// The pages of `GET /devices`.
    pub(crate) pages: Vec<Vec<Value>>,
    /// Each page names the first as the next.
    pub(crate) pages_in_a_circle: bool,
    /// One for each WebSocket connection; later ones stay quiet.
    pub(crate) sessions: Vec<Session>,
    /// The answer to a posted command; none: no device is known.
    pub(crate) accepted: Option<Value>,
    /// So many answers to posted commands break off.
    pub(crate) broken_answers: u32,
    /// The answer to `GET /commands/{id}`; none: unknown.
    pub(crate) details: Option<Value>,
    /// The answer to a cancel; none: it is refused.
    pub(crate) cancelled: Option<Value>,
    /// What else is answered: a request such as `GET /alerts`, and its answer. One that is there several times is
    /// answered in turn; the last answer stays.
    pub(crate) answers: Vec<(&'static str, Answer)>,
}

/// An answer to a request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// 200.
    Json(Value),
    /// A status with its code and detail.
    Problem(u16, &'static str, &'static str),
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// What a WebSocket connection is told.
pub(crate) struct Session {
    pub(crate) epoch: &'static str,
    pub(crate) ping_interval_ms: u64,
    /// Between `subscribed` and `live`.
    pub(crate) snapshots: Vec<Value>,
    /// After `live`.
    pub(crate) steps: Vec<Step>,
    /// Whether it breaks before `live`.
    pub(crate) is_cut: bool,
}

impl Session {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let (snapshots, is_cut) = (Vec::new(), false);
        Self { epoch: "e1", ping_interval_ms: 25_000, snapshots, steps, is_cut }
    }

    /// One that breaks when it has sent these of the past.
    pub(crate) fn cut(snapshots: Vec<Value>) -> Self {
        Self { snapshots, is_cut: true, ..Self::new(vec![Step::Break]) }
    }
}

/// One step of a connection.
pub(crate) enum Step {
    /// These messages, in one frame.
    Frame(Vec<Value>),
    /// This frame, as it is written here.
    Raw(&'static str),
    /// This binary frame.
    Binary(Vec<u8>),
    /// A close.
    Close(u16, &'static str),
    /// The connection breaks.
    Break,
    /// Waits for a replay to be asked for, sends these updates, and ends it with this reply.
    Replay(Vec<Value>, Value),
    /// Goes on once a command was posted.
    UntilPosted,
    /// Goes on once the test says so.
    UntilCue,
}

/// The running fake; it ends when it is dropped.
pub(crate) struct Fake {
    pub(crate) url: String,
    world: Arc<World>,
    _server: JoinSet<()>,
}

struct World {
    script: Script,
    sessions: Mutex<VecDeque<Session>>,
    broken_answers: Mutex<u32>,
    answers: Mutex<Vec<(&'static str, Answer)>>,
    asked: Mutex<Vec<String>>,
    keys: Mutex<Vec<String>>,
    posted: watch::Sender<bool>,
    cue: watch::Sender<bool>,
}

impl Fake {
    pub(crate) async fn start(mut script: Script) -> Self {
        let sessions = std::mem::take(&mut script.sessions);
        let world = Arc::new(World {
            sessions: Mutex::new(sessions.into()),
            broken_answers: Mutex::new(script.broken_answers),
            answers: Mutex::new(std::mem::take(&mut script.answers)),
            script,
            asked: Mutex::default(),
            keys: Mutex::default(),
            posted: watch::Sender::new(false),
            cue: watch::Sender::new(false),
        });
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router().with_state(world.clone());
        let mut server = JoinSet::new();
        server.spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, world, _server: server }
    }

    /// Lets the connections that wait for it go on.
    pub(crate) fn cue(&self) {
        self.world.cue.send_replace(true);
    }

    /// What was asked, one request a line.
    pub(crate) fn asked(&self) -> String {
        let asked = self.world.asked.lock().unwrap();
        asked.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The `Idempotency-Key` of each posted command.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.world.keys.lock().unwrap().clone()
    }
}

fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/ws", get(websocket))
        .route("/api/v1/devices", get(devices))
        .route("/api/v1/devices/{id}/commands", post(command))
        .route("/api/v1/commands/{id}", get(details))
        .route("/api/v1/commands/{id}/cancel", post(cancel))
        .fallback(other)
}

impl World {
    fn ask(&self, line: String) {
        self.asked.lock().unwrap().push(line);
    }
}

async fn devices(State(world): State<Arc<World>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    world.ask(format!("GET /devices?{query}"));
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor=page"));
    let page: usize = cursor.map_or(0, |number| number.parse().unwrap());
    let items = world.script.pages.get(page).cloned().unwrap_or_default();
    let next = match page + 1 {
        _ if world.script.pages_in_a_circle => Some("page0".to_owned()),
        next => (next < world.script.pages.len()).then(|| format!("page{next}")),
    };
    Json(json!({ "items": items, "next": next })).into_response()
}

async fn command(
    State(world): State<Arc<World>>,
    Path(device): Path<String>,
    headers: HeaderMap,
    Json(body): Json<CommandRequest>,
) -> Response {
    let body = serde_json::to_string(&body).unwrap();
    world.ask(format!("POST /devices/{device}/commands {body}"));
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    world.keys.lock().unwrap().extend(key);
    let Some(accepted) = &world.script.accepted else {
        return problem(404, "unknown_device", &format!("there is no device '{device}'"));
    };
    world.posted.send_replace(true);
    let mut broken = world.broken_answers.lock().unwrap();
    if *broken > 0 {
        *broken -= 1;
        return (StatusCode::ACCEPTED, broken_body()).into_response();
    }
    (StatusCode::ACCEPTED, Json(accepted)).into_response()
}

/// Answers from the script's list.
async fn other(State(world): State<Arc<World>>, request: Request) -> Response {
    let path = request.uri().path().strip_prefix("/api/v1").unwrap_or(request.uri().path());
    let line = format!("{} {path}", request.method());
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let expected = request.headers().get(header::IF_MATCH);
    let expected = expected.map(|tag| format!(" if-match {}", tag.to_str().unwrap()));
    let body = axum::body::to_bytes(request.into_body(), 65_536).await.unwrap();
    let body = String::from_utf8(body.into()).unwrap();
    let expected = expected.unwrap_or_default();
    world.ask(format!("{line}{query}{expected} {body}").trim_end().to_owned());
    let mut answers = world.answers.lock().unwrap();
    let places = answers.iter().enumerate().filter(|(_, (asked, _))| *asked == line);
    let places: Vec<_> = places.map(|(place, _)| place).collect();
    let answer = match places[..] {
        [] => return StatusCode::NOT_FOUND.into_response(),
        [only] => answers[only].1.clone(),
        [first, ..] => answers.remove(first).1,
    };
    world.posted.send_replace(true);
    match answer {
        Answer::Json(value) => Json(value).into_response(),
        Answer::Problem(status, code, detail) => problem(status, code, detail),
    }
}

/// A body whose connection is cut before it is whole.
fn broken_body() -> Body {
    let cut = async { Err::<Vec<u8>, _>(io::Error::other("cut")) };
    Body::from_stream(futures_util::stream::once(cut))
}

async fn details(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    world.ask(format!("GET /commands/{id}"));
    match &world.script.details {
        Some(details) => Json(details).into_response(),
        None => problem(404, "unknown_command", &format!("there is no command '{id}'")),
    }
}

async fn cancel(State(world): State<Arc<World>>, Path(id): Path<String>) -> Response {
    world.ask(format!("POST /commands/{id}/cancel"));
    match &world.script.cancelled {
        Some(cancelled) => Json(cancelled).into_response(),
        None => problem(409, "already_final", "the command has succeeded: nothing to cancel"),
    }
}

fn problem(status: u16, code: &str, detail: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let title = status.canonical_reason().unwrap();
    let body = json!({ "status": status.as_u16(), "title": title, "detail": detail, "code": code });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

async fn websocket(State(world): State<Arc<World>>, upgrade: WebSocketUpgrade) -> Response {
    let next = world.sessions.lock().unwrap().pop_front();
    let session = next.unwrap_or_else(|| Session::new(Vec::new()));
    upgrade.protocols([SUBPROTOCOL_COLUMNS, SUBPROTOCOL]).on_upgrade(|socket| async move {
        // The client may leave before the script ends: that is no fault of the fake's.
        let _played = play(&world, session, socket).await;
    })
}

async fn play(world: &World, session: Session, mut socket: WebSocket) -> Result<(), axum::Error> {
    let welcome = json!({
        "type": "welcome", "session": "s", "epoch": session.epoch, "offset": 0,
        "server_time": THEN, "ping_interval_ms": session.ping_interval_ms, "user": null,
        "limits": { "message_bytes": 65_536, "subscriptions": 100, "messages_per_s": 100 },
    });
    send(&mut socket, &[welcome]).await?;
    subscribe(world, &session, &mut socket).await?;
    for step in session.steps {
        match step {
            Step::Frame(messages) => send(&mut socket, &messages).await?,
            Step::Raw(frame) => socket.send(Message::text(frame)).await?,
            Step::Binary(frame) => socket.send(Message::binary(frame)).await?,
            Step::Close(code, reason) => {
                let frame = CloseFrame { code, reason: reason.into() };
                socket.send(Message::Close(Some(frame))).await?;
            }
            Step::Replay(updates, reply) => replay(world, &mut socket, updates, reply).await?,
            Step::Break => return Ok(()),
            Step::UntilPosted => wait(&world.posted).await,
            Step::UntilCue => wait(&world.cue).await,
        }
    }
    while let Some(Ok(_ignored)) = socket.recv().await {}
    Ok(())
}

/// Reads the subscribe, and refuses channels whose name begins with `forbidden`.
async fn subscribe(
    world: &World,
    session: &Session,
    socket: &mut WebSocket,
) -> Result<(), axum::Error> {
    let Some(Ok(Message::Text(text))) = socket.recv().await else { return Ok(()) };
    world.ask(format!("ws {text}"));
    let (id, message) = ClientMessage::decode(&text).expect("the client speaks the protocol");
    let ClientMessage::Subscribe { channels, .. } = message else {
        panic!("a subscribe comes first")
    };
    if channels.iter().any(|channel| channel.as_str().starts_with("forbidden")) {
        let message = "channel 'forbidden/x' is not yours to read";
        let error = json!({ "type": "error", "id": id, "code": "forbidden", "message": message });
        return send(socket, &[error]).await;
    }
    let mut frame = vec![json!({ "type": "subscribed", "id": id, "channels": channels })];
    frame.extend(session.snapshots.iter().cloned());
    if !session.is_cut {
        frame.push(json!({ "type": "live", "id": id, "offset": 0 }));
    }
    send(socket, &frame).await
}

async fn replay(
    world: &World,
    socket: &mut WebSocket,
    mut messages: Vec<Value>,
    mut reply: Value,
) -> Result<(), axum::Error> {
    let Some(Ok(Message::Text(text))) = socket.recv().await else { return Ok(()) };
    world.ask(format!("ws {text}"));
    let (id, message) = ClientMessage::decode(&text).expect("the client speaks the protocol");
    assert!(matches!(message, ClientMessage::Replay { .. }), "{text}");
    reply["id"] = json!(id);
    messages.push(reply);
    send(socket, &messages).await
}

async fn send(socket: &mut WebSocket, messages: &[Value]) -> Result<(), axum::Error> {
    socket.send(Message::text(serde_json::to_string(messages).unwrap())).await
}

async fn wait(flag: &watch::Sender<bool>) {
    flag.subscribe().wait_for(|up| *up).await.expect("the fake holds the other end");
}

/// An update as a gateway writes it.
pub(crate) fn update(channel: &str, seq: u64, data: Value) -> Value {
    json!({ "channel": channel, "seq": seq, "offset": seq, "timestamp": THEN, "data": data })
}

/// An update that is a channel's value.
pub(crate) fn snapshot(channel: &str, seq: u64, data: Value) -> Value {
    let mut snapshot = update(channel, seq, data);
    snapshot["snapshot"] = true.into();
    snapshot
}

/// An update that was missed.
pub(crate) fn replayed(channel: &str, seq: u64, data: Value) -> Value {
    let mut replayed = update(channel, seq, data);
    replayed["replayed"] = true.into();
    replayed
}

/// The command [`COMMAND`] for `pump-1` in `state`, with `changes`.
pub(crate) fn command_in(state: &str, changes: Value) -> Value {
    let mut command = json!({
        "id": COMMAND, "device": "pump-1", "name": "set", "params": { "rpm": 1200 },
        "state": state, "attempt": 1, "priority": 0, "progress": null, "result": null,
        "error": null, "late": false, "created_at": THEN, "created_by": null,
        "not_before": null, "deliver_by": THEN + 60_000, "finish_by": THEN + 30_000,
        "batch": null, "verified": null,
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        command[key] = value.clone();
    }
    command
}
