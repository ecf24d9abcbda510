//! `sluice send`.

use crate::support::{
    Running, assert_transcript,
    fake::{COMMAND, Fake, Script, Session, Step, command_in, update},
    run,
};
use serde_json::{Value, json};

#[tokio::test]
async fn without_waiting_the_accepted_command_is_the_result() {
    let fake = fake(Vec::new()).await;
    let line =
        ["send", "pump-1", "set", "rpm=1200", "mode=auto", "--ttl", "5m", "--priority", "-1"];
    let run = run(&fake.url, &line).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn json_is_the_command_as_it_came() {
    let fake = fake(Vec::new()).await;
    let run = run(&fake.url, &["send", "pump-1", "set", "--json"]).await;
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((printed, run.code), (command_in("queued", json!({})), Some(0)));
}

#[tokio::test]
async fn waiting_shows_each_stage_to_success() {
    let fake = fake(vec![Session::new(vec![
        Step::UntilPosted,
        stage("queued", json!({})),
        stage("sent", json!({})),
        Step::Frame(vec![of_another_command()]),
        stage("delivered", json!({})),
        stage("started", json!({ "progress": 10 })),
        stage("started", json!({ "progress": 75.5 })),
        stage("succeeded", json!({ "progress": 75.5, "result": { "rpm": 1200 } })),
    ])])
    .await;
    let run = run(&fake.url, &["send", "pump-1", "set", "rpm=1200", "--wait"]).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn waiting_in_json_gives_a_command_a_line() {
    let fake = fake(vec![Session::new(vec![
        Step::UntilPosted,
        stage("sent", json!({})),
        stage("succeeded", json!({})),
    ])])
    .await;
    let run = run(&fake.url, &["send", "pump-1", "set", "--wait", "--json"]).await;
    let state = |line| serde_json::from_str::<Value>(line).unwrap()["state"].clone();
    let states: Vec<_> = run.stdout.lines().map(state).collect();
    assert_eq!(
        (states, run.code),
        (vec!["queued".into(), "sent".into(), "succeeded".into()], Some(0))
    );
}

#[tokio::test]
async fn in_json_an_answer_that_overtook_updates_is_not_followed_by_older_ones() {
    let sessions = vec![Session::new(vec![
        Step::UntilPosted,
        stage("queued", json!({})),
        stage("sent", json!({})),
        stage("delivered", json!({})),
        stage("started", json!({ "progress": 10 })),
        stage("started", json!({ "progress": 20 })),
        stage("succeeded", json!({})),
    ])];
    let accepted = Some(command_in("sent", json!({})));
    let fake = Fake::start(Script { accepted, sessions, ..Script::default() }).await;
    let run = run(&fake.url, &["send", "pump-1", "set", "--wait", "--json"]).await;
    let state = |line| serde_json::from_str::<Value>(line).unwrap()["state"].clone();
    let states: Vec<_> = run.stdout.lines().map(state).collect();
    assert_eq!(states, ["sent", "delivered", "started", "started", "succeeded"]);
}

#[tokio::test]
async fn an_end_other_than_success_is_2() {
    let error = json!({ "error": { "code": "jammed", "message": "the rotor is stuck" } });
    let mut transcripts = String::new();
    for (state, changes) in [
        ("failed", error.clone()),
        ("rejected", error),
        ("expired", json!({})),
        ("timed_out", json!({})),
        ("cancelled", json!({})),
        ("superseded", json!({})),
    ] {
        let fake = fake(vec![Session::new(vec![Step::UntilPosted, stage(state, changes)])]).await;
        let run = run(&fake.url, &["send", "pump-1", "set", "--wait"]).await;
        assert_eq!(run.code, Some(2), "{state}");
        transcripts += &run.transcript();
    }
    assert_transcript!(transcripts);
}

#[tokio::test]
async fn an_end_that_comes_with_the_answer_is_not_waited_for() {
    let accepted = Some(command_in("expired", json!({ "attempt": 0 })));
    let fake = Fake::start(Script { accepted, ..Script::default() }).await;
    let line = ["send", "pump-1", "set", "--ttl", "0", "--wait"];
    assert_transcript!(run(&fake.url, &line).await.transcript());
}

#[tokio::test]
async fn waiting_no_longer_leaves_the_command_to_itself() {
    let fake = fake(Vec::new()).await;
    let run = run(&fake.url, &["send", "pump-1", "set", "--wait-for", "100ms"]).await;
    assert_transcript!(run.transcript());
}

#[tokio::test]
async fn ctrl_c_while_waiting_says_that_it_is_still_open() {
    let fake = fake(vec![Session::new(vec![Step::UntilPosted, stage("sent", json!({}))])]).await;
    let mut running = Running::start(&fake.url, &["send", "pump-1", "set", "--wait"]);
    assert_eq!(running.line().await, format!("command {COMMAND}"));
    assert!(running.line().await.ends_with("sent"));
    running.interrupt().await;
    let (stderr, code) = running.end().await;
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.starts_with("still sent: "), "{stderr}");
}

#[tokio::test]
async fn what_happened_while_the_connection_was_gone_is_asked_for() {
    let mut details = command_in("succeeded", json!({ "result": 7 }));
    details["transitions"] = json!([]);
    let script = Script {
        accepted: Some(command_in("queued", json!({}))),
        sessions: vec![Session::new(vec![
            Step::UntilPosted,
            stage("sent", json!({})),
            Step::Close(4100, "shutting down"),
        ])],
        details: Some(details),
        ..Script::default()
    };
    let fake = Fake::start(script).await;
    let run = run(&fake.url, &["send", "pump-1", "set", "--wait"]).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn a_connection_that_is_refused_for_good_does_not_hide_the_command() {
    let fake =
        fake(vec![Session::new(vec![Step::UntilPosted, Step::Close(4005, "over a limit")])]).await;
    assert_transcript!(run(&fake.url, &["send", "pump-1", "set", "--wait"]).await.transcript());
}

#[tokio::test]
async fn an_answer_that_broke_off_is_asked_for_again_under_the_same_key() {
    let script = Script {
        accepted: Some(command_in("queued", json!({}))),
        broken_answers: 2,
        ..Script::default()
    };
    let fake = Fake::start(script).await;
    let run = run(&fake.url, &["send", "pump-1", "set"]).await;
    let keys = fake.keys();
    assert_eq!((run.code, keys.len()), (Some(0), 3), "{}", run.stderr);
    assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 32), "{keys:?}");
}

