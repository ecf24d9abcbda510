//! The flows of QoS 1 and 2 in both directions (chapter 4.3), what is sent again (4.4) and in what order (4.6).

use super::{packets::*, support::*};
use tests::{Version, mqtt::packet};

/// A watcher of topic `a` and a client whose flow is looked at.
async fn pair(broker: &Broker, version: Version) -> (Client, Client) {
    let mut watcher = broker.client(version, "watcher").await;
    watcher.subscribe(&[("a", 0)]).await;
    (watcher, broker.client(version, "c").await)
}

#[tokio::test]
async fn qos_0_is_not_answered() {
    let broker = Broker::start().await;
    for version in BOTH {
        let (mut watcher, mut client) = pair(&broker, version).await;
        client.send(&publish(version, 0, "a", 0, b"x")).await;
        watcher.hears("x").await;
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn qos_1_is_answered_and_an_id_may_be_used_again_at_once() {
    let broker = Broker::start().await;
    for version in BOTH {
        let (mut watcher, mut client) = pair(&broker, version).await;
        // The second is a message of its own, although it says that it was sent before.
        for (flags, payload) in [(0x02, "one"), (0x0A, "two"), (0x02, "three")] {
            client.send(&publish(version, flags, "a", 7, payload.as_bytes())).await;
            let puback = client.takes(PUBACK).await;
            // 0x10: nobody subscribed.
            assert!(
                matches!(puback.body[..], [0, 7] | [0, 7, 0 | 0x10] | [0, 7, 0, 0]),
                "{puback:?}"
            );
            watcher.hears(payload).await;
        }
    }
}

#[tokio::test]
async fn qos_2_counts_once_until_it_is_released() {
    let broker = Broker::start().await;
    for version in BOTH {
        let (mut watcher, mut client) = pair(&broker, version).await;
        for (flags, payload) in [(0x04, "one"), (0x0C, "again"), (0x04, "and again")] {
            client.send(&publish(version, flags, "a", 7, payload.as_bytes())).await;
            assert_eq!(client.takes(PUBREC).await.body[..2], [0, 7]);
        }
        client.send(&answer(PUBREL, 7)).await;
        assert_eq!(client.takes(PUBCOMP).await.body[..2], [0, 7]);
        client.publish("a", 2, "end").await;
        watcher.hears("one").await;
        watcher.hears("end").await;
    }
}

#[tokio::test]
async fn after_pubcomp_an_id_means_a_new_message() {
    let broker = Broker::start().await;
    for version in BOTH {
        let (mut watcher, mut client) = pair(&broker, version).await;
        for payload in ["one", "two"] {
            client.send(&publish(version, 0x04, "a", 7, payload.as_bytes())).await;
            client.takes(PUBREC).await;
            client.send(&answer(PUBREL, 7)).await;
            client.takes(PUBCOMP).await;
            watcher.hears(payload).await;
        }
    }
}

#[tokio::test]
async fn an_answer_for_a_reason_that_it_cannot_have_ends_the_connection() {
    let broker = Broker::start().await;
    for (kind, flags, reasons) in [
        (PUBACK, 0, [0x01, 0x92, 0xFF]),
        (PUBREC, 0, [0x01, 0x92, 0xFF]),
        (PUBREL, 2, [0x10, 0x80, 0xFF]),
        (PUBCOMP, 0, [0x10, 0x80, 0xFF]),
    ] {
        for reason in reasons {
            let client = broker.client(Version::V5, "c").await;
            let told = client.violates("reason", &packet(kind, flags, &[0, 1, reason])).await;
            assert!(matches!(told, None | Some(0x81 | 0x82)), "{kind} {reason}: {told:?}");
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn pubrel_of_nothing_is_answered() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.send(&answer(PUBREL, 99)).await;
        let pubcomp = client.takes(PUBCOMP).await;
        // 0x92: packet identifier not found, which 3.1.1 cannot say.
        match version {
            Version::V3 => assert_eq!(pubcomp.body, [0, 99]),
            Version::V5 => {
                assert!(matches!(pubcomp.body[..], [0, 99] | [0, 99, 0x92, ..]), "{pubcomp:?}")
            }
        }
    }
}

#[tokio::test]
async fn acknowledgements_of_nothing_harm_nobody() {
    let broker = Broker::start().await;
    for version in BOTH {
        for kind in [PUBACK, PUBREC, PUBCOMP] {
            let mut client = broker.client(version, "c").await;
            client.send(&answer(kind, 99)).await;
            drop(client);
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_delivery_of_qos_1_waits_for_its_puback() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.subscriber(version, 1).await;
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("a", 1, "one").await;
        let first = client.hears("one").await;
        assert_eq!((first.qos, first.dup), (1, false));
        // On this connection it is not sent again.
        client.hears_nothing().await;
        drop(client);
        let mut client = broker.comes_back(version).await;
        let again = client.hears("one").await;
        assert_eq!((again.qos, again.dup, again.id), (1, true, first.id));
        client.send(&answer(PUBACK, again.id)).await;
        client.hears_nothing().await;
        client.leaves().await;
        let mut client = broker.comes_back(version).await;
        client.hears_nothing().await;
        client.unsubscribe(&["a"]).await;
    }
}

#[tokio::test]
async fn a_delivery_of_qos_2_goes_through_its_stages() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.subscriber(version, 2).await;
        broker.client(version, "p").await.publish("a", 2, "one").await;
        let first = client.hears("one").await;
        assert_eq!((first.qos, first.dup), (2, false));
        drop(client);
        // Without PUBREC the message comes again, after it PUBREL does.
        let mut client = broker.comes_back(version).await;
        let again = client.hears("one").await;
        assert_eq!((again.qos, again.dup, again.id), (2, true, first.id));
        client.send(&answer(PUBREC, first.id)).await;
        assert_eq!(client.takes(PUBREL).await.body[..2], first.id.to_be_bytes());
        drop(client);
        let mut client = broker.comes_back(version).await;
        assert_eq!(client.takes(PUBREL).await.body[..2], first.id.to_be_bytes());
        client.send(&answer(PUBREC, first.id)).await;
        assert_eq!(client.takes(PUBREL).await.body[..2], first.id.to_be_bytes());
        client.send(&answer(PUBCOMP, first.id)).await;
        client.hears_nothing().await;
        client.leaves().await;
        let mut client = broker.comes_back(version).await;
        client.hears_nothing().await;
        client.unsubscribe(&["a"]).await;
    }
}

#[tokio::test]
async fn a_message_that_its_receiver_refuses_is_done() {
    let broker = Broker::start().await;
    for (qos, kind) in [(1, PUBACK), (2, PUBREC)] {
        let mut client = broker.subscriber(Version::V5, qos).await;
        broker.client(Version::V5, "p").await.publish("a", qos, "one").await;
        let message = client.hears("one").await;
        // 0x83: implementation specific error.
        client.send(&answer_with(kind, message.id, 0x83)).await;
        client.hears_nothing().await;
        drop(client);
        let mut client = broker.comes_back(Version::V5).await;
        client.hears_nothing().await;
        client.leaves().await;
    }
}

#[tokio::test]
async fn what_is_sent_again_comes_in_its_order() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.subscriber(version, 2).await;
        let mut publisher = broker.client(version, "p").await;
        for number in 0..8_u8 {
            publisher.publish("a", 1 + number % 2, &number.to_string()).await;
        }
        for number in 0..8 {
            client.hears(&number.to_string()).await;
        }
        drop(client);
        let mut client = broker.comes_back(version).await;
        for number in 0..8 {
            assert!(client.hears(&number.to_string()).await.dup);
        }
        broker.forgets(version).await;
    }
}

