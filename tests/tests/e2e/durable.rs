//! Commands over restarts, kills and a full disk.

use crate::orders::{self, command, id, make_known};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{TestGateway, until};

const DEVICE: &str = "pump-1";

async fn arrange() -> TestGateway {
    let gateway = TestGateway::start().await;
    make_known(&gateway, DEVICE).await;
    gateway
}

async fn create(gateway: &TestGateway, body: Value) -> String {
    id(&orders::create(gateway, DEVICE, body).await)
}

async fn until_state(gateway: &TestGateway, id: &str, state: &str) {
    until(state, async || command(gateway, id).await["state"] == state).await;
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_with_its_order_and_story() {
    let mut gateway = arrange().await;
    let low = create(&gateway, json!({"name": "a"})).await;
    let high = create(&gateway, json!({"name": "b", "priority": 5})).await;
    let expires = create(&gateway, json!({"name": "c", "ttl_ms": 1})).await;
    let scheduled =
        create(&gateway, json!({"name": "d", "not_before": 9_999_999_999_999_i64})).await;
    let before = command(&gateway, &high).await;
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(command(&gateway, &high).await, before);
    assert_eq!(command(&gateway, &scheduled).await["state"], "scheduled");
    assert_eq!(command(&gateway, &expires).await["state"], "expired");
    let (_, page) = gateway.get("/api/v1/commands").await;
    assert_eq!(page["items"].as_array().expect("a list").len(), 4);
    let mut device = gateway.device(DEVICE).await;
    for id in [high, low] {
        assert_eq!(device.take().await.id, id);
        device.answer(&id, &json!({"status": "succeeded"})).await;
        until_state(&gateway, &id, "succeeded").await;
    }
}

#[tokio::test]
async fn what_the_device_acknowledged_is_not_sent_again_after_a_kill() {
    let mut gateway = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = create(&gateway, json!({"name": "a"})).await;
    device.take().await;
    until_state(&gateway, &id, "delivered").await;
    let next = create(&gateway, json!({"name": "b"})).await;
    gateway.kill();
    gateway.start_again().await;
    let mut device = gateway.device(DEVICE).await;
    device.answer(&id, &json!({"status": "succeeded", "attempt": 1})).await;
    assert_eq!(device.take().await.id, next, "the first comes no second time");
    let story = command(&gateway, &id).await["transitions"].clone();
    let states: Vec<_> =
        story.as_array().expect("a list").iter().map(|step| step["state"].clone()).collect();
    assert_eq!(states, ["queued", "sent", "delivered", "succeeded"]);
}

#[tokio::test]
async fn what_was_sent_without_puback_is_sent_again_after_a_kill() {
    let mut gateway = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = create(&gateway, json!({"name": "a"})).await;
    assert_eq!(device.command().await.order["attempt"], 1);
    gateway.kill();
    gateway.start_again().await;
    let mut device = gateway.device(DEVICE).await;
    let again = device.take().await;
    assert_eq!((again.id.as_str(), &again.order["attempt"]), (id.as_str(), &json!(2)));
}

#[tokio::test]
async fn what_was_seen_on_the_channel_is_there_after_a_kill() {
    let mut gateway = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    for _ in 0..5 {
        let mut live = gateway.live().await;
        live.subscribe(&["commands/#"]).await;
        let id = create(&gateway, json!({"name": "a"})).await;
        device.take().await;
        device.answer(&id, &json!({"status": "succeeded"})).await;
        let is = |it: &Value| it["data"]["id"] == id.as_str() && it["data"]["state"] == "succeeded";
        live.find(is).await;
        gateway.kill();
        gateway.start_again().await;
        assert_eq!(command(&gateway, &id).await["state"], "succeeded");
        let mut live = gateway.live().await;
        let value = live.subscribe(&["commands/#"]).await;
        let is = |it: &Value| it["data"]["id"] == id.as_str() && it["data"]["state"] == "succeeded";
        if !value.iter().any(is) {
            live.find(is).await;
        }
        device = gateway.device(DEVICE).await;
    }
}

#[tokio::test]
async fn a_key_gives_the_same_command_after_a_kill() {
    let mut gateway = arrange().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let path = format!("/api/v1/devices/{DEVICE}/commands");
        let request = gateway.request(Method::POST, &path).header("Idempotency-Key", "once");
        let answer = request.json(&json!({"name": "a"})).send().await.expect("an answer");
        let command: Value = answer.json().await.expect("a command");
        ids.push(command["id"].clone());
        gateway.kill();
        gateway.start_again().await;
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_command_that_was_refused_for_a_full_disk_never_comes_to_life() {
    let mut gateway = arrange().await;
    gateway.expect_error("the store fails");
    let before = create(&gateway, json!({"name": "before"})).await;
    let size = std::fs::metadata(gateway.data_dir().join("sluice.db-wal"))
        .or_else(|_| std::fs::metadata(gateway.data_dir().join("sluice.db")))
        .expect("the database is there");
    gateway.limit_files(Some(size.len()));
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let mut accepted = 0;
    until("a refusal", async || {
        let body = json!({"name": "during", "params": {"x": "y".repeat(30_000)}});
        let (status, problem) = gateway.post(&path, &body).await;
        if status == StatusCode::ACCEPTED {
            accepted += 1;
            return false;
        }
        assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("store_unavailable")));
        true
    })
    .await;
    gateway.limit_files(None);
    until("the store's recovery", async || {
        let (status, _) = gateway.post(&path, &json!({"name": "after"})).await;
        status == StatusCode::ACCEPTED
    })
    .await;
    gateway.restart().await;
    let (_, page) = gateway.get("/api/v1/commands?limit=1000").await;
    let count = |name: &str| {
        let items = page["items"].as_array().expect("a list");
        items.iter().filter(|command| command["name"] == name).count()
    };
    assert_eq!((count("during"), count("after")), (accepted, 1));
    assert_eq!(command(&gateway, &before).await["name"], "before");
}

