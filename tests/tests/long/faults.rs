//! The gateway is killed (SIGKILL) at every stage of a command, by fault points of a build with the feature `faults`:
//! no command is lost, none that the gateway knows to be acknowledged is sent again, none runs twice.
//!
//! `cargo build -p gateway --features faults --bin sluice-gateway-faults`, then
//! `cargo test -p tests --features faults --test long faults`.

use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tests::{Connect, Peer, TestGateway, Version, until};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const DEVICE: &str = "valve-1";
const PUBLISH: u8 = 3;
const KEY: &str = "open the valve once";

/// Every stage: before and after what a state is is stored, after it was told, and after the command was published.
const POINTS: [&str; 12] = [
    "before_store:queued",
    "after_store:queued",
    "after_told:queued",
    "before_store:sent",
    "after_store:sent",
    "after_told:sent",
    "after_publish",
    "before_store:delivered",
    "after_store:delivered",
    "before_store:started",
    "before_store:succeeded",
    "after_store:succeeded",
];

#[tokio::test]
async fn killed_at_any_stage_the_gateway_loses_no_command_and_none_runs_twice() {
    for point in POINTS {
        let device = survive(point).await;
        assert_eq!(device.ran.len(), 1, "{point}: one command, which ran once: {device:?}");
        // Known to be acknowledged means that it was stored; before that the PUBACK died with the gateway. The device
        // answers at once, so what it says can be of one round with its PUBACK.
        let known = matches!(point, "after_store:delivered" | "after_store:succeeded");
        let most = if known { 1 } else { 2 };
        assert!((1..=most).contains(&device.deliveries), "{point}: {device:?}");
    }
}

/// A command's life with a kill at `point`; gives what the device saw.
async fn survive(point: &str) -> Seen {
    let mut gateway = TestGateway::with_fault(point).await;
    let put = gateway.request(Method::PUT, &format!("/api/v1/devices/{DEVICE}")).json(&json!({}));
    put.send().await.expect("an answer");
    let (mqtt, stop) = (gateway.mqtt(), CancellationToken::new());
    let mut device = JoinSet::new();
    device.spawn(live(mqtt, stop.clone()));
    until("the device", async || {
        let (_, device) = gateway.get(&format!("/api/v1/devices/{DEVICE}")).await;
        device["status"] == "online"
    })
    .await;
    // Who was not answered asks again under the same key: there is one command all the same.
    let first = ask(&gateway).await;
    gateway.killed().await;
    gateway.start_again().await;
    let command = match first {
        Some(command) => command,
        None => ask(&gateway).await.expect("the gateway is there again"),
    };
    let path = format!("/api/v1/commands/{}", command["id"].as_str().expect("an id"));
    until("the command's end", async || gateway.get(&path).await.1["state"] == "succeeded").await;
    let (_, all) = gateway.get("/api/v1/commands").await;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(1), "{point}: {all}");
    stop.cancel();
    device.join_next().await.expect("one device").expect("no panic")
}

/// Asks for the command; none where nobody answered.
async fn ask(gateway: &TestGateway) -> Option<Value> {
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let body = json!({"name": "open", "ttl_ms": 60_000, "timeout_ms": 60_000});
    let request = gateway.request(Method::POST, &path).header("Idempotency-Key", KEY).json(&body);
    request.send().await.ok()?.json().await.ok()
}

/// What the device saw.
#[derive(Debug, Default)]
struct Seen {
    deliveries: u32,
    ran: BTreeSet<String>,
}

/// A device that answers at once, remembers the ids of what it ran, and comes back.
async fn live(gateway: std::net::SocketAddr, stop: CancellationToken) -> Seen {
    let mut seen = Seen::default();
    while !stop.is_cancelled() {
        let connect = Connect::new(Version::V3, DEVICE);
        let Some(mut peer) = Peer::try_connect(gateway, connect).await else {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let _ended = stop.run_until_cancelled(serve(&mut peer, &mut seen)).await;
    }
    seen
}

/// Serves a connection until it breaks.
async fn serve(peer: &mut Peer, seen: &mut Seen) {
    let filter = tests::mqtt::field(format!("devices/{DEVICE}/commands/#").as_bytes());
    let body = [&[0, 1][..], &filter, &[1]].concat();
    peer.send(&tests::mqtt::packet(8, 2, &body)).await;
    let mut packets = 1;
    // What it said last may have died with the gateway, unacknowledged: it says it again, as QoS 1 wants.
    for id in seen.ran.clone() {
        answer(peer, &id, "succeeded", &mut packets).await;
    }
    while let Some(packet) = peer.next().await {
        if packet.kind != PUBLISH {
            continue;
        }
        let message = packet.message(Version::V3);
        peer.puback(message.id).await;
        let order: Value = serde_json::from_slice(&message.payload).expect("JSON");
        let Some(id) = order["id"].as_str().filter(|_| !message.topic.ends_with("/ack")) else {
            continue;
        };
        seen.deliveries += 1;
        seen.ran.insert(id.to_owned());
        for status in ["started", "succeeded"] {
            answer(peer, id, status, &mut packets).await;
        }
    }
}

async fn answer(peer: &mut Peer, id: &str, status: &str, packets: &mut u16) {
    *packets += 1;
    let topic = format!("devices/{DEVICE}/commands/{id}/ack");
    let answer = json!({ "status": status }).to_string();
    let publish = tests::mqtt::publish(Version::V3, &topic, answer.as_bytes(), 1, *packets);
    peer.send(&publish).await;
}
