//! HTTP: who is slow, who lies about lengths, who nests and repeats.

use super::{Target, answer, said, trickle, until_closed};
use reqwest::Method;
use tests::soon;

const PATIENCE: [(&str, &str); 2] =
    [("HTTP__HEADER_TIMEOUT_MS", "300"), ("HTTP__BODY_TIMEOUT_MS", "300")];

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let target = Target::with(&PATIENCE).await;
    let before = target.gateway.metric("sluice_http_closed_idle_total").await;
    for half in [&b""[..], b"GET", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: "] {
        let mut stream = said(&target.gateway, half).await;
        until_closed(&mut stream).await;
    }
    assert!(target.gateway.metric("sluice_http_closed_idle_total").await >= before + 3);
    target.stands().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408() {
    let target = Target::with(&PATIENCE).await;
    for head in ["content-length: 100\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n5\r\n{"] {
        let request = format!(
            "PUT /api/v1/devices/d1 HTTP/1.1\r\nhost: localhost\r\n\
             content-type: application/json\r\n{head}"
        );
        let answer = answer(&target.gateway, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains(r#""code":"body_timeout""#), "{answer}");
    }
    assert_eq!(target.gateway.metric("sluice_http_slow_bodies_total").await, 2);
    target.stands().await;
}

#[tokio::test]
async fn who_takes_no_answer_is_given_up() {
    let target = Target::with(&[("HTTP__WRITE_TIMEOUT_MS", "300")]).await;
    let many = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(400);
    let _stream = said(&target.gateway, many.as_bytes()).await;
    target.gateway.until_metric("sluice_http_closed_unread_total", 1).await;
    target.stands().await;
}

#[tokio::test]
async fn two_ways_to_read_one_request_are_none() {
    let target = Target::with(&[("HTTP__HEADER_TIMEOUT_MS", "500")]).await;
    let put = "PUT /api/v1/devices/smuggled HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
               content-type: application/json\r\n";
    let hidden = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let shapes = [
        format!("content-length: 5\r\ncontent-length: 6\r\n\r\n0\r\n\r\n{hidden}"),
        format!("content-length: +5\r\n\r\n0\r\n\r\n{hidden}"),
        format!("content-length: 5, 5\r\ntransfer-encoding: x\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\n\r\n-1\r\n{hidden}"),
        format!("x: a\r\n\0b: c\r\n\r\n{hidden}"),
        "a: b\r\n".repeat(500) + "\r\n",
        format!("x: {}\r\n\r\n", "y".repeat(1_000_000)),
    ];
    for shape in shapes {
        let answer = answer(&target.gateway, format!("{put}{shape}").as_bytes()).await;
        let good = answer.matches("HTTP/1.1 2").count();
        assert_eq!(good, 0, "{shape:.200} was answered with {answer}");
    }
    target.stands().await;
    assert_eq!(target.gateway.get("/api/v1/devices/smuggled").await.0, 404);
}

#[tokio::test]
async fn json_that_nests_repeats_or_overflows_is_refused_or_read_but_never_grows() {
    let target = Target::with(&[]).await;
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let bodies = [
        (format!(r#"{{"tags":{deep}}}"#), 400),
        ("{".repeat(100_000), 400),
        (r#"{"type":1e999999}"#.into(), 400),
        (format!(r#"{{"type":{}}}"#, "9".repeat(10_000)), 400),
        (format!(r#"{{"type":[{}1]}}"#, "1,".repeat(100_000)), 400),
        (r#"{"type":"\ud800"}"#.into(), 400),
        (r#"{"type":"a","type":1}"#.into(), 400),
        ("\u{feff}{}".into(), 400),
        (String::new(), 400),
        ("x".repeat(300_000), 413),
    ];
    for (body, status) in bodies {
        let request = target.gateway.request(Method::PUT, "/api/v1/devices/d1");
        let shown: String = body.chars().take(60).collect();
        let answer = request.header("content-type", "application/json").body(body).send();
        let answer = soon("an answer", answer).await.expect("an answer");
        let (got, text) = (answer.status(), answer.text().await.expect("a text"));
        assert_eq!(got, status, "{shown}: {text}");
        assert!(text.contains(r#""code":"#) && text.len() < 64 * 1024, "{shown}: {text:.200}");
    }
    target.stands().await;
}

#[tokio::test]
async fn paths_that_escape_are_not_found_and_ids_with_zeros_are_none() {
    let target = Target::with(&[]).await;
    for (path, status) in [
        ("/../../etc/passwd", "404"),
        ("/%2e%2e/%2e%2e/etc/passwd", "404"),
        ("/assets/..%2f..%2fCargo.toml", "404"),
        ("/api/v1/devices/a%00b", "400"),
        ("/api/v1/devices/%ff%fe", "400"),
        ("/api/v1/devices/%ed%a0%80", "400"),
        ("/api/v1/devices/a%2fb", "400"),
        ("/api/v1/devices/%", "400"),
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = answer(&target.gateway, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer:.300}");
        assert!(!answer.contains("root:"), "{path}");
    }
    target.stands().await;
}

#[tokio::test]
async fn a_head_that_trickles_ends_at_its_deadline() {
    let target = Target::with(&PATIENCE).await;
    let slow = (0..20).map(|_| trickle(target.gateway.http(), b"GET / HTTP/1.1 "));
    futures_util::future::join_all(slow).await;
    target.stands().await;
}

#[tokio::test]
async fn a_connection_too_many_is_told_503_until_one_leaves() {
    let target = Target::with(&[("LIMITS__HTTP_CONNECTIONS", "8")]).await;
    let mut silent = Vec::new();
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut said_so = String::new();
    tests::until("no room", async || {
        silent.push(said(&target.gateway, b"").await);
        said_so = answer(&target.gateway, request).await;
        !said_so.starts_with("HTTP/1.1 200 ")
    })
    .await;
    assert!(said_so.starts_with("HTTP/1.1 503 ") && silent.len() >= 7, "{said_so}");
    assert!(said_so.contains("retry-after: 5"), "{said_so}");
    drop(silent);
    tests::until("room", async || {
        answer(&target.gateway, request).await.starts_with("HTTP/1.1 200 ")
    })
    .await;
    assert!(target.gateway.metric("sluice_http_refused_full_total").await >= 1);
    target.stands().await;
}

#[tokio::test]
async fn a_body_that_says_it_is_compressed_is_not_unpacked() {
    let target = Target::with(&[]).await;
    // 64 MiB of zeros, as gzip has them: a thousandth of that.
    let mut packed = tokio::process::Command::new("sh");
    packed.args(["-c", "head -c 67108864 /dev/zero | gzip"]);
    let packed = soon("gzip", packed.output()).await.expect("gzip runs").stdout;
    assert!(packed.len() < 200_000, "it is a bomb: {}", packed.len());
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let path = "/api/v1/devices/pump-1/commands";
        let request = target.gateway.request(reqwest::Method::POST, path);
        let request = request.header("content-encoding", encoding);
        let request = request.header("content-type", "application/json").body(packed.clone());
        let answer = soon("an answer", request.send()).await.expect("an answer");
        assert!(answer.status().is_client_error(), "{encoding}: {}", answer.status());
    }
    target.stands().await;
}
