//! MQTT over WebSocket at `/mqtt` (MQTT 5.0, section 6), frame by frame.

use futures_util::{SinkExt as _, StreamExt as _};
use tests::{Connect, Program, TestGateway, Version, mqtt, soon};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue},
};

const PINGREQ: [u8; 2] = [0xC0, 0];
const PINGRESP: [u8; 2] = [0xD0, 0];

async fn open(
    gateway: &TestGateway,
    subprotocol: Option<&'static str>,
) -> Result<WebSocketStream<TcpStream>, Error> {
    open_with(gateway, subprotocol, None).await
}

/// The same with a token in the request.
async fn open_with(
    gateway: &TestGateway,
    subprotocol: Option<&'static str>,
    token: Option<&str>,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let stream = soon("a connection", TcpStream::connect(gateway.http())).await?;
    let mut request = format!("ws://{}/mqtt", gateway.http()).into_client_request()?;
    if let Some(subprotocol) = subprotocol {
        let offer = HeaderValue::from_static(subprotocol);
        request.headers_mut().insert("sec-websocket-protocol", offer);
    }
    if let Some(token) = token {
        let shown = HeaderValue::from_str(&format!("Bearer {token}"))?;
        request.headers_mut().insert("authorization", shown);
    }
    let (socket, response) = soon("a handshake", client_async(request, stream)).await?;
    assert_eq!(response.headers()["sec-websocket-protocol"], "mqtt");
    Ok(socket)
}

/// The MQTT bytes that come next, at least so many.
async fn bytes(socket: &mut WebSocketStream<TcpStream>, least: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < least {
        match soon("a frame", socket.next()).await {
            Some(Ok(Message::Binary(bytes))) => all.extend(bytes),
            other => panic!("MQTT is in binary frames, not in {other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn packets_may_span_frames_and_frames_may_have_many_packets() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/d1"]).await;
    let mut socket = open(&gateway, Some("mqtt")).await.expect("the gateway accepts");
    for byte in Connect::new(Version::V3, "d1").encode() {
        let frame = Message::Binary(vec![byte].into());
        soon("a frame to leave", socket.send(frame)).await.expect("it is open");
    }
    assert_eq!(bytes(&mut socket, 4).await, [0x20, 2, 0, 0]);
    let publish = mqtt::publish(Version::V3, "devices/d1/telemetry", b"{\"n\":1}", 0, 0);
    let (begin, end) = publish.split_at(5);
    for frame in [[&PINGREQ, begin].concat(), [end, &publish, &PINGREQ].concat()] {
        soon("a frame", socket.send(Message::Binary(frame.into()))).await.expect("it is open");
    }
    assert_eq!(bytes(&mut socket, 4).await, [PINGRESP, PINGRESP].concat());
    for seq in 1..=2 {
        assert_eq!(live.update("telemetry/d1").await["seq"], seq);
    }
    soon("a close", socket.close(None)).await.expect("it is open");
}

/// Runs `sluice-gateway token` on the gateway's directory; gives what it prints.
async fn token(gateway: &TestGateway, arguments: &[&str]) -> String {
    let data_dir = gateway.data_dir();
    let place = ["--data-dir", data_dir.to_str().expect("UTF-8")];
    let arguments = [&["token"], arguments, &place].concat();
    Program::new("sluice-gateway", &arguments).run().await.stdout
}

#[tokio::test]
async fn whose_token_is_revoked_is_told_so_and_finds_its_session_with_another() {
    const NOT_AUTHORIZED: u8 = 0x87;
    let gateway = TestGateway::start().await;
    let kept = Connect { clean: false, ..Connect::new(Version::V5, "c") };
    // With a Session Expiry Interval of a minute.
    let plain = kept.encode();
    let (head, rest) = plain.split_at(12);
    let connect = [&[0x10, plain[1] + 5], &head[2..], &[5, 0x11, 0, 0, 0, 60], &rest[1..]].concat();
    for session_present in [0, 1] {
        let secret = token(&gateway, &["create", "anna"]).await;
        let opened = open_with(&gateway, Some("mqtt"), Some(secret.trim())).await;
        let mut socket = opened.expect("the gateway accepts");
        let frame = Message::Binary(connect.clone().into());
        soon("a CONNECT", socket.send(frame)).await.expect("it is open");
        let answer = bytes(&mut socket, 4).await;
        assert_eq!((answer[0], answer[2], answer[3]), (0x20, session_present, 0));
        token(&gateway, &["revoke", "anna"]).await;
        let goodbye = bytes(&mut socket, 3).await;
        assert_eq!((goodbye[0], goodbye[2]), (0xE0, NOT_AUTHORIZED));
    }
}

#[tokio::test]
async fn without_a_token_in_the_request_mqtt_itself_asks_for_one() {
    let gateway = TestGateway::start().await;
    let token = token(&gateway, &["create", "anna"]).await;
    for (password, answer) in [(None, [0x20, 2, 0, 5]), (Some(token.trim()), [0x20, 2, 0, 0])] {
        let mut socket = open(&gateway, Some("mqtt")).await.expect("the gateway accepts");
        let user = password.map(|_| "anna");
        let connect = Connect { user, password, ..Connect::new(Version::V3, "c") };
        let frame = Message::Binary(connect.encode().into());
        soon("a CONNECT", socket.send(frame)).await.expect("it is open");
        assert_eq!(bytes(&mut socket, 4).await, answer);
    }
}

#[tokio::test]
async fn a_text_frame_ends_the_connection() {
    let gateway = TestGateway::start().await;
    let mut socket = open(&gateway, Some("mqtt")).await.expect("the gateway accepts");
    soon("a frame", socket.send(Message::Text("\u{10}".into()))).await.expect("it is open");
    let end = soon("the end", socket.next()).await;
    assert!(!matches!(end, Some(Ok(Message::Binary(_) | Message::Text(_)))), "{end:?}");
}

#[tokio::test]
async fn without_the_subprotocol_there_is_no_handshake() {
    let gateway = TestGateway::start().await;
    for offer in [None, Some("sluice.v1")] {
        match open(&gateway, offer).await {
            Err(Error::Http(response)) => assert_eq!(response.status(), 400, "{offer:?}"),
            other => panic!("{offer:?} gives {other:?}"),
        }
    }
}
