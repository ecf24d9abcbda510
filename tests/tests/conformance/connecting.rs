//! CONNECT (chapter 3.1 of both standards).

use super::{bytes::is_refused, packets::*, support::*};
use std::time::{Duration, Instant};
use tests::{
    Packet, Version,
    mqtt::{field, packet},
};

/// CONNECT with other flags.
fn with_flags(connect: &Connect<'_>, change: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut body = connect.body();
    body[FLAGS_AT] = change(body[FLAGS_AT]);
    packet(CONNECT, 0, &body)
}

#[tokio::test]
async fn what_does_not_begin_with_connect_is_closed() {
    let broker = Broker::start().await;
    for bytes in [
        ping(),
        publish(Version::V3, 1, "first", 0, b"x"),
        subscribe(Version::V5, 1, &[("a", 0)]),
        goodbye(),
        packet(AUTH, 0, &[0, 0]),
    ] {
        assert_eq!(broker.refuses(&bytes).await, [], "{bytes:?}");
    }
    let mut client = broker.client(Version::V3, "c").await;
    client.subscribe(&[("first", 0)]).await;
    client.hears_nothing().await;
}

#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    let broker = Broker::start().await;
    for version in BOTH {
        let again = connect(version, "c").packet();
        let reason = broker.client(version, "c").await.violates("a second connect", &again).await;
        assert!(matches!(reason, None | Some(0x82)), "{reason:?}");
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_protocol_of_another_name_is_not_served() {
    let broker = Broker::start().await;
    for version in BOTH {
        for name in [&b"MQTX"[..], b"mqtt", b"MQ", b"MQTTT", b""] {
            let body = [&field(name), &connect(version, "c").body()[6..]].concat();
            is_refused("a name", &broker.refuses(&packet(CONNECT, 0, &body)).await);
        }
    }
    broker.serves().await;
}

#[tokio::test]
async fn a_version_that_is_not_served_is_told_and_closed() {
    let broker = Broker::start().await;
    for level in [0, 1, 2, 6, 7, 0x7F, 0xFF] {
        let mut body = connect(Version::V3, "c").body();
        body[6] = level;
        let answer = broker.refuses(&packet(CONNECT, 0, &body)).await;
        let [only] = &answer[..] else { panic!("version {level}: {answer:?}") };
        // 0x01 is how 3.1.1 says it, 0x84 how 5.0 does.
        assert!(
            only.kind == CONNACK && matches!(only.body[..2], [0, 1 | 0x84]),
            "{level}: {only:?}"
        );
    }
    broker.serves().await;
}

#[tokio::test]
async fn the_reserved_flag_of_connect_is_checked() {
    let broker = Broker::start().await;
    for version in BOTH {
        let bytes = with_flags(&connect(version, "c"), |flags| flags | 1);
        is_refused("the reserved flag", &broker.refuses(&bytes).await);
    }
}

#[tokio::test]
async fn flags_of_a_will_come_with_a_will_only() {
    let broker = Broker::start().await;
    for version in BOTH {
        for flag in [0x08, 0x10, 0x20] {
            let bytes = with_flags(&connect(version, "c"), |flags| flags | flag);
            is_refused("a flag of no will", &broker.refuses(&bytes).await);
        }
        let bytes = with_flags(&connect(version, "c"), |flags| flags | 0x04);
        is_refused("a will that is not there", &broker.refuses(&bytes).await);
        let mortal = Connect { will: Some(will("w")), ..connect(version, "c") };
        let bytes = with_flags(&mortal, |flags| flags & !0x0C);
        is_refused("a will that was not announced", &broker.refuses(&bytes).await);
    }
}

#[tokio::test]
async fn a_will_has_no_qos_3() {
    let broker = Broker::start().await;
    for version in BOTH {
        for qos in 0..=2 {
            broker
                .connect(&Connect {
                    will: Some(Will { qos, ..will("w") }),
                    ..connect(version, "c")
                })
                .await;
        }
        let wrong = Connect { will: Some(Will { qos: 3, ..will("w") }), ..connect(version, "c") };
        is_refused("QoS 3", &broker.refuses(&wrong.packet()).await);
    }
}

#[tokio::test]
async fn name_and_password_are_where_their_flags_say() {
    let broker = Broker::start().await;
    for version in BOTH {
        let named = Connect { user: Some("name"), ..connect(version, "c") };
        let both = Connect { password: Some(b"\xFF\0"), ..named.clone() };
        broker.connect(&named).await;
        broker.connect(&both).await;
        for (what, connect, flags) in [
            ("a name that is not there", &connect(version, "c"), 0x82),
            ("a name without its flag", &named, 0x02),
            ("a password that is not there", &named, 0xC2),
            ("a password without its flag", &both, 0x82),
        ] {
            is_refused(what, &broker.refuses(&with_flags(connect, |_| flags)).await);
        }
    }
}

#[tokio::test]
async fn a_password_without_a_name_is_for_mqtt_5_only() {
    let broker = Broker::start().await;
    let connect = |version| Connect { password: Some(b"secret"), ..connect(version, "c") };
    broker.connect(&connect(Version::V5)).await;
    is_refused("a lone password", &broker.refuses(&connect(Version::V3).packet()).await);
}

#[tokio::test]
async fn all_fields_of_connect_are_read_in_their_order() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher").await;
        watcher.subscribe(&[("will/topic", 1)]).await;
        let whole = Connect {
            keep_alive_s: 600,
            will: Some(will("will/topic")),
            user: Some("name"),
            password: Some(b"secret"),
            ..connect(version, "whole")
        };
        let mut client = broker.connect(&whole).await;
        client.hears_nothing().await;
        drop(client);
        watcher.hears("gone").await;
    }
}

