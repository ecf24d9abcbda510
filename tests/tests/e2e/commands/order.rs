//! Which command goes out when, and what is sent again.

use super::*;

#[tokio::test]
async fn commands_come_one_at_a_time_by_priority_and_then_in_their_order() {
    let (gateway, mut live) = arrange().await;
    for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", -1), ("e", 5)] {
        create(&gateway, json!({"name": name, "priority": priority})).await;
    }
    let mut device = gateway.device(DEVICE).await;
    let mut order = Vec::new();
    for _ in 0..5 {
        let command = device.take().await;
        order.push(command.order["name"].as_str().expect("a name").to_owned());
        reaches(&mut live, &command.id, "delivered").await;
        let (_, underway) = gateway.get("/api/v1/commands?state=delivered").await;
        assert_eq!(underway["items"].as_array().expect("a list").len(), 1);
        device.answer(&command.id, &json!({"status": "succeeded"})).await;
    }
    assert_eq!(order, ["b", "e", "a", "c", "d"]);
}

#[tokio::test]
async fn a_newer_command_takes_the_place_of_a_queued_one() {
    let (gateway, mut live) = arrange().await;
    let old = id(&create(&gateway, json!({"name": "set", "supersede": "speed"})).await);
    let other = id(&create(&gateway, json!({"name": "other", "supersede": "light"})).await);
    let new = id(&create(&gateway, json!({"name": "set", "supersede": "speed"})).await);
    reaches(&mut live, &old, "superseded").await;
    let mut device = gateway.device(DEVICE).await;
    for expected in [other, new] {
        assert_eq!(device.take().await.id, expected);
        device.answer(&expected, &json!({"status": "succeeded"})).await;
    }
}

#[tokio::test]
async fn a_scheduled_command_waits_for_its_time() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let now = live.reply(json!({"type": "ping"})).await["server_time"].as_i64().expect("a time");
    let command = create(&gateway, json!({"name": "fill", "not_before": now + 300})).await;
    assert_eq!(command["state"], "scheduled");
    let order = device.take().await;
    reaches(&mut live, &order.id, "queued").await;
    let (_, details) = gateway.get(&format!("/api/v1/commands/{}", order.id)).await;
    assert!(details["transitions"][1]["at"].as_i64().expect("a time") >= now + 300, "{details}");
}

#[tokio::test]
async fn a_command_is_sent_again_only_while_no_puback_came() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    assert_eq!(device.command().await.order["attempt"], 1);
    drop(device);
    let mut device = gateway.device(DEVICE).await;
    let again = device.command().await;
    assert_eq!((&again.id, &again.order["attempt"]), (&id, &json!(2)));
    device.peer.puback(again.message.id).await;
    reaches(&mut live, &id, "delivered").await;
    drop(device);

    let mut device = gateway.device(DEVICE).await;
    let next = create(&gateway, json!({"name": "next", "priority": 9})).await;
    device.answer(&id, &json!({"status": "succeeded", "attempt": 2})).await;
    assert_eq!(device.take().await.id, next["id"], "what was acknowledged does not come again");
}

#[tokio::test]
async fn an_idempotent_command_is_sent_again_though_its_puback_came() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill", "idempotent": true})).await);
    device.take().await;
    reaches(&mut live, &id, "delivered").await;
    drop(device);
    let mut device = gateway.device(DEVICE).await;
    let again = device.take().await;
    assert_eq!((again.id, &again.order["attempt"]), (id, &json!(2)));
}

#[tokio::test]
async fn an_answer_to_an_older_attempt_settles_the_command_but_its_progress_is_a_note() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.command().await;
    drop(device);
    let mut device = gateway.device(DEVICE).await;
    device.command().await;
    device.answer(&id, &json!({"status": "progress", "progress": 10, "attempt": 1})).await;
    let (_, command) = gateway.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!((&command["state"], &command["progress"]), (&json!("sent"), &Value::Null));
    device.answer(&id, &json!({"status": "succeeded", "attempt": 1})).await;
    reaches(&mut live, &id, "succeeded").await;
}
