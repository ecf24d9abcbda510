//! Between the decision to send and the sending: the commit, which may take its time.

use super::*;

/// The newest delivery that waits for its commit, and where it goes.
fn waiting(bench: &mut Bench) -> (ConnectionId, Delivery) {
    let send = |effect| match effect {
        Effect::Send { connection, delivery, .. } => Some((connection, *delivery)),
        Effect::Created(..)
        | Effect::Changed(..)
        | Effect::BatchChanged(_)
        | Effect::AskCancel { .. }
        | Effect::Recall { .. }
        | Effect::AlertChanged(..)
        | Effect::Forget(_) => None,
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
    bench.commands.held_up(id, 1);
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
    bench.commands.held_up(id, 1);
    bench.wait(150);
    bench.commands.written(id, 1);
    bench.commands.given_back(bench.time(), id, 1);
    bench.wait(0);
    assert_eq!(bench.state(id), CommandState::TimedOut, "it may have run");
}
