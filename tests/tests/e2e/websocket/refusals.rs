//! What is refused, and how a connection ends.

use super::*;

/// The code of the error that answers a request.
async fn refusal(live: &mut Live, request: Value) -> String {
    let reply = live.reply(request.clone()).await;
    assert_eq!(reply["type"], "error", "{request}");
    assert!(reply["message"].as_str().is_some_and(|text| !text.is_empty()));
    reply["code"].as_str().expect("an error has a code").to_owned()
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_told_and_the_connection_goes_on() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    let subscribe = |options: Value| json!({"type": "subscribe", "channels": ["telemetry/#"], "options": options});
    for (request, code) in [
        (json!({"type": "dance"}), "unknown_type"),
        (json!({"no": "type"}), "unknown_type"),
        (json!({"type": 7}), "unknown_type"),
        (subscribe(json!({"mode": "newest"})), "bad_options"),
        (subscribe(json!({"speed": 1})), "bad_options"),
        (subscribe(json!({"mode": "every", "throttle": 1})), "bad_options"),
        (subscribe(json!({"throttle": 0})), "bad_options"),
        (subscribe(json!({"throttle": -1})), "bad_options"),
        (subscribe(json!({"throttle": "fast"})), "bad_options"),
        (subscribe(json!({"snapshot": 1})), "bad_options"),
        (subscribe(json!([])), "bad_options"),
        (json!({"type": "subscribe", "channels": ["a", "a/#/b"]}), "bad_filter"),
        (json!({"type": "subscribe", "channels": [""]}), "bad_filter"),
        (json!({"type": "subscribe", "channels": ["a+"]}), "bad_filter"),
        (json!({"type": "unsubscribe", "channels": ["#a"]}), "bad_filter"),
        (json!({"type": "subscribe", "channels": []}), "bad_request"),
        (json!({"type": "subscribe"}), "bad_request"),
        (json!({"type": "replay", "channel": "telemetry/#", "from": 1, "to": 2}), "bad_request"),
        (json!({"type": "replay", "channel": "telemetry/x", "from": 1, "to": 2}), "bad_range"),
        (json!({"type": "cancel", "command": "7"}), "bad_request"),
    ] {
        assert_eq!(refusal(&mut live, request.clone()).await, code, "{request}");
    }
    live.send_text(r#"{"type":"ping","id":[1]}"#).await;
    assert_eq!(live.next().await["code"], "bad_id");
    let mut peer = publisher(&gateway).await;
    measure(&mut peer, "d1", json!({"n": 1})).await;
    assert_eq!(live.settle().await, Vec::<Value>::new(), "no refused filter was granted");
}

#[tokio::test]
async fn a_filter_is_bounded_as_topics_are() {
    let settings = [("LIMITS__TOPIC_BYTES", "20"), ("LIMITS__TOPIC_LEVELS", "3")];
    let gateway = TestGateway::with(&settings).await;
    let mut live = gateway.live().await;
    let longest = format!("topics/{}", "x".repeat(20));
    live.subscribe(&["topics/a/b/c", &longest]).await;
    for filter in ["topics/a/b/c/d".to_owned(), longest + "x"] {
        let request = json!({"type": "subscribe", "channels": ["a", filter]});
        assert_eq!(refusal(&mut live, request).await, "bad_filter", "{filter}");
        let (status, problem) = gateway.get(&format!("/sse?channels={filter}")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("bad_query")));
    }
}

#[tokio::test]
async fn a_connection_takes_only_so_many_filters() {
    let gateway = TestGateway::with(&[("LIMITS__WEBSOCKET_SUBSCRIPTIONS", "2")]).await;
    let mut live = gateway.live().await;
    assert_eq!(live.welcome["limits"]["subscriptions"], 2);
    live.subscribe(&["a", "b"]).await;
    live.subscribe(&["a", "b"]).await;
    let request = json!({"type": "subscribe", "channels": ["a", "c"]});
    assert_eq!(refusal(&mut live, request).await, "too_many_subscriptions");
}

#[tokio::test]
async fn frames_that_are_no_object_end_the_connection() {
    let gateway = TestGateway::start().await;
    for frame in ["", "hi", "[]", "[{}]", "7", "null", "{\"type\":\"ping\"", "{} {}"] {
        let mut live = gateway.live().await;
        live.send_text(frame).await;
        assert_eq!(live.closed().await, 4004, "{frame:?}");
    }
    let mut live = gateway.live().await;
    live.send_frame(Message::Binary(b"{}".to_vec().into())).await;
    assert_eq!(live.closed().await, 4004);
}

#[tokio::test]
async fn a_message_that_is_too_big_ends_the_connection() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    let most = live.welcome["limits"]["message_bytes"].as_u64().expect("a number");
    assert_eq!(most, 64 * 1024);
    let most = usize::try_from(most).expect("it fits");
    let filled = |bytes: usize| {
        let frame = r#"{"type":"ping","id":""}"#;
        frame.replace(r#""""#, &format!("\"{}\"", "x".repeat(bytes - frame.len())))
    };
    live.send_text(filled(most)).await;
    assert_eq!(live.next().await["type"], "pong");
    live.send_text(filled(most + 1)).await;
    assert_eq!(live.closed().await, 1009);
}

#[tokio::test]
async fn too_many_messages_end_the_connection() {
    let gateway = TestGateway::with(&[("LIMITS__WEBSOCKET_MESSAGES_PER_S", "20")]).await;
    let mut live = gateway.live().await;
    assert_eq!(live.welcome["limits"]["messages_per_s"], 20);
    let mut other = gateway.live().await;
    for _ in 0..100 {
        live.send_text(r#"{"type":"ping"}"#).await;
    }
    assert_eq!(live.closed().await, 4113);
    assert_eq!(other.reply(json!({"type": "ping"})).await["type"], "pong");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused() {
    let gateway = TestGateway::with(&[("LIMITS__WEBSOCKET_CONNECTIONS", "1")]).await;
    let _live = gateway.live().await;
    let request = gateway.request(reqwest::Method::GET, "/ws");
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    let request = request.header("sec-websocket-version", "13");
    let answer = request.header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==").send().await;
    assert_eq!(answer.expect("an answer").status(), 503);
}

#[tokio::test]
async fn a_client_that_closes_is_answered_with_a_close() {
    let gateway = TestGateway::start().await;
    let mut live = Live::connect(gateway.http()).await;
    let frame = CloseFrame { code: CloseCode::Normal, reason: "done".into() };
    live.send_frame(Message::Close(Some(frame))).await;
    assert_eq!(live.closed().await, 1000);
}
