//! MQTT over WebSocket (chapter 6).

use super::{packets::*, support::*};
use futures_util::{SinkExt as _, StreamExt as _};
use tests::soon;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

type Socket = WebSocketStream<TcpStream>;

/// A handshake that offers `mqtt`, which the broker takes.
async fn open(broker: &Broker) -> Socket {
    let address = broker.websocket();
    let stream = soon("a connection", TcpStream::connect(address)).await.unwrap();
    let mut request = format!("ws://{address}/mqtt").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("mqtt"));
    let (socket, response) = soon("a handshake", client_async(request, stream)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "mqtt");
    socket
}

async fn send(socket: &mut Socket, bytes: &[u8]) {
    soon("a frame", socket.send(Message::Binary(bytes.to_vec().into()))).await.unwrap();
}

/// So many bytes of MQTT, however they are framed.
async fn take(socket: &mut Socket, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        match soon("a frame", socket.next()).await {
            Some(Ok(Message::Binary(bytes))) => all.extend(bytes),
            Some(Ok(Message::Ping(_))) => {}
            other => panic!("MQTT is in binary frames, not in {other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn packets_need_not_be_aligned_with_frames() {
    let broker = Broker::start().await;
    let mut socket = open(&broker).await;
    for byte in connect(tests::Version::V3, "ws").packet() {
        send(&mut socket, &[byte]).await;
    }
    assert_eq!(take(&mut socket, 4).await, [0x20, 2, 0, 0]);
    let three = ping().repeat(3);
    send(&mut socket, &three[..3]).await;
    send(&mut socket, &three[3..]).await;
    assert_eq!(take(&mut socket, 6).await, [0xD0, 0].repeat(3));
}

#[tokio::test]
async fn a_text_frame_ends_the_connection() {
    let broker = Broker::start().await;
    let mut socket = open(&broker).await;
    send(&mut socket, &connect(tests::Version::V3, "ws").packet()).await;
    take(&mut socket, 4).await;
    soon("a frame", socket.send(Message::Text("\u{40}\u{0}".into()))).await.unwrap();
    let is_closed = |message: &Message| matches!(message, Message::Close(_));
    while let Some(Ok(message)) = soon("the end", socket.next()).await {
        assert!(is_closed(&message), "{message:?}");
    }
    broker.serves().await;
}
