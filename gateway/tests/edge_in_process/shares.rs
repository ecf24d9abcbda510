//! Shared subscriptions: `$share/{name}/{filter}`.

use super::{packets::*, support::*};

async fn member(edge: &TestEdge, connect: &Connect<'_>, filters: &[(&str, u8)]) -> Peer {
    let mut peer = edge.connect_as(connect).await;
    peer.send(&subscribe(connect.version, 1, filters)).await;
    let (head, body) = peer.packet().await;
    assert!(head == 0x90 && body[2..].iter().all(|code| *code <= 2), "{body:?}");
    peer
}

#[tokio::test]
async fn each_message_goes_to_one_member_whatever_version_it_speaks() {
    let edge = TestEdge::start().await;
    let share = [("$share/g/jobs/+", 1)];
    let mut three = member(&edge, &client(4, "three"), &share).await;
    let mut five = member(&edge, &client(5, "five"), &share).await;
    let mut publisher = edge.connect(4, "p").await;
    for number in ["1", "2", "3", "4"] {
        publisher.send(&publish(4, "jobs/a", 0, 0, number)).await;
    }
    assert_eq!(three.raw().await, publish(4, "jobs/a", 0, 0, "1"));
    assert_eq!(five.raw().await, publish(5, "jobs/a", 0, 0, "2"));
    assert_eq!(three.raw().await, publish(4, "jobs/a", 0, 0, "3"));
    assert_eq!(five.raw().await, publish(5, "jobs/a", 0, 0, "4"));
    three.send(&unsubscribe(4, 2, &["$share/g/jobs/+"])).await;
    assert_eq!(three.raw().await, [0xB0, 2, 0, 2]);
    publisher.send(&publish(4, "jobs/a", 0, 0, "5")).await;
    assert_eq!(five.raw().await, publish(5, "jobs/a", 0, 0, "5"));
    three.hears_nothing().await;
}

#[tokio::test]
async fn a_share_and_an_own_subscription_each_give_the_message() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "s").await;
    peer.send(&subscribe_with(5, &[0x0B, 1], 1, &[("a", 0)])).await;
    peer.send(&subscribe_with(5, &[0x0B, 2], 2, &[("$share/g/a", 0)])).await;
    peer.packet().await;
    peer.packet().await;
    edge.connect(4, "p").await.send(&publish(4, "a", 0, 0, "x")).await;
    let mut came = [peer.raw().await, peer.raw().await];
    came.sort();
    let by = |identifier| publish_with(5, 0, &[0x0B, identifier], "a", 0, "x");
    assert_eq!(came, [by(1), by(2)]);
}

#[tokio::test]
async fn no_local_on_a_share_is_a_protocol_error() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "s").await;
    peer.send(&subscribe(5, 1, &[("$share/g/a", 0x04)])).await;
    assert_eq!(peer.rest().await, [0xE0, 1, 0x82]);
}

#[tokio::test]
async fn the_deepest_filter_may_be_shared_and_a_name_is_bounded() {
    let edge = TestEdge::start().await;
    let deepest = ["a"; 16].join("/");
    member(&edge, &client(5, "m"), &[(&format!("$share/g/{deepest}"), 1)]).await;
    let long = "g".repeat(1_025);
    for filter in [format!("$share/g/{deepest}/a"), format!("$share/{long}/a")] {
        let mut peer = edge.connect(5, "s").await;
        peer.send(&subscribe(5, 1, &[(&filter, 0)])).await;
        assert_eq!(peer.raw().await, [0x90, 4, 0, 1, 0, 0x8F], "{filter}");
    }
}

#[tokio::test]
async fn a_share_needs_a_name_and_a_filter() {
    let edge = TestEdge::start().await;
    for filter in ["$share/g", "$share//a", "$share/g/", "$share/g+/a", "$share/#/a", "$share/g/a#"]
    {
        let mut peer = edge.connect(5, "s").await;
        peer.send(&subscribe(5, 1, &[(filter, 0)])).await;
        assert_eq!(peer.raw().await, [0x90, 4, 0, 1, 0, 0x8F], "{filter}");
    }
}

#[tokio::test]
async fn retained_messages_do_not_come_by_a_share() {
    let edge = TestEdge::start().await;
    let mut publisher = edge.connect(4, "p").await;
    publisher.send(&publish_with(4, 0x03, &[], "r", 1, "kept")).await;
    publisher.packet().await;
    let mut peer = member(&edge, &client(5, "s"), &[("$share/g/r", 1)]).await;
    peer.hears_nothing().await;
}

#[tokio::test]
async fn a_member_that_is_away_collects_only_where_no_other_is_here() {
    let edge = TestEdge::start().await;
    let kept = |id| Connect { clean: false, ..client(4, id) };
    let share = [("$share/g/jobs", 1)];
    drop(member(&edge, &kept("away"), &share).await);
    edge.counts("sessions_now", 1).await;
    let mut here = member(&edge, &client(4, "here"), &share).await;
    let mut publisher = edge.connect(4, "p").await;
    for (id, payload) in [(1, "one"), (2, "two")] {
        publisher.send(&publish(4, "jobs", 1, id, payload)).await;
        assert_eq!(here.raw().await, publish(4, "jobs", 1, id, payload));
        here.send(&ack(0x40, id)).await;
        publisher.packet().await;
    }
    here.send(&DISCONNECT).await;
    here.closes().await;
    publisher.send(&publish(4, "jobs", 1, 3, "three")).await;
    publisher.packet().await;
    let (mut away, present) = edge.come_back(&kept("away")).await;
    assert!(present);
    assert_eq!(away.raw().await, publish(4, "jobs", 1, 1, "three"));
}

#[tokio::test]
async fn what_a_crash_left_with_a_member_goes_to_another_when_its_session_ends() {
    let edge = TestEdge::start().await;
    let kept = |id| Connect { clean: false, ..client(4, id) };
    let share = [("$share/g/jobs", 1)];
    let mut goes = member(&edge, &kept("goes"), &share).await;
    let mut publisher = edge.connect(4, "p").await;
    for (id, payload) in [(1, "sent"), (2, "done")] {
        publisher.send(&publish(4, "jobs", 1, id, payload)).await;
        assert_eq!(goes.raw().await, publish(4, "jobs", 1, id, payload));
        publisher.packet().await;
    }
    goes.send(&ack(0x40, 2)).await;
    drop(goes);
    edge.counts("sessions_now", 1).await;
    publisher.send(&publish(4, "jobs", 1, 3, "waits")).await;
    publisher.packet().await;
    let edge = edge.killed_and_restarted().await;
    edge.counts("sessions_now", 1).await;
    let mut stays = member(&edge, &client(4, "stays"), &share).await;
    stays.hears_nothing().await;
    // It comes back anew: its session is over.
    edge.connect(4, "goes").await;
    for (id, payload) in [(1, "sent"), (2, "waits")] {
        assert_eq!(stays.raw().await, publish(4, "jobs", 1, id, payload));
    }
    stays.hears_nothing().await;
}
