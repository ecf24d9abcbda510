//! The log, where who reads it is slow or does not.

use serde_json::Value;
use std::{fs, net::SocketAddr, process::Stdio};
use tempfile::TempDir;
use tests::{Connect, Peer, Version, binary, soon, until};
use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
};

/// Of so many devices a payload is complained about: in all more than a pipe takes, which is 64 KiB.
const DEVICES: usize = 600;

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_neither_clients_nor_the_end() {
    let (mut gateway, _folder, mqtt) = with_log_into_a_pipe().await;
    let mut peer = complained_about(mqtt).await;
    peer.publish("devices/good/telemetry", b"{}", 1).await;
    Peer::connect(mqtt, Connect::new(Version::V5, "newcomer")).await;
    terminate(&gateway).await;
    let ended = soon("its end", gateway.wait()).await.expect("a status");
    assert_eq!(ended.code(), Some(0), "{ended}");
}

#[tokio::test]
async fn who_reads_the_log_late_gets_all_of_it_in_its_order_and_to_the_end() {
    let (mut gateway, _folder, mqtt) = with_log_into_a_pipe().await;
    drop(complained_about(mqtt).await);
    terminate(&gateway).await;
    let mut log = String::new();
    let mut pipe = gateway.stderr.take().expect("it is piped");
    soon("the end of the log", pipe.read_to_string(&mut log)).await.expect("a text");
    let devices = log.lines().filter_map(|line| line.split_once("devices/bad-")?.1.get(..3));
    assert!(devices.eq((0..DEVICES).map(|number| format!("{number:03}"))), "{log}");
    assert!(log.lines().last().is_some_and(|line| line.contains("stopping")), "{log}");
    assert_eq!(soon("its end", gateway.wait()).await.expect("a status").code(), Some(0));
}

/// A gateway with its files, and where it speaks MQTT; its standard error is a pipe.
async fn with_log_into_a_pipe() -> (Child, TempDir, SocketAddr) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(binary("sluice-gateway"));
    command.env_clear().env("SLUICE_DATA_DIR", folder.path());
    command.env("SLUICE_MQTT__LISTEN", "127.0.0.1:0").env("SLUICE_HTTP__LISTEN", "127.0.0.1:0");
    command.stderr(Stdio::piped()).kill_on_drop(true);
    let gateway = command.spawn().expect("the gateway starts");
    let mut endpoints = Value::Null;
    until("endpoints.json", async || {
        let text = fs::read(folder.path().join("endpoints.json"));
        endpoints =
            text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        !endpoints.is_null()
    })
    .await;
    let mqtt = endpoints["mqtt"].as_str().expect("a text").parse().expect("an address");
    (gateway, folder, mqtt)
}

/// A client that the log has a line about for each device it speaks for, long ones.
async fn complained_about(mqtt: SocketAddr) -> Peer {
    let mut peer = Peer::connect(mqtt, Connect::new(Version::V5, "hub")).await;
    for number in 0..DEVICES {
        let topic = format!("devices/bad-{number:03}-{:x>50}/telemetry", "");
        peer.publish(&topic, b"no JSON", 1).await;
    }
    peer
}

async fn terminate(gateway: &Child) {
    let pid = gateway.id().expect("it runs").to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(sent.expect("kill runs").success());
}
