//! What a command path usually breaks, each promise with its test: nothing stranded by a restart, nothing called
//! delivered or timed out that was not, nothing stale, nothing stuck.

use crate::orders::{self, command, id, make_known, reaches};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tests::{Connect, Device, Live, Peer, Program, TestGateway, Version, soon, until};

const DEVICE: &str = "door-1";

/// A gateway that knows the device, and a client that follows its commands.
async fn arrange() -> (TestGateway, Live) {
    let gateway = TestGateway::start().await;
    make_known(&gateway, DEVICE).await;
    let live = follow(&gateway).await;
    (gateway, live)
}

async fn follow(gateway: &TestGateway) -> Live {
    let mut live = gateway.live().await;
    live.subscribe(&["commands/#"]).await;
    live
}

async fn create(gateway: &TestGateway, body: Value) -> String {
    id(&orders::create(gateway, DEVICE, body).await)
}

/// The states it came through.
async fn story(gateway: &TestGateway, id: &str) -> Vec<String> {
    let command = command(gateway, id).await;
    let steps = command["transitions"].as_array().expect("a command alone has its story");
    steps.iter().map(|step| step["state"].as_str().expect("a text").to_owned()).collect()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    u64::try_from(since.as_millis()).expect("a time of our days")
}

async fn until_past(at: &Value) {
    let at = at.as_u64().expect("a time");
    until("the deadline", async || now_ms() > at).await;
}

