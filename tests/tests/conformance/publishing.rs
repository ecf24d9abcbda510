//! PUBLISH (chapter 3.3): topics, properties, topic aliases.

use super::{packets::*, support::*};
use tests::{
    Version,
    mqtt::{field, packet},
};

async fn subscriber(broker: &Broker, version: Version) -> Client {
    let mut client = broker.client(version, "c").await;
    client.subscribe(&[("a/#", 1)]).await;
    client
}

#[tokio::test]
async fn a_topic_comes_first_and_is_no_filter() {
    let broker = Broker::start().await;
    for version in BOTH {
        for topic in ["#", "+", "a/#", "a/+/b", "a+", "a#b", "/+"] {
            let bytes = publish(version, 0, topic, 0, b"x");
            broker.client(version, "c").await.violates(topic, &bytes).await;
        }
        for body in [&[][..], &[0], &[0, 9, b'a']] {
            let bytes = packet(PUBLISH, 0, body);
            broker.client(version, "c").await.violates("no topic", &bytes).await;
        }
        let without_its_id = packet(PUBLISH, 2, &field(b"a"));
        broker.client(version, "c").await.violates("no id", &without_its_id).await;
    }
    broker.serves().await;
}

#[tokio::test]
async fn an_empty_topic_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        let bytes = publish(version, 0, "", 0, b"x");
        broker.client(version, "c").await.violates("an empty topic", &bytes).await;
    }
}

#[tokio::test]
async fn what_is_delivered_matches_what_was_subscribed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = subscriber(&broker, version).await;
        let mut publisher = broker.client(version, "p").await;
        for topic in ["b", "a", "aa", "a/b", "A/b", "a/", "/a", "a/b/c"] {
            publisher.publish(topic, 0, topic).await;
        }
        for topic in ["a", "a/b", "a/", "a/b/c"] {
            assert_eq!(client.hears(topic).await.topic, topic);
        }
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn properties_are_passed_on_unaltered_and_user_properties_in_their_order() {
    let broker = Broker::start().await;
    let mut client = subscriber(&broker, Version::V5).await;
    let mut old = broker.client(Version::V3, "old").await;
    old.subscribe(&[("a/b", 0)]).await;
    let user = |name: &str, value: &str| {
        [&[USER_PROPERTY][..], &field(name.as_bytes()), &field(value.as_bytes())].concat()
    };
    let users = [user("b", "1"), user("a", "2"), user("b", "1"), user("", "")].concat();
    let others = [
        &[0x01, 1][..],
        &[0x03],
        &field(b"text/plain"),
        &[0x08],
        &field("r/\u{20AC}".as_bytes()),
        &[0x09],
        &field(&[0, 0xFF, 1]),
    ]
    .concat();
    let mut publisher = broker.client(Version::V5, "p").await;
    publisher.publish_as(2, &[&users[..14], &others, &users[14..]].concat(), "a/b", "x").await;
    let message = client.hears("x").await;
    let (came, _) = properties(&with_properties(Version::V5, &message.properties));
    let (users, others) = (
        properties(&with_properties(Version::V5, &users)).0,
        properties(&with_properties(Version::V5, &others)).0,
    );
    let came_users: Vec<_> =
        came.iter().filter(|(kind, _)| *kind == USER_PROPERTY).cloned().collect();
    assert_eq!(came_users, users);
    for property in others {
        assert!(came.contains(&property), "{property:?} in {came:?}");
    }
    // One of 3.1.1 gets the message without them.
    assert_eq!(old.takes(PUBLISH).await.body, [&field(b"a/b")[..], b"x"].concat());
}