#[tokio::test]
async fn messages_come_in_the_order_of_their_publisher() {
    let broker = Broker::start().await;
    for version in BOTH {
        for qos in 0..=2 {
            let mut client = broker.client(version, "c").await;
            client.subscribe(&[("a/+", qos)]).await;
            let mut publisher = broker.client(version, "p").await;
            let bytes: Vec<u8> = (1..=20)
                .flat_map(|id| publish(version, qos << 1, "a/b", id, id.to_string().as_bytes()))
                .collect();
            publisher.send(&bytes).await;
            if qos == 2 {
                // A broker may pass a message on with its PUBREL only.
                let releases: Vec<u8> = (1..=20).flat_map(|id| answer(PUBREL, id)).collect();
                publisher.send(&releases).await;
            }
            for number in 1..=20 {
                let message = client.hears(&number.to_string()).await;
                match qos {
                    0 => {}
                    1 => client.send(&answer(PUBACK, message.id)).await,
                    _ => {
                        // PUBREL comes between the messages.
                        client.send(&answer(PUBREC, message.id)).await;
                        client.takes_among_messages(PUBREL).await;
                        client.send(&answer(PUBCOMP, message.id)).await;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn answers_come_in_the_order_of_what_they_answer() {
    let broker = Broker::start().await;
    for version in BOTH {
        for (flags, kind) in [(2, PUBACK), (4, PUBREC)] {
            let mut client = broker.client(version, "c").await;
            let ids = [5, 3, 9, 1, 7];
            let bytes = ids.iter().flat_map(|id| publish(version, flags, "a", *id, b"x"));
            client.send(&bytes.collect::<Vec<_>>()).await;
            for id in ids {
                assert_eq!(client.takes(kind).await.body[..2], id.to_be_bytes());
            }
        }
    }
}

#[tokio::test]
async fn a_dup_flag_is_not_passed_on() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a", 2)]).await;
        let mut publisher = broker.client(version, "p").await;
        publisher.send(&publish(version, 0x0A, "a", 7, b"one")).await;
        publisher.send(&publish(version, 0x0C, "a", 8, b"two")).await;
        publisher.send(&answer(PUBREL, 8)).await;
        for payload in ["one", "two"] {
            assert!(!client.hears(payload).await.dup);
        }
    }
}

#[tokio::test]
async fn a_dup_flag_with_qos_0_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        let bytes = publish(version, 0x08, "a", 0, b"x");
        broker.client(version, "c").await.violates("dup with QoS 0", &bytes).await;
    }
}

#[tokio::test]
async fn a_message_of_qos_3_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        let bytes = publish(version, 0x06, "a", 1, b"x");
        broker.client(version, "c").await.violates("QoS 3", &bytes).await;
    }
    broker.serves().await;
}

