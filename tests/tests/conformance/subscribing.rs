//! SUBSCRIBE and UNSUBSCRIBE (chapters 3.8 to 3.11).

use super::{packets::*, support::*};
use tests::{
    Version,
    mqtt::{field, packet},
};

#[tokio::test]
async fn each_filter_is_answered_in_its_place() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        let codes = client.subscribe(&[("a", 2), ("b", 0), ("c/#", 1), ("a", 1)]).await;
        assert_eq!(codes, [2, 0, 1, 1]);
    }
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_refused_or_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for filter in ["a#", "a/#/b", "#/a", "a+", "+a/b", "a/b+", "##", "a/++", ""] {
            let mut client = broker.client(version, "c").await;
            client.send(&subscribe(version, 1, &[(filter, 0)])).await;
            let Some(answer) = client.maybe_next().await else { continue };
            if answer.kind == SUBACK {
                let codes = client.codes(&answer);
                assert!(matches!(codes[..], [0x80 | 0x8F]), "{filter}: {codes:?}");
            } else {
                assert_eq!(answer.kind, DISCONNECT, "{filter}: {answer:?}");
            }
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn an_empty_filter_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for (what, bytes) in [
            ("subscribe", subscribe(version, 1, &[("a", 0), ("", 0)])),
            ("unsubscribe", unsubscribe(version, 1, &["a", ""])),
        ] {
            broker.client(version, "c").await.violates(what, &bytes).await;
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_subscribe_without_a_filter_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for (what, bytes) in [
            ("subscribe", subscribe(version, 1, &[])),
            ("unsubscribe", unsubscribe(version, 1, &[])),
            ("subscribe without options", {
                let head = [&[0, 1][..], &with_properties(version, &[]), &field(b"a")].concat();
                packet(SUBSCRIBE, 2, &head)
            }),
            ("no id", packet(SUBSCRIBE, 2, &[])),
        ] {
            broker.client(version, "c").await.violates(what, &bytes).await;
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn reserved_options_and_qos_3_end_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        let all: &[u8] = match version {
            Version::V3 => &[0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80],
            Version::V5 => &[0x03, 0x40, 0x80],
        };
        for options in all {
            let bytes = subscribe(version, 1, &[("a", *options)]);
            broker.client(version, "c").await.violates(&format!("{options:x}"), &bytes).await;
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_message_comes_with_the_lower_of_both_qos() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut publisher = broker.client(version, "p").await;
        for granted in 0..=2 {
            let mut client = broker.client(version, "c").await;
            assert_eq!(client.subscribe(&[("a", granted)]).await, [granted]);
            for published in 0..=2 {
                publisher.publish("a", published, "x").await;
                assert_eq!(client.hears("x").await.qos, granted.min(published));
            }
        }
    }
}

#[tokio::test]
async fn overlapping_filters_give_the_highest_qos() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a/#", 0), ("a/b", 2), ("+/b", 1)]).await;
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("a/b", 2, "x").await;
        publisher.publish("a/end", 0, "end").await;
        let mut most = 0;
        loop {
            let message = client.message().await;
            if message.payload == b"end" {
                break;
            }
            most = most.max(message.qos);
        }
        assert_eq!(most, 2);
    }
}

#[tokio::test]
async fn identifiers_of_all_filters_that_match_come_with_the_message() {
    let broker = Broker::start().await;
    let mut client = broker.client(Version::V5, "c").await;
    for (id, filter) in [(1, "a/#"), (200, "a/b"), (3, "+/b")] {
        let identifier: &[u8] = if id < 128 { &[id] } else { &[id, 1] };
        let properties = [&[SUBSCRIPTION_IDENTIFIER], identifier].concat();
        client.send(&subscribe_with(Version::V5, &properties, 9, &[(filter, 0)])).await;
        client.takes(SUBACK).await;
    }
    client.subscribe(&[("a/+", 0)]).await;
    let mut publisher = broker.client(Version::V5, "p").await;
    publisher.publish("a/b", 0, "x").await;
    publisher.publish("a/end", 0, "end").await;
    let mut came = Vec::new();
    loop {
        let message = client.message().await;
        if message.payload == b"end" {
            break;
        }
        let (all, _) = properties(&with_properties(Version::V5, &message.properties));
        let identifiers = all.into_iter().filter(|(kind, _)| *kind == SUBSCRIPTION_IDENTIFIER);
        came.extend(identifiers.map(|(_, value)| value));
    }
    came.sort();
    assert_eq!(came, [vec![1], vec![3], vec![200, 1]]);
}

