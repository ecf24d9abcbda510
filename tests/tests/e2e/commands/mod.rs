//! The life of a command, through HTTP and WebSocket, with a device whose answers the test decides.

mod callers;
mod life;
mod order;
mod receivers;

use crate::orders::{self, id, make_known, reaches};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::{Live, TestGateway};

const DEVICE: &str = "pump-1";

/// A gateway that knows the device, and a client that follows its commands.
async fn arrange() -> (TestGateway, Live) {
    let gateway = TestGateway::start().await;
    make_known(&gateway, DEVICE).await;
    let mut live = gateway.live().await;
    live.subscribe(&["commands/#"]).await;
    (gateway, live)
}

/// Creates a command and gives it as it was accepted.
async fn create(gateway: &TestGateway, body: Value) -> Value {
    orders::create(gateway, DEVICE, body).await
}

async fn cancel(gateway: &TestGateway, id: &str) -> (StatusCode, Value) {
    gateway.post(&format!("/api/v1/commands/{id}/cancel"), &json!({})).await
}

/// Each step it took: the state and who made it so.
async fn story(gateway: &TestGateway, id: &str) -> Vec<String> {
    let (_, command) = gateway.get(&format!("/api/v1/commands/{id}")).await;
    let steps = command["transitions"].as_array().expect("a command alone has its story");
    let text = |step: &Value, key: &str| step[key].as_str().expect("a text").to_owned();
    steps.iter().map(|step| format!("{} by {}", text(step, "state"), text(step, "by"))).collect()
}
