//! When devices are there, and how many there may be.

use super::*;
use crate::event::ConnectionId;
use PresenceReason as Reason;

const OLD: ConnectionId = ConnectionId(1);
const NEW: ConnectionId = ConnectionId(2);

fn devices() -> Devices {
    Devices::new("node".into(), 2, Millis(300_000))
}

fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

fn attach(devices: &mut Devices, now: i64, connection: ConnectionId, reason: Reason) -> Presence {
    let address = "127.0.0.1:9".parse().unwrap();
    devices.attached(Timestamp(now), &id("d"), connection, address, "mqtt5", reason).unwrap()
}

#[test]
fn a_device_is_online_while_its_connection_is() {
    let mut devices = devices();
    let presence = attach(&mut devices, 5, OLD, Reason::Connected);
    assert_eq!((presence.status, presence.since), (Status::Online, Timestamp(5)));
    assert_eq!(devices.online(), 1);
    let gone = devices.detached(Timestamp(9), &id("d"), OLD, Reason::KeepAlive).unwrap();
    assert_eq!((gone.status, gone.reason), (Status::Offline, Reason::KeepAlive));
    assert_eq!((gone.address, devices.online()), (None, 0));
}

#[test]
fn a_takeover_leaves_the_device_online_since_it_was() {
    let mut devices = devices();
    attach(&mut devices, 5, OLD, Reason::Connected);
    assert_eq!(devices.detached(Timestamp(7), &id("d"), OLD, Reason::TakenOver), None);
    let presence = attach(&mut devices, 7, NEW, Reason::TakenOver);
    assert_eq!((presence.since, presence.reason), (Timestamp(5), Reason::TakenOver));
    assert_eq!(devices.detached(Timestamp(8), &id("d"), OLD, Reason::ConnectionLost), None);
    assert_eq!(devices.online(), 1);
}

#[test]
fn without_a_connection_a_device_is_heard_and_falls_silent() {
    let mut devices = devices();
    let heard = devices.heard(Timestamp(0), &id("d")).unwrap().unwrap();
    assert_eq!((heard.status, heard.reason), (Status::Online, Reason::Heard));
    assert_eq!(devices.heard(Timestamp(1), &id("d")).unwrap(), None);
    assert_eq!(devices.silent(Timestamp(300_000)), []);
    let silent = devices.silent(Timestamp(300_001));
    assert_eq!(silent[0].1.reason, Reason::Silent);
    assert_eq!(devices.silent(Timestamp(300_002)), []);
}

#[test]
fn who_was_heard_is_offline_once_the_gateway_stops() {
    let mut devices = devices();
    devices.heard(Timestamp(0), &id("d")).unwrap();
    let unheard = devices.unheard(Timestamp(1));
    assert_eq!((unheard[0].1.status, unheard[0].1.reason), (Status::Offline, Reason::Shutdown));
    assert_eq!(devices.unheard(Timestamp(2)), []);
}

#[test]
fn what_is_only_noted_of_a_device_leaves_it_as_present_as_it_was() {
    let mut devices = devices();
    devices.noted(Timestamp(0), &id("d")).unwrap();
    assert_eq!(devices.get(&id("d")).unwrap().status(), Status::Offline);
    attach(&mut devices, 1, OLD, Reason::Connected);
    devices.detached(Timestamp(2), &id("d"), OLD, Reason::ConnectionLost);
    devices.noted(Timestamp(3), &id("d")).unwrap();
    let record = devices.get(&id("d")).unwrap();
    assert_eq!((record.status(), record.since()), (Status::Offline, Timestamp(2)));
}

#[test]
fn a_connected_device_never_falls_silent() {
    let mut devices = devices();
    attach(&mut devices, 0, OLD, Reason::Connected);
    assert_eq!(devices.silent(Timestamp(1_000_000)), []);
}

#[test]
fn devices_are_bounded() {
    let mut devices = devices();
    devices.put(Timestamp(0), &id("a"), None, Tags::new()).unwrap();
    devices.heard(Timestamp(0), &id("b")).unwrap();
    let refused = devices.heard(Timestamp(0), &id("c")).unwrap_err();
    assert!(refused.to_string().contains("'c'"));
    devices.delete(&id("a"));
    assert!(devices.heard(Timestamp(0), &id("c")).is_ok());
}
