//! Wills (chapter 3.1.2.5 of both standards).

use super::{packets::*, support::*};
use std::time::{Duration, Instant};
use tests::{Version, mqtt::packet};

/// Watches wills.
async fn watcher(broker: &Broker, version: Version) -> Client {
    let mut watcher = broker.client(version, "watcher").await;
    watcher.subscribe(&[("will/#", 2), ("end", 2)]).await;
    watcher
}

fn mortal(version: Version) -> Connect<'static> {
    Connect { will: Some(will("will/1")), ..connect(version, "mortal") }
}

/// Will Delay Interval.
fn delay(seconds: u32) -> Vec<u8> {
    [&[0x18][..], &seconds.to_be_bytes()].concat()
}

#[tokio::test]
async fn a_will_is_published_when_the_connection_is_lost() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        for qos in 0..=2 {
            let will = Will { qos, ..will("will/1") };
            drop(broker.connect(&Connect { will: Some(will), ..connect(version, "mortal") }).await);
            let message = watcher.hears("gone").await;
            assert_eq!((message.qos, message.retain, &*message.topic), (qos, false, "will/1"));
        }
    }
}

#[tokio::test]
async fn a_will_is_published_after_a_violation_and_a_takeover() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        let client = broker.connect(&mortal(version)).await;
        client.violates("kind 0", &packet(0, 0, &[])).await;
        watcher.hears("gone").await;
        let mut displaced = broker.connect(&mortal(version)).await;
        let heir = broker.client(version, "mortal").await;
        displaced.rest().await;
        watcher.hears("gone").await;
        heir.leaves().await;
    }
}

#[tokio::test]
async fn a_will_is_published_once() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        let connect = Connect { will: Some(will("will/1")), ..kept(version, "mortal") };
        drop(broker.connect(&connect).await);
        watcher.hears("gone").await;
        // The session goes on, without the will of before.
        let client = broker.connect(&kept(version, "mortal")).await;
        drop(client);
        broker.connect(&Connect { clean: true, ..connect }).await.leaves().await;
        broker.client(version, "p").await.publish("end", 0, "end").await;
        watcher.hears("end").await;
    }
}

#[tokio::test]
async fn a_goodbye_takes_the_will_back_though_the_client_is_back_before_it_is_read() {
    const ROUNDS: usize = 20;
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        for _ in 0..ROUNDS {
            let mut client =
                broker.connect(&Connect { will: Some(will("will/1")), ..kept(version, "c") }).await;
            client.send(&goodbye()).await;
            let (heir, present) = broker.come_back(&kept(version, "c")).await;
            assert!(present);
            heir.leaves().await;
            broker.forgets(version).await;
        }
        broker.client(version, "p").await.publish("end", 0, "end").await;
        watcher.hears("end").await;
    }
}

#[tokio::test]
async fn a_goodbye_takes_the_will_back() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        broker.connect(&mortal(version)).await.leaves().await;
        if version == Version::V5 {
            let mut client = broker.connect(&mortal(version)).await;
            client.send(&packet(DISCONNECT, 0, &[0, 0])).await;
            client.rest().await;
        }
        broker.client(version, "p").await.publish("end", 0, "end").await;
        watcher.hears("end").await;
    }
}

#[tokio::test]
async fn a_goodbye_of_mqtt_5_may_want_the_will() {
    let broker = Broker::start().await;
    let mut watcher = watcher(&broker, Version::V5).await;
    let mut client = broker.connect(&mortal(Version::V5)).await;
    client.send(&packet(DISCONNECT, 0, &[0x04])).await;
    watcher.hears("gone").await;
    client.rest().await;
}

#[tokio::test]
async fn without_a_will_none_is_published() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        drop(broker.connect(&connect(version, "immortal")).await);
        let mut client = broker.client(version, "immortal").await;
        client.publish("end", 1, "end").await;
        watcher.hears("end").await;
    }
}

