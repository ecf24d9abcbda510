//! What is desired of a device, and what it reports.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tests::{Connect, Device, Message, Peer, TestGateway, Version, mqtt::publish};

const PATH: &str = "/api/v1/devices/pump-1/desired";

async fn arrange() -> TestGateway {
    let gateway = TestGateway::start().await;
    let put = gateway.request(Method::PUT, "/api/v1/devices/pump-1").json(&json!({})).send().await;
    assert_eq!(put.expect("an answer").status(), StatusCode::OK);
    gateway
}

async fn put(gateway: &TestGateway, desired: Value, if_match: Option<&str>) -> Response {
    let request = gateway.request(Method::PUT, PATH).json(&desired);
    let request = match if_match {
        Some(tag) => request.header("if-match", tag),
        None => request,
    };
    request.send().await.expect("an answer")
}

/// Puts it over whatever there is; gives the version.
async fn desire(gateway: &TestGateway, desired: Value) -> u64 {
    let (_, state) = gateway.get(PATH).await;
    let tag = format!("\"{}\"", state["version"]);
    let answer = put(gateway, desired, Some(&tag)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let state: Value = answer.json().await.expect("JSON");
    state["version"].as_u64().expect("a number")
}

fn tag(answer: &Response) -> &str {
    answer.headers()["etag"].to_str().expect("a text")
}

/// A device that takes what is desired of it.
async fn listener(gateway: &TestGateway, version: Version) -> Device {
    Device::connect_as(gateway.mqtt(), Connect::new(version, "pump-1"), "desired").await
}

fn read(message: &Message) -> Value {
    assert_eq!((message.topic.as_str(), message.qos), ("devices/pump-1/desired", 1));
    serde_json::from_slice(&message.payload).expect("JSON")
}

#[tokio::test]
async fn a_desired_state_is_versioned_and_replaced_only_by_who_knows_it() {
    let gateway = arrange().await;
    let (status, state) = gateway.get(PATH).await;
    let nothing = json!({"version": 0, "desired": {}, "reported": {}, "in_sync": true});
    assert_eq!((status, state), (StatusCode::OK, nothing));
    let first = put(&gateway, json!({"valve": 40}), None).await;
    assert_eq!((first.status(), tag(&first)), (StatusCode::OK, "\"1\""));
    let state: Value = first.json().await.expect("JSON");
    let expected =
        json!({"version": 1, "desired": {"valve": 40}, "reported": {}, "in_sync": false});
    assert_eq!(state, expected);
    assert_eq!(put(&gateway, json!({}), None).await.status(), StatusCode::PRECONDITION_REQUIRED);
    let stale = put(&gateway, json!({}), Some("\"0\"")).await;
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
    let second = put(&gateway, json!({"valve": 50}), Some("\"1\"")).await;
    assert_eq!((second.status(), tag(&second)), (StatusCode::OK, "\"2\""));
    let get = gateway.request(Method::GET, PATH).send().await.expect("an answer");
    assert_eq!(tag(&get), "\"2\"");
}

#[tokio::test]
async fn what_cannot_be_desired_is_refused() {
    let gateway = arrange().await;
    let (status, problem) = gateway.get("/api/v1/devices/nobody/desired").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown_device")));
    let unknown = gateway.request(Method::PUT, "/api/v1/devices/nobody/desired").json(&json!({}));
    assert_eq!(unknown.send().await.expect("an answer").status(), StatusCode::NOT_FOUND);
    assert!(put(&gateway, json!([1]), None).await.status().is_client_error());
    let long = json!({"text": "x".repeat(70_000)});
    let problem: Value = put(&gateway, long, None).await.json().await.expect("JSON");
    assert_eq!(problem["code"], "desired_too_large");
    assert_eq!(gateway.get(PATH).await.1["version"], 0);
}

#[tokio::test]
async fn a_device_gets_each_change_and_reports_until_it_is_in_sync() {
    for version in [Version::V3, Version::V5] {
        let gateway = arrange().await;
        let mut live = gateway.live().await;
        live.subscribe(&["state/#"]).await;
        let mut device = listener(&gateway, version).await;
        desire(&gateway, json!({"valve": 40, "mode": "eco"})).await;
        let message = device.peer.message().await;
        device.peer.puback(message.id).await;
        assert!(!message.retain, "it was subscribed before");
        let order = json!({"version": 1, "desired": {"valve": 40, "mode": "eco"}});
        assert_eq!(read(&message), order);
        assert_eq!(live.update("state/pump-1").await["data"]["in_sync"], false);
        device.say("state", &json!({"valve": 40.0, "mode": "eco", "firmware": "2"})).await;
        let told = live.update("state/pump-1").await["data"].take();
        let state = json!({
            "reported": {"valve": 40.0, "mode": "eco", "firmware": "2"},
            "desired": {"valve": 40, "mode": "eco"}, "version": 1, "in_sync": true,
        });
        assert_eq!(told, state);
        assert_eq!(gateway.get(PATH).await.1, state);
    }
}

#[tokio::test]
async fn a_device_that_subscribes_gets_the_newest_retained() {
    let gateway = arrange().await;
    desire(&gateway, json!({"valve": 40})).await;
    desire(&gateway, json!({"valve": 50})).await;
    let mut device = listener(&gateway, Version::V3).await;
    let message = device.peer.message().await;
    assert!(message.retain);
    assert_eq!(read(&message), json!({"version": 2, "desired": {"valve": 50}}));
    let mut monitor = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "monitor")).await;
    monitor.subscribe("devices/+/desired", 0).await;
    let seen = monitor.message().await;
    assert_eq!((seen.retain, seen.payload), (true, message.payload));
}

