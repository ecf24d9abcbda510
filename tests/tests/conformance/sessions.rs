//! Sessions: begun, kept, resumed, ended (chapters 3.1.2.4, 3.1.2.11.2 and 4.1).

use super::{packets::*, support::*};
use tests::{Version, mqtt::packet};

/// DISCONNECT with a Session Expiry Interval.
fn goodbye_for(seconds: u32) -> Vec<u8> {
    let properties = with_properties(Version::V5, &session_expiry(seconds));
    packet(DISCONNECT, 0, &[&[0][..], &properties].concat())
}

#[tokio::test]
async fn a_kept_session_is_resumed_with_what_it_missed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let (mut client, present) = broker.come_back(&kept(version, "c")).await;
        assert!(!present);
        client.subscribe(&[("a", 2)]).await;
        client.leaves().await;
        let mut publisher = broker.client(version, "p").await;
        for (qos, payload) in [(1, "one"), (2, "two"), (1, "three")] {
            publisher.publish("a", qos, payload).await;
        }
        let (mut client, present) = broker.come_back(&kept(version, "c")).await;
        assert!(present);
        for (qos, payload) in [(1, "one"), (2, "two"), (1, "three")] {
            let message = client.hears(payload).await;
            assert_eq!((message.qos, message.dup), (qos, false));
        }
        // The subscription is there, too.
        publisher.publish("a", 0, "live").await;
        client.hears("live").await;
        broker.forgets(version).await;
    }
}

#[tokio::test]
async fn a_clean_start_throws_the_older_session_away() {
    let broker = Broker::start().await;
    for version in BOTH {
        broker.subscriber(version, 1).await.leaves().await;
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("a", 1, "missed").await;
        let (mut client, present) = broker.come_back(&connect(version, "c")).await;
        assert!(!present);
        publisher.publish("a", 1, "unheard").await;
        client.hears_nothing().await;
        client.leaves().await;
        // Neither was the clean one kept.
        let (mut client, present) = broker.come_back(&kept(version, "c")).await;
        assert!(!present);
        client.hears_nothing().await;
        broker.forgets(version).await;
    }
}

#[tokio::test]
async fn a_takeover_goes_on_with_the_session_or_throws_it_away() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut first = broker.subscriber(version, 1).await;
        let (mut second, present) = broker.come_back(&kept(version, "c")).await;
        assert!(present);
        first.rest().await;
        let mut publisher = broker.client(version, "p").await;
        publisher.publish("a", 1, "x").await;
        second.hears("x").await;
        let (mut third, present) = broker.come_back(&connect(version, "c")).await;
        assert!(!present);
        publisher.publish("a", 1, "y").await;
        third.hears_nothing().await;
    }
}

#[tokio::test]
async fn a_session_is_kept_after_a_broken_connection_too() {
    let broker = Broker::start().await;
    for version in BOTH {
        drop(broker.subscriber(version, 1).await);
        broker.client(version, "p").await.publish("a", 1, "missed").await;
        let (mut client, present) = broker.come_back(&kept(version, "c")).await;
        assert!(present);
        client.hears("missed").await;
        broker.forgets(version).await;
    }
}

#[tokio::test]
async fn without_an_expiry_a_session_of_mqtt_5_ends_with_its_connection() {
    let broker = Broker::start().await;
    for properties in [vec![], session_expiry(0)] {
        let connect = Connect { properties, ..kept(Version::V5, "c") };
        broker.connect(&connect).await.leaves().await;
        assert!(!broker.come_back(&connect).await.1);
        broker.forgets(Version::V5).await;
    }
}

#[tokio::test]
async fn a_session_ended_with_the_goodbye_is_over_though_the_client_is_back_before_it_is_read() {
    const ROUNDS: usize = 20;
    let broker = Broker::start().await;
    for _ in 0..ROUNDS {
        let mut client = broker.connect(&kept(Version::V5, "c")).await;
        let body = [&[0, 5][..], &session_expiry(0)].concat();
        client.send(&packet(DISCONNECT, 0, &body)).await;
        let (heir, present) = broker.come_back(&kept(Version::V5, "c")).await;
        assert!(!present);
        heir.leaves().await;
        broker.forgets(Version::V5).await;
    }
}

