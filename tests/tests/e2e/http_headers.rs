//! What every HTTP answer tells browsers, whatever was asked.

use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use tests::TestGateway;

async fn headers(request: RequestBuilder) -> (StatusCode, HeaderMap) {
    let answer = tests::soon("an answer", request.send()).await.expect("an answer");
    (answer.status(), answer.headers().clone())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
}

fn is_careful(what: &str, headers: &HeaderMap) {
    assert_eq!(text(headers, "x-content-type-options"), "nosniff", "{what}");
    assert_eq!(text(headers, "referrer-policy"), "no-referrer", "{what}");
    assert_eq!(text(headers, "cross-origin-resource-policy"), "same-origin", "{what}");
    let policy = text(headers, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{what}: {policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert_eq!(headers.get_all("content-security-policy").iter().count(), 1, "{what}");
    assert_ne!(text(headers, "cache-control"), "", "{what}");
}

#[tokio::test]
async fn each_call_of_openapi_json_is_answered_carefully() {
    let gateway = TestGateway::start().await;
    let (_, openapi) = gateway.get("/openapi.json").await;
    let mut calls = 0;
    for (path, methods) in openapi["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if !["GET", "PUT", "PATCH", "POST", "DELETE"].contains(&method.as_str()) {
                continue;
            }
            let request = gateway.request(method.clone(), &path.replace("{id}", "x"));
            let (status, headers) = headers(request).await;
            is_careful(&format!("{method} {path}: {status}"), &headers);
            assert_eq!(text(&headers, "cache-control"), "no-store", "{method} {path}");
            calls += 1;
        }
    }
    assert!(calls > 25, "{calls}");
}

#[tokio::test]
async fn refusals_and_files_are_answered_as_carefully() {
    let gateway = TestGateway::start().await;
    let get = |path: &str| gateway.request(Method::GET, path);
    for (what, request, status) in [
        ("nothing there", get("/nothing"), 404),
        ("nothing there in the API", get("/api/v1/nothing"), 404),
        ("a wrong method", gateway.request(Method::DELETE, "/healthz"), 405),
        ("a wrong query", get("/api/v1/devices?x=1"), 400),
        ("a foreign name", get("/").header("host", "evil.example"), 403),
        ("a foreign page", get("/").header("origin", "http://evil.example"), 403),
        ("a list", get("/api/v1/devices"), 200),
        ("a stream", get("/sse?channels=telemetry/%23"), 200),
        ("the page", get("/"), 200),
    ] {
        let (was, headers) = headers(request).await;
        assert_eq!(was, status, "{what}");
        is_careful(what, &headers);
        // The page has no readings: a browser may keep it, and asks whether it is good still.
        let copies = if what == "the page" { "no-cache" } else { "no-store" };
        assert_eq!(text(&headers, "cache-control"), copies, "{what}");
    }
    // The page may run its own scripts, and still may when the browser asks whether its copy is good.
    let (_, first) = headers(get("/")).await;
    let (status, again) = headers(get("/").header("if-none-match", &first["etag"])).await;
    assert_eq!(status, StatusCode::NOT_MODIFIED);
    for headers in [&first, &again] {
        is_careful("the page", headers);
        assert!(text(headers, "content-security-policy").contains("script-src 'self'"));
        assert_eq!(text(headers, "cache-control"), "no-cache");
    }
}
