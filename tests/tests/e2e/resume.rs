//! Going on where it broke: `since` over a cut, a restart and a kill; `replay`; each `reset`.

use serde_json::{Value, json};
use tests::{Connect, Live, Peer, TestGateway, Version, is_update, until};

async fn publisher(gateway: &TestGateway) -> Peer {
    Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await
}

async fn count(peer: &mut Peer, device: &str, numbers: std::ops::RangeInclusive<u64>) {
    let topic = format!("devices/{device}/telemetry");
    for number in numbers {
        let qos = 1;
        peer.publish(&topic, json!({ "n": number }).to_string().as_bytes(), qos).await;
    }
}

/// Where a connection that was live stands: the option `since`.
fn cursor(live: &Live, messages: &[Value]) -> Value {
    let offset = messages.iter().filter_map(|message| message["offset"].as_u64()).max();
    json!({"epoch": live.welcome["epoch"], "offset": offset.expect("something was said")})
}

/// The numbers `n` of a channel's updates, all with this mark or none.
fn numbers(messages: &[Value], channel: &str, mark: Option<&str>) -> Vec<u64> {
    let updates = messages.iter().filter(|message| is_update(message, channel));
    let marked = updates.inspect(|update| {
        for known in ["snapshot", "replayed"] {
            assert_eq!(update.get(known).is_some(), mark == Some(known), "{update}");
        }
    });
    marked.map(|update| update["data"]["n"].as_u64().expect("a number")).collect()
}

fn resets(messages: &[Value]) -> Vec<(Value, Value)> {
    let resets = messages.iter().filter(|message| message["type"] == "reset");
    resets.map(|reset| (reset["reason"].clone(), reset["channels"].clone())).collect()
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed_once_in_order_and_goes_on_live() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    count(&mut peer, "d1", 1..=3).await;
    let mut live = gateway.live().await;
    let mut seen = live.subscribe(&["telemetry/+"]).await;
    count(&mut peer, "d1", 4..=6).await;
    seen.extend(live.through(|message| message["data"]["n"] == 6).await);
    let since = cursor(&live, &seen);
    drop(live);
    count(&mut peer, "d1", 7..=9).await;
    count(&mut peer, "d2", 1..=2).await;
    let mut live = gateway.live().await;
    let told = live.subscribe_with(&["telemetry/+"], json!({ "since": since })).await;
    assert_eq!(numbers(&told, "telemetry/d1", Some("replayed")), [7, 8, 9]);
    assert_eq!(numbers(&told, "telemetry/d2", Some("replayed")), [1, 2]);
    let offsets: Vec<_> = told.iter().filter_map(|message| message["offset"].as_u64()).collect();
    assert!(offsets.is_sorted(), "in the gateway's order: {offsets:?}");
    assert_eq!(resets(&told), []);
    count(&mut peer, "d1", 10..=10).await;
    assert_eq!(live.next().await["seq"], 10);
}

#[tokio::test]
async fn what_two_subscriptions_missed_comes_with_each_and_once_live() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    let start = json!({"epoch": gateway.live().await.welcome["epoch"], "offset": 0});
    count(&mut peer, "d1", 1..=3).await;
    let mut live = gateway.live().await;
    for channel in ["telemetry/d1", "telemetry/+"] {
        let told = live.subscribe_with(&[channel], json!({ "since": start })).await;
        assert_eq!(numbers(&told, "telemetry/d1", Some("replayed")), [1, 2, 3], "{channel}");
    }
    count(&mut peer, "d1", 4..=5).await;
    let told = live.through(|message| message["data"]["n"] == 5).await;
    assert_eq!(numbers(&told, "telemetry/d1", None), [4, 5]);
}

#[tokio::test]
async fn what_comes_while_the_past_is_sent_comes_once() {
    const MANY: u64 = 3_000;
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    let start = json!({"epoch": gateway.live().await.welcome["epoch"], "offset": 0});
    for number in 1..=MANY {
        let payload = json!({ "n": number }).to_string();
        peer.publish("devices/d1/telemetry", payload.as_bytes(), 0).await;
    }
    peer.settle().await;
    let mut live = gateway.live().await;
    let options = json!({ "since": start });
    live.ask(json!({"type": "subscribe", "channels": ["telemetry/d1"], "options": options})).await;
    for number in MANY + 1..=2 * MANY {
        let payload = json!({ "n": number }).to_string();
        peer.publish("devices/d1/telemetry", payload.as_bytes(), 0).await;
    }
    let mut told = live.through(|message| message["type"] == "live").await;
    let is_last = |message: &Value| message["data"]["n"] == 2 * MANY;
    if !told.iter().any(is_last) {
        told.extend(live.through(is_last).await);
    }
    let updates = told.iter().filter(|message| is_update(message, "telemetry/d1"));
    let found: Vec<_> = updates.map(|update| update["seq"].as_u64().expect("a number")).collect();
    assert_eq!(found, (1..=2 * MANY).collect::<Vec<_>>());
    let live_at = told.iter().position(|message| message["type"] == "live").expect("it is live");
    let late = |message: &Value| message.get("replayed").is_some();
    assert!(!told[live_at..].iter().any(late), "behind `live` nothing is replayed");
}

