//! WebSocket frames that lie (RFC 6455, section 5).

use super::{Target, said};
use serde_json::json;
use tests::soon;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const HANDSHAKE: &[u8] = b"GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: sluice.v1\r\n\r\n";

/// A connection that was upgraded.
async fn upgraded(target: &Target) -> TcpStream {
    let mut stream = said(&target.gateway, HANDSHAKE).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon("an answer", stream.read_u8()).await.expect("it is open"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}

/// A frame with a mask of zeros, which leaves the payload as it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | length as u8),
        126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn frames_that_lie_end_their_own_connection() {
    let target = Target::with(&[]).await;
    let lies: [(&str, Vec<u8>); 13] = [
        ("unmasked", vec![0x81, 2, b'{', b'}']),
        ("compressed, which was not agreed", frame(0xc1, b"{}")),
        ("reserved bits", frame(0xb1, b"{}")),
        ("a reserved opcode", frame(0x83, b"{}")),
        ("a ping that is too long", frame(0x89, &[b'x'; 126])),
        ("a ping in fragments", frame(0x09, b"x")),
        ("invalid UTF-8", frame(0x81, &[b'"', 0xff, b'"'])),
        ("a surrogate", frame(0x81, &[b'"', 0xed, 0xa0, 0x80, b'"'])),
        ("a continuation of nothing", frame(0x80, b"{}")),
        ("a message within a message", [frame(0x01, b"{"), frame(0x81, b"}")].concat()),
        ("a length that is negative", vec![0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("more than the limit", frame(0x81, &vec![b' '; 70_000])),
        (
            "fragments beyond the limit",
            frame(0x01, &[b' '; 1_000])
                .into_iter()
                .chain((0..80).flat_map(|_| frame(0x00, &[b' '; 1_000])))
                .collect(),
        ),
    ];
    for (name, bytes) in lies {
        eprintln!("{name}");
        let mut stream = upgraded(&target).await;
        let _closed_already = stream.write_all(&bytes).await;
        let mut rest = Vec::new();
        let _reset = soon("a close", stream.read_to_end(&mut rest)).await;
    }
    target.stands().await;
}

#[tokio::test]
async fn a_close_code_that_none_may_send_is_answered_with_1002() {
    let target = Target::with(&[]).await;
    let code_of = async |bytes: Vec<u8>| {
        let mut stream = upgraded(&target).await;
        stream.write_all(&bytes).await.expect("it is open");
        let mut said = Vec::new();
        let _reset = soon("a close", stream.read_to_end(&mut said)).await;
        let at = said.windows(2).rposition(|head| head[0] == 0x88 && head[1] >= 2);
        let at = at.expect("a close frame with a code");
        u16::from_be_bytes([said[at + 2], said[at + 3]])
    };
    for code in [0_u16, 999, 1005, 1006, 1015, 5000] {
        assert_eq!(code_of(frame(0x88, &code.to_be_bytes())).await, 1002, "{code}");
    }
    assert_eq!(code_of(frame(0x88, &1001_u16.to_be_bytes())).await, 1001, "as it said");
    assert_eq!(code_of(frame(0x83, b"{}")).await, 4004, "a reserved opcode");
    target.stands().await;
}

#[tokio::test]
async fn fragments_without_an_end_and_half_frames_hold_nothing_up() {
    let target = Target::with(&[]).await;
    let mut held = Vec::new();
    for bytes in [frame(0x01, &[b' '; 60_000]), vec![0x81], vec![0x81, 0xff, 0, 0], vec![0x88]] {
        for _ in 0..20 {
            let mut stream = upgraded(&target).await;
            stream.write_all(&bytes).await.expect("it is open");
            held.push(stream);
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn messages_that_nest_repeat_or_overflow_are_answered() {
    let target = Target::with(&[]).await;
    let mut live = target.gateway.live().await;
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    for text in [
        r#"{"type":"ping","id":1e308}"#.to_owned(),
        r#"{"type":"subscribe","type":"ping","id":2}"#.into(),
        format!(r#"{{"type":"ping","id":3,{}"z":0}}"#, r#""a":1,"#.repeat(5_000)),
        format!(
            r#"{{"type":"replay","id":4,"channel":"a","from":{0},"to":{0}}}"#,
            "9".repeat(1_000)
        ),
        format!(r#"{{"type":"subscribe","id":5,"channels":["{}"]}}"#, "+/".repeat(20_000)),
        format!(r#"{{"type":"subscribe","id":6,"channels":[{}"b"]}}"#, r#""a","#.repeat(10_000)),
        r#"{"type":"subscribe","id":7,"channels":["a\u0000b"]}"#.into(),
        r#"{"type":"subscribe","id":8,"channels":["a"],"options":{"throttle":1e-320}}"#.into(),
    ] {
        live.send_text(text.clone()).await;
        let reply = live.next().await;
        assert!(reply["type"].is_string(), "{text:.80}: {reply}");
        if reply["type"] == "subscribed" {
            assert_eq!(live.next().await["type"], json!("live"));
        }
    }
    live.send_text(deep).await;
    let (code, _) = live.farewell().await;
    assert_eq!(code, 4004);
    target.stands().await;
}

#[tokio::test]
async fn no_compression_is_agreed_on_and_a_frame_that_claims_it_ends_its_connection() {
    let target = Target::with(&[]).await;
    let offer = String::from_utf8_lossy(HANDSHAKE).replace(
        "upgrade: websocket",
        "upgrade: websocket\r\nsec-websocket-extensions: permessage-deflate",
    );
    let mut stream = said(&target.gateway, offer.as_bytes()).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(soon("an answer", stream.read_u8()).await.expect("it is open"));
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && !head.contains("extensions"), "{head}");
    // RSV1 says that a message is compressed (RFC 7692, section 6).
    stream.write_all(&frame(0xC1, &[0; 1_000])).await.expect("it is open");
    let mut rest = Vec::new();
    let _reset = soon("a close", stream.read_to_end(&mut rest)).await;
    target.stands().await;
}
