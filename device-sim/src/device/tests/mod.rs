//! The core against a list of inputs: no runtime, no port, no clock.

mod bench;
mod cancelling;

use super::*;
use AnswerStatus::{
    Cancelled, Failed, NotCancelled, Progress, Received, Rejected, Started, Succeeded,
};
use serde_json::json;

use bench::{Bench, pump, valve};

#[test]
fn a_command_that_is_done_at_once_is_answered_once_and_reported() {
    let mut bench = Bench::new(Kind::Thermostat, "");
    bench.send(1, 3, "set_target", json!({"temperature": 18.5}));
    let answer = Answer {
        status: Succeeded,
        attempt: Some(3),
        progress: None,
        result: Some(json!({"target": 18.5})),
        error: None,
    };
    assert_eq!(bench.answers(1), [answer]);
    assert_eq!(bench.records(), [(Outcome::Succeeded, true)]);
    assert!(bench.actions.contains(&Action::Report));
    assert_eq!(bench.device.state()["target"], json!(18.5));
}

#[test]
fn a_valve_tells_its_start_its_progress_and_its_end() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(50.0));
    bench.pass(6_000);
    let answers = bench.answers(1);
    let progress: Vec<_> = answers.iter().filter_map(|answer| answer.progress).collect();
    assert_eq!(answers.first().map(|answer| answer.status), Some(Started));
    assert_eq!(answers.last().map(|answer| answer.status), Some(Succeeded));
    assert!(progress.len() > 5 && progress.is_sorted(), "{progress:?}");
    assert_eq!(answers.len(), progress.len() + 2);
    assert_eq!(bench.records(), [(Outcome::Succeeded, true)]);
}

#[test]
fn bad_parameters_and_unknown_commands_are_rejected() {
    for (name, params, code) in [
        ("set_valve", valve(101.0), "bad_params"),
        ("set_valve", json!(null), "bad_params"),
        ("dance", json!({}), "unknown_command"),
    ] {
        let mut bench = pump();
        bench.send(1, 1, name, params);
        assert_eq!(bench.statuses(1), [Rejected]);
        assert_eq!(bench.error_code(1), code);
        assert_eq!(bench.records(), [(Outcome::Rejected, false)]);
    }
}

#[test]
fn chaos_makes_a_command_fail_without_running_it() {
    let mut bench = Bench::new(Kind::Thermostat, "fail=1");
    let before = bench.device.state();
    bench.send(1, 1, "set_target", json!({"temperature": 5}));
    assert_eq!((bench.statuses(1), bench.error_code(1)), (vec![Failed], "fault".into()));
    assert_eq!(bench.records(), [(Outcome::Failed, false)]);
    assert_eq!(bench.device.state(), before);
}

#[test]
fn a_slow_command_starts_late_and_not_after_its_time() {
    let mut bench = Bench::new(Kind::Thermostat, "slow=1");
    bench.send(1, 1, "set_target", json!({"temperature": 5}));
    bench.pass(1_999);
    assert_eq!(bench.statuses(1), [Received]);
    bench.pass(8_001);
    assert_eq!(bench.statuses(1), [Received, Succeeded]);
}

#[test]
fn a_command_that_comes_again_is_not_run_again_but_gets_its_last_answer() {
    let mut bench = Bench::new(Kind::Thermostat, "");
    bench.send(1, 1, "set_target", json!({"temperature": 10}));
    bench.send(2, 1, "set_target", json!({"temperature": 20}));
    bench.send(1, 2, "set_target", json!({"temperature": 10}));
    let answers = bench.answers(1);
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1], Answer { attempt: Some(2), ..answers[0].clone() });
    assert_eq!(bench.device.state()["target"], json!(20.0));
    assert_eq!(bench.records().len(), 2);
    assert!(bench.actions.contains(&Action::Repeat));
}

#[test]
fn a_command_that_comes_again_while_it_runs_goes_on_under_the_new_attempt() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(50.0));
    bench.pass(2_000);
    bench.send(1, 2, "set_valve", valve(50.0));
    bench.pass(6_000);
    let answers = bench.answers(1);
    let last = answers.last().map(|answer| (answer.status, answer.attempt));
    assert_eq!(last, Some((Succeeded, Some(2))));
    assert_eq!(answers.iter().filter(|answer| answer.status == Started).count(), 1);
    assert_eq!(bench.records(), [(Outcome::Succeeded, true)]);
}

#[test]
fn a_command_is_not_started_after_its_time() {
    let mut bench = pump();
    let late = Delivery {
        id: CommandId::from_u128(1),
        name: "set_valve".into(),
        params: valve(50.0),
        attempt: 1,
        issued_at: bench.now,
        not_after: Timestamp(bench.now.0 - 1),
        timeout_ms: Millis(30_000),
    };
    bench.device.handle_delivery(bench.now, late);
    bench.collect();
    assert_eq!((bench.statuses(1), bench.error_code(1)), (vec![Rejected], "too_late".into()));
    assert_eq!(bench.records(), [(Outcome::Rejected, false)]);
}

#[test]
fn a_command_whose_turn_comes_too_late_is_not_started() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(50.0));
    let soon = Delivery {
        id: CommandId::from_u128(2),
        name: "set_valve".into(),
        params: valve(0.0),
        attempt: 1,
        issued_at: bench.now,
        not_after: bench.now.plus(Millis(1_000)),
        timeout_ms: Millis(1_000),
    };
    bench.device.handle_delivery(bench.now, soon);
    bench.pass(10_000);
    assert_eq!(bench.statuses(2), [Received, Rejected]);
    assert_eq!(bench.error_code(2), "too_late");
}