#[tokio::test]
async fn a_session_of_mqtt_5_ends_when_its_time_has_passed() {
    let broker = Broker::start().await;
    let short = Connect { properties: session_expiry(1), ..kept(Version::V5, "c") };
    broker.connect(&short).await.leaves().await;
    assert!(broker.come_back(&short).await.1);
    // A client with a keep-alive of 1 s is away after 1.5 s; Mosquitto looks once in a few.
    for _ in 0..4 {
        let quick = Connect { keep_alive_s: 1, ..connect(Version::V3, "quick") };
        broker.connect(&quick).await.rest().await;
    }
    assert!(!broker.come_back(&short).await.1);
}

#[tokio::test]
async fn a_session_does_not_end_while_its_connection_is_open() {
    let broker = Broker::start().await;
    let short = Connect { properties: session_expiry(1), ..kept(Version::V5, "c") };
    let mut client = broker.connect(&short).await;
    client.subscribe(&[("a", 1)]).await;
    let quick = Connect { keep_alive_s: 1, ..connect(Version::V3, "quick") };
    broker.connect(&quick).await.rest().await;
    broker.client(Version::V5, "p").await.publish("a", 1, "x").await;
    client.hears("x").await;
    assert!(broker.come_back(&short).await.1);
}

#[tokio::test]
async fn a_goodbye_may_say_how_long_the_session_is_to_last() {
    let broker = Broker::start().await;
    let mut client = broker.comes_back(Version::V5).await;
    client.send(&goodbye_for(0)).await;
    client.rest().await;
    let (mut client, present) = broker.come_back(&kept(Version::V5, "c")).await;
    assert!(!present);
    client.send(&goodbye_for(60)).await;
    client.rest().await;
    assert!(broker.come_back(&kept(Version::V5, "c")).await.1);
}

#[tokio::test]
async fn a_session_that_was_to_end_cannot_be_prolonged_by_a_goodbye() {
    let broker = Broker::start().await;
    let client = broker.client(Version::V5, "c").await;
    let reason = client.violates("a session prolonged", &goodbye_for(60)).await;
    assert!(matches!(reason, None | Some(0x82)), "{reason:?}");
    assert!(!broker.come_back(&kept(Version::V5, "c")).await.1);
}

#[tokio::test]
async fn a_qos_2_message_received_before_is_known_in_the_next_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher").await;
        watcher.subscribe(&[("a", 0)]).await;
        let mut client = broker.comes_back(version).await;
        client.send(&publish(version, 0x04, "a", 7, b"once")).await;
        client.takes(PUBREC).await;
        drop(client);
        let mut client = broker.comes_back(version).await;
        client.send(&publish(version, 0x0C, "a", 7, b"once")).await;
        client.takes(PUBREC).await;
        client.send(&answer(PUBREL, 7)).await;
        client.takes(PUBCOMP).await;
        client.publish("a", 0, "end").await;
        watcher.hears("once").await;
        watcher.hears("end").await;
        broker.forgets(version).await;
    }
}

#[tokio::test]
async fn who_is_away_misses_nothing_of_qos_1_and_2() {
    const COUNT: u16 = 100;
    let broker = Broker::start().await;
    for version in BOTH {
        broker.subscriber(version, 1).await.leaves().await;
        let mut publisher = broker.client(version, "p").await;
        for number in 0..COUNT {
            publisher.publish("a", 1, &number.to_string()).await;
        }
        let mut client = broker.comes_back(version).await;
        for number in 0..COUNT {
            let message = client.hears(&number.to_string()).await;
            client.send(&answer(PUBACK, message.id)).await;
        }
        broker.forgets(version).await;
    }
}

#[tokio::test]
async fn a_session_may_change_its_version() {
    let broker = Broker::start().await;
    broker.subscriber(Version::V3, 1).await.leaves().await;
    broker.client(Version::V5, "p").await.publish("a", 1, "x").await;
    let (mut client, present) = broker.come_back(&kept(Version::V5, "c")).await;
    assert!(present);
    client.hears("x").await;
}
