//! `sluice desired`.

use crate::support::{
    assert_transcript,
    fake::{Answer, Fake, Script, Session, Step, update},
    run,
};
use serde_json::{Value, json};

const GET: &str = "GET /devices/pump-1/desired";
const PUT: &str = "PUT /devices/pump-1/desired";
const CHANGED: Answer = Answer::Problem(412, "precondition_failed", "somebody was first");

fn state(version: u64, desired: Value, in_sync: bool) -> Value {
    json!({ "version": version, "desired": desired, "reported": { "rpm": 900 }, "in_sync": in_sync })
}

async fn fake(answers: Vec<(&'static str, Answer)>) -> Fake {
    Fake::start(Script { answers, ..Script::default() }).await
}

#[tokio::test]
async fn what_is_not_reported_as_wanted_is_told() {
    let wanted = json!({ "rpm": 1200, "mode": "eco" });
    let fake = fake(vec![(GET, state(4, wanted, false).into())]).await;
    assert_transcript!(run(&fake.url, &["desired", "get", "pump-1"]).await.transcript());
}

#[tokio::test]
async fn members_are_changed_and_the_rest_stays() {
    let before = state(4, json!({ "rpm": 1200, "old": true }), false);
    let after = state(5, json!({ "rpm": 900 }), true);
    let fake = fake(vec![(GET, before.into()), (PUT, after.into())]).await;
    let line = ["desired", "set", "pump-1", "rpm=900", "--remove", "old"];
    assert_transcript!(run(&fake.url, &line).await.transcript() + &fake.asked());
}

#[tokio::test]
async fn a_change_is_made_to_what_others_wanted_meanwhile() {
    let fake = fake(vec![
        (GET, state(4, json!({}), true).into()),
        (GET, state(5, json!({ "mode": "eco" }), false).into()),
        (PUT, CHANGED),
        (PUT, state(6, json!({ "mode": "eco", "rpm": 900 }), false).into()),
    ])
    .await;
    let run = run(&fake.url, &["desired", "set", "pump-1", "rpm=900"]).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let asked = format!(
        "{GET}\n{PUT} if-match \"4\" {{\"rpm\":900}}\n\
         {GET}\n{PUT} if-match \"5\" {{\"mode\":\"eco\",\"rpm\":900}}\n"
    );
    assert_eq!(fake.asked(), asked);
}

#[tokio::test]
async fn a_change_that_others_always_come_before_is_given_up() {
    let fake = fake(vec![(GET, state(4, json!({}), true).into()), (PUT, CHANGED)]).await;
    assert_transcript!(run(&fake.url, &["desired", "set", "pump-1", "a=1"]).await.transcript());
}

#[tokio::test]
async fn another_version_than_the_named_is_left_alone() {
    let fake = fake(vec![(GET, state(4, json!({}), true).into())]).await;
    let line = ["desired", "set", "pump-1", "a=1", "--if-version", "3"];
    assert_transcript!(run(&fake.url, &line).await.transcript() + &fake.asked());
}

#[tokio::test]
async fn waiting_ends_once_the_device_reports_it() {
    let wanted = json!({ "rpm": 1200 });
    let in_sync =
        json!({ "version": 5, "desired": wanted, "reported": { "rpm": 1200 }, "in_sync": true });
    let answers =
        vec![(GET, state(4, json!({}), true).into()), (PUT, state(5, wanted, false).into())];
    let sessions = vec![Session::new(vec![
        Step::UntilPosted,
        Step::Frame(vec![update("state/pump-1", 1, state(4, json!({}), true))]),
        Step::Frame(vec![update("state/pump-1", 2, in_sync)]),
    ])];
    let fake = Fake::start(Script { answers, sessions, ..Script::default() }).await;
    let line = ["desired", "set", "pump-1", "rpm=1200", "--replace", "--wait"];
    assert_transcript!(run(&fake.url, &line).await.transcript());
}
