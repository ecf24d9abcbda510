//! The past: with a subscription, and over HTTP as JSON and CSV.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Connect, Live, Peer, TestGateway, Version, is_update};

/// Where the readings of these tests begin, in milliseconds since the Unix epoch.
const BEGIN: i64 = 1_700_000_000_000;

/// A reading a second from [`BEGIN`] on: `n` counts, `half` is there every other time, `text` is none
/// to take the least of.
fn reading(n: i64) -> Value {
    let mut data = json!({"n": n, "text": format!("t{n}")});
    if n % 2 == 0 {
        data["half"] = (n as f64 / 2.0).into();
    }
    json!({"timestamp": BEGIN + n * 1_000, "data": data})
}

async fn publish(gateway: &TestGateway, device: &str, readings: std::ops::Range<i64>) {
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let readings: Vec<_> = readings.map(reading).collect();
    for batch in readings.chunks(100) {
        let topic = format!("devices/{device}/telemetry");
        peer.publish(&topic, Value::from(batch).to_string().as_bytes(), 1).await;
    }
}

fn times(readings: std::ops::Range<i64>) -> Value {
    readings.map(|n| BEGIN + n * 1_000).collect()
}

/// The one history among messages.
fn history(messages: &[Value]) -> &Value {
    let mut found = messages.iter().filter(|message| message["type"] == "history");
    let history = found.next().unwrap_or_else(|| panic!("no history in {messages:?}"));
    assert_eq!(found.next(), None);
    history
}

#[tokio::test]
async fn the_newest_updates_come_as_columns_before_the_value() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..20).await;
    let mut live = gateway.live().await;
    let told = live.subscribe_with(&["telemetry/d1"], json!({"history": {"last": 3}})).await;
    let kinds: Vec<_> =
        told.iter().map(|message| message["type"].as_str().unwrap_or("update")).collect();
    assert_eq!(kinds, ["subscribed", "history", "update", "live"]);
    let history = history(&told);
    assert_eq!(history["channel"], "telemetry/d1");
    assert_eq!((&history["timestamps"], &history["bucket_ms"]), (&times(17..20), &Value::Null));
    assert_eq!(
        (&history["from"], &history["to"]),
        (&json!(BEGIN + 17_000), &json!(BEGIN + 19_001))
    );
    assert_eq!(history["metrics"]["n"], json!({"values": [17, 18, 19]}));
    assert_eq!(history["metrics"]["half"], json!({"values": [null, 9.0, null]}));
    assert_eq!(told[2]["snapshot"], true);
    publish(&gateway, "d1", 20..21).await;
    assert_eq!(live.update("telemetry/d1").await["data"]["n"], 20, "and it goes on live");
}

#[tokio::test]
async fn a_stretch_of_time_comes_raw_or_in_buckets_of_least_greatest_and_last() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..100).await;
    let mut live = gateway.live().await;
    let mut ask = async |points: u32| {
        let history = json!({"since": BEGIN + 50_000, "points": points});
        let options = json!({"history": history, "snapshot": false, "fields": ["n"]});
        let told = live.subscribe_with(&["telemetry/d1"], options).await;
        history_of(&told)
    };
    let raw = ask(50).await;
    assert_eq!((&raw["timestamps"], &raw["bucket_ms"]), (&times(50..100), &Value::Null));
    assert_eq!(raw["metrics"].as_object().expect("columns").len(), 1, "only what was asked for");
    let few = ask(49).await;
    let bucket = few["bucket_ms"].as_i64().expect("a length");
    let begins = few["timestamps"].as_array().expect("a list");
    assert!(begins.len() <= 49 && !begins.is_empty());
    let column = &few["metrics"]["n"];
    for (place, begin) in begins.iter().enumerate() {
        let begin = begin.as_i64().expect("a time");
        let inside = |n: &i64| (begin..begin + bucket).contains(&(BEGIN + n * 1_000));
        let expected: Vec<_> = (50..100).filter(inside).collect();
        let cell = |part: &str| column[part][place].as_f64().map(|number| number as i64);
        let ends = (expected.first().copied(), expected.last().copied());
        assert_eq!((cell("min"), cell("max")), ends, "bucket {place}");
        assert_eq!(cell("last"), ends.1, "bucket {place}");
    }
}

