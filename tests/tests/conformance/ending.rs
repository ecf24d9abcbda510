//! PINGREQ, DISCONNECT, AUTH and what is an error (chapters 3.12 to 3.15, 4.12 and 4.13).

use super::{packets::*, support::*};
use tests::{
    Version,
    mqtt::{field, packet},
};

#[tokio::test]
async fn a_ping_is_answered() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.send(&ping().repeat(3)).await;
        for _ in 0..3 {
            assert_eq!(client.takes(PINGRESP).await.body, NOTHING);
        }
        client.violates("a ping with a body", &packet(PINGREQ, 0, &[0])).await;
    }
}

#[tokio::test]
async fn a_goodbye_is_answered_by_the_close_only() {
    let broker = Broker::start().await;
    for version in BOTH {
        // `leaves` wants the close, and nothing before it.
        broker.client(version, "c").await.leaves().await;
    }
}

#[tokio::test]
async fn what_follows_a_goodbye_is_not_processed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.send(&[goodbye(), publish(version, 1, "after", 0, b"x"), ping()].concat()).await;
        assert_eq!(client.rest().await, []);
        let mut late = broker.client(version, "late").await;
        late.subscribe(&[("after", 0)]).await;
        late.hears_nothing().await;
    }
}

#[tokio::test]
async fn what_came_before_a_goodbye_is_processed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher").await;
        watcher.subscribe(&[("a", 0)]).await;
        let mut client = broker.client(version, "c").await;
        client.send(&[publish(version, 0, "a", 0, b"x"), goodbye()].concat()).await;
        watcher.hears("x").await;
    }
}

#[tokio::test]
async fn a_disconnect_is_checked() {
    let broker = Broker::start().await;
    for (what, body) in [
        ("a property of another packet", &[0, 3, TOPIC_ALIAS, 0, 1][..]),
        ("bytes behind its end", &[0, 0, 9]),
        ("properties that are cut", &[0, 9, 0x11]),
        ("expiry twice", &[0, 10, 0x11, 0, 0, 0, 0, 0x11, 0, 0, 0, 0]),
    ] {
        let bytes = packet(DISCONNECT, 0, body);
        broker.client(Version::V5, "c").await.violates(what, &bytes).await;
    }
    let with_a_body = packet(DISCONNECT, 0, &[0]);
    broker.client(Version::V3, "c").await.violates("a body", &with_a_body).await;
}

#[tokio::test]
async fn the_goodbye_of_a_broker_says_why_and_no_session_expiry() {
    let broker = Broker::start().await;
    for bytes in [
        packet(0, 0, &[]),
        connect(Version::V5, "c").packet(),
        vec![0x30, 0x80, 0x80, 0x80, 0x80, 1],
    ] {
        let mut client = broker.client(Version::V5, "c").await;
        client.send(&bytes).await;
        let rest = client.rest().await;
        let [only] = &rest[..] else { panic!("{bytes:?}: {rest:?}") };
        assert_eq!((only.kind, only.flags), (DISCONNECT, 0));
        assert!(matches!(only.body[0], 0x81 | 0x82), "{only:?}");
        if only.body.len() > 1 {
            let (told, behind) = properties(&only.body[1..]);
            assert_eq!((property(&told, 0x11), behind), (None, &[][..]));
        }
    }
}

#[tokio::test]
async fn no_disconnect_comes_before_a_connack() {
    let broker = Broker::start().await;
    for bytes in [packet(0, 0, &[]), ping(), packet(CONNECT, 0, &[0, 4]), packet(CONNECT, 9, &[])] {
        let answer = broker.refuses(&bytes).await;
        assert!(answer.iter().all(|packet| packet.kind == CONNACK), "{answer:?}");
    }
}

#[tokio::test]
async fn auth_without_a_method_ends_the_connection() {
    let broker = Broker::start().await;
    for body in [
        &[][..],
        &[0x18],
        &[0x19, 0],
        &[0x19, 7, AUTHENTICATION_METHOD, 0, 4, b'n', b'o', b'n', b'e'],
    ] {
        let bytes = packet(AUTH, 0, body);
        let reason = broker.client(Version::V5, "c").await.violates("auth", &bytes).await;
        assert!(matches!(reason, None | Some(0x82 | 0x81 | 0x8C)), "{reason:?}");
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_method_that_is_not_supported_is_refused() {
    let broker = Broker::start().await;
    let method =
        [&[AUTHENTICATION_METHOD][..], &field(b"SCRAM-SHA-1"), &[0x16], &field(b"data")].concat();
    let connect = Connect { properties: method, ..connect(Version::V5, "c") };
    let answer = broker.refuses(&connect.packet()).await;
    assert_eq!((answer.len(), answer[0].kind), (1, CONNACK));
    assert!(matches!(answer[0].body[1], 0x8C | 0x87), "{answer:?}");
}

#[tokio::test]
async fn one_clients_violation_is_nobody_elses() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut other = broker.client(version, "other").await;
        other.subscribe(&[("a", 0)]).await;
        for bytes in
            [packet(0, 0, &[]), publish(version, 6, "a", 1, b"x"), packet(PUBLISH, 0, &[0, 9])]
        {
            broker.client(version, "c").await.violates("a violation", &bytes).await;
        }
        broker.client(version, "p").await.publish("a", 0, "x").await;
        other.hears("x").await;
    }
}
