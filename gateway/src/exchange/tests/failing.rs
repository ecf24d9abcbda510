//! Routers that die, fall silent, or are worn.

use super::{Fixture, own, payloads, topics, within};
use crate::exchange::{Settings, engine::Input, router::Router};
use std::time::Duration;

#[tokio::test]
async fn subscriptions_outlive_a_killed_router() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["a/+", "b/#"]).await;
    let mut other = fixture.link(&["a/1"]).await;
    for kills in 1..=5 {
        fixture.sabotage(Router::kill);
        fixture.until(|counters| &counters.restarts, kills).await;
        fixture.publish("a/1", "").await;
        fixture.publish("b/2", "").await;
        assert_eq!(topics(&fixture.settle(&mut link).await), ["a/1", "b/2"]);
        assert_eq!(topics(&fixture.settle(&mut other).await), ["a/1"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_the_router_dies_amid_messages() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["#", "a/+"]).await;
    let numbers: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    for (n, number) in numbers.iter().enumerate() {
        if n % 500 == 250 {
            fixture.sabotage(Router::kill);
        }
        fixture.publish(&format!("a/{}", n % 3), number.as_str()).await;
    }
    assert_eq!(payloads(&fixture.settle(&mut link).await), numbers);
    let counters = fixture.exchange.counters();
    assert_eq!(counters.restarts.get(), 4);
    assert_eq!(counters.lost.get(), 0);
}

#[tokio::test]
async fn a_round_that_kills_two_routers_is_given_up_and_counted() {
    let fixture = Fixture::start(Settings::default());
    let mut link = fixture.link(&["a"]).await;
    fixture.publish("a", "lost with it").await;
    fixture.exchange.shared.inputs.send(Input::Poison).unwrap();
    fixture.publish("a", "lost with it too").await;
    fixture.until(|counters| &counters.lost, 1).await;
    fixture.publish("a", "after").await;
    assert_eq!(payloads(&fixture.settle(&mut link).await), ["after"]);
    let counters = fixture.exchange.counters();
    assert_eq!((counters.restarts.get(), counters.lost.get()), (2, 2));
}

#[tokio::test]
async fn an_idle_router_that_dies_is_replaced_without_being_asked() {
    let fixture =
        Fixture::start(Settings { heartbeat: Duration::from_secs(3_600), ..Settings::default() });
    let mut link = fixture.link(&["a"]).await;
    fixture.sabotage(Router::kill);
    fixture.until(|counters| &counters.restarts, 1).await;
    fixture.publish("a", "").await;
    assert_eq!(topics(&fixture.settle(&mut link).await), ["a"]);
}

#[tokio::test]
async fn a_silent_router_is_noticed_by_its_heartbeat_and_replaced() {
    let fixture = Fixture::start(Settings {
        heartbeat: Duration::from_millis(10),
        deadline: Duration::from_millis(500),
        ..Settings::default()
    });
    let mut link = fixture.link(&["a"]).await;
    fixture.sabotage(Router::silence);
    fixture.until(|counters| &counters.restarts, 1).await;
    fixture.publish("a", "").await;
    assert_eq!(topics(&fixture.settle(&mut link).await), ["a"]);
}

#[tokio::test]
async fn a_router_that_has_seen_too_many_topics_is_renewed_without_loss() {
    let fixture = Fixture::start(Settings { topics_max: 100, ..Settings::default() });
    let mut link = fixture.link(&["+/#"]).await;
    let sent: Vec<String> = (0..1_000).map(|n| format!("topic/{n}")).collect();
    for topic in &sent {
        fixture.publish(topic, "").await;
    }
    assert_eq!(topics(&fixture.settle(&mut link).await), sent);
    let counters = fixture.exchange.counters();
    assert!((1..=9).contains(&counters.renewals.get()));
    assert_eq!((counters.restarts.get(), counters.lost.get()), (0, 0));
}

#[tokio::test]
async fn filters_that_come_and_go_wear_no_router_out() {
    let fixture = Fixture::start(Settings { filters_max: 10, ..Settings::default() });
    let mut link = fixture.link(&["a/#"]).await;
    let mut fickle = fixture.link(&[]).await;
    for n in 0..100 {
        let passing = own(&format!("b/{n}"));
        within(fickle.subscribe(passing.clone())).await.unwrap();
        within(fickle.unsubscribe(passing)).await.unwrap();
    }
    fixture.publish("a/1", "").await;
    fixture.publish("b/1", "").await;
    assert_eq!(topics(&fixture.settle(&mut link).await), ["a/1"]);
    assert!(fixture.settle(&mut fickle).await.is_empty());
    assert_eq!(fixture.exchange.counters().renewals.get(), 0);
}