#[tokio::test]
async fn a_will_is_retained_where_it_says_so() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        for (topic, retain) in [("will/kept", true), ("will/passing", false)] {
            let will = Will { retain, ..will(topic) };
            drop(broker.connect(&Connect { will: Some(will), ..connect(version, "mortal") }).await);
            assert!(!watcher.hears("gone").await.retain);
        }
        let mut late = broker.client(version, "late").await;
        late.subscribe(&[("will/#", 0)]).await;
        let message = late.hears("gone").await;
        assert_eq!((&*message.topic, message.retain), ("will/kept", true));
        late.hears_nothing().await;
        drop(late);
        broker.client(version, "p").await.retain("will/kept", 0, "").await;
    }
}

#[tokio::test]
async fn an_empty_will_is_a_will() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = watcher(&broker, version).await;
        let will = Will { payload: b"", ..will("will/empty") };
        drop(broker.connect(&Connect { will: Some(will), ..connect(version, "mortal") }).await);
        watcher.hears("").await;
    }
}

#[tokio::test]
async fn a_will_with_a_delay_waits_for_it_and_not_for_longer_than_the_session() {
    let broker = Broker::start().await;
    let mut watcher = watcher(&broker, Version::V5).await;
    for (delay_s, expiry_s) in [(1, 3_600), (3_600, 1)] {
        let will = Will { properties: delay(delay_s), ..will("will/1") };
        let properties = session_expiry(expiry_s);
        let connect = Connect { will: Some(will), properties, ..connect(Version::V5, "mortal") };
        drop(broker.connect(&connect).await);
        let begin = Instant::now();
        watcher.hears("gone").await;
        assert!(begin.elapsed() > Duration::from_millis(800), "{:?}", begin.elapsed());
    }
    // A session that ends with its connection leaves nothing to wait for.
    let will = Will { properties: delay(3_600), ..will("will/1") };
    drop(broker.connect(&Connect { will: Some(will), ..connect(Version::V5, "mortal") }).await);
    watcher.hears("gone").await;
}

#[tokio::test]
async fn who_comes_back_before_the_delay_is_over_is_not_mourned() {
    let broker = Broker::start().await;
    let mut watcher = watcher(&broker, Version::V5).await;
    let will = Will { properties: delay(1), ..will("will/1") };
    let connect = Connect { will: Some(will), ..kept(Version::V5, "mortal") };
    drop(broker.connect(&connect).await);
    let (client, present) = broker.come_back(&kept(Version::V5, "mortal")).await;
    assert!(present);
    // A later will with the same delay comes; the first one did not.
    let later = Will { properties: delay(1), payload: b"later", ..super::packets::will("will/1") };
    drop(broker.connect(&Connect { will: Some(later), ..kept(Version::V5, "other") }).await);
    watcher.hears("later").await;
    client.leaves().await;
}

#[tokio::test]
async fn properties_of_a_will_come_with_it() {
    let broker = Broker::start().await;
    let mut watcher = watcher(&broker, Version::V5).await;
    let pair = |name, value| [USER_PROPERTY, 0, 1, name, 0, 1, value];
    let users = [pair(b'b', b'1'), pair(b'a', b'2'), pair(b'b', b'1')].concat();
    let others = [&[0x01, 1][..], &[0x03, 0, 1, b't'], &[0x08, 0, 1, b'r'], &[0x09, 0, 1, 0xFF]];
    let will = Will { properties: [users.clone(), others.concat()].concat(), ..will("will/1") };
    drop(broker.connect(&Connect { will: Some(will), ..connect(Version::V5, "mortal") }).await);
    let message = watcher.hears("gone").await;
    let all = |bytes: &[u8]| properties(&with_properties(Version::V5, bytes)).0;
    let (came_users, came_others): (Vec<_>, Vec<_>) =
        all(&message.properties).into_iter().partition(|(kind, _)| *kind == USER_PROPERTY);
    assert_eq!(came_users, all(&users));
    for property in all(&others.concat()) {
        assert!(came_others.contains(&property), "{property:?} in {came_others:?}");
    }
}
