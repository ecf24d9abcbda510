//! Signing in over MQTT, and what follows from it: own topics, refusals, revocation, sessions that are
//! somebody's.

use super::{packets::*, support::*};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bridge::event::EdgeEvent;
use gateway::{
    auth::{Auth, Brought, Certified, Devices, EditError, Gate, Grant, Imported, Showing, Tokens},
    config::{AclAction, AclEffect, AclRule, Config},
};
use protocol::{Role, Timestamp};
use std::{path::Path, time::SystemTime};

const NOT_AUTHORIZED: u8 = 0x87;
const BAD_CREDENTIALS: u8 = 0x86;

fn add(folder: &Path, id: &str) -> String {
    Devices::edit(folder, |devices| devices.add(id.parse().unwrap(), None)).unwrap()
}

fn revoke(folder: &Path, id: &str) {
    let id = id.parse().unwrap();
    let revoked = Devices::edit(folder, |devices| Ok::<_, EditError>(devices.revoke(&id)));
    assert!(revoked.unwrap().is_some());
}

fn token(folder: &Path, user: &str, role: Role) -> String {
    let grant = Grant { role, ..Grant::default() };
    Tokens::edit(folder, |tokens| tokens.add(user, grant)).unwrap()
}

fn device<'a>(version: u8, id: &'a str, secret: &'a str) -> Connect<'a> {
    Connect { user: Some(id), password: Some(secret), ..client(version, id) }
}

/// An edge that knows the devices `d1` and `d2`, and their secrets.
async fn edge_with_two(change: impl FnOnce(&mut Config)) -> (TestEdge, String, String) {
    let mut secrets = Vec::new();
    let edge =
        TestEdge::knowing(|folder| secrets.extend(["d1", "d2"].map(|id| add(folder, id))), change)
            .await;
    let [one, two] = secrets.try_into().unwrap();
    (edge, one, two)
}

fn rule(effect: AclEffect, action: AclAction, topic: &str) -> AclRule {
    AclRule {
        effect,
        user: None,
        role: None,
        device: None,
        kind: None,
        action,
        topic: topic.into(),
    }
}

#[tokio::test]
async fn with_a_credential_there_who_shows_none_or_a_wrong_one_is_refused() {
    let (edge, secret, _) = edge_with_two(|_| {}).await;
    assert_eq!(edge.refuses(&client(4, "d1")).await, [0x20, 2, 0, 5]);
    assert_eq!(edge.refuses(&client(5, "d1")).await, [0x20, 3, 0, NOT_AUTHORIZED, 0]);
    assert_eq!(edge.refuses(&device(4, "d1", "wrong")).await, [0x20, 2, 0, 4]);
    assert_eq!(edge.refuses(&device(5, "d2", &secret)).await, [0x20, 3, 0, BAD_CREDENTIALS, 0]);
    let nameless = Connect { user: None, ..device(5, "d1", &secret) };
    assert_eq!(edge.refuses(&nameless).await, [0x20, 3, 0, BAD_CREDENTIALS, 0]);
    edge.counts("refused_unauthenticated", 2).await;
    edge.counts("refused_credentials", 3).await;
    for version in [4, 5] {
        edge.connect_as(&device(version, "d1", &secret)).await;
    }
}

#[tokio::test]
async fn a_credential_makes_a_connection_its_devices_own_at_once() {
    let (mut edge, secret, _) = edge_with_two(|_| {}).await;
    let _other = edge.connect_as(&Connect { id: "cli", ..device(5, "d1", &secret) }).await;
    let _own = edge.connect_as(&device(5, "d1", &secret)).await;
    let (event, _) = edge.event().await;
    assert!(matches!(event, EdgeEvent::Attached { device, .. } if device.as_str() == "d1"));
    assert_eq!(edge.waiting_inputs(), 0, "a client with another client id is nobody's own");
}

#[tokio::test]
async fn an_imported_secret_signs_in_though_it_is_slow_to_check() {
    let import = |folder: &Path| {
        let imported = Imported::new("d1".parse().unwrap(), "weak", Some("pump"));
        Devices::edit(folder, |devices| devices.import(imported)).unwrap();
    };
    let edge = TestEdge::knowing(import, |_| {}).await;
    assert_eq!(edge.refuses(&device(5, "d1", "week")).await, [0x20, 3, 0, BAD_CREDENTIALS, 0]);
    for _ in 0..2 {
        edge.connect_as(&device(5, "d1", "weak")).await;
    }
}

