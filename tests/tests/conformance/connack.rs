//! CONNACK (chapter 3.2 of both standards).

use super::{packets::*, support::*};
use std::collections::HashSet;
use tests::{Version, mqtt::field};

#[tokio::test]
async fn an_empty_client_id_becomes_one_of_its_own() {
    let broker = Broker::start().await;
    let mut known = HashSet::new();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let (client, connack) = broker.introduce(&connect(Version::V5, "")).await;
        let (told, _) = properties(&connack.body[2..]);
        let id = property(&told, ASSIGNED_CLIENT_ID).expect("it is told").to_vec();
        assert!(id.len() > 2 && known.insert(id), "{known:?}");
        clients.push(client);
        clients.push(broker.client(Version::V3, "").await);
    }
    // All of them are there at once: none displaced another.
    for client in &mut clients {
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn who_was_given_its_client_id_finds_its_session_by_it() {
    let broker = Broker::start().await;
    let (client, connack) = broker.introduce(&kept(Version::V5, "")).await;
    let (told, _) = properties(&connack.body[2..]);
    let id = property(&told, ASSIGNED_CLIENT_ID).expect("it is told");
    let id = String::from_utf8(id[2..].to_vec()).unwrap();
    client.leaves().await;
    assert!(broker.come_back(&kept(Version::V5, &id)).await.1);
}

#[tokio::test]
async fn connack_comes_first_and_once() {
    let broker = Broker::start().await;
    for version in BOTH {
        broker.subscriber(version, 1).await.leaves().await;
        broker.client(version, "p").await.publish("a", 1, "waited").await;
        // `come_back` takes the CONNACK as the first packet.
        let (mut client, present) = broker.come_back(&kept(version, "c")).await;
        assert!(present);
        let message = client.hears("waited").await;
        client.send(&answer(PUBACK, message.id)).await;
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn the_reserved_flags_of_connack_are_zero() {
    let broker = Broker::start().await;
    for version in BOTH {
        let (clean, kept) = (connect(version, "c"), kept(version, "c"));
        for (connect, flags) in [(&clean, 0), (&kept, 0), (&kept, 1), (&clean, 0)] {
            let (client, connack) = broker.introduce(connect).await;
            assert_eq!((connack.flags, connack.body[0]), (0, flags), "{connect:?}");
            client.leaves().await;
        }
    }
}

#[tokio::test]
async fn a_refusal_says_no_session_and_closes() {
    let broker = Broker::start().await;
    // It has a session, and is refused all the same.
    broker.comes_back(Version::V5).await.leaves().await;
    let properties =
        [&session_expiry(60)[..], &[AUTHENTICATION_METHOD], &field(b"unheard-of")].concat();
    let refused = Connect { properties, ..kept(Version::V5, "c") };
    let answer = broker.refuses(&refused.packet()).await;
    assert_eq!((answer.len(), answer[0].kind, answer[0].body[0]), (1, CONNACK, 0), "{answer:?}");
    // 0x8C: bad authentication method; 0x87: not authorized.
    assert!(matches!(answer[0].body[1], 0x8C | 0x87), "{answer:?}");
}

#[tokio::test]
async fn connack_of_3_1_1_has_two_bytes() {
    let broker = Broker::start().await;
    let (_, connack) = broker.introduce(&connect(Version::V3, "c")).await;
    assert_eq!(connack.body, [0, 0]);
}

#[tokio::test]
async fn response_information_and_authentication_are_not_given_unasked() {
    let broker = Broker::start().await;
    for asked in [vec![], vec![0x19, 0]] {
        let connect = Connect { properties: asked, ..connect(Version::V5, "c") };
        let (_, connack) = broker.introduce(&connect).await;
        let (told, _) = properties(&connack.body[2..]);
        for unwanted in [RESPONSE_INFORMATION, AUTHENTICATION_METHOD, 0x16] {
            assert_eq!(property(&told, unwanted), None);
        }
    }
}
