//! Links: coming, going, and not reading.

use super::{Fixture, filter, message, own, payloads, topics, within};
use crate::exchange::{Attendance, Interest, Keeping, Settings, Share, Stopped};
use std::sync::Arc;

#[tokio::test]
async fn unsubscribing_stops_one_filter_and_only_that() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["a/+", "a/b"]).await;
    within(link.unsubscribe(own("a/+"))).await.unwrap();
    within(link.unsubscribe(own("never/subscribed"))).await.unwrap();
    fixture.publish("a/b", "").await;
    fixture.publish("a/c", "").await;
    assert_eq!(topics(&fixture.settle(&mut link).await), ["a/b"]);
}

#[tokio::test]
async fn a_filter_can_be_subscribed_twice_and_again() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["a", "a"]).await;
    fixture.publish("a", "1").await;
    assert_eq!(payloads(&fixture.settle(&mut link).await), ["1"]);
    within(link.unsubscribe(own("a"))).await.unwrap();
    fixture.publish("a", "2").await;
    within(link.subscribe(own("a"))).await.unwrap();
    fixture.publish("a", "3").await;
    assert_eq!(payloads(&fixture.settle(&mut link).await), ["3"]);
}

#[tokio::test]
async fn a_link_that_does_not_read_loses_its_own_messages_only() {
    let fixture = Fixture::start(Settings { link_queue_messages_max: 100, ..Settings::default() });
    let mut idle = fixture.link(&["#"]).await;
    let mut reading = fixture.link(&["#"]).await;
    for n in 0..1_000_u32 {
        fixture.publish("a", n.to_be_bytes()).await;
        assert_eq!(within(reading.recv()).await.unwrap().message.payload.as_ref(), n.to_be_bytes());
    }
    let counters = fixture.exchange.counters();
    assert_eq!(counters.dropped.get(), 900);
    assert_eq!(counters.delivered.get(), 1_100);
    for n in 0..100_u32 {
        assert_eq!(within(idle.recv()).await.unwrap().message.payload.as_ref(), n.to_be_bytes());
    }
    fixture.publish("a", "after").await;
    assert_eq!(within(idle.recv()).await.unwrap().message.payload.as_ref(), b"after");
}

#[tokio::test]
async fn a_links_queue_is_bounded_in_bytes_too() {
    let fixture = Fixture::start(Settings { link_queue_bytes_max: 30_000, ..Settings::default() });
    let mut link = fixture.link(&["big"]).await;
    let mut other = fixture.link(&["end"]).await;
    for _ in 0..5 {
        fixture.publish("big", vec![0; 10_000]).await;
    }
    fixture.publish("end", "").await;
    within(other.recv()).await.unwrap();
    assert_eq!(fixture.exchange.counters().dropped.get(), 3);
    within(link.recv()).await.unwrap();
    within(link.recv()).await.unwrap();
    fixture.publish("big", vec![0; 100_000]).await;
    assert_eq!(within(link.recv()).await.unwrap().message.payload.len(), 100_000);
}

#[tokio::test]
async fn a_dropped_link_frees_its_slot() {
    let fixture = Fixture::start(Settings { links_max: 2, ..Settings::default() });
    let _first = fixture.link(&["#"]).await;
    for n in 0..10_000 {
        fixture.link(&[&format!("slot/{}", n % 10)]).await;
    }
    assert_eq!(fixture.exchange.counters().links_now.get(), 1);
}

#[tokio::test]
async fn a_link_beyond_the_bound_waits_for_another_to_go() {
    let fixture = Fixture::start(Settings { links_max: 1, ..Settings::default() });
    let first = fixture.link(&[]).await;
    let mut second = std::pin::pin!(fixture.exchange.link(Keeping::InMemory));
    tokio::select! {
        biased;
        _ = &mut second => panic!("there was no room for it"),
        () = std::future::ready(()) => drop(first),
    }
    within(second).await.unwrap();
}

#[tokio::test]
async fn links_are_seen_while_they_live() {
    let fixture = Fixture::start(Settings::default());
    assert!(!fixture.exchange.has_links());
    let link = fixture.link(&[]).await;
    assert!(fixture.exchange.has_links());
    drop(link);
    assert!(!fixture.exchange.has_links());
}

#[tokio::test]
async fn publishing_waits_for_room() {
    let (exchange, _never_run) = crate::exchange::Exchange::start(
        Settings { queue_bytes_max: 1_000, ..Settings::default() },
        Default::default(),
    );
    within(exchange.publish(message("a", vec![0; 5_000]))).await.unwrap();
    tokio::select! {
        biased;
        _ = exchange.publish(message("a", "")) => panic!("there was no room for it"),
        () = std::future::ready(()) => {}
    }
}

