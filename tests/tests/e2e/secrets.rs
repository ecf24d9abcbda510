//! Secrets are said nowhere: not in the log, however much is logged, not in metrics, answers or the audit log.

use crate::tokens;
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use tests::{Connect, Peer, Program, TestGateway, Version};

/// What nobody may read again: beside the real secrets, wrong ones that somebody tried.
const TRIED: [&str; 3] =
    ["slt_0123456789ab_tried-by-somebody", "tried-as-a-password", "tried.a.jwt"];

/// Runs `sluice-gateway` in the gateway's data directory, and gives what it prints.
async fn run(gateway: &TestGateway, arguments: &[&str]) -> String {
    let dir = gateway.data_dir();
    let arguments = [arguments, &["--data-dir", dir.to_str().expect("UTF-8")]].concat();
    let ended = Program::new("sluice-gateway", &arguments).run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.stdout.trim().to_owned()
}

async fn signs_in(gateway: &TestGateway, version: Version, user: &str, password: &str) -> bool {
    let connect = Connect::new(version, user);
    let connect = Connect { user: Some(user), password: Some(password), ..connect };
    let Some(mut peer) = Peer::try_connect(gateway.mqtt(), connect).await else { return false };
    peer.publish("devices/pump-1/telemetry", b"{}", 1).await;
    true
}

/// All answers to requests that show `token` in each place where one can be shown, and where none can.
async fn answers(gateway: &TestGateway, token: &str) -> String {
    let get = |path: &str| gateway.request(Method::GET, path);
    let body = json!({ "token": token });
    let requests = [
        get("/api/v1/devices").bearer_auth(token),
        get("/api/v1/devices").header("cookie", format!("sluice_session={token}")),
        get(&format!("/api/v1/devices?token={token}")),
        get(&format!("/api/v1/device-types?token={token}")),
        get(&format!("/api/v1/device-types?token={token}")).bearer_auth(token),
        get(&format!("/sse?channels=a&token={token}")).bearer_auth(token),
        get(&format!("/ws?token={token}")),
        get(&format!("/{token}/")).bearer_auth(token).header("host", "evil.example"),
        gateway.request(Method::PUT, "/api/v1/session").json(&body),
        gateway.request(Method::POST, "/api/v1/session").json(&body),
    ];
    let mut all = String::new();
    for request in requests {
        let answer = tests::soon("an answer", request.send()).await.expect("an answer");
        // The way of the cookie is that of the secret itself.
        all += &tests::soon("a body", answer.text()).await.expect("a body");
    }
    all
}

#[tokio::test]
async fn no_secret_is_in_the_log_in_metrics_in_answers_or_in_the_audit_log() {
    let level = "trace,tungstenite::protocol=trace";
    let gateway = TestGateway::with(&[("LOG__LEVEL", level)]).await;
    let token = run(&gateway, &["token", "create", "anna"]).await;
    let secret = run(&gateway, &["device", "add", "pump-1"]).await;
    for version in [Version::V3, Version::V5] {
        assert!(signs_in(&gateway, version, "pump-1", &secret).await);
        assert!(signs_in(&gateway, version, "anna", &token).await);
        for tried in TRIED {
            assert!(!signs_in(&gateway, version, "pump-2", tried).await);
        }
    }
    for shown in [&*token, TRIED[0]] {
        let mut socket = tokens::websocket(&gateway).await;
        tokens::hello(&mut socket, shown).await;
        tests::soon("an answer", socket.next()).await.expect("a message").expect("it is open");
    }
    let mut said = String::new();
    for shown in [&*token, TRIED[0], TRIED[1]] {
        said += &answers(&gateway, shown).await;
    }
    for path in ["/metrics", "/api/v1/audit"] {
        let request = gateway.request(Method::GET, path).bearer_auth(&token);
        said += &request.send().await.expect("an answer").text().await.expect("a text");
    }
    assert!(said.contains("token.created"), "{said}");
    said += &gateway.log();
    for file in ["credentials.json", "devices.json"] {
        said += &fs::read_to_string(gateway.data_dir().join(file)).expect("it is there");
    }
    // Of a token only its id is said.
    let hidden = token.rsplit('_').next().expect("the secret itself");
    for secret in [hidden, &secret, "tried-by-somebody", TRIED[1], TRIED[2]] {
        let before = said.split_once(secret).map(|(before, _)| {
            let far = before.chars().count().saturating_sub(200);
            before.chars().skip(far).collect::<String>()
        });
        assert_eq!(before, None, "a secret is said behind this");
    }
    assert!(
        serde_json::from_str::<Value>(gateway.log().lines().next().unwrap_or_default()).is_ok()
    );
}