#[tokio::test]
async fn a_device_publishes_only_up_and_only_for_itself() {
    let (mut edge, secret, _) = edge_with_two(|_| {}).await;
    let mut five = edge.connect_as(&device(5, "d1", &secret)).await;
    edge.ignore_inputs();
    for (topic, code) in [
        ("devices/d1/telemetry", &[][..]),
        ("devices/d2/telemetry", &[NOT_AUTHORIZED, 0]),
        ("devices/d1/desired", &[NOT_AUTHORIZED, 0]),
        ("elsewhere", &[NOT_AUTHORIZED, 0]),
    ] {
        five.send(&publish(5, topic, 1, 7, "{}")).await;
        let (head, body) = five.packet().await;
        let expected: Vec<u8> = [&[0, 7][..], code].concat();
        // Reasons end with their code where there are no properties.
        assert_eq!(
            (head, &body[..body.len().min(3)]),
            (0x40, &expected[..expected.len().min(3)]),
            "{topic}"
        );
    }
    edge.counts("dropped_forbidden", 3).await;
    // 3.1.1 cannot be told: the message is acknowledged and dropped.
    let mut three = edge.connect_as(&device(4, "d1", &secret)).await;
    three.send(&publish(4, "devices/d2/telemetry", 1, 8, "{}")).await;
    assert_eq!(three.raw().await, ack(0x40, 8));
    three.send(&publish(4, "devices/d2/telemetry", 0, 0, "{}")).await;
    edge.counts("dropped_forbidden", 5).await;
}

#[tokio::test]
async fn a_device_hears_what_is_its_own_whatever_it_subscribes() {
    let (mut edge, one, two) = edge_with_two(|_| {}).await;
    edge.ignore_inputs();
    let mut peer = edge.connect_as(&device(5, "d1", &one)).await;
    let filters = [("devices/d2/#", 1), ("$SYS/#", 1), ("#", 1), ("devices/d1/#", 1)];
    peer.send(&subscribe(5, 1, &filters)).await;
    let (head, body) = peer.packet().await;
    assert_eq!((head, &body[3..]), (0x90, &[NOT_AUTHORIZED, NOT_AUTHORIZED, 1, 1][..]));
    let mut three = edge.connect_as(&device(4, "d2", &two)).await;
    three.send(&subscribe(4, 1, &[("devices/d1/commands/#", 1)])).await;
    assert_eq!(three.raw().await, [0x90, 3, 0, 1, 0x80]);
    three.send(&publish(4, "devices/d2/telemetry", 0, 0, "{}")).await;
    three.send(&publish(4, "devices/d2/state", 1, 2, "{}")).await;
    assert_eq!(three.raw().await, ack(0x40, 2));
    edge.exchange_is_idle().await;
    peer.hears_nothing().await;
    edge.counts("dropped_unreadable", 2).await;
    peer.send(&publish(5, "devices/d1/telemetry", 0, 0, "{}")).await;
    assert_eq!(peer.packet().await.0 & 0xF0, 0x30);
}

#[tokio::test]
async fn retained_messages_that_may_not_be_read_are_not_sent() {
    let deny = rule(AclEffect::Deny, AclAction::Subscribe, "secret/#");
    let mut tokens = Vec::new();
    let mut edge = TestEdge::knowing(
        |folder| {
            add(folder, "d1");
            tokens.extend([Role::Admin, Role::Viewer].map(|role| token(folder, role.name(), role)));
        },
        |config| config.acl = vec![deny],
    )
    .await;
    edge.ignore_inputs();
    let user = |password| Connect { password: Some(password), ..client(5, "") };
    let mut admin = edge.connect_as(&user(&*tokens[0])).await;
    for (id, topic) in [(1, "secret/a"), (2, "open/a")] {
        admin.send(&publish_with(5, 0x03, &[], topic, id, "x")).await;
        assert_eq!(admin.packet().await.0, 0x40);
    }
    let mut viewer = edge.connect_as(&user(&*tokens[1])).await;
    viewer.send(&subscribe(5, 1, &[("+/a", 0)])).await;
    assert_eq!(viewer.packet().await.0, 0x90);
    let (head, body) = viewer.packet().await;
    assert_eq!((head, &body[2..8]), (0x31, &b"open/a"[..]));
    viewer.hears_nothing().await;
    viewer.send(&publish(5, "open/a", 1, 3, "x")).await;
    assert_eq!(viewer.raw().await, [0x40, 3, 0, 3, NOT_AUTHORIZED]);
}

