//! The audit log: what is in it, how it is asked for, that it is a chain, and that it survives.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Program, TestGateway};

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