#[tokio::test]
async fn a_restart_strands_no_command_and_its_deadlines_go_on() {
    let (mut gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let ran = create(&gateway, json!({"name": "open", "timeout_ms": 1_500})).await;
    device.take().await;
    let finish_by = reaches(&mut live, &ran, "delivered").await["finish_by"].clone();
    let overdue = create(&gateway, json!({"name": "open", "ttl_ms": 1_500})).await;
    let deliver_by = command(&gateway, &overdue).await["deliver_by"].clone();
    let waits = create(&gateway, json!({"name": "close"})).await;
    gateway.kill();
    until_past(&finish_by).await;
    until_past(&deliver_by).await;
    gateway.start_again().await;
    assert_eq!(story(&gateway, &ran).await, ["queued", "sent", "delivered", "timed_out"]);
    assert_eq!(story(&gateway, &overdue).await, ["queued", "expired"]);
    assert_eq!(story(&gateway, &waits).await, ["queued"]);

    let mut live = follow(&gateway).await;
    let mut device = gateway.device(DEVICE).await;
    assert_eq!(device.take().await.id, waits, "and the queue goes on");
    device.answer(&waits, &json!({"status": "succeeded"})).await;
    reaches(&mut live, &waits, "succeeded").await;
    device.answer(&ran, &json!({"status": "succeeded", "attempt": 1})).await;
    assert_eq!(reaches(&mut live, &ran, "succeeded").await["late"], true, "it did run");
}

#[tokio::test]
async fn a_deadline_that_was_set_before_a_restart_passes_after_it() {
    let (mut gateway, _live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let sent = create(&gateway, json!({"name": "open", "timeout_ms": 3_000})).await;
    device.take().await;
    until("delivery", async || command(&gateway, &sent).await["state"] == "delivered").await;
    let queued = create(&gateway, json!({"name": "open", "ttl_ms": 3_000})).await;
    gateway.restart().await;
    assert_eq!(command(&gateway, &sent).await["state"], "delivered");
    assert_eq!(command(&gateway, &queued).await["state"], "queued");
    for (id, state) in [(&sent, "timed_out"), (&queued, "expired")] {
        until(state, async || command(&gateway, id).await["state"] == state).await;
    }
}

#[tokio::test]
async fn a_command_to_a_device_that_is_away_is_not_called_delivered_though_it_keeps_a_session() {
    let (gateway, mut live) = arrange().await;
    let connect = || Connect { clean: false, ..Connect::new(Version::V3, DEVICE) };
    let device = Device::connect_as(gateway.mqtt(), connect(), "commands/#").await;
    device.peer.disconnect().await;
    until("its absence", async || {
        gateway.get(&format!("/api/v1/devices/{DEVICE}")).await.1["status"] == "offline"
    })
    .await;
    let id = create(&gateway, json!({"name": "open", "ttl_ms": 300})).await;
    assert_eq!(reaches(&mut live, &id, "expired").await["attempt"], 0);
    assert_eq!(story(&gateway, &id).await, ["queued", "expired"]);

    let mut device = Device::connect_as(gateway.mqtt(), connect(), "commands/#").await;
    let next = create(&gateway, json!({"name": "close"})).await;
    assert_eq!(device.take().await.id, next, "and no session brings the other one later");
}

#[tokio::test]
async fn a_command_whose_puback_never_came_is_not_called_delivered() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = create(&gateway, json!({"name": "open", "timeout_ms": 300})).await;
    device.command().await;
    drop(device);
    reaches(&mut live, &id, "timed_out").await;
    assert_eq!(story(&gateway, &id).await, ["queued", "sent", "timed_out"]);
}

#[tokio::test]
async fn a_slow_store_takes_nothing_of_a_devices_time() {
    const TIMEOUT_MS: u64 = 200;
    let (mut gateway, mut live) = arrange().await;
    // Where the machine is slow too, the store gives up and begins anew.
    gateway.expect_error("database is locked");
    let mut device = gateway.device(DEVICE).await;
    let first = create(&gateway, json!({"name": "open"})).await;
    device.take().await;
    reaches(&mut live, &first, "delivered").await;
    let next = create(&gateway, json!({"name": "close", "timeout_ms": TIMEOUT_MS})).await;
    // Nothing is committed while somebody else writes: the next command is to be sent, and waits.
    let file = gateway.data_dir().join("sluice.db");
    let database = rusqlite::Connection::open(file).expect("the gateway's database");
    database.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
    let ack = format!("devices/{DEVICE}/commands/{first}/ack");
    device.peer.publish_unawaited(&ack, br#"{"status":"succeeded"}"#).await;
    let begin = now_ms();
    until("more than its time", async || now_ms() > begin + TIMEOUT_MS + 50).await;
    let unlocked = now_ms();
    database.execute_batch("ROLLBACK").expect("it is ours");
    let order = device.take().await;
    let not_after = order.order["not_after"].as_u64().expect("a time");
    assert_eq!((order.id.as_str(), &order.order["attempt"]), (next.as_str(), &json!(1)));
    assert!(not_after >= unlocked + TIMEOUT_MS, "{not_after} {unlocked}");
    let told = reaches(&mut live, &next, "delivered").await;
    assert_eq!(told["finish_by"], not_after, "it is what the device was told");
}

#[tokio::test]
async fn an_answer_that_overtakes_its_puback_holds_nothing_up() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = create(&gateway, json!({"name": "open"})).await;
    let next = create(&gateway, json!({"name": "close"})).await;
    let order = device.command().await;
    device.answer(&id, &json!({"status": "succeeded", "attempt": 1})).await;
    reaches(&mut live, &id, "succeeded").await;
    assert_eq!(device.take().await.id, next);
    device.peer.puback(order.message.id).await;
    device.answer(&next, &json!({"status": "succeeded"})).await;
    reaches(&mut live, &next, "succeeded").await;
    assert_eq!(story(&gateway, &id).await, ["queued", "sent", "succeeded"]);
}

#[tokio::test]
async fn a_command_right_after_the_subscribe_arrives() {
    let (gateway, mut live) = arrange().await;
    for _ in 0..20 {
        // Given while the device subscribes, and at once after its SUBACK.
        let connect = Connect::new(Version::V3, DEVICE);
        let (mut device, during) = tokio::join!(
            Device::connect_as(gateway.mqtt(), connect, "commands/#"),
            create(&gateway, json!({"name": "open"})),
        );
        let after = create(&gateway, json!({"name": "close", "ttl_ms": 0})).await;
        assert_eq!(device.take().await.id, during);
        device.answer(&during, &json!({"status": "succeeded"})).await;
        reaches(&mut live, &during, "succeeded").await;
        // It was now or never, and another one was under way.
        assert_eq!(command(&gateway, &after).await["state"], "expired");
        let now = create(&gateway, json!({"name": "close", "ttl_ms": 0})).await;
        assert_eq!(device.take().await.id, now);
        device.answer(&now, &json!({"status": "succeeded"})).await;
        reaches(&mut live, &now, "succeeded").await;
        device.peer.disconnect().await;
    }
}

#[tokio::test]
async fn a_device_that_is_connected_gets_nothing_before_it_has_subscribed() {
    let (gateway, mut live) = arrange().await;
    let id = create(&gateway, json!({"name": "open"})).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, DEVICE)).await;
    peer.publish(&format!("devices/{DEVICE}/telemetry"), br#"{"t":1}"#, 1).await;
    assert_eq!(command(&gateway, &id).await["state"], "queued");
    let dry = json!({"name": "open", "dry_run": true});
    let (_, dry) = gateway.post(&format!("/api/v1/devices/{DEVICE}/commands"), &dry).await;
    assert_eq!(dry["receiver"], "offline", "it is connected, and does not listen");
    peer.subscribe(&format!("devices/{DEVICE}/commands/+"), 1).await;
    let order = peer.message().await;
    peer.puback(order.id).await;
    reaches(&mut live, &id, "delivered").await;
}

