//! `sluice command` and `sluice cancel`.

use crate::support::{
    fake::{COMMAND, Fake, Script, THEN, command_in},
    run,
};
use serde_json::{Value, json};

#[tokio::test]
async fn a_command_is_shown_with_each_step_it_took() {
    let fake = Fake::start(Script { details: Some(details()), ..Script::default() }).await;
    insta::assert_snapshot!(run(&fake.url, &["command", COMMAND]).await.transcript());
}

#[tokio::test]
async fn an_open_command_is_shown_with_its_deadlines() {
    let mut open = command_in("started", json!({ "progress": 40, "not_before": THEN + 1 }));
    open["transitions"] = json!([]);
    let fake = Fake::start(Script { details: Some(open), ..Script::default() }).await;
    insta::assert_snapshot!(run(&fake.url, &["command", COMMAND]).await.transcript());
}

#[tokio::test]
async fn json_is_the_command_as_it_came() {
    let fake = Fake::start(Script { details: Some(details()), ..Script::default() }).await;
    let run = run(&fake.url, &["command", COMMAND, "--json"]).await;
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((printed, run.code), (details(), Some(0)));
}

#[tokio::test]
async fn an_unknown_command_is_refused() {
    let fake = Fake::start(Script::default()).await;
    insta::assert_snapshot!(run(&fake.url, &["command", COMMAND]).await.transcript());
}

#[tokio::test]
async fn a_cancelled_command_says_so_and_a_final_one_refuses() {
    let cancelled = Some(command_in("cancelled", json!({})));
    let fake = Fake::start(Script { cancelled, ..Script::default() }).await;
    let mut transcripts = run(&fake.url, &["cancel", COMMAND]).await.transcript() + &fake.asked();
    let fake = Fake::start(Script::default()).await;
    transcripts += &run(&fake.url, &["cancel", COMMAND]).await.transcript();
    insta::assert_snapshot!(transcripts);
}

fn details() -> Value {
    let mut details = command_in(
        "failed",
        json!({
            "attempt": 2, "created_by": "operator", "batch": "b1", "late": true,
            "error": { "code": "jammed", "message": "the rotor\nis stuck" },
        }),
    );
    details["transitions"] = json!([
        { "state": "queued", "at": THEN, "by": "user:operator", "reason": null },
        { "state": "sent", "at": THEN + 40, "by": "gateway", "reason": null },
        { "state": "sent", "at": THEN + 4_040, "by": "gateway", "reason": "sent again: no PUBACK" },
        { "state": "timed_out", "at": THEN + 34_040, "by": "timer", "reason": "no final answer in 30 s" },
        { "state": "failed", "at": THEN + 95_000, "by": "device", "reason": null },
    ]);
    details
}
