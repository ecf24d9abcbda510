//! The stages that a command goes through, and how it ends.

use super::*;
use tests::{Connect, Device, Version};

#[tokio::test]
async fn a_command_waits_for_its_device_and_goes_through_its_whole_life() {
    let (gateway, mut live) = arrange().await;
    let body = json!({"name": "set_speed", "params": {"rpm": 900}, "timeout_ms": 20_000});
    let command = create(&gateway, body).await;
    let id = id(&command);
    assert_eq!((&command["state"], &command["attempt"]), (&json!("queued"), &json!(0)));
    reaches(&mut live, &id, "queued").await;

    let mut device = gateway.device(DEVICE).await;
    let order = device.command().await;
    let sent = reaches(&mut live, &id, "sent").await;
    assert_eq!(
        order.order,
        json!({
            "id": id, "name": "set_speed", "params": {"rpm": 900}, "attempt": 1,
            "issued_at": command["created_at"], "not_after": sent["finish_by"],
            "timeout_ms": 20_000,
        })
    );
    device.peer.puback(order.message.id).await;
    reaches(&mut live, &id, "delivered").await;
    device.answer(&id, &json!({"status": "started", "attempt": 1})).await;
    reaches(&mut live, &id, "started").await;
    device.answer(&id, &json!({"status": "progress", "progress": 40})).await;
    assert_eq!(reaches(&mut live, &id, "started").await["progress"], 40.0);
    device.answer(&id, &json!({"status": "succeeded", "result": {"rpm": 899}})).await;
    let ended = reaches(&mut live, &id, "succeeded").await;
    assert_eq!((&ended["result"], &ended["late"]), (&json!({"rpm": 899}), &json!(false)));
    assert_eq!(
        story(&gateway, &id).await,
        [
            "queued by user:local",
            "sent by gateway",
            "delivered by device",
            "started by device",
            "succeeded by device",
        ]
    );
}

#[tokio::test]
async fn a_device_may_fail_reject_and_skip_stages() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let why = json!({"code": "dry", "message": "no water"});
    for (answer, state) in [
        (json!({"status": "failed", "error": why}), "failed"),
        (json!({"status": "rejected", "error": why}), "rejected"),
        (json!({"status": "succeeded"}), "succeeded"),
        (json!({"status": "executed"}), "succeeded"),
    ] {
        let id = id(&create(&gateway, json!({"name": "fill"})).await);
        assert_eq!(device.take().await.id, id);
        device.answer(&id, &answer).await;
        let ended = reaches(&mut live, &id, state).await;
        assert_eq!(ended["error"], answer.get("error").cloned().unwrap_or(Value::Null));
    }
}

#[tokio::test]
async fn received_is_as_good_as_a_puback() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.command().await;
    device.answer(&id, &json!({"status": "received"})).await;
    reaches(&mut live, &id, "delivered").await;
}

#[tokio::test]
async fn a_command_without_an_answer_times_out_and_one_late_answer_settles_it() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill", "timeout_ms": 100})).await);
    device.take().await;
    assert_eq!(reaches(&mut live, &id, "timed_out").await["late"], false);
    device.answer(&id, &json!({"status": "failed", "error": {"code": "dry", "message": ""}})).await;
    assert_eq!(reaches(&mut live, &id, "failed").await["late"], true);
    device.answer(&id, &json!({"status": "succeeded"})).await;
    let (_, command) = gateway.get(&format!("/api/v1/commands/{id}")).await;
    assert_eq!((&command["state"], &command["late"]), (&json!("failed"), &json!(true)));
    let last = story(&gateway, &id).await;
    assert_eq!(last[last.len() - 2..], ["failed by device", "failed by device"], "kept as a note");
}

#[tokio::test]
async fn a_command_that_is_never_sent_expires() {
    let (gateway, mut live) = arrange().await;
    let command = create(&gateway, json!({"name": "fill", "ttl_ms": 100})).await;
    assert_eq!(command["state"], "queued");
    assert_eq!(reaches(&mut live, &id(&command), "expired").await["attempt"], 0);
    assert_eq!(story(&gateway, &id(&command)).await.last().expect("a step"), "expired by timer");
}

#[tokio::test]
async fn without_time_to_wait_a_command_is_sent_at_once_or_expires_at_once() {
    let (gateway, mut live) = arrange().await;
    let now_or_never = json!({"name": "fill", "ttl_ms": 0});
    assert_eq!(create(&gateway, now_or_never.clone()).await["state"], "expired");
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, now_or_never).await);
    assert_eq!(device.take().await.id, id);
    reaches(&mut live, &id, "delivered").await;
}

#[tokio::test]
async fn before_it_is_sent_a_command_is_cancelled_at_once() {
    let (gateway, mut live) = arrange().await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    let (status, command) = cancel(&gateway, &id).await;
    assert_eq!((status, &command["state"]), (StatusCode::OK, &json!("cancelled")));
    reaches(&mut live, &id, "cancelled").await;
    let (status, problem) = cancel(&gateway, &id).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("already_final")));
    let (status, problem) = cancel(&gateway, "01890000-0000-7000-8000-000000000000").await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("unknown_command")));
}

#[tokio::test]
async fn once_it_is_sent_the_device_decides_whether_it_is_cancelled() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.take().await;
    reaches(&mut live, &id, "delivered").await;

    let (status, command) = cancel(&gateway, &id).await;
    assert_eq!((status, &command["state"]), (StatusCode::OK, &json!("cancelling")));
    assert_eq!(device.cancel().await, id);
    device.answer(&id, &json!({"status": "not_cancelled"})).await;
    reaches(&mut live, &id, "delivered").await;

    cancel(&gateway, &id).await;
    assert_eq!(device.cancel().await, id);
    device.answer(&id, &json!({"status": "cancelled"})).await;
    reaches(&mut live, &id, "cancelled").await;
}

#[tokio::test]
async fn a_device_that_listens_to_no_cancel_cannot_be_asked() {
    let (gateway, _live) = arrange().await;
    let connect = Connect::new(Version::V3, DEVICE);
    let mut device = Device::connect_as(gateway.mqtt(), connect, "commands/+").await;
    let id = id(&create(&gateway, json!({"name": "fill"})).await);
    device.take().await;
    let (status, problem) = cancel(&gateway, &id).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("device_cannot_cancel")));
}

#[tokio::test]
async fn progress_renews_the_time_where_it_may() {
    let (gateway, mut live) = arrange().await;
    let mut device = gateway.device(DEVICE).await;
    for extends in [true, false] {
        let body = json!({"name": "fill", "progress_extends": extends});
        let id = id(&create(&gateway, body).await);
        let before = device.take().await.order["not_after"].as_i64().expect("a time");
        let mut after = before;
        // The clock has whole milliseconds: the first answers may come within the same one.
        for progress in 1..=50 {
            device.answer(&id, &json!({"status": "progress", "progress": progress})).await;
            let told = reaches(&mut live, &id, "started").await;
            after = told["finish_by"].as_i64().expect("it was sent");
        }
        assert_eq!(after > before, extends, "{before} became {after}");
        device.answer(&id, &json!({"status": "succeeded"})).await;
    }
}
