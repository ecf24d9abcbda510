//! What is expected and seen, and what else the newer rules say.

use super::*;

fn say(bench: &mut Bench, said: Said, name: &str, value: serde_json::Value) {
    let given = |asked: &str| (asked == name).then(|| value.clone());
    bench.commands.observe(bench.time(), &device(), said, given);
}

fn verified(bench: &Bench, id: CommandId) -> Option<bool> {
    bench.commands.get(id).expect("kept").command.verified
}

fn succeed_expecting(bench: &mut Bench, expect: serde_json::Value) -> CommandId {
    let id = bench.create(json!({"name": "a", "expect": expect}));
    say(bench, Said::Telemetry, "t", json!(21));
    bench.answer(id, json!({"status": "succeeded"}));
    assert_eq!(verified(bench, id), None, "what came before success does not count");
    id
}

#[test]
fn what_the_telemetry_shows_after_success_verifies_it() {
    let mut bench = Bench::online();
    let expect = json!({"metric": "t", "op": ">=", "value": 20, "within_ms": 100});
    let id = succeed_expecting(&mut bench, expect);
    say(&mut bench, Said::Telemetry, "t", json!(19));
    say(&mut bench, Said::State, "t", json!(21));
    assert_eq!(verified(&bench, id), None);
    say(&mut bench, Said::Telemetry, "t", json!(20));
    assert_eq!((verified(&bench, id), bench.state(id)), (Some(true), CommandState::Succeeded));
    assert!(!bench.commands.expects_of(&device()));
    bench.wait(200);
    assert_eq!(verified(&bench, id), Some(true));
}

#[test]
fn what_is_not_seen_in_time_is_not_verified() {
    let mut bench = Bench::online();
    let expect = json!({"state": "firmware", "op": "==", "value": "2", "within_ms": 100});
    let id = succeed_expecting(&mut bench, expect);
    bench.wait(99);
    assert_eq!(verified(&bench, id), None);
    bench.wait(1);
    assert_eq!((verified(&bench, id), bench.state(id)), (Some(false), CommandState::Succeeded));
}

#[test]
fn an_expectation_that_cannot_be_is_refused_by_name() {
    let mut bench = Bench::new();
    for (expect, named) in [
        (json!({"op": "==", "value": 1}), "neither"),
        (json!({"metric": "a", "state": "b", "op": "==", "value": 1}), "leave one out"),
        (json!({"metric": "a", "op": "<", "value": "x"}), "expect.value \"x\""),
        (json!({"metric": "a", "op": "==", "value": 1, "within_ms": 0}), "within_ms 0"),
    ] {
        let refused = bench.try_create(json!({"name": "a", "expect": expect})).unwrap_err();
        assert!(refused.to_string().contains(named), "{refused}");
    }
}

#[test]
fn a_device_that_dies_of_a_command_is_given_more_and_more_time() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a", "idempotent": true, "timeout_ms": 60_000}));
    let mut connection = FIRST;
    let mut waits = Vec::new();
    for attempt in 1..5 {
        bench.acknowledge(id, attempt);
        bench.sent();
        bench.loses(connection);
        connection = ConnectionId(connection.0 + 1);
        bench.receives(connection, true);
        let begun = bench.now;
        if bench.sent().is_empty() {
            let due = bench.commands.next_deadline().unwrap();
            bench.wait(due.0 - bench.now);
            assert_eq!(bench.commands.get(id).unwrap().command.attempt, attempt + 1);
        }
        waits.push(bench.now - begun);
    }
    assert_eq!(waits, [0, 1_000, 2_000, 4_000]);
}

#[test]
fn more_than_one_may_be_under_way_where_the_type_says_so() {
    let mut bench = Bench::online();
    bench.commands.set_inflight(bench.time(), &device(), 2);
    let ids: Vec<_> = (0..3).map(|_| bench.create(json!({"name": "a"}))).collect();
    assert_eq!(bench.sent(), [(FIRST, ids[0], 1), (FIRST, ids[1], 1)]);
    bench.answer(ids[1], json!({"status": "succeeded"}));
    assert_eq!(bench.sent(), [(FIRST, ids[2], 1)]);
}

#[test]
fn what_is_too_large_for_its_receiver_has_failed() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a"}));
    let next = bench.create(json!({"name": "b"}));
    bench.sent();
    bench.commands.not_written(bench.time(), id, 1, Unwritten::TooLarge);
    let command = bench.commands.get(id).unwrap().command.clone();
    assert_eq!(
        (command.state, command.error.unwrap().code.as_str()),
        (CommandState::Failed, "too_large")
    );
    assert_eq!(bench.sent(), [(FIRST, next, 1)]);
}

#[test]
fn a_result_that_is_too_large_is_left_out_and_noted() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a"}));
    bench.answer(id, json!({"status": "succeeded", "result": "x".repeat(99)}));
    let details = bench.commands.get(id).unwrap();
    assert_eq!((details.command.state, &details.command.result), (CommandState::Succeeded, &None));
    let noted = details.transitions.last().unwrap().reason.clone().unwrap();
    assert!(noted.contains("101 bytes are more than limits.command_result_bytes, 100"), "{noted}");
}

#[test]
fn parameters_that_are_too_large_are_refused() {
    let mut bench = Bench::new();
    let refused = bench.try_create(json!({"name": "a", "params": {"x": "y".repeat(1_000)}}));
    assert!(refused.unwrap_err().to_string().contains("limits.command_params_bytes, 1000"));
}

#[test]
fn deleting_a_device_cancels_what_was_not_sent() {
    let mut bench = Bench::online();
    let sent = bench.create(json!({"name": "a"}));
    let queued = bench.create(json!({"name": "b"}));
    bench.commands.delete_device(bench.time(), &device(), "ada");
    let states = [sent, queued].map(|id| bench.state(id));
    assert_eq!(states, [CommandState::Sent, CommandState::Cancelled]);
    assert_eq!(bench.commands.take_effects().last(), Some(&Effect::Forget(device())));
}

#[test]
fn a_report_of_the_last_commands_settles_what_timed_out_and_nothing_else() {
    let mut bench = Bench::online();
    let late = bench.create(json!({"name": "a", "timeout_ms": 10}));
    bench.wait(10);
    let done = bench.create(json!({"name": "b"}));
    bench.answer(done, json!({"status": "failed"}));
    let waiting = {
        bench.loses(FIRST);
        bench.create(json!({"name": "c"}))
    };
    let succeeded: Answer = serde_json::from_value(json!({"status": "succeeded"})).unwrap();
    let story = bench.story(done);
    let report = [late, done, waiting, CommandId::from_u128(99)].map(|id| (id, succeeded.clone()));
    bench.commands.recent(bench.time(), &device(), &report);
    use CommandState as S;
    assert_eq!(
        [late, done, waiting].map(|id| bench.state(id)),
        [S::Succeeded, S::Failed, S::Queued]
    );
    assert!(bench.commands.get(late).unwrap().command.late);
    assert_eq!(bench.story(done), story, "no note each time it comes back");
}
