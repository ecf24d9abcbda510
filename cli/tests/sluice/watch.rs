//! `sluice watch`.

use crate::support::{
    Running, assert_transcript,
    fake::{Fake, Script, Session, Step, replayed, snapshot, update},
    run,
};
use serde_json::json;

const PUMP: &str = "telemetry/pump-1";

#[tokio::test]
async fn an_update_is_a_line_until_there_are_enough() {
    let mut session = Session::new(vec![
        Step::Frame(vec![
            update(PUMP, 8, json!({ "temp": 21.5, "note": "two words" })),
            update("state/pump-1", 1, json!({ "reported": { "on": true } })),
        ]),
        Step::Frame(vec![update("topics/a", 1, json!([1, 2])), update(PUMP, 9, json!({}))]),
    ]);
    session.snapshots = vec![snapshot(PUMP, 7, json!({ "temp": 21, "rpm": 1200 }))];
    let fake = fake(vec![session]).await;
    let run = run(&fake.url, &["watch", PUMP, "state/+", "topics/#", "--count", "4"]).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn json_is_the_update_as_it_came() {
    let frame = r#"[ {"offset":9, "channel":"a/b","seq":1,"timestamp":-5,"data":{"z":1e2,
"a" : 0.10},"new":"field"} ]"#;
    let fake = fake(vec![Session::new(vec![Step::Raw(frame)])]).await;
    let run = run(&fake.url, &["watch", "a/b", "--json", "--count", "1"]).await;
    let expected = r#"{"offset":9, "channel":"a/b","seq":1,"timestamp":-5,"data":{"z":1e2, "a" : 0.10},"new":"field"}"#;
    assert_eq!((run.stdout.trim_end(), run.code), (expected, Some(0)));
}

#[tokio::test]
async fn options_reach_the_gateway() {
    let steps = || Session::new(vec![Step::Frame(vec![update(PUMP, 1, json!({}))])]);
    let fake = fake(vec![steps(), steps()]).await;
    for options in [&["--latest", "--no-snapshot"][..], &["--throttle", "2.5"]] {
        run(&fake.url, &[&["watch", PUMP, "--count", "1"], options].concat()).await;
    }
    insta::assert_snapshot!(fake.asked());
}

#[tokio::test]
async fn a_hole_is_told_but_not_where_merging_was_asked_for() {
    let steps = || {
        Session::new(vec![Step::Frame(vec![
            update(PUMP, 1, json!({ "n": 1 })),
            update(PUMP, 5, json!({ "n": 5 })),
            update(PUMP, 7, json!({ "n": 7 })),
        ])])
    };
    let fake = fake(vec![steps(), steps()]).await;
    let mut transcripts = run(&fake.url, &["watch", PUMP, "--count", "3"]).await.transcript();
    transcripts += &run(&fake.url, &["watch", PUMP, "--count", "3", "--latest"]).await.transcript();
    assert_transcript!(transcripts);
}