fn history_of(told: &[Value]) -> Value {
    history(told).clone()
}

#[tokio::test]
async fn who_resumes_may_ask_for_the_past_too() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..3).await;
    let mut live = gateway.live().await;
    let offset = live.subscribe(&["telemetry/d1"]).await.pop().expect("live")["offset"].clone();
    let since = json!({"epoch": live.welcome["epoch"], "offset": offset});
    publish(&gateway, "d1", 3..5).await;
    let mut live = gateway.live().await;
    let options = json!({"since": since, "history": {"last": 4}});
    let told = live.subscribe_with(&["telemetry/d1"], options).await;
    assert_eq!(history(&told)["timestamps"], times(1..5));
    let missed: Vec<_> = told.iter().filter(|message| message["replayed"] == true).collect();
    assert_eq!(missed.len(), 2, "{told:?}");
    assert_eq!((&missed[0]["seq"], &missed[1]["seq"]), (&json!(4), &json!(5)));
}

#[tokio::test]
async fn each_channel_of_a_wildcard_has_a_history_of_its_own() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..5).await;
    publish(&gateway, "d2", 3..9).await;
    let mut live = gateway.live().await;
    let told = live.subscribe_with(&["#"], json!({"history": {"last": 4}})).await;
    let mut found: Vec<_> = told
        .iter()
        .filter(|message| message["type"] == "history")
        .map(|history| (history["channel"].clone(), history["timestamps"].clone()))
        .collect();
    found.sort_by_key(|(channel, _)| channel.to_string());
    let expected = [(json!("telemetry/d1"), times(1..5)), (json!("telemetry/d2"), times(5..9))];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn history_beyond_the_bounds_is_refused_and_nothing_is_subscribed() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..2).await;
    let mut live = gateway.live().await;
    for history in [
        json!({"last": 0}),
        json!({"last": 10_001}),
        json!({"since": 0}),
        json!({"points": 5}),
        json!({"since": 0, "points": 0}),
        json!({"last": 1, "since": 0, "points": 1}),
        json!({}),
    ] {
        let options = json!({"history": history});
        let request = json!({"type": "subscribe", "channels": ["#"], "options": options});
        let reply = live.reply(request).await;
        assert_eq!(reply["code"], "bad_options", "{history}");
    }
    publish(&gateway, "d1", 2..3).await;
    assert_eq!(live.settle().await, Vec::<Value>::new());
}

#[tokio::test]
async fn columns_say_what_text_says() {
    let gateway = TestGateway::start().await;
    let mut text = gateway.live().await;
    let mut columns = Live::connect_columns(gateway.http()).await;
    for live in [&mut text, &mut columns] {
        live.subscribe(&["telemetry/#", "state/#"]).await;
    }
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let readings = [
        json!({"temperature": 21.5, "count": 7, "on": true, "where": {"lat": 1.25}, "name": "ä"}),
        json!({"temperature": -3.25, "count": -70_000, "on": false, "where": null, "name": ""}),
        json!({"temperature": 1e300, "count": 4_294_967_295_u64, "on": true, "where": 3, "name": "x"}),
        json!({"temperature": 0.1, "count": 12_345_678_901_u64, "on": 1, "where": [], "name": 5}),
        json!({"other": 1}),
        json!({}),
    ];
    for (number, reading) in readings.iter().enumerate() {
        for device in ["d1", "d2"] {
            let topic = format!("devices/{device}/telemetry");
            peer.publish(&topic, reading.to_string().as_bytes(), 0).await;
        }
        let state = json!({"reading": number}).to_string();
        peer.publish("devices/d1/state", state.as_bytes(), 1).await;
    }
    for _ in 0..readings.len() * 3 {
        assert_eq!(columns.next().await, text.next().await);
    }
    let replay = json!({"type": "replay", "channel": "telemetry/d2", "from": 1, "to": 6});
    let mut again = Vec::new();
    for live in [&mut text, &mut columns] {
        let id = live.ask(replay.clone()).await;
        again.push(live.through(|message| message["id"] == id).await);
    }
    assert_eq!(again[0], again[1]);
    assert!(again[0].iter().any(|message| message["replayed"] == true));
    let mut values = Vec::new();
    for live in [&mut text, &mut columns] {
        values.push(live.subscribe(&["telemetry/d1"]).await);
    }
    assert_eq!(values[0][1], values[1][1]);
    assert_eq!(values[1][1]["snapshot"], true);
}

