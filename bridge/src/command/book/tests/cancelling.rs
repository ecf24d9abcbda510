//! What becomes of a command that somebody wants back.

use super::*;

#[test]
fn cancelling_is_immediate_before_sending_and_asks_the_device_after() {
    let mut bench = Bench::online();
    let running = bench.create(json!({"name": "a"}));
    let waiting = bench.create(json!({"name": "b"}));
    bench.commit();
    let cancel = |bench: &mut Bench, id| bench.commands.cancel(bench.time(), id, "ada");
    assert_eq!(cancel(&mut bench, waiting).unwrap().state, CommandState::Cancelled);
    assert_eq!(cancel(&mut bench, running).unwrap().state, CommandState::Cancelling);
    let asked =
        bench.commands.take_effects().into_iter().any(
            |effect| matches!(effect, Effect::AskCancel { command, .. } if command == running),
        );
    assert!(asked);
    bench.answer(running, json!({"status": "not_cancelled"}));
    assert_eq!(bench.state(running), CommandState::Sent);
    assert_eq!(
        cancel(&mut bench, waiting),
        Err(CancelError::AlreadyFinal(waiting, CommandState::Cancelled))
    );
}

#[test]
fn a_command_that_is_not_given_up_goes_back_to_the_stage_that_it_reached_meanwhile() {
    let mut bench = Bench::online();
    for (says, stage) in [(None, CommandState::Delivered), (Some("started"), CommandState::Started)]
    {
        let id = bench.create(json!({"name": "open"}));
        bench.commit();
        bench.commands.cancel(bench.time(), id, "ada").unwrap();
        bench.acknowledge(id, 1);
        if let Some(status) = says {
            bench.answer(id, json!({"status": status}));
        }
        assert_eq!(bench.state(id), CommandState::Cancelling);
        bench.answer(id, json!({"status": "not_cancelled"}));
        assert_eq!(bench.state(id), stage);
        bench.answer(id, json!({"status": "succeeded"}));
    }
}

#[test]
fn progress_renews_the_time_of_a_command_that_somebody_wants_back_too() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a", "timeout_ms": 100, "progress_extends": true}));
    bench.commit();
    bench.answer(id, json!({"status": "started"}));
    bench.commands.cancel(bench.time(), id, "ada").unwrap();
    for progress in [10, 20] {
        bench.wait(80);
        bench.answer(id, json!({"status": "progress", "progress": progress}));
    }
    assert_eq!(bench.state(id), CommandState::Cancelling);
    bench.wait(100);
    assert_eq!(bench.state(id), CommandState::TimedOut);
}

#[test]
fn a_device_that_comes_back_is_asked_again_to_give_a_command_up() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open"}));
    bench.acknowledge(id, 1);
    bench.commands.cancel(bench.time(), id, "ada").unwrap();
    let asked = |bench: &mut Bench| {
        let asks = |effect| {
            let Effect::AskCancel { connection, .. } = effect else { return None };
            Some(connection)
        };
        bench.commands.take_effects().into_iter().filter_map(asks).collect::<Vec<_>>()
    };
    assert_eq!(asked(&mut bench), [FIRST]);
    bench.receives(FIRST, true);
    assert_eq!(asked(&mut bench), [], "it was asked already");
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    assert_eq!(asked(&mut bench), [SECOND]);
    bench.answer(id, json!({"status": "not_cancelled"}));
    bench.commands.cancel(bench.time(), id, "ada").unwrap();
    assert_eq!(asked(&mut bench), [SECOND]);
}

#[test]
fn a_device_that_does_not_listen_cannot_cancel() {
    let mut bench = Bench::new();
    bench.commands.receives(bench.time(), &device(), FIRST, true, false);
    let id = bench.create(json!({"name": "a"}));
    bench.commit();
    let refused = bench.commands.cancel(bench.time(), id, "ada");
    assert_eq!(refused, Err(CancelError::DeviceCannotCancel(id)));
}
