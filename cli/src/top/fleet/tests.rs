//! What is known after which updates and lists.

use super::*;
use serde_json::{Value, json};

fn said(channel: &str, seq: u64, data: Value) -> Incoming {
    let update =
        json!({ "channel": channel, "seq": seq, "offset": seq, "timestamp": 1_000, "data": data });
    Incoming::read(serde_json::value::to_raw_value(&update).unwrap())
}

fn command(id: u128, state: &str) -> Value {
    json!({
        "id": CommandId::from_u128(id), "device": "d", "name": "set", "params": {}, "state": state,
        "attempt": 1, "priority": 0, "progress": null, "result": null, "error": null, "late": false,
        "created_at": 0, "created_by": null, "not_before": null, "deliver_by": 0, "finish_by": null,
        "batch": null, "verified": null,
    })
}

#[test]
fn a_rate_counts_what_was_merged_away_too() {
    let mut fleet = Fleet::default();
    let mut snapshot = said("telemetry/d", 100, json!({"a": 1}));
    if let Said::Update(update) = &mut snapshot.message {
        update.snapshot = true;
    }
    fleet.frame(&[snapshot]);
    fleet.tick(Timestamp(0), 1.0);
    assert_eq!(fleet.devices["d"].rate, 0.0, "a snapshot is no news");
    fleet.frame(&[said("telemetry/d", 110, json!({"a": 2}))]);
    fleet.tick(Timestamp(0), 2.0);
    assert_eq!(fleet.devices["d"].rate, 5.0);
    for _ in 0..20 {
        fleet.tick(Timestamp(0), 1.0);
    }
    assert_eq!(fleet.devices["d"].rate, 0.0, "it fell silent");
}

#[test]
fn values_are_the_newest_of_each_metric() {
    let mut fleet = Fleet::default();
    fleet.frame(&[said("telemetry/d", 1, json!({"a": 1, "b": 2}))]);
    fleet.frame(&[said("telemetry/d", 2, json!({"b": 3}))]);
    assert_eq!(fleet.devices["d"].values(), "a=1 b=3");
}

#[test]
fn a_command_that_ended_stays_in_sight_for_a_while() {
    let mut fleet = Fleet::default();
    fleet.frame(&[said("commands/d", 1, command(1, "succeeded"))]);
    assert!(fleet.commands.is_empty(), "it had ended before");
    fleet.frame(&[said("commands/d", 2, command(2, "sent"))]);
    fleet.frame(&[said("commands/d", 3, command(2, "failed"))]);
    fleet.tick(Timestamp(2_000), 1.0);
    assert_eq!(fleet.commands.len(), 1);
    fleet.tick(Timestamp(7_000), 1.0);
    assert!(fleet.commands.is_empty());
}

#[test]
fn lists_do_not_overrule_what_was_told_meanwhile() {
    let mut fleet = Fleet::default();
    fleet.frame(&[said("commands/d", 1, command(9, "sent"))]);
    fleet.lists_asked();
    fleet.frame(&[said("commands/d", 2, command(1, "started"))]);
    let listed = [command(1, "queued"), command(2, "queued")];
    let commands = listed.map(|command| serde_json::from_value(command).unwrap()).into();
    fleet.lists(Lists { commands, ..Lists::default() });
    let state = |id| fleet.commands.get(&CommandId::from_u128(id)).map(|known| known.state.name());
    assert_eq!([state(1), state(2), state(9)], [Some("started"), Some("queued"), None]);
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    let mut fleet = Fleet::default();
    fleet.frame(&[
        said("presence/d", 1, json!(7)),
        said("alerts/info/d", 1, json!({})),
        said("news", 1, json!({})),
    ]);
    assert!(fleet.alerts.is_empty());
}

fn presence(device: &str, seq: u64) -> Incoming {
    let presence = json!({
        "status": "online", "since": 0, "reason": "connected", "address": null, "protocol": null, "node": "n",
    });
    said(&format!("presence/{device}"), seq, presence)
}

fn reset(channels: &[&str]) -> Incoming {
    let reset = json!({
        "type": "reset", "channels": channels, "epoch": "e2", "offset": 0, "reason": "epoch",
    });
    Incoming::read(serde_json::value::to_raw_value(&reset).unwrap())
}

fn listed(devices: &[&str]) -> Lists {
    let devices = devices.iter().map(ToString::to_string).collect();
    Lists { devices, ..Lists::default() }
}

#[test]
fn after_a_reset_only_what_comes_anew_is_so() {
    let mut fleet = Fleet::default();
    fleet.frame(&[presence("a", 7), said("telemetry/a", 7, json!({"rpm": 1, "flow": 2}))]);
    fleet.frame(&[presence("b", 7), said("telemetry/b", 7, json!({"rpm": 1}))]);
    fleet.frame(&[
        reset(&["telemetry/+", "presence/+"]),
        presence("a", 1),
        said("telemetry/a", 1, json!({"rpm": 3})),
    ]);
    let values = |id| fleet.devices[id].values();
    assert_eq!([values("a"), values("b")], ["rpm=3", "-"]);
    assert_eq!(fleet.online(), 1);
}

#[test]
fn a_reset_concerns_its_channels_only() {
    let mut fleet = Fleet::default();
    fleet.frame(&[presence("a", 7), said("telemetry/a", 7, json!({"rpm": 1}))]);
    fleet.frame(&[reset(&["commands/a", "presence/b"])]);
    assert_eq!((fleet.devices["a"].values().as_str(), fleet.online()), ("rpm=1", 1));
}

#[test]
fn a_device_that_is_not_listed_goes_unless_it_was_heard_of_meanwhile() {
    let mut fleet = Fleet::default();
    fleet.frame(&[presence("gone", 1), presence("here", 1)]);
    fleet.lists_asked();
    fleet.frame(&[presence("new", 1)]);
    fleet.lists(listed(&["here"]));
    assert_eq!(fleet.devices.keys().collect::<Vec<_>>(), ["here", "new"]);
}

#[test]
fn devices_are_gone_where_the_gateway_knows_fewer_for_some_seconds() {
    let mut fleet = Fleet::default();
    fleet.frame(&[presence("gone", 1), presence("here", 1)]);
    let mut says_behind = |seq, devices_known| {
        let stats = GatewayStats { devices_known, ..GatewayStats::default() };
        fleet.frame(&[said("gateway/stats", seq, serde_json::to_value(stats).unwrap())]);
        fleet.is_behind()
    };
    let behind: Vec<_> = [1, 1, 2, 1, 1, 1, 1, 1]
        .iter()
        .zip(1..)
        .map(|(known, seq)| says_behind(seq, *known))
        .collect();
    assert_eq!(behind, [false, false, false, false, false, false, false, true]);
    fleet.lists_asked();
    assert!(!fleet.is_behind(), "it is being asked");
}