#[tokio::test]
async fn a_device_that_comes_back_from_a_reboot_gets_nothing_stale() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let unacknowledged = create(&gateway, json!({"name": "open", "timeout_ms": 300})).await;
    device.command().await;
    drop(device);
    let waited = create(&gateway, json!({"name": "open", "ttl_ms": 300})).await;
    for (id, state) in [(&waited, "expired"), (&unacknowledged, "timed_out")] {
        until(state, async || command(&gateway, id).await["state"] == state).await;
    }
    let mut device = gateway.device(DEVICE).await;
    let fresh = create(&gateway, json!({"name": "close"})).await;
    assert_eq!(device.take().await.id, fresh, "the door stays as it is");
    device.answer(&fresh, &json!({"status": "succeeded"})).await;
    reaches(&mut live, &fresh, "succeeded").await;
}

#[tokio::test]
async fn a_cancel_that_its_device_never_answers_ends_in_time_and_holds_nothing_up() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = create(&gateway, json!({"name": "open", "timeout_ms": 1_000})).await;
    let next = create(&gateway, json!({"name": "close"})).await;
    device.take().await;
    reaches(&mut live, &id, "delivered").await;
    let (status, _) = gateway.post(&format!("/api/v1/commands/{id}/cancel"), &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(device.cancel().await, id);
    reaches(&mut live, &id, "timed_out").await;
    assert_eq!(device.take().await.id, next);
    device.answer(&id, &json!({"status": "cancelled"})).await;
    assert_eq!(reaches(&mut live, &id, "cancelled").await["late"], true, "its late word counts");
}

