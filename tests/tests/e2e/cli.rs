//! The operator's command line against the gateway.

use serde_json::{Value, json};
use tests::{Connect, Device, Ended, Peer, Program, TestGateway, Version, until};
use tokio::task::JoinSet;

async fn sluice(gateway: &TestGateway, arguments: &[&str]) -> Ended {
    Program::new("sluice", arguments).env("SLUICE_URL", &gateway.url()).run().await
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Sends a command with `sluice` while the device answers it so.
async fn send_and_answer(gateway: &TestGateway, device: &mut Device, answers: &[Value]) -> Ended {
    let answering = async {
        let id = device.take().await.id;
        for answer in answers {
            device.answer(&id, answer).await;
        }
    };
    let arguments = ["send", "pump-1", "set_speed", "rpm=900", "--wait"];
    tokio::join!(sluice(gateway, &arguments), answering).0
}

#[tokio::test]
async fn waiting_for_a_command_ends_as_the_command_does() {
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("pump-1").await;
    let works = [json!({"status": "started"}), json!({"status": "succeeded", "result": 899})];
    let ended = send_and_answer(&gateway, &mut device, &works).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for stage in ["sent", "delivered", "started", "succeeded"] {
        assert!(ended.stdout.contains(stage), "{stage} is not in {}", ended.stdout);
    }
    for status in ["failed", "rejected"] {
        let answer = json!({"status": status, "error": {"code": "dry", "message": "no water"}});
        let ended = send_and_answer(&gateway, &mut device, &[answer]).await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stdout.contains("no water"), "{}", ended.stdout);
    }
}

#[tokio::test]
async fn deadlines_decide_how_waiting_ends() {
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("pump-1").await;
    let timed_out = async { device.take().await };
    let arguments = ["send", "pump-1", "fill", "--wait", "--timeout", "200ms"];
    let (ended, _) = tokio::join!(sluice(&gateway, &arguments), timed_out);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stdout.contains("timed_out"), "{}", ended.stdout);

    let open = async { device.take().await };
    let arguments = ["send", "pump-1", "fill", "--wait-for", "300ms"];
    let (ended, order) = tokio::join!(sluice(&gateway, &arguments), open);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    device.answer(&order.id, &json!({"status": "succeeded"})).await;

    device.peer.disconnect().await;
    let ended = sluice(&gateway, &["send", "pump-1", "fill", "--wait", "--ttl", "0"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stdout.contains("expired"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_command_is_shown_and_cancelled() {
    let gateway = TestGateway::start().await;
    gateway.device("pump-1").await.peer.disconnect().await;
    let sent = sluice(&gateway, &["send", "pump-1", "fill", "--json"]).await;
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let id = lines(&sent)[0]["id"].as_str().expect("an id").to_owned();
    let shown = lines(&sluice(&gateway, &["command", "explain", &id, "--json"]).await);
    assert_eq!(shown[0]["state"], "queued");
    let cancelled = sluice(&gateway, &["command", "cancel", &id]).await;
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.stderr);
    let again = sluice(&gateway, &["command", "cancel", &id]).await;
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("already_final"), "{}", again.stderr);
}

#[tokio::test]
async fn a_commands_story_says_what_it_waited_for() {
    let gateway = TestGateway::start().await;
    gateway.device("pump-1").await.peer.disconnect().await;
    let sent = sluice(&gateway, &["send", "pump-1", "fill", "--json"]).await;
    let id = lines(&sent)[0]["id"].as_str().expect("an id").to_owned();
    let superseding = ["send", "pump-1", "set_speed", "rpm=1", "--supersede", "speed"];
    let older = lines(&sluice(&gateway, &[&superseding[..], &["--json"]].concat()).await);
    let newer = lines(&sluice(&gateway, &[&superseding[..], &["--json"]].concat()).await);
    let mut device = gateway.device("pump-1").await;
    device.take().await;
    device.answer(&id, &json!({"status": "succeeded"})).await;
    let story = || async { sluice(&gateway, &["command", "explain", &id]).await.stdout };
    until("the end", async || story().await.contains("the device says that it is done")).await;
    let story = story().await;
    for part in ["local asked for it", "its device is not receiving", "the device has it"] {
        assert!(story.contains(part), "'{part}' is not in {story}");
    }
    let older = older[0]["id"].as_str().expect("an id");
    let story = sluice(&gateway, &["command", "explain", older]).await.stdout;
    let why = format!("command {} took its place", newer[0]["id"].as_str().expect("an id"));
    assert!(story.contains(&why), "{story}");
}

#[tokio::test]
async fn a_batch_is_sent_followed_and_listed() {
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("pump-1").await;
    gateway.device("pump-2").await.peer.disconnect().await;
    let answering = async {
        let id = device.take().await.id;
        device.answer(&id, &json!({"status": "succeeded"})).await;
    };
    let arguments = [
        "batch",
        "send",
        "fill",
        "--devices",
        "pump-1,pump-2",
        "--concurrency",
        "2",
        "--ttl",
        "0",
        "--wait",
        "--json",
    ];
    let (ended, ()) = tokio::join!(sluice(&gateway, &arguments), answering);
    assert_eq!(ended.code, Some(2), "one of two devices is away: {}", ended.stderr);
    let last = lines(&ended).pop().expect("a line");
    assert_eq!(last["counts"], json!({"succeeded": 1, "expired": 1}));
    let id = last["id"].as_str().expect("an id");
    let rows = sluice(&gateway, &["batch", "rows", id, "--state", "expired", "--json"]).await;
    let rows = lines(&rows);
    assert_eq!((rows.len(), &rows[0]["device"]), (1, &json!("pump-2")));
    let again = sluice(&gateway, &["batch", "cancel", id]).await;
    assert!(again.stderr.contains("already_final"), "{}", again.stderr);
}

#[tokio::test]
async fn a_batch_is_paused_and_cancelled() {
    let gateway = TestGateway::start().await;
    gateway.device("pump-1").await.peer.disconnect().await;
    let sent = sluice(&gateway, &["batch", "send", "fill", "--devices", "pump-1", "--json"]).await;
    let id = lines(&sent)[0]["id"].as_str().expect("an id").to_owned();
    for (change, state) in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")] {
        let changed = lines(&sluice(&gateway, &["batch", change, &id, "--json"]).await);
        assert_eq!(changed[0]["state"], state);
    }
}

