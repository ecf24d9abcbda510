//! What comes live, to whom, and what is admitted.

use super::*;
use crate::rights::Member;

#[test]
fn a_subscription_answers_with_the_values_and_goes_on_live() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1,"h":5}"#);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/+"], none());
    assert_eq!(reader.read(), ["subscribed", r#"telemetry/a 2 {"h":5,"t":2} snapshot"#, "live"]);
    bench.publish("telemetry/a", r#"{"t":3}"#);
    bench.publish("telemetry/new", r#"{"t":1}"#);
    assert_eq!(reader.read(), [r#"telemetry/a 3 {"t":3}"#, r#"telemetry/new 1 {"t":1}"#]);
}

#[test]
fn without_a_snapshot_only_live_updates_come() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", "{}");
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"snapshot": false}));
    assert_eq!(reader.read(), ["subscribed", "live"]);
}

#[test]
fn an_update_comes_once_by_the_filter_that_gives_most() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"mode": "latest"}));
    bench.subscribe(id, &["telemetry/#"], none());
    reader.read();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    assert_eq!(reader.read(), [r#"telemetry/a 1 {"t":1}"#, r#"telemetry/a 2 {"t":2}"#]);
    bench.hub.unsubscribe(id, None, parsed(&["telemetry/#"]));
    bench.publish("telemetry/a", r#"{"t":3}"#);
    bench.publish("telemetry/a", r#"{"t":4}"#);
    assert_eq!(reader.read(), ["unsubscribed", r#"telemetry/a 4 {"t":4}"#]);
}

#[test]
fn a_filter_that_is_subscribed_again_takes_the_new_options() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], none());
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"mode": "latest"}));
    reader.read();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    assert_eq!(reader.read(), [r#"telemetry/a 2 {"t":2}"#]);
}

#[test]
fn who_wants_each_update_gets_it_at_once_whatever_waited_under_a_throttle() {
    for filter in ["telemetry/a", "telemetry/+"] {
        let (mut bench, id, reader) = throttled(r#"{"t":1}"#, r#"{"t":2,"h":2}"#);
        bench.subscribe(id, &[filter], serde_json::json!({"snapshot": false}));
        bench.publish("telemetry/a", r#"{"t":3}"#);
        bench.publish("telemetry/a", r#"{"t":4}"#);
        let waited = r#"telemetry/a 2 {"h":2,"t":2}"#;
        let live = [r#"telemetry/a 3 {"t":3}"#, r#"telemetry/a 4 {"t":4}"#];
        assert_eq!(reader.read(), [&[waited, "subscribed", "live"], &live[..]].concat());
    }
}

#[test]
fn a_new_pace_does_not_wait_for_the_old_one() {
    for options in [serde_json::json!({"throttle": 10}), serde_json::json!({"mode": "latest"})] {
        let (mut bench, id, reader) = throttled(r#"{"t":1}"#, r#"{"t":2}"#);
        bench.subscribe(id, &["telemetry/a"], options);
        reader.read();
        bench.publish("telemetry/a", r#"{"t":3}"#);
        assert_eq!(reader.read(), [r#"telemetry/a 3 {"t":3}"#]);
    }
}

#[test]
fn what_waits_under_the_same_options_goes_on_waiting() {
    let (mut bench, id, reader) = throttled(r#"{"t":1}"#, r#"{"t":2}"#);
    let same = serde_json::json!({"throttle": 0.2, "snapshot": false});
    bench.subscribe(id, &["telemetry/a"], same);
    assert_eq!(reader.read(), ["subscribed", "live"]);
}

#[test]
fn nothing_of_the_old_fields_comes_behind_the_answer() {
    let (mut bench, id, reader) = throttled(r#"{"t":1}"#, r#"{"t":2}"#);
    let fields = serde_json::json!({"throttle": 0.2, "fields": ["h"], "snapshot": false});
    bench.subscribe(id, &["telemetry/a"], fields);
    assert_eq!(reader.read(), [r#"telemetry/a 2 {"t":2}"#, "subscribed", "live"]);
}

#[test]
fn who_gives_up_a_filter_is_served_by_the_others_at_once() {
    let (mut bench, id, reader) = throttled(r#"{"t":1}"#, r#"{"t":2}"#);
    let fields = serde_json::json!({"throttle": 0.2, "fields": ["h"], "snapshot": false});
    bench.subscribe(id, &["telemetry/+"], fields);
    assert_eq!(reader.read(), ["subscribed", "live"]);
    bench.hub.unsubscribe(id, None, parsed(&["telemetry/a"]));
    bench.publish("telemetry/a", r#"{"t":3}"#);
    bench.publish("telemetry/a", r#"{"h":4}"#);
    let expected = [r#"telemetry/a 2 {"t":2}"#, "unsubscribed", r#"telemetry/a 4 {"h":4}"#];
    assert_eq!(reader.read(), expected);
}

/// A subscriber of `telemetry/a` at one update in five seconds: the first has come, the second waits.
fn throttled(first: &str, second: &str) -> (Bench, SubscriberId, Reader) {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"throttle": 0.2}));
    bench.publish("telemetry/a", first);
    reader.read();
    bench.publish("telemetry/a", second);
    (bench, id, reader)
}

#[test]
fn options_do_not_touch_channels_that_must_come_whole() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["#"], serde_json::json!({"throttle": 1}));
    reader.read();
    bench.publish("presence/a", "{}");
    bench.publish("presence/a", "{}");
    assert_eq!(reader.read(), ["presence/a 1 {}", "presence/a 2 {}"]);
}

#[test]
fn topics_are_wanted_and_have_values_only_while_somebody_listens() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    assert!(!bench.hub.topics_wanted());
    bench.subscribe(id, &["topics/#", "#"], none());
    assert!(bench.hub.topics_wanted());
    bench.publish("topics/x", "{}");
    bench.publish("topics/x", r#"{"n":2}"#);
    assert_eq!(reader.read(), ["subscribed", "live", "topics/x 1 {}", r#"topics/x 2 {"n":2}"#]);
    let (second, other) = bench.join();
    bench.subscribe(second, &["topics/x"], none());
    assert_eq!(other.read(), ["subscribed", r#"topics/x 2 {"n":2} snapshot"#, "live"]);
    bench.hub.leave(id);
    bench.hub.leave(second);
    assert!(!bench.hub.topics_wanted());
    let (third, last) = bench.join();
    bench.subscribe(third, &["topics/x"], none());
    assert_eq!(last.read(), ["subscribed", "live"], "it may have said more since");
}

#[test]
fn all_filters_or_none_within_the_limit() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["a", "b", "c", "d"], none());
    bench.publish("a", "{}");
    assert_eq!(reader.read(), ["error too_many_subscriptions"]);
    bench.subscribe(id, &["a", "b", "c"], none());
    bench.subscribe(id, &["a"], none());
    assert_eq!(reader.read().last().map(String::as_str), Some("live"));
}

#[test]
fn channels_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..LIMITS.channels {
        bench.publish(&format!("telemetry/{number}"), "{}");
    }
    let one_more = "telemetry/more".parse().unwrap();
    let data = Data::Metrics(Metrics::default());
    let refused = bench.hub.publish(NOW, &one_more, None, data);
    assert_eq!(refused, Err(TooManyChannels(LIMITS.channels)));
}

#[test]
fn fields_are_all_that_comes() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1,"h":5}"#);
    let (id, reader) = bench.join();
    let (twin, other) = bench.join();
    for id in [id, twin] {
        bench.subscribe(
            id,
            &["telemetry/+", "presence/+"],
            serde_json::json!({"fields": ["h", "x"]}),
        );
    }
    assert_eq!(reader.read(), ["subscribed", r#"telemetry/a 1 {"h":5} snapshot"#, "live"]);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    bench.publish("telemetry/a", r#"{"x":3,"t":2,"h":6}"#);
    bench.publish("presence/a", r#"{"status":"online"}"#);
    let wanted = [r#"telemetry/a 3 {"h":6,"x":3}"#, r#"presence/a 1 {"status":"online"}"#];
    assert_eq!(reader.read(), wanted);
    assert_eq!(other.read()[3..], wanted);
}

#[test]
fn a_user_sees_only_its_channels_also_under_wildcards() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/b", r#"{"t":1}"#);
    let (id, reader) = (SubscriberId(99), Reader::default());
    bench.hub.join(id, reader.clone(), Rights::new(&[], &parsed(&["+/a"])));
    bench.subscribe(id, &["telemetry/b"], none());
    bench.hub.replay(id, None, channel("telemetry/b"), (Seq(1), Seq(1)));
    assert_eq!(reader.read(), ["error forbidden", "error forbidden"]);
    bench.subscribe(id, &["#"], none());
    assert_eq!(reader.read(), ["subscribed", r#"telemetry/a 1 {"t":1} snapshot"#, "live"]);
    bench.publish("telemetry/b", r#"{"t":2}"#);
    bench.publish("presence/a", "{}");
    bench.publish("presence/b", "{}");
    assert_eq!(reader.read(), ["presence/a 1 {}"]);
    bench.subscribe(id, &["+/+"], since("epoch", 0));
    bench.settle(id);
    assert!(reader.read().iter().all(|text| !text.contains("/b")));
}

#[test]
fn what_a_token_may_subscribe_is_shared_by_its_connections() {
    let mut bench = Bench::new();
    let account = Some(Arc::from("token"));
    let join = |hub: &mut Hub<Reader>, id| {
        let (id, reader) = (SubscriberId(id), Reader::default());
        let member = Member { account: account.clone(), ..Member::default() };
        hub.join(id, reader.clone(), member);
        (id, reader)
    };
    let ((first, one), (second, two)) = (join(&mut bench.hub, 1), join(&mut bench.hub, 2));
    bench.subscribe(first, &["a", "b", "c"], none());
    bench.subscribe(second, &["a", "b"], none());
    assert_eq!(two.read(), ["error too_many_subscriptions"]);
    bench.subscribe(second, &["a"], none());
    bench.subscribe(second, &["a"], none());
    assert_eq!(two.read(), ["subscribed", "live", "subscribed", "live"]);
    bench.hub.unsubscribe(first, None, parsed(&["a", "b"]));
    bench.subscribe(second, &["b"], since("epoch", 0));
    bench.subscribe(second, &["c"], none());
    assert_eq!(two.read(), ["subscribed", "subscribed", "live"], "what waits for the past counts");
    bench.settle(second);
    bench.subscribe(first, &["d"], none());
    assert_eq!(one.read()[2..], ["unsubscribed", "error too_many_subscriptions"]);
    bench.hub.leave(second);
    bench.subscribe(first, &["d"], none());
    assert_eq!(one.read(), ["subscribed", "live"]);
    bench.hub.move_to(first, Some("renewed".into()));
    let (third, three) = join(&mut bench.hub, 3);
    bench.subscribe(third, &["a", "b", "c"], none());
    assert_eq!(three.read(), ["subscribed", "live"], "who was moved is not counted here");
    assert_eq!(bench.hub.refused_subscriptions(), 2);
}