#[tokio::test]
async fn a_restart_in_order_is_a_cut_like_any_other() {
    let mut gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    let mut live = gateway.live().await;
    let mut seen = live.subscribe(&["telemetry/#", "state/#"]).await;
    count(&mut peer, "d1", 1..=2).await;
    seen.extend(live.through(|message| message["data"]["n"] == 2).await);
    let since = cursor(&live, &seen);
    count(&mut peer, "d1", 3..=4).await;
    gateway.restart().await;
    assert_eq!(live.closed().await, 4100);
    let mut peer = publisher(&gateway).await;
    count(&mut peer, "d1", 5..=5).await;
    let mut live = gateway.live().await;
    assert_eq!(live.welcome["epoch"], since["epoch"], "numbers go on");
    let told = live.subscribe_with(&["telemetry/#", "state/#"], json!({ "since": since })).await;
    assert_eq!(numbers(&told, "telemetry/d1", Some("replayed")), [3, 4, 5]);
    assert_eq!(resets(&told), []);
    count(&mut peer, "d1", 6..=6).await;
    assert_eq!(live.next().await["seq"], 6, "no hole in the numbers either");
}

#[tokio::test]
async fn after_a_kill_who_resumes_is_told_and_gets_the_values() {
    let mut gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    let mut live = gateway.live().await;
    let mut seen = live.subscribe(&["telemetry/#"]).await;
    count(&mut peer, "d1", 1..=3).await;
    seen.extend(live.through(|message| message["data"]["n"] == 3).await);
    let since = cursor(&live, &seen);
    gateway.kill();
    gateway.start_again().await;
    let mut live = gateway.live().await;
    assert_eq!(live.welcome["epoch"], since["epoch"]);
    assert!(live.welcome["offset"].as_u64() > since["offset"].as_u64(), "no number twice");
    let told = live.subscribe_with(&["telemetry/#"], json!({ "since": since })).await;
    assert_eq!(resets(&told), [(json!("crash"), json!(["telemetry/#"]))]);
    assert_eq!(numbers(&told, "telemetry/d1", Some("snapshot")), [3]);
    let before = told.iter().find(|message| is_update(message, "telemetry/d1"));
    let before = before.expect("its value")["seq"].as_u64();
    let mut peer = publisher(&gateway).await;
    count(&mut peer, "d1", 4..=4).await;
    assert!(live.update("telemetry/d1").await["seq"].as_u64() > before);
}

#[tokio::test]
async fn a_cursor_of_another_epoch_or_ahead_of_time_begins_anew() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    count(&mut peer, "d1", 1..=2).await;
    let mut live = gateway.live().await;
    let epoch = live.welcome["epoch"].clone();
    for since in [
        json!({"epoch": "another", "offset": 1}),
        json!({"epoch": "", "offset": 0}),
        json!({"epoch": epoch, "offset": 1_000_000}),
    ] {
        let options = json!({"since": since, "snapshot": false});
        let told = live.subscribe_with(&["telemetry/d1"], options).await;
        assert_eq!(resets(&told), [(json!("epoch"), json!(["telemetry/d1"]))], "{since}");
        let reset = told.iter().position(|message| message["type"] == "reset");
        assert_eq!((reset, &told[1]["epoch"]), (Some(1), &epoch), "first the reset");
        assert_eq!(numbers(&told, "telemetry/d1", Some("snapshot")), [2], "then the values");
    }
}

/// Memory and the log that `since` reads from are as small as can be.
const FORGETFUL: [(&str, &str); 2] =
    [("LIMITS__RING_BYTES", "65536"), ("STORE__RECOVERY_BYTES", "65536")];

#[tokio::test]
async fn what_is_no_longer_in_memory_comes_from_the_disk() {
    let gateway = TestGateway::with(&FORGETFUL[..1]).await;
    let mut peer = publisher(&gateway).await;
    let start = json!({"epoch": gateway.live().await.welcome["epoch"], "offset": 0});
    for number in 1..=1_000 {
        let payload = json!({"n": number, "padding": "x".repeat(200)}).to_string();
        peer.publish("devices/d1/telemetry", payload.as_bytes(), u8::from(number % 100 == 0)).await;
    }
    let mut live = gateway.live().await;
    let told = live.subscribe_with(&["telemetry/d1"], json!({ "since": start })).await;
    let all: Vec<_> = (1..=1_000).collect();
    assert_eq!(numbers(&told, "telemetry/d1", Some("replayed")), all);
    let id =
        live.ask(json!({"type": "replay", "channel": "telemetry/d1", "from": 5, "to": 700})).await;
    let told = live.through(|message| message["id"] == id).await;
    assert_eq!(numbers(&told, "telemetry/d1", Some("replayed")), all[4..700]);
    assert_eq!(told.last().expect("not empty")["type"], "ok");
}

