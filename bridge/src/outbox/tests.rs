//! What a reader gets of its outbox, whatever its pace.

mod model;
mod too_slow;

use super::*;
use crate::data::Metrics;
use protocol::{Offset, Seq};
use serde_json::Value as Json;

const EACH_FRAME: Delivery = Delivery::Latest { interval: Millis(0) };

fn update(channel: &str, number: u64, metrics: &str) -> Arc<Update> {
    let metrics = Metrics::parse(metrics).unwrap();
    let stamp =
        Stamp { seq: Seq(number), offset: Offset(number), timestamp: Timestamp(number as i64) };
    let channel: TopicName = channel.parse().unwrap();
    let kind = ChannelKind::of(channel.as_str());
    Arc::new(Update::new(channel, kind, stamp, Data::Metrics(metrics)))
}

fn outbox() -> Outbox {
    Outbox::new("epoch".into(), Encoding::Json)
}

fn text(frame: Frame) -> String {
    match frame {
        Frame::Text(text) => text,
        Frame::Binary(_) => panic!("a binary frame for who speaks JSON"),
    }
}

fn offer(outbox: &mut Outbox, now: i64, update: &Arc<Update>, delivery: Delivery) {
    let _wake = match delivery {
        Delivery::Every => outbox.every(update),
        Delivery::Latest { interval } => outbox.latest(Timestamp(now), update, interval),
    };
}

/// The next frame as (seq, data) of updates and type of replies.
fn take(outbox: &mut Outbox, now: i64) -> Vec<String> {
    let frame = outbox.take(Timestamp(now), 1 << 20);
    messages(frame)
}

/// The next frame, cut as soon as it may be.
fn take_one(outbox: &mut Outbox, bytes_max: usize) -> Vec<String> {
    messages(outbox.take(Timestamp(0), bytes_max))
}

fn messages(frame: Option<Frame>) -> Vec<String> {
    let frame = frame.map_or_else(|| "[]".into(), text);
    let messages: Vec<Json> = serde_json::from_str(&frame).unwrap();
    let short = |message: &Json| match message.get("type") {
        Some(kind) => kind.as_str().unwrap().to_owned(),
        None => format!("{} {}", message["seq"], message["data"]),
    };
    messages.iter().map(short).collect()
}

