//! `sluice command`.

use crate::support::{
    fake::{COMMAND, Fake, Script, THEN, command_in},
    run,
};
use serde_json::{Value, json};

#[tokio::test]
async fn commands_are_listed_as_far_as_was_asked_for() {
    let page =
        |state, next: Value| json!({ "items": [command_in(state, json!({}))], "next": next });
    let answers = vec![
        ("GET /commands", page("queued", "c1".into()).into()),
        ("GET /commands", page("failed", "c2".into()).into()),
    ];
    let fake = Fake::start(Script { answers, ..Script::default() }).await;
    let line = ["command", "list", "--device", "pump-1", "--name", "set", "--limit", "2"];
    let run = run(&fake.url, &line).await;
    let listed = run.transcript().replace(&age(), "[ago]") + &fake.asked();
    insta::assert_snapshot!(listed);
}

/// How long ago the fixed time was, as it is printed.
fn age() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}d ago", (now.as_secs() - THEN as u64 / 1_000) / 86_400)
}

#[tokio::test]
async fn a_command_is_shown_with_each_step_it_took() {
    let fake = Fake::start(Script { details: Some(details()), ..Script::default() }).await;
    insta::assert_snapshot!(run(&fake.url, &["command", "explain", COMMAND]).await.transcript());
}

#[tokio::test]
async fn an_open_command_is_shown_with_its_deadlines() {
    let mut open = command_in("started", json!({ "progress": 40, "not_before": THEN + 1 }));
    open["transitions"] = json!([]);
    let fake = Fake::start(Script { details: Some(open), ..Script::default() }).await;
    insta::assert_snapshot!(run(&fake.url, &["command", "explain", COMMAND]).await.transcript());
}

#[tokio::test]
async fn json_is_the_command_as_it_came() {
    let fake = Fake::start(Script { details: Some(details()), ..Script::default() }).await;
    let run = run(&fake.url, &["command", "explain", COMMAND, "--json"]).await;
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((printed, run.code), (details(), Some(0)));
}

#[tokio::test]
async fn an_unknown_command_is_refused() {
    let fake = Fake::start(Script::default()).await;
    insta::assert_snapshot!(run(&fake.url, &["command", "explain", COMMAND]).await.transcript());
}

#[tokio::test]
async fn a_cancelled_command_says_so_and_a_final_one_refuses() {
    let cancelled = Some(command_in("cancelled", json!({})));
    let fake = Fake::start(Script { cancelled, ..Script::default() }).await;
    let mut transcripts =
        run(&fake.url, &["command", "cancel", COMMAND]).await.transcript() + &fake.asked();
    let fake = Fake::start(Script::default()).await;
    transcripts += &run(&fake.url, &["command", "cancel", COMMAND]).await.transcript();
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
        { "state": "queued", "at": THEN, "by": "user:operator", "reason": "its device is not receiving" },
        { "state": "sent", "at": THEN + 40, "by": "gateway", "reason": null },
        { "state": "sent", "at": THEN + 4_040, "by": "gateway", "reason": "sent again, attempt 2" },
        { "state": "timed_out", "at": THEN + 34_040, "by": "timer", "reason": null },
        { "state": "failed", "at": THEN + 95_000, "by": "device", "reason": "answered after it had timed out" },
    ]);
    details
}