#[tokio::test]
async fn what_is_no_longer_kept_is_told_to_be_gone() {
    let gateway = TestGateway::with(&FORGETFUL).await;
    let mut peer = publisher(&gateway).await;
    let mut live = gateway.live().await;
    let start = json!({"epoch": live.welcome["epoch"], "offset": 0});
    let mut told = Vec::new();
    let mut sent = 0;
    until("the log to be shortened", async || {
        for _ in 0..200 {
            sent += 1;
            // Random text does not pack.
            let text: Vec<String> =
                (0..20).map(|_| format!("{:x}", rand::random::<u64>())).collect();
            let payload = json!({"n": sent, "text": text.concat()}).to_string();
            peer.publish("devices/d1/telemetry", payload.as_bytes(), u8::from(sent % 50 == 0))
                .await;
        }
        told = live.subscribe_with(&["telemetry/d1"], json!({ "since": start })).await;
        !resets(&told).is_empty()
    })
    .await;
    assert_eq!(resets(&told), [(json!("expired"), json!(["telemetry/d1"]))]);
    assert_eq!(numbers(&told, "telemetry/d1", Some("snapshot")).len(), 1);
}

#[tokio::test]
async fn a_replay_gives_the_very_updates_again_or_says_that_they_are_gone() {
    let gateway = TestGateway::with(&FORGETFUL).await;
    let mut peer = publisher(&gateway).await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/d1", "topics/plain"]).await;
    count(&mut peer, "d1", 1..=5).await;
    let seen = live.through(|message| message["data"]["n"] == 5).await;
    let id =
        live.ask(json!({"type": "replay", "channel": "telemetry/d1", "from": 2, "to": 4})).await;
    let mut again = live.through(|message| message["id"] == id).await;
    assert_eq!(again.pop().expect("the answer")["type"], "ok");
    for update in &mut again {
        let mark = update.as_object_mut().expect("an object").remove("replayed");
        assert_eq!(mark, Some(json!(true)));
    }
    assert_eq!(again, seen[1..4]);
    // Nobody keeps what was said on other topics for long.
    for _ in 0..300 {
        peer.publish("plain", &[b'x'; 1_000], 1).await;
    }
    let request = json!({"type": "replay", "channel": "topics/plain", "from": 1, "to": 2});
    let id = live.ask(request).await;
    let told = live.through(|message| message["id"] == id).await;
    assert_eq!(resets(&told), [(json!("expired"), json!(["topics/plain"]))]);
    for (from, to) in [(0, 1), (2, 1), (5, 6), (7, 7)] {
        let request = json!({"type": "replay", "channel": "telemetry/d1", "from": from, "to": to});
        assert_eq!(live.reply(request).await["code"], "bad_range", "{from} to {to}");
    }
}

#[tokio::test]
async fn channels_in_memory_only_are_reset_by_name_while_the_others_go_on() {
    let mut gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    let mut live = gateway.live().await;
    let seen = live.subscribe(&["#"]).await;
    let since = cursor(&live, &seen);
    count(&mut peer, "d1", 1..=2).await;
    gateway.restart().await;
    let mut live = gateway.live().await;
    let told = live.subscribe_with(&["#"], json!({ "since": since })).await;
    let lost = json!(["gateway/stats", "topics/#"]);
    assert_eq!(resets(&told), [(json!("expired"), lost)]);
    assert_eq!(numbers(&told, "telemetry/d1", Some("replayed")), [1, 2]);
}

#[tokio::test]
async fn what_is_not_kept_does_not_push_the_kept_past_out_of_reach() {
    let gateway = TestGateway::with(&FORGETFUL[..1]).await;
    let mut peer = publisher(&gateway).await;
    let mut listener = gateway.live().await;
    listener.subscribe(&["topics/plain"]).await;
    count(&mut peer, "d1", 1..=2).await;
    let mut live = gateway.live().await;
    let seen = live.subscribe(&["telemetry/#"]).await;
    let since = cursor(&live, &seen);
    for _ in 0..500 {
        peer.publish("plain", &[b'x'; 1_000], 0).await;
    }
    peer.settle().await;
    let told = live.subscribe_with(&["telemetry/#"], json!({ "since": since })).await;
    assert_eq!(resets(&told), []);
    let told = live.subscribe_with(&["telemetry/#"], json!({"history": {"last": 5}})).await;
    assert_eq!(told[1]["metrics"]["n"]["values"], json!([1, 2]));
    let (_, page) = gateway.get("/api/v1/devices/d1/telemetry").await;
    assert_eq!(page["metrics"]["n"]["values"], json!([1, 2]));
}
