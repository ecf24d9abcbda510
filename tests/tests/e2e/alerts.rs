//! Alerts: raised by devices, rules and commands; acknowledged and cleared; kept, told and posted.

use axum::{Router, body::Bytes, http::HeaderMap, http::StatusCode as Status, routing::post};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Write as _;
use tests::{Connect, Live, Peer, TestGateway, Version, soon};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

async fn publisher(gateway: &TestGateway) -> Peer {
    Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "hub")).await
}

async fn say(peer: &mut Peer, device: &str, event: Value) {
    peer.publish(&format!("devices/{device}/events"), event.to_string().as_bytes(), 1).await;
}

fn dry() -> Value {
    json!({"severity": "critical", "code": "dry", "message": "no water", "data": {"flow": 0}})
}

async fn alerts(gateway: &TestGateway, query: &str) -> Vec<Value> {
    let (status, page) = gateway.get(&format!("/api/v1/alerts?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["items"].as_array().expect("a list").clone()
}

/// The next change of an alert, as its channel tells it.
async fn change(live: &mut Live, channel: &str) -> Value {
    live.update(channel).await["data"].take()
}

async fn act(gateway: &TestGateway, alert: &Value, what: &str) -> (StatusCode, Value) {
    let id = alert["id"].as_str().expect("an alert has an id");
    gateway.post(&format!("/api/v1/alerts/{id}/{what}"), &json!({})).await
}

#[tokio::test]
async fn an_event_is_one_alert_until_it_is_cleared_and_everybody_sees_each_change() {
    let gateway = TestGateway::start().await;
    let (mut one, mut other) = (gateway.live().await, gateway.live().await);
    one.subscribe(&["alerts/#"]).await;
    other.subscribe(&["alerts/critical/pump-1"]).await;
    let mut peer = publisher(&gateway).await;
    say(&mut peer, "pump-1", dry()).await;
    say(&mut peer, "pump-1", dry()).await;
    for live in [&mut one, &mut other] {
        let raised = change(live, "alerts/critical/pump-1").await;
        assert_eq!((&raised["state"], &raised["count"]), (&json!("active"), &json!(1)));
        let counted = change(live, "alerts/critical/pump-1").await;
        assert_eq!((&counted["id"], &counted["count"]), (&raised["id"], &json!(2)));
    }
    let alert = alerts(&gateway, "state=active&severity=critical&device=pump-1").await.remove(0);
    assert!(alerts(&gateway, "severity=info").await.is_empty());
    let (status, acknowledged) = act(&gateway, &alert, "ack").await;
    assert_eq!((status, &acknowledged["acknowledged_by"]), (StatusCode::OK, &json!("local")));
    for live in [&mut one, &mut other] {
        let told = change(live, "alerts/critical/pump-1").await;
        assert_eq!(told, acknowledged, "an acknowledgement shows in every session");
    }
    assert_eq!(act(&gateway, &alert, "ack").await.1, acknowledged, "who was first stays");
    let over = json!({"severity": "critical", "code": "dry", "clear": true});
    say(&mut peer, "pump-1", over).await;
    let cleared = change(&mut one, "alerts/critical/pump-1").await;
    assert_eq!((&cleared["state"], &cleared["cleared_by"]), (&json!("cleared"), &json!("device")));
    assert_eq!(act(&gateway, &alert, "ack").await.0, StatusCode::CONFLICT);
    gateway.until_metric("sluice_alerts_active", 0).await;
}

#[tokio::test]
async fn alerts_survive_a_kill_and_are_not_raised_anew() {
    let mut gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    say(&mut peer, "pump-1", dry()).await;
    say(&mut peer, "pump-2", dry()).await;
    let before = alerts(&gateway, "").await;
    let (_, acknowledged) = act(&gateway, &before[0], "ack").await;
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(alerts(&gateway, "").await, [acknowledged, before[1].clone()]);
    let mut peer = publisher(&gateway).await;
    say(&mut peer, "pump-1", dry()).await;
    let after = alerts(&gateway, "device=pump-1").await;
    assert_eq!((after.len(), &after[0]["count"]), (1, &json!(2)));
}

#[tokio::test]
async fn a_list_of_alerts_goes_page_by_page_from_the_newest_on() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    for number in 0..5 {
        say(&mut peer, "pump-1", json!({"severity": "info", "code": format!("c{number}")})).await;
    }
    let mut codes = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let (_, page) = gateway.get(&format!("/api/v1/alerts?{query}")).await;
        let items = page["items"].as_array().expect("a list");
        codes.extend(items.iter().map(|alert| alert["code"].as_str().expect("a text").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=2&cursor={next}");
    }
    assert_eq!(codes, ["c4", "c3", "c2", "c1", "c0"]);
    for bad in ["state=gone", "severity=bad", "cursor=7", "limit=0", "colour=red"] {
        let (status, problem) = gateway.get(&format!("/api/v1/alerts?{bad}")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("bad_query")));
    }
    let unknown = json!({"id": "0190d9c2-7c3a-7b6e-8f00-000000000000"});
    let (status, problem) = act(&gateway, &unknown, "ack").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown_alert")));
}

#[tokio::test]
async fn commands_that_fail_or_time_out_raise_alerts_and_success_clears_them() {
    let gateway = TestGateway::start().await;
    let mut device = gateway.device("pump-1").await;
    device.say("telemetry", &json!({"rpm": 1})).await;
    let mut live = gateway.live().await;
    live.subscribe(&["alerts/#"]).await;
    let path = "/api/v1/devices/pump-1/commands";
    gateway.post(path, &json!({"name": "fill", "timeout_ms": 50})).await;
    device.take().await;
    let raised = change(&mut live, "alerts/warning/pump-1").await;
    assert_eq!(raised["code"], "command_timed_out:fill");
    gateway.post(path, &json!({"name": "fill"})).await;
    let order = device.take().await;
    let error = json!({"code": "dry", "message": "no water"});
    device.answer(&order.id, &json!({"status": "failed", "error": error})).await;
    let raised = change(&mut live, "alerts/warning/pump-1").await;
    assert_eq!(raised["message"], "command fill failed: no water");
    assert_eq!(raised["data"]["command"], order.id);
    gateway.post(path, &json!({"name": "fill"})).await;
    let order = device.take().await;
    device.answer(&order.id, &json!({"status": "succeeded"})).await;
    for _ in 0..2 {
        assert_eq!(change(&mut live, "alerts/warning/pump-1").await["state"], "cleared");
    }
}

const RULES: &str = r#"
[[alerts]]
code = "hot"
severity = "critical"
type = "thermostat"
metric = "temperature"
above = 30
clear = 28
for_ms = 1000

[[alerts]]
code = "offline"
type = "thermostat"
offline_ms = 1000
"#;

async fn with_rules() -> (TestGateway, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").expect("a temporary file");
    file.write_all(RULES.as_bytes()).expect("room for it");
    let path = file.path().to_str().expect("UTF-8").to_owned();
    (TestGateway::with_flags(&[], &["--config", &path]).await, file)
}

async fn is_thermostat(gateway: &TestGateway, device: &str) {
    let put = gateway.request(Method::PUT, &format!("/api/v1/devices/{device}"));
    let put = put.json(&json!({"type": "thermostat"})).send().await.expect("an answer");
    assert_eq!(put.status(), StatusCode::OK);
}

#[tokio::test]
async fn rules_watch_metrics_and_devices_that_are_away() {
    let (mut gateway, _file) = with_rules().await;
    is_thermostat(&gateway, "room").await;
    let mut live = gateway.live().await;
    live.subscribe(&["alerts/#"]).await;
    let mut device = gateway.device("room").await;
    device.say("telemetry", &json!({"temperature": 31.5})).await;
    let hot = change(&mut live, "alerts/critical/room").await;
    assert_eq!((&hot["code"], &hot["data"]["value"]), (&json!("hot"), &json!(31.5)));
    device.say("telemetry", &json!({"temperature": 29})).await;
    device.say("telemetry", &json!({"temperature": 28})).await;
    let cleared = change(&mut live, "alerts/critical/room").await;
    assert_eq!((&cleared["state"], &cleared["cleared_by"]), (&json!("cleared"), &json!("gateway")));
    device.peer.disconnect().await;
    let away = change(&mut live, "alerts/warning/room").await;
    assert_eq!((&away["code"], &away["state"]), (&json!("offline"), &json!("active")));
    // What a timer raised nobody waits for; a page of the audit log comes when all before it is stored.
    gateway.get("/api/v1/audit").await;
    gateway.kill();
    gateway.start_again().await;
    let mut live = gateway.live().await;
    live.subscribe(&["alerts/#"]).await;
    assert_eq!(alerts(&gateway, "state=active").await.len(), 1, "it is still away");
    let _device = gateway.device("room").await;
    let back = change(&mut live, "alerts/warning/room").await;
    assert_eq!(
        (&back["id"], &back["state"], &back["count"]),
        (&away["id"], &json!("cleared"), &json!(1))
    );
}

#[tokio::test]
async fn a_value_that_stands_counts_when_its_type_is_set_and_when_the_gateway_starts_again() {
    let (mut gateway, _file) = with_rules().await;
    let mut live = gateway.live().await;
    live.subscribe(&["alerts/critical/#"]).await;
    let (mut room, mut hall) = (gateway.device("room").await, gateway.device("hall").await);
    room.say("telemetry", &json!({"temperature": 31.5})).await;
    is_thermostat(&gateway, "room").await;
    assert_eq!(change(&mut live, "alerts/critical/room").await["state"], "active");
    hall.say("telemetry", &json!({"temperature": 40.5})).await;
    is_thermostat(&gateway, "hall").await;
    gateway.kill();
    gateway.start_again().await;
    let mut live = gateway.live().await;
    live.subscribe(&["alerts/critical/hall"]).await;
    let hot = change(&mut live, "alerts/critical/hall").await;
    assert_eq!((&hot["state"], &hot["data"]["value"]), (&json!("active"), &json!(40.5)));
}

#[tokio::test]
async fn a_person_can_clear_what_nothing_else_does() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    say(&mut peer, "pump-1", dry()).await;
    let alert = alerts(&gateway, "").await.remove(0);
    let (status, cleared) = act(&gateway, &alert, "clear").await;
    assert_eq!((status, &cleared["cleared_by"]), (StatusCode::OK, &json!("user:local")));
    assert_eq!(act(&gateway, &alert, "clear").await.0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn alerts_are_bounded_and_events_that_are_none_are_counted() {
    let gateway = TestGateway::with(&[("LIMITS__ALERTS_PER_DEVICE", "2")]).await;
    let mut peer = publisher(&gateway).await;
    for code in ["a", "b", "c"] {
        say(&mut peer, "pump-1", json!({"severity": "info", "code": code})).await;
    }
    assert_eq!(alerts(&gateway, "").await.len(), 2);
    gateway.until_metric("sluice_refused_alerts_total", 1).await;
    say(&mut peer, "pump-1", json!({"severity": "bad", "code": "x"})).await;
    gateway.until_metric("sluice_mqtt_undecodable_total", 1).await;
}

#[tokio::test]
async fn a_device_that_is_deleted_has_no_open_alert() {
    let gateway = TestGateway::start().await;
    let mut peer = publisher(&gateway).await;
    say(&mut peer, "pump-1", dry()).await;
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/pump-1").send().await;
    assert_eq!(delete.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(alerts(&gateway, "state=cleared&device=pump-1").await.len(), 1);
}

/// A receiver of posts on this machine: its URL, and what it takes.
async fn receiver(
    tasks: &mut JoinSet<()>,
) -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("its address"));
    let (sender, taken) = mpsc::unbounded_channel();
    let take = move |headers: HeaderMap, body: Bytes| {
        let taken = sender.send((headers, body));
        std::future::ready(if taken.is_ok() { Status::NO_CONTENT } else { Status::GONE })
    };
    let router = Router::new().route("/hook", post(take));
    tasks.spawn(async move {
        let served = axum::serve(listener, router).await;
        assert!(served.is_ok(), "{served:?}");
    });
    (url, taken)
}

#[tokio::test]
async fn a_webhook_is_told_with_a_signature() {
    let mut tasks = JoinSet::new();
    let (url, mut taken) = receiver(&mut tasks).await;
    let settings = [("WEBHOOK__URL", url.as_str()), ("WEBHOOK__SECRET", "whsec_c2VjcmV0")];
    let gateway = TestGateway::with(&settings).await;
    let mut peer = publisher(&gateway).await;
    say(&mut peer, "pump-1", dry()).await;
    let (headers, body) = soon("a post", taken.recv()).await.expect("the receiver runs");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(
        (&body["type"], &body["data"]["device"]),
        (&json!("alert.raised"), &json!("pump-1"))
    );
    for header in ["webhook-id", "webhook-timestamp"] {
        assert!(headers.contains_key(header), "{headers:?}");
    }
    let signature = headers["webhook-signature"].to_str().expect("a text");
    assert!(signature.starts_with("v1,") && signature.len() == 47, "{signature}");
    gateway.until_metric("sluice_webhook_posted_total", 1).await;
    assert!(!gateway.log().contains("c2VjcmV0"), "the secret is not shown");
}
