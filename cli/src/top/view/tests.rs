//! The screen as text, at several sizes.

use super::*;
use crate::client::Incoming;
use crossterm::event::{KeyCode, KeyEvent};
use protocol::GatewayStats;
use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json, value::to_raw_value};

const NOW: i64 = 1_700_000_000_000;

fn said(channel: &str, seq: u64, data: Value) -> Incoming {
    let update = json!({ "channel": channel, "seq": seq, "offset": seq, "timestamp": NOW - 2_000, "data": data });
    Incoming::read(to_raw_value(&update).unwrap())
}

fn presence(device: &str, status: &str, since: i64) -> Incoming {
    let presence = json!({
        "status": status, "since": since, "reason": "connected", "address": null, "protocol": null, "node": "n",
    });
    said(&format!("presence/{device}"), 1, presence)
}

fn alert(number: u64, severity: &str, acknowledged_by: Value) -> Incoming {
    let state = if acknowledged_by.is_null() { "active" } else { "acknowledged" };
    let alert = json!({
        "id": format!("0190d9c2-7c3a-7000-8000-00000000000{number}"), "device": "pump-1", "severity": severity,
        "code": "dry", "message": "no water\u{1b}[2J", "data": {}, "state": state, "count": 1,
        "raised_at": NOW - 90_000, "acknowledged_at": null, "acknowledged_by": acknowledged_by,
        "cleared_at": null, "cleared_by": null,
    });
    said(&format!("alerts/{severity}/pump-1"), number, alert)
}

fn command(state: &str, progress: Value) -> Incoming {
    let command = json!({
        "id": "0190d9c2-7c3a-7b6e-8f00-3c9d1f2a4b5c", "device": "pump-2", "name": "fill", "params": {"litres": 5},
        "state": state, "attempt": 1, "priority": 0, "progress": progress, "result": null, "error": null,
        "late": false, "created_at": NOW - 3_000, "created_by": null, "not_before": null, "deliver_by": NOW,
        "finish_by": null, "batch": null, "verified": null,
    });
    said("commands/pump-2", 1, command)
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    fleet.frame(&[
        presence("pump-1", "online", NOW - 60_000),
        presence("pump-2", "online", NOW - 60_000),
        presence("tracker-9", "offline", NOW - 7_200_000),
        said("telemetry/pump-1", 10, json!({"rpm": 1200, "flow": 3.5})),
        said("telemetry/pump-2", 5, json!({"rpm": 0})),
        alert(1, "warning", Value::Null),
        alert(2, "critical", Value::Null),
        alert(3, "critical", "ann".into()),
        command("started", json!(40)),
    ]);
    fleet.tick(Timestamp(NOW), 1.0);
    fleet
}

fn screen(
    fleet: &Fleet,
    choice: &mut Choice,
    trouble: Option<&str>,
    (width, height): (u16, u16),
) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let (place, now, theme) = ("http://gw:8080", Timestamp(NOW), Theme { colored: false });
    let view = View { fleet, place, trouble, now, theme };
    terminal.draw(|frame| view.draw(frame, choice)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn a_wide_terminal_shows_all_at_once() {
    insta::assert_snapshot!(screen(&fleet(), &mut Choice::default(), None, (130, 14)));
}

#[test]
fn a_narrow_terminal_shows_what_was_chosen() {
    let mut choice = Choice::default();
    let mut screens = screen(&fleet(), &mut choice, None, (60, 10));
    for key in ['2', '3'] {
        choice.key(KeyEvent::from(KeyCode::Char(key)), 10);
        screens += &screen(&fleet(), &mut choice, Some("it ended without a close"), (60, 10));
    }
    insta::assert_snapshot!(screens);
}

#[test]
fn no_number_is_cut_so_that_it_looks_whole() {
    let mut fleet = fleet();
    fleet.frame(&[said("telemetry/pump-2", 6, json!({"pressure": 123.456, "temperature": 21.5}))]);
    for width in 60..140 {
        let screen = screen(&fleet, &mut Choice::default(), None, (width, 14));
        for (value, whole) in [("temperature=", "21.5"), ("pressure=", "123.456")] {
            let shown = screen.split_once(value).map(|(_, rest)| rest);
            let shown = shown.and_then(|rest| rest.split([' ', '"', '\u{2026}']).next());
            let cut = screen.contains(&format!("{value}{}\u{2026}", shown.unwrap_or_default()));
            assert!(shown.is_none_or(|shown| shown == whole || cut), "{screen}");
        }
    }
}

#[test]
fn devices_are_ordered_as_chosen() {
    let fleet = fleet();
    let first = |order| {
        let choice = Choice { order, ..Choice::default() };
        rows::devices(&fleet, &choice)[0].0.to_owned()
    };
    let orders = [Order::Name, Order::Rate, Order::Slowest, Order::Offline];
    assert_eq!(orders.map(first), ["pump-1", "pump-1", "pump-1", "tracker-9"]);
    let filter = Choice { filter: "9".into(), ..Choice::default() };
    assert_eq!(rows::devices(&fleet, &filter).len(), 1);
}

#[test]
fn a_gateway_that_falls_silent_does_not_look_live() {
    let mut fleet = fleet();
    let stats = GatewayStats { version: "1.2.3".into(), ..GatewayStats::default() };
    let stats = |seq| said("gateway/stats", seq, serde_json::to_value(&stats).unwrap());
    let head = |fleet: &Fleet| {
        let screen = screen(fleet, &mut Choice::default(), None, (100, 10));
        screen.lines().next().unwrap().to_owned()
    };
    fleet.frame(&[stats(1)]);
    fleet.tick(Timestamp(NOW), 2.0);
    assert!(head(&fleet).contains("1.2.3"), "{}", head(&fleet));
    fleet.tick(Timestamp(NOW), 10.0);
    assert!(head(&fleet).contains("no figures for 12 s"), "{}", head(&fleet));
    fleet.frame(&[stats(2)]);
    assert!(head(&fleet).contains("1.2.3"), "{}", head(&fleet));
}

#[test]
fn no_size_is_too_small() {
    for size in [(1, 1), (2, 3), (10, 2), (20, 4), (200, 1)] {
        screen(&fleet(), &mut Choice::default(), None, size);
    }
}

#[test]
fn without_colour_nothing_is_coloured() {
    let mut terminal = Terminal::new(TestBackend::new(130, 14)).unwrap();
    let fleet = fleet();
    let theme = Theme { colored: false };
    let view = View { fleet: &fleet, place: "", trouble: None, now: Timestamp(NOW), theme };
    terminal.draw(|frame| view.draw(frame, &mut Choice::default())).unwrap();
    let cells = terminal.backend().buffer().content();
    assert!(cells.iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
}
