//! The one-way way to listen: `/sse`, its ids, and going on from `Last-Event-ID`.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tests::{Connect, Peer, TestGateway, Version, soon};

/// One event: its id, and the messages in its data.
#[derive(Debug)]
struct Event {
    id: Option<String>,
    messages: Vec<Value>,
}

/// An event stream (HTML Standard, 9.2.6) that is read while the test waits for something.
struct Listener {
    response: Response,
    text: String,
}

impl Listener {
    async fn open(gateway: &TestGateway, channels: &str, last_id: Option<&str>) -> Self {
        let mut request = gateway.request(Method::GET, &format!("/sse?channels={channels}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = soon("an answer", request.send()).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, text: String::new() }
    }

    /// The next event with data.
    async fn event(&mut self) -> Event {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                if let Some(data) = field("data:") {
                    let messages = serde_json::from_str(&data).expect("an array of messages");
                    return Event { id: field("id:"), messages };
                }
            }
            let part = soon("an event", self.response.chunk()).await.expect("it goes on");
            let part = part.expect("it goes on").to_vec();
            self.text.push_str(&String::from_utf8(part).expect("UTF-8"));
        }
    }

    /// Everything up to and with the first message that is `wanted`, and the id that a browser has then.
    async fn through(&mut self, wanted: impl Fn(&Value) -> bool) -> (Vec<Value>, Option<String>) {
        let (mut messages, mut last_id) = (Vec::new(), None);
        loop {
            let event = self.event().await;
            last_id = event.id.or(last_id);
            let found = event.messages.iter().any(&wanted);
            messages.extend(event.messages);
            if found {
                return (messages, last_id);
            }
        }
    }
}

async fn publish(gateway: &TestGateway, number: u64) {
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    peer.publish("devices/d1/telemetry", json!({ "n": number }).to_string().as_bytes(), 1).await;
}

fn is_live(message: &Value) -> bool {
    message["type"] == "live"
}

#[tokio::test]
async fn when_the_gateway_stops_a_listener_hears_that_the_devices_are_gone() {
    let gateway = TestGateway::start().await;
    let _device = gateway.device("d1").await;
    let mut listener = Listener::open(&gateway, "presence/%23", None).await;
    listener.through(|message| message["type"] == "live").await;
    gateway.terminate();
    listener.through(|message| message["data"]["reason"] == "shutdown").await;
}

#[tokio::test]
async fn events_are_frames_and_their_ids_are_where_to_go_on() {
    let gateway = TestGateway::start().await;
    publish(&gateway, 1).await;
    let epoch = gateway.live().await.welcome["epoch"].as_str().expect("a text").to_owned();
    let mut listener = Listener::open(&gateway, "telemetry/%2B,state/%23", None).await;
    let (told, _) = listener.through(is_live).await;
    assert_eq!(told[0]["channels"], json!(["telemetry/+", "state/#"]));
    assert_eq!((&told[1]["snapshot"], &told[1]["data"]), (&json!(true), &json!({"n": 1})));
    publish(&gateway, 2).await;
    let event = listener.event().await;
    let update = &event.messages[0];
    assert_eq!((&update["seq"], &update["data"]), (&json!(2), &json!({"n": 2})));
    let id = event.id.expect("an event has an id");
    assert_eq!(id, format!("{epoch}:{}", update["offset"]));
    drop(listener);
    publish(&gateway, 3).await;
    publish(&gateway, 4).await;
    let mut listener = Listener::open(&gateway, "telemetry/%2B", Some(&id)).await;
    let first = listener.event().await;
    let mut told = first.messages;
    if !told.iter().any(is_live) {
        assert_eq!(first.id, Some(id), "until it is live it goes on from where it came with");
        told.extend(listener.through(is_live).await.0);
    }
    let missed: Vec<_> = told.iter().filter(|message| message["replayed"] == true).collect();
    assert_eq!(missed.len(), 2, "{told:?}");
    assert_eq!((&missed[0]["seq"], &missed[1]["seq"]), (&json!(3), &json!(4)));
    publish(&gateway, 5).await;
    assert_eq!(listener.event().await.messages[0]["seq"], 5);
}

#[tokio::test]
async fn it_goes_on_over_a_restart_and_is_told_of_a_kill() {
    let mut gateway = TestGateway::start().await;
    publish(&gateway, 1).await;
    let (_, id) = Listener::open(&gateway, "telemetry/d1", None).await.through(is_live).await;
    let id = id.expect("with `live` comes an id");
    publish(&gateway, 2).await;
    gateway.restart().await;
    let mut listener = Listener::open(&gateway, "telemetry/d1", Some(&id)).await;
    let (told, id) = listener.through(is_live).await;
    assert_eq!((told.len(), &told[1]["seq"], &told[1]["replayed"]), (3, &json!(2), &json!(true)));
    gateway.kill();
    gateway.start_again().await;
    let mut listener = Listener::open(&gateway, "telemetry/d1", id.as_deref()).await;
    let (told, _) = listener.through(is_live).await;
    assert_eq!((&told[1]["type"], &told[1]["reason"]), (&json!("reset"), &json!("crash")));
    assert_eq!((&told[2]["snapshot"], &told[2]["data"]), (&json!(true), &json!({"n": 2})));
}

#[tokio::test]
async fn what_cannot_be_listened_to_is_refused() {
    let gateway = TestGateway::with(&[("LIMITS__WEBSOCKET_SUBSCRIPTIONS", "2")]).await;
    for (path, code) in [
        ("/sse", "bad_query"),
        ("/sse?channels=", "bad_query"),
        ("/sse?channels=a,%23b", "bad_query"),
        ("/sse?channels=a,b,c", "bad_query"),
        ("/sse?channels=a&token=x", "bad_query"),
    ] {
        let (status, problem) = gateway.get(path).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{path}");
    }
    let request = gateway.request(Method::GET, "/sse?channels=a").header("last-event-id", "x");
    let refused = request.send().await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_empty_last_event_id_is_that_of_who_has_none() {
    let gateway = TestGateway::start().await;
    publish(&gateway, 1).await;
    let (told, _) = Listener::open(&gateway, "telemetry/d1", Some("")).await.through(is_live).await;
    assert_eq!((told.len(), &told[1]["snapshot"]), (3, &json!(true)), "{told:?}");
}
