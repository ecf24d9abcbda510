//! Texts, numbers, flags and packet ids (chapters 1.5 and 2 of both standards).

use super::{packets::*, support::*};
use std::collections::HashSet;
use tests::{
    Version,
    mqtt::{field, packet},
};

/// Bytes that are no UTF-8: no text, an overlong `/`, a surrogate, a code point beyond the last, a cut one.
const NO_TEXT: [&[u8]; 5] =
    [&[b'a', 0xFF], &[0xC0, 0xAF], &[0xED, 0xA0, 0x80], &[0xF4, 0x90, 0x80, 0x80], &[0xE2, 0x82]];

/// PUBLISH, SUBSCRIBE and UNSUBSCRIBE with `text` as their topic.
fn with_topic(version: Version, text: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let head = [&[0, 1][..], &with_properties(version, &[])].concat();
    let topic = field(text);
    [
        ("publish", packet(PUBLISH, 0, &[&topic[..], &with_properties(version, &[])].concat())),
        ("subscribe", packet(SUBSCRIBE, 2, &[&head[..], &topic, &[0]].concat())),
        ("unsubscribe", packet(UNSUBSCRIBE, 2, &[&head[..], &topic].concat())),
    ]
}

#[tokio::test]
async fn text_that_is_not_utf_8_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for text in NO_TEXT {
            for (what, bytes) in with_topic(version, text) {
                broker.client(version, "c").await.violates(what, &bytes).await;
            }
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_text_of_connect_that_is_not_utf_8_is_refused() {
    let broker = Broker::start().await;
    for version in BOTH {
        let whole =
            Connect { will: Some(will("WILL")), user: Some("USER"), ..connect(version, "ID__") };
        for place in ["ID__", "WILL", "USER"] {
            let mut bytes = whole.packet();
            let at = bytes.windows(4).position(|four| four == place.as_bytes()).unwrap();
            bytes[at..at + 4].copy_from_slice(&[b'a', 0xED, 0xA0, 0x80]);
            is_refused(place, &broker.refuses(&bytes).await);
        }
    }
    broker.serves().await;
}

/// Whatever is said, it is not yes, and said once.
pub(crate) fn is_refused(what: &str, answer: &[tests::Packet]) {
    let said = matches!(answer, [only] if only.kind == CONNACK && only.body[..2] != [0, 0] && only.body[0] == 0);
    assert!(answer.is_empty() || said, "{what}: {answer:?}");
}

#[tokio::test]
async fn text_with_a_zero_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for (what, bytes) in with_topic(version, b"a\0b") {
            broker.client(version, "c").await.violates(what, &bytes).await;
        }
        is_refused("a client id", &broker.refuses(&connect(version, "a\0b").packet()).await);
    }
    broker.serves().await;
}

#[tokio::test]
async fn text_with_a_control_character_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for text in ["a\u{1}b", "\u{1F}", "a\u{7F}", "a\u{80}b", "\u{9F}"] {
            for (what, bytes) in with_topic(version, text.as_bytes()) {
                broker.client(version, "c").await.violates(what, &bytes).await;
            }
        }
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a\u{A0}b", 0)]).await;
        client.publish("a\u{A0}b", 0, "the first that is none").await;
        client.hears("the first that is none").await;
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_byte_order_mark_is_a_character_like_any_other() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut plain = broker.client(version, "plain").await;
        plain.subscribe(&[("mark", 1), ("end", 1)]).await;
        let mut marked = broker.client(version, "marked").await;
        marked.subscribe(&[("\u{FEFF}mark", 1), ("end", 1)]).await;
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("\u{FEFF}mark", 0, "marked").await;
        publisher.publish("end", 0, "end").await;
        assert_eq!(marked.hears("marked").await.topic, "\u{FEFF}mark");
        marked.hears("end").await;
        plain.hears("end").await;
    }
}

#[tokio::test]
async fn user_properties_are_two_texts() {
    let broker = Broker::start().await;
    for (name, value) in [(&[0xFF][..], &b"v"[..]), (b"n", &[0xED, 0xA0, 0x80]), (b"n\0", b"v")] {
        let property = [&[USER_PROPERTY][..], &field(name), &field(value)].concat();
        let bytes = publish_with(Version::V5, 0, &property, "a", 0, b"x");
        broker.client(Version::V5, "c").await.violates("a user property", &bytes).await;
    }
}

#[tokio::test]
async fn lengths_take_as_few_bytes_as_they_need() {
    // That the numbers are short is asserted where packets are read.
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a", 0)]).await;
        for size in [0, 1, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_384] {
            let payload = "x".repeat(size);
            client.send(&publish(version, 0, "a", 0, payload.as_bytes())).await;
            client.hears(&payload).await;
        }
    }
}

