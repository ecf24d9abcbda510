//! Widely used MQTT clients: paho-mqtt (Python) and mqtt.js, over TCP and over WebSocket, with TLS and
//! without. `tests/run` installs both.

use serde_json::{Value, json};
use std::path::PathBuf;
use tests::{Authority, Ended, Program, TestGateway};
use tokio::process::Command;

const COUNT: usize = 100;

/// What carries MQTT.
#[derive(Clone, Copy)]
enum Transport {
    Tcp,
    WebSocket,
    Tls,
    SecureWebSocket,
}

/// Runs a client's script against a gateway, for both versions of MQTT; what it published came back
/// to it and to a WebSocket, all of it in order.
async fn check(program: PathBuf, script: &str, client: &str, transport: Transport) {
    let authority = Authority::new();
    let gateway = match transport {
        Transport::Tcp | Transport::WebSocket => TestGateway::start().await,
        Transport::Tls => TestGateway::with_tls(&authority, &[]).await,
        Transport::SecureWebSocket => {
            TestGateway::with_tls(&authority, &[("HTTP__TLS", "true")]).await
        }
    };
    let (address, path, suffix) = match transport {
        Transport::Tcp => (gateway.mqtt(), None, ""),
        Transport::Tls => (gateway.mqtt_tls(), None, ""),
        Transport::WebSocket | Transport::SecureWebSocket => (gateway.http(), Some("/mqtt"), "-ws"),
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(script);
    for version in ["3.1.1", "5"] {
        let mut live = match transport {
            Transport::Tcp | Transport::WebSocket | Transport::Tls => gateway.live().await,
            Transport::SecureWebSocket => authority.live(gateway.http()).await,
        };
        let channel = format!("telemetry/{client}-{}{suffix}", version.replace('.', ""));
        live.subscribe(&[&channel]).await;
        let mut command = Command::new(&program);
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        command.arg(&script).args([&host, &port, version, &COUNT.to_string()]).args(path);
        if matches!(transport, Transport::Tls | Transport::SecureWebSocket) {
            command.env("SLUICE_CA", authority.ca());
        }
        let Ended { code, stdout, stderr } = Program::of(command).run().await;
        assert_eq!(code, Some(0), "{client} with MQTT {version}: {stderr}");
        let came: Value = serde_json::from_str(&stdout).expect("the script prints JSON");
        let all: Vec<_> = (0..COUNT).collect();
        assert_eq!(came, json!({"0": all, "1": all, "2": all}));
        for qos in 0..3 {
            for number in 0..COUNT {
                let update = live.next().await;
                assert_eq!(update["seq"], qos * COUNT + number + 1);
                assert_eq!(update["data"], json!({"qos": qos, "n": number}));
            }
        }
    }
}

fn python() -> PathBuf {
    let python = std::env::var_os("SLUICE_PYTHON");
    python.expect("SLUICE_PYTHON is a Python with paho-mqtt: tests/run makes one").into()
}

fn node() -> PathBuf {
    let packages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("js/node_modules/mqtt");
    assert!(packages.is_dir(), "{} is missing: npm ci in tests/js", packages.display());
    "node".into()
}

#[tokio::test]
async fn paho_publishes_and_subscribes_with_both_versions() {
    check(python(), "python/roundtrip.py", "paho", Transport::Tcp).await;
}

#[tokio::test]
async fn mqtt_js_publishes_and_subscribes_with_both_versions() {
    check(node(), "js/roundtrip.mjs", "mqttjs", Transport::Tcp).await;
}

#[tokio::test]
async fn paho_does_the_same_over_websocket() {
    check(python(), "python/roundtrip.py", "paho", Transport::WebSocket).await;
}

#[tokio::test]
async fn mqtt_js_does_the_same_over_websocket() {
    check(node(), "js/roundtrip.mjs", "mqttjs", Transport::WebSocket).await;
}

/// Runs a script that does what the client can beside publishing and subscribing, with both versions.
async fn check_features(program: PathBuf, script: &str, client: &str) {
    let gateway = TestGateway::start().await;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(script);
    for version in ["3.1.1", "5"] {
        let mut command = Command::new(&program);
        let (host, port) = (gateway.mqtt().ip().to_string(), gateway.mqtt().port().to_string());
        command.arg(&script).args([&host, &port, version]);
        let Ended { code, stdout, stderr } = Program::of(command).run().await;
        assert_eq!(code, Some(0), "{program:?} with MQTT {version}: {stderr}");
        let came: Value = serde_json::from_str(&stdout).expect("the script prints JSON");
        let name = format!("{client}-{}", version.replace('.', ""));
        let mail = |qos: u8| json!([format!("{name}/mail"), qos.to_string(), qos, false]);
        let expected = json!({
            "retained": [format!("{name}/shelf"), "kept", 1, true],
            "will": [format!("{name}/will"), "gone", 1, false],
            "new": false,
            "resumed": [true, mail(1), mail(2)],
            "shared": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        });
        assert_eq!(came, expected, "MQTT {version}");
    }
}

#[tokio::test]
async fn paho_finds_retained_messages_wills_its_session_and_shares() {
    check_features(python(), "python/features.py", "paho").await;
}

#[tokio::test]
async fn mqtt_js_finds_retained_messages_wills_its_session_and_shares() {
    check_features(node(), "js/features.mjs", "mqttjs").await;
}

#[tokio::test]
async fn paho_does_the_same_over_tls() {
    check(python(), "python/roundtrip.py", "paho", Transport::Tls).await;
}

#[tokio::test]
async fn mqtt_js_does_the_same_over_tls() {
    check(node(), "js/roundtrip.mjs", "mqttjs", Transport::Tls).await;
}

#[tokio::test]
async fn paho_does_the_same_over_websocket_and_tls() {
    check(python(), "python/roundtrip.py", "paho", Transport::SecureWebSocket).await;
}

#[tokio::test]
async fn mqtt_js_does_the_same_over_websocket_and_tls() {
    check(node(), "js/roundtrip.mjs", "mqttjs", Transport::SecureWebSocket).await;
}

/// Runs a script that signs in as a device, with both versions, and does what the device may and may not.
async fn check_sign_in(program: PathBuf, script: &str, client: &str) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(script);
    for (version, forbidden) in [("3.1.1", [0, 128]), ("5", [135, 135])] {
        let gateway = TestGateway::start().await;
        let dir = gateway.data_dir().display().to_string();
        let device = format!("{client}-{}", version.replace('.', ""));
        let add = ["device", "add", &device, "--data-dir", &dir];
        let secret = Program::new("sluice-gateway", &add).run().await.stdout.trim().to_owned();
        let mut live = gateway.live().await;
        live.subscribe(&["telemetry/#"]).await;
        let mut command = Command::new(&program);
        let (host, port) = (gateway.mqtt().ip().to_string(), gateway.mqtt().port().to_string());
        command.arg(&script).args([&host, &port, version, &device, &secret]);
        command.arg(tests::binary("sluice-gateway"));
        command.args(["device", "revoke", &device, "--data-dir", &dir]);
        // What is set for the tests is no setting of the gateway that the script runs.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        let Ended { code, stdout, stderr } = Program::of(command).run().await;
        assert_eq!(code, Some(0), "{program:?} with MQTT {version}: {stderr}");
        let codes: Value = serde_json::from_str(&stdout).expect("the script prints JSON");
        let revoked = if version == "5" { json!(135) } else { Value::Null };
        let [publish, subscribe] = forbidden;
        let expected = json!({
            "wrong": 134, "nothing": 135, "will of another": 135, "right": 0,
            "publish": 0, "publish for another": publish,
            "subscribe": 1, "subscribe to another": subscribe,
            "revoked": revoked,
        });
        assert_eq!(codes, expected, "MQTT {version}");
        let came = live.next().await;
        assert_eq!(came["channel"], format!("telemetry/{device}"), "and nothing for another");
        for (act, allowed) in [
            (["publish", &format!("devices/{device}/telemetry")], 0),
            (["publish", "devices/another/telemetry"], 1),
            (["subscribe", &format!("devices/{device}/commands/#")], 0),
            (["subscribe", "devices/another/commands/#"], 1),
        ] {
            let check = [&["acl", "check", "--device", &device][..], &act].concat();
            let ended = Program::new("sluice-gateway", &check).run().await;
            assert_eq!(ended.code, Some(allowed), "{act:?}: {}", ended.stdout);
        }
        let (status, _) = gateway.get("/api/v1/devices/another").await;
        assert_eq!(status, 404, "nothing came through for it");
    }
}

#[tokio::test]
async fn paho_signs_in_as_a_device_and_is_refused_what_is_not_its_own() {
    check_sign_in(python(), "python/sign_in.py", "paho").await;
}

#[tokio::test]
async fn mqtt_js_signs_in_as_a_device_and_is_refused_what_is_not_its_own() {
    check_sign_in(node(), "js/sign_in.mjs", "mqttjs").await;
}
