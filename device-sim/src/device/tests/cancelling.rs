//! Commands that are to be cancelled.

use super::*;

#[test]
fn a_swallowed_command_is_never_answered_nor_is_its_cancelling() {
    let mut bench = Bench::new(Kind::Thermostat, "silent=1");
    bench.send(1, 1, "set_target", json!({"temperature": 5}));
    bench.send(1, 2, "set_target", json!({"temperature": 5}));
    bench.cancel(1);
    bench.pass(60_000);
    assert_eq!(bench.statuses(1), []);
    assert_eq!(bench.records(), [(Outcome::Silent, false)]);
}

#[test]
fn a_moving_valve_is_cancelled_and_stays_where_it_is() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(90.0));
    bench.pass(2_000);
    bench.cancel(1);
    bench.pass(20_000);
    assert_eq!(bench.statuses(1).last(), Some(&Cancelled));
    assert_eq!(bench.records(), [(Outcome::Cancelled, true)]);
    assert_eq!(bench.device.state()["valve"], json!(20.0));
}

#[test]
fn waiting_and_held_commands_are_cancelled_without_running() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(90.0));
    bench.send(2, 1, "set_valve", valve(10.0));
    bench.cancel(2);
    assert_eq!(bench.statuses(2), [Received, Cancelled]);
    assert_eq!(bench.records(), [(Outcome::Cancelled, false)]);

    let mut held = Bench::new(Kind::Thermostat, "slow=1");
    held.send(1, 1, "set_target", json!({"temperature": 5}));
    held.cancel(1);
    assert_eq!(held.records(), [(Outcome::Cancelled, false)]);
}

#[test]
fn what_is_over_or_unknown_is_not_cancelled() {
    let mut bench = Bench::new(Kind::Thermostat, "");
    bench.send(1, 4, "set_target", json!({"temperature": 10}));
    bench.cancel(1);
    bench.cancel(99);
    assert_eq!(bench.statuses(1), [Succeeded, NotCancelled]);
    assert_eq!(bench.answers(1)[1].attempt, Some(4));
    assert_eq!(bench.statuses(99), [NotCancelled]);
    bench.send(1, 5, "set_target", json!({"temperature": 10}));
    assert_eq!(bench.statuses(1).last(), Some(&Succeeded));
}

#[test]
fn a_reboot_disconnects_comes_back_and_cannot_be_cancelled() {
    let mut bench = Bench::new(Kind::Pump, "");
    bench.send(1, 1, "reboot", json!({}));
    assert!(bench.device.is_down() && bench.actions.contains(&Action::Restart(REBOOT)));
    bench.cancel(1);
    bench.pass(REBOOT.0);
    assert!(!bench.device.is_down());
    assert_eq!(bench.statuses(1), [Started, NotCancelled, Succeeded]);
    assert_eq!(bench.device.state()["boots"], json!(2));
    assert_eq!(bench.device.metrics()["rpm"], json!(0.0));
}