#[tokio::test]
async fn a_users_token_signs_in_with_the_users_name_or_none() {
    let mut anna = String::new();
    let edge = TestEdge::knowing(
        |folder| anna = token(folder, "anna", Role::Operator),
        |config| config.auth.required = true,
    )
    .await;
    let with = |user| Connect { user, password: Some(&anna), ..client(5, "c") };
    edge.connect_as(&with(None)).await;
    edge.connect_as(&with(Some("anna"))).await;
    assert_eq!(edge.refuses(&with(Some("bob"))).await, [0x20, 3, 0, BAD_CREDENTIALS, 0]);
}

#[tokio::test]
async fn a_narrowed_token_does_not_sign_in() {
    let mut narrowed = String::new();
    let grant = Grant { devices: vec!["pump-*".parse().unwrap()], ..Grant::default() };
    let edge = TestEdge::knowing(
        |folder| narrowed = Tokens::edit(folder, |tokens| tokens.add("anna", grant)).unwrap(),
        |config| config.auth.required = true,
    )
    .await;
    let anna = Connect { password: Some(&narrowed), ..client(5, "c") };
    assert_eq!(edge.refuses(&anna).await, [0x20, 3, 0, NOT_AUTHORIZED, 0]);
    edge.counts("refused_narrowed", 1).await;
}

#[tokio::test]
async fn a_will_that_may_not_be_published_keeps_its_client_out() {
    let (edge, secret, _) = edge_with_two(|_| {}).await;
    let with = |topic| Connect { will: Some((topic, "gone")), ..device(5, "d1", &secret) };
    let refused = edge.refuses(&with("devices/d2/events")).await;
    assert_eq!(refused, [0x20, 3, 0, NOT_AUTHORIZED, 0]);
    edge.counts("refused_will", 1).await;
    edge.connect_as(&with("devices/d1/events")).await;
}

#[tokio::test]
async fn a_will_under_sys_keeps_nobody_out_and_is_not_published() {
    let (edge, secret, _) = edge_with_two(|_| {}).await;
    let will = Some(("$SYS/broker/connection/near/state", "0"));
    drop(edge.connect_as(&Connect { will, ..device(4, "d1", &secret) }).await);
    edge.counts("dropped_forbidden", 1).await;
}

#[tokio::test]
async fn revoking_closes_the_connection_and_only_that() {
    let (edge, one, two) = edge_with_two(|_| {}).await;
    let mut peer = edge.connect_as(&device(5, "d1", &one)).await;
    let mut other = edge.connect_as(&device(5, "d2", &two)).await;
    revoke(edge.data_dir(), "d1");
    assert_eq!(peer.rest().await, [0xE0, 1, NOT_AUTHORIZED]);
    edge.counts("closed_revoked", 1).await;
    assert_eq!(edge.refuses(&device(4, "d1", &one)).await, [0x20, 2, 0, 4]);
    other.hears_nothing().await;
}

#[tokio::test]
async fn with_the_first_credential_who_was_trusted_must_sign_in() {
    let edge = TestEdge::start().await;
    let mut peer = edge.connect(5, "d1").await;
    let secret = add(edge.data_dir(), "d1");
    assert_eq!(peer.rest().await, [0xE0, 1, NOT_AUTHORIZED]);
    edge.connect_as(&device(5, "d1", &secret)).await;
}

#[tokio::test]
async fn a_client_id_in_use_is_taken_by_its_owner_or_the_device_of_that_name_only() {
    let (edge, one, two) = edge_with_two(|_| {}).await;
    let mut own = edge.connect_as(&device(5, "d1", &one)).await;
    let thief = Connect { id: "d1", ..device(5, "d2", &two) };
    assert_eq!(edge.refuses(&thief).await, [0x20, 3, 0, 0x85, 0]);
    own.hears_nothing().await;
    own.send(&DISCONNECT).await;
    own.closes().await;
    let mut squatter = edge.connect_as(&thief).await;
    edge.connect_as(&device(5, "d1", &one)).await;
    assert_eq!(squatter.rest().await, [0xE0, 1, 0x8E], "the device of that name takes it");
}