#[tokio::test]
async fn stopping_ends_every_wait() {
    let mut fixture = Fixture::start(Settings { links_max: 1, ..Settings::default() });
    let mut link = fixture.link(&["a"]).await;
    let (exchange, stop) = (fixture.exchange.clone(), fixture.stop.clone());
    let (recv, waiting_link, ()) = within(async {
        tokio::join!(link.recv(), exchange.link(Keeping::InMemory), async { stop.cancel() })
    })
    .await;
    assert!(recv.is_none());
    assert_eq!(waiting_link.unwrap_err(), Stopped);
    within(fixture.running.join_next()).await.unwrap().unwrap();
    assert_eq!(within(exchange.publish(message("a", ""))).await, Err(Stopped));
    assert_eq!(within(link.subscribe(own("b"))).await, Err(Stopped));
}

fn shared(name: &str, wanted: &str) -> Interest {
    Interest::Shared(Arc::new(Share { name: name.into(), filter: filter(wanted) }))
}

#[tokio::test]
async fn the_members_of_a_share_get_messages_in_turn() {
    let fixture = Fixture::start(Settings::default());
    let (mut first, mut second) = (fixture.link(&[]).await, fixture.link(&["a"]).await);
    within(first.subscribe(shared("g", "a"))).await.unwrap();
    within(second.subscribe(shared("g", "a"))).await.unwrap();
    let mut other = fixture.link(&[]).await;
    within(other.subscribe(shared("h", "a"))).await.unwrap();
    for payload in ["1", "2", "3", "4"] {
        fixture.publish("a", payload).await;
    }
    assert_eq!(payloads(&fixture.settle(&mut first).await), ["1", "3"]);
    // Its own subscription beside the share gives each message, the share its part once more.
    assert_eq!(payloads(&fixture.settle(&mut second).await), ["1", "2", "2", "3", "4", "4"]);
    assert_eq!(payloads(&fixture.settle(&mut other).await), ["1", "2", "3", "4"]);
    within(first.unsubscribe(shared("g", "a"))).await.unwrap();
    drop(other);
    fixture.publish("a", "5").await;
    assert!(fixture.settle(&mut first).await.is_empty());
    assert_eq!(payloads(&fixture.settle(&mut second).await), ["5", "5"]);
}

#[tokio::test]
async fn a_member_whose_client_is_away_gets_messages_only_where_nobody_is_here() {
    let fixture = Fixture::start(Settings::default());
    let (mut away, mut here) = (fixture.link(&[]).await, fixture.link(&[]).await);
    for link in [&mut away, &mut here] {
        within(link.subscribe(shared("g", "a/+"))).await.unwrap();
    }
    away.attend(Attendance::Away);
    fixture.publish("a/1", "").await;
    fixture.publish("a/2", "").await;
    assert!(fixture.settle(&mut away).await.is_empty());
    assert_eq!(topics(&fixture.settle(&mut here).await), ["a/1", "a/2"]);
    drop(here);
    fixture.publish("a/3", "").await;
    assert_eq!(topics(&fixture.settle(&mut away).await), ["a/3"]);
}

#[tokio::test]
async fn a_full_member_of_a_share_passes_its_turn_on() {
    let settings = Settings { link_queue_messages_max: 2, ..Settings::default() };
    let fixture = Fixture::start(settings);
    let (mut full, mut other) = (fixture.link(&[]).await, fixture.link(&[]).await);
    for link in [&mut full, &mut other] {
        within(link.subscribe(shared("g", "a"))).await.unwrap();
    }
    for payload in ["1", "2", "3", "4"] {
        fixture.publish("a", payload).await;
    }
    within(other.recv()).await.unwrap();
    within(other.recv()).await.unwrap();
    fixture.publish("a", "5").await;
    assert_eq!(payloads(&fixture.settle(&mut other).await), ["5"]);
    assert_eq!(fixture.exchange.counters().dropped.get(), 0);
}

#[tokio::test]
async fn what_nobody_is_left_for_in_a_share_is_not_counted_as_dropped() {
    let fixture = Fixture::start(Settings::default());
    let mut member = fixture.link(&[]).await;
    let share = Arc::new(Share { name: "g".into(), filter: filter("a") });
    within(member.subscribe(Interest::Shared(Arc::clone(&share)))).await.unwrap();
    fixture.exchange.pass_on(Arc::clone(&share), Arc::new(message("a", "for the member")));
    assert_eq!(payloads(&fixture.settle(&mut member).await), ["for the member"]);
    within(member.unsubscribe(Interest::Shared(Arc::clone(&share)))).await.unwrap();
    fixture.exchange.pass_on(share, Arc::new(message("a", "for nobody")));
    assert!(fixture.settle(&mut member).await.is_empty());
    assert_eq!(fixture.exchange.counters().dropped.get(), 0);
}
