//! Tokens: made, needed, narrowed by role, revoked while the gateway runs.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Ended, Program, TestGateway, soon};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// Runs `sluice-gateway token ...` in the gateway's data directory.
pub(crate) async fn token(gateway: &TestGateway, arguments: &[&str]) -> Ended {
    let file = gateway.endpoints_file();
    let dir = file.parent().and_then(|dir| dir.to_str()).expect("UTF-8");
    let arguments = [&["token", "--data-dir", dir][..], arguments].concat();
    Program::new("sluice-gateway", &arguments).run().await
}

pub(crate) async fn created(gateway: &TestGateway, user: &str, role: &str) -> String {
    let ended = token(gateway, &["create", user, "--role", role]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().into()
}

async fn status(
    gateway: &TestGateway,
    method: Method,
    path: &str,
    token: Option<&str>,
) -> StatusCode {
    let request = gateway.request(method, path);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    soon("an answer", request.send()).await.expect("an answer").status()
}

/// Waits until the running gateway has read the credentials.
async fn until_status(gateway: &TestGateway, token: Option<&str>, wanted: u16) {
    tests::until("the credentials to count", async || {
        status(gateway, Method::GET, "/api/v1/devices", token).await == wanted
    })
    .await;
}

pub(crate) async fn websocket(gateway: &TestGateway) -> WebSocketStream<TcpStream> {
    let stream = soon("a connection", TcpStream::connect(gateway.http())).await.expect("accepted");
    let request = format!("ws://{}/ws", gateway.http()).into_client_request().expect("a URL");
    soon("a handshake", client_async(request, stream)).await.expect("a WebSocket").0
}

pub(crate) async fn hello(socket: &mut WebSocketStream<TcpStream>, token: &str) {
    let hello = json!({"type": "hello", "id": 1, "token": token}).to_string();
    soon("a hello", socket.send(Message::Text(hello.into()))).await.expect("it is open");
}

async fn message(socket: &mut WebSocketStream<TcpStream>) -> Value {
    match soon("a message", socket.next()).await {
        Some(Ok(Message::Text(text))) => {
            serde_json::from_str::<Value>(&text).expect("JSON")[0].take()
        }
        other => panic!("{other:?} is no message"),
    }
}

async fn close_code(socket: &mut WebSocketStream<TcpStream>) -> u16 {
    let closed = async {
        loop {
            if let Some(Ok(Message::Close(Some(frame)))) = socket.next().await {
                return u16::from(frame.code);
            }
        }
    };
    soon("a close", closed).await
}

#[tokio::test]
async fn from_the_first_token_on_http_needs_one_and_roles_count() {
    let gateway = TestGateway::start().await;
    until_status(&gateway, None, 200).await;
    let (viewer, operator) =
        (created(&gateway, "vera", "viewer").await, created(&gateway, "otto", "operator").await);
    until_status(&gateway, None, 401).await;
    until_status(&gateway, Some(&operator), 200).await;
    let refused = gateway.request(Method::GET, "/api/v1/devices").send().await.expect("an answer");
    assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"sluice\"");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    for (path, wanted) in [
        ("/metrics", 401),
        ("/sse?channels=gateway/stats", 401),
        ("/api/v1/session", 401),
        ("/healthz", 200),
        ("/openapi.json", 200),
        ("/", 200),
    ] {
        assert_eq!(status(&gateway, Method::GET, path, None).await, wanted, "{path}");
    }
    let path = "/api/v1/devices/d1";
    assert_eq!(status(&gateway, Method::DELETE, path, Some(&viewer)).await, 403);
    assert_eq!(status(&gateway, Method::DELETE, path, Some(&operator)).await, 404);
    assert_eq!(status(&gateway, Method::GET, "/mqtt", Some("slt_wrong")).await, 401);
    assert_eq!(status(&gateway, Method::GET, "/metrics", Some(&viewer)).await, 200);
    assert!(!gateway.log().contains(&operator), "a secret is in the log");
}

