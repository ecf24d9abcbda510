//! What a subscriber is sent of the past: `since`, `replay`, and what is nowhere to be had.

use super::*;
use protocol::ResetReason;

#[test]
fn a_replay_of_numbers_never_given_is_an_error() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    let (id, reader) = bench.join();
    for (from, to) in [(0, 1), (1, 2), (2, 1)] {
        bench.hub.replay(id, None, channel("telemetry/a"), (Seq(from), Seq(to)));
        assert_eq!(reader.read(), ["error bad_range"]);
    }
}

#[test]
fn a_replay_gives_what_memory_has_and_asks_the_store_for_the_rest() {
    let mut bench = Bench::with(3, beginning(10));
    (1..=5).for_each(|n| bench.publish("telemetry/a", &format!(r#"{{"t":{n}}}"#)));
    let (id, reader) = bench.join();
    bench.hub.replay(id, None, channel("telemetry/a"), (Seq(3), Seq(4)));
    assert_eq!(bench.settle(id), Next::Live);
    let (third, fourth) =
        (r#"telemetry/a 3 {"t":3} replayed"#, r#"telemetry/a 4 {"t":4} replayed"#);
    assert_eq!(reader.read(), [third, fourth, "ok"]);
    bench.hub.replay(id, None, channel("telemetry/a"), (Seq(2), Seq(3)));
    let range = Next::Range { channel: channel("telemetry/a"), from: Seq(2), to: Seq(3) };
    assert_eq!(bench.settle(id), range);
    bench.hub.found(id, Found::Range(vec![past("telemetry/a", 2, 12)]));
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(reader.read(), [r#"telemetry/a 2 {"t":2} replayed"#, third, "ok"]);
    bench.hub.replay(id, None, channel("telemetry/a"), (Seq(1), Seq(1)));
    bench.hub.catch_up(id);
    bench.hub.found(id, Found::Gone);
    assert_eq!(reader.read(), ["reset expired", r#"telemetry/a 5 {"t":5} snapshot"#, "ok"]);
}

#[test]
fn a_replay_over_a_hole_gives_what_is_left_and_tells_of_the_loss() {
    let mut bench = Bench::with(3, beginning(10));
    (1..=5).for_each(|n| bench.publish("telemetry/a", &format!(r#"{{"t":{n}}}"#)));
    let (id, reader) = bench.join();
    bench.hub.replay(id, None, channel("telemetry/a"), (Seq(1), Seq(5)));
    bench.settle(id);
    let left = vec![past("telemetry/a", 1, 11), past("telemetry/a", 4, 14)];
    bench.hub.found(id, Found::Range(left));
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(
        reader.read(),
        [
            r#"telemetry/a 1 {"t":1} replayed"#,
            r#"telemetry/a 4 {"t":4} replayed"#,
            r#"telemetry/a 5 {"t":5} replayed"#,
            "reset expired",
            r#"telemetry/a 5 {"t":5} snapshot"#,
            "ok"
        ]
    );
}

#[test]
fn who_resumes_gets_what_it_missed_and_goes_on_live() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/b", r#"{"t":1}"#);
    bench.publish("presence/a", "{}");
    bench.publish("telemetry/a", r#"{"t":2}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/#"], since("epoch", 1));
    assert_eq!(bench.settle(id), Next::Live);
    bench.publish("telemetry/a", r#"{"t":3}"#);
    assert_eq!(
        reader.read(),
        [
            "subscribed",
            r#"telemetry/b 1 {"t":1} replayed"#,
            r#"telemetry/a 2 {"t":2} replayed"#,
            "live",
            r#"telemetry/a 3 {"t":3}"#
        ]
    );
}

#[test]
fn what_came_live_meanwhile_by_another_filter_does_not_come_again() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/b", r#"{"t":1}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"snapshot": false}));
    bench.subscribe(id, &["telemetry/+"], since("epoch", 0));
    reader.read();
    bench.publish("telemetry/a", r#"{"t":2}"#);
    bench.publish("telemetry/b", r#"{"t":2}"#);
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(
        reader.read(),
        [
            r#"telemetry/a 2 {"t":2}"#,
            r#"telemetry/a 1 {"t":1} replayed"#,
            r#"telemetry/b 1 {"t":1} replayed"#,
            r#"telemetry/b 2 {"t":2} replayed"#,
            "live"
        ]
    );
}

#[test]
fn what_came_live_meanwhile_only_in_part_comes_again_whole() {
    for less in [r#"{"fields":["t"]}"#, r#"{"mode":"latest"}"#, r#"{"throttle":1}"#] {
        let mut bench = Bench::new();
        bench.publish("telemetry/a", r#"{"t":1}"#);
        let (id, reader) = bench.join();
        bench.subscribe(id, &["telemetry/a"], serde_json::from_str(less).unwrap());
        bench.subscribe(id, &["telemetry/a"], since("epoch", 1));
        reader.read();
        bench.publish("telemetry/a", r#"{"t":2,"u":2}"#);
        assert_eq!(bench.settle(id), Next::Live);
        let whole = r#"telemetry/a 2 {"t":2,"u":2} replayed"#.to_owned();
        let read = reader.read();
        assert!(read.contains(&whole), "{less}: {read:?}");
    }
}

#[test]
fn a_subscription_that_begins_meanwhile_leaves_no_hole() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/+"], since("epoch", 1));
    bench.publish("telemetry/a", r#"{"t":2}"#);
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"snapshot": false}));
    bench.publish("telemetry/a", r#"{"t":3}"#);
    assert_eq!(bench.settle(id), Next::Live);
    let third = r#"telemetry/a 3 {"t":3}"#;
    let second = r#"telemetry/a 2 {"t":2} replayed"#;
    assert_eq!(reader.read(), ["subscribed", "subscribed", "live", third, second, "live"]);
}

#[test]
fn who_resumes_listens_to_topics_before_it_is_live() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["topics/#"], since("epoch", 0));
    assert!(bench.hub.topics_wanted());
    bench.publish("topics/x", "{}");
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(reader.read(), ["subscribed", "topics/x 1 {} replayed", "live"]);
    bench.hub.unsubscribe(id, None, parsed(&["topics/#"]));
    assert!(!bench.hub.topics_wanted());
}

#[test]
fn of_two_subscriptions_to_a_filter_the_later_ones_options_stay() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], since("epoch", 1));
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"fields": ["t"]}));
    assert_eq!(bench.settle(id), Next::Live);
    reader.read();
    bench.publish("telemetry/a", r#"{"t":2,"u":2}"#);
    assert_eq!(reader.read(), [r#"telemetry/a 2 {"t":2}"#]);
}

/// Subscribes as if the history of `telemetry/a` had been read when its first update was the newest.
fn subscribe_with_history(bench: &mut Bench, id: SubscriberId, options: Value) {
    let options = serde_json::from_value(options).unwrap();
    let filters = parsed(&["telemetry/a"]);
    bench.hub.subscribe(id, None, filters, &options, |hub, sink| {
        hub.send_newer((id, sink), &[channel("telemetry/a")], Offset(1), &options)
    });
}

#[test]
fn what_came_while_a_history_was_read_follows_it_as_it_is_wanted_and_once() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1,"u":1}"#);
    let (live, listening) = bench.join();
    bench.subscribe(live, &["telemetry/#"], serde_json::json!({"snapshot": false}));
    bench.publish("telemetry/a", r#"{"t":2,"u":2}"#);
    bench.publish("telemetry/a", r#"{"u":3}"#);
    let (id, reader) = bench.join();
    subscribe_with_history(&mut bench, id, serde_json::json!({"snapshot": false, "fields": ["t"]}));
    assert_eq!(reader.read(), ["subscribed", r#"telemetry/a 2 {"t":2} replayed"#, "live"]);
    listening.read();
    subscribe_with_history(&mut bench, live, serde_json::json!({"snapshot": false}));
    assert_eq!(listening.read(), ["subscribed", "live"]);
}

#[test]
fn older_updates_come_from_the_store_and_join_those_of_memory() {
    let mut bench = Bench::with(2, beginning(10));
    (1..=4).for_each(|n| bench.publish("telemetry/a", &format!(r#"{{"t":{n}}}"#)));
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], since("epoch", 10));
    let Next::Log { after, .. } = bench.settle(id) else { panic!("memory does not reach back") };
    assert_eq!(after, Offset(10));
    let updates = vec![past("telemetry/a", 1, 11), past("telemetry/a", 2, 12)];
    bench.hub.found(id, Found::Log { updates, through: Offset(12) });
    assert_eq!(bench.settle(id), Next::Live);
    let seqs: Vec<_> = reader
        .read()
        .iter()
        .map(|text| text.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let wanted =
        ["subscribed", "telemetry/a 1", "telemetry/a 2", "telemetry/a 3", "telemetry/a 4", "live"];
    assert_eq!(seqs, wanted);
}

#[test]
fn who_cannot_resume_is_told_why_and_gets_the_values() {
    let gap = Gap { first: Offset(5), last: Offset(10), reason: ResetReason::Crash };
    let mut bench = Bench::with(2, Beginning { gaps: vec![gap], ..beginning(10) });
    (1..=4).for_each(|n| bench.publish("telemetry/a", &format!(r#"{{"t":{n}}}"#)));
    let value = r#"telemetry/a 4 {"t":4} snapshot"#;
    for (cursor, reason) in
        [(since("other", 12), "epoch"), (since("epoch", 15), "epoch"), (since("epoch", 9), "crash")]
    {
        let (id, reader) = bench.join();
        bench.subscribe(id, &["telemetry/a"], cursor);
        assert_eq!(bench.settle(id), Next::Live);
        assert_eq!(reader.read(), ["subscribed", &format!("reset {reason}"), value, "live"]);
    }
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], since("epoch", 11));
    bench.settle(id);
    bench.hub.found(id, Found::Gone);
    assert_eq!(reader.read(), ["subscribed", "reset expired", value, "live"]);
}

#[test]
fn a_resumed_channel_that_is_not_kept_is_reset_where_memory_lost_some() {
    let mut bench = Bench::with(2, beginning(0));
    let (listener, _) = bench.join();
    bench.subscribe(listener, &["#"], none());
    (1..=3).for_each(|_| bench.publish("topics/x", "{}"));
    bench.publish("gateway/stats", r#"{"n":1}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["#"], since("epoch", 1));
    assert!(matches!(bench.settle(id), Next::Log { .. }));
    bench.hub.found(id, Found::Log { updates: vec![], through: Offset(2) });
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(
        reader.read(),
        [
            "subscribed",
            "reset expired",
            "topics/x 3 {} replayed",
            r#"gateway/stats 1 {"n":1} replayed"#,
            r#"gateway/stats 1 {"n":1} snapshot"#,
            "topics/x 3 {} snapshot",
            "live"
        ]
    );
}

#[test]
fn a_past_with_a_gap_is_followed_by_a_reset_and_the_values() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"n":1}"#);
    let (id, reader) = bench.join();
    let options = serde_json::from_value(serde_json::json!({"snapshot": false})).unwrap();
    bench.hub.subscribe(id, None, parsed(&["telemetry/+"]), &options, |_, _| Prelude::Gap);
    let value = r#"telemetry/a 1 {"n":1} snapshot"#;
    assert_eq!(reader.read(), ["subscribed", "reset expired", value, "live"]);
}

#[test]
fn only_so_many_replays_wait() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"n":1}"#);
    let (id, reader) = bench.join();
    for _ in 0..=bench.hub.limits.subscriptions {
        bench.hub.replay(id, None, "telemetry/a".parse().unwrap(), (Seq(1), Seq(1)));
    }
    assert_eq!(reader.read(), ["error too_many_replays"]);
}

#[test]
fn who_resumes_with_each_update_does_not_wait_for_the_old_pace() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"throttle": 0.2}));
    bench.publish("telemetry/a", r#"{"t":1}"#);
    reader.read();
    bench.publish("telemetry/a", r#"{"t":2}"#);
    bench.subscribe(id, &["telemetry/a"], since("epoch", 1));
    bench.settle(id);
    bench.publish("telemetry/a", r#"{"t":3}"#);
    bench.publish("telemetry/a", r#"{"t":4}"#);
    let past = r#"telemetry/a 2 {"t":2} replayed"#;
    let live = [r#"telemetry/a 3 {"t":3}"#, r#"telemetry/a 4 {"t":4}"#];
    assert_eq!(reader.read(), [&["subscribed", past, "live"], &live[..]].concat());
}

#[test]
fn what_waited_comes_with_the_past_where_that_has_all_of_it_and_else_before() {
    let waited = [r#"{"t":2}"#, r#"{"h":3}"#, r#"{"t":4}"#];
    let (merged, last) = (r#"4 {"h":3,"t":4}"#, r#"4 {"t":4} replayed"#);
    for (offset, options, came) in [
        (1, r#"{}"#, &[r#"2 {"t":2} replayed"#, r#"3 {"h":3} replayed"#, last][..]),
        // Of what was asked for before, 2 is not among the past.
        (2, r#"{}"#, &[r#"3 {"h":3} replayed"#, merged, last]),
        // Nor is `h`.
        (1, r#"{"fields":["t"]}"#, &[r#"2 {"t":2} replayed"#, merged, last]),
    ] {
        let mut bench = Bench::new();
        let (id, reader) = bench.join();
        bench.subscribe(id, &["telemetry/a"], serde_json::json!({"throttle": 0.2}));
        bench.publish("telemetry/a", r#"{"t":1}"#);
        reader.read();
        waited.iter().for_each(|data| bench.publish("telemetry/a", data));
        let mut options: serde_json::Value = serde_json::from_str(options).unwrap();
        options["since"] = since("epoch", offset)["since"].clone();
        bench.subscribe(id, &["telemetry/a"], options);
        bench.settle(id);
        let came = came.iter().map(|update| format!("telemetry/a {update}"));
        let all = ["subscribed".to_owned()].into_iter().chain(came).chain(["live".to_owned()]);
        assert_eq!(reader.read(), all.collect::<Vec<_>>(), "after {offset}");
    }
}