#[tokio::test]
async fn monitors_and_a_hub_that_names_the_topic_see_changes_too() {
    let gateway = arrange().await;
    let mut hub = Peer::connect(gateway.mqtt(), Connect::new(Version::V5, "hub")).await;
    hub.subscribe("devices/pump-1/desired", 1).await;
    let mut monitor = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "monitor")).await;
    monitor.subscribe("#", 1).await;
    desire(&gateway, json!({"valve": 40})).await;
    let expected = json!({"version": 1, "desired": {"valve": 40}});
    assert_eq!(read(&hub.message().await), expected);
    assert_eq!(read(&monitor.message().await), expected);
}

#[tokio::test]
async fn what_was_desired_while_a_device_was_away_is_made_good() {
    let gateway = arrange().await;
    let keeps = Connect { clean: false, ..Connect::new(Version::V3, "pump-1") };
    let device = Device::connect_as(gateway.mqtt(), keeps, "desired").await;
    device.peer.disconnect().await;
    desire(&gateway, json!({"valve": 40})).await;
    desire(&gateway, json!({"valve": 50})).await;
    let mut back = Peer::connect(gateway.mqtt(), keeps).await;
    loop {
        let message = back.message().await;
        back.puback(message.id).await;
        if read(&message)["version"] == 2 {
            break;
        }
    }
}

#[tokio::test]
async fn what_is_desired_survives_a_kill() {
    let mut gateway = arrange().await;
    desire(&gateway, json!({"valve": 40})).await;
    let mut device = listener(&gateway, Version::V3).await;
    device.say("state", &json!({"valve": 40})).await;
    desire(&gateway, json!({"valve": 50})).await;
    gateway.kill();
    gateway.start_again().await;
    let state = json!({"version": 2, "desired": {"valve": 50}, "reported": {"valve": 40}, "in_sync": false});
    assert_eq!(gateway.get(PATH).await.1, state);
    let mut live = gateway.live().await;
    let told = live.subscribe(&["state/pump-1"]).await;
    assert_eq!(told[1]["data"], state, "the value of the channel");
    let mut device = listener(&gateway, Version::V3).await;
    assert_eq!(read(&device.peer.message().await)["version"], 2);
}

#[tokio::test]
async fn of_a_deleted_device_nothing_is_desired() {
    let gateway = arrange().await;
    desire(&gateway, json!({"valve": 40})).await;
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/pump-1").send().await;
    assert_eq!(delete.expect("an answer").status(), StatusCode::NO_CONTENT);
    let mut device = listener(&gateway, Version::V3).await;
    device.say("telemetry", &json!({"rpm": 1})).await;
    assert_eq!(gateway.get(PATH).await.1["version"], 0);
    desire(&gateway, json!({"valve": 10})).await;
    assert_eq!(read(&device.peer.message().await)["version"], 1, "nothing came before");
}

#[tokio::test]
async fn of_a_deleted_device_nothing_is_retained() {
    const RETAIN: u8 = 1;
    let gateway = arrange().await;
    let mut hub = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "hub")).await;
    for topic in ["devices/pump-1/state", "devices/pump-1/firmware", "devices/pump-10/state"] {
        let mut message = publish(Version::V3, topic, b"{}", 0, 0);
        message[0] |= RETAIN;
        hub.send(&message).await;
    }
    hub.publish("behind/them", b"", 1).await;
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/pump-1").send().await;
    assert_eq!(delete.expect("an answer").status(), StatusCode::NO_CONTENT);
    hub.subscribe("devices/#", 0).await;
    assert_eq!(hub.message().await.topic, "devices/pump-10/state", "the first of all");
}