#[tokio::test]
async fn telemetry_of_the_past_is_had_over_http_in_pages() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..50).await;
    let path = "/api/v1/devices/d1/telemetry";
    let span = format!("from={}&to={}", BEGIN + 10_000, BEGIN + 40_000);
    let (status, whole) = gateway.get(&format!("{path}?{span}")).await;
    assert_eq!((status, &whole["next"]), (StatusCode::OK, &Value::Null));
    assert_eq!((&whole["type"], &whole["next"]), (&json!("history"), &Value::Null));
    assert_eq!(whole["timestamps"], times(10..40), "from is included, to is not");
    assert_eq!((&whole["from"], &whole["to"]), (&json!(BEGIN + 10_000), &json!(BEGIN + 40_000)));
    let (mut found, mut pages, mut next) = (Vec::new(), 0, String::new());
    loop {
        let (_, page) = gateway.get(&format!("{path}?{span}&limit=7&fields=n{next}")).await;
        let values = page["metrics"]["n"]["values"].as_array().expect("a column").clone();
        assert_eq!(values.len(), page["timestamps"].as_array().expect("a list").len());
        found.extend(values);
        pages += 1;
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!((Value::from(found), pages), ((10..40).collect::<Value>(), 5));
    let (_, few) = gateway.get(&format!("{path}?{span}&points=3")).await;
    assert_eq!(
        (&few["bucket_ms"], &few["metrics"]["n"]["max"]),
        (&json!(10_000), &json!([19.0, 29.0, 39.0]))
    );
}

#[tokio::test]
async fn without_an_end_the_past_goes_on_to_the_newest_reading_of_a_clock_that_is_ahead() {
    let gateway = TestGateway::start().await;
    let ahead = BEGIN / 1_000;
    publish(&gateway, "d1", ahead..ahead + 4).await;
    let path = "/api/v1/devices/d1/telemetry";
    let end = json!(BEGIN + (ahead + 3) * 1_000 + 1);
    for query in ["", "?points=9"] {
        let (_, all) = gateway.get(&format!("{path}{query}")).await;
        assert_eq!((&all["timestamps"], &all["to"]), (&times(ahead..ahead + 4), &end));
    }
    let mut live = gateway.live().await;
    let since = json!({"history": {"since": 0, "points": 2}});
    let told = live.subscribe_with(&["telemetry/d1"], since).await;
    let (_, few) = gateway.get(&format!("{path}?points=2")).await;
    assert_eq!(history(&told)["metrics"], few["metrics"]);
    assert_eq!(few["metrics"]["n"]["last"], json!([ahead + 1, ahead + 3]));
    for query in ["", "&points=9"] {
        let later = BEGIN + (ahead + 4) * 1_000;
        let (status, none) = gateway.get(&format!("{path}?from={later}{query}")).await;
        assert_eq!((status, &none["timestamps"]), (StatusCode::OK, &json!([])));
    }
}