#[tokio::test]
async fn a_session_is_found_again_by_its_owner_only_also_after_a_crash() {
    let (mut edge, one, two) = edge_with_two(|_| {}).await;
    edge.ignore_inputs();
    let kept = |id, secret| Connect { clean: false, id: "shared", ..device(4, id, secret) };
    let mut peer = edge.connect_as(&kept("d1", &one)).await;
    peer.send(&subscribe(4, 1, &[("devices/d1/#", 1)])).await;
    assert_eq!(peer.packet().await.0, 0x90);
    let mut edge = edge.killed_and_restarted().await;
    edge.ignore_inputs();
    assert_eq!(edge.refuses(&kept("d2", &two)).await, [0x20, 2, 0, 2]);
    let (_peer, present) = edge.come_back(&kept("d1", &one)).await;
    assert!(present);
}

#[tokio::test]
async fn commands_go_to_nobody_who_may_not_answer_them() {
    let (mut viewer, mut secret) = (String::new(), String::new());
    let mut edge = TestEdge::knowing(
        |folder| {
            secret = add(folder, "hub");
            viewer = token(folder, "vera", Role::Viewer);
        },
        |config| {
            let hub = Some("hub".parse().unwrap());
            let rule = rule(AclEffect::Allow, AclAction::Any, "devices/+/#");
            config.acl = vec![AclRule { device: hub, ..rule }];
        },
    )
    .await;
    let mut watching =
        edge.connect_as(&Connect { password: Some(&viewer), ..client(5, "watching") }).await;
    watching.send(&subscribe(5, 1, &[("devices/d1/commands/#", 1)])).await;
    assert_eq!(watching.packet().await.1[3], 1);
    watching.hears_nothing().await;
    assert_eq!(edge.waiting_inputs(), 0, "it only watches");
    let mut hub = edge.connect_as(&device(5, "hub", &secret)).await;
    assert!(matches!(edge.event().await.0, EdgeEvent::Attached { .. }));
    hub.send(&subscribe(5, 1, &[("devices/d1/commands/#", 1)])).await;
    let (event, _) = edge.event().await;
    assert!(
        matches!(event, EdgeEvent::Receives { device, own: false, .. } if device.as_str() == "d1")
    );
}

#[tokio::test]
async fn who_guesses_waits_and_the_device_itself_comes_through() {
    let (edge, secret, _) = edge_with_two(|_| {}).await;
    for _ in 0..4 {
        edge.refuses(&device(5, "d1", "guess")).await;
    }
    edge.counts("sign_ins_delayed", 1).await;
    edge.connect_as(&device(5, "d1", &secret)).await;
    edge.counts("sign_ins_delayed", 2).await;
    edge.connect_as(&device(5, "d1", &secret)).await;
    assert_eq!(edge.counters.sign_ins_delayed.get(), 2, "it came through here before");
}

#[tokio::test]
async fn a_wrong_secret_that_is_looked_at_at_once_counts_however_many_wait() {
    let (edge, secret, _) = edge_with_two(|_| {}).await;
    for _ in 0..4 {
        edge.refuses(&device(5, "d2", "guess")).await;
    }
    edge.connect_as(&device(5, "d1", &secret)).await;
    let mut waiting = Vec::new();
    for _ in 0..16 {
        let mut guesser = edge.socket().await;
        guesser.send(&device(5, "d2", "guess").packet()).await;
        waiting.push(guesser);
    }
    edge.counts("sign_ins_delayed", 18).await;
    assert_eq!(edge.refuses(&device(5, "d1", "guess")).await[3], BAD_CREDENTIALS);
    assert_eq!(edge.counters.refused_guessing.get(), 0);
}

/// A JWT for `device` that ends at a second of the epoch.
fn jwt(secret: &[u8], device: &str, ends_at: u64) -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let claims = format!(r#"{{"sub":"{device}","exp":{ends_at}}}"#);
    let message = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(&claims));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let signature = ring::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_jwt_signs_its_device_in_until_it_ends() {
    let secret = [7; 32];
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), secret).unwrap();
    let edge = TestEdge::with(|config| config.auth.jwt.key_file = Some(keys.path().into())).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (brief, ended) = (jwt(&secret, "d1", now + 3), jwt(&secret, "d1", now - 1));
    assert_eq!(edge.refuses(&client(5, "d1")).await, [0x20, 3, 0, NOT_AUTHORIZED, 0]);
    assert_eq!(edge.refuses(&device(5, "d1", &ended)).await, [0x20, 3, 0, BAD_CREDENTIALS, 0]);
    assert_eq!(edge.refuses(&device(5, "d2", &brief)).await, [0x20, 3, 0, BAD_CREDENTIALS, 0]);
    edge.counts("refused_expired", 1).await;
    let mut peer = edge.connect_as(&device(5, "d1", &brief)).await;
    assert_eq!(peer.rest().await, [0xE0, 1, NOT_AUTHORIZED], "it is closed when the token ends");
}

