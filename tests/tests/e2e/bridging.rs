//! Another broker as a bridge: Mosquitto, with its default settings, carries messages both ways.

use crate::orders::{self, id, reaches};
use serde_json::json;
use tests::{
    TestGateway,
    mosquitto::{self, Broker, Subscriber},
};

/// A broker that bridges `topics` with `gateway`.
async fn bridge(gateway: &TestGateway, topics: &[&str]) -> Broker {
    let topics: String = topics.iter().map(|topic| format!("topic {topic}\n")).collect();
    Broker::start(&format!("connection near\naddress {}\n{topics}", gateway.mqtt())).await
}

#[tokio::test]
async fn a_mosquitto_bridge_carries_each_message_once_in_either_direction() {
    let far = TestGateway::start().await;
    mosquitto::publish(far.mqtt(), &["-r", "-q", "1", "-t", "hall/0", "-m", "0"]).await;
    let near = bridge(&far, &["hall/# both 1"]).await;
    let arguments = ["-q", "1", "-t", "hall/#", "-F", "%t %p"];
    let mut near_hears = Subscriber::start(near.mqtt(), &arguments).await;
    // It comes over the bridge, which is there from then on.
    assert_eq!(near_hears.line().await, "hall/0 0");
    let mut far_hears = Subscriber::start(far.mqtt(), &arguments).await;
    assert_eq!(far_hears.line().await, "hall/0 0");
    for (number, from) in [near.mqtt(), far.mqtt(), near.mqtt(), far.mqtt()].iter().enumerate() {
        let (topic, payload) = (format!("hall/{number}"), number.to_string());
        mosquitto::publish(*from, &["-q", "1", "-t", &topic, "-m", &payload]).await;
        // One that came back over the bridge would come before the next.
        for hears in [&mut near_hears, &mut far_hears] {
            assert_eq!(hears.line().await, format!("{topic} {payload}"));
        }
    }
}

#[tokio::test]
async fn what_is_retained_on_one_side_of_a_bridge_is_retained_on_the_other() {
    let far = TestGateway::start().await;
    mosquitto::publish(far.mqtt(), &["-r", "-q", "1", "-t", "hall/before", "-m", "x"]).await;
    let near = bridge(&far, &["hall/# both 1"]).await;
    let mut hears = Subscriber::start(near.mqtt(), &["-t", "hall/#", "-F", "%t"]).await;
    assert_eq!(hears.line().await, "hall/before");
    for (topic, from, to) in [
        ("hall/before", far.mqtt(), near.mqtt()),
        ("hall/later", far.mqtt(), near.mqtt()),
        ("hall/back", near.mqtt(), far.mqtt()),
    ] {
        let mut arrives = Subscriber::start(to, &["-t", "hall/#", "-F", "%t %p"]).await;
        mosquitto::publish(from, &["-r", "-q", "1", "-t", topic, "-m", "kept"]).await;
        while arrives.line().await != format!("{topic} kept") {}
        let mut late = Subscriber::start(to, &["-t", topic, "-F", "%r %p"]).await;
        assert_eq!(late.line().await, "1 kept", "{topic}");
    }
}

#[tokio::test]
async fn a_device_behind_a_bridge_speaks_and_carries_out_a_command() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/pump-1", "commands/pump-1"]).await;
    let near = bridge(&gateway, &["devices/# out 1", "devices/pump-1/commands/+ in 1"]).await;
    let filter = "devices/pump-1/commands/+";
    let mut device = Subscriber::start(near.mqtt(), &["-q", "1", "-t", filter, "-F", "%t"]).await;
    let reading = ["-q", "1", "-t", "devices/pump-1/telemetry", "-m", r#"{"bar":2}"#];
    mosquitto::publish(near.mqtt(), &reading).await;
    assert_eq!(live.update("telemetry/pump-1").await["data"], json!({"bar": 2}));
    let command = id(&orders::create(&gateway, "pump-1", json!({"name": "open"})).await);
    let topic = device.line().await;
    assert_eq!(topic, format!("devices/pump-1/commands/{command}"));
    let answer = ["-q", "1", "-t", &format!("{topic}/ack"), "-m", r#"{"status":"succeeded"}"#];
    mosquitto::publish(near.mqtt(), &answer).await;
    reaches(&mut live, &command, "succeeded").await;
}