#[test]
fn commands_wait_for_their_turn_and_run_in_order() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(20.0));
    bench.send(2, 1, "set_valve", valve(10.0));
    assert_eq!((bench.statuses(1), bench.statuses(2)), (vec![Started], vec![Received]));
    bench.pass(5_000);
    assert_eq!(bench.statuses(2).first_chunk(), Some(&[Received, Started]));
    assert_eq!(bench.statuses(2).last(), Some(&Succeeded));
    assert_eq!(bench.device.state()["valve"], json!(10.0));
}

#[test]
fn more_commands_than_may_wait_are_rejected_as_busy() {
    let mut bench = pump();
    for n in 0..=QUEUE_COMMANDS_MAX as u128 + 1 {
        bench.send(n, 1, "set_valve", valve(90.0));
    }
    let last = QUEUE_COMMANDS_MAX as u128 + 1;
    assert_eq!((bench.statuses(last), bench.error_code(last)), (vec![Rejected], "busy".into()));
    assert_eq!(bench.statuses(last - 1), [Received]);
    assert_eq!(bench.device.unfinished().len(), QUEUE_COMMANDS_MAX + 1);
}

#[test]
fn a_tracker_changes_how_often_it_measures() {
    let mut bench = Bench::new(Kind::Tracker, "");
    assert_eq!(bench.device.interval(), None);
    bench.send(1, 1, "set_interval", json!({"seconds": 2.5}));
    assert_eq!(bench.device.interval(), Some(std::time::Duration::from_millis(2_500)));
    assert_eq!(bench.device.state()["interval_s"], json!(2.5));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |kind: Kind, seed: u64| {
        let chaos = "fail=0.3,slow=0.3".parse().expect("valid chaos");
        let start = Timestamp(0);
        let id = "a".parse().expect("a device id");
        let mut device = Device::new(id, kind, chaos, seed, start);
        let mut seen = Vec::new();
        for second in 1..=120 {
            device.advance(start.plus(Millis(second * 1_000)));
            seen.push(device.metrics());
        }
        seen
    };
    for kind in Kind::ALL {
        assert_eq!(run(kind, 1), run(kind, 1));
        assert_ne!(run(kind, 1), run(kind, 2));
    }
}

#[test]
fn time_that_jumps_harms_nothing() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(50.0));
    bench.now = Timestamp(bench.now.0 - 3_600_000);
    bench.device.advance(bench.now);
    bench.now = Timestamp(i64::MAX);
    bench.device.advance(bench.now);
    bench.collect();
    assert_eq!(bench.statuses(1).last(), Some(&Succeeded));
}

#[test]
fn progress_is_told_in_steps_and_not_at_every_look() {
    let mut bench = Bench::new(Kind::Tracker, "");
    let metrics = bench.device.metrics();
    let lat = metrics["lat"].as_f64().expect("a latitude") + 0.01;
    bench.send(1, 1, "go_to", json!({"lat": lat, "lon": metrics["lon"]}));
    bench.pass(300_000);
    let told = bench.statuses(1).iter().filter(|status| **status == Progress).count();
    assert!((10..=20).contains(&told), "{told}");
    assert_eq!(bench.statuses(1).last(), Some(&Succeeded));
}

#[test]
fn a_slow_command_is_slow_from_its_turn_on() {
    let mut bench = Bench::new(Kind::Thermostat, "slow=1");
    bench.send(1, 1, "set_target", json!({"temperature": 5}));
    bench.send(2, 1, "set_target", json!({"temperature": 6}));
    bench.pass(3_999);
    assert_eq!(bench.statuses(2), [Received]);
    bench.pass(16_001);
    assert_eq!((bench.statuses(1).len(), bench.statuses(2)), (2, vec![Received, Succeeded]));
}

#[test]
fn what_is_desired_is_taken_up_after_a_while_and_reported_once() {
    let mut bench = Bench::new(Kind::Thermostat, "");
    bench.desire(3, &json!({"target": 21.7, "colour": "red"}));
    assert_ne!(bench.device.state()["target"], json!(21.7), "it takes its time");
    bench.pass(15_000);
    assert_eq!(bench.device.state()["target"], json!(21.7));
    let reports =
        |bench: &Bench| bench.actions.iter().filter(|action| **action == Action::Report).count();
    assert_eq!(reports(&bench), 1);
    bench.send(1, 1, "set_target", json!({"temperature": 18.5}));
    bench.desire(3, &json!({"target": 21.7, "colour": "red"}));
    bench.pass(15_000);
    assert_eq!(bench.device.state()["target"], json!(18.5), "it was taken up before");
}

#[test]
fn what_is_desired_waits_for_the_work_in_hand() {
    let mut bench = pump();
    bench.send(1, 1, "set_valve", valve(100.0));
    bench.desire(1, &json!({"valve": 30}));
    bench.pass(9_000);
    assert_eq!(bench.device.state()["valve"], json!(100.0));
    bench.pass(16_000);
    assert_eq!(bench.statuses(1).last(), Some(&Succeeded));
    assert_eq!(bench.device.state()["valve"], json!(30.0));
}

#[test]
fn what_is_wrong_is_told_once_and_again_when_it_is_over() {
    let mut bench = Bench::new(Kind::Pump, "");
    for percent in [0.0, 90.0] {
        bench.send(1 + percent as u128, 1, "set_valve", valve(percent));
        bench.pass(20_000);
    }
    let mut events = bench.events();
    events.retain(|(code, _)| *code == "no_flow");
    assert_eq!(events, [("no_flow", false), ("no_flow", true)]);
}
