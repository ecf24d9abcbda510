//! Batches, as section 5 of the contract says.

use super::*;
use protocol::{Batch, BatchRequest, BatchState};

pub(super) fn devices(count: usize) -> Vec<DeviceId> {
    (0..count).map(|n| format!("d{n}").parse().unwrap()).collect()
}

pub(super) fn start(bench: &mut Bench, count: usize, request: serde_json::Value) -> Batch {
    try_start(bench, count, request, None).unwrap()
}

pub(super) fn try_start(
    bench: &mut Bench,
    count: usize,
    request: serde_json::Value,
    key: Option<&str>,
) -> Result<Batch, CreateError> {
    let request: BatchRequest = serde_json::from_value(request).unwrap();
    let caller = Caller { user: "ada", key };
    let caller = match bench.commands.batch_asked_before(&request, caller)? {
        Asked::Before(known) => return Ok(known),
        Asked::FirstTime(caller) => caller,
    };
    let mut next = bench.created;
    let mut ids = || {
        next += 1;
        CommandId::from_u128(next)
    };
    let (now, id) = (bench.time(), format!("batch-{}", bench.created));
    let made = bench.commands.create_batch(now, id, devices(count), &mut ids, request, caller);
    bench.created = next;
    made
}

pub(super) fn all_receive(bench: &mut Bench, count: usize) {
    for device in devices(count) {
        bench.commands.receives(bench.time(), &device, FIRST, true, true);
    }
}

fn answer_all(bench: &mut Bench, status: &str) {
    let sent: Vec<_> = bench.sent().into_iter().map(|(_, id, _)| id).collect();
    for id in sent {
        let device = bench.commands.get(id).unwrap().command.device.clone();
        let answer = serde_json::from_value(json!({"status": status})).unwrap();
        bench.commands.answer(bench.time(), &device, id, &answer);
    }
}

pub(super) fn counts(bench: &Bench, id: &str) -> serde_json::Value {
    serde_json::to_value(&bench.commands.batch(id).unwrap().counts).unwrap()
}

pub(super) fn state(bench: &Bench, id: &str) -> BatchState {
    bench.commands.batch(id).unwrap().state
}

#[test]
fn a_batch_has_a_row_a_device_and_is_done_when_all_have_ended() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 3);
    let batch = start(&mut bench, 3, json!({"command": {"name": "a"}}));
    assert_eq!((batch.total, batch.state), (3, BatchState::Running));
    assert_eq!(counts(&bench, &batch.id), json!({"sent": 3}));
    answer_all(&mut bench, "succeeded");
    assert_eq!(counts(&bench, &batch.id), json!({"succeeded": 3}));
    assert_eq!(state(&bench, &batch.id), BatchState::Done);
}

#[test]
fn at_most_so_many_rows_are_begun_at_a_time() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 5);
    let batch = start(&mut bench, 5, json!({"command": {"name": "a"}, "concurrency": 2}));
    assert_eq!(counts(&bench, &batch.id), json!({"queued": 3, "sent": 2}));
    answer_all(&mut bench, "failed");
    assert_eq!(counts(&bench, &batch.id), json!({"failed": 2, "queued": 1, "sent": 2}));
}

#[test]
fn a_rate_spreads_the_rows_over_time() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 4);
    let batch = start(&mut bench, 4, json!({"command": {"name": "a"}, "rate": 2}));
    for expected in [1, 2, 3, 4] {
        assert_eq!(counts(&bench, &batch.id)["sent"], json!(expected));
        let next = bench.commands.next_deadline().unwrap();
        bench.wait(next.0 - bench.now);
        if expected < 4 {
            assert_eq!(bench.now, 1_000 + 500 * expected);
        }
    }
}

#[test]
fn who_resumes_a_batch_brings_no_row_forward() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 4);
    let batch = start(&mut bench, 4, json!({"command": {"name": "a"}, "rate": 2}));
    for _ in 0..3 {
        let now = bench.time();
        bench.commands.pause_batch(now, &batch.id).unwrap();
        bench.commands.resume_batch(now, &batch.id).unwrap();
        bench.commands.resume_batch(now, &batch.id).unwrap();
    }
    assert_eq!(counts(&bench, &batch.id), json!({"queued": 3, "sent": 1}));
    bench.wait(500);
    assert_eq!(counts(&bench, &batch.id), json!({"queued": 2, "sent": 2}));
}

