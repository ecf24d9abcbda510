//! What waits for its receiver's window certainly did not run, and can be had back.

use super::{departing::recalled, *};
use protocol::Actor;

/// A command that waits for the window of its receiver, which can be asked to cancel or not.
fn held_up(cancels: bool) -> (Bench, CommandId) {
    let mut bench = Bench::new();
    bench.commands.receives(bench.time(), &device(), FIRST, true, cancels);
    let id = bench.create(json!({"name": "open", "timeout_ms": 100}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    bench.commands.held_up(bench.time(), id, 1);
    (bench, id)
}

fn cancel(bench: &mut Bench, id: CommandId) {
    let cancelled = bench.commands.cancel(bench.time(), id, "ada").unwrap();
    assert_eq!(cancelled.state, CommandState::Cancelling, "it may have been written just now");
}

/// Whether the device was asked to give a command up since the last look.
fn is_asked(bench: &mut Bench) -> bool {
    let effects = bench.commands.take_effects();
    effects.iter().any(|effect| matches!(effect, Effect::AskCancel { .. }))
}

/// By whom a command came to its state, and why.
fn last(bench: &Bench, id: CommandId) -> (Actor, String) {
    let last = bench.commands.get(id).unwrap().transitions.last().unwrap().clone();
    (last.by, last.reason.unwrap_or_default())
}

#[test]
fn what_waits_for_the_window_is_cancelled_without_its_device() {
    for cancels in [true, false] {
        let (mut bench, id) = held_up(cancels);
        cancel(&mut bench, id);
        assert_eq!(recalled(&mut bench), [(FIRST, id, 1)]);
        bench.now += 1_000;
        bench.commands.tick(bench.time());
        assert_eq!(bench.state(id), CommandState::Cancelling, "its connection has not answered");
        assert!(!is_asked(&mut bench), "the device does not know the command");
        bench.commands.given_back(bench.time(), id, 1);
        assert_eq!(bench.state(id), CommandState::Cancelled);
        assert_eq!(last(&bench, id).0, Actor::Gateway);
    }
}

#[test]
fn what_was_written_just_before_its_device_is_asked_for_or_it_goes_on() {
    let (mut bench, id) = held_up(true);
    cancel(&mut bench, id);
    assert!(!is_asked(&mut bench));
    bench.commands.written_after_all(bench.time(), id, 1);
    assert!(is_asked(&mut bench));
    assert_eq!(bench.state(id), CommandState::Cancelling);

    let (mut bench, id) = held_up(false);
    cancel(&mut bench, id);
    bench.commands.written_after_all(bench.time(), id, 1);
    assert_eq!(bench.state(id), CommandState::Sent);
    assert!(last(&bench, id).1.contains("cannot be asked"));
    bench.wait(100);
    assert_eq!(bench.state(id), CommandState::TimedOut);
}

#[test]
fn what_is_cancelled_before_its_connection_says_that_it_waits_is_taken_back_too() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open"}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    cancel(&mut bench, id);
    assert!(is_asked(&mut bench));
    bench.commands.held_up(bench.time(), id, 1);
    assert_eq!(recalled(&mut bench), [(FIRST, id, 1)]);
    bench.commands.given_back(bench.time(), id, 1);
    assert_eq!(bench.state(id), CommandState::Cancelled);
}

#[test]
fn what_no_connection_wrote_has_expired() {
    let (mut bench, id) = held_up(true);
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    assert_eq!(recalled(&mut bench), [(FIRST, id, 1)], "it is on its way elsewhere");
    bench.commands.given_back(bench.time(), id, 1);
    bench.commands.held_up(bench.time(), id, 2);
    bench.now += 100;
    bench.commands.tick(bench.time());
    assert_eq!(bench.state(id), CommandState::Sent);
    assert_eq!(recalled(&mut bench), [(SECOND, id, 2)]);
    bench.commands.given_back(bench.time(), id, 2);
    assert_eq!(bench.state(id), CommandState::Expired);
    assert!(last(&bench, id).1.contains("to acknowledge"));
}

#[test]
fn what_the_first_connection_may_have_written_times_out() {
    let (mut bench, id) = held_up(true);
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    assert_eq!(bench.sent(), [(SECOND, id, 2)]);
    bench.commands.written_after_all(bench.time(), id, 1);
    bench.commands.held_up(bench.time(), id, 2);
    bench.wait(100);
    assert_eq!(bench.state(id), CommandState::TimedOut);
}

#[test]
fn what_its_receiver_left_behind_says_so() {
    let (mut bench, id) = held_up(true);
    bench.loses(FIRST);
    bench.now += 100;
    bench.commands.tick(bench.time());
    assert_eq!(recalled(&mut bench), [(FIRST, id, 1)]);
    bench.commands.given_back(bench.time(), id, 1);
    assert_eq!(bench.state(id), CommandState::Expired);
    let (by, why) = last(&bench, id);
    assert_eq!((by, why.as_str()), (Actor::Timer, "it was not written: its receiver left before"));
}

#[test]
fn an_attempt_on_an_earlier_connection_is_asked_for_once_the_store_keeps_again() {
    let (mut bench, id) = held_up(true);
    bench.loses(FIRST);
    bench.commands.receives(bench.time(), &device(), SECOND, true, true);
    let effects = bench.commands.take_effects();
    let left = bench.commands.not_stored(bench.time(), effects);
    let earlier = |effect: &Effect| matches!(effect, Effect::Recall { connection: FIRST, .. });
    assert!(left.iter().any(earlier));
    assert_eq!(bench.commands.get(id).unwrap().command.attempt, 1);
}
