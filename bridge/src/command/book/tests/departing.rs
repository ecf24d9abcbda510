//! Between the decision to send and the sending: the commit, which may take its time.

use super::*;

/// The newest delivery that waits for its commit, and where it goes.
fn waiting(bench: &mut Bench) -> (ConnectionId, Delivery) {
    let send = |effect| {
        let Effect::Send { connection, delivery, .. } = effect else { return None };
        Some((connection, *delivery))
    };
    let effects = bench.commands.take_effects();
    effects.into_iter().filter_map(send).last().expect("something is to be sent")
}

#[test]
fn a_slow_commit_takes_nothing_of_the_devices_time() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open", "timeout_ms": 100}));
    let (connection, mut delivery) = waiting(&mut bench);
    assert_eq!(delivery.not_after, Timestamp(1_100));
    bench.wait(5_000);
    assert_eq!(bench.state(id), CommandState::Sent, "its time does not run before it is sent");
    assert!(bench.commands.departs(bench.time(), connection, &mut delivery));
    bench.commands.written(id, 1);
    assert_eq!((delivery.not_after, delivery.timeout_ms.0), (Timestamp(6_100), 100));
    let command = bench.commands.get(id).unwrap().command.clone();
    assert_eq!(command.finish_by, Some(Timestamp(6_100)), "as the device is told");
    bench.wait(100);
    assert_eq!(bench.state(id), CommandState::TimedOut);
}

#[test]
fn a_quick_commit_leaves_everything_as_it_was_stored() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open", "timeout_ms": 100}));
    let (connection, mut delivery) = waiting(&mut bench);
    bench.commands.take_rows();
    bench.wait(10);
    assert!(bench.commands.departs(bench.time(), connection, &mut delivery));
    bench.commands.written(id, 1);
    assert_eq!(delivery.not_after, Timestamp(1_100));
    assert_eq!((bench.commands.take_rows(), bench.commands.take_effects()), (vec![], vec![]));
}

#[test]
fn what_the_store_keeps_too_late_has_expired_and_is_not_sent() {
    for (ttl, lasts) in [(4_000, 4_000), (0, 1_000)] {
        let mut bench = Bench::online();
        let request = json!({"name": "open", "ttl_ms": ttl, "timeout_ms": 100});
        let id = bench.create(request);
        let told = bench.commands.get(id).unwrap().clone();
        let (connection, mut delivery) = waiting(&mut bench);
        bench.wait(lasts - 1);
        assert_eq!(bench.state(id), CommandState::Sent);
        bench.wait(1);
        assert_eq!(bench.story(id), [CommandState::Queued, CommandState::Expired]);
        assert_eq!(bench.commands.get(id).unwrap().command.attempt, 0);
        assert!(!bench.commands.departs(bench.time(), connection, &mut delivery));
        assert!(bench.commands.was_taken_back(&told), "nobody is told that it was sent");
        assert_eq!(bench.commands.totals().figures.sent, 0);
    }
}

#[test]
fn what_is_acknowledged_before_it_is_sent_again_is_not_sent_again() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open"}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    let (connection, mut delivery) = waiting(&mut bench);
    bench.answer(id, json!({"status": "started"}));
    assert!(!bench.commands.departs(bench.time(), connection, &mut delivery));
}

#[test]
fn what_waits_for_its_commit_is_cancelled_at_once() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open"}));
    let next = bench.create(json!({"name": "close"}));
    let (connection, mut delivery) = waiting(&mut bench);
    let cancelled = bench.commands.cancel(bench.time(), id, "ada").unwrap();
    assert_eq!(cancelled.state, CommandState::Cancelled, "nobody has to be asked");
    assert!(!bench.commands.departs(bench.time(), connection, &mut delivery));
    assert_eq!(bench.sent(), [(FIRST, next, 1)]);
}

#[test]
fn what_its_receiver_never_took_has_expired_once_its_connection_gives_it_back() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open", "timeout_ms": 100}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    bench.commands.held_up(bench.time(), id, 1);
    for lasts in [100, 1_000] {
        bench.now += lasts;
        bench.commands.tick(bench.time());
        let [Effect::Recall { connection, command, attempt }] = bench.commands.take_effects()[..]
        else {
            panic!("its connection is asked, and again");
        };
        assert_eq!((connection, command, attempt), (FIRST, id, 1));
        assert_eq!(bench.state(id), CommandState::Sent, "it may have been written meanwhile");
    }
    bench.commands.given_back(bench.time(), id, 1);
    assert_eq!(bench.state(id), CommandState::Expired, "it certainly did not run");
}

