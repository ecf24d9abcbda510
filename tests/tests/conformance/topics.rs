//! Topic names and filters (chapter 4.7).

use super::support::*;

/// Whether a client that subscribed `filter` hears of `topic`.
async fn matches(broker: &Broker, filter: &str, topic: &str) -> [bool; 2] {
    let mut heard = [false; 2];
    for (heard, version) in heard.iter_mut().zip(BOTH) {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[(filter, 0), ("the/end", 0)]).await;
        let mut publisher = broker.client(version, "p").await;
        publisher.publish(topic, 0, "x").await;
        publisher.publish("the/end", 0, "end").await;
        *heard = client.message().await.payload == b"x";
    }
    heard
}

#[tokio::test]
async fn wildcards_match_what_the_standard_says() {
    let broker = Broker::start().await;
    for (filter, topic, expected) in [
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/tennis/player1/#", "sport/tennis/player10", false),
        ("sport/#", "sport", true),
        ("#", "any/topic/at/all", true),
        ("#", "/", true),
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        ("+/tennis/#", "x/tennis", true),
        ("sport/+/player1", "sport/a/player1", true),
        ("sport/+/player1", "sport/a/b/player1", false),
        ("+/a/+", "/a/", true),
    ] {
        assert_eq!(matches(&broker, filter, topic).await, [expected; 2], "{filter} and {topic}");
    }
}

#[tokio::test]
async fn wildcards_at_the_front_do_not_match_topics_with_a_dollar() {
    let broker = Broker::start().await;
    for (filter, topic, expected) in [
        ("#", "$other/x", false),
        ("+/x", "$other/x", false),
        ("+/#", "$other/x", false),
        ("$other/#", "$other/x", true),
        ("$other/+", "$other/x", true),
        ("a/+", "a/$x", true),
    ] {
        assert_eq!(matches(&broker, filter, topic).await, [expected; 2], "{filter} and {topic}");
    }
}

#[tokio::test]
async fn the_brokers_own_topics_do_not_come_unasked() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("#", 0), ("+/broker/#", 0)]).await;
        client.hears_nothing().await;
        client.subscribe(&[("$SYS/broker/version", 0)]).await;
        assert_eq!(client.message().await.topic, "$SYS/broker/version");
    }
}

#[tokio::test]
async fn names_are_compared_character_by_character() {
    let broker = Broker::start().await;
    for (filter, topic, expected) in [
        ("ACCOUNTS", "Accounts", false),
        ("Accounts payable", "Accounts payable", true),
        ("a", "a ", false),
        ("/a", "a", false),
        ("a/", "a", false),
        ("a//b", "a/b", false),
        ("a//b", "a//b", true),
        // é as one character and as two; both are shown alike.
        ("caf\u{E9}", "cafe\u{301}", false),
        ("caf\u{E9}", "caf\u{E9}", true),
        ("\u{212A}", "K", false),
        ("a/../b", "b", false),
        ("a%2Fb", "a/b", false),
        ("\u{10FFFD}/🌡", "\u{10FFFD}/🌡", true),
    ] {
        assert_eq!(matches(&broker, filter, topic).await, [expected; 2], "{filter} and {topic}");
    }
}

#[tokio::test]
async fn names_and_filters_have_a_character_at_least() {
    let broker = Broker::start().await;
    for topic in ["a", "/", " "] {
        assert_eq!(matches(&broker, topic, topic).await, [true; 2]);
    }
}
