//! The store: what an acknowledgement promises, a disk that fails while running, a damaged database.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{fs, io::Write, path::Path};
use tests::{Connect, Ended, Packet, Peer, Program, TestGateway, Version, until};

const CONNACK: u8 = 2;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;

async fn publisher(gateway: &TestGateway) -> Peer {
    Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await
}

/// A publish of the reading `number`, with this QoS.
fn reading(number: u16, qos: u8) -> Vec<u8> {
    let payload = json!({"n": number, "padding": "x".repeat(2_000)}).to_string();
    tests::mqtt::publish(Version::V3, "devices/d1/telemetry", payload.as_bytes(), qos, number)
}

/// Waits until a reading is acknowledged; earlier ones may be, late.
async fn acknowledged(peer: &mut Peer, number: u16) {
    while peer.expect(PUBACK).await.body[..2] != number.to_be_bytes() {}
}

/// The numbers of all readings in the history.
async fn kept(gateway: &TestGateway) -> Vec<u64> {
    let (_, page) = gateway.get("/api/v1/devices/d1/telemetry").await;
    assert_eq!(page["next"], Value::Null);
    let values = page["metrics"]["n"]["values"].as_array().cloned().unwrap_or_default();
    values.iter().map(|value| value.as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn what_was_acknowledged_as_stored_or_synced_survives_a_kill() {
    for ack in ["stored", "synced"] {
        let mut gateway = TestGateway::with(&[("INGEST__ACK", ack)]).await;
        let mut peer = publisher(&gateway).await;
        for number in 1..=50 {
            peer.send(&reading(number, 1)).await;
            acknowledged(&mut peer, number).await;
        }
        gateway.kill();
        gateway.start_again().await;
        assert_eq!(kept(&gateway).await, (1..=50).collect::<Vec<_>>(), "{ack}");
    }
}

/// The bytes that no file of the gateway may have more of: its log and its shared memory fit.
const FULL_BYTES: u64 = 96 * 1024;

/// Publishes until the store has no room any more; gives the next free number.
async fn fill(gateway: &TestGateway, peer: &mut Peer) -> u16 {
    let log = gateway.data_dir().join("sluice.db-wal");
    let mut number = 1;
    // Then not even the least commit has room.
    while fs::metadata(&log).expect("it is there").len() < FULL_BYTES {
        peer.send(&reading(number, 1)).await;
        acknowledged(peer, number).await;
        number += 1;
    }
    gateway.limit_files(Some(FULL_BYTES));
    until("the store to fail", async || {
        for _ in 0..20 {
            peer.send(&reading(number, 0)).await;
            number += 1;
        }
        peer.settle().await;
        gateway.get_text("/readyz").await.0 == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    number
}

#[tokio::test]
async fn while_the_disk_fails_live_data_flows_and_nothing_is_promised_and_it_recovers_by_itself() {
    let mut gateway = TestGateway::start().await;
    gateway.expect_error("the store fails");
    let mut peer = publisher(&gateway).await;
    let mut device = gateway.device("d2").await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#", "gateway/stats"]).await;
    let first = fill(&gateway, &mut peer).await;

    let (status, problem) = gateway.get("/readyz").await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("store_unavailable"))
    );
    assert!(
        problem["detail"].as_str().is_some_and(|why| why.starts_with("not stored: ")),
        "{problem}"
    );
    assert_eq!(gateway.get_text("/healthz").await.0, StatusCode::OK, "the process is well");

    for qos in [1, 2] {
        let number = first + u16::from(qos);
        peer.send(&reading(number, qos)).await;
        let update = live.find(|message| message["data"]["n"] == number).await;
        assert_eq!(update["channel"], "telemetry/d1", "live data flows");
    }
    peer.settle().await;
    let answers: Vec<Packet> = peer.waiting();
    assert_eq!(answers, [], "but it is not acknowledged yet");

    let path = "/api/v1/devices/d2/commands";
    let (status, problem) = gateway.post(path, &json!({"name": "open"})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("store_unavailable"))
    );
    let command = json!({"type": "command", "device": "d2", "name": "open"});
    assert_eq!(live.reply(command.clone()).await["code"], "store_unavailable");
    for (method, path) in
        [(Method::PUT, "/api/v1/devices/d3"), (Method::DELETE, "/api/v1/devices/d2")]
    {
        let changed = gateway.request(method, path).json(&json!({})).send().await;
        assert_eq!(changed.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    assert_eq!(
        gateway.get("/api/v1/devices/d3").await.0,
        StatusCode::NOT_FOUND,
        "nothing was done"
    );
    assert_eq!(gateway.get("/api/v1/devices/d2").await.1["status"], "online");
    let stats = live.find(|message| message["data"]["store"]["state"] == "failing").await;
    assert!(stats["data"]["store"]["error"].is_string(), "{stats}");

    gateway.limit_files(None);
    until("the store to keep again", async || {
        gateway.get_text("/readyz").await.0 == StatusCode::OK
    })
    .await;
    let id = |qos: u16| (first + qos).to_be_bytes();
    assert_eq!(peer.expect(PUBACK).await.body[..2], id(1), "it is stored after all");
    assert_eq!(peer.expect(PUBREC).await.body[..2], id(2), "and this is");
    let accepted = live.reply(command).await;
    assert_eq!(accepted["type"], "ok", "{accepted}");
    assert_eq!(device.take().await.order["name"], "open");
    let number = first + 3;
    peer.send(&reading(number, 1)).await;
    acknowledged(&mut peer, number).await;
    let all: Vec<u64> = (1..=number.into()).filter(|n| *n != u64::from(first)).collect();
    assert_eq!(kept(&gateway).await, all, "what waited is stored after all");
    gateway.restart().await;
    assert_eq!(kept(&gateway).await, all);
}

/// Connects as the client `c`; also whether it is told that it has a session.
async fn comes(gateway: &TestGateway, clean: bool) -> (Peer, bool) {
    let mut peer = Peer::open(gateway.mqtt(), Version::V3).await;
    peer.send(&Connect { clean, ..Connect::new(Version::V3, "c") }.encode()).await;
    let present = peer.expect(CONNACK).await.body[0] == 1;
    (peer, present)
}

#[tokio::test]
async fn what_a_client_is_told_of_its_session_survives_a_kill_in_that_moment() {
    let mut gateway = TestGateway::start().await;
    for _ in 0..3 {
        let (_connected, present) = comes(&gateway, false).await;
        gateway.kill();
        assert!(!present);
        gateway.start_again().await;
        let (_connected, present) = comes(&gateway, false).await;
        assert!(present, "it had begun");
        let (_connected, _) = comes(&gateway, true).await;
        gateway.kill();
        gateway.start_again().await;
    }
}

#[tokio::test]
async fn a_device_that_is_made_again_has_nothing_of_before_after_a_kill_too() {
    let mut gateway = TestGateway::start().await;
    let path = "/api/v1/devices/d1";
    let publish = async |gateway: &TestGateway, topic: &str, payload: &[u8]| {
        publisher(gateway).await.publish(topic, payload, 1).await;
    };
    publish(&gateway, "devices/d1/telemetry", b"{\"old\":1}").await;
    publish(&gateway, "devices/d1/state", b"{\"old\":1}").await;
    for method in [Method::DELETE, Method::PUT] {
        let done = gateway.request(method, path).json(&json!({})).send().await;
        assert!(done.expect("an answer").status().is_success());
    }
    gateway.kill();
    gateway.start_again().await;
    let (_, device) = gateway.get(path).await;
    assert_eq!((&device["values"], &device["last_seen_at"]), (&json!({}), &Value::Null));
    assert_eq!(gateway.get(&format!("{path}/desired")).await.1["reported"], json!({}));
    publish(&gateway, "devices/d1/telemetry", b"{\"new\":2}").await;
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(gateway.get(path).await.1["values"], json!({"new": 2}));
}

#[tokio::test]
async fn when_a_device_was_last_seen_is_known_after_a_kill_and_a_stop_and_never_is_never() {
    let mut gateway = TestGateway::start().await;
    let seen = async |gateway: &TestGateway, device: &str| {
        gateway.get(&format!("/api/v1/devices/{device}")).await.1["last_seen_at"].clone()
    };
    let never = "/api/v1/devices/never";
    for (method, path, body) in [
        (Method::PUT, never.into(), json!({})),
        (Method::PUT, format!("{never}/desired"), json!({"on": true})),
        (Method::POST, format!("{never}/commands"), json!({"name": "open"})),
    ] {
        let done = gateway.request(method, &path).json(&body).send().await;
        assert!(done.expect("an answer").status().is_success(), "{path}");
    }
    let publish = async |gateway: &TestGateway| {
        let reading = br#"{"timestamp":32503680000000,"data":{"a":1}}"#;
        publisher(gateway).await.publish("devices/d1/telemetry", reading, 1).await;
    };
    publish(&gateway).await;
    let first = seen(&gateway, "d1").await;
    assert!(first.as_i64().is_some_and(|at| at < 32_503_680_000_000), "{first}");
    gateway.kill();
    gateway.start_again().await;
    assert_eq!((seen(&gateway, "d1").await, seen(&gateway, "never").await), (first, Value::Null));
    publish(&gateway).await;
    let second = seen(&gateway, "d1").await;
    gateway.restart().await;
    assert_eq!((seen(&gateway, "d1").await, seen(&gateway, "never").await), (second, Value::Null));
}

#[tokio::test]
async fn an_alert_is_told_once_it_is_stored() {
    let mut gateway = TestGateway::start().await;
    gateway.expect_error("the store fails");
    let (mut peer, mut live) = (publisher(&gateway).await, gateway.live().await);
    live.subscribe(&["alerts/#"]).await;
    fill(&gateway, &mut peer).await;
    let event = json!({"severity": "critical", "code": "dry", "message": "no water"});
    peer.publish("devices/d1/events", event.to_string().as_bytes(), 0).await;
    peer.settle().await;
    let told = live.settle().await;
    assert!(told.iter().all(|message| message["channel"].is_null()), "{told:?}");
    let listed = async || gateway.get("/api/v1/alerts").await.1["items"].clone();
    assert_eq!(listed().await, json!([]), "nobody sees what a kill would undo");
    gateway.limit_files(None);
    let told = live.update("alerts/critical/d1").await["data"].clone();
    assert_eq!(told["code"], "dry");
    assert_eq!(listed().await, json!([told]));
    gateway.until_metric("sluice_alerts_active", 1).await;
}

#[tokio::test]
async fn a_history_that_does_not_reach_up_to_now_says_so() {
    let mut gateway = TestGateway::with(&[("LIMITS__RING_BYTES", "65536")]).await;
    gateway.expect_error("the store fails");
    let mut peer = publisher(&gateway).await;
    let first = fill(&gateway, &mut peer).await;
    for number in first..first + 60 {
        peer.send(&reading(number, 0)).await;
    }
    peer.settle().await;
    let mut live = gateway.live().await;
    let options = json!({"history": {"last": 5}, "snapshot": false});
    let told = live.subscribe_with(&["telemetry/#"], options).await;
    let kinds: Vec<_> =
        told.iter().map(|message| message["type"].as_str().unwrap_or("update")).collect();
    assert_eq!(kinds, ["subscribed", "history", "reset", "update", "live"]);
    assert_eq!(
        (&told[2]["reason"], &told[2]["channels"]),
        (&json!("expired"), &json!(["telemetry/#"]))
    );
    assert_eq!((&told[3]["snapshot"], &told[3]["data"]["n"]), (&json!(true), &json!(first + 59)));
    let (status, problem) = gateway.get("/api/v1/devices/d1/telemetry").await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("store_unavailable"))
    );
    gateway.limit_files(None);
}

#[tokio::test]
async fn who_asks_only_for_acceptance_is_acknowledged_while_the_disk_fails() {
    let mut gateway = TestGateway::with(&[("INGEST__ACK", "accepted")]).await;
    gateway.expect_error("the store fails");
    let mut peer = publisher(&gateway).await;
    let number = fill(&gateway, &mut peer).await;
    peer.send(&reading(number, 1)).await;
    acknowledged(&mut peer, number).await;
    gateway.limit_files(None);
    until("the store to keep again", async || {
        gateway.get_text("/readyz").await.0 == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn what_was_not_acknowledged_is_asked_for_again_and_kept_once_there_is_room() {
    let mut gateway = TestGateway::start().await;
    gateway.expect_error("the store fails");
    let mut peer = publisher(&gateway).await;
    let number = fill(&gateway, &mut peer).await;
    peer.send(&reading(number, 1)).await;
    peer.settle().await;
    gateway.limit_files(None);
    until("the store to keep again", async || {
        gateway.get_text("/readyz").await.0 == StatusCode::OK
    })
    .await;
    // As MQTT has it: who was not acknowledged comes back and says it again.
    drop(peer);
    let mut peer = publisher(&gateway).await;
    peer.send(&reading(number, 1)).await;
    acknowledged(&mut peer, number).await;
    assert!(kept(&gateway).await.contains(&number.into()));
}

#[tokio::test]
async fn asked_to_end_while_the_disk_fails_it_ends_with_0_and_says_what_is_lost() {
    let mut gateway = TestGateway::start().await;
    gateway.expect_error("the store ");
    let mut peer = publisher(&gateway).await;
    fill(&gateway, &mut peer).await;
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert!(gateway.log().contains("what waited for it is lost"), "{}", gateway.log());
    gateway.start_again().await;
    let mut peer = publisher(&gateway).await;
    peer.send(&reading(60_000, 1)).await;
    acknowledged(&mut peer, 60_000).await;
}

#[tokio::test]
async fn what_a_kill_left_in_a_log_that_is_lost_or_damaged_is_told_to_be_lost() {
    let mut gateway = TestGateway::start().await;
    for (number, told) in
        [(1, "the write-ahead log is gone"), (2, "the write-ahead log is damaged")]
    {
        let mut peer = publisher(&gateway).await;
        for _ in 0..5 {
            peer.send(&reading(number, 1)).await;
            acknowledged(&mut peer, number).await;
        }
        let offset = gateway.live().await.welcome["offset"].as_u64();
        gateway.kill();
        let log = gateway.data_dir().join("sluice.db-wal");
        if number == 1 {
            fs::remove_file(&log).expect("it is there");
        } else {
            let mut bytes = fs::read(&log).expect("it is there");
            bytes[5_000] ^= 1;
            fs::write(&log, bytes).expect("it can be written");
        }
        gateway.start_again().await;
        assert!(gateway.log().contains(told), "{}", gateway.log());
        assert!(gateway.live().await.welcome["offset"].as_u64() > offset, "no number twice");
    }
}

/// Overwrites the middle of every page but the first.
fn damage(path: &Path) {
    const PAGE: usize = 4_096;
    let mut bytes = fs::read(path).expect("the database is there");
    assert!(bytes.len() > 4 * PAGE, "there is something to damage");
    for page in bytes.chunks_mut(PAGE).skip(1) {
        page[..64].fill(0x5a);
    }
    fs::File::create(path).and_then(|mut file| file.write_all(&bytes)).expect("it can be written");
}

#[tokio::test]
async fn a_damaged_database_is_named_and_salvaged_when_asked() {
    let mut gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    for number in 1..=200 {
        peer.send(&reading(number, u8::from(number == 200))).await;
    }
    acknowledged(&mut peer, 200).await;
    let epoch = gateway.live().await.welcome["epoch"].clone();
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    let database = gateway.data_dir().join("sluice.db");
    damage(&database);

    let data_dir = gateway.data_dir();
    let data_dir = data_dir.to_str().expect("UTF-8");
    let run = Program::new("sluice-gateway", &[])
        .env("SLUICE_DATA_DIR", data_dir)
        .env("SLUICE_MQTT__LISTEN", "127.0.0.1:0")
        .env("SLUICE_HTTP__LISTEN", "127.0.0.1:0");
    let Ended { code, stderr, .. } = run.run().await;
    assert_eq!(code, Some(1), "{stderr}");
    let path = database.to_str().expect("UTF-8");
    assert!(stderr.contains(path) && stderr.contains("--recover"), "{stderr}");

    gateway.start_again_with(&["--recover"]).await;
    let aside = fs::read_dir(gateway.data_dir()).expect("it is there").filter(|entry| {
        let name = entry.as_ref().expect("readable").file_name();
        name.to_string_lossy().contains("damaged")
    });
    assert!(aside.count() > 0, "the damaged file is set aside");
    let mut live = gateway.live().await;
    let told = live
        .subscribe_with(&["telemetry/#"], json!({"since": {"epoch": epoch, "offset": 1}}))
        .await;
    let reset = told.iter().find(|message| message["type"] == "reset");
    assert!(reset.is_some(), "continuity cannot be proven: {told:?}");
    let mut peer = publisher(&gateway).await;
    peer.send(&reading(201, 1)).await;
    acknowledged(&mut peer, 201).await;
    assert!(kept(&gateway).await.contains(&201), "and it keeps what comes");
}