#[tokio::test]
async fn what_is_desired_is_set_by_version_and_waited_for() {
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("pump-1").await;
    let set = sluice(&gateway, &["desired", "set", "pump-1", "rpm=900", "mode=eco"]).await;
    assert_eq!(set.code, Some(0), "{}", set.stderr);
    let stale = ["desired", "set", "pump-1", "rpm=1", "--if-version", "0"];
    let stale = sluice(&gateway, &stale).await;
    assert_eq!(stale.code, Some(1));
    assert!(stale.stderr.contains("at version 1, not 0"), "{}", stale.stderr);
    let follows = async {
        until("the change", async || {
            lines(&sluice(&gateway, &["desired", "get", "pump-1", "--json"]).await)[0]["version"]
                == 2
        })
        .await;
        device.peer.publish("devices/pump-1/state", br#"{"rpm":800}"#, 1).await;
    };
    let arguments = ["desired", "set", "pump-1", "rpm=800", "--remove", "mode", "--wait", "--json"];
    let (ended, ()) = tokio::join!(sluice(&gateway, &arguments), follows);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let last = lines(&ended).pop().expect("a line");
    assert_eq!((&last["desired"], &last["in_sync"]), (&json!({"rpm": 800}), &json!(true)));
}

#[tokio::test]
async fn an_alert_is_listed_acknowledged_and_cleared() {
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("pump-1").await;
    let event = br#"{"severity":"critical","code":"dry","message":"no water"}"#;
    device.peer.publish("devices/pump-1/events", event, 1).await;
    let listed = lines(&sluice(&gateway, &["alerts", "--device", "pump-1", "--json"]).await);
    let id = listed[0]["id"].as_str().expect("an id").to_owned();
    let known = sluice(&gateway, &["alerts", "ack", &id]).await;
    assert!(known.stdout.contains("acknowledged by local"), "{}", known.stdout);
    let cleared = sluice(&gateway, &["alerts", "clear", &id]).await;
    assert!(cleared.stdout.contains("cleared by local"), "{}", cleared.stdout);
    let left = sluice(&gateway, &["alerts"]).await;
    assert_eq!((left.stdout.as_str(), left.code), ("", Some(0)), "{}", left.stderr);
}

#[tokio::test]
async fn a_command_for_nobody_is_refused_and_a_wrong_line_is_usage() {
    let gateway = TestGateway::start().await;
    let refused = sluice(&gateway, &["send", "no-such-device", "set"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("(unknown_device)"), "{}", refused.stderr);
    assert_eq!(sluice(&gateway, &["send", "pump-1"]).await.code, Some(64));
}

#[tokio::test]
async fn devices_are_listed_and_watched_without_a_hole() {
    let gateway = TestGateway::with_flags(&[], &["--demo"]).await;
    let arguments = ["watch", "telemetry/#", "--no-snapshot", "--json", "--count", "20"];
    let watched = sluice(&gateway, &arguments).await;
    assert_eq!(watched.code, Some(0), "{}", watched.stderr);
    assert!(!watched.stderr.contains("hole"), "{}", watched.stderr);
    assert_eq!(lines(&watched).len(), 20);
    let listed = sluice(&gateway, &["devices", "--status", "online", "--json"]).await;
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let devices = lines(&listed);
    let seen = lines(&watched)[0]["channel"].as_str().expect("a channel").to_owned();
    let is_listed =
        |device: &Value| seen == format!("telemetry/{}", device["id"].as_str().expect("an id"));
    assert!(devices.iter().any(is_listed), "{seen} is not in {devices:?}");
}

#[tokio::test]
async fn watch_goes_on_over_a_restart_and_misses_nothing() {
    const COUNT: u64 = 9;
    let mut gateway = TestGateway::start().await;
    let count = COUNT.to_string();
    let arguments = ["--url", &gateway.url(), "watch", "telemetry/d1", "--json", "--count", &count];
    let mut watch = JoinSet::new();
    watch.spawn(Program::new("sluice", &arguments).run());
    // The welcome, then what answers the subscription.
    until("the subscription", async || {
        gateway.metric("sluice_websocket_frames_out_total").await >= 2
    })
    .await;
    let publish = async |gateway: &TestGateway, numbers: std::ops::RangeInclusive<u64>| {
        let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
        for number in numbers {
            let payload = json!({ "n": number }).to_string();
            peer.publish("devices/d1/telemetry", payload.as_bytes(), 1).await;
        }
    };
    publish(&gateway, 1..=3).await;
    gateway.restart().await;
    publish(&gateway, 4..=6).await;
    gateway.restart().await;
    publish(&gateway, 7..=COUNT).await;
    let Ended { code, stdout, stderr } = watch.join_next().await.expect("one").expect("no panic");
    assert_eq!(code, Some(0), "{stderr}");
    let seqs: Vec<_> = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].clone())
        .collect();
    assert_eq!(seqs, (1..=COUNT).map(Value::from).collect::<Vec<_>>(), "{stderr}");
    assert!(!stderr.contains("hole") && !stderr.contains("reset"), "{stderr}");
}