#[tokio::test]
async fn lengths_that_take_more_bytes_than_they_need_are_malformed() {
    let broker = Broker::start().await;
    let properties = [&[PUBLISH << 4, 6][..], &field(b"a"), &[0x80, 0], b"x"].concat();
    for (what, bytes) in [("a packet", vec![PINGREQ << 4, 0x80, 0]), ("properties", properties)] {
        broker.client(Version::V5, "c").await.violates(what, &bytes).await;
    }
}

#[tokio::test]
async fn a_length_of_five_bytes_is_malformed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let bytes = [PUBLISH << 4, 0x80, 0x80, 0x80, 0x80, 1];
        broker.client(version, "c").await.violates("a length", &bytes).await;
    }
}

#[tokio::test]
async fn reserved_flags_end_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for bytes in [
            answer(PUBACK, 1),
            answer(PUBREC, 1),
            answer(PUBREL, 1),
            answer(PUBCOMP, 1),
            subscribe(version, 1, &[("a", 0)]),
            unsubscribe(version, 1, &["a"]),
            ping(),
            goodbye(),
        ] {
            for flag in [1, 2, 4, 8] {
                let mut wrong = bytes.clone();
                wrong[0] ^= flag;
                let what = format!("{wrong:?}");
                let reason = broker.client(version, "c").await.violates(&what, &wrong).await;
                assert!(matches!(reason, None | Some(0x81)), "{what}: {reason:?}");
            }
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn wrong_flags_of_auth_end_the_connection() {
    let broker = Broker::start().await;
    for flag in [1, 2, 4, 8] {
        let bytes = packet(AUTH, flag, &[]);
        broker.client(Version::V5, "c").await.violates("auth", &bytes).await;
    }
}

#[tokio::test]
async fn kinds_that_are_none_or_a_servers_end_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        for kind in [0, CONNACK, SUBACK, UNSUBACK, PINGRESP, AUTH] {
            let bytes = packet(kind, 0, &[0, 1, 0]);
            broker.client(version, "c").await.violates(&format!("kind {kind}"), &bytes).await;
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn packets_that_need_an_id_have_one() {
    let broker = Broker::start().await;
    for version in BOTH {
        for (what, bytes) in [
            ("publish with QoS 1", publish(version, 2, "a", 0, b"x")),
            ("publish with QoS 2", publish(version, 4, "a", 0, b"x")),
            ("subscribe", subscribe(version, 0, &[("a", 0)])),
            ("unsubscribe", unsubscribe(version, 0, &["a"])),
        ] {
            broker.client(version, "c").await.violates(what, &bytes).await;
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn each_message_to_a_client_has_an_id_that_is_not_in_use() {
    let broker = Broker::start().await;
    for version in BOTH {
        for qos in [1, 2] {
            let mut client = broker.client(version, "c").await;
            client.subscribe(&[("a", qos)]).await;
            let mut publisher = broker.client(version, "p").await;
            let mut ids = HashSet::from([0]);
            for number in 0..20 {
                publisher.publish("a", qos, "x").await;
                let message = client.message().await;
                assert_eq!((message.qos, message.dup), (qos, false));
                assert!(ids.insert(message.id), "{version:?} {qos} {number}: {ids:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_message_of_qos_0_has_no_id() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("a", 0)]).await;
        client.send(&publish(version, 0, "a", 0, b"x")).await;
        let packet = client.takes(PUBLISH).await;
        let properties = with_properties(version, &[]);
        assert_eq!(packet.body, [&field(b"a")[..], &properties, b"x"].concat());
    }
}

#[tokio::test]
async fn answers_have_the_id_of_what_they_answer() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        for id in [1, 0x1234, u16::MAX] {
            for (bytes, kind) in [
                (publish(version, 2, "a", id, b"x"), PUBACK),
                (publish(version, 4, "a", id, b"x"), PUBREC),
                (answer(PUBREL, id), PUBCOMP),
                (subscribe(version, id, &[("b", 0)]), SUBACK),
                (unsubscribe(version, id, &["b"]), UNSUBACK),
            ] {
                client.send(&bytes).await;
                assert_eq!(client.takes(kind).await.body[..2], id.to_be_bytes());
            }
        }
    }
}

#[tokio::test]
async fn a_packet_without_properties_says_so() {
    let broker = Broker::start().await;
    let mut client = broker.client(Version::V5, "c").await;
    client.send(&subscribe(Version::V5, 1, &[("a", 0)])).await;
    assert_eq!(client.takes(SUBACK).await.body, [0, 1, 0, 0]);
    client.send(&publish(Version::V5, 0, "a", 0, b"x")).await;
    assert_eq!(client.takes(PUBLISH).await.body, [0, 1, b'a', 0, b'x']);
    client.send(&unsubscribe(Version::V5, 2, &["a"])).await;
    assert_eq!(client.takes(UNSUBACK).await.body, [0, 2, 0, 0]);
    let none_at_all = packet(PUBLISH, 0, &field(b"a"));
    client.violates("a publish without a length of properties", &none_at_all).await;
}
