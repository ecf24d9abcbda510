//! One slow reader: it delays nobody, is told, and ends with the true values.

use serde_json::{Value, json};
use std::time::Instant;
use tests::{Connect, DEADLINE, Live, Peer, TestGateway, Version, is_update};

const DEVICES: usize = 4;
/// More than the socket buffers of any system hold for one connection.
const ROUNDS_MAX: usize = 20_000;

#[tokio::test]
async fn a_reader_that_stops_delays_nobody_and_ends_with_the_true_values() {
    let gateway = TestGateway::start().await;
    let mut slow = Live::connect_narrow(gateway.http()).await;
    slow.subscribe(&["telemetry/#"]).await;
    let mut quick = gateway.live().await;
    quick.subscribe(&["telemetry/#"]).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;

    let mut sent = 0;
    while gateway.metric("sluice_websocket_lags_total").await == 0 {
        assert!(sent < ROUNDS_MAX, "the slow reader was never noticed");
        for _ in 0..100 {
            sent += 1;
            round(&mut peer, sent).await;
        }
        // The other one reads all of it meanwhile, each update, in order.
        peer.settle().await;
        for number in sent - 99..=sent {
            for device in 0..DEVICES {
                let update = quick.next().await;
                let expected = (json!(format!("telemetry/d{device}")), json!(number));
                assert_eq!((update["channel"].clone(), update["seq"].clone()), expected);
            }
        }
    }
    let answered = quick.reply(json!({"type": "ping"})).await;
    assert_eq!(answered["type"], "pong");
    assert_eq!(gateway.metric("sluice_websocket_lagging").await, 1);

    let told = slow.through(|message| message["type"] == "lag" && message["on"] == false).await;
    let begin = told.iter().position(|message| message["type"] == "lag").expect("found above");
    assert_eq!(told[begin]["on"], true, "lag is told before it is over");
    let (whole, conflated) = told.split_at(begin);
    for device in 0..DEVICES {
        let channel = format!("telemetry/d{device}");
        let of_channel = |messages: &[Value]| -> Vec<Value> {
            messages.iter().filter(|message| is_update(message, &channel)).cloned().collect()
        };
        for (place, update) in of_channel(whole).iter().enumerate() {
            assert_eq!(update["seq"], place + 1, "before the lag every update comes");
        }
        let last = of_channel(conflated).pop().expect("the newest value of each channel");
        assert_eq!(last["seq"], sent);
        assert_eq!(last["data"]["n"], sent);
    }
    round(&mut peer, sent + 1).await;
    for device in 0..DEVICES {
        let update = slow.next().await;
        let expected = (json!(format!("telemetry/d{device}")), json!(sent + 1));
        assert_eq!((update["channel"].clone(), update["seq"].clone()), expected);
    }
    let dropped: u64 = told.iter().filter_map(|message| message["dropped"].as_u64()).sum();
    let updates = told.iter().filter(|message| message.get("channel").is_some()).count();
    let written = u64::try_from(updates).expect("it fits") + dropped;
    assert_eq!(written, u64::try_from(sent * DEVICES).expect("it fits"), "each is told or counted");
}

#[tokio::test]
async fn a_reader_that_never_reads_again_is_closed_and_the_others_go_on() {
    let gateway = TestGateway::start().await;
    let mut slow = Live::connect_narrow(gateway.http()).await;
    slow.subscribe(&["topics/#"]).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let payload = vec![b'x'; 100_000];
    let (mut sent, begin) = (0, Instant::now());
    while gateway.metric("sluice_websocket_closed_too_slow_total").await == 0 {
        sent += 1;
        assert!(begin.elapsed() < 2 * DEADLINE, "the slow reader was never closed");
        // One channel that overflows is reset to its newest message; many of them are too much.
        peer.publish(&format!("blob/{}", sent % 40), &payload, 1).await;
    }
    assert!(gateway.metric("sluice_websocket_overflow_resets_total").await > 0);
    let mut quick = gateway.live().await;
    quick.subscribe(&["topics/#"]).await;
    peer.publish("blob", b"1", 1).await;
    assert_eq!(quick.next().await["data"]["payload"], 1);
}

#[tokio::test]
async fn a_reader_whose_whole_channel_overflowed_is_told_and_has_the_newest() {
    let gateway = TestGateway::start().await;
    let mut slow = Live::connect_narrow(gateway.http()).await;
    slow.subscribe(&["state/#"]).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let mut sent = 0;
    let mut publish = async || {
        sent += 1;
        let payload = json!({"n": sent, "padding": "x".repeat(50_000)}).to_string();
        peer.publish("devices/pump-1/state", payload.as_bytes(), 1).await;
        sent
    };
    while gateway.metric("sluice_websocket_overflow_resets_total").await == 0 {
        assert!(publish().await < ROUNDS_MAX, "the slow reader was never noticed");
    }
    let newest = publish().await;
    let reset = slow.find(|message| message["type"] == "reset").await;
    assert_eq!(
        (&reset["reason"], &reset["channels"]),
        (&json!("overflow"), &json!(["state/pump-1"]))
    );
    let ends =
        |message: &Value| message["data"]["reported"]["n"] == newest && message["snapshot"] == true;
    slow.find(|message| is_update(message, "state/pump-1") && ends(message)).await;
}

async fn round(peer: &mut Peer, number: usize) {
    let padding = "x".repeat(400);
    for device in 0..DEVICES {
        let metrics = json!({"n": number, "padding": padding}).to_string();
        peer.publish(&format!("devices/d{device}/telemetry"), metrics.as_bytes(), 0).await;
    }
}