#[tokio::test]
async fn a_subscription_identifier_is_not_zero() {
    let broker = Broker::start().await;
    let bytes = subscribe_with(Version::V5, &[SUBSCRIPTION_IDENTIFIER, 0], 1, &[("a", 0)]);
    let reason = broker.client(Version::V5, "c").await.violates("identifier 0", &bytes).await;
    assert!(matches!(reason, None | Some(0x82 | 0x81)), "{reason:?}");
}

#[tokio::test]
async fn a_filter_that_is_subscribed_again_takes_the_new_options() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut publisher = broker.client(version, "p").await;
        publisher.retain("a", 1, "kept").await;
        let mut client = broker.client(version, "c").await;
        for qos in [2, 0] {
            client.subscribe(&[("a", qos)]).await;
            let message = client.hears("kept").await;
            assert_eq!((message.qos, message.retain), (qos.min(1), true));
        }
        publisher.publish("a", 1, "live").await;
        assert_eq!(client.hears("live").await.qos, 0);
        // It is one subscription: taken away once, it is gone.
        client.unsubscribe(&["a"]).await;
        publisher.publish("a", 1, "unheard").await;
        client.hears_nothing().await;
        publisher.retain("a", 0, "").await;
    }
}

#[tokio::test]
async fn nothing_is_lost_while_a_subscription_is_replaced() {
    const COUNT: u16 = 200;
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a", 1)]).await;
        let mut publisher = broker.client(version, "p").await;
        let mut number = 0;
        let mut expected = 0;
        while number < COUNT {
            for _ in 0..10 {
                number += 1;
                let payload = number.to_string();
                publisher.send(&publish(version, 2, "a", number, payload.as_bytes())).await;
            }
            client.send(&subscribe(version, 1, &[("a", 1)])).await;
            loop {
                let packet = client.next().await;
                if packet.kind == SUBACK {
                    break;
                }
                expected += 1;
                let message = packet.message(version);
                assert_eq!(message.payload, expected.to_string().as_bytes());
                client.send(&answer(PUBACK, message.id)).await;
            }
        }
        while expected < COUNT {
            expected += 1;
            let message = client.hears(&expected.to_string()).await;
            client.send(&answer(PUBACK, message.id)).await;
        }
    }
}

#[tokio::test]
async fn no_local_spares_a_client_its_own_messages() {
    let broker = Broker::start().await;
    let mut client = broker.client(Version::V5, "c").await;
    client.subscribe(&[("a", 0x04), ("b", 0)]).await;
    client.publish("a", 1, "mine").await;
    broker.client(Version::V5, "p").await.publish("a", 0, "theirs").await;
    client.hears("theirs").await;
    client.send(&publish(Version::V5, 0, "b", 0, b"mine too")).await;
    client.hears("mine too").await;
}

#[tokio::test]
async fn unsubscribing_takes_the_very_filter_away() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a/+", 0), ("a/b", 0), ("a/#", 0)]).await;
        let codes = client.unsubscribe(&["a/b", "a/+", "A/#", "a/+/b", "a"]).await;
        match version {
            Version::V3 => assert_eq!(codes, NOTHING),
            Version::V5 => assert_eq!(codes, [0, 0, 0x11, 0x11, 0x11]),
        }
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("a/b", 0, "still by a/#").await;
        client.hears("still by a/#").await;
        client.unsubscribe(&["a/#"]).await;
        publisher.publish("a/b", 0, "unheard").await;
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn unsubscribing_from_nothing_is_answered() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.unsubscribe(&["never", "heard/of/#"]).await;
    }
}

#[tokio::test]
async fn what_was_begun_before_unsubscribing_is_completed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.subscriber(version, 2).await;
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("a", 2, "begun").await;
        let message = client.hears("begun").await;
        client.unsubscribe(&["a"]).await;
        publisher.publish("a", 2, "unheard").await;
        drop(client);
        let mut client = broker.comes_back(version).await;
        let again = client.hears("begun").await;
        assert_eq!((again.dup, again.id), (true, message.id));
        client.send(&answer(PUBREC, again.id)).await;
        client.takes(PUBREL).await;
        client.send(&answer(PUBCOMP, again.id)).await;
        client.hears_nothing().await;
        broker.forgets(version).await;
    }
}
