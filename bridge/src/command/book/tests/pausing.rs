//! What a paused batch holds back.

use super::{
    batches::{all_receive, counts, devices, start, state},
    keeping::restart,
    *,
};
use protocol::BatchState;

fn pause(bench: &mut Bench, batch: &str) {
    bench.commands.pause_batch(bench.time(), batch).unwrap();
}

fn resume(bench: &mut Bench, batch: &str) {
    bench.commands.resume_batch(bench.time(), batch).unwrap();
}

#[test]
fn what_a_paused_batch_has_not_sent_waits_over_a_restart_too() {
    for not_before in [0, 2_000] {
        let mut bench = Bench::new();
        let command = json!({"name": "a", "not_before": not_before});
        let batch = start(&mut bench, 2, json!({"command": command}));
        pause(&mut bench, &batch.id);
        restart(&mut bench);
        all_receive(&mut bench, 2);
        bench.wait(1_000);
        assert_eq!(bench.sent(), []);
        assert_eq!(counts(&bench, &batch.id), json!({"queued": 2}));
        resume(&mut bench, &batch.id);
        assert_eq!(counts(&bench, &batch.id), json!({"sent": 2}));
    }
}

#[test]
fn the_time_of_what_a_paused_batch_has_begun_runs_on() {
    let mut bench = Bench::new();
    let batch = start(&mut bench, 2, json!({"command": {"name": "a", "ttl_ms": 50}}));
    pause(&mut bench, &batch.id);
    bench.wait(50);
    assert_eq!(counts(&bench, &batch.id), json!({"expired": 2}));
    assert_eq!(state(&bench, &batch.id), BatchState::Done);
}

#[test]
fn what_was_sent_of_a_paused_batch_goes_on() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 1);
    let batch = start(&mut bench, 1, json!({"command": {"name": "a"}}));
    let sent = bench.sent();
    pause(&mut bench, &batch.id);
    let device = devices(1).remove(0);
    bench.commands.receives_not(bench.time(), &device, FIRST);
    bench.commands.receives(bench.time(), &device, SECOND, true, true);
    assert_eq!(bench.sent(), [(SECOND, sent[0].1, 2)], "without a PUBACK it is sent again");
}

#[test]
fn a_paused_batch_holds_nobody_else_up() {
    let mut bench = Bench::new();
    let command = json!({"name": "a", "priority": 9});
    let batch = start(&mut bench, 1, json!({"command": command}));
    pause(&mut bench, &batch.id);
    all_receive(&mut bench, 1);
    let device = devices(1).remove(0);
    let request = serde_json::from_value(json!({"name": "b"})).unwrap();
    let dry = bench.commands.dry_run(bench.time(), &device, &request, vec![], "ada");
    assert_eq!(dry.position, 0);
    let other = start(&mut bench, 1, json!({"command": {"name": "b"}}));
    assert_eq!(counts(&bench, &other.id), json!({"sent": 1}));
    assert_eq!(counts(&bench, &batch.id), json!({"queued": 1}));
}