#[tokio::test]
async fn a_cancel_reaches_a_device_that_comes_back_after_a_restart_too() {
    let (mut gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = create(&gateway, json!({"name": "open"})).await;
    device.take().await;
    reaches(&mut live, &id, "delivered").await;
    gateway.post(&format!("/api/v1/commands/{id}/cancel"), &json!({})).await;
    gateway.kill();
    gateway.start_again().await;
    let mut live = follow(&gateway).await;
    let mut device = gateway.device(DEVICE).await;
    assert_eq!(device.cancel().await, id);
    device.answer(&id, &json!({"status": "cancelled"})).await;
    reaches(&mut live, &id, "cancelled").await;
}

/// Makes a token.
async fn token(gateway: &TestGateway, user: &str, role: &str) -> String {
    let dir = gateway.data_dir();
    let dir = dir.to_str().expect("UTF-8");
    let arguments = ["token", "--data-dir", dir, "create", user, "--role", role];
    let ended = Program::new("sluice-gateway", &arguments).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().to_owned()
}

async fn ask(request: RequestBuilder) -> (u16, Value) {
    let response = soon("an answer", request.send()).await.expect("an answer");
    let status = response.status().as_u16();
    (status, soon("a body", response.json()).await.expect("JSON"))
}

#[tokio::test]
async fn a_command_and_a_batch_bear_who_gave_and_who_withdrew_them_and_what_came_of_them() {
    let (gateway, _live) = arrange().await;
    let ada = token(&gateway, "ada", "operator").await;
    let bob = token(&gateway, "bob", "operator").await;
    let post = |path: &str, token: &str, body: Value| {
        ask(gateway.request(Method::POST, path).bearer_auth(token).json(&body))
    };
    let get = async |path: &str| ask(gateway.request(Method::GET, path).bearer_auth(&bob)).await.1;
    let commands = format!("/api/v1/devices/{DEVICE}/commands");
    let (_, given) = post(&commands, &ada, json!({"name": "open"})).await;
    assert_eq!(given["created_by"], "ada");
    let path = format!("/api/v1/commands/{}", given["id"].as_str().expect("an id"));
    post(&format!("{path}/cancel"), &bob, json!({})).await;
    let who = get(&path).await;
    let who: Vec<_> = who["transitions"].as_array().expect("its story").iter().collect();
    assert_eq!((&who[0]["by"], &who[1]["by"]), (&json!("user:ada"), &json!("user:bob")));

    let batch = json!({"devices": [DEVICE], "command": {"name": "close"}});
    let (status, batch) = post("/api/v1/command-batches", &ada, batch).await;
    assert_eq!(status, 202, "{batch}");
    let mut device = gateway.device(DEVICE).await;
    let id = device.take().await.id;
    device.answer(&id, &json!({"status": "succeeded", "result": {"closed": true}})).await;
    let batch = format!("/api/v1/command-batches/{}", batch["id"].as_str().expect("an id"));
    until("its end", async || get(&batch).await["state"] == "done").await;
    let row = get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!(
        (&row["created_by"], &row["result"], &row["state"]),
        (&json!("ada"), &json!({"closed": true}), &json!("succeeded"))
    );
}

#[tokio::test]
async fn a_dry_run_says_who_may_what_is_wrong_and_when_it_would_go_and_makes_nothing() {
    let (gateway, _live) = arrange().await;
    create(&gateway, json!({"name": "open", "priority": 1, "supersede": "door"})).await;
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let dry = async |body: Value| gateway.post(&path, &body).await;
    let (status, outlook) = dry(json!({"name": "close", "ttl_ms": 500, "dry_run": true})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(outlook["deliver_by"].is_i64());
    for (key, value) in [
        ("valid", json!(true)),
        ("errors", json!([])),
        ("receiver", json!("offline")),
        ("position", json!(1)),
        ("user", json!("local")),
        ("allowed", json!(true)),
    ] {
        assert_eq!(outlook[key], value, "{key}");
    }
    let first = json!({"name": "close", "supersede": "door", "dry_run": true});
    assert_eq!(dry(first).await.1["position"], 0, "it would take the other one's place");
    let wrong = json!({"name": "", "timeout_ms": 0, "dry_run": true});
    let (status, outlook) = dry(wrong).await;
    assert_eq!((status, &outlook["valid"]), (StatusCode::OK, &json!(false)));
    assert_eq!(outlook["errors"].as_array().expect("a list").len(), 2, "{outlook}");
    let mut device = gateway.device(DEVICE).await;
    device.take().await;
    assert_eq!(dry(json!({"name": "x", "dry_run": true})).await.1["receiver"], "online");
    let (_, page) = gateway.get("/api/v1/commands").await;
    assert_eq!(page["items"].as_array().expect("a list").len(), 1, "nothing was made");

    let vera = token(&gateway, "vera", "viewer").await;
    let as_viewer = |path: &str, body: Value| {
        ask(gateway.request(Method::POST, path).bearer_auth(&vera).json(&body))
    };
    let (status, outlook) = as_viewer(&path, json!({"name": "close", "dry_run": true})).await;
    assert_eq!((status, &outlook["allowed"]), (200, &json!(false)));
    assert_eq!((&outlook["user"], &outlook["valid"]), (&json!("vera"), &json!(true)));
    for body in [json!({"name": "close"}), json!({"name": "close", "dry_run": false}), json!({})] {
        let (status, problem) = as_viewer(&path, body).await;
        assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    }
    let batch = json!({"devices": [DEVICE], "command": {"name": "close"}});
    assert_eq!(as_viewer("/api/v1/command-batches", batch).await.0, 403);
}