#[test]
fn too_many_failures_give_the_rest_up() {
    for abort_after in [json!({"failures": 2}), json!({"percent": 40})] {
        let mut bench = Bench::new();
        all_receive(&mut bench, 5);
        let request =
            json!({"command": {"name": "a"}, "concurrency": 1, "abort_after": abort_after});
        let batch = start(&mut bench, 5, request);
        answer_all(&mut bench, "rejected");
        assert_eq!(state(&bench, &batch.id), BatchState::Running);
        answer_all(&mut bench, "failed");
        assert_eq!(state(&bench, &batch.id), BatchState::Aborted);
        let rest = json!({"cancelled": 3, "failed": 1, "rejected": 1});
        assert_eq!(counts(&bench, &batch.id), rest);
        assert_eq!(bench.sent(), []);
    }
}

#[test]
fn a_paused_batch_begins_no_rows_until_it_is_resumed() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 3);
    let batch =
        start(&mut bench, 3, json!({"command": {"name": "a", "ttl_ms": 50}, "concurrency": 1}));
    let now = bench.time();
    assert_eq!(bench.commands.pause_batch(now, &batch.id).unwrap().state, BatchState::Paused);
    answer_all(&mut bench, "succeeded");
    bench.wait(1_000);
    assert_eq!(counts(&bench, &batch.id), json!({"queued": 2, "succeeded": 1}), "no time runs");
    let now = bench.time();
    assert_eq!(bench.commands.resume_batch(now, &batch.id).unwrap().state, BatchState::Running);
    assert_eq!(counts(&bench, &batch.id), json!({"queued": 1, "sent": 1, "succeeded": 1}));
}

#[test]
fn cancelling_a_batch_lets_what_was_sent_go_on() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 3);
    let batch = start(&mut bench, 3, json!({"command": {"name": "a"}, "concurrency": 1}));
    let now = bench.time();
    let cancelled = bench.commands.cancel_batch(now, &batch.id, "ada").unwrap();
    assert_eq!(cancelled.state, BatchState::Cancelled);
    assert_eq!(counts(&bench, &batch.id), json!({"cancelled": 2, "sent": 1}));
    answer_all(&mut bench, "succeeded");
    assert_eq!(counts(&bench, &batch.id), json!({"cancelled": 2, "succeeded": 1}));
    let now = bench.time();
    let again = bench.commands.cancel_batch(now, &batch.id, "ada");
    assert_eq!(again, Err(BatchError::AlreadyFinal(batch.id.clone(), BatchState::Cancelled)));
}

#[test]
fn a_thousand_rows_that_expire_at_once_end_the_batch() {
    let mut bench = Bench::new();
    bench.commands.limits.batch_devices = 1_000;
    bench.commands.limits.ended_kept = 1_000;
    let request = json!({"command": {"name": "a", "ttl_ms": 0}, "concurrency": 1});
    let batch = start(&mut bench, 1_000, request);
    assert_eq!(counts(&bench, &batch.id), json!({"expired": 1_000}));
    assert_eq!(state(&bench, &batch.id), BatchState::Done);
}

