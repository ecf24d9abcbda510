//! What leaves an entry in the audit log: each way to change something, one by one.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs};
use tests::{Authority, Connect, Identity, Peer, Program, TestGateway, Version, until};

/// Waits until the entries whose action begins like this are as many, and gives them, the oldest first.
async fn entries(gateway: &TestGateway, action: &str, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    until(action, async || {
        let (status, page) = gateway.get(&format!("/api/v1/audit?action={action}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        all = page["items"].as_array().expect("a list").clone();
        all.len() == count
    })
    .await;
    all.reverse();
    all
}

/// A call that changes something, with the paths of `openapi.json`.
struct Call {
    method: Method,
    path: &'static str,
    body: Value,
    /// The action of the entry that it leaves; none: it leaves none.
    action: Option<&'static str>,
}

fn call(method: Method, path: &'static str, body: Value, action: &'static str) -> Call {
    Call { method, path, body, action: Some(action) }
}

impl Call {
    /// Makes the call, with what its path has in braces, and checks its entry.
    async fn make(&self, gateway: &TestGateway, id: &str) -> Value {
        // The rows of a batch follow from what was asked, and have no address.
        let asked = async || {
            let (_, page) = gateway.get("/api/v1/audit?user=local").await;
            let all = page["items"].as_array().expect("a list").iter();
            all.filter(|entry| entry["address"].is_string()).cloned().collect::<Vec<_>>()
        };
        let before = asked().await.len();
        let path = self.path.replace("{id}", id);
        let request = gateway.request(self.method.clone(), &path).header("if-match", "\"0\"");
        let answer = request.json(&self.body).send().await.expect("an answer");
        let (status, body) = (answer.status(), answer.text().await.expect("a body"));
        assert!(status.is_success(), "{} {path}: {status} {body}", self.method);
        let after = asked().await;
        match self.action {
            None => assert_eq!(after.len(), before, "{} {path}", self.method),
            Some(action) => {
                assert_eq!(after.len(), before + 1, "{} {path}", self.method);
                assert_eq!(after[0]["action"], action, "{} {path}", self.method);
                let address = after[0]["address"].as_str().expect("from where");
                assert!(address.starts_with("127.0.0.1:"), "{address}");
            }
        }
        serde_json::from_str(&body).unwrap_or_default()
    }
}

fn id(of: &Value) -> String {
    of["id"].as_str().expect("an id").to_owned()
}

/// An alert of `pump-1` that stands.
async fn alert(gateway: &TestGateway, code: &str) -> String {
    let mut hub = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "hub")).await;
    let event = json!({"severity": "warning", "code": code, "message": "look"});
    hub.publish("devices/pump-1/events", event.to_string().as_bytes(), 1).await;
    let (_, page) = gateway.get("/api/v1/alerts?state=active").await;
    id(&page["items"][0])
}

#[tokio::test]
async fn each_call_that_changes_something_is_in_it() {
    let (put, patch, post, delete) = (Method::PUT, Method::PATCH, Method::POST, Method::DELETE);
    let gateway = TestGateway::start().await;
    let mut made = Vec::new();
    let mut make = async |call: Call, id: &str| {
        let answer = call.make(&gateway, id).await;
        made.push((call.method.as_str().to_lowercase(), call.path.to_owned()));
        answer
    };
    let device = "/api/v1/devices/{id}";
    make(call(put.clone(), device, json!({"type": "pump"}), "device.changed"), "pump-1").await;
    make(call(patch, device, json!({"tags": {"a": "b"}}), "device.changed"), "pump-1").await;
    let desired = "/api/v1/devices/{id}/desired";
    make(call(put, desired, json!({"valve": 1}), "desired.changed"), "pump-1").await;

    let commands = "/api/v1/devices/{id}/commands";
    let order = call(post.clone(), commands, json!({"name": "stop"}), "command.created");
    let command = id(&make(order, "pump-1").await);
    let cancel = "/api/v1/commands/{id}/cancel";
    make(call(post.clone(), cancel, json!({}), "command.cancelled"), &command).await;

    let many = json!({"devices": ["pump-1"], "command": {"name": "stop"}});
    let batch = call(post.clone(), "/api/v1/command-batches", many, "batch.created");
    let batch = id(&make(batch, "").await);
    for (path, action) in [
        ("/api/v1/command-batches/{id}/pause", "batch.paused"),
        ("/api/v1/command-batches/{id}/resume", "batch.resumed"),
        ("/api/v1/command-batches/{id}/cancel", "batch.cancelled"),
    ] {
        make(call(post.clone(), path, json!({}), action), &batch).await;
    }

    let ack = "/api/v1/alerts/{id}/ack";
    let first = alert(&gateway, "first").await;
    make(call(post.clone(), ack, json!({}), "alert.acknowledged"), &first).await;
    let clear = "/api/v1/alerts/{id}/clear";
    make(call(post.clone(), clear, json!({}), "alert.cleared"), &first).await;
    make(call(delete.clone(), device, json!({}), "device.deleted"), "pump-1").await;

    // Signing in changes nothing but the browser's cookie.
    for (method, body) in [(post, json!({"token": "any"})), (delete, json!({}))] {
        make(Call { method, path: "/api/v1/session", body, action: None }, "").await;
    }
    let (_, openapi) = gateway.get("/openapi.json").await;
    let paths = openapi["paths"].as_object().expect("paths");
    let documented = paths.iter().flat_map(|(path, calls)| {
        let methods = calls.as_object().expect("methods").keys();
        let changing =
            methods.filter(|method| ["put", "patch", "post", "delete"].contains(&&***method));
        changing.map(|method| (method.clone(), path.clone()))
    });
    let made: BTreeSet<_> = made.into_iter().collect();
    assert_eq!(made, documented.collect(), "each call that openapi.json has, and no other");
}

