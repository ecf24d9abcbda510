//! To which commands an answer may be that does not say it.

use super::*;

/// A device whose first command timed out and whose second is underway.
fn one_late(bench: &mut Bench) -> (CommandId, CommandId) {
    let late = bench.create(json!({"name": "a", "timeout_ms": 100}));
    bench.sent();
    bench.wait(100);
    let next = bench.create(json!({"name": "b", "timeout_ms": 60_000}));
    bench.sent();
    (late, next)
}

fn unanswered(bench: &Bench) -> Vec<CommandId> {
    let device = device();
    let commands = bench.commands.unanswered(bench.time(), &device);
    commands.map(|command| command.id).collect()
}

#[test]
fn what_timed_out_goes_before_what_is_underway_until_it_is_answered_or_some_time_has_passed() {
    let mut bench = Bench::online();
    let (late, next) = one_late(&mut bench);
    assert_eq!(unanswered(&bench), [late, next]);
    bench.wait(29_999);
    assert_eq!(unanswered(&bench), [late, next]);
    bench.wait(1);
    assert_eq!(unanswered(&bench), [next]);

    let mut bench = Bench::online();
    let (late, next) = one_late(&mut bench);
    bench.answer(late, json!({"status": "succeeded"}));
    assert_eq!(unanswered(&bench), [next]);
}

#[test]
fn what_timed_out_may_be_answered_after_a_restart_too() {
    let mut bench = Bench::online();
    let (late, _) = one_late(&mut bench);
    keeping::restart(&mut bench);
    assert_eq!(unanswered(&bench)[0], late);
}

#[test]
fn a_command_that_is_forgotten_is_answered_no_more() {
    let mut bench = Bench::online();
    let late = bench.create(json!({"name": "a", "timeout_ms": 100}));
    bench.sent();
    bench.wait(100);
    bench.loses(FIRST);
    for _ in 0..3 {
        bench.create(json!({"name": "b", "ttl_ms": 0}));
    }
    assert!(bench.commands.get(late).is_none());
    assert_eq!(unanswered(&bench), []);
    assert!(bench.commands.timed_out.is_empty());
}