#[tokio::test]
async fn a_websocket_says_its_token_in_a_hello_and_is_closed_when_that_is_revoked() {
    let gateway = TestGateway::start().await;
    let mut trusted = websocket(&gateway).await;
    assert_eq!(message(&mut trusted).await["type"], "welcome");
    let viewer = created(&gateway, "vera", "viewer").await;
    assert_eq!(close_code(&mut trusted).await, 4001, "who was trusted has to sign in");
    let mut silent = websocket(&gateway).await;
    let mut wrong = websocket(&gateway).await;
    hello(&mut wrong, "slt_wrong").await;
    assert_eq!(close_code(&mut wrong).await, 4001);
    let mut socket = websocket(&gateway).await;
    hello(&mut socket, &viewer).await;
    let welcome = message(&mut socket).await;
    assert_eq!((&welcome["type"], &welcome["user"]), (&json!("welcome"), &json!("vera")));
    assert_eq!(welcome["id"], 1, "it is the answer to the hello");
    let command = json!({"type": "command", "id": 2, "device": "d1", "name": "x"}).to_string();
    soon("a command", socket.send(Message::Text(command.into()))).await.expect("it is open");
    assert_eq!(message(&mut socket).await["code"], "forbidden");
    assert_eq!(token(&gateway, &["revoke", "vera"]).await.code, Some(0));
    assert_eq!(close_code(&mut socket).await, 4001);
    let code = tokio::time::timeout(Duration::from_secs(8), close_code(&mut silent)).await;
    assert_eq!(code, Ok(4001), "who says nothing is closed after 5 s");
}

