//! HTTP: who may ask, health, figures, devices, refusals.

use crate::orders::{id, make_known};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Connect, Peer, TestGateway, Version, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a request is answered, as status, content type and text.
async fn answer(request: reqwest::RequestBuilder) -> (StatusCode, String, String) {
    let answer = request.send().await.expect("an answer");
    let kind =
        answer.headers().get("content-type").map(|kind| kind.to_str().expect("ASCII").to_owned());
    let status = answer.status();
    (status, kind.unwrap_or_default(), answer.text().await.expect("a text"))
}

/// Refused as RFC 9457 says, with this status and code.
async fn refused(request: reqwest::RequestBuilder, status: StatusCode, code: &str) {
    let (was, kind, text) = answer(request).await;
    assert_eq!((was, kind.as_str()), (status, "application/problem+json"), "{text}");
    let problem: Value = serde_json::from_str(&text).expect("a problem is JSON");
    assert_eq!((&problem["code"], &problem["status"]), (&json!(code), &json!(status.as_u16())));
    for key in ["title", "detail"] {
        assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
    }
}

const PATHS: [&str; 5] = ["/", "/api/v1/devices", "/ws", "/metrics", "/healthz"];

#[tokio::test]
async fn the_values_of_a_device_are_told_however_deep_one_of_them_nests() {
    let gateway = TestGateway::start().await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "d")).await;
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    peer.publish("devices/d/telemetry", br#"{"temperature":21.5}"#, 1).await;
    peer.publish("devices/d/telemetry/m", deep.as_bytes(), 1).await;
    for path in ["/api/v1/devices/d", "/api/v1/devices"] {
        let (_, _, text) = answer(gateway.request(Method::GET, path)).await;
        let values = format!(r#""values":{{"temperature":21.5,"m":{deep}}}"#);
        assert!(text.contains(&values), "{text}");
    }
}

#[tokio::test]
async fn who_sends_a_body_that_nobody_reads_gets_the_whole_answer() {
    let gateway = TestGateway::start().await;
    for (asked, body, status) in [
        ("GET /openapi.json", b"{}".to_vec(), "200"),
        ("PUT /api/v1/devices/d1", vec![b' '; 5_000_000], "413"),
    ] {
        let mut socket = TcpStream::connect(gateway.http()).await.expect("it listens");
        let (host, length) = (gateway.http(), body.len());
        let head = format!(
            "{asked} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        soon("the head", socket.write_all(head.as_bytes())).await.expect("it is open");
        // The answer is on its way before the body is.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        soon("the body", socket.write_all(&body)).await.expect("it is taken");
        let mut answer = Vec::new();
        soon("the answer", socket.read_to_end(&mut answer)).await.expect("it is not cut");
        let answer = String::from_utf8(answer).expect("a text");
        let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let length = format!("content-length: {}", text.len());
        assert!(head.contains(&length), "{head} and {} bytes", text.len());
    }
}

#[tokio::test]
async fn a_request_must_name_the_gateway() {
    let settings = [("HTTP__ALLOWED_HOSTS", "gateway.example")];
    let gateway = TestGateway::with(&settings).await;
    for path in PATHS {
        for host in ["evil.example", "evil.example:8080", "127.0.0.1:1.evil.example", "192.0.2.1"] {
            let request = gateway.request(Method::GET, path).header("host", host);
            refused(request, StatusCode::FORBIDDEN, "bad_host").await;
        }
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]", "gateway.example:443"] {
        let (status, ..) =
            answer(gateway.request(Method::GET, "/healthz").header("host", host)).await;
        assert_eq!(status, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn a_request_with_no_host_or_several_origins_is_malformed() {
    let gateway = TestGateway::start().await;
    let own = format!("http://{}", gateway.http());
    for headers in [
        String::new(),
        format!("host: {0}\r\nhost: {0}\r\n", gateway.http()),
        format!("host: {}\r\norigin: {own}\r\norigin: http://evil.example\r\n", gateway.http()),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
        let mut socket = TcpStream::connect(gateway.http()).await.expect("it listens");
        socket.write_all(request.as_bytes()).await.expect("it is written");
        let mut answer = String::new();
        soon("an answer", socket.read_to_string(&mut answer)).await.expect("it is read");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{headers}: {answer}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_is_refused_on_every_path() {
    let settings = [("HTTP__ALLOWED_ORIGINS", "https://dashboard.example")];
    let gateway = TestGateway::with(&settings).await;
    for path in PATHS {
        for origin in ["http://evil.example", "null", "http://localhost:1"] {
            let request = gateway.request(Method::GET, path).header("origin", origin);
            refused(request, StatusCode::FORBIDDEN, "bad_origin").await;
        }
    }
    for origin in [gateway.url(), "https://dashboard.example".into()] {
        let request = gateway.request(Method::GET, "/healthz").header("origin", &origin);
        assert_eq!(answer(request).await.0, StatusCode::OK, "{origin}");
    }
    let request = gateway.request(Method::POST, "/api/v1/devices/x/commands");
    let request = request.header("origin", "http://evil.example").json(&json!({"name": "fill"}));
    refused(request, StatusCode::FORBIDDEN, "bad_origin").await;
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_read_what_the_contract_says() {
    let page = "https://dashboard.example";
    let gateway = TestGateway::with(&[("HTTP__ALLOWED_ORIGINS", page)]).await;
    let path = "/api/v1/devices/d/desired";
    let asks = gateway.request(Method::OPTIONS, path).header("origin", page);
    let answer = asks.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    for header in ["if-match", "idempotency-key", "prefer", "last-event-id", "authorization"] {
        let allowed = answer.headers()["access-control-allow-headers"].to_str().expect("ASCII");
        assert!(allowed.split(", ").any(|name| name == header), "{header} in {allowed}");
    }
    let put = gateway.request(Method::PUT, "/api/v1/devices/d").json(&json!({}));
    assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
    let read = gateway.request(Method::GET, path).header("origin", page);
    let answer = read.send().await.expect("an answer");
    assert_eq!(answer.headers()["access-control-allow-origin"], page);
    let exposed = answer.headers()["access-control-expose-headers"].to_str().expect("ASCII");
    assert_eq!(exposed, "etag, link, preference-applied");
}

#[tokio::test]
async fn health_and_figures_are_there() {
    let gateway = TestGateway::start().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(answer(gateway.request(Method::GET, path)).await.0, StatusCode::OK, "{path}");
    }
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "d1")).await;
    peer.publish("devices/d1/telemetry", b"{}", 1).await;
    gateway.until_metric("sluice_devices_online", 1).await;
    let (status, kind, text) = answer(gateway.request(Method::GET, "/metrics")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let typed: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let name = sample.split(' ').next().expect("a name");
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        assert!(typed.contains(&&*format!("{name} {kind}")), "{sample}");
    }
    let asked = gateway.request(Method::GET, "/metrics");
    let (_, kind, open) = answer(asked.header("accept", "application/openmetrics-text")).await;
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(open.ends_with("# EOF\n"));
    let helped = text.lines().filter(|line| line.starts_with("# HELP sluice_")).count();
    let mut names: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    names.sort_unstable_by_key(|line| line.split(' ').nth(2));
    names.dedup_by_key(|line| line.split(' ').nth(2).map(str::to_owned));
    let typed = text.lines().filter(|line| line.starts_with("# TYPE sluice_")).count();
    assert!(helped > 20 && helped == typed, "{helped} {typed}");
    assert_eq!(names.len(), typed, "each name stands for one metric");
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_a_problem() {
    let gateway = TestGateway::start().await;
    let get = |path: &str| gateway.request(Method::GET, path);
    let unknown_device = "/api/v1/devices/nobody";
    refused(get(unknown_device), StatusCode::NOT_FOUND, "unknown_device").await;
    refused(
        gateway.request(Method::DELETE, unknown_device),
        StatusCode::NOT_FOUND,
        "unknown_device",
    )
    .await;
    let command = gateway.request(Method::POST, "/api/v1/devices/nobody/commands");
    refused(command.json(&json!({"name": "fill"})), StatusCode::NOT_FOUND, "unknown_device").await;
    for query in ["colour=red", "limit=0", "limit=many", "status=asleep", "sort=size", "cursor=x"] {
        let path = format!("/api/v1/devices?{query}");
        refused(get(&path), StatusCode::BAD_REQUEST, "bad_query").await;
    }
    refused(get("/api/v1/commands?colour=red"), StatusCode::BAD_REQUEST, "bad_query").await;
    refused(get("/api/v1/commands?state=odd"), StatusCode::BAD_REQUEST, "bad_query").await;
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/any?dry=1");
    refused(delete, StatusCode::BAD_REQUEST, "bad_query").await;
    refused(get("/api/v1/nothing"), StatusCode::NOT_FOUND, "not_found").await;
    refused(get("/api/v1/devices/a%20b"), StatusCode::BAD_REQUEST, "bad_request").await;
    refused(get("/api/v1/commands/7"), StatusCode::BAD_REQUEST, "bad_request").await;
    for (method, path) in [(Method::DELETE, "/api/v1/devices"), (Method::PUT, "/")] {
        let wrong = gateway.request(method, path);
        refused(wrong, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed").await;
    }
}

#[tokio::test]
async fn a_query_where_none_is_taken_is_refused() {
    let gateway = TestGateway::start().await;
    for path in
        ["/ws", "/mqtt", "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json"]
    {
        let asked = gateway.request(Method::GET, &format!("{path}?token=secret"));
        refused(asked, StatusCode::BAD_REQUEST, "bad_query").await;
    }
}

#[tokio::test]
async fn bodies_that_are_no_command_are_refused() {
    let gateway = TestGateway::start().await;
    let put = gateway.request(Method::PUT, "/api/v1/devices/d1").json(&json!({}));
    assert_eq!(answer(put).await.0, StatusCode::OK);
    let post = || gateway.request(Method::POST, "/api/v1/devices/d1/commands");
    for body in [
        json!({}),
        json!({"name": ""}),
        json!({"name": 7}),
        json!({"name": "fill", "params": [1]}),
        json!({"name": "fill", "ttl_ms": -1}),
        json!({"name": "fill", "timeout_ms": u64::MAX}),
        json!([]),
    ] {
        let (status, kind, text) = answer(post().json(&body)).await;
        assert!(status.is_client_error(), "{body}: {status} {text}");
        assert_eq!(kind, "application/problem+json");
    }
    let (_, _, text) = answer(post().json(&json!({"name": "fill", "ttl_ms": -1}))).await;
    assert!(text.contains("ttl_ms: invalid value: integer `-1`"), "the member is named: {text}");
    let cut = post().header("content-type", "application/json").body("{\"name\":");
    refused(cut, StatusCode::BAD_REQUEST, "bad_request").await;
    let plain = post().body("{\"name\":\"fill\"}");
    refused(plain, StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_request").await;
    let big = || post().json(&json!({"name": "fill", "params": {"x": "x".repeat(300 * 1024)}}));
    refused(big(), StatusCode::PAYLOAD_TOO_LARGE, "bad_request").await;
    let (_, _, text) = answer(big()).await;
    assert!(text.contains("limits.http_body_bytes"), "the limit is named: {text}");
    let wait = post().header("prefer", "wait=soon").json(&json!({"name": "fill"}));
    refused(wait, StatusCode::BAD_REQUEST, "bad_request").await;
    let (_, commands) = gateway.get("/api/v1/commands").await;
    assert_eq!(commands["items"], json!([]), "none of them was taken");
}

#[tokio::test]
async fn devices_are_described_found_and_forgotten() {
    let gateway = TestGateway::start().await;
    let change = async |method: Method, id: &str, body: Value| {
        let request = gateway.request(method, &format!("/api/v1/devices/{id}")).json(&body);
        let (status, _, text) = answer(request).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str::<Value>(&text).expect("a device is JSON")
    };
    let body = json!({"type": "pump", "tags": {"site": "north", "line": "1"}});
    let made = change(Method::PUT, "pump-1", body).await;
    assert_eq!((&made["type"], &made["status"]), (&json!("pump"), &json!("offline")));
    let changed =
        change(Method::PATCH, "pump-1", json!({"tags": {"line": null, "floor": "2"}})).await;
    assert_eq!(changed["tags"], json!({"site": "north", "floor": "2"}));
    for (method, bad) in [(Method::PUT, "a:b"), (Method::PATCH, ":")] {
        let body = json!({"tags": {"a": "b:c", bad: "d"}});
        let request = gateway.request(method, "/api/v1/devices/pump-1").json(&body);
        refused(request, StatusCode::BAD_REQUEST, "bad_request").await;
    }
    assert_eq!(changed["type"], "pump");
    assert!(changed["version"].as_u64() > made["version"].as_u64());
    change(Method::PUT, "fan-1", json!({"type": "fan"})).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "fan-1")).await;
    peer.publish("devices/fan-1/telemetry", br#"{"rpm":7}"#, 1).await;
    for (query, expected) in [
        ("", &["fan-1", "pump-1"][..]),
        ("?type=fan", &["fan-1"]),
        ("?tag=site", &["pump-1"]),
        ("?tag=site:north", &["pump-1"]),
        ("?tag=site:south", &[]),
        ("?status=online", &["fan-1"]),
        ("?status=offline", &["pump-1"]),
        ("?q=ump", &["pump-1"]),
        ("?sort=-id", &["pump-1", "fan-1"]),
        ("?sort=-last_seen_at", &["fan-1", "pump-1"]),
    ] {
        let (_, page) = gateway.get(&format!("/api/v1/devices{query}")).await;
        let items = page["items"].as_array().expect("a list");
        let ids: Vec<_> =
            items.iter().map(|device| device["id"].as_str().expect("a text")).collect();
        assert_eq!(ids, expected, "{query}");
    }
    let (_, fan) = gateway.get("/api/v1/devices/fan-1").await;
    assert_eq!((&fan["values"], &fan["status"]), (&json!({"rpm": 7}), &json!("online")));
    let delete = gateway.request(Method::DELETE, "/api/v1/devices/pump-1");
    assert_eq!(answer(delete).await.0, StatusCode::NO_CONTENT);
    refused(
        gateway.request(Method::GET, "/api/v1/devices/pump-1"),
        StatusCode::NOT_FOUND,
        "unknown_device",
    )
    .await;
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let gateway = TestGateway::start().await;
    for number in 0..7 {
        let path = format!("/api/v1/devices/d{number}");
        let put = gateway.request(Method::PUT, &path).json(&json!({}));
        assert_eq!(answer(put).await.0, StatusCode::OK);
    }
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let (_, page) = gateway.get(&format!("/api/v1/devices?limit=3{cursor}")).await;
        let items = page["items"].as_array().expect("a list");
        assert!(items.len() <= 3);
        ids.extend(items.iter().map(|device| device["id"].as_str().expect("a text").to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(ids, ["d0", "d1", "d2", "d3", "d4", "d5", "d6"]);
}

#[tokio::test]
async fn the_dashboard_is_served() {
    let gateway = TestGateway::start().await;
    let (status, kind, text) = answer(gateway.request(Method::GET, "/")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(kind.starts_with("text/html"), "{kind}");
    let asset = text.split('"').find(|part| part.ends_with(".js")).expect("the page has a script");
    let path = format!("/{}", asset.trim_start_matches("./").trim_start_matches('/'));
    let (status, kind, _) = answer(gateway.request(Method::GET, &path)).await;
    assert_eq!(status, StatusCode::OK, "{path}");
    assert!(kind.contains("javascript"), "{kind}");
}

#[tokio::test]
async fn a_body_is_an_object() {
    let gateway = TestGateway::start().await;
    for (method, path, body) in [
        (Method::PUT, "/api/v1/devices/d", json!(["pump", {}])),
        (Method::PATCH, "/api/v1/devices/d", json!(["pump", {}])),
        (Method::POST, "/api/v1/devices/d/commands", json!(["open", {}])),
        (Method::POST, "/api/v1/session", json!(["token"])),
    ] {
        let request = gateway.request(method, path).json(&body);
        refused(request, StatusCode::UNPROCESSABLE_ENTITY, "bad_request").await;
    }
}

#[tokio::test]
async fn what_stands_for_an_object_in_a_body_is_one() {
    let gateway = TestGateway::start().await;
    make_known(&gateway, "d").await;
    let batches = "/api/v1/command-batches";
    let expects = json!({"name": "open", "expect": ["open", null, "==", true]});
    for (path, body) in [
        (batches, json!({"devices": ["d"], "command": ["open"]})),
        (batches, json!({"devices": ["d"], "command": {"name": "open"}, "abort_after": [1]})),
        ("/api/v1/devices/d/commands", expects),
    ] {
        let request = gateway.request(Method::POST, path).json(&body);
        refused(request, StatusCode::BAD_REQUEST, "bad_request").await;
    }
    let (_, commands) = gateway.get("/api/v1/commands").await;
    assert_eq!(commands["items"], json!([]), "none of them was taken");
}

#[tokio::test]
async fn times_outside_of_all_calendars_are_refused() {
    let gateway = TestGateway::start().await;
    make_known(&gateway, "d").await;
    for not_before in [-1, i64::MAX] {
        let post = gateway.request(Method::POST, "/api/v1/devices/d/commands");
        let post = post.json(&json!({"name": "open", "not_before": not_before}));
        refused(post, StatusCode::BAD_REQUEST, "bad_request").await;
    }
    for path in ["/api/v1/devices/d/telemetry?from=-1", "/api/v1/audit?to=-1"] {
        refused(gateway.request(Method::GET, path), StatusCode::BAD_REQUEST, "bad_query").await;
    }
}

#[tokio::test]
async fn the_rows_of_a_batch_are_found_however_its_id_is_written() {
    let gateway = TestGateway::start().await;
    make_known(&gateway, "d").await;
    let body = json!({"devices": ["d"], "command": {"name": "open"}});
    let (_, batch) = gateway.post("/api/v1/command-batches", &body).await;
    let id = id(&batch);
    for id in [id.to_uppercase(), id] {
        let (_, rows) = gateway.get(&format!("/api/v1/commands?batch={id}")).await;
        assert_eq!(rows["items"].as_array().map(Vec::len), Some(1), "{id}");
    }
    let request = gateway.request(Method::GET, "/api/v1/commands?batch=north");
    refused(request, StatusCode::BAD_REQUEST, "bad_query").await;
}

#[tokio::test]
async fn what_is_no_handshake_is_told_how_to_make_one() {
    let gateway = TestGateway::start().await;
    for path in ["/ws", "/mqtt"] {
        let get = || gateway.request(Method::GET, path);
        let old = get().header("connection", "upgrade").header("upgrade", "websocket");
        let old = old.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        for request in
            [get(), gateway.request(Method::HEAD, path), old.header("sec-websocket-version", "12")]
        {
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::UPGRADE_REQUIRED, "{path}");
            assert_eq!(answer.headers()["upgrade"], "websocket");
            assert_eq!(answer.headers()["sec-websocket-version"], "13");
        }
        refused(get(), StatusCode::UPGRADE_REQUIRED, "websocket_only").await;
    }
}

#[tokio::test]
async fn a_page_that_is_known_is_not_sent_again() {
    let gateway = TestGateway::start().await;
    let first = gateway.request(Method::GET, "/").send().await.expect("an answer");
    let tag = first.headers()["etag"].to_str().expect("ASCII").to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
        let again = gateway.request(Method::GET, "/").header("if-none-match", &known);
        assert_eq!(answer(again).await.0, StatusCode::NOT_MODIFIED, "{known}");
    }
    let other = gateway.request(Method::GET, "/").header("if-none-match", "\"x\"");
    assert_eq!(answer(other).await.0, StatusCode::OK);
}
