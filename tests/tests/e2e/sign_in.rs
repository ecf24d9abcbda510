//! Credentials of devices and access rules, with the real binaries and Mosquitto's clients.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};
use std::{fs, net::SocketAddr, path::Path};
use tests::{Connect, Ended, Peer, Program, TestGateway, Version, mosquitto, soon, until};
use tokio::process::Command;

/// Runs `sluice-gateway` with arguments in a data directory.
async fn run(dir: &Path, arguments: &[&str]) -> Ended {
    let dir = dir.to_str().expect("UTF-8");
    let arguments = [arguments, &["--data-dir", dir]].concat();
    Program::new("sluice-gateway", &arguments).run().await
}

async fn added(dir: &Path, id: &str) -> String {
    let ended = run(dir, &["device", "add", id]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().into()
}

/// The exit code of `mosquitto_pub`, which tells how CONNECT was answered.
async fn published(address: SocketAddr, arguments: &[&str]) -> Option<i32> {
    let mut command = Command::new("mosquitto_pub");
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    command.args(["-h", &host, "-p", &port]).args(arguments);
    Program::of(command).run().await.code
}

#[tokio::test]
async fn a_device_signs_in_as_soon_as_it_may_and_its_messages_go_their_way() {
    let gateway = TestGateway::start().await;
    let secret = added(&gateway.data_dir(), "pump-1").await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#"]).await;
    let telemetry = ["-t", "devices/pump-1/telemetry", "-m", "{\"t\":1}", "-q", "1"];
    for version in ["mqttv311", "mqttv5"] {
        let signed = ["-V", version, "-i", "pump-1", "-u", "pump-1", "-P", &secret];
        let code = published(gateway.mqtt(), &[&telemetry[..], &signed].concat()).await;
        assert_eq!(code, Some(0), "{version}");
        assert_eq!(live.update("telemetry/pump-1").await["data"], json!({"t": 1}));
        for wrong in [&["-u", "pump-1", "-P", "wrong"][..], &[]] {
            let arguments = [&telemetry[..], &["-V", version], wrong].concat();
            assert_ne!(published(gateway.mqtt(), &arguments).await, Some(0), "{version} {wrong:?}");
        }
    }
    assert!(!gateway.log().contains(&secret), "a secret is in the log");
    let file = fs::read_to_string(gateway.data_dir().join("devices.json")).expect("it is there");
    assert!(!file.contains(&secret), "a secret is in the file");
}

#[tokio::test]
async fn a_subscriber_gets_what_it_may_read_and_a_monitor_all() {
    let gateway = TestGateway::start().await;
    let dir = gateway.data_dir();
    let (one, two) = (added(&dir, "d1").await, added(&dir, "d2").await);
    let token = run(&dir, &["token", "create", "vera", "--role", "viewer"]).await.stdout;
    let sign = |id| ["-i", id, "-u", id];
    let all = ["-t", "#", "-F", "%t"];
    let arguments = [&all[..], &sign("d1"), &["-P", &one]].concat();
    let mut device = mosquitto::Subscriber::start(gateway.mqtt(), &arguments).await;
    let arguments = [&all[..], &["-u", "vera", "-P", token.trim()]].concat();
    let mut monitor = mosquitto::Subscriber::start(gateway.mqtt(), &arguments).await;
    for (id, secret) in [("d2", &two), ("d1", &one)] {
        let topic = format!("devices/{id}/state");
        let message = ["-t", &topic, "-m", "{}", "-q", "1"];
        let sender = format!("{id}-sender");
        let signed = ["-i", &sender, "-u", id, "-P", secret];
        mosquitto::publish(gateway.mqtt(), &[&message[..], &signed].concat()).await;
    }
    assert_eq!(monitor.lines(2).await, ["devices/d2/state", "devices/d1/state"]);
    assert_eq!(device.line().await, "devices/d1/state", "nothing of d2 comes before it");
}

#[tokio::test]
async fn revoking_closes_and_killing_an_import_leaves_the_old_credentials() {
    let mut gateway = TestGateway::start().await;
    let dir = gateway.data_dir();
    let secret = added(&dir, "d1").await;
    let connect =
        || Connect { user: Some("d1"), password: Some(&secret), ..Connect::new(Version::V5, "d1") };
    let peer = Peer::connect(gateway.mqtt(), connect()).await;
    let rows: String = (0..400).map(|number| format!("x{number},secret-{number}\n")).collect();
    let file = dir.join("import.csv");
    fs::write(&file, rows).expect("a file");
    let import = ["device", "import", file.to_str().expect("UTF-8"), "--data-dir"];
    let mut importing = Command::new(tests::binary("sluice-gateway"));
    let mut importing = importing.args(import).arg(&dir).spawn().expect("it starts");
    soon("the kill", importing.kill()).await.expect("it runs");
    gateway.kill();
    gateway.start_again().await;
    let list = run(&dir, &["device", "list"]).await;
    let count = list.stdout.lines().count() - 1;
    assert!(count == 1 || count == 401, "all or nothing, not {count}");
    peer.closed().await;
    let peer = Peer::connect(gateway.mqtt(), connect()).await;
    assert_eq!(run(&dir, &["device", "revoke", "d1"]).await.code, Some(0));
    peer.closed().await;
    assert!(Peer::try_connect(gateway.mqtt(), connect()).await.is_none());
}

#[tokio::test]
async fn mqtt_listens_for_other_machines_only_with_credentials() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let check =
        async || run(folder.path(), &["--check-config", "--mqtt-listen", "0.0.0.0:0"]).await;
    let refused = check().await;
    assert_eq!(refused.code, Some(64));
    assert!(refused.stderr.contains("sluice-gateway device add"), "{}", refused.stderr);
    added(folder.path(), "d1").await;
    assert_eq!(check().await.code, Some(0));
    let demo = run(folder.path(), &["--check-config", "--demo"]).await;
    assert_eq!(demo.code, Some(64));
    assert!(demo.stderr.contains("--demo: its fleet has no credentials"), "{}", demo.stderr);
    for (arguments, code) in [
        (&["device", "add", "d1"][..], 1),
        (&["device", "add", "a/b"], 64),
        (&["device", "revoke", "nobody"], 1),
        (&["device", "import", "/nowhere"], 1),
        (&["device", "list"], 0),
    ] {
        let ended = run(folder.path(), arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn the_rules_explain_themselves() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = folder.path().join("acl.toml");
    let rules = "[[acl]]\neffect = 'allow'\ntype = 'hub'\ntopic = 'devices/+/telemetry'\n";
    fs::write(&settings, rules).expect("a file");
    let check = async |arguments: &[&str]| {
        let config = ["acl", "check", "--config", settings.to_str().expect("UTF-8")];
        let ended = run(folder.path(), &[&config[..], arguments].concat()).await;
        (ended.code, ended.stdout)
    };
    for narrowed in [&["nina", "--devices", "p*"][..], &["otto", "--channels", "telemetry/#"]] {
        let create = [&["token", "create"], narrowed].concat();
        assert_eq!(run(folder.path(), &create).await.code, Some(0));
    }
    for create in [&["eve", "--days", "1"][..], &["otto", "--role", "operator"]] {
        let create = [&["token", "create"], create].concat();
        assert_eq!(run(folder.path(), &create).await.code, Some(0));
    }
    token_expires(folder.path(), "eve");
    for (arguments, code, said) in [
        (&["--device", "d1", "subscribe", "$share/g/devices/d1/#"][..], 0, "built in: allow"),
        (&["--device", "d1", "subscribe", "$share/g/devices/d2/#"], 1, "no rule allows it"),
        (&["--device", "d1", "subscribe", "$share/g"], 64, ""),
        (&["--user", "nina", "subscribe", "#"], 1, "denied (MQTT is not for narrowed tokens"),
        (&["--user", "eve", "subscribe", "#"], 1, "denied (the user's token has expired"),
        (&["--user", "otto", "publish", "devices/d1/commands/x"], 0, "built in: allow publish"),
        (&["--user", "otto", "publish", "devices/d1/telemetry"], 1, "built in: deny publish"),
        (&["--device", "d1", "publish", "devices/d1/telemetry"], 0, "built in: allow publish"),
        (&["--device", "d1", "publish", "devices/d2/telemetry"], 1, "no rule allows it"),
        (&["--device", "d1", "--type", "hub", "publish", "devices/d2/telemetry"], 0, "[[acl]] 1"),
        (&["--device", "d1", "subscribe", "#"], 0, "only what may be read"),
        (&["--user", "vera", "--role", "viewer", "publish", "a"], 1, "no rule"),
        (&["--user", "vera", "publish", "a"], 64, ""),
        (&["--device", "d1", "publish", "a/#"], 64, ""),
        (&["publish", "a"], 64, ""),
    ] {
        let (ended, out) = check(arguments).await;
        assert_eq!(ended, Some(code), "{arguments:?}: {out}");
        assert!(out.contains(said), "{arguments:?}: {out}");
    }
}

/// The day of `user`'s token is over.
fn token_expires(dir: &Path, user: &str) {
    let file = dir.join("credentials.json");
    let mut known: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    let tokens = known["tokens"].as_object_mut().expect("an object").values_mut();
    tokens.filter(|token| token["user"] == user).for_each(|token| token["expires_at"] = 1.into());
    fs::write(&file, known.to_string()).expect("a file");
}

/// A JWT for `device`, signed with `secret`.
fn jwt(secret: &[u8], device: &str) -> String {
    let encode = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"sub": device, "exp": 4_000_000_000_u64});
    let message = format!("{}.{}", encode(json!({"alg": "HS256"})), encode(claims));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn new_keys_for_jwts_count_at_once_and_who_came_with_an_old_one_is_closed() {
    let (old, new) = ([1; 32], [2; 32]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("jwks.json");
    let set = |secrets: &[[u8; 32]]| {
        let key = |secret| json!({"kty": "oct", "k": BASE64_URL_SAFE_NO_PAD.encode(secret)});
        let keys: Vec<_> = secrets.iter().map(key).collect();
        fs::write(&file, json!({"keys": keys}).to_string()).expect("a file");
    };
    set(&[old]);
    let settings = [("AUTH__JWT__JWKS_FILE", file.to_str().expect("UTF-8"))];
    let mut gateway = TestGateway::with(&settings).await;
    let comes = async |secret: &[u8], device| {
        let password = jwt(secret, device);
        let connect = Connect::new(Version::V5, device);
        let connect = Connect { user: Some(device), password: Some(&password), ..connect };
        Peer::try_connect(gateway.mqtt(), connect).await
    };
    let by_old = comes(&old, "d1").await.expect("it is signed with the key");
    assert!(comes(&new, "d2").await.is_none());
    set(&[old, new]);
    let mut by_new = None;
    until("the new key to count", async || {
        by_new = comes(&new, "d2").await;
        by_new.is_some()
    })
    .await;
    set(&[new]);
    by_old.closed().await;
    assert!(comes(&old, "d1").await.is_none());

    // What cannot be used changes nothing.
    fs::write(&file, "no keys").expect("a file");
    gateway.until_metric("sluice_listeners_jwt_reload_failures_total", 1).await;
    by_new.expect("it came").settle().await;
    assert!(comes(&new, "d2").await.is_some());
    let (_, page) = gateway.get("/api/v1/audit?action=jwt_keys").await;
    let actions = page["items"].as_array().expect("a list").iter().rev();
    let actions: Vec<_> = actions.map(|entry| entry["action"].as_str().expect("a text")).collect();
    assert_eq!(actions, ["jwt_keys.reloaded", "jwt_keys.reloaded", "jwt_keys.refused"]);
    gateway.expect_error("the one before stays");
}