#[tokio::test]
async fn a_command_nobody_confirms_is_not_called_refused() {
    let script = Script {
        accepted: Some(command_in("queued", json!({}))),
        broken_answers: 3,
        ..Script::default()
    };
    let fake = Fake::start(script).await;
    assert_transcript!(run(&fake.url, &["send", "pump-1", "set"]).await.transcript());
}

#[tokio::test]
async fn a_problem_is_shown_with_its_code() {
    let fake = Fake::start(Script::default()).await;
    let mut transcripts = run(&fake.url, &["send", "ghost", "set"]).await.transcript();
    transcripts += &run(&fake.url, &["send", "ghost", "set", "--wait"]).await.transcript();
    assert_transcript!(transcripts);
}

fn stage(state: &str, changes: Value) -> Step {
    Step::Frame(vec![update("commands/pump-1", 1, command_in(state, changes))])
}

fn of_another_command() -> Value {
    let id = json!({ "id": "0190d9c2-7c3a-7b6e-8f00-000000000000" });
    update("commands/pump-1", 1, command_in("failed", id))
}

/// Accepts commands for any device.
async fn fake(sessions: Vec<Session>) -> Fake {
    let accepted = Some(command_in("queued", json!({})));
    Fake::start(Script { accepted, sessions, ..Script::default() }).await
}