#[tokio::test]
async fn credentials_of_devices_are_in_it_with_who_made_and_who_revoked_them() {
    let gateway = TestGateway::start().await;
    let (dir, file) = (gateway.data_dir(), gateway.data_dir().join("fleet.csv"));
    fs::write(&file, "pump-2,hidden-one\npump-3,hidden-two,pump\n").expect("a file");
    let device = async |arguments: &[&str]| {
        let dir = dir.to_str().expect("UTF-8");
        let arguments = [&["device", "--data-dir", dir][..], arguments].concat();
        let ended = Program::new("sluice-gateway", &arguments).run().await;
        (ended.code, ended.stdout.trim().to_owned())
    };
    let (_, secret) = device(&["add", "pump-1", "--type", "pump"]).await;
    assert_eq!(device(&["import", file.to_str().expect("UTF-8")]).await.0, Some(0));
    assert_eq!(device(&["revoke", "pump-1"]).await.0, Some(0));
    // What is refused leaves none.
    assert_eq!(device(&["add", "pump-2"]).await.0, Some(1));
    assert_eq!(device(&["revoke", "nobody"]).await.0, Some(1));
    let all = entries(&gateway, "credential", 3).await;
    let told: Vec<_> = all.iter().map(|entry| (&entry["action"], &entry["device"])).collect();
    assert_eq!(
        told,
        [
            (&json!("credential.created"), &json!("pump-1")),
            (&json!("credential.imported"), &Value::Null),
            (&json!("credential.revoked"), &json!("pump-1")),
        ]
    );
    assert_eq!(all[0]["details"]["what"], json!({"type": "pump"}));
    assert_eq!(all[1]["details"]["what"], json!({"count": 2, "devices": ["pump-2", "pump-3"]}));
    for entry in &all {
        assert_eq!((&entry["by"], &entry["address"]), (&json!("user"), &Value::Null));
        assert!(!entry["user"].as_str().expect("who ran it").is_empty());
        assert_eq!(entry["details"]["via"], "command line");
        assert!(entry["details"]["done_at"].is_i64());
    }
    let text = format!("{all:?}");
    assert!(!text.contains("hidden") && !text.contains(&secret), "no secret");
}

#[tokio::test]
async fn each_reading_of_a_certificate_is_in_it_whether_it_can_be_used_or_not() {
    let authority = Authority::new();
    let mut gateway = TestGateway::with_tls(&authority, &[]).await;
    let files = Identity {
        cert: authority.ca().with_file_name("server.cert.pem"),
        key: authority.ca().with_file_name("server.key.pem"),
    };
    files.replace_by(&authority.renewed_server());
    entries(&gateway, "certificate.reloaded", 1).await;
    gateway.hang_up();
    let reloaded = entries(&gateway, "certificate.reloaded", 2).await;
    assert_eq!(reloaded[0]["details"]["because"], "the files changed");
    assert_eq!(reloaded[1]["details"]["because"], "SIGHUP");
    gateway.expect_error("the one before stays");
    fs::write(&files.cert, "no certificate").expect("a file");
    let refused = entries(&gateway, "certificate.refused", 1).await.remove(0);
    assert_eq!((&refused["by"], &refused["user"]), (&json!("gateway"), &Value::Null));
    assert_eq!(refused["details"]["files"], json!([files.cert, files.key]));
    assert!(refused["details"]["why"].as_str().expect("why").contains("certificate"), "{refused}");
}

#[tokio::test]
async fn a_flood_of_guesses_is_in_it_once() {
    let gateway = TestGateway::start().await;
    let dir = gateway.data_dir();
    let add = ["device", "--data-dir", dir.to_str().expect("UTF-8"), "add", "pump-1"];
    assert_eq!(Program::new("sluice-gateway", &add).run().await.code, Some(0));
    let guess = async || {
        let connect = Connect::new(Version::V5, "guesser");
        let connect = Connect { user: Some("pump-1"), password: Some("wrong"), ..connect };
        Peer::try_connect(gateway.mqtt(), connect).await
    };
    until("sign-in to be needed", async || guess().await.is_none()).await;
    for _ in 0..4 {
        assert!(guess().await.is_none());
    }
    let told = entries(&gateway, "sign_ins", 1).await.remove(0);
    assert_eq!((&told["action"], &told["by"]), (&json!("sign_ins.delayed"), &json!("gateway")));
    assert_eq!(told["details"]["addresses"], json!(["127.0.0.1"]));
    assert_eq!(told["details"]["names"], json!(["pump-1"]));
    assert!(told["details"]["delayed"].as_u64() >= Some(1), "{told}");
    let delayed = gateway.metric("sluice_mqtt_sign_ins_delayed_total").await;
    guess().await;
    assert!(gateway.metric("sluice_mqtt_sign_ins_delayed_total").await > delayed);
    entries(&gateway, "sign_ins", 1).await;
}
