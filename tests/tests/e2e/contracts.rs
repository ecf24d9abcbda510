//! The machine-readable contracts: valid by their public validators, and true of a running gateway.

use reqwest::Method;
use serde_json::{Map, Value, json};
use std::{ffi::OsString, path::PathBuf};
use tests::{Connect, Ended, Peer, Program, TestGateway, Version};
use tokio::process::Command;

/// Runs a script of this folder and gives the number that it prints.
async fn run(program: OsString, script: &str, arguments: &[&str]) -> u64 {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(&program);
    command.current_dir(&folder).arg(folder.join(script)).args(arguments);
    let Ended { code, stdout, stderr } = Program::of(command).run().await;
    assert_eq!(code, Some(0), "{script}: {stderr}");
    stdout.trim().parse().expect("the script prints a number")
}

/// A gateway that knows the device of the examples and an open command of it.
async fn arrange() -> (TestGateway, String) {
    let gateway = TestGateway::start().await;
    let put = gateway.request(Method::PUT, "/api/v1/devices/pump-1").json(&json!({}));
    assert!(put.send().await.expect("an answer").status().is_success());
    let (_, command) =
        gateway.post("/api/v1/devices/pump-1/commands", &json!({"name": "open"})).await;
    let id = command["id"].as_str().expect("a text").to_owned();
    (gateway, id)
}

