//! `sluice batch`.

use crate::support::{
    assert_transcript,
    fake::{Answer, COMMAND, Fake, Script, Session, Step, command_in, update},
    run,
};
use serde_json::{Value, json};

fn batch(state: &str, counts: Value) -> Value {
    json!({ "id": COMMAND, "state": state, "total": 3, "counts": counts })
}

fn change(state: &str, counts: Value) -> Step {
    Step::Frame(vec![update(&format!("batches/{COMMAND}"), 1, batch(state, counts))])
}

/// How a batch is asked for.
const SHOWN: &str = "GET /command-batches/0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c";

const SEND: [&str; 13] = [
    "batch",
    "send",
    "set",
    "rpm=900",
    "--type",
    "pump",
    "--concurrency",
    "2",
    "--rate",
    "5",
    "--abort-after",
    "50%",
    "--wait",
];

async fn fake(steps: Vec<Step>) -> Fake {
    let begun = batch("running", json!({ "queued": 1, "sent": 2 }));
    let answers = vec![("POST /command-batches", begun.clone().into()), (SHOWN, begun.into())];
    let sessions = vec![Session::new(steps)];
    Fake::start(Script { answers, sessions, ..Script::default() }).await
}

#[tokio::test]
async fn a_batch_is_followed_until_every_row_has_ended() {
    let fake = fake(vec![
        Step::UntilPosted,
        change("running", json!({ "sent": 1, "succeeded": 2 })),
        change("done", json!({ "succeeded": 3 })),
    ])
    .await;
    let run = run(&fake.url, &SEND).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_transcript!(last_line(&run.transcript()) + &fake.asked());
}

#[tokio::test]
async fn a_batch_with_a_row_that_failed_is_2() {
    let fake = fake(vec![
        Step::UntilPosted,
        change("aborted", json!({ "sent": 1, "failed": 1, "cancelled": 1 })),
        change("aborted", json!({ "succeeded": 1, "failed": 1, "cancelled": 1 })),
    ])
    .await;
    let run = run(&fake.url, &SEND).await;
    assert_transcript!(run.transcript());
}

#[tokio::test]
async fn a_batch_that_is_waited_for_no_longer_goes_on() {
    let fake = fake(Vec::new()).await;
    let run = run(&fake.url, &["batch", "show", COMMAND, "--wait-for", "100ms"]).await;
    assert_transcript!(run.transcript());
}

#[tokio::test]
async fn in_json_a_batch_is_a_line_for_each_change() {
    let fake = fake(vec![Step::UntilPosted, change("done", json!({ "succeeded": 3 }))]).await;
    let run = run(&fake.url, &["batch", "show", COMMAND, "--wait", "--json"]).await;
    let state = |line| serde_json::from_str::<Value>(line).unwrap()["state"].clone();
    let states: Vec<_> = run.stdout.lines().map(state).collect();
    assert_eq!((states, run.code), (vec!["running".into(), "done".into()], Some(0)));
}

#[tokio::test]
async fn a_batch_is_paused_resumed_and_cancelled() {
    let path = |change: &str| -> &'static str {
        format!("POST /command-batches/{COMMAND}/{change}").leak()
    };
    let counts = json!({ "queued": 3 });
    let answers = vec![
        (path("pause"), batch("paused", counts.clone()).into()),
        (path("resume"), batch("running", counts).into()),
        (path("cancel"), batch("cancelled", json!({ "cancelled": 3 })).into()),
    ];
    let fake = Fake::start(Script { answers, ..Script::default() }).await;
    let mut transcripts = String::new();
    for change in ["pause", "resume", "cancel"] {
        transcripts += &run(&fake.url, &["batch", change, COMMAND]).await.transcript();
    }
    assert_transcript!(transcripts);
}

#[tokio::test]
async fn rows_are_the_commands_of_the_batch() {
    let failed = command_in("failed", json!({ "batch": COMMAND }));
    let answers = vec![("GET /commands", json!({ "items": [failed], "next": null }).into())];
    let fake = Fake::start(Script { answers, ..Script::default() }).await;
    let run = run(&fake.url, &["batch", "rows", COMMAND, "--state", "failed", "--json"]).await;
    assert_eq!(run.stdout.lines().count(), 1, "{}", run.stderr);
    let asked = fake.asked();
    let last = asked.lines().last().unwrap();
    assert_eq!(last, format!("GET /commands?batch={COMMAND}&state=failed"));
    assert_eq!(run.code, Some(0));
    assert!(!asked.contains(SHOWN), "it may be hidden from who sees this row: {asked}");
}

#[tokio::test]
async fn rows_of_an_unknown_batch_are_refused() {
    let unknown = Answer::Problem(404, "unknown_batch", "there is no such batch");
    let nothing = json!({ "items": [], "next": null });
    let answers = vec![(SHOWN, unknown), ("GET /commands", nothing.into())];
    let fake = Fake::start(Script { answers, ..Script::default() }).await;
    let run = run(&fake.url, &["batch", "rows", COMMAND]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(1), ""));
    assert!(run.stderr.contains("(unknown_batch)"), "{}", run.stderr);
}

#[tokio::test]
async fn a_batch_without_such_rows_is_no_failure() {
    let nothing = json!({ "items": [], "next": null });
    let known = batch("done", json!({ "succeeded": 3 }));
    let answers = vec![(SHOWN, known.into()), ("GET /commands", nothing.into())];
    let fake = Fake::start(Script { answers, ..Script::default() }).await;
    let run = run(&fake.url, &["batch", "rows", COMMAND, "--state", "failed"]).await;
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
}

/// Without the lines in between: how many there are is a matter of time.
fn last_line(transcript: &str) -> String {
    let lines = transcript.lines().filter(|line| !line.contains("2 of 3 ended"));
    lines.map(|line| format!("{line}\n")).collect()
}