#[tokio::test]
async fn a_batch_goes_on_after_a_kill_and_tells_its_counts() {
    let mut gateway = TestGateway::start().await;
    for n in 0..3 {
        let body = json!({"type": "pump", "tags": {"site": "north"}});
        let put = gateway.request(Method::PUT, &format!("/api/v1/devices/p{n}")).json(&body);
        assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
    }
    let body = json!({"tag": "site:north", "command": {"name": "fill"}, "concurrency": 1});
    let (status, batch) = gateway.post("/api/v1/command-batches", &body).await;
    assert_eq!(
        (status, &batch["counts"]),
        (StatusCode::ACCEPTED, &json!({"queued": 3})),
        "{batch}"
    );
    let id = batch["id"].as_str().expect("an id").to_owned();
    let mut devices = Vec::new();
    for n in 0..3 {
        devices.push(gateway.device(&format!("p{n}")).await);
    }
    let first = devices[0].take().await.id;
    devices[0].answer(&first, &json!({"status": "succeeded"})).await;
    devices[1].take().await;
    let path = format!("/api/v1/command-batches/{id}");
    let is = json!({"delivered": 1, "queued": 1, "succeeded": 1});
    until("one after the other", async || gateway.get(&path).await.1["counts"] == is).await;
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(gateway.get(&path).await.1["counts"], is);
    let mut live = gateway.live().await;
    live.subscribe(&[&format!("batches/{id}")]).await;
    let (_, page) = gateway.get(&format!("/api/v1/commands?batch={id}")).await;
    let rows = page["items"].as_array().expect("a list").clone();
    assert_eq!(rows.len(), 3);
    let of =
        |device: &str| rows.iter().find(|row| row["device"] == device).expect("a row a device");
    let second = of("p1")["id"].as_str().expect("an id").to_owned();
    let mut device = gateway.device("p1").await;
    device.answer(&second, &json!({"status": "failed"})).await;
    let mut device = gateway.device("p2").await;
    let third = device.take().await.id;
    device.answer(&third, &json!({"status": "succeeded"})).await;
    let done = live.find(|it| it["data"]["state"] == "done").await;
    assert_eq!(done["data"]["counts"], json!({"failed": 1, "succeeded": 2}));
    let (status, problem) = gateway.post(&format!("{path}/cancel"), &json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already_final")));
}

#[tokio::test]
async fn a_report_of_recent_commands_settles_one_that_timed_out() {
    let gateway = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = create(&gateway, json!({"name": "a", "timeout_ms": 50})).await;
    device.take().await;
    until_state(&gateway, &id, "timed_out").await;
    device.say("commands/recent", &json!([id])).await;
    until_state(&gateway, &id, "succeeded").await;
    assert_eq!(command(&gateway, &id).await["late"], true);
}

#[tokio::test]
async fn a_typed_device_refuses_bad_parameters_by_their_field() {
    let types = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/types");
    let gateway = TestGateway::with(&[("TYPES__DIR", types)]).await;
    let put =
        gateway.request(Method::PUT, "/api/v1/devices/t1").json(&json!({"type": "thermostat"}));
    assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
    let (_, page) = gateway.get("/api/v1/device-types").await;
    assert_eq!(
        page["items"][1]["commands"]["set_target"]["params"]["required"],
        json!(["temperature"])
    );
    let body = json!({"name": "set_target", "params": {"temperature": 90}});
    let (status, problem) = gateway.post("/api/v1/devices/t1/commands", &body).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("bad_params")));
    assert_eq!(problem["detail"], "params.temperature: 90 is greater than the maximum of 35");
    let dry = json!({"name": "set_target", "params": {}, "dry_run": true, "ttl_ms": 5});
    let (status, dry) = gateway.post("/api/v1/devices/t1/commands", &dry).await;
    assert_eq!(
        (status.as_u16(), &dry["valid"], &dry["allowed"]),
        (200, &json!(false), &json!(true))
    );
    assert_eq!(dry["errors"], json!(["params: \"temperature\" is a required property"]));
}

#[tokio::test]
async fn what_is_expected_and_seen_is_verified_and_a_deleted_device_strands_nothing() {
    let gateway = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let expect = json!({"metric": "rpm", "op": ">", "value": 800});
    let id = create(&gateway, json!({"name": "a", "expect": expect})).await;
    device.take().await;
    device.say("telemetry", &json!({"rpm": 900})).await;
    device.answer(&id, &json!({"status": "succeeded"})).await;
    until_state(&gateway, &id, "succeeded").await;
    assert_eq!(command(&gateway, &id).await["verified"], Value::Null, "it arrived before");
    // Its clock is wrong, and what it says arrives now.
    device.say("telemetry", &json!({"timestamp": 1_000, "data": {"rpm": 900}})).await;
    until("verified", async || command(&gateway, &id).await["verified"] == true).await;
    drop(device);
    let waits = create(&gateway, json!({"name": "b", "not_before": 9_999_999_999_999_i64})).await;
    let delete = gateway.request(Method::DELETE, &format!("/api/v1/devices/{DEVICE}"));
    assert!(delete.send().await.expect("an answer").status().is_success());
    assert_eq!(command(&gateway, &waits).await["state"], "cancelled");
}
