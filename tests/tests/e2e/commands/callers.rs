//! What those who command are answered, over HTTP and WebSocket.

use super::*;
use crate::tokens::{created, token};
use reqwest::Method;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::{soon, until};

#[tokio::test]
async fn a_caller_may_wait_for_the_end() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let body = json!({"name": "fill"});
    let post = gateway.request(Method::POST, &path).header("prefer", "wait=20").json(&body).send();
    let device_works = async {
        let id = device.take().await.id;
        device.answer(&id, &json!({"status": "succeeded", "result": 7})).await;
    };
    let (answer, ()) = tokio::join!(post, device_works);
    let answer = answer.expect("an answer");
    assert_eq!(
        (answer.status(), &answer.headers()["preference-applied"]),
        (StatusCode::OK, &"wait=20".parse().expect("a header"))
    );
    let command: Value = answer.json().await.expect("a command");
    assert_eq!((&command["state"], &command["result"]), (&json!("succeeded"), &json!(7)));

    let post = gateway.request(Method::POST, &path).header("prefer", "wait=0").json(&body).send();
    let answer = post.await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let open: Value = answer.json().await.expect("a command");
    let open = id(&open);
    assert_eq!(device.take().await.id, open);
    device.answer(&open, &json!({"status": "succeeded"})).await;
    reaches(&mut live, &open, "succeeded").await;
}

#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let body = json!({"name": "fill"});
    let post = gateway.request(Method::POST, &path).header("prefer", "wait=60").json(&body).send();
    let id = tokio::select! {
        answer = post => panic!("answered before the end: {answer:?}"),
        command = device.take() => command.id,
    };
    device.answer(&id, &json!({"status": "succeeded"})).await;
    reaches(&mut live, &id, "succeeded").await;
}

/// Has the running gateway find another `member` of a token.
fn change(gateway: &TestGateway, token: &str, member: &str, value: Value) {
    let file = gateway.data_dir().join("credentials.json");
    let text = std::fs::read(&file).expect("there");
    let mut credentials: Value = serde_json::from_slice(&text).expect("JSON");
    let id = token.split('_').nth(1).expect("a token has an id");
    credentials["tokens"][id][member] = value;
    let draft = file.with_extension("draft");
    std::fs::write(&draft, credentials.to_string()).expect("written");
    std::fs::rename(&draft, &file).expect("renamed");
}

#[tokio::test]
async fn who_waits_for_the_end_waits_no_longer_than_the_token_counts() {
    let gateway = TestGateway::start().await;
    gateway.device(DEVICE).await.say("telemetry", &json!({"t": 1})).await;
    let (revoked, expiring) =
        (created(&gateway, "rita", "operator").await, created(&gateway, "emil", "operator").await);
    let (changed, stays) =
        (created(&gateway, "carl", "operator").await, created(&gateway, "stan", "operator").await);
    let wait = async |token: &str| {
        let path = format!("/api/v1/devices/{DEVICE}/commands");
        let post = gateway.request(Method::POST, &path).bearer_auth(token);
        let post = post.header("prefer", "wait=60").json(&json!({"name": "fill"}));
        let answer = soon("an answer", post.send()).await.expect("an answer");
        let status = answer.status().as_u16();
        let problem: Value = answer.json().await.expect("JSON");
        (status, problem["code"].as_str().unwrap_or_default().to_owned())
    };
    let changes = async {
        until("all to wait", async || {
            let list = gateway.request(Method::GET, "/api/v1/commands").bearer_auth(&stays);
            let list: Value = list.send().await.expect("an answer").json().await.expect("JSON");
            list["items"].as_array().is_some_and(|commands| commands.len() == 3)
        })
        .await;
        let end = SystemTime::now() + Duration::from_secs(1);
        let end = end.duration_since(UNIX_EPOCH).expect("later").as_millis() as u64;
        change(&gateway, &expiring, "expires_at", end.into());
        change(&gateway, &changed, "role", "admin".into());
        assert_eq!(token(&gateway, &["revoke", "rita"]).await.code, Some(0));
    };
    let (revoked, expired, changed, ()) =
        tokio::join!(wait(&revoked), wait(&expiring), wait(&changed), changes);
    let unauthenticated = (401, "unauthenticated".to_owned());
    assert_eq!((revoked, expired), (unauthenticated.clone(), unauthenticated));
    assert_eq!(changed, (403, "forbidden".to_owned()));
}

#[tokio::test]
async fn who_commands_over_a_websocket_is_answered_before_the_first_update() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    for _ in 0..100 {
        let mark = live.ask(json!({"type": "command", "device": DEVICE, "name": "fill"})).await;
        let is_answer = |message: &Value| message["id"] == mark && message.get("type").is_some();
        let device_works = async {
            let id = device.take().await.id;
            device.answer(&id, &json!({"status": "succeeded"})).await;
        };
        let (mut heard, ()) = tokio::join!(live.through(is_answer), device_works);
        let answer = heard.pop().expect("it was answered");
        let id = id(&answer["command"]);
        assert!(heard.iter().all(|message| message["data"]["id"] != *id), "{heard:?}");
        reaches(&mut live, &id, "succeeded").await;
    }
}