/// A certificate of `d1` that ends so many milliseconds from now.
fn certificate(ends_in_ms: i64) -> Brought {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let ends_at = Timestamp(i64::try_from(now).unwrap() + ends_in_ms);
    Brought::Certificate(Certified { device: "d1".parse().unwrap(), ends_at })
}

#[tokio::test]
async fn a_certificate_that_expired_after_its_handshake_takes_nobodys_place() {
    let mut edge = TestEdge::start().await;
    edge.ignore_inputs();
    let kept = Connect { clean: false, ..client(4, "d1") };
    let mut own = edge.socket_bringing(certificate(60_000)).await;
    own.send(&kept.packet()).await;
    assert_eq!(own.packet().await.0, 0x20);
    for connected in [true, false] {
        if !connected {
            own.send(&DISCONNECT).await;
            own.closes().await;
        }
        let mut late = edge.socket_bringing(certificate(0)).await;
        late.send(&kept.packet()).await;
        assert_eq!(late.rest().await, [0x20, 2, 0, 5]);
        if connected {
            own.hears_nothing().await;
        }
    }
    let mut again = edge.socket_bringing(certificate(60_000)).await;
    again.send(&kept.packet()).await;
    let (_, connack) = again.packet().await;
    assert_eq!(connack[..2], [1, 0], "its session is there");
}

#[tokio::test]
async fn a_connection_is_closed_when_its_certificate_expires() {
    let mut edge = TestEdge::start().await;
    let mut peer = edge.socket_bringing(certificate(2_000)).await;
    peer.send(&client(5, "d1").packet()).await;
    let (connack, _) = peer.packet().await;
    assert_eq!(connack, 0x20);
    assert_eq!(peer.rest().await, [0xE0, 1, NOT_AUTHORIZED]);
}

#[tokio::test]
async fn what_a_connect_says_counts_and_the_token_of_its_request_only_where_it_says_nothing() {
    let (mut secret, mut shown) = (String::new(), String::new());
    let known = |folder: &Path| {
        secret = add(folder, "d2");
        shown = token(folder, "anna", Role::Viewer);
    };
    let mut edge = TestEdge::knowing(known, |_| {}).await;
    let gate = Gate::new(Auth::open(edge.data_dir()).unwrap(), false, None);
    let showing = Showing { address: edge.address.ip(), token: &shown };
    let viewer = Brought::User(gate.user_of(showing).unwrap());
    edge.ignore_inputs();
    let wrong = device(5, "d2", "wrong");
    let nameless = Connect { user: None, ..device(5, "d2", &secret) };
    let only_named = Connect { user: Some("d2"), ..client(5, "d2") };
    let telemetry = publish(5, "devices/d2/telemetry", 1, 7, r#"{"a":1}"#);
    for (connect, reason) in
        [(&wrong, BAD_CREDENTIALS), (&nameless, BAD_CREDENTIALS), (&only_named, NOT_AUTHORIZED)]
    {
        let mut refused = edge.socket_bringing(viewer.clone()).await;
        refused.send(&connect.packet()).await;
        assert_eq!(refused.rest().await, [0x20, 3, 0, reason, 0]);
    }
    let mut by_request = edge.socket_bringing(viewer.clone()).await;
    by_request.send(&client(5, "page").packet()).await;
    assert_eq!(by_request.packet().await.0, 0x20);
    by_request.send(&telemetry).await;
    let (head, body) = by_request.packet().await;
    assert_eq!((head, body[2]), (0x40, NOT_AUTHORIZED), "a viewer publishes nothing");
    let mut own = edge.socket_bringing(viewer).await;
    own.send(&device(5, "d2", &secret).packet()).await;
    assert_eq!(own.packet().await.0, 0x20);
    own.send(&telemetry).await;
    assert_eq!(own.raw().await, ack(0x40, 7));
    revoke(edge.data_dir(), "d2");
    assert_eq!(own.rest().await, [0xE0, 1, NOT_AUTHORIZED], "it ends with what let it in");
    by_request.hears_nothing().await;
}
