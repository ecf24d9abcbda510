//! MQTT: what killed other brokers, and what fills one.

use super::{Target, trickle};
use tests::{
    Connect, Peer, Version,
    mqtt::{WILL_RETAIN, field, packet, publish},
};
use tokio::net::TcpStream;

const PUBREL: u8 = 6;
const VERSIONS: [Version; 2] = [Version::V3, Version::V5];

#[tokio::test]
async fn a_topic_beyond_ascii_reaches_who_wants_it() {
    let target = Target::with(&[]).await;
    let mut peer = Peer::connect(target.gateway.mqtt(), Connect::new(Version::V3, "a")).await;
    peer.subscribe("ü/#", 1).await;
    for topic in ["ü", "日本/東京", "\u{10ffff}", "ü/é"] {
        peer.publish(topic, b"x", 1).await;
    }
    assert_eq!(peer.message().await.topic, "ü");
    assert_eq!(peer.message().await.topic, "ü/é");
    target.stands().await;
}

#[tokio::test]
async fn a_bogus_puback_with_a_backlog_harms_nobody() {
    let target = Target::with(&[]).await;
    for version in VERSIONS {
        let mut slow = Peer::connect(target.gateway.mqtt(), Connect::new(version, "slow")).await;
        slow.subscribe("backlog", 1).await;
        let mut source = Peer::connect(target.gateway.mqtt(), Connect::new(version, "s")).await;
        for _ in 0..300 {
            source.publish("backlog", b"x", 1).await;
        }
        for id in [1, 500, 65_535, 1, 1] {
            slow.puback(id).await;
        }
        drop(slow);
        target.stands().await;
    }
}

#[tokio::test]
async fn who_resets_after_connect_leaves_the_door_open() {
    let target = Target::with(&[]).await;
    for number in 0..200_u32 {
        let stream = TcpStream::connect(target.gateway.mqtt()).await.expect("it accepts");
        let client = format!("reset-{number}");
        let bytes = Connect::new(VERSIONS[number as usize % 2], &client).encode();
        stream.set_zero_linger().expect("a fresh socket");
        stream.writable().await.expect("it is open");
        stream.try_write(&bytes).expect("a CONNECT fits");
    }
    target.stands().await;
}

