//! Several threads that serve clients, as on a machine with more processors than this one may have.

use crate::orders::{create, id, reaches};
use serde_json::json;
use std::collections::HashMap;
use tests::TestGateway;
use tokio::task::JoinSet;

#[tokio::test]
async fn several_workers_keep_each_devices_order() {
    let gateway = TestGateway::with(&[("WORKERS", "3")]).await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#", "commands/#"]).await;
    let mut devices = JoinSet::new();
    for device in ["d1", "d2", "d3", "d4"] {
        let mut device = gateway.device(device).await;
        devices.spawn(async move {
            for number in 1..=100 {
                device.say("telemetry", &json!({"number": number})).await;
            }
            let order = device.command().await;
            device.answer(&order.id, &json!({"status": "succeeded"})).await;
        });
    }
    let mut numbers = HashMap::new();
    while numbers.values().sum::<u64>() < 4 * 100 {
        let update = live.find(|message| message["data"].get("number").is_some()).await;
        let channel = update["channel"].as_str().expect("a channel").to_owned();
        let last: &mut u64 = numbers.entry(channel).or_default();
        *last += 1;
        assert_eq!(update["data"]["number"], *last, "{update}");
    }
    for device in ["d1", "d2", "d3", "d4"] {
        let command = create(&gateway, device, json!({"name": "go"})).await;
        assert_eq!(reaches(&mut live, &id(&command), "succeeded").await["device"], device);
    }
    devices.join_all().await;
}