#[tokio::test]
async fn a_connect_that_is_cut_or_too_long_is_refused() {
    let broker = Broker::start().await;
    for version in BOTH {
        let body =
            Connect { will: Some(will("w")), user: Some("n"), ..connect(version, "c") }.body();
        for end in 0..body.len() {
            is_refused("a cut CONNECT", &broker.refuses(&packet(CONNECT, 0, &body[..end])).await);
        }
        let longer = [&body[..], b"x"].concat();
        is_refused("a byte too many", &broker.refuses(&packet(CONNECT, 0, &longer)).await);
        is_refused("wrong flags", &broker.refuses(&packet(CONNECT, 1, &body)).await);
    }
    broker.serves().await;
}

#[tokio::test]
async fn client_ids_of_23_letters_and_digits_are_accepted() {
    let broker = Broker::start().await;
    for version in BOTH {
        for id in
            ["0", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ0123456"]
        {
            broker.client(version, id).await.leaves().await;
        }
    }
}

#[tokio::test]
async fn an_empty_client_id_of_3_1_1_keeps_no_session() {
    let broker = Broker::start().await;
    let answer = broker.refuses(&kept(Version::V3, "").packet()).await;
    assert_eq!(answer, [Packet { kind: CONNACK, flags: 0, body: vec![0, 2] }]);
}

#[tokio::test]
async fn what_follows_a_refused_connect_is_not_processed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let refused = match version {
            Version::V3 => kept(version, "").packet(),
            Version::V5 => {
                let method = [&[AUTHENTICATION_METHOD][..], &field(b"unheard-of")].concat();
                Connect { properties: method, ..connect(version, "c") }.packet()
            }
        };
        let bytes = [refused, publish(version, 1, "followed", 0, b"x"), ping()].concat();
        is_refused("a refused CONNECT", &broker.refuses(&bytes).await);
        let mut client = broker.client(version, "c").await;
        client.subscribe(&[("followed", 0)]).await;
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn what_follows_a_connect_at_once_is_processed() {
    let broker = Broker::start().await;
    for version in BOTH {
        let mut client = broker.open(version).await;
        let all = [
            connect(version, "c").packet(),
            subscribe(version, 1, &[("a", 0)]),
            publish(version, 0, "a", 0, b"x"),
            ping(),
        ];
        client.send(&all.concat()).await;
        for kind in [CONNACK, SUBACK] {
            client.takes(kind).await;
        }
        let mut kinds = [client.next().await.kind, client.next().await.kind];
        kinds.sort_unstable();
        assert_eq!(kinds, [PUBLISH, PINGRESP]);
    }
}

#[tokio::test]
async fn a_new_connection_ends_the_older_one_of_the_same_id() {
    let broker = Broker::start().await;
    for older in BOTH {
        for newer in BOTH {
            let mut old = broker.client(older, "same").await;
            let mut new = broker.client(newer, "same").await;
            let rest = old.rest().await;
            match older {
                Version::V3 => assert_eq!(rest, []),
                Version::V5 => {
                    assert_eq!((rest.len(), rest[0].kind, rest[0].body[0]), (1, DISCONNECT, 0x8E))
                }
            }
            new.hears_nothing().await;
        }
    }
}

#[tokio::test]
async fn properties_of_connect_are_checked() {
    let broker = Broker::start().await;
    for (what, properties) in [
        ("Receive Maximum 0", vec![0x21, 0, 0]),
        ("Maximum Packet Size 0", vec![0x27, 0, 0, 0, 0]),
        ("Request Problem Information 2", vec![0x17, 2]),
        ("Request Response Information 2", vec![0x19, 2]),
        ("Session Expiry twice", [session_expiry(1), session_expiry(1)].concat()),
        ("a property of another packet", vec![TOPIC_ALIAS, 0, 1]),
        ("a property that is none", vec![0x7E, 0]),
        ("data without a method", vec![0x16, 0, 1, 1]),
        ("a property that is cut", vec![0x27, 0]),
    ] {
        let connect = Connect { properties, ..connect(Version::V5, "c") };
        is_refused(what, &broker.refuses(&connect.packet()).await);
    }
    broker.serves().await;
}

#[tokio::test]
async fn silence_of_one_and_a_half_keep_alives_ends_the_connection() {
    let broker = Broker::start().await;
    let mut watcher = broker.client(Version::V3, "watcher").await;
    watcher.subscribe(&[("silent", 0)]).await;
    for version in BOTH {
        let silent =
            Connect { keep_alive_s: 1, will: Some(will("silent")), ..connect(version, "c") };
        let (mut client, connack) = broker.introduce(&silent).await;
        if version == Version::V5 {
            let (told, _) = properties(&connack.body[2..]);
            assert_eq!(property(&told, SERVER_KEEP_ALIVE), None, "the client's own value counts");
        }
        let begin = Instant::now();
        client.rest().await;
        let silence = begin.elapsed();
        let fits = Duration::from_millis(1_400)..Duration::from_secs(10);
        assert!(fits.contains(&silence), "{silence:?}");
        watcher.hears("gone").await;
    }
}

#[tokio::test]
async fn without_a_keep_alive_silence_is_allowed() {
    let broker = Broker::start().await;
    let mut clients = [
        broker.client(Version::V3, "silent-3").await,
        broker.client(Version::V5, "silent-5").await,
    ];
    // While another client times out, nothing happens to these.
    let quick = Connect { keep_alive_s: 1, ..connect(Version::V3, "quick") };
    broker.connect(&quick).await.rest().await;
    for client in &mut clients {
        client.hears_nothing().await;
    }
}

#[tokio::test]
async fn sessions_are_told_apart_by_client_id() {
    let broker = Broker::start().await;
    for (version, ids) in BOTH.into_iter().zip([["one", "One", "one "], ["five", "Five", "five "]])
    {
        let mut one = broker.connect(&kept(version, ids[0])).await;
        one.subscribe(&[("a", 1)]).await;
        one.leaves().await;
        assert!(!broker.come_back(&kept(version, ids[1])).await.1);
        assert!(!broker.come_back(&kept(version, ids[2])).await.1);
        assert!(broker.come_back(&kept(version, ids[0])).await.1);
    }
}