#[tokio::test]
async fn a_body_that_comes_after_its_token_was_revoked_does_nothing() {
    let gateway = TestGateway::start().await;
    let operator = created(&gateway, "olga", "operator").await;
    let viewer = created(&gateway, "vera", "viewer").await;
    until_status(&gateway, Some(&viewer), 200).await;
    let mut socket = TcpStream::connect(gateway.http()).await.expect("it listens");
    let (host, body) = (gateway.http(), r#"{"tags":{"late":"yes"}}"#);
    let head = format!(
        "PUT /api/v1/devices/d1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {operator}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    soon("the head", socket.write_all(head.as_bytes())).await.expect("it is open");
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut told = [0; 25];
    soon("a word", socket.read_exact(&mut told)).await.expect("it is open");
    assert_eq!(&told, go_on, "the token is good, and the body is waited for");
    assert_eq!(token(&gateway, &["revoke", "olga"]).await.code, Some(0));
    until_status(&gateway, Some(&operator), 401).await;
    soon("the body", socket.write_all(body.as_bytes())).await.expect("it is open");
    let mut answer = [0; 256];
    let length = soon("an answer", socket.read(&mut answer)).await.expect("it is open");
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(status(&gateway, Method::GET, "/api/v1/devices/d1", Some(&viewer)).await, 404);
}

#[tokio::test]
async fn what_comes_instead_of_a_hello_is_closed_with_its_own_code() {
    let gateway = TestGateway::start().await;
    created(&gateway, "vera", "viewer").await;
    until_status(&gateway, None, 401).await;
    for (first, code) in [
        (Message::Text(r#"{"type":"ping"}"#.into()), 4001),
        (Message::Text("7".into()), 4004),
        (Message::Binary("{}".into()), 4004),
        (Message::Text(" ".repeat(64 * 1024 + 1).into()), 1009),
    ] {
        let mut socket = websocket(&gateway).await;
        soon("a message", socket.send(first)).await.expect("it is open");
        assert_eq!(close_code(&mut socket).await, code);
    }
}

#[tokio::test]
async fn signing_in_keeps_the_token_in_a_cookie() {
    let gateway = TestGateway::start().await;
    let admin = created(&gateway, "anna", "admin").await;
    until_status(&gateway, None, 401).await;
    let sign_in = gateway.request(Method::POST, "/api/v1/session").json(&json!({"token": admin}));
    let response = sign_in.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    let cookie = response.headers()["set-cookie"].to_str().expect("ASCII").to_owned();
    for part in ["sluice_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    let pair = cookie.split(';').next().expect("a pair");
    let session = gateway.request(Method::GET, "/api/v1/session").header("cookie", pair).send();
    let session: Value = session.await.expect("an answer").json().await.expect("JSON");
    let anna = json!({"user": "anna", "role": "admin", "expires_at": null, "narrowed": false});
    assert_eq!(session, anna);
    let wrong = gateway.request(Method::POST, "/api/v1/session").json(&json!({"token": "slt_x"}));
    assert_eq!(wrong.send().await.expect("an answer").status(), 401);
    let out = gateway.request(Method::DELETE, "/api/v1/session").send().await.expect("an answer");
    assert_eq!(out.status(), 204);
    assert!(out.headers()["set-cookie"].to_str().expect("ASCII").contains("Max-Age=0"));
}

#[tokio::test]
async fn http_may_listen_for_other_machines_once_there_is_a_token() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().to_str().expect("UTF-8");
    let check = async || {
        let program = Program::new("sluice-gateway", &["--check-config", "--data-dir", dir]);
        program.env("SLUICE_HTTP__LISTEN", "0.0.0.0:0").run().await
    };
    let refused = check().await;
    assert_eq!(refused.code, Some(64));
    assert!(refused.stderr.contains("sluice-gateway token create"), "{}", refused.stderr);
    let create = Program::new("sluice-gateway", &["token", "create", "--data-dir", dir]);
    let create = create.env("SLUICE_HTTP__LISTEN", "0.0.0.0:0").run().await;
    assert_eq!(create.code, Some(0), "{}", create.stderr);
    assert_eq!(check().await.code, Some(0));
    let list = Program::new("sluice-gateway", &["token", "list", "--data-dir", dir]).run().await;
    assert!(list.stdout.contains("admin") && !list.stdout.contains(create.stdout.trim()));
    for name in ["a b", "", &"n".repeat(1_000)] {
        let create = ["token", "create", name, "--data-dir", dir];
        let create = Program::new("sluice-gateway", &create).run().await;
        assert_eq!(create.code, Some(64), "{name}: {}", create.stderr);
        assert!(create.stderr.contains("1-64 characters") && create.stderr.len() < 200, "{name}");
    }
    for (arguments, code) in [(&["revoke", "nobody"][..], 1), (&["create", "--role", "root"], 64)] {
        let arguments = [&["token", "--data-dir", dir][..], arguments].concat();
        let ended = Program::new("sluice-gateway", &arguments).run().await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn the_command_line_shows_its_token_to_http_and_websocket() {
    let gateway = TestGateway::start().await;
    until_status(&gateway, None, 200).await;
    let _device = gateway.device("pump-1").await;
    let operator = created(&gateway, "otto", "operator").await;
    until_status(&gateway, None, 401).await;
    until_status(&gateway, Some(&operator), 200).await;
    let watch = ["watch", "presence/pump-1", "--count", "1"];
    for arguments in [&["devices"][..], &watch, &["audit", "verify"]] {
        let sluice = || Program::new("sluice", arguments).env("SLUICE_URL", &gateway.url());
        let refused = sluice().run().await;
        assert_eq!(refused.code, Some(1), "{}", refused.stdout);
        let done = sluice().env("SLUICE_TOKEN", &operator).run().await;
        assert_eq!(done.code, Some(0), "{}", done.stderr);
    }
}

/// A figure of the gateway, which only who has a token may ask for.
async fn figure(gateway: &TestGateway, token: &str, name: &str) -> u64 {
    let request = gateway.request(Method::GET, "/metrics").bearer_auth(token);
    let answer = soon("metrics", request.send()).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let text = soon("metrics", answer.text()).await.expect("a text");
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in:\n{text}")).parse().expect("a number")
}

/// Shows a wrong token in a request.
async fn guesses(gateway: &TestGateway, path: &str) -> StatusCode {
    status(gateway, Method::GET, path, Some("slt_wrong")).await
}

#[tokio::test]
async fn who_guesses_tokens_waits_on_every_way_in_and_who_came_through_once_does_not_again() {
    let delayed = "sluice_websocket_sign_ins_delayed_total";
    let gateway = TestGateway::start().await;
    let anna = created(&gateway, "anna", "viewer").await;
    until_status(&gateway, None, 401).await;
    for _ in 0..3 {
        assert_eq!(guesses(&gateway, "/api/v1/devices").await, 401);
    }
    assert_eq!(figure(&gateway, &anna, delayed).await, 1, "hers is the first that waits");
    assert_eq!(figure(&gateway, &anna, delayed).await, 1, "she came through, and waits no more");
    let sign_in = gateway.request(Method::POST, "/api/v1/session");
    let sign_in = sign_in.json(&json!({"token": "slt_wrong"})).send();
    assert_eq!(soon("an answer", sign_in).await.expect("an answer").status(), 401);
    let mut socket = websocket(&gateway).await;
    hello(&mut socket, "slt_wrong").await;
    assert_eq!(close_code(&mut socket).await, 4001);
    assert_eq!(guesses(&gateway, "/sse?channels=gateway/stats").await, 401);
    assert_eq!(figure(&gateway, &anna, delayed).await, 4);
    let many = (0..24).map(|_| guesses(&gateway, "/api/v1/devices"));
    let (codes, meanwhile) = tokio::join!(
        futures_util::future::join_all(many),
        status(&gateway, Method::GET, "/api/v1/devices", Some(&anna)),
    );
    let too_many = codes.iter().filter(|code| **code == 429).count();
    assert!(too_many > 0 && codes.iter().all(|code| [401, 429].contains(&code.as_u16())));
    assert_eq!(meanwhile, 200, "others of the address who guess do not keep her out");
    let refused = figure(&gateway, &anna, "sluice_websocket_refused_guessing_total").await;
    assert_eq!(refused, too_many as u64);
    let audit = gateway.request(Method::GET, "/api/v1/audit?action=sign_ins").bearer_auth(&anna);
    let audit: Value =
        soon("entries", audit.send()).await.expect("an answer").json().await.expect("JSON");
    let told = &audit["items"][0];
    assert_eq!((&told["action"], &told["by"]), (&json!("sign_ins.delayed"), &json!("gateway")));
    assert_eq!(told["details"]["addresses"], json!(["127.0.0.1"]));
    assert_eq!(told["details"]["names"], json!(["anna"]), "never what was tried");
}

#[tokio::test]
async fn a_start_without_the_credentials_that_there_were_is_refused() {
    let mut gateway = TestGateway::start().await;
    created(&gateway, "anna", "admin").await;
    until_status(&gateway, None, 401).await;
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    let file = gateway.data_dir().join("credentials.json");
    std::fs::remove_file(&file).expect("it is there");
    let dir = gateway.data_dir();
    let anywhere = ["--mqtt-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"];
    for flags in [&[][..], &["--check-config"]] {
        let data_dir = ["--data-dir", dir.to_str().expect("UTF-8")];
        let arguments = [&data_dir[..], &anywhere, flags].concat();
        let Ended { code, stderr, .. } = Program::new("sluice-gateway", &arguments).run().await;
        assert_eq!(code, Some(1), "{stderr}");
        let file = file.to_str().expect("UTF-8");
        assert!(stderr.contains(file) && stderr.contains("token create"), "{stderr}");
    }
    let token = created(&gateway, "anna", "viewer").await;
    gateway.start_again().await;
    for (token, wanted) in [(None, 401), (Some(&*token), 200)] {
        assert_eq!(status(&gateway, Method::GET, "/api/v1/devices", token).await, wanted);
    }
}