#[test]
fn a_batch_goes_on_after_a_restart() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 3);
    let batch = start(&mut bench, 3, json!({"command": {"name": "a"}, "concurrency": 1}));
    answer_all(&mut bench, "succeeded");
    bench.sent();
    let limits = bench.commands.limits;
    let rows = bench.commands.take_rows();
    let rows = rows.iter().map(|row| (row.kind, &*row.key, row.body.as_deref().unwrap()));
    let kept = read_back(rows);
    let told = bench.commands.batch(&batch.id).unwrap().clone();
    for (told, again) in [(None, true), (Some(told), false)] {
        bench.commands = Commands::new(limits);
        let told = told.into_iter().map(|batch| (batch.id.clone(), batch)).collect();
        let mut kept = kept.clone();
        kept.told = told;
        bench.commands.restore(bench.time(), kept, |_| {});
        let is_told = |effect: &Effect| matches!(effect, Effect::BatchChanged(_));
        assert_eq!(bench.commands.take_effects().iter().any(is_told), again);
    }
    assert_eq!(counts(&bench, &batch.id), json!({"queued": 1, "sent": 1, "succeeded": 1}));
    all_receive(&mut bench, 3);
    answer_all(&mut bench, "succeeded");
    answer_all(&mut bench, "succeeded");
    assert_eq!(state(&bench, &batch.id), BatchState::Done);
}

#[test]
fn a_batch_that_was_not_stored_never_was() {
    let mut bench = Bench::new();
    all_receive(&mut bench, 3);
    let batch = start(&mut bench, 3, json!({"command": {"name": "a"}}));
    let effects = bench.commands.take_effects();
    let left = bench.commands.not_stored(bench.time(), effects);
    assert_eq!((left, bench.commands.open_count()), (vec![], 0));
    assert!(bench.commands.batch(&batch.id).is_none());
    bench.commands.stored(bench.time());
    assert_eq!(bench.sent(), []);
}

#[test]
fn what_a_batch_cannot_be_is_refused_by_name() {
    let mut bench = Bench::new();
    for (count, request, named) in [
        (0, json!({"command": {"name": "a"}}), "no device"),
        (101, json!({"command": {"name": "a"}}), "limits.batch_devices"),
        (1, json!({"command": {"name": ""}}), "name"),
        (1, json!({"command": {"name": "a"}, "concurrency": 0}), "concurrency 0"),
        (1, json!({"command": {"name": "a"}, "rate": 0.0}), "rate 0"),
        (1, json!({"command": {"name": "a"}, "abort_after": {"percent": 101.0}}), "percent 101"),
        (1, json!({"command": {"name": "a"}, "abort_after": {"failures": 0}}), "failures 0"),
    ] {
        let refused = try_start(&mut bench, count, request, None).unwrap_err().to_string();
        assert!(refused.contains(named), "{refused}");
    }
    for _ in 0..3 {
        start(&mut bench, 1, json!({"command": {"name": "a"}}));
    }
    let refused = try_start(&mut bench, 1, json!({"command": {"name": "a"}}), None);
    assert_eq!(refused, Err(CreateError::TooManyBatches(3)));
}

#[test]
fn the_same_key_gives_the_same_batch() {
    let mut bench = Bench::new();
    let request = json!({"command": {"name": "a"}});
    let first = try_start(&mut bench, 2, request.clone(), Some("k")).unwrap();
    assert_eq!(try_start(&mut bench, 2, request, Some("k")).unwrap().id, first.id);
    let other = try_start(&mut bench, 2, json!({"command": {"name": "b"}}), Some("k"));
    assert_eq!(other, Err(CreateError::KeyReused("k".into())));
}

#[test]
fn a_row_that_is_scheduled_keeps_its_place_and_one_that_is_queued_loses_it_to_a_newer_one() {
    let mut bench = Bench::new();
    let start_row = |bench: &mut Bench, not_before: u64| {
        let command = json!({"name": "a", "supersede": "k", "not_before": not_before});
        let batch = json!({"devices": ["d0"], "command": command, "concurrency": 1});
        let batch = start(bench, 1, batch);
        bench.commands.list(None).find(|row| row.batch.as_ref() == Some(&batch.id)).unwrap().id
    };
    let scheduled = start_row(&mut bench, 3_000);
    let queued = start_row(&mut bench, 0);
    use CommandState as S;
    assert_eq!([scheduled, queued].map(|id| bench.state(id)), [S::Scheduled, S::Queued]);
    let newer = start_row(&mut bench, 0);
    let states = [scheduled, queued, newer].map(|id| bench.state(id));
    assert_eq!(states, [S::Scheduled, S::Superseded, S::Queued]);
}
