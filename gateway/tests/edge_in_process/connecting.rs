//! CONNECT and the end: reason codes of both versions, takeover, limits, shutdown.

use super::{packets::*, support::*};

/// The CONNACK to `connect`, after which the edge closes.
async fn refused(edge: &TestEdge, connect: &[u8]) -> Vec<u8> {
    let mut peer = edge.socket().await;
    peer.send(connect).await;
    peer.rest().await
}

#[tokio::test]
async fn both_versions_are_accepted_on_one_port() {
    let edge = TestEdge::start().await;
    let mut three = edge.socket().await;
    three.send(&client(4, "three").packet()).await;
    assert_eq!(three.raw().await, [0x20, 2, 0, 0]);
    let mut five = edge.socket().await;
    five.send(&client(5, "five").packet()).await;
    let (head, body) = five.packet().await;
    assert_eq!((head, &body[..2]), (0x20, &[0, 0][..]));
    // Receive Maximum, Maximum Packet Size, Topic Alias Maximum.
    let expected = [&[0x21, 0x03, 0xE8][..], &[0x27, 0, 4, 0, 0], &[0x22, 0, 64]];
    assert_eq!(body[3..], expected.concat());
}

#[tokio::test]
async fn versions_that_are_not_served_are_told() {
    let edge = TestEdge::start().await;
    let mut old = text("MQIsdp");
    old.extend([3, 2, 0, 0]);
    old.extend(text("old"));
    assert_eq!(refused(&edge, &packet(0x10, &old)).await, [0x20, 2, 0, 1]);
    assert_eq!(refused(&edge, &client(3, "x").packet()).await, [0x20, 2, 0, 1]);
    assert_eq!(refused(&edge, &client(6, "x").packet()).await, [0x20, 3, 0, 0x84, 0]);
    edge.counts("refused_version", 3).await;
}

#[tokio::test]
async fn client_ids_that_cannot_be_are_refused() {
    let edge = TestEdge::start().await;
    let long = "x".repeat(257);
    for id in ["a\u{7}b", long.as_str()] {
        assert_eq!(refused(&edge, &client(4, id).packet()).await, [0x20, 2, 0, 2]);
        assert_eq!(refused(&edge, &client(5, id).packet()).await, [0x20, 3, 0, 0x85, 0]);
    }
    let kept = Connect { clean: false, ..client(4, "") };
    assert_eq!(refused(&edge, &kept.packet()).await, [0x20, 2, 0, 2]);
    edge.counts("refused_client_id", 5).await;
}

#[tokio::test]
async fn an_empty_client_id_is_assigned_and_told() {
    let edge = TestEdge::start().await;
    let mut peer = edge.socket().await;
    peer.send(&client(5, "").packet()).await;
    let (_, body) = peer.packet().await;
    let told = String::from_utf8_lossy(&body).contains("auto-");
    assert!(body[1] == 0 && told, "{body:?}");
    edge.connect(4, "").await;
}

#[tokio::test]
async fn a_malformed_connect_is_told_where_the_version_can_say_it() {
    let edge = TestEdge::start().await;
    for (flags, code) in [(0x03, 0x81), (0x1E, 0x81), (0x08, 0x81)] {
        let mut bytes = client(5, "x").packet();
        bytes[9] = flags;
        assert_eq!(refused(&edge, &bytes).await, [0x20, 3, 0, code, 0], "{flags:x}");
        let mut bytes = client(4, "x").packet();
        bytes[9] = flags;
        assert_eq!(refused(&edge, &bytes).await, NOTHING);
    }
    // Receive Maximum 0, and Session Expiry twice.
    for properties in [&[0x21, 0, 0][..], &[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1]] {
        let bytes = Connect { properties, ..client(5, "x") }.packet();
        assert_eq!(refused(&edge, &bytes).await, [0x20, 3, 0, 0x82, 0], "{properties:?}");
    }
    // An authentication method that nobody offers; a will to no topic.
    let method = [&CODES[..], &[0x15, 0, 1, b'x']].concat();
    let bytes = Connect { properties: &method, ..client(5, "x") }.packet();
    assert_eq!(refused(&edge, &bytes).await, [0x20, 3, 0, 0x8C, 0]);
    let bytes = Connect { will: Some(("a/+", "gone")), ..client(5, "x") }.packet();
    assert_eq!(refused(&edge, &bytes).await, [0x20, 3, 0, 0x90, 0]);
    edge.serves().await;
}

#[tokio::test]
async fn what_is_no_connect_is_closed_without_a_word() {
    let edge = TestEdge::start().await;
    for bytes in [&PINGREQ[..], b"GET / HTTP/1.1\r\n\r\n", &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 1]] {
        assert_eq!(refused(&edge, bytes).await, NOTHING);
    }
    edge.counts("refused_malformed", 3).await;
    edge.serves().await;
}

#[tokio::test]
async fn a_password_without_a_name_is_for_version_5_only() {
    let edge = TestEdge::start().await;
    let with_password = |version| {
        let mut body = client(version, "x").packet();
        body[9] |= 0x40;
        body.extend(text("secret"));
        body[1] += 8;
        body
    };
    let mut peer = edge.socket().await;
    peer.send(&with_password(5)).await;
    assert_eq!(peer.packet().await.1[1], 0);
    assert_eq!(refused(&edge, &with_password(4)).await, NOTHING);
}

#[tokio::test]
async fn who_sends_no_connect_in_time_is_closed() {
    let edge = TestEdge::with(|config| config.mqtt.connect_timeout_ms = 50).await;
    let mut peer = edge.socket().await;
    peer.send(&client(5, "slow").packet()[..7]).await;
    peer.closes().await;
    edge.counts("refused_timeout", 1).await;
}

#[tokio::test]
async fn a_full_house_says_so_and_has_room_again() {
    let edge = TestEdge::with(|config| config.limits.mqtt_connections = 1).await;
    let mut first = edge.connect(5, "first").await;
    assert_eq!(refused(&edge, &client(5, "x").packet()).await, [0x20, 3, 0, 0x97, 0]);
    assert_eq!(refused(&edge, &client(4, "x").packet()).await, [0x20, 2, 0, 3]);
    edge.counts("refused_full", 2).await;
    first.send(&DISCONNECT).await;
    first.closes().await;
    soon(async {
        while edge.counters.connections_now.get() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut peer = edge.socket().await;
    peer.send(&client(4, "second").packet()).await;
    assert_eq!(peer.raw().await[0], 0x20);
}

#[tokio::test]
async fn a_new_connection_takes_the_client_id_over() {
    let edge = TestEdge::start().await;
    let mut old = edge.connect(5, "same").await;
    let mut newer = edge.connect(4, "same").await;
    assert_eq!(old.rest().await, [0xE0, 1, 0x8E]);
    let mut newest = edge.connect(5, "same").await;
    newer.closes().await;
    newest.hears_nothing().await;
    assert_eq!(edge.counters.takeovers.get(), 2);
}

#[tokio::test]
async fn shutdown_tells_every_client_that_can_hear_it() {
    let edge = TestEdge::start().await;
    let (mut five, mut three) = (edge.connect(5, "five").await, edge.connect(4, "three").await);
    let mut nobody = edge.socket().await;
    let address = edge.address;
    edge.stop().await;
    assert_eq!(five.rest().await, [0xE0, 1, 0x8B]);
    three.closes().await;
    nobody.closes().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
