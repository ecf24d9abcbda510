//! Links: coming, going, and not reading.

use super::{Fixture, filter, message, payloads, topics, within};
use crate::exchange::{Settings, Stopped};

#[tokio::test]
async fn unsubscribing_stops_one_filter_and_only_that() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["a/+", "a/b"]).await;
    within(link.unsubscribe(&filter("a/+"))).await.unwrap();
    within(link.unsubscribe(&filter("never/subscribed"))).await.unwrap();
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
    within(link.unsubscribe(&filter("a"))).await.unwrap();
    fixture.publish("a", "2").await;
    within(link.subscribe(&filter("a"))).await.unwrap();
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
        assert_eq!(within(reading.recv()).await.unwrap().payload.as_ref(), n.to_be_bytes());
    }
    let counters = fixture.exchange.counters();
    assert_eq!(counters.dropped.get(), 900);
    assert_eq!(counters.delivered.get(), 1_100);
    for n in 0..100_u32 {
        assert_eq!(within(idle.recv()).await.unwrap().payload.as_ref(), n.to_be_bytes());
    }
    fixture.publish("a", "after").await;
    assert_eq!(within(idle.recv()).await.unwrap().payload.as_ref(), b"after");
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
    assert_eq!(within(link.recv()).await.unwrap().payload.len(), 100_000);
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
    let mut second = std::pin::pin!(fixture.exchange.link());
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
    let (recv, waiting_link, ()) =
        within(async { tokio::join!(link.recv(), exchange.link(), async { stop.cancel() }) }).await;
    assert!(recv.is_none());
    assert_eq!(waiting_link.unwrap_err(), Stopped);
    within(fixture.running.join_next()).await.unwrap().unwrap();
    assert_eq!(within(exchange.publish(message("a", ""))).await, Err(Stopped));
    assert_eq!(within(link.subscribe(&filter("b"))).await, Err(Stopped));
}