#[tokio::test]
async fn a_hole_is_filled_where_the_gateway_still_has_it() {
    let fake = fake(vec![Session::new(vec![
        Step::Frame(vec![update(PUMP, 1, json!({ "n": 1 })), update(PUMP, 4, json!({ "n": 4 }))]),
        Step::Replay(
            vec![replayed(PUMP, 2, json!({ "n": 2 })), replayed(PUMP, 3, json!({ "n": 3 }))],
            json!({ "type": "ok" }),
        ),
        Step::Frame(vec![update(PUMP, 8, json!({ "n": 8 }))]),
        Step::Replay(
            vec![replayed(PUMP, 6, json!({ "n": 6 }))],
            json!({ "type": "error", "code": "bad_range", "message": "no such numbers" }),
        ),
        Step::Frame(vec![update(PUMP, 9, json!({ "n": 9 }))]),
    ])])
    .await;
    let run = run(&fake.url, &["watch", PUMP, "--count", "7"]).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn it_goes_on_where_it_broke() {
    let moved = Session::new(vec![
        Step::Frame(vec![update(PUMP, 1, json!({ "n": 1 })), update("state/p", 4, json!({}))]),
        Step::Close(4201, "moved to another node"),
    ]);
    let mut missed = Session::new(vec![Step::Break]);
    missed.snapshots = vec![replayed(PUMP, 2, json!({ "n": 2 })), replayed(PUMP, 3, json!({}))];
    let last = Session::new(vec![Step::Frame(vec![update(PUMP, 4, json!({ "n": 4 }))])]);
    let fake = fake(vec![moved, missed, last]).await;
    let run = run(&fake.url, &["watch", PUMP, "state/p", "--count", "5"]).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn after_a_reset_that_was_cut_short_it_begins_anew() {
    let reset = json!({
        "type": "reset", "channels": [PUMP], "epoch": "e1", "offset": 9, "reason": "crash",
    });
    let before = Session::new(vec![
        Step::Frame(vec![update(PUMP, 3, json!({ "n": 3 }))]),
        Step::Close(4201, "moved to another node"),
    ]);
    let mut cut = Session::cut(vec![reset]);
    cut.epoch = "e1";
    let mut after = Session::new(Vec::new());
    after.snapshots = vec![snapshot(PUMP, 9, json!({ "n": 9 }))];
    let fake = fake(vec![before, cut, after]).await;
    let run = run(&fake.url, &["watch", PUMP, "--count", "2"]).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn a_gateway_that_shuts_down_is_come_back_to_when_it_says() {
    let ending = Session::new(vec![Step::Close(4100, "shutting down; come back after 1 ms")]);
    let next = Session::new(vec![Step::Frame(vec![update(PUMP, 1, json!({}))])]);
    let fake = fake(vec![ending, next]).await;
    assert_transcript!(run(&fake.url, &["watch", PUMP, "--count", "1"]).await.transcript());
}

#[tokio::test]
async fn another_epoch_is_told_and_starts_over() {
    let before = Session::new(vec![
        Step::Frame(vec![update(PUMP, 40, json!({ "n": 40 }))]),
        Step::Close(4201, "moved to another node"),
    ]);
    let mut after = Session::new(Vec::new());
    after.epoch = "e2";
    after.snapshots = vec![snapshot(PUMP, 2, json!({ "n": 2 }))];
    let fake = fake(vec![before, after]).await;
    assert_transcript!(run(&fake.url, &["watch", PUMP, "--count", "2"]).await.transcript());
}

#[tokio::test]
async fn reset_and_lag_are_told() {
    let reset = json!({
        "type": "reset", "channels": [PUMP], "epoch": "e1", "offset": 9, "reason": "overflow",
    });
    let lag = |on: bool, dropped: u64| json!({ "type": "lag", "on": on, "dropped": dropped });
    let fake = fake(vec![Session::new(vec![Step::Frame(vec![
        update(PUMP, 3, json!({ "n": 3 })),
        lag(true, 0),
        update(PUMP, 9, json!({ "n": 9 })),
        lag(false, 5),
        reset,
        snapshot(PUMP, 9, json!({ "n": 9 })),
        json!({ "type": "news" }),
        update(PUMP, 10, json!({ "n": 10 })),
    ])])])
    .await;
    assert_transcript!(run(&fake.url, &["watch", PUMP, "--count", "4"]).await.transcript());
}

#[tokio::test]
async fn a_40xx_close_is_the_end() {
    let fake = fake(vec![Session::new(vec![Step::Close(4003, "forbidden")])]).await;
    assert_transcript!(run(&fake.url, &["watch", "#"]).await.transcript());
}

#[tokio::test]
async fn a_refused_subscription_is_the_end() {
    let fake = fake(Vec::new()).await;
    assert_transcript!(run(&fake.url, &["watch", "forbidden/x"]).await.transcript());
}

#[tokio::test]
async fn a_gateway_that_falls_silent_is_left() {
    let mut silent = Session::new(vec![Step::UntilCue]);
    silent.ping_interval_ms = 50;
    let fake =
        fake(vec![silent, Session::new(vec![Step::Frame(vec![update(PUMP, 1, json!({}))])])]).await;
    assert_transcript!(run(&fake.url, &["watch", PUMP, "--count", "1"]).await.transcript());
}

#[tokio::test]
async fn ctrl_c_ends_it_well() {
    let fake = fake(vec![Session::new(vec![Step::Frame(vec![update(PUMP, 1, json!({}))])])]).await;
    let mut running = Running::start(&fake.url, &["watch", PUMP]);
    running.line().await;
    running.interrupt().await;
    assert_eq!(running.end().await.1, Some(0));
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_it_quietly() {
    let fake = fake(vec![Session::new(vec![
        Step::Frame(vec![update(PUMP, 1, json!({}))]),
        Step::UntilCue,
        Step::Frame(vec![update(PUMP, 2, json!({}))]),
    ])])
    .await;
    let mut running = Running::start(&fake.url, &["watch", PUMP]);
    running.line().await;
    let unread = running.stop_reading();
    fake.cue();
    let (stderr, code) = unread.end().await;
    assert_eq!((stderr, code), (format!("connected to {}\n", fake.url), Some(0)));
}

async fn fake(sessions: Vec<Session>) -> Fake {
    Fake::start(Script { sessions, ..Script::default() }).await
}