#[tokio::test]
async fn properties_of_publish_are_checked() {
    let broker = Broker::start().await;
    for (what, properties) in [
        ("a wildcard in the response topic", [&[0x08][..], &field(b"a/#")].concat()),
        ("a response topic that is no text", vec![0x08, 0, 1, 0xFF]),
        ("a content type that is no text", vec![0x03, 0, 2, 0xC0, 0xAF]),
        ("a format that is none", vec![0x01, 2]),
        ("a format twice", vec![0x01, 1, 0x01, 1]),
        ("expiry twice", vec![0x02, 0, 0, 0, 1, 0x02, 0, 0, 0, 1]),
        ("a subscription identifier", vec![SUBSCRIPTION_IDENTIFIER, 1]),
        ("a property of CONNECT", session_expiry(1)),
        ("a property that is none", vec![0x7F]),
        ("a property that is cut", vec![0x02, 0]),
    ] {
        let bytes = publish_with(Version::V5, 0, &properties, "a", 0, b"x");
        let reason = broker.client(Version::V5, "c").await.violates(what, &bytes).await;
        assert!(reason.is_some_and(|reason| reason >= 0x80), "{what}");
    }
    broker.serves().await;
}

#[tokio::test]
async fn an_alias_stands_for_its_topic_on_its_connection_only() {
    let broker = Broker::start().await;
    let mut client = subscriber(&broker, Version::V5).await;
    let (mut publisher, connack) = broker.introduce(&connect(Version::V5, "p")).await;
    let (told, _) = properties(&connack.body[2..]);
    let most = property(&told, TOPIC_ALIAS_MAXIMUM).expect("aliases are taken").to_vec();
    let most = u16::from_be_bytes([most[0], most[1]]);
    let alias = |alias: u16| [&[TOPIC_ALIAS][..], &alias.to_be_bytes()].concat();
    for number in [1, most] {
        let topic = format!("a/{number}");
        publisher.publish_as(0, &alias(number), &topic, "named").await;
        publisher.publish_as(2, &alias(number), "", "by alias").await;
        for payload in ["named", "by alias"] {
            let message = client.hears(payload).await;
            assert_eq!(message.topic, topic);
            // Of the publisher's alias the subscriber hears nothing.
            assert_eq!(message.properties, NOTHING);
        }
    }
    publisher.publish_as(0, &alias(1), "a/other", "anew").await;
    publisher.publish_as(0, &alias(1), "", "by alias").await;
    assert_eq!(client.hears("anew").await.topic, "a/other");
    assert_eq!(client.hears("by alias").await.topic, "a/other");
    publisher.leaves().await;
    let by_alias = publish_with(Version::V5, 0, &alias(1), "", 0, b"x");
    broker.client(Version::V5, "p").await.violates("an alias of before", &by_alias).await;
    for wrong in [0, most + 1] {
        let bytes = publish_with(Version::V5, 0, &alias(wrong), "a/b", 0, b"x");
        let reason = broker.client(Version::V5, "p").await.violates("an alias", &bytes).await;
        assert!(matches!(reason, Some(0x94 | 0x82 | 0x81)), "{reason:?}");
    }
    client.hears_nothing().await;
}

#[tokio::test]
async fn a_message_expires_where_it_waits_and_says_how_long_it_still_lives() {
    let broker = Broker::start().await;
    let mut client = broker.connect(&kept(Version::V5, "c")).await;
    client.subscribe(&[("a", 1)]).await;
    client.leaves().await;
    let expiry = |seconds: u32| [&[EXPIRY][..], &seconds.to_be_bytes()].concat();
    let mut publisher = broker.client(Version::V5, "p").await;
    publisher.publish_as(2, &expiry(1), "a", "short").await;
    publisher.publish_as(2, &expiry(100), "a", "long").await;
    // A client with a keep-alive of 1 s is away after 1.5 s: by then the first message has expired.
    let quick = Connect { keep_alive_s: 1, ..connect(Version::V3, "quick") };
    broker.connect(&quick).await.rest().await;
    let mut client = broker.connect(&kept(Version::V5, "c")).await;
    let message = client.hears("long").await;
    let (came, _) = properties(&with_properties(Version::V5, &message.properties));
    let left = property(&came, EXPIRY).expect("it is told");
    let left = u32::from_be_bytes(left.try_into().unwrap());
    assert!((90..=99).contains(&left), "{left}");
    client.hears_nothing().await;
}