#[test]
fn what_was_written_after_all_times_out() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open", "timeout_ms": 100}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    bench.commands.held_up(bench.time(), id, 1);
    bench.wait(150);
    bench.commands.written_after_all(bench.time(), id, 1);
    bench.commands.given_back(bench.time(), id, 1);
    bench.wait(0);
    assert_eq!(bench.state(id), CommandState::TimedOut, "it may have run");
}

/// What connections were asked to give back since the last look.
pub(super) fn recalled(bench: &mut Bench) -> Vec<(ConnectionId, CommandId, u32)> {
    let recalls = |effect| {
        let Effect::Recall { connection, command, attempt } = effect else { return None };
        Some((connection, command, attempt))
    };
    bench.commands.take_effects().into_iter().filter_map(recalls).collect()
}

/// A command whose first attempt was written, and whose second waits for the window of its next connection.
fn held_up_again(bench: &mut Bench) -> CommandId {
    let id = bench.create(json!({"name": "open", "timeout_ms": 100}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    assert_eq!(bench.sent(), [(SECOND, id, 2)]);
    bench.commands.held_up(bench.time(), id, 2);
    id
}

#[test]
fn nothing_is_an_answer_to_what_was_never_written() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open"}));
    let underway = |bench: &Bench| bench.commands.written_underway(&device()).count();
    assert_eq!(underway(&bench), 0, "it waits for its commit");
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    assert_eq!(underway(&bench), 1);
    bench.commands.held_up(bench.time(), id, 1);
    assert_eq!(underway(&bench), 0, "it waits for its receiver's window");
    bench.commands.written_after_all(bench.time(), id, 1);
    assert_eq!(underway(&bench), 1);
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    assert_eq!(underway(&bench), 1, "the first attempt may be answered while the next one waits");
}

#[test]
fn an_attempt_that_waits_is_taken_back_once_an_earlier_one_is_answered() {
    let to_the_first = json!({"status": "succeeded", "attempt": 1});
    for (answer, state) in [
        (to_the_first, CommandState::Succeeded),
        (json!({"status": "started"}), CommandState::Started),
    ] {
        let mut bench = Bench::online();
        let id = held_up_again(&mut bench);
        bench.answer(id, answer);
        assert_eq!(recalled(&mut bench), [(SECOND, id, 2)]);
        bench.wait(999);
        bench.now += 1;
        bench.commands.tick(bench.time());
        assert_eq!(recalled(&mut bench), [(SECOND, id, 2)], "until its connection has answered");
        let ended = if state.is_final() { state } else { CommandState::TimedOut };
        bench.commands.given_back(bench.time(), id, 2);
        assert_eq!((bench.state(id), bench.commands.next_deadline()), (ended, None));
    }
}

#[test]
fn an_attempt_that_waits_is_taken_back_when_the_time_of_an_earlier_one_is_over() {
    let mut bench = Bench::online();
    let id = held_up_again(&mut bench);
    bench.now += 100;
    bench.commands.tick(bench.time());
    assert_eq!(bench.state(id), CommandState::TimedOut, "the first attempt may have run");
    assert_eq!(recalled(&mut bench), [(SECOND, id, 2)]);
    bench.commands.given_back(bench.time(), id, 2);
    assert_eq!((bench.state(id), bench.commands.next_deadline()), (CommandState::TimedOut, None));
}

#[test]
fn what_ended_before_its_connection_says_that_it_waits_is_taken_back_too() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open"}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    bench.answer(id, json!({"status": "succeeded"}));
    bench.commit();
    bench.commands.held_up(bench.time(), id, 1);
    assert_eq!(recalled(&mut bench), [(FIRST, id, 1)]);
    bench.commands.written_after_all(bench.time(), id, 1);
    assert_eq!(bench.commands.next_deadline(), None, "it came too late");
}