#[tokio::test]
async fn client_ids_that_are_empty_long_or_odd_are_taken_or_refused() {
    let target = Target::with(&[]).await;
    let long = "x".repeat(65_535);
    for version in VERSIONS {
        for client in ["", "a b/+#", "\u{1}", "日本", &long] {
            for clean in [true, false] {
                let mut peer = Peer::open(target.gateway.mqtt(), version).await;
                peer.send(&Connect { clean, ..Connect::new(version, client) }.encode()).await;
                assert_eq!(peer.next().await.expect("a CONNACK").kind, 2);
            }
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn a_full_house_has_room_again_once_one_leaves() {
    let target = Target::with(&[("LIMITS__MQTT_CONNECTIONS", "4")]).await;
    let mut inside = Vec::new();
    for client in ["a", "b", "c", "d"] {
        inside.push(Peer::connect(target.gateway.mqtt(), Connect::new(Version::V3, client)).await);
    }
    for _ in 0..200 {
        let outside = Connect::new(Version::V5, "outside");
        assert!(Peer::try_connect(target.gateway.mqtt(), outside).await.is_none());
    }
    for peer in inside {
        peer.disconnect().await;
    }
    target.gateway.until_metric("sluice_mqtt_connections", 0).await;
    target.stands().await;
}

#[tokio::test]
async fn hundreds_of_silent_connections_hold_nobody_up() {
    let target = Target::with(&[("MQTT__CONNECT_TIMEOUT_MS", "3000")]).await;
    let mut silent = Vec::new();
    for place in 0..300 {
        let address = if place % 2 == 0 { target.gateway.mqtt() } else { target.gateway.http() };
        silent.push(TcpStream::connect(address).await.expect("it accepts"));
    }
    target.stands().await;
}

#[tokio::test]
async fn a_packet_cut_anywhere_is_not_waited_for_by_others() {
    let target = Target::with(&[]).await;
    for version in VERSIONS {
        let will = Connect { will: Some(("w", b"x")), ..Connect::new(version, "cut") }.encode();
        let message = publish(version, "devices/cut/telemetry", b"{}", 1, 7);
        let whole = [will, message].concat();
        for end in 0..whole.len() {
            let mut peer = Peer::open(target.gateway.mqtt(), version).await;
            peer.send(&whole[..end]).await;
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn lengths_that_lie_reserve_no_memory() {
    let target = Target::with(&[]).await;
    let mut liars = Vec::new();
    for _ in 0..200 {
        let mut peer = Peer::connect(target.gateway.mqtt(), Connect::new(Version::V5, "")).await;
        // It says that 262,140 bytes follow, which the limit allows.
        peer.send(&[0x30, 0xfc, 0xff, 0x0f, 0, 1, b'a']).await;
        liars.push(peer);
    }
    target.stands().await;
}

#[tokio::test]
async fn deep_and_huge_topics_are_refused_and_their_sender_alone() {
    let target = Target::with(&[]).await;
    let deep = "/".repeat(60_000);
    let huge = "x".repeat(65_535);
    for topic in [&deep, &huge] {
        for version in VERSIONS {
            let connect = Connect::new(version, "deep");
            let mut peer = Peer::connect(target.gateway.mqtt(), connect).await;
            assert!(peer.subscribe(topic, 0).await >= 0x80);
            peer.send(&publish(version, topic, b"x", 0, 0)).await;
            peer.closed().await;
        }
    }
    target.stands().await;
}

#[tokio::test]
async fn a_flood_of_retained_messages_stops_at_its_limit() {
    let limits = [("LIMITS__RETAINED_MESSAGES", "100"), ("LIMITS__RETAINED_BYTES", "1000000")];
    let target = Target::with(&limits).await;
    let mut peer = Peer::connect(target.gateway.mqtt(), Connect::new(Version::V3, "flood")).await;
    let payload = vec![b'x'; 10_000];
    for number in 0..2_000 {
        let mut bytes = publish(Version::V3, &format!("flood/{number}"), &payload, 0, 0);
        bytes[0] |= 1;
        peer.send(&bytes).await;
    }
    peer.settle().await;
    assert!(target.gateway.metric("sluice_mqtt_limit_retained_total").await >= 1_900);
    target.stands().await;
}

#[tokio::test]
async fn wills_that_call_each_other_do_not_go_round() {
    let target = Target::with(&[]).await;
    // Each dies of the other's coming: a takeover by the same client id, with a will every time.
    for round in 0..200 {
        let will = Connect {
            will: Some(("devices/will/telemetry", br#"{"dead":1}"#)),
            will_flags: if round % 2 == 0 { WILL_RETAIN } else { 0 },
            ..Connect::new(VERSIONS[round % 2], "will")
        };
        drop(Peer::connect(target.gateway.mqtt(), will).await);
    }
    target.stands().await;
    let wills = target.gateway.metric("sluice_mqtt_wills_total").await;
    assert!(wills <= 200, "{wills} wills of 200 deaths");
}

#[tokio::test]
async fn qos_2_without_pubrel_stops_at_the_receive_maximum() {
    let target = Target::with(&[]).await;
    for version in VERSIONS {
        let connect = Connect::new(version, "never-released");
        let mut peer = Peer::connect(target.gateway.mqtt(), connect).await;
        for id in 1..=65_535 {
            peer.send(&publish(version, "q2", b"x", 2, id)).await;
        }
        peer.send(&packet(PUBREL, 2, &[0, 1])).await;
        drop(peer);
    }
    target.stands().await;
}

#[tokio::test]
async fn an_alias_of_0_or_beyond_the_maximum_ends_the_connection() {
    let target = Target::with(&[]).await;
    for alias in [[0, 0], [0xff, 0xff], [0, 9]] {
        let connect = Connect::new(Version::V5, "alias");
        let mut peer = Peer::connect(target.gateway.mqtt(), connect).await;
        // An alias that is not known yet comes without its topic.
        let topic: &[u8] = if alias == [0, 9] { b"" } else { b"a" };
        let body = [&field(topic)[..], &[3, 0x23], &alias, b"x"].concat();
        peer.send(&packet(3, 0, &body)).await;
        let goodbye = peer.next().await.expect("a DISCONNECT");
        assert_eq!(goodbye.kind, 14, "{alias:?}");
        peer.closed().await;
    }
    target.stands().await;
}

#[tokio::test]
async fn a_flood_of_connects_leaves_nothing_behind() {
    let target = Target::with(&[]).await;
    for number in 0..2_000 {
        let client = format!("flood-{number}");
        drop(Peer::connect(target.gateway.mqtt(), Connect::new(Version::V3, &client)).await);
    }
    target.gateway.until_metric("sluice_mqtt_connections", 0).await;
    target.stands().await;
}

#[tokio::test]
async fn a_connect_that_trickles_ends_at_its_deadline() {
    let target = Target::with(&[("MQTT__CONNECT_TIMEOUT_MS", "500")]).await;
    let connect = Connect::new(Version::V5, &"x".repeat(200)).encode();
    let slow = (0..20).map(|_| trickle(target.gateway.mqtt(), &connect));
    futures_util::future::join_all(slow).await;
    target.gateway.until_metric("sluice_mqtt_refused_timeout_total", 20).await;
    target.stands().await;
}

#[tokio::test]
async fn who_only_receives_is_closed_at_its_keep_alive() {
    let target = Target::with(&[]).await;
    let connect = Connect { keep_alive_s: 1, ..Connect::new(Version::V5, "listener") };
    let mut listener = Peer::connect(target.gateway.mqtt(), connect).await;
    listener.subscribe("flood", 0).await;
    let mut source = Peer::connect(target.gateway.mqtt(), Connect::new(Version::V5, "s")).await;
    let flood = async {
        loop {
            source.publish("flood", &[b'x'; 1_000], 1).await;
        }
    };
    tokio::select! {
        () = listener.closed() => {}
        () = flood => {}
    }
    assert_eq!(target.gateway.metric("sluice_mqtt_keep_alive_timeouts_total").await, 1);
    target.stands().await;
}

#[tokio::test]
async fn who_stops_reading_is_closed_when_nothing_can_be_written() {
    let target = Target::with(&[("MQTT__WRITE_TIMEOUT_MS", "500")]).await;
    let connect = Connect { keep_alive_s: 3_600, ..Connect::new(Version::V5, "deaf") };
    let mut deaf = Peer::connect(target.gateway.mqtt(), connect).await;
    deaf.subscribe("flood", 0).await;
    let mut source = Peer::connect(target.gateway.mqtt(), Connect::new(Version::V5, "s")).await;
    // More than the system takes for it.
    for _ in 0..200 {
        source.publish("flood", &[b'x'; 100_000], 1).await;
    }
    target.gateway.until_metric("sluice_mqtt_write_timeouts_total", 1).await;
    target.stands().await;
}

#[tokio::test]
async fn a_lone_persistent_member_of_a_share_survives_a_kill_with_its_messages() {
    let mut target = Target::with(&[]).await;
    let connect = Connect { clean: false, ..Connect::new(Version::V3, "lone") };
    let mut lone = Peer::connect(target.gateway.mqtt(), connect).await;
    lone.subscribe("$share/crew/mail/#", 1).await;
    lone.disconnect().await;
    let mut source = Peer::connect(target.gateway.mqtt(), Connect::new(Version::V3, "s")).await;
    for number in 0..100 {
        source.publish("mail/a", number.to_string().as_bytes(), 1).await;
    }
    target.gateway.kill();
    target.gateway.start_again().await;
    let mut lone = Peer::connect(target.gateway.mqtt(), connect).await;
    for number in 0..100 {
        let message = lone.message().await;
        lone.puback(message.id).await;
        assert_eq!(message.payload, number.to_string().as_bytes());
    }
    target.stands().await;
}

#[tokio::test]
async fn clients_that_die_of_each_others_wills_end_with_their_deaths() {
    let target = Target::with(&[]).await;
    let clients = [("ping", "wills/ping"), ("pong", "wills/pong")];
    let come = async |(id, will): (&'static str, &'static str)| {
        let connect = Connect { will: Some((will, b"dead")), ..Connect::new(Version::V5, id) };
        let mut peer = Peer::connect(target.gateway.mqtt(), connect).await;
        peer.subscribe("wills/#", 1).await;
        peer
    };
    let mut next = come(clients[0]).await;
    for round in 0..100 {
        let heir = come(clients[(round + 1) % 2]).await;
        drop(std::mem::replace(&mut next, heir));
        let will = next.message().await;
        assert_eq!(will.topic, clients[round % 2].1);
    }
    target.stands().await;
    assert_eq!(target.gateway.metric("sluice_mqtt_wills_total").await, 100);
}

#[tokio::test]
async fn thousands_of_filters_with_wildcards_cost_little_granted_or_refused() {
    let target = Target::with(&[("LIMITS__MQTT_SUBSCRIPTIONS", "500")]).await;
    let mut greedy = Vec::new();
    for client in 0..2 {
        let id = format!("greedy-{client}");
        let connect = Connect::new(Version::V5, &id);
        let mut peer = Peer::connect(target.gateway.mqtt(), connect).await;
        let mut codes = Vec::new();
        for hundred in 0..20 {
            let name = |number| format!("+/{client}-{}/+/#", hundred * 100 + number);
            codes.extend(peer.subscribe_all(&(0..100).map(name).collect::<Vec<_>>()).await);
        }
        assert_eq!(codes.iter().filter(|code| **code < 0x80).count(), 500);
        greedy.push(peer);
    }
    greedy[1].publish("a/0-7/b/c", b"x", 0).await;
    assert_eq!(greedy[0].message().await.topic, "a/0-7/b/c");
    target.stands().await;
    // One that comes and goes with ever new ones leaves nothing behind either.
    drop(greedy);
    let mut fickle = Peer::connect(target.gateway.mqtt(), Connect::new(Version::V3, "f")).await;
    for hundred in 0..20 {
        let names = (0..100).map(|number| format!("fickle/{}", hundred * 100 + number));
        let names: Vec<_> = names.collect();
        fickle.subscribe_all(&names).await;
        fickle.unsubscribe_all(&names).await;
    }
    target.stands().await;
}