#[tokio::test]
async fn csv_has_a_column_a_metric_and_names_its_next_page() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..5).await;
    let mut rows = Vec::new();
    let mut next = Some("/api/v1/devices/d1/telemetry?format=csv&limit=2".to_owned());
    while let Some(path) = next {
        let response = gateway.request(Method::GET, &path).send().await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
        next = response.headers().get("link").map(|link| {
            let link = link.to_str().expect("a text");
            let url = link.strip_prefix('<').and_then(|link| link.strip_suffix(r#">; rel="next""#));
            url.unwrap_or_else(|| panic!("{link}")).to_owned()
        });
        let text = response.text().await.expect("a text");
        let mut lines = text.lines().map(str::to_owned);
        rows.push(lines.next().expect("a header"));
        rows.extend(lines);
    }
    let row = |n: i64, half: &str| format!("{},{half},{n},t{n}", BEGIN + n * 1_000);
    let header = "timestamp,half,n,text".to_owned();
    let expected = [
        header.clone(),
        row(0, "0.0"),
        row(1, ""),
        header,
        row(2, "1.0"),
        row(3, ""),
        "timestamp,half,n,text".to_owned(),
        row(4, "2.0"),
    ];
    assert_eq!(rows, expected);
    let (_, text) = gateway.get_text("/api/v1/devices/d1/telemetry?format=csv&points=2").await;
    let columns =
        "timestamp,half.min,half.max,half.last,n.min,n.max,n.last,text.min,text.max,text.last";
    assert_eq!(text.lines().next(), Some(columns), "downsampled it has three");
}

#[tokio::test]
async fn csv_has_the_columns_that_were_asked_for_on_every_page() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..2).await;
    let from = BEGIN + 1_000;
    let query = format!("format=csv&from={from}&fields=text,half,none,text");
    let (_, text) = gateway.get_text(&format!("/api/v1/devices/d1/telemetry?{query}")).await;
    let row = format!("{from},t1,,");
    assert_eq!(text.lines().collect::<Vec<_>>(), ["timestamp,text,half,none", &row]);
}

#[tokio::test]
async fn the_past_outlives_a_restart_and_a_kill() {
    let mut gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..700).await;
    let path = "/api/v1/devices/d1/telemetry";
    let (_, before) = gateway.get(&format!("{path}?to={}", BEGIN * 2)).await;
    assert_eq!(before["timestamps"], times(0..700));
    gateway.restart().await;
    assert_eq!(gateway.get(&format!("{path}?to={}", BEGIN * 2)).await.1, before);
    gateway.kill();
    gateway.start_again().await;
    assert_eq!(gateway.get(&format!("{path}?to={}", BEGIN * 2)).await.1, before);
    let mut live = gateway.live().await;
    let told = live.subscribe_with(&["telemetry/d1"], json!({"history": {"last": 700}})).await;
    assert_eq!(history(&told)["timestamps"], times(0..700));
    let value = told.iter().find(|message| is_update(message, "telemetry/d1"));
    assert_eq!(value.expect("its value")["data"]["n"], 699);
}

#[tokio::test]
async fn questions_about_the_past_that_cannot_be_are_refused() {
    let gateway = TestGateway::start().await;
    publish(&gateway, "d1", 0..1).await;
    for (query, status, code) in [
        ("d1/telemetry?from=9&to=9", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?points=0", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?points=10001", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?points=5&limit=5", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?points=5&cursor=1~1", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?limit=0", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?limit=10001", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?cursor=x", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?format=xml", StatusCode::BAD_REQUEST, "bad_query"),
        ("d1/telemetry?until=5", StatusCode::BAD_REQUEST, "bad_query"),
        ("nobody/telemetry", StatusCode::NOT_FOUND, "unknown_device"),
        ("no%20body/telemetry", StatusCode::BAD_REQUEST, "bad_request"),
    ] {
        let (found, problem) = gateway.get(&format!("/api/v1/devices/{query}")).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{query}: {problem}");
    }
}
