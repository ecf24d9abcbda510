//! The audit log: what is in it, how it is asked for, that it is a chain, and that it survives.

use crate::orders::{create, id, reaches};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Program, TestGateway, until};

async fn entries(gateway: &TestGateway, query: &str) -> Vec<Value> {
    let (status, page) = gateway.get(&format!("/api/v1/audit?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["items"].as_array().expect("a list").clone()
}

/// The actions from the oldest on.
fn actions(entries: &[Value]) -> Vec<&str> {
    entries.iter().rev().map(|entry| entry["action"].as_str().expect("a text")).collect()
}

async fn put(gateway: &TestGateway, path: &str, body: Value) {
    let put = gateway.request(Method::PUT, path).header("if-match", "\"0\"").json(&body);
    assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
}

/// A device that did something and had something done to it.
async fn a_day(gateway: &TestGateway) {
    put(gateway, "/api/v1/devices/pump-1", json!({"type": "pump"})).await;
    put(gateway, "/api/v1/devices/pump-1/desired", json!({"valve": 40})).await;
    let mut device = gateway.device("pump-1").await;
    let mut live = gateway.live().await;
    live.subscribe(&["commands/pump-1"]).await;
    let path = "/api/v1/devices/pump-1/commands";
    gateway.post(path, &json!({"name": "fill", "params": {"l": 3}})).await;
    let order = device.take().await;
    device.answer(&order.id, &json!({"status": "started"})).await;
    device.answer(&order.id, &json!({"status": "succeeded"})).await;
    live.find(|message| message["data"]["state"] == "succeeded").await;
}

#[tokio::test]
async fn it_tells_who_did_what_and_each_step_of_a_command() {
    let gateway = TestGateway::start().await;
    a_day(&gateway).await;
    let all = entries(&gateway, "").await;
    let expected = [
        "gateway.started",
        "device.changed",
        "desired.changed",
        "command.created",
        "command.sent",
        "command.delivered",
        "command.started",
        "command.succeeded",
    ];
    assert_eq!(actions(&all), expected);
    let created = &all[4];
    assert_eq!((&created["by"], &created["user"]), (&json!("user"), &json!("local")));
    assert_eq!(created["device"], "pump-1");
    assert!(created["address"].as_str().expect("a text").starts_with("127.0.0.1:"));
    assert_eq!(created["details"]["request"], json!({"name": "fill", "params": {"l": 3}}));
    assert_eq!((&all[0]["by"], &all[0]["user"]), (&json!("device"), &Value::Null));
    assert_eq!(all[0]["details"]["command"], created["details"]["command"]);
}

#[tokio::test]
async fn it_is_filtered_and_goes_page_by_page() {
    let gateway = TestGateway::start().await;
    a_day(&gateway).await;
    assert_eq!(entries(&gateway, "action=command").await.len(), 5);
    assert_eq!(entries(&gateway, "action=command.sent").await.len(), 1);
    assert!(entries(&gateway, "action=comm").await.is_empty());
    assert_eq!(entries(&gateway, "user=local").await.len(), 3);
    assert!(entries(&gateway, "user=nobody").await.is_empty());
    let all = entries(&gateway, "").await;
    let at = all[4]["at"].as_i64().expect("a number");
    let until = entries(&gateway, &format!("to={at}")).await;
    let from = entries(&gateway, &format!("from={at}")).await;
    assert_eq!(until.len() + from.len(), all.len());
    let mut paged = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let (_, page) = gateway.get(&format!("/api/v1/audit?{query}")).await;
        paged.extend(page["items"].as_array().expect("a list").clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=3&cursor={next}");
    }
    assert_eq!(paged, all);
    for bad in ["from=noon", "cursor=x", "limit=0", "colour=red"] {
        let (status, problem) = gateway.get(&format!("/api/v1/audit?{bad}")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad_query")));
    }
}

#[tokio::test]
async fn it_is_a_chain_that_goes_on_after_a_kill() {
    let mut gateway = TestGateway::start().await;
    a_day(&gateway).await;
    let before = entries(&gateway, "").await;
    gateway.kill();
    gateway.start_again().await;
    let after = entries(&gateway, "").await;
    assert_eq!(after[1..], before, "nothing that was answered is lost");
    assert_eq!(
        (&after[0]["action"], &after[0]["previous"]),
        (&json!("gateway.started"), &before[0]["hash"])
    );
    for pair in after.windows(2) {
        assert_eq!(pair[0]["previous"], pair[1]["hash"]);
        assert_eq!(pair[0]["number"].as_u64(), pair[1]["number"].as_u64().map(|number| number + 1));
    }
    assert_eq!(after.last().expect("entries")["previous"], "0".repeat(64));
}

#[tokio::test]
async fn a_restart_tells_and_records_nothing_again_of_a_deleted_device_or_a_batch() {
    let mut gateway = TestGateway::start().await;
    let mut device = gateway.device("old").await;
    let command = create(&gateway, "old", json!({"name": "go"})).await;
    let mut live = gateway.live().await;
    live.subscribe(&["commands/#"]).await;
    let sent = device.command().await;
    device.answer(&sent.id, &json!({"status": "failed"})).await;
    reaches(&mut live, &id(&command), "failed").await;
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/old").send().await;
    assert_eq!(delete.expect("an answer").status(), StatusCode::NO_CONTENT);
    put(&gateway, "/api/v1/devices/away", json!({})).await;
    let body = json!({"devices": ["away"], "command": {"name": "go", "ttl_ms": 0}});
    let (_, batch) = gateway.post("/api/v1/command-batches", &body).await;
    assert_eq!(batch["state"], "done");
    let before = entries(&gateway, "action=command").await;
    let welcome = gateway.live().await.welcome;
    gateway.restart().await;
    assert_eq!(entries(&gateway, "action=command").await, before);
    let (_, alerts) = gateway.get("/api/v1/alerts?state=active").await;
    assert_eq!(alerts["items"], json!([]), "its device is deleted");
    let since = json!({"since": {"epoch": welcome["epoch"], "offset": welcome["offset"]}});
    let mut live = gateway.live().await;
    let told = live.subscribe_with(&["commands/#", "batches/#", "alerts/#"], since).await;
    assert!(told.iter().all(|message| message["channel"].is_null()), "{told:?}");
}

#[tokio::test]
async fn a_step_that_was_recorded_before_a_restart_is_not_recorded_again() {
    let mut gateway = TestGateway::start().await;
    for device in ["a", "b"] {
        put(&gateway, &format!("/api/v1/devices/{device}"), json!({})).await;
    }
    let command = json!({"name": "go", "ttl_ms": 1_000});
    let body = json!({"devices": ["a", "b"], "command": command, "concurrency": 1});
    let (_, batch) = gateway.post("/api/v1/command-batches", &body).await;
    gateway.restart().await;
    let path = format!("/api/v1/command-batches/{}", id(&batch));
    until("its end", async || gateway.get(&path).await.1["state"] == "done").await;
    let all = entries(&gateway, "action=command.queued").await;
    assert_eq!(all.len(), 2, "a row each: {all:?}");
}

#[tokio::test]
async fn the_command_line_verifies_it_to_its_head() {
    let gateway = TestGateway::start().await;
    a_day(&gateway).await;
    let verify = Program::new("sluice", &["audit", "verify", "--json"]);
    let ended = verify.env("SLUICE_URL", &gateway.url()).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let all = entries(&gateway, "").await;
    let said: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(said, json!({"entries": all.len(), "first": 1, "head": all[0]["hash"]}));
}

#[tokio::test]
async fn who_is_refused_changes_nothing() {
    let gateway = TestGateway::start().await;
    let (status, _) = gateway.post("/api/v1/devices/nobody/commands", &json!({"name": "x"})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(actions(&entries(&gateway, "").await), ["gateway.started"]);
}

#[tokio::test]
async fn what_is_done_with_a_batch_is_in_it() {
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("pump-1").await;
    put(&gateway, "/api/v1/devices/pump-2", json!({})).await;
    let batch = json!({
        "devices": ["pump-1", "pump-2"], "command": {"name": "stop"},
        "concurrency": 1, "abort_after": {"failures": 1},
    });
    let (status, made) = gateway.post("/api/v1/command-batches", &batch).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{made}");
    let of = |batch: &Value, act: &str| {
        let id = batch["id"].as_str().expect("an id");
        format!("/api/v1/command-batches/{id}{act}")
    };
    for act in ["/pause", "/resume"] {
        assert_eq!(gateway.post(&of(&made, act), &json!({})).await.0, StatusCode::OK, "{act}");
    }
    let order = device.take().await;
    device.answer(&order.id, &json!({"status": "failed"})).await;
    tests::until("it to be given up", async || {
        gateway.get(&of(&made, "")).await.1["state"] == "aborted"
    })
    .await;
    let (_, other) = gateway.post("/api/v1/command-batches", &batch).await;
    assert_eq!(gateway.post(&of(&other, "/cancel"), &json!({})).await.0, StatusCode::OK);
    let all = entries(&gateway, "action=batch").await;
    assert_eq!(
        actions(&all),
        [
            "batch.created",
            "batch.paused",
            "batch.resumed",
            "batch.aborted",
            "batch.created",
            "batch.cancelled"
        ]
    );
    let who: Vec<_> = all.iter().map(|entry| entry["by"].as_str().expect("a text")).collect();
    assert_eq!(who, ["user", "user", "gateway", "user", "user", "user"]);
    assert!(all[0]["address"].as_str().expect("a text").starts_with("127.0.0.1:"));
    assert_eq!(all[5]["details"]["batch"], made["id"]);
    assert_eq!(all[5]["details"]["request"]["command"]["name"], "stop");
}

#[tokio::test]
async fn what_is_done_on_the_command_line_is_in_it_with_or_without_a_running_gateway() {
    let mut gateway = TestGateway::start().await;
    let dir = gateway.data_dir();
    let token = async |arguments: &[&str]| {
        let dir = dir.to_str().expect("UTF-8");
        let arguments = [&["token", "--data-dir", dir][..], arguments].concat();
        let ended = Program::new("sluice-gateway", &arguments).run().await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout.trim().to_owned()
    };
    let anna = token(&["create", "anna"]).await;
    let told = async |gateway: &TestGateway, wanted: &[&str]| {
        let mut all = Vec::new();
        tests::until("the entries", async || {
            let request = gateway.request(Method::GET, "/api/v1/audit?action=token");
            let answer = request.bearer_auth(&anna).send().await.expect("an answer");
            let page: Value = answer.json().await.expect("JSON");
            all = page["items"].as_array().cloned().unwrap_or_default();
            actions(&all) == wanted
        })
        .await;
        all
    };
    told(&gateway, &["token.created"]).await;
    gateway.terminate();
    assert_eq!(gateway.ended().await.code(), Some(0));
    let narrow = token(&["create", "vera", "--role", "viewer", "--devices", "pump-*"]).await;
    token(&["revoke", "vera"]).await;
    gateway.start_again().await;
    let all = told(&gateway, &["token.created", "token.created", "token.revoked"]).await;
    let created = &all[1];
    assert_eq!((&created["by"], &created["address"]), (&json!("user"), &Value::Null));
    assert!(!created["user"].as_str().expect("who ran it").is_empty());
    let (details, what) = (&created["details"], &created["details"]["what"]);
    assert_eq!(details["via"], "command line");
    assert_eq!((&what["user"], &what["role"]), (&json!("vera"), &json!("viewer")));
    assert_eq!(what["devices"], json!(["pump-*"]));
    let parts: Vec<_> = narrow.splitn(3, '_').collect();
    assert_eq!(what["token"], parts[1]);
    assert!(!format!("{all:?}").contains(parts[2]), "no secret");
    let verify = Program::new("sluice", &["audit", "verify"]).env("SLUICE_URL", &gateway.url());
    let ended = verify.env("SLUICE_TOKEN", &anna).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn the_command_line_tells_a_token_that_does_not_see_all_from_a_broken_chain() {
    let gateway = TestGateway::start().await;
    a_day(&gateway).await;
    let dir = gateway.data_dir();
    let dir = dir.to_str().expect("UTF-8");
    for device in ["pump-*", "nobody"] {
        let create = ["token", "--data-dir", dir, "create", "vera", "--devices", device];
        let token = Program::new("sluice-gateway", &create).run().await;
        let verify = Program::new("sluice", &["audit", "verify", "--token", token.stdout.trim()]);
        let ended = verify.env("SLUICE_URL", &gateway.url()).run().await;
        assert_eq!(ended.code, Some(4), "{device}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("does not see") && ended.stdout.is_empty(),
            "{}",
            ended.stderr
        );
    }
}
