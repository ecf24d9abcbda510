//! Who is there, and why not: `presence/{device}`.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Connect, Device, Live, Peer, TestGateway, Version, mosquitto};

async fn arrange(settings: &[(&str, &str)]) -> (TestGateway, Live) {
    let gateway = TestGateway::with(settings).await;
    let mut live = gateway.live().await;
    live.subscribe(&["presence/#"]).await;
    (gateway, live)
}

/// The next presence of any device: its status and reason.
async fn next(live: &mut Live, device: &str) -> (String, String) {
    let update = live.next().await;
    assert_eq!(update["channel"], format!("presence/{device}"));
    let text = |key: &str| update["data"][key].as_str().expect("a text").to_owned();
    (text("status"), text("reason"))
}

fn is(status: &str, reason: &str) -> (String, String) {
    (status.into(), reason.into())
}

#[tokio::test]
async fn a_device_comes_and_says_goodbye() {
    let (gateway, mut live) = arrange(&[]).await;
    let connect = Connect::new(Version::V5, "pump-1");
    let device = Device::connect_as(gateway.mqtt(), connect, "commands/#").await;
    let presence = live.next().await["data"].take();
    assert_eq!((&presence["status"], &presence["reason"]), (&json!("online"), &json!("connected")));
    assert_eq!(presence["protocol"], "mqtt5");
    assert!(presence["address"].as_str().is_some_and(|address| address.starts_with("127.0.0.1")));
    device.peer.disconnect().await;
    let presence = live.next().await["data"].take();
    assert_eq!(
        (&presence["status"], &presence["reason"]),
        (&json!("offline"), &json!("disconnected"))
    );
    assert_eq!((&presence["protocol"], &presence["address"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_broken_connection_is_told_from_a_goodbye() {
    let (gateway, mut live) = arrange(&[]).await;
    let device = gateway.device("pump-1").await;
    assert_eq!(next(&mut live, "pump-1").await, is("online", "connected"));
    drop(device);
    assert_eq!(next(&mut live, "pump-1").await, is("offline", "connection_lost"));
}

#[tokio::test]
async fn a_will_tells_of_its_device_and_makes_it_no_less_absent() {
    for version in [Version::V3, Version::V5] {
        let (gateway, mut live) = arrange(&[]).await;
        live.subscribe(&["state/#"]).await;
        let will = Some(("devices/pump-1/state", &br#"{"up":false}"#[..]));
        let connect = Connect { will, ..Connect::new(version, "pump-1") };
        let device = Device::connect_as(gateway.mqtt(), connect, "commands/#").await;
        assert_eq!(next(&mut live, "pump-1").await, is("online", "connected"));
        drop(device);
        assert_eq!(next(&mut live, "pump-1").await, is("offline", "connection_lost"));
        let state = live.next().await;
        assert_eq!(
            (&state["channel"], &state["data"]["reported"]),
            (&json!("state/pump-1"), &json!({"up": false}))
        );
        let (_, device) = gateway.get("/api/v1/devices/pump-1").await;
        assert_eq!(device["status"], "offline");
    }
}

#[tokio::test]
async fn a_will_on_its_devices_topics_makes_a_connection_the_devices_own() {
    let (gateway, mut live) = arrange(&[]).await;
    let will = Some(("devices/pump-1/state", &b"{}"[..]));
    let connect = Connect { will, ..Connect::new(Version::V3, "pump-1") };
    let peer = Peer::connect(gateway.mqtt(), connect).await;
    assert_eq!(next(&mut live, "pump-1").await, is("online", "connected"));
    peer.disconnect().await;
    assert_eq!(next(&mut live, "pump-1").await, is("offline", "disconnected"));
}

#[tokio::test]
async fn the_will_of_a_hub_makes_no_device_of_it_online() {
    let (gateway, mut live) = arrange(&[]).await;
    live.subscribe(&["state/#"]).await;
    let will = Some(("devices/lamp-1/state", &b"{}"[..]));
    let connect = Connect { will, ..Connect::new(Version::V5, "hub") };
    drop(Peer::connect(gateway.mqtt(), connect).await);
    assert_eq!(live.next().await["channel"], "state/lamp-1");
    let (_, device) = gateway.get("/api/v1/devices/lamp-1").await;
    assert_eq!(device["status"], "offline", "it exists from then on");
}

#[tokio::test]
async fn silence_beyond_the_keep_alive_is_an_absence() {
    let (gateway, mut live) = arrange(&[]).await;
    let connect = Connect { keep_alive_s: 1, ..Connect::new(Version::V3, "pump-1") };
    let device = Device::connect_as(gateway.mqtt(), connect, "commands/#").await;
    assert_eq!(next(&mut live, "pump-1").await, is("online", "connected"));
    assert_eq!(next(&mut live, "pump-1").await, is("offline", "keep_alive"));
    device.peer.closed().await;
}

#[tokio::test]
async fn a_new_connection_takes_over_and_the_device_stays_online() {
    for version in [Version::V3, Version::V5] {
        let (gateway, mut live) = arrange(&[]).await;
        let connect = Connect::new(version, "pump-1");
        let old = Device::connect_as(gateway.mqtt(), connect, "commands/#").await;
        assert_eq!(next(&mut live, "pump-1").await, is("online", "connected"));
        let mut new = Device::connect_as(gateway.mqtt(), connect, "commands/#").await;
        assert_eq!(next(&mut live, "pump-1").await, is("online", "taken_over"));
        old.peer.closed().await;
        let (_, device) = gateway.get("/api/v1/devices/pump-1").await;
        assert_eq!(device["status"], "online");

        let path = "/api/v1/devices/pump-1/commands";
        let (_, command) = gateway.post(path, &json!({"name": "fill"})).await;
        assert_eq!(new.take().await.id, command["id"], "commands go to the new connection");
        new.peer.disconnect().await;
        assert_eq!(next(&mut live, "pump-1").await, is("offline", "disconnected"));
    }
}

#[tokio::test]
async fn a_device_without_its_own_connection_is_heard_and_falls_silent() {
    let (gateway, mut live) = arrange(&[("PRESENCE__SILENT_AFTER_MS", "1000")]).await;
    let arguments = ["-t", "devices/sensor-1/telemetry/t", "-m", "21.5"];
    mosquitto::publish(gateway.mqtt(), &arguments).await;
    assert_eq!(next(&mut live, "sensor-1").await, is("online", "heard"));
    assert_eq!(next(&mut live, "sensor-1").await, is("offline", "silent"));
}

#[tokio::test]
async fn who_was_only_heard_is_offline_after_a_restart_in_order_because_of_that() {
    let (mut gateway, mut live) = arrange(&[]).await;
    mosquitto::publish(gateway.mqtt(), &["-t", "devices/sensor-1/telemetry/t", "-m", "1"]).await;
    assert_eq!(next(&mut live, "sensor-1").await, is("online", "heard"));
    gateway.restart().await;
    let value = gateway.live().await.subscribe(&["presence/#"]).await;
    assert_eq!(
        (&value[1]["data"]["status"], &value[1]["data"]["reason"]),
        (&json!("offline"), &json!("shutdown"))
    );
}

#[tokio::test]
async fn a_connection_without_a_devices_topics_is_no_device() {
    let (gateway, mut live) = arrange(&[]).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "pump-1")).await;
    peer.publish("elsewhere", b"hi", 1).await;
    let (status, _) = gateway.get("/api/v1/devices/pump-1").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    peer.publish("devices/pump-1/telemetry", b"{}", 1).await;
    assert_eq!(next(&mut live, "pump-1").await, is("online", "connected"));
}

#[tokio::test]
async fn a_deleted_device_loses_its_connection() {
    let (gateway, mut live) = arrange(&[]).await;
    let device = gateway.device("pump-1").await;
    assert_eq!(next(&mut live, "pump-1").await, is("online", "connected"));
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/pump-1").send();
    assert_eq!(delete.await.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(next(&mut live, "pump-1").await, is("offline", "kicked"));
    device.peer.closed().await;
    let (status, _) = gateway.get("/api/v1/devices/pump-1").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