#[test]
fn every_update_comes_in_order() {
    let mut outbox = outbox();
    for number in 1..=3 {
        offer(&mut outbox, 0, &update("telemetry/d", number, r#"{"a":1}"#), Delivery::Every);
    }
    assert_eq!(take(&mut outbox, 0), [r#"1 {"a":1}"#, r#"2 {"a":1}"#, r#"3 {"a":1}"#]);
    assert_eq!(outbox.take(Timestamp(0), 100), None);
}

#[test]
fn only_the_first_update_wakes_the_writer() {
    let mut outbox = outbox();
    let one = update("telemetry/d", 1, "{}");
    assert_eq!(outbox.every(&one), Wake::Yes);
    assert_eq!(outbox.every(&one), Wake::No);
}

#[test]
fn latest_merges_to_the_newest_values_and_the_newest_seq() {
    let mut outbox = outbox();
    offer(&mut outbox, 0, &update("telemetry/d", 1, r#"{"a":1,"b":1}"#), EACH_FRAME);
    offer(&mut outbox, 0, &update("telemetry/e", 1, r#"{"a":7}"#), EACH_FRAME);
    offer(&mut outbox, 0, &update("telemetry/d", 2, r#"{"a":2}"#), EACH_FRAME);
    assert_eq!(take(&mut outbox, 0), [r#"2 {"a":2,"b":1}"#, r#"1 {"a":7}"#]);
}

#[test]
fn a_throttled_channel_comes_at_its_interval_with_the_newest_value() {
    let mut outbox = outbox();
    let delivery = Delivery::Latest { interval: Millis(100) };
    for number in 1..=5_u64 {
        let now = number as i64 * 30;
        offer(&mut outbox, now, &update("telemetry/d", number, "{}"), delivery);
    }
    assert_eq!(take(&mut outbox, 150), ["5 {}"]);
    offer(&mut outbox, 160, &update("telemetry/d", 6, "{}"), delivery);
    assert_eq!(take(&mut outbox, 249), Vec::<String>::new());
    assert_eq!(outbox.next_due(), Some(Timestamp(250)));
    assert_eq!(take(&mut outbox, 250), ["6 {}"]);
    assert_eq!(take(&mut outbox, 400), Vec::<String>::new());
    assert!(outbox.slots.is_empty(), "an idle channel is forgotten");
}

#[test]
fn an_update_that_comes_when_its_interval_is_over_is_queued_once() {
    let mut outbox = outbox();
    let delivery = Delivery::Latest { interval: Millis(100) };
    offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), delivery);
    assert_eq!(take(&mut outbox, 0), ["1 {}"]);
    offer(&mut outbox, 100, &update("telemetry/d", 2, "{}"), delivery);
    assert_eq!(take(&mut outbox, 100), ["2 {}"]);
    offer(&mut outbox, 150, &update("telemetry/d", 3, "{}"), delivery);
    assert_eq!(outbox.next_due(), Some(Timestamp(200)));
    assert_eq!(take(&mut outbox, 200), ["3 {}"]);
}

#[test]
fn a_channel_that_is_no_longer_wanted_is_withdrawn() {
    let mut outbox = outbox();
    let delivery = Delivery::Latest { interval: Millis(100) };
    offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), delivery);
    assert_eq!(take(&mut outbox, 0), ["1 {}"]);
    offer(&mut outbox, 10, &update("telemetry/d", 2, "{}"), delivery);
    outbox.withdraw(&"telemetry/d".parse().unwrap());
    assert_eq!(take(&mut outbox, 200), Vec::<String>::new());
    assert_eq!(outbox.next_due(), None);
}

#[test]
fn a_snapshot_is_never_followed_by_what_it_contains() {
    let snapshot = |outbox: &mut Outbox, number: u64| {
        let value = update("telemetry/d", number, &format!(r#"{{"a":{number}}}"#));
        let _wake = outbox.snapshot(value.channel.clone(), value.stamp, value.data.clone());
    };
    let mut outbox = outbox();
    offer(&mut outbox, 0, &update("telemetry/d", 1, r#"{"a":1}"#), EACH_FRAME);
    snapshot(&mut outbox, 1);
    offer(&mut outbox, 0, &update("telemetry/d", 2, r#"{"a":2}"#), EACH_FRAME);
    assert_eq!(take(&mut outbox, 0), [r#"1 {"a":1}"#, r#"2 {"a":2}"#]);
    let pad = "x".repeat(CONFLATE_BYTES);
    offer(&mut outbox, 0, &update("telemetry/d", 3, r#"{"a":3}"#), Delivery::Every);
    snapshot(&mut outbox, 3);
    let big = update("telemetry/e", 1, &format!(r#"{{"pad":"{pad}"}}"#));
    offer(&mut outbox, 0, &big, Delivery::Every);
    offer(&mut outbox, 0, &update("telemetry/d", 4, r#"{"a":4}"#), Delivery::Every);
    let frame = take(&mut outbox, 0);
    let of_d: Vec<_> = frame.iter().filter(|text| text.contains("\"a\"")).collect();
    assert_eq!(of_d, [r#"3 {"a":3}"#, r#"4 {"a":4}"#]);
}

#[test]
fn nothing_overtakes_older_values_of_its_channel() {
    let mut outbox = outbox();
    let slow = Delivery::Latest { interval: Millis(100) };
    offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), slow);
    assert_eq!(take(&mut outbox, 0), ["1 {}"]);
    offer(&mut outbox, 10, &update("telemetry/d", 2, r#"{"a":2}"#), slow);
    let _wake = outbox.release(&"telemetry/d".parse().unwrap());
    offer(&mut outbox, 20, &update("telemetry/d", 3, r#"{"b":3}"#), Delivery::Every);
    assert_eq!(take(&mut outbox, 20), [r#"2 {"a":2}"#, r#"3 {"b":3}"#]);
    offer(&mut outbox, 30, &update("telemetry/d", 4, "{}"), EACH_FRAME);
    assert_eq!(take(&mut outbox, 30), ["4 {}"]);
    assert!(outbox.slots.is_empty(), "nothing is left of the old pace");
}

#[test]
fn what_is_released_keeps_its_place_and_nothing_merges_into_it() {
    let mut outbox = outbox();
    offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), EACH_FRAME);
    let _wake = outbox.release(&"telemetry/d".parse().unwrap());
    offer(&mut outbox, 0, &update("telemetry/d", 2, "{}"), Delivery::Every);
    offer(&mut outbox, 0, &update("telemetry/d", 3, "{}"), EACH_FRAME);
    offer(&mut outbox, 0, &update("telemetry/d", 4, "{}"), EACH_FRAME);
    assert_eq!(take(&mut outbox, 0), ["1 {}", "2 {}", "4 {}"]);
}

#[test]
fn a_past_update_never_comes_before_a_live_one_that_is_older() {
    let mut outbox = outbox();
    let slow = Delivery::Latest { interval: Millis(100) };
    offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), slow);
    assert_eq!(take(&mut outbox, 0), ["1 {}"]);
    offer(&mut outbox, 10, &update("telemetry/d", 2, "{}"), slow);
    let _wake = outbox.replay(&update("telemetry/d", 1, "{}"));
    assert_eq!(take(&mut outbox, 10), ["1 {}"]);
    let _wake = outbox.replay(&update("telemetry/d", 3, "{}"));
    assert_eq!(take(&mut outbox, 10), ["2 {}", "3 {}"]);
}

#[test]
fn a_slow_reader_that_changed_its_options_gets_nothing_older_behind_something_newer() {
    let mut outbox = outbox();
    let number = |number| update("telemetry/d", number, &format!(r#"{{"a":{number}}}"#));
    offer(&mut outbox, 0, &number(1), Delivery::Every);
    offer(&mut outbox, 0, &number(2), EACH_FRAME);
    let _wake = outbox.release(&"telemetry/d".parse().unwrap());
    offer(&mut outbox, 0, &number(3), Delivery::Every);
    offer(&mut outbox, 0, &number(4), EACH_FRAME);
    let padding = format!(r#"{{"pad":"{}"}}"#, "x".repeat(CONFLATE_BYTES));
    offer(&mut outbox, 0, &update("telemetry/e", 1, &padding), Delivery::Every);
    let mut frame = take(&mut outbox, 0);
    frame.retain(|message| !message.contains("pad"));
    let numbers = [r#"1 {"a":1}"#, r#"2 {"a":2}"#, r#"3 {"a":3}"#, r#"4 {"a":4}"#];
    assert_eq!(frame, [&["lag"], &numbers[..], &["lag"]].concat());
}

#[test]
fn a_slow_reader_is_told_gets_the_newest_values_and_is_told_again() {
    let mut outbox = outbox();
    let count = 4_000;
    for number in 1..=count {
        let metrics = format!(r#"{{"a":{number},"pad":"{}"}}"#, "x".repeat(100));
        offer(&mut outbox, 0, &update("telemetry/d", number, &metrics), Delivery::Every);
    }
    assert!(outbox.is_lagging());
    let frame = take(&mut outbox, 0);
    assert_eq!(frame.first().map(String::as_str), Some("lag"));
    assert!(frame[1].starts_with(&format!("{count} {{\"a\":{count}")));
    assert_eq!(frame.last().map(String::as_str), Some("lag"));
    assert!(!outbox.is_lagging());
    let counts = Counts { delivered: 1, conflated: count - 1, resets: 0 };
    assert_eq!(outbox.take_counts(), counts);
}

#[test]
fn what_must_come_whole_comes_whole_to_a_reader_that_is_only_busy() {
    let mut outbox = outbox();
    let metrics = format!(r#"{{"pad":"{}"}}"#, "x".repeat(1_000));
    for number in 1..=200 {
        offer(&mut outbox, 0, &update("commands/d", number, &metrics), Delivery::Every);
    }
    let frame = take(&mut outbox, 0);
    assert_eq!(frame.len(), 200);
    assert_eq!(outbox.take_counts().resets, 0);
}

#[test]
fn a_channel_that_overflows_is_reset_to_its_newest_update() {
    let mut outbox = outbox();
    let metrics = format!(r#"{{"pad":"{}"}}"#, "x".repeat(1_000));
    offer(&mut outbox, 0, &update("presence/e", 1, "{}"), Delivery::Every);
    for number in 1..=3_000 {
        offer(&mut outbox, 0, &update("commands/d", number, &metrics), Delivery::Every);
    }
    assert!(outbox.bytes() < CONFLATE_BYTES);
    let frame = take(&mut outbox, 0);
    let short: Vec<_> = frame.iter().map(|text| text.split(" {\"pad").next().unwrap()).collect();
    assert_eq!(short, ["lag", "1 {}", "reset", "3000", "lag"]);
    assert_eq!(outbox.take_counts().resets, 1);
    offer(&mut outbox, 0, &update("commands/d", 3_001, "{}"), Delivery::Every);
    assert_eq!(take(&mut outbox, 0), ["3001 {}"]);
}

#[test]
fn a_topic_that_overflows_ends_with_its_newest_message_too() {
    let mut outbox = outbox();
    let message = format!(r#"{{"payload":"{}"}}"#, "x".repeat(1_000));
    for number in 1..=3_000 {
        offer(&mut outbox, 0, &update("topics/a", number, &message), Delivery::Every);
    }
    let frame = take(&mut outbox, 0);
    let short: Vec<_> = frame.iter().map(|text| text.split(" {").next().unwrap()).collect();
    assert_eq!(short, ["lag", "reset", "3000", "lag"]);
}

#[test]
fn too_many_channels_for_a_slow_reader_end_it() {
    let mut outbox = outbox();
    let metrics = format!(r#"{{"pad":"{}"}}"#, "x".repeat(1_000));
    for number in 1..=1_500 {
        let channel = format!("commands/{number}");
        offer(&mut outbox, 0, &update(&channel, 1, &metrics), Delivery::Every);
    }
    assert!(!outbox.is_too_slow(Timestamp(0)));
    assert!(!outbox.is_too_slow(Timestamp(9_999)));
    assert!(outbox.is_too_slow(Timestamp(10_000)));
}

#[test]
fn a_frame_is_cut_at_its_size() {
    let mut outbox = outbox();
    for number in 1..=10 {
        offer(&mut outbox, 0, &update("telemetry/d", number, "{}"), Delivery::Every);
    }
    let frame = outbox.take(Timestamp(0), 100).map(text).unwrap();
    let messages: Vec<Json> = serde_json::from_str(&frame).unwrap();
    assert_eq!(messages.len(), 2);
    assert!(outbox.is_ready(Timestamp(0)));
}

#[test]
fn what_is_no_live_value_and_a_full_frame_wake_the_writer_again() {
    let mut outbox = outbox();
    let reading = update("telemetry/d", 1, r#"{"a":1}"#);
    assert_eq!(outbox.every(&reading), Wake::Yes);
    assert_eq!((outbox.every(&reading), outbox.haste()), (Wake::No, Haste::Gather));
    let happened = update("alerts/info/d", 1, "{}");
    assert_eq!((outbox.every(&happened), outbox.haste()), (Wake::Yes, Haste::Urgent));
    assert_eq!(outbox.every(&happened), Wake::No);
    let until_full =
        (0..FULL_BYTES).map(|_| outbox.every(&reading)).find(|wake| *wake == Wake::Yes);
    assert_eq!((until_full, outbox.haste()), (Some(Wake::Yes), Haste::Full));
    take(&mut outbox, 0);
    assert_eq!(outbox.haste(), Haste::Gather);
}

#[test]
fn columns_and_text_keep_their_order_in_frames_of_their_own() {
    let mut outbox = Outbox::new("epoch".into(), Encoding::Columns);
    offer(&mut outbox, 0, &update("telemetry/d", 1, r#"{"a":1}"#), Delivery::Every);
    offer(&mut outbox, 0, &update("telemetry/e", 1, r#"{"a":1}"#), Delivery::Every);
    offer(&mut outbox, 0, &update("presence/d", 1, r#"{"a":1}"#), Delivery::Every);
    offer(&mut outbox, 0, &update("presence/d", 2, r#"{"a":1}"#), Delivery::Every);
    offer(&mut outbox, 0, &update("telemetry/d", 2, r#"{"b":1}"#), Delivery::Every);
    offer(&mut outbox, 0, &update("telemetry/d", 3, r#"{"a":1}"#), Delivery::Every);
    let mut kinds = Vec::new();
    while outbox.is_ready(Timestamp(0)) {
        kinds.push(match outbox.take(Timestamp(0), 1 << 20).unwrap() {
            Frame::Text(text) => text.matches("presence/d").count(),
            Frame::Binary(_) => 0,
        });
    }
    assert_eq!(kinds, [0, 2, 0, 0]);
}

#[test]
fn what_was_merged_comes_with_all_that_waits_in_one_frame() {
    for encoding in [Encoding::Json, Encoding::Columns] {
        let mut outbox = Outbox::new("epoch".into(), encoding);
        offer(&mut outbox, 0, &update("telemetry/d", 1, r#"{"a":1}"#), EACH_FRAME);
        offer(&mut outbox, 0, &update("presence/d", 2, r#"{"a":1}"#), Delivery::Every);
        offer(&mut outbox, 0, &update("telemetry/e", 3, r#"{"b":1}"#), Delivery::Every);
        offer(&mut outbox, 0, &update("telemetry/d", 4, r#"{"b":1}"#), EACH_FRAME);
        assert_eq!(
            take_one(&mut outbox, 10),
            [r#"4 {"a":1,"b":1}"#, r#"2 {"a":1}"#, r#"3 {"b":1}"#]
        );
        assert!(!outbox.is_ready(Timestamp(0)));
    }
}