#[tokio::test]
async fn releases_come_in_the_order_of_their_pubrecs() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a", 2)]).await;
        let mut publisher = broker.client(version, "p").await;
        let mut ids = Vec::new();
        for _ in 0..4 {
            publisher.publish("a", 2, "x").await;
            ids.push(client.hears("x").await.id);
        }
        client.send(&ids.iter().flat_map(|id| answer(PUBREC, *id)).collect::<Vec<_>>()).await;
        for id in ids {
            assert_eq!(client.takes(PUBREL).await.body[..2], id.to_be_bytes());
        }
    }
}

#[tokio::test]
async fn expiry_does_not_touch_a_flow_that_was_begun() {
    let broker = Broker::start().await;
    let version = Version::V5;
    let mut client = broker.subscriber(version, 2).await;
    let mut publisher = broker.client(version, "p").await;
    let expires = |id, topic| publish_with(version, 4, &[EXPIRY, 0, 0, 0, 1], topic, id, b"brief");
    publisher.send(&expires(7, "a")).await;
    publisher.takes(PUBREC).await;
    publisher.send(&answer(PUBREL, 7)).await;
    publisher.takes(PUBCOMP).await;
    let begun = client.hears("brief").await;
    publisher.send(&expires(8, "b")).await;
    publisher.takes(PUBREC).await;
    drop(client);
    // A client with a keep-alive of 1 s is away after 1.5 s: by then the messages have expired.
    let quick = Connect { keep_alive_s: 1, ..connect(Version::V3, "quick") };
    broker.connect(&quick).await.rest().await;
    publisher.send(&answer(PUBREL, 8)).await;
    assert_eq!(publisher.takes(PUBCOMP).await.body[..2], [0, 8]);
    let mut client = broker.comes_back(version).await;
    let again = client.hears("brief").await;
    assert_eq!((again.id, again.dup), (begun.id, true));
    client.send(&answer(PUBREC, again.id)).await;
    client.takes(PUBREL).await;
    client.send(&answer(PUBCOMP, again.id)).await;
    client.hears_nothing().await;
}

#[tokio::test]
async fn an_id_whose_message_was_refused_means_a_new_one() {
    let broker = Broker::start().await;
    let (mut watcher, mut client) = pair(&broker, Version::V5).await;
    client.send(&publish(Version::V5, 4, "$SYS/broker/x", 7, b"refused")).await;
    let pubrec = client.takes(PUBREC).await;
    assert!(pubrec.body[2] >= 0x80, "{pubrec:?}");
    client.send(&publish(Version::V5, 4, "a", 7, b"new")).await;
    assert_eq!(client.takes(PUBREC).await.body[..2], [0, 7]);
    client.send(&answer(PUBREL, 7)).await;
    assert_eq!(client.takes(PUBCOMP).await.body[..2], [0, 7]);
    watcher.hears("new").await;
}