#[tokio::test]
async fn a_websocket_commands_and_cancels_too() {
    let (gateway, mut live) = arrange().await;
    let ask = json!({"type": "command", "device": DEVICE, "name": "fill", "params": {"l": 3}});
    let answer = live.reply(ask).await;
    assert_eq!(answer["type"], "ok");
    let id = id(&answer["command"]);
    let mut device = gateway.device(DEVICE).await;
    let order = device.take().await;
    assert_eq!((&order.id, &order.order["params"]), (&id, &json!({"l": 3})));
    reaches(&mut live, &id, "delivered").await;
    let answer = live.reply(json!({"type": "cancel", "command": id})).await;
    assert_eq!(
        (&answer["type"], &answer["command"]["state"]),
        (&json!("ok"), &json!("cancelling"))
    );
    assert_eq!(device.cancel().await, id);
    device.answer(&id, &json!({"status": "cancelled"})).await;
    reaches(&mut live, &id, "cancelled").await;
    for (ask, code) in [
        (json!({"type": "cancel", "command": id}), "already_final"),
        (json!({"type": "command", "device": "nobody", "name": "fill"}), "unknown_device"),
        (json!({"type": "command", "device": DEVICE, "name": ""}), "bad_request"),
        (json!({"type": "command", "device": DEVICE}), "bad_request"),
    ] {
        let refused = live.reply(ask).await;
        assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!(code)));
    }
}

/// The states that a command came through, where it tells them.
fn stages(command: &Value) -> Option<Vec<&str>> {
    let steps = command.get("transitions")?.as_array()?;
    steps.iter().map(|step| step["state"].as_str()).collect()
}

#[tokio::test]
async fn a_command_alone_tells_its_story_and_in_lists_and_channels_it_does_not() {
    let (gateway, mut live) = arrange().await;
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let (_, made) = gateway.post(&path, &json!({"name": "fill"})).await;
    assert_eq!(stages(&made), Some(vec!["queued"]));
    let told = reaches(&mut live, &id(&made), "queued").await;
    assert_eq!(stages(&told), None);
    let cancel = format!("/api/v1/commands/{}/cancel", id(&made));
    let (_, cancelled) = gateway.post(&cancel, &json!({})).await;
    assert_eq!(stages(&cancelled), Some(vec!["queued", "cancelled"]));
    let (_, list) = gateway.get("/api/v1/commands").await;
    assert_eq!(stages(&list["items"][0]), None);
    let ask = json!({"type": "command", "device": DEVICE, "name": "fill", "ttl_ms": 100});
    assert_eq!(stages(&live.reply(ask).await["command"]), Some(vec!["queued"]));
    let request = gateway.request(Method::POST, &path).header("prefer", "wait=20");
    let ended =
        request.json(&json!({"name": "fill", "ttl_ms": 0})).send().await.expect("an answer");
    let ended = ended.json().await.expect("a command");
    assert_eq!(stages(&ended), Some(vec!["queued", "expired"]));
}

#[tokio::test]
async fn a_device_takes_only_so_many_open_commands() {
    let gateway = TestGateway::with(&[("LIMITS__COMMANDS_PER_DEVICE", "2")]).await;
    make_known(&gateway, DEVICE).await;
    for _ in 0..2 {
        create(&gateway, json!({"name": "fill"})).await;
    }
    let path = format!("/api/v1/devices/{DEVICE}/commands");
    let (status, problem) = gateway.post(&path, &json!({"name": "fill"})).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("too_many_commands"))
    );
}

#[tokio::test]
async fn the_same_key_gives_the_same_when_the_device_is_deleted_too() {
    let gateway = TestGateway::start().await;
    make_known(&gateway, "d").await;
    let ask = async |path: &str, key: &str, body: &Value| {
        let post = gateway.request(Method::POST, path).header("idempotency-key", key);
        let answer = post.json(body).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::ACCEPTED, "{path}");
        id(&answer.json().await.expect("JSON"))
    };
    let (command, batch) = ("/api/v1/devices/d/commands", "/api/v1/command-batches");
    let (open, all) =
        (json!({"name": "open"}), json!({"devices": ["d"], "command": {"name": "open"}}));
    let made = (ask(command, "one", &open).await, ask(batch, "many", &all).await);
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/d").send().await;
    assert_eq!(delete.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!((ask(command, "one", &open).await, ask(batch, "many", &all).await), made);
}

#[tokio::test]
async fn who_means_to_try_out_commands_no_fleet() {
    let (gateway, _live) = arrange().await;
    for body in [
        json!({"devices": [DEVICE], "command": {"name": "fill"}, "dry_run": true}),
        json!({"devices": [DEVICE], "command": {"name": "fill", "dry_run": true}}),
    ] {
        let (status, told) = gateway.post("/api/v1/command-batches", &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
    }
    assert_eq!(gateway.get("/api/v1/commands").await.1["items"], json!([]));
}
