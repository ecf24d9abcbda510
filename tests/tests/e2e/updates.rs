//! New firmware and configuration as commands, carried out by the simulator: see `docs/updates.md`.

use crate::orders::{self, id};
use device_sim::{Fleet, FleetConfig, Kind};
use serde_json::{Value, json};
use tests::{Live, TestGateway, until};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Of `firmware 2.4.0`: `printf 'firmware 2.4.0' | sha256sum`.
const GOOD: &str = "sha256:93b5191e84c4095f1570c8d2b4558be552c2f5b47f5cfb424b4510af4509dac0";
/// Of `{"interval_ms":500}`.
const CONFIG: &str = "sha256:1165469f28122d6b4baa1863e5149e089972e78f080429a106209fe02d061f9a";

struct World {
    gateway: TestGateway,
    live: Live,
    device: String,
    stop: CancellationToken,
    fleet: JoinSet<()>,
}

async fn arrange() -> World {
    let types = format!("{}/../config/types", env!("CARGO_MANIFEST_DIR"));
    let gateway = TestGateway::with(&[("TYPES__DIR", &types)]).await;
    let mut live = gateway.live().await;
    live.subscribe(&["commands/#", "presence/#", "state/#"]).await;
    let broker = gateway.mqtt().to_string().parse().expect("an address is a broker");
    let config = FleetConfig { devices: 1, kinds: vec![Kind::Pump], ..FleetConfig::new(broker) };
    let fleet = Fleet::new(config).expect("the fleet can be");
    let (stop, mut task) = (CancellationToken::new(), JoinSet::new());
    let run = fleet.run(stop.clone());
    task.spawn(async { drop(run.await) });
    let mut device = String::new();
    until("the device", async || {
        let (_, list) = gateway.get("/api/v1/devices?status=online").await;
        device = list["items"][0]["id"].as_str().unwrap_or_default().to_owned();
        !device.is_empty()
    })
    .await;
    World { gateway, live, device, stop, fleet: task }
}

impl World {
    async fn create(&self, body: Value) -> String {
        id(&orders::create(&self.gateway, &self.device, body).await)
    }

    async fn end(mut self) {
        self.stop.cancel();
        self.fleet.join_next().await.expect("one fleet").expect("no panic");
    }
}

fn firmware(checksum: &str) -> Value {
    json!({
        "name": "firmware_update", "params": {"version": "2.4.0", "checksum": checksum},
        "timeout_ms": 20_000, "progress_extends": true,
        "expect": {"state": "firmware", "op": "==", "value": "2.4.0"},
    })
}

#[tokio::test]
async fn new_firmware_is_loaded_with_progress_booted_and_verified_by_what_the_device_reports() {
    let mut world = arrange().await;
    let id = world.create(firmware(GOOD)).await;
    let (mut seen, mut progress, mut offline) = (Vec::new(), 0, false);
    let verified = loop {
        let message = world.live.next().await;
        let channel = message["channel"].as_str().unwrap_or_default().to_owned();
        offline |= channel.starts_with("presence/") && message["data"]["status"] == "offline";
        if message["data"]["id"] != *id {
            continue;
        }
        let state = message["data"]["state"].as_str().expect("a state").to_owned();
        progress += usize::from(message["data"]["progress"].as_f64().is_some_and(|it| it > 0.0));
        assert!(state != "succeeded" || offline, "it cannot be done before its reboot");
        if seen.last() != Some(&state) {
            seen.push(state);
        }
        if let Some(verified) = message["data"]["verified"].as_bool() {
            break verified;
        }
    };
    assert!(verified && progress > 2, "{progress} times");
    assert_eq!(seen.last().map(String::as_str), Some("succeeded"), "{seen:?}");
    let (_, command) = world.gateway.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!((&command["result"]["firmware"], &command["attempt"]), (&json!("2.4.0"), &json!(1)));
    world.end().await;
}

#[tokio::test]
async fn firmware_with_another_checksum_fails_and_changes_nothing() {
    let mut world = arrange().await;
    let id = world.create(firmware(CONFIG)).await;
    let is = |it: &Value| it["data"]["id"] == id && it["data"]["state"] == "failed";
    let failed = world.live.find(is).await;
    assert_eq!(failed["data"]["error"]["code"], "bad_checksum");
    let (_, state) = world.gateway.get(&format!("/api/v1/devices/{}/desired", world.device)).await;
    assert_eq!(state["reported"]["firmware"], "2.3.1");
    world.end().await;
}

#[tokio::test]
async fn a_new_configuration_is_checked_taken_over_and_verified() {
    let mut world = arrange().await;
    let update = |checksum: &str| {
        json!({
            "name": "config_update",
            "params": {"version": "7", "config": r#"{"interval_ms":500}"#, "checksum": checksum},
            "expect": {"state": "config_version", "op": "==", "value": "7"},
        })
    };
    let bad = world.create(update(GOOD)).await;
    let is = |it: &Value| it["data"]["id"] == bad && it["data"]["state"] == "failed";
    assert_eq!(world.live.find(is).await["data"]["error"]["code"], "bad_checksum");
    let good = world.create(update(CONFIG)).await;
    let is = |it: &Value| it["data"]["id"] == good && it["data"]["verified"] == true;
    assert_eq!(world.live.find(is).await["data"]["state"], "succeeded");
    world.end().await;
}
