//! `sluice devices`.

use crate::support::{
    assert_transcript, command,
    fake::{Fake, Script},
    finish, run,
};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::test]
async fn a_table_shows_the_devices_of_all_pages() {
    let fake = Fake::start(fleet()).await;
    let run = run(&fake.url, &["devices"]).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn json_gives_each_device_as_it_came() {
    let fake = Fake::start(Script {
        pages: vec![vec![device("a", 0), device("b", 0)]],
        ..Script::default()
    })
    .await;
    let run = run(&fake.url, &["devices", "--json"]).await;
    let lines: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| &line["id"]).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(lines[0]["colour"], "unknown to this version");
    assert_eq!(run.code, Some(0));
}

#[tokio::test]
async fn filters_reach_the_gateway_and_none_is_no_failure() {
    let fake = Fake::start(Script::default()).await;
    let line =
        ["devices", "--type", "pump", "--tag", "site:a b", "--status", "offline", "-q", "p&q"];
    let run = run(&fake.url, &line).await;
    assert_transcript!(run.transcript() + &fake.asked());
}

#[tokio::test]
async fn a_device_cannot_steer_the_terminal() {
    let mut hostile = device("a", 0);
    hostile["type"] = "pump\u{1b}[31m".into();
    hostile["values"] = json!({ "note\u{9b}": "\u{1b}]0;owned\u{7}" });
    let fake = Fake::start(Script { pages: vec![vec![hostile]], ..Script::default() }).await;
    let mut command = command(&fake.url, &["devices"]);
    command.env("NO_COLOR", "1");
    let run = finish(command, &["devices"]).await;
    assert!(!run.stdout.replace('\n', "").chars().any(char::is_control), "{:?}", run.stdout);
    assert_eq!(run.code, Some(0));
}

#[tokio::test]
async fn colour_is_for_terminals_and_never_with_no_color() {
    let fake = Fake::start(fleet()).await;
    let mut escapes = Vec::new();
    for variables in [&[][..], &["CLICOLOR_FORCE"], &["CLICOLOR_FORCE", "NO_COLOR"]] {
        let mut command = command(&fake.url, &["devices"]);
        command.envs(variables.iter().map(|name| (name, "1")));
        escapes.push(finish(command, &["devices"]).await.stdout.contains('\u{1b}'));
    }
    assert_eq!(escapes, [false, true, false]);
}

#[tokio::test]
async fn a_list_that_goes_in_a_circle_is_left() {
    let fake = Fake::start(Script { pages_in_a_circle: true, ..fleet() }).await;
    assert_transcript!(run(&fake.url, &["devices"]).await.transcript() + &fake.asked());
}

fn fleet() -> Script {
    let mut silent = device("valve-7", 90_000_000);
    silent["type"] = Value::Null;
    silent["status"] = "offline".into();
    silent["values"] = json!({});
    let first = vec![device("pump-1", 5 * 60_000), device("pump-2", 3 * 3_600_000)];
    Script { pages: vec![first, vec![silent]], ..Script::default() }
}

/// A device that was seen so many milliseconds and a quarter of a minute ago.
fn device(id: &str, seen_ms_ago: i64) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let seen = i64::try_from(now).unwrap() - seen_ms_ago - 15_000;
    json!({
        "id": id, "type": "pump", "tags": { "site": "a" }, "status": "online", "since": seen,
        "last_seen_at": seen, "values": { "rpm": 1200, "mode": "auto", "note": "two words" },
        "version": 1, "colour": "unknown to this version",
    })
}
