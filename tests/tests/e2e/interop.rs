//! Mosquitto's clients among themselves and beside a WebSocket client.

use serde_json::json;
use tests::{
    TestGateway,
    mosquitto::{self, Subscriber},
};

#[tokio::test]
async fn what_mosquitto_pub_says_reaches_a_websocket_and_mosquitto_sub_in_order() {
    let gateway = TestGateway::start().await;
    for version in ["311", "5"] {
        let topic = format!("devices/pump-{version}/telemetry");
        let channel = format!("telemetry/pump-{version}");
        let mut live = gateway.live().await;
        live.subscribe(&[&channel]).await;
        let arguments = ["-V", version, "-t", "#", "-F", "%t %p"];
        let mut subscriber = Subscriber::start(gateway.mqtt(), &arguments).await;
        for (number, qos) in ["0", "1", "2"].into_iter().enumerate() {
            let payload = json!({ "n": number }).to_string();
            let arguments = ["-V", version, "-q", qos, "-t", &topic, "-m", &payload];
            mosquitto::publish(gateway.mqtt(), &arguments).await;
            assert_eq!(subscriber.line().await, format!("{topic} {payload}"));
            let update = live.next().await;
            assert_eq!((&update["channel"], &update["seq"]), (&json!(channel), &json!(number + 1)));
            assert_eq!(update["data"], json!({ "n": number }));
        }
    }
}
