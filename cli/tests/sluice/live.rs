//! Against a real gateway: `SLUICE_TEST_URL` names one that runs with `--demo`; then
//! `cargo test -p cli -- --ignored`. What these say holds for every gateway, the fake included.

use crate::support::run;
use protocol::{Device, Update};
use serde_json::Value;

#[tokio::test]
#[ignore = "needs SLUICE_TEST_URL: a gateway that runs with --demo"]
async fn the_gateway_lists_devices() {
    let run = run(&gateway(), &["devices", "--json"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let devices: Vec<Device> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!devices.is_empty());
}

#[tokio::test]
#[ignore = "needs SLUICE_TEST_URL: a gateway that runs with --demo"]
async fn the_gateway_sends_updates_without_a_hole() {
    let line = ["watch", "telemetry/#", "--no-snapshot", "--json", "--count", "20"];
    let run = run(&gateway(), &line).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("hole"), "{}", run.stderr);
    let updates: Vec<Update> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(updates.len(), 20);
}

#[tokio::test]
#[ignore = "needs SLUICE_TEST_URL: a gateway that runs with --demo"]
async fn the_gateway_refuses_a_command_for_nobody() {
    let run = run(&gateway(), &["send", "no-such-device", "set"]).await;
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.contains("(unknown_device)"), "{}", run.stderr);
}

#[tokio::test]
#[ignore = "needs SLUICE_TEST_URL: a gateway that runs with --demo"]
async fn a_command_of_the_gateway_can_be_followed_and_shown() {
    let gateway = gateway();
    let listed = run(&gateway, &["devices", "--status", "online", "--json"]).await;
    let device: Device = serde_json::from_str(listed.stdout.lines().next().unwrap()).unwrap();
    let line = ["send", device.id.as_str(), "ping", "--wait", "--json"];
    let sent = run(&gateway, &line).await;
    let last: Value = serde_json::from_str(sent.stdout.lines().last().unwrap()).unwrap();
    assert!(matches!(sent.code, Some(0 | 2)), "{}", sent.stderr);
    let id = last["id"].as_str().unwrap();
    let shown = run(&gateway, &["command", id, "--json"]).await;
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["state"], last["state"]);
}

fn gateway() -> String {
    std::env::var("SLUICE_TEST_URL").expect("SLUICE_TEST_URL names the gateway")
}
