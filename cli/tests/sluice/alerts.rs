//! `sluice alerts`.

use crate::support::{
    Running, assert_transcript,
    fake::{Answer, Fake, Script, Session, Step, THEN, update},
    run,
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const ID: &str = "0190d9c2-7c3a-7000-8000-000000000001";
const OLDER: &str = "0190d9c2-7c3a-7000-8000-000000000000";
const OLDEST: &str = "0190d9c2-7c39-7000-8000-000000000000";

fn alert(state: &str, changes: Value) -> Value {
    let mut alert = json!({
        "id": ID, "device": "pump-1", "severity": "critical", "code": "dry", "message": "no water",
        "data": { "rpm": 900 }, "state": state, "count": 2, "raised_at": THEN, "acknowledged_at": null,
        "acknowledged_by": null, "cleared_at": null, "cleared_by": null,
    });
    for (key, value) in changes.as_object().into_iter().flatten() {
        alert[key] = value.clone();
    }
    alert
}

#[tokio::test]
async fn those_that_stand_are_listed() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let items = json!([
        alert("active", json!({ "raised_at": now - 90_500 })),
        alert("acknowledged", json!({ "acknowledged_by": "ann", "raised_at": now, "count": 1 })),
        alert("cleared", json!({ "cleared_by": "device" })),
    ]);
    let answers = vec![("GET /alerts", json!({ "items": items, "next": null }).into())];
    let fake = Fake::start(Script { answers, ..Script::default() }).await;
    let line = ["alerts", "--severity", "critical", "--device", "pump-1"];
    assert_transcript!(run(&fake.url, &line).await.transcript() + &fake.asked());
    let all = run(&fake.url, &["alerts", "--all", "--json"]).await;
    assert_eq!((all.stdout.lines().count(), all.code), (3, Some(0)), "{}", all.stderr);
}

#[tokio::test]
async fn an_alert_is_acknowledged_and_cleared_once() {
    let ack = "POST /alerts/0190d9c2-7c3a-7000-8000-000000000001/ack";
    let clear = "POST /alerts/0190d9c2-7c3a-7000-8000-000000000001/clear";
    let answers = vec![
        (ack, alert("acknowledged", json!({ "acknowledged_by": "ann" })).into()),
        (clear, alert("cleared", json!({ "cleared_by": "user:ann" })).into()),
        (clear, Answer::Problem(409, "already_cleared", "the alert is cleared already")),
    ];
    let fake = Fake::start(Script { answers, ..Script::default() }).await;
    let mut transcripts = String::new();
    for change in ["ack", "clear", "clear"] {
        transcripts += &run(&fake.url, &["alerts", change, ID]).await.transcript();
    }
    assert_transcript!(transcripts);
}

#[tokio::test]
async fn watching_shows_what_stands_and_each_change() {
    let channel = "alerts/critical/pump-1";
    let since = json!({ "since": THEN, "longer_than_ms": 60_000 });
    let older = alert("active", json!({ "id": OLDER, "code": "hot", "data": since }));
    let newest = alert("active", json!({}));
    let items = json!([newest, older, alert("cleared", json!({ "id": OLDEST }))]);
    let session = Session::new(vec![
        Step::UntilPosted,
        // It was listed already as it is.
        Step::Frame(vec![update(channel, 2, newest)]),
        Step::Frame(vec![update(channel, 3, alert("cleared", json!({ "cleared_by": "device" })))]),
    ]);
    let answers = vec![("GET /alerts", json!({ "items": items, "next": null }).into())];
    let sessions = vec![session];
    let fake = Fake::start(Script { sessions, answers, ..Script::default() }).await;
    let line = ["alerts", "--severity", "critical", "--watch"];
    let mut running = Running::start(&fake.url, &line);
    let lines = [running.line().await, running.line().await, running.line().await];
    running.interrupt().await;
    let (_, code) = running.end().await;
    assert_eq!(code, Some(0));
    assert!(fake.asked().contains(r#""channels":["alerts/critical/+"]"#), "{}", fake.asked());
    assert_transcript!(lines.join("\n"));
}