/// An alert of the device of the examples.
async fn alert(gateway: &TestGateway) -> String {
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "hub")).await;
    peer.publish("devices/pump-1/events", br#"{"severity":"info","code":"door"}"#, 1).await;
    let (_, page) = gateway.get("/api/v1/alerts").await;
    page["items"][0]["id"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn the_gateway_answers_as_its_openapi_json_says() {
    let python = std::env::var_os("SLUICE_PYTHON");
    let python = python.expect("SLUICE_PYTHON is a Python with packages: tests/run makes one");
    let (gateway, command) = arrange().await;
    let alert = alert(&gateway).await;
    let answers = run(python, "python/openapi.py", &[&gateway.url(), &command, &alert]).await;
    assert!(answers > 100, "{answers}");
}

#[tokio::test]
async fn golden_messages_are_as_asyncapi_json_says() {
    let packages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("js/node_modules/@asyncapi");
    assert!(packages.is_dir(), "{} is missing: npm ci in tests/js", packages.display());
    let gateway = TestGateway::start().await;
    let arguments = [&gateway.url(), "tests/e2e/snapshots"];
    let golden = run("node".into(), "js/asyncapi.mjs", &arguments).await;
    assert!(golden > 25, "{golden}");
}

#[tokio::test]
async fn every_example_of_what_a_client_sends_is_understood() {
    let (gateway, command) = arrange().await;
    let mut live = gateway.live().await;
    let (_, document) = gateway.get("/asyncapi.json").await;
    let asked = document["operations"]["ask"]["messages"].as_array().expect("a list");
    assert!(asked.len() >= 7);
    for message in asked {
        let reference = message["$ref"].as_str().expect("a reference");
        let name = reference.rsplit('/').next().expect("a name");
        let examples = document["components"]["messages"][name]["examples"].as_array();
        for example in examples.expect("a list") {
            let mut request = example["payload"].clone();
            if name == "cancel" {
                request["command"] = command.as_str().into();
            }
            let reply = live.reply(request.clone()).await;
            assert!(is_understood(&reply), "{request}: {reply}");
        }
    }
}

/// Done, or refused for what the gateway has and not for how it was asked.
fn is_understood(reply: &Value) -> bool {
    reply["type"] != "error" || reply["code"] == "bad_range"
}

/// Says whether a value is as a schema of the document says.
fn schema(document: &Value, name: &str) -> impl Fn(&Value) -> bool {
    let dialect = match document.get("openapi") {
        Some(_) => "https://json-schema.org/draft/2020-12/schema",
        None => "http://json-schema.org/draft-07/schema#",
    };
    let schema = json!({
        "$schema": dialect,
        "allOf": [{"$ref": format!("#/components/schemas/{name}")}],
        "components": document["components"],
    });
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    move |value| validator.is_valid(value)
}

#[tokio::test]
async fn asyncapi_json_has_the_bounds_of_what_a_client_sends() {
    let (gateway, _) = arrange().await;
    let (_, document) = gateway.get("/asyncapi.json").await;
    let is_valid = schema(&document, "ClientMessage");
    let mut live = gateway.live().await;
    let subscribe =
        |options: Value| json!({"type": "subscribe", "channels": ["a"], "options": options});
    let command = |member: &str, value: Value| json!({"type": "command", "device": "pump-1", "name": "open", member: value});
    let within = |ms: u64| json!({"metric": "rpm", "op": "==", "value": 1, "within_ms": ms});
    let expect = |of: &str, name: &str| json!({of: name, "op": "==", "value": 1});
    let (most, text) = (2_592_000_000_u64, "x".repeat(128));
    for (request, taken) in [
        (subscribe(Value::Null), true),
        (subscribe(json!({"mode": "latest", "throttle": 1})), true),
        (subscribe(json!({"mode": "every", "throttle": null})), true),
        (subscribe(json!({"mode": "every", "throttle": 1})), false),
        (command("ttl_ms", json!(0)), true),
        (command("ttl_ms", json!(most)), true),
        (command("ttl_ms", json!(most + 1)), false),
        (command("timeout_ms", json!(most)), true),
        (command("timeout_ms", json!(most + 1)), false),
        (command("timeout_ms", json!(0)), false),
        (command("timeout_ms", Value::Null), true),
        (command("not_before", json!(8_640_000_000_000_001_u64)), false),
        (command("supersede", json!(text)), true),
        (command("supersede", json!(text.clone() + "x")), false),
        (command("supersede", json!("")), false),
        (command("expect", within(most)), true),
        (command("expect", within(most + 1)), false),
        (command("expect", within(0)), false),
        (command("expect", expect("metric", &text)), true),
        (command("expect", expect("state", &text)), true),
        (command("expect", expect("metric", &format!("{text}x"))), false),
        (command("expect", expect("state", &format!("{text}x"))), false),
        (command("expect", expect("metric", "")), false),
        (command("expect", expect("state", "")), false),
        (command("priority", json!(i32::MIN)), true),
        (command("priority", json!(i64::from(i32::MIN) - 1)), false),
        (command("priority", json!(i64::from(i32::MAX) + 1)), false),
        (command("dry_run", json!(false)), true),
        (command("dry_run", json!(true)), false),
    ] {
        let reply = live.reply(request.clone()).await;
        assert_eq!(reply["type"] != "error", taken, "{request}: {reply}");
        assert_eq!(is_valid(&request), taken, "{request}");
    }
    let unmarked = json!({"type": "ping", "id": null});
    assert!(is_valid(&unmarked), "null is no mark");
    live.send_text(unmarked.to_string()).await;
    live.find(|message| message["type"] == "pong").await;
}

#[tokio::test]
async fn openapi_json_has_the_bounds_of_a_batch() {
    let (gateway, _) = arrange().await;
    let (_, document) = gateway.get("/openapi.json").await;
    let is_valid = schema(&document, "BatchRequest");
    let many = u64::from(u32::MAX);
    for (member, value, taken) in [
        ("abort_after", json!({"percent": 0.5}), true),
        ("abort_after", json!({"percent": 100}), true),
        ("abort_after", json!({"percent": 0}), false),
        ("abort_after", json!({"percent": 100.5}), false),
        ("abort_after", json!({"failures": many}), true),
        ("abort_after", json!({"failures": many + 1}), false),
        ("concurrency", json!(many), true),
        ("concurrency", json!(many + 1), false),
        ("concurrency", json!(0), false),
        ("dry_run", Value::Null, true),
        ("dry_run", json!(true), false),
        ("command", json!({"name": "open", "dry_run": false}), true),
        ("command", json!({"name": "open", "dry_run": true}), false),
    ] {
        let mut request = json!({"devices": ["pump-1"], "command": {"name": "open"}});
        request[member] = value;
        let (status, answer) = gateway.post("/api/v1/command-batches", &request).await;
        assert_eq!(status == 202, taken, "{request}: {answer}");
        assert_eq!(is_valid(&request), taken, "{request}");
    }
}

#[tokio::test]
async fn asyncapi_json_has_the_bounds_of_telemetry() {
    let gateway = TestGateway::start().await;
    let (_, document) = gateway.get("/asyncapi.json").await;
    let is_valid = schema(&document, "Telemetry");
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let many = |count: usize| -> Value {
        (0..count).map(|number| (number.to_string(), json!(1))).collect::<Map<_, _>>().into()
    };
    let at = |timestamp: Value| json!({"timestamp": timestamp, "data": {"a": 1}});
    let mut undecodable = 0;
    for (payload, taken) in [
        (at(json!(8_640_000_000_000_000_u64)), true),
        (at(json!(8_640_000_000_000_001_u64)), false),
        (at(json!(-1)), false),
        (at(json!(1.5)), false),
        (at(json!("x")), false),
        (at(Value::Null), false),
        (json!([at(json!(1)), {"a": 1}, at(json!("x"))]), false),
        (json!([at(json!(1)), {"a": 1}]), true),
        (json!({"timestamp": "x", "data": 5}), true),
        (json!({"timestamp": 1, "data": {"a": 1}, "site": "north"}), true),
        (many(256), true),
        (many(257), false),
        (json!({"timestamp": 1, "data": many(256)}), true),
        (json!({"timestamp": 1, "data": many(257)}), false),
    ] {
        peer.publish("devices/pump-1/telemetry", payload.to_string().as_bytes(), 1).await;
        undecodable += u64::from(!taken);
        let counted = gateway.metric("sluice_mqtt_undecodable_total").await;
        assert_eq!(counted, undecodable, "{payload:.100}");
        assert_eq!(is_valid(&payload), taken, "{payload:.100}");
    }
}
