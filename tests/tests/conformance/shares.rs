//! Shared subscriptions (MQTT 5.0, chapter 4.8.2).

use super::{packets::*, support::*};
use tests::{Message, Version};

const V5: Version = Version::V5;

#[tokio::test]
async fn each_message_goes_to_one_member() {
    const COUNT: usize = 20;
    let broker = Broker::start().await;
    let mut one = broker.client(V5, "one").await;
    let mut two = broker.client(V5, "two").await;
    for member in [&mut one, &mut two] {
        member.subscribe(&[("$share/g/a/#", 0), ("end", 0)]).await;
    }
    let mut publisher = broker.client(V5, "p").await;
    for number in 0..COUNT {
        publisher.publish("a/b", 0, &number.to_string()).await;
    }
    publisher.publish("end", 0, "end").await;
    let mut came = Vec::new();
    for member in [&mut one, &mut two] {
        loop {
            let message = member.message().await;
            if message.payload == b"end" {
                break;
            }
            came.push(String::from_utf8(message.payload).unwrap().parse::<usize>().unwrap());
        }
    }
    came.sort_unstable();
    assert_eq!(came, (0..COUNT).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_share_has_a_name_and_a_filter() {
    let broker = Broker::start().await;
    for filter in [
        "$share/g",
        "$share/",
        "$share//a",
        "$share/g/",
        "$share/g+/a",
        "$share/#/a",
        "$share/g#/a",
    ] {
        let mut client = broker.client(V5, "c").await;
        client.send(&subscribe(V5, 1, &[(filter, 0)])).await;
        let Some(answer) = client.maybe_next().await else { continue };
        if answer.kind == SUBACK {
            assert_eq!(client.codes(&answer), [0x8F], "{filter}");
        } else {
            assert_eq!(answer.kind, DISCONNECT, "{filter}: {answer:?}");
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn no_local_on_a_share_is_a_protocol_error() {
    let broker = Broker::start().await;
    let bytes = subscribe(V5, 1, &[("$share/g/a", 0x04)]);
    let reason = broker.client(V5, "c").await.violates("no local", &bytes).await;
    assert!(matches!(reason, None | Some(0x82)), "{reason:?}");
}

#[tokio::test]
async fn the_qos_of_each_member_is_respected() {
    let broker = Broker::start().await;
    let mut publisher = broker.client(V5, "p").await;
    for granted in 0..=2 {
        let mut member = broker.client(V5, "c").await;
        // A share for each: what the last member has not acknowledged is not passed on to the next.
        let filter = format!("$share/g{granted}/a");
        assert_eq!(member.subscribe(&[(&filter, granted)]).await, [granted]);
        for published in 0..=2 {
            publisher.publish("a", published, "x").await;
            assert_eq!(member.hears("x").await.qos, granted.min(published));
        }
    }
}

/// A publisher, what one member began to take before its line broke, and another member.
async fn begun(broker: &Broker) -> (Client, Message, Client) {
    let mut one = broker.connect(&kept(V5, "one")).await;
    one.subscribe(&[("$share/g/a", 2)]).await;
    let mut publisher = broker.client(V5, "p").await;
    publisher.publish("a", 2, "begun").await;
    let message = one.hears("begun").await;
    let mut two = broker.client(V5, "two").await;
    two.subscribe(&[("$share/g/a", 2)]).await;
    (publisher, message, two)
}

#[tokio::test]
async fn what_was_begun_is_completed_with_the_same_member() {
    let broker = Broker::start().await;
    let (_publisher, message, mut two) = begun(&broker).await;
    let mut one = broker.connect(&kept(V5, "one")).await;
    let again = one.hears("begun").await;
    assert_eq!((again.dup, again.id), (true, message.id));
    one.send(&answer(PUBREC, again.id)).await;
    one.takes(PUBREL).await;
    one.send(&answer(PUBCOMP, again.id)).await;
    one.hears_nothing().await;
    two.hears_nothing().await;
}

#[tokio::test]
async fn what_was_begun_goes_to_no_other_when_its_session_ends() {
    let broker = Broker::start().await;
    let (mut publisher, _, mut two) = begun(&broker).await;
    broker.client(V5, "one").await.leaves().await;
    publisher.publish("a", 0, "next").await;
    two.hears("next").await;
}

#[tokio::test]
async fn what_a_member_refuses_goes_to_no_other() {
    let broker = Broker::start().await;
    let mut one = broker.client(V5, "one").await;
    one.subscribe(&[("$share/g/a", 1)]).await;
    let mut publisher = broker.client(V5, "p").await;
    publisher.publish("a", 1, "refused").await;
    let message = one.hears("refused").await;
    let mut two = broker.client(V5, "two").await;
    two.subscribe(&[("$share/g/a", 1)]).await;
    one.send(&answer_with(PUBACK, message.id, 0x83)).await;
    one.hears_nothing().await;
    one.leaves().await;
    publisher.publish("a", 0, "next").await;
    two.hears("next").await;
}

#[tokio::test]
async fn a_share_brings_no_retained_messages() {
    let broker = Broker::start().await;
    broker.client(V5, "p").await.retain("a", 0, "kept").await;
    let mut member = broker.client(V5, "c").await;
    member.subscribe(&[("$share/g/a", 0)]).await;
    member.hears_nothing().await;
}

#[tokio::test]
async fn who_leaves_a_share_gets_no_more_of_it() {
    let broker = Broker::start().await;
    let mut one = broker.client(V5, "one").await;
    one.subscribe(&[("$share/g/a", 0)]).await;
    let mut two = broker.client(V5, "two").await;
    two.subscribe(&[("$share/g/a", 0)]).await;
    assert_eq!(one.unsubscribe(&["$share/g/a"]).await, [0]);
    let mut publisher = broker.client(V5, "p").await;
    for number in 0..4 {
        publisher.publish("a", 0, &number.to_string()).await;
        two.hears(&number.to_string()).await;
    }
    one.hears_nothing().await;
}
