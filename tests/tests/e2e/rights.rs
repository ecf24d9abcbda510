//! Narrowed tokens: what is out of sight is as good as not there, on every way in. And what a token may take in
//! all, and how soon a change of it counts.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tests::{Live, Program, TestGateway, soon, until};
use tokio::time::{Instant, timeout};

/// How soon a change of credentials is to count.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Runs `sluice-gateway token ...` in the gateway's data directory; gives what it prints.
async fn token(gateway: &TestGateway, arguments: &[&str]) -> String {
    let dir = gateway.data_dir();
    let dir = dir.to_str().expect("UTF-8");
    let arguments = [&["token", "--data-dir", dir][..], arguments].concat();
    let ended = Program::new("sluice-gateway", &arguments).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().into()
}

/// What somebody with a token is answered.
async fn ask(gateway: &TestGateway, token: &str, call: (Method, &str, Value)) -> (u16, Value) {
    let (method, path, body) = call;
    let request = gateway.request(method, path).bearer_auth(token);
    let request = if body.is_null() { request } else { request.json(&body) };
    let response = soon("an answer", request.send()).await.expect("an answer");
    let status = response.status().as_u16();
    let text = soon("a body", response.text()).await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn get(gateway: &TestGateway, token: &str, path: &str) -> (u16, Value) {
    ask(gateway, token, (Method::GET, path, Value::Null)).await
}

/// Waits until the running gateway has read the credentials.
async fn until_counts(gateway: &TestGateway, token: &str) {
    until("the token to count", async || {
        let (status, session) = get(gateway, token, "/api/v1/session").await;
        status == 200 && session["user"] != "local"
    })
    .await;
}

/// `pump-1` and `tank`, each with telemetry, a state, an alert, a desired state and a command.
async fn fleet() -> (TestGateway, Value) {
    let gateway = TestGateway::start().await;
    let mut ids = json!({});
    for id in ["pump-1", "tank"] {
        let mut device = gateway.device(id).await;
        device.say("telemetry", &json!({"t": 1})).await;
        device.say("state", &json!({"on": true})).await;
        let event = json!({"severity": "critical", "code": "hot", "message": "too hot"});
        device.say("events", &event).await;
        let path = format!("/api/v1/devices/{id}/commands");
        let (status, command) = gateway.post(&path, &json!({"name": "stop"})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{command}");
        let (_, alerts) = gateway.get(&format!("/api/v1/alerts?device={id}")).await;
        ids[id] = json!({"command": command["id"], "alert": alerts["items"][0]["id"]});
    }
    let batch = json!({"devices": ["pump-1", "tank"], "command": {"name": "stop"}});
    let (status, batch) = gateway.post("/api/v1/command-batches", &batch).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{batch}");
    ids["batch"] = batch["id"].clone();
    (gateway, ids)
}

/// The status of a handshake for MQTT over WebSocket.
async fn mqtt_handshake(gateway: &TestGateway, token: &str) -> u16 {
    let request = gateway.request(Method::GET, "/mqtt").bearer_auth(token);
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    let request = request.header("sec-websocket-version", "13");
    let request = request.header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
    let request = request.header("sec-websocket-protocol", "mqtt");
    soon("an answer", request.send()).await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn over_http_a_narrowed_token_finds_nothing_of_other_devices() {
    let (gateway, ids) = fleet().await;
    let pumps =
        token(&gateway, &["create", "paula", "--role", "operator", "--devices", "pump-*"]).await;
    until_counts(&gateway, &pumps).await;
    for path in [
        "/api/v1/devices",
        "/api/v1/commands",
        "/api/v1/alerts",
        "/api/v1/audit",
        "/api/v1/devices?q=tank",
        "/api/v1/commands?device=tank",
        "/api/v1/alerts?device=tank",
    ] {
        let (status, list) = get(&gateway, &pumps, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!list.to_string().contains("tank"), "{path}: {list}");
        let found = list["items"].as_array().expect("a list").len();
        assert_eq!(found == 0, path.ends_with("tank"), "{path}: {list}");
    }
    let (command, alert) = (&ids["tank"]["command"], &ids["tank"]["alert"]);
    let (command, alert) = (command.as_str().expect("an id"), alert.to_string());
    let (alert, batch) = (alert.trim_matches('"'), ids["batch"].as_str().expect("an id"));
    let null = || Value::Null;
    for (method, path, body) in [
        (Method::GET, "/api/v1/devices/tank".to_owned(), null()),
        (Method::GET, "/api/v1/devices/tank/telemetry".into(), null()),
        (Method::GET, "/api/v1/devices/tank/desired".into(), null()),
        (Method::GET, format!("/api/v1/commands/{command}"), null()),
        (Method::GET, format!("/api/v1/command-batches/{batch}"), null()),
        (Method::POST, format!("/api/v1/commands/{command}/cancel"), null()),
        (Method::POST, "/api/v1/devices/tank/commands".into(), json!({"name": "stop"})),
        (
            Method::POST,
            "/api/v1/devices/tank/commands".into(),
            json!({"name": "stop", "dry_run": true}),
        ),
        (Method::POST, format!("/api/v1/alerts/{alert}/ack"), null()),
        (Method::POST, format!("/api/v1/alerts/{alert}/clear"), null()),
        (Method::POST, format!("/api/v1/command-batches/{batch}/pause"), null()),
        (Method::POST, format!("/api/v1/command-batches/{batch}/resume"), null()),
        (Method::POST, format!("/api/v1/command-batches/{batch}/cancel"), null()),
        (
            Method::POST,
            "/api/v1/command-batches".into(),
            json!({"devices": ["pump-1", "tank"], "command": {"name": "stop"}}),
        ),
        (Method::PUT, "/api/v1/devices/tank/desired".into(), json!({"on": false})),
        (Method::PATCH, "/api/v1/devices/tank".into(), json!({"tags": {"a": "b"}})),
        (Method::DELETE, "/api/v1/devices/tank".into(), null()),
    ] {
        let (status, problem) = ask(&gateway, &pumps, (method.clone(), &path, body)).await;
        assert_eq!(status, 404, "{method} {path}: {problem}");
    }
    for id in ["tank", "new"] {
        let path = format!("/api/v1/devices/{id}");
        let (status, problem) = ask(&gateway, &pumps, (Method::PUT, &path, json!({}))).await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{id}");
    }
    let sse = get(&gateway, &pumps, "/sse?channels=telemetry/tank").await;
    assert_eq!((sse.0, &sse.1["code"]), (403, &json!("forbidden")));
    assert_eq!(mqtt_handshake(&gateway, &pumps).await, 403, "MQTT would show more");
    // The rest is as it was.
    let admin = token(&gateway, &["create", "anna"]).await;
    until_counts(&gateway, &admin).await;
    let (_, devices) = get(&gateway, &admin, "/api/v1/devices").await;
    assert_eq!(devices["items"].as_array().map(Vec::len), Some(2), "{devices}");
    let (_, command) = get(&gateway, &admin, &format!("/api/v1/commands/{command}")).await;
    assert_eq!(command["state"], "sent", "nobody cancelled it");
}

#[tokio::test]
async fn over_http_a_narrowed_token_does_what_its_role_allows_with_its_own_devices() {
    let (gateway, ids) = fleet().await;
    let pumps =
        token(&gateway, &["create", "paula", "--role", "operator", "--devices", "pump-*"]).await;
    let viewer =
        token(&gateway, &["create", "vera", "--role", "viewer", "--devices", "pump-*"]).await;
    until_counts(&gateway, &viewer).await;
    let command = json!({"name": "stop"});
    let tagged = json!({"tag": "a", "command": {"name": "stop"}});
    let alert = ids["pump-1"]["alert"].to_string();
    let ack = format!("/api/v1/alerts/{}/ack", alert.trim_matches('"'));
    for (method, path, body, wanted) in [
        (Method::PUT, "/api/v1/devices/pump-1", json!({"tags": {"a": "1"}}), 200),
        (Method::PUT, "/api/v1/devices/pump-2", json!({"tags": {"a": "1"}}), 200),
        (Method::PUT, "/api/v1/devices/pump-1/desired", json!({"on": false}), 200),
        (Method::POST, "/api/v1/devices/pump-1/commands", command, 202),
        (Method::POST, "/api/v1/command-batches", tagged, 202),
        (Method::POST, &ack, Value::Null, 200),
        (Method::DELETE, "/api/v1/devices/pump-2", Value::Null, 204),
    ] {
        let call = || (method.clone(), path, body.clone());
        let (status, problem) = ask(&gateway, &viewer, call()).await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "{method} {path}");
        let (status, done) = ask(&gateway, &pumps, call()).await;
        assert_eq!(status, wanted, "{method} {path}: {done}");
        if path.ends_with("batches") {
            let path = format!("/api/v1/command-batches/{}", done["id"].as_str().expect("an id"));
            assert_eq!(get(&gateway, &pumps, &path).await.0, 200, "all of it is in sight");
        }
    }
}

#[tokio::test]
async fn a_token_narrowed_to_channels_shows_of_a_device_what_is_on_them() {
    let (gateway, _) = fleet().await;
    let create =
        ["create", "tom", "--role", "operator", "--channels", "telemetry/+", "--devices", "pump-*"];
    let tom = token(&gateway, &create).await;
    until_counts(&gateway, &tom).await;
    let (_, device) = get(&gateway, &tom, "/api/v1/devices/pump-1").await;
    assert_eq!(device["values"], json!({"t": 1}));
    assert_eq!(get(&gateway, &tom, "/api/v1/devices/pump-1/telemetry").await.0, 200);
    let desired = get(&gateway, &tom, "/api/v1/devices/pump-1/desired").await;
    assert_eq!((desired.0, &desired.1["code"]), (403, &json!("forbidden")));
    let batch = json!({"devices": ["pump-1"], "command": {"name": "stop"}});
    let batch = ask(&gateway, &tom, (Method::POST, "/api/v1/command-batches", batch)).await;
    assert_eq!((batch.0, &batch.1["code"]), (403, &json!("forbidden")), "as for one command");
    assert_eq!(get(&gateway, &tom, "/metrics").await.0, 403, "the gateway's figures");
    for list in ["/api/v1/commands", "/api/v1/alerts"] {
        assert_eq!(get(&gateway, &tom, list).await.1["items"], json!([]), "{list}");
    }
    let commands = token(&gateway, &["create", "carl", "--channels", "commands/#"]).await;
    until_counts(&gateway, &commands).await;
    let (_, device) = get(&gateway, &commands, "/api/v1/devices/tank").await;
    assert_eq!(device["values"], json!({}), "{device}");
}

#[tokio::test]
async fn only_who_sees_all_of_a_device_deletes_it() {
    let (gateway, _) = fleet().await;
    let sees = async |user: &str, channels: &[&str]| {
        let narrowed = channels.iter().flat_map(|channel| ["--channels", channel]);
        let create = ["create", user, "--role", "operator"].into_iter().chain(narrowed);
        token(&gateway, &create.collect::<Vec<_>>()).await
    };
    let all = ["telemetry/#", "presence/#", "state/#", "commands/#", "alerts/#"];
    let whole = sees("anna", &all).await;
    until_counts(&gateway, &whole).await;
    let path = "/api/v1/devices/tank";
    let delete =
        async |token: &str| ask(&gateway, token, (Method::DELETE, path, Value::Null)).await;
    for (left_out, hidden) in all.iter().enumerate() {
        let rest: Vec<_> = all.iter().copied().filter(|channel| channel != hidden).collect();
        let token = sees(&format!("user-{left_out}"), &rest).await;
        until_counts(&gateway, &token).await;
        let (status, problem) = delete(&token).await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "without {hidden}");
    }
    let (_, alerts) = get(&gateway, &whole, "/api/v1/alerts?device=tank&state=active").await;
    assert_eq!(alerts["items"].as_array().map(Vec::len), Some(1), "{alerts}");
    assert_eq!(delete(&whole).await.0, 204);
}

/// Every channel named in messages.
fn named(messages: &[Value]) -> Vec<String> {
    let channels = messages.iter().filter_map(|message| message["channel"].as_str());
    channels.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_websocket_brings_a_narrowed_token_nothing_of_other_devices_under_wildcards() {
    let (gateway, ids) = fleet().await;
    let epoch = gateway.live().await.welcome["epoch"].clone();
    let mut devices = [gateway.device("pump-1").await, gateway.device("tank").await];
    let create = ["create", "paula", "--role", "operator", "--devices", "pump-*"];
    let pumps = token(&gateway, &create).await;
    until_counts(&gateway, &pumps).await;
    let connect = async || Live::connect_as(gateway.http(), &pumps).await.expect("welcomed");
    let mut live = connect().await;
    for channel in ["telemetry/tank", "commands/tank", "alerts/critical/tank", "batches/1"] {
        let request = json!({"type": "subscribe", "channels": ["telemetry/pump-1", channel]});
        assert_eq!(live.reply(request).await["code"], "forbidden", "{channel}");
    }
    let replay = json!({"type": "replay", "channel": "telemetry/tank", "from": 1, "to": 1});
    assert_eq!(live.reply(replay).await["code"], "forbidden");
    let command = json!({"type": "command", "device": "tank", "name": "stop"});
    assert_eq!(live.reply(command).await["code"], "unknown_device");
    let cancel = json!({"type": "cancel", "command": ids["tank"]["command"]});
    assert_eq!(live.reply(cancel).await["code"], "unknown_command");
    let mut seen = live.subscribe_with(&["#"], json!({"history": {"last": 10}})).await;
    let since = json!({"since": {"epoch": epoch, "offset": 0}});
    let mut resumed = connect().await;
    seen.extend(resumed.subscribe_with(&["#", "+/+"], since).await);
    for device in &mut devices {
        device.say("telemetry", &json!({"t": 2})).await;
    }
    seen.extend(live.through(|message| message["data"]["t"] == 2).await);
    seen.extend(live.settle().await);
    let names = named(&seen);
    assert!(
        names.iter().all(|name| name.contains("pump-1") || name == "gateway/stats"),
        "{names:?}"
    );
    for kind in ["telemetry", "presence", "state", "alerts/critical", "commands"] {
        assert!(names.contains(&format!("{kind}/pump-1")), "{kind} is not in {names:?}");
    }
    assert!(!format!("{seen:?}").contains("tank"), "{seen:?}");
}

#[tokio::test]
async fn a_token_has_bounds_for_all_its_connections_together() {
    let gateway = TestGateway::with(&[
        ("LIMITS__TOKEN_CONNECTIONS", "2"),
        ("LIMITS__TOKEN_SUBSCRIPTIONS", "3"),
        ("LIMITS__TOKEN_MESSAGES_PER_S", "20"),
    ])
    .await;
    let mine = token(&gateway, &["create", "mia"]).await;
    let other = token(&gateway, &["create", "otto"]).await;
    until_counts(&gateway, &other).await;
    let connect = async |token: &str| Live::connect_as(gateway.http(), token).await;
    let mut first = connect(&mine).await.expect("welcomed");
    let mut second = connect(&mine).await.expect("welcomed");
    assert_eq!(connect(&mine).await.err(), Some(4005));
    let sse = get(&gateway, &mine, "/sse?channels=gateway/stats").await;
    assert_eq!((sse.0, &sse.1["code"]), (429, &json!("too_many_connections")));
    assert!(connect(&other).await.is_ok(), "others have their own");
    first.subscribe(&["a", "b"]).await;
    let request = json!({"type": "subscribe", "channels": ["a", "b"]});
    assert_eq!(second.reply(request).await["code"], "too_many_subscriptions");
    second.subscribe(&["a"]).await;
    for _ in 0..40 {
        for live in [&mut first, &mut second] {
            let _closed_in_between = live.try_ask(json!({"type": "ping"})).await;
        }
    }
    let code = tokio::select! {
        code = first.closed() => code,
        code = second.closed() => code,
    };
    assert_eq!(code, 4113, "each may send 1,000 a second, both together 20");
    let metric = async |name: &str| {
        let (_, text) = get(&gateway, &mine, "/metrics").await;
        let text = text.as_str().expect("a text").to_owned();
        let line = text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name}")).trim().to_owned()
    };
    assert_eq!(metric("sluice_websocket_refused_token_connections_total").await, "2");
    assert_ne!(metric("sluice_websocket_closed_too_many_messages_total").await, "0");
    until("a look at the bridge", async || {
        metric("sluice_refused_subscriptions_total").await == "1"
    })
    .await;
}

#[tokio::test]
async fn a_token_is_renewed_in_the_place_that_its_connection_has() {
    let gateway = TestGateway::with(&[("LIMITS__TOKEN_CONNECTIONS", "1")]).await;
    let mine = token(&gateway, &["create", "mia"]).await;
    let next = token(&gateway, &["create", "mia"]).await;
    until_counts(&gateway, &next).await;
    let connect = async |token: &str| Live::connect_as(gateway.http(), token).await;
    let mut live = connect(&mine).await.expect("welcomed");
    for token in [&mine, &mine, &next, &mine] {
        let renewed = live.reply(json!({"type": "hello", "token": token})).await;
        assert_eq!(renewed["type"], "ok", "{renewed}");
    }
    assert_eq!(connect(&mine).await.err(), Some(4005), "it has its place still");
    let _takes_the_place_of_next = connect(&next).await.expect("welcomed");
    live.ask(json!({"type": "hello", "token": next})).await;
    assert_eq!(live.closed().await, 4005, "a token with no place left");
}

#[tokio::test]
async fn a_change_of_credentials_counts_at_once() {
    let gateway = TestGateway::start().await;
    let viewer =
        token(&gateway, &["create", "vera", "--role", "viewer", "--devices", "pump-*"]).await;
    let renewed =
        token(&gateway, &["create", "vera", "--role", "viewer", "--devices", "pump-*"]).await;
    let wider = token(&gateway, &["create", "vera", "--role", "viewer"]).await;
    let other =
        token(&gateway, &["create", "otto", "--role", "viewer", "--devices", "pump-*"]).await;
    let gone = token(&gateway, &["create", "gina", "--role", "viewer"]).await;
    until_counts(&gateway, &gone).await;
    let connect =
        async |token: &str| Live::connect_as(gateway.http(), token).await.expect("welcome");
    for token in [&wider, &other] {
        let mut live = connect(&viewer).await;
        live.ask(json!({"type": "hello", "token": token})).await;
        assert_eq!(live.closed().await, 4003, "another user, or other rights");
    }
    let mut live = connect(&viewer).await;
    live.ask(json!({"type": "hello", "token": "slt_wrong"})).await;
    assert_eq!(live.closed().await, 4001);

    let (revoked, changed) = (connect(&gone).await, connect(&other).await);
    let mut stays = connect(&viewer).await;
    assert_eq!(stays.reply(json!({"type": "hello", "token": renewed})).await["type"], "ok");
    let file = gateway.data_dir().join("credentials.json");
    token(&gateway, &["revoke", "gina"]).await;
    let since = Instant::now();
    assert_eq!(timeout(AT_ONCE, revoked.closed()).await, Ok(4001), "{:?}", since.elapsed());
    let id = other.split('_').nth(1).expect("a token has an id");
    let mut credentials: Value =
        serde_json::from_slice(&std::fs::read(&file).expect("there")).expect("JSON");
    credentials["tokens"][id]["role"] = "operator".into();
    // The token that was shown first is of no matter any more.
    let first = viewer.split('_').nth(1).expect("a token has an id");
    credentials["tokens"].as_object_mut().expect("by id").remove(first);
    let draft = file.with_extension("draft");
    std::fs::write(&draft, credentials.to_string()).expect("written");
    std::fs::rename(&draft, &file).expect("renamed");
    assert_eq!(timeout(AT_ONCE, changed.closed()).await, Ok(4003));
    stays.settle().await;
}
