mod answering;
mod batches;
mod cancelling;
mod creating;
mod departing;
mod expecting;
mod keeping;
mod late;
mod pausing;
mod taking_back;

use super::*;
use protocol::{Answer, AnswerStatus, Status};
use serde_json::json;

const FIRST: ConnectionId = ConnectionId(1);
const SECOND: ConnectionId = ConnectionId(2);

/// A book with one device `d`, and a hand on its clock.
struct Bench {
    commands: Commands,
    now: i64,
    created: u128,
    /// What was sent since the last look.
    sent: Vec<(ConnectionId, CommandId, u32)>,
}

impl Bench {
    fn new() -> Self {
        let limits = CommandLimits {
            open_per_device: 3,
            ended_kept: 2,
            params_bytes: 1_000,
            result_bytes: 100,
            batch_devices: 100,
            batches_open: 3,
            batches_kept: 2,
        };
        Self { commands: Commands::new(limits), now: 1_000, created: 0, sent: Vec::new() }
    }

    fn online() -> Self {
        let mut bench = Self::new();
        bench.receives(FIRST, true);
        bench
    }

    fn time(&self) -> Timestamp {
        Timestamp(self.now)
    }

    fn receives(&mut self, connection: ConnectionId, own: bool) {
        self.commit();
        self.commands.receives(self.time(), &device(), connection, own, true);
    }

    fn loses(&mut self, connection: ConnectionId) {
        self.commit();
        self.commands.receives_not(self.time(), &device(), connection);
    }

    fn create(&mut self, request: serde_json::Value) -> CommandId {
        self.try_create(request).expect("the requests of these tests are valid")
    }

    fn try_create(&mut self, request: serde_json::Value) -> Result<CommandId, CreateError> {
        self.try_create_with_key(request, None)
    }

    fn try_create_with_key(
        &mut self,
        request: serde_json::Value,
        key: Option<&str>,
    ) -> Result<CommandId, CreateError> {
        let request = serde_json::from_value(request).unwrap();
        let caller = Caller { user: "ada", key };
        let caller = match self.commands.asked_before(&device(), &request, caller)? {
            Asked::Before(known) => return Ok(known.id),
            Asked::FirstTime(caller) => caller,
        };
        self.created += 1;
        let id = CommandId::from_u128(self.created);
        let created = self.commands.create(self.time(), id, &device(), request, vec![], caller);
        created.map(|command| command.id)
    }

    fn answer(&mut self, id: CommandId, answer: serde_json::Value) {
        self.commit();
        let answer = serde_json::from_value(answer).unwrap();
        assert!(self.commands.answer(self.time(), &device(), id, &answer));
    }

    fn acknowledge(&mut self, id: CommandId, attempt: u32) {
        self.commit();
        self.commands.delivered(self.time(), id, attempt, None);
    }

    fn wait(&mut self, ms: i64) {
        self.commit();
        self.now += ms;
        self.commands.tick(self.time());
    }

    fn state(&self, id: CommandId) -> CommandState {
        self.commands.get(id).expect("kept").command.state
    }

    /// Where and what was sent since the last call.
    fn sent(&mut self) -> Vec<(ConnectionId, CommandId, u32)> {
        self.commit();
        std::mem::take(&mut self.sent)
    }

    /// What changed is stored, and what is to be sent is sent.
    fn commit(&mut self) {
        for effect in self.commands.take_effects() {
            if let Effect::Send { connection, mut delivery, .. } = effect
                && self.commands.departs(self.time(), connection, &mut delivery)
            {
                self.commands.written(delivery.id, delivery.attempt);
                self.sent.push((connection, delivery.id, delivery.attempt));
            }
        }
    }

    fn story(&self, id: CommandId) -> Vec<CommandState> {
        let details = self.commands.get(id).expect("kept");
        details.transitions.iter().map(|transition| transition.state).collect()
    }
}

fn device() -> DeviceId {
    "d".parse().unwrap()
}

#[test]
fn a_command_goes_through_all_its_stages() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "open"}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
    bench.acknowledge(id, 1);
    bench.answer(id, json!({"status": "started"}));
    bench.answer(id, json!({"status": "progress", "progress": 40}));
    assert_eq!(bench.commands.get(id).unwrap().command.progress, Some(40.0));
    bench.answer(id, json!({"status": "executed", "result": {"ok": true}}));
    assert_eq!(bench.commands.get(id).unwrap().command.result, Some(json!({"ok": true})));
    use CommandState as S;
    assert_eq!(bench.story(id), [S::Queued, S::Sent, S::Delivered, S::Started, S::Succeeded]);
    assert_eq!(bench.commands.next_deadline(), None);
}

#[test]
fn what_changed_is_stored_before_it_is_sent() {
    let mut bench = Bench::online();
    bench.create(json!({"name": "open"}));
    let kinds: Vec<_> = bench
        .commands
        .take_effects()
        .into_iter()
        .map(|effect| match effect {
            Effect::Created(_, details) | Effect::Changed(_, details) => {
                details.command.state.name()
            }
            Effect::Send { .. } => "send",
            Effect::AskCancel { .. } => "ask",
            Effect::BatchChanged(_) => "batch",
            Effect::Recall { .. } => "recall",
            Effect::AlertChanged(..) => "alert",
            Effect::Forget(_) => "forget",
        })
        .collect();
    assert_eq!(kinds, ["queued", "sent", "send"]);
}

#[test]
fn an_offline_device_gets_its_commands_when_it_comes_one_after_the_other() {
    let mut bench = Bench::new();
    let first = bench.create(json!({"name": "a"}));
    let second = bench.create(json!({"name": "b"}));
    let urgent = bench.create(json!({"name": "c", "priority": 5}));
    assert_eq!(bench.sent(), []);
    bench.receives(FIRST, true);
    assert_eq!(bench.sent(), [(FIRST, urgent, 1)]);
    bench.answer(urgent, json!({"status": "failed"}));
    assert_eq!(bench.sent(), [(FIRST, first, 1)]);
    bench.answer(first, json!({"status": "succeeded"}));
    assert_eq!(bench.sent(), [(FIRST, second, 1)]);
}

#[test]
fn a_command_that_was_never_sent_expires() {
    let mut bench = Bench::new();
    let id = bench.create(json!({"name": "a", "ttl_ms": 500}));
    bench.wait(499);
    assert_eq!(bench.state(id), CommandState::Queued);
    bench.wait(1);
    assert_eq!(bench.state(id), CommandState::Expired);
    bench.receives(FIRST, true);
    assert_eq!(bench.sent(), []);
}

#[test]
fn without_a_ttl_it_is_now_or_never() {
    let mut bench = Bench::new();
    let id = bench.create(json!({"name": "a", "ttl_ms": 0}));
    assert_eq!(bench.state(id), CommandState::Expired);
    bench.receives(FIRST, true);
    let now = bench.create(json!({"name": "a", "ttl_ms": 0}));
    assert_eq!(bench.state(now), CommandState::Sent);
}

#[test]
fn no_answer_times_out_and_a_late_one_settles_it_once() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a", "timeout_ms": 100}));
    bench.wait(100);
    assert_eq!(bench.state(id), CommandState::TimedOut);
    bench.answer(id, json!({"status": "failed", "error": {"code": "jam", "message": "stuck"}}));
    let command = bench.commands.get(id).unwrap().command.clone();
    assert_eq!((command.state, command.late), (CommandState::Failed, true));
    bench.answer(id, json!({"status": "succeeded"}));
    assert_eq!(bench.state(id), CommandState::Failed);
}

#[test]
fn an_unacknowledged_command_is_sent_again_to_the_next_connection() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a"}));
    bench.loses(FIRST);
    bench.receives(SECOND, true);
    assert_eq!(bench.sent(), [(FIRST, id, 1), (SECOND, id, 2)]);
    bench.acknowledge(id, 1);
    assert_eq!(bench.state(id), CommandState::Sent, "the PUBACK was for an older attempt");
}

#[test]
fn an_acknowledged_command_is_sent_again_only_if_that_does_no_harm() {
    for (idempotent, again) in [(false, 0), (true, 1)] {
        let mut bench = Bench::online();
        let id = bench.create(json!({"name": "a", "idempotent": idempotent}));
        bench.acknowledge(id, 1);
        bench.sent();
        bench.loses(FIRST);
        bench.receives(SECOND, true);
        assert_eq!(bench.sent().len(), again);
    }
}

#[test]
fn the_time_to_finish_runs_from_the_first_sending() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a", "timeout_ms": 100}));
    bench.loses(FIRST);
    bench.wait(60);
    bench.receives(SECOND, true);
    bench.wait(40);
    assert_eq!(bench.state(id), CommandState::TimedOut);
}

#[test]
fn progress_renews_the_time_only_where_that_was_asked_for() {
    for (extends, end) in [(true, CommandState::Started), (false, CommandState::TimedOut)] {
        let mut bench = Bench::online();
        let id = bench.create(json!({"name": "a", "timeout_ms": 100, "progress_extends": extends}));
        bench.wait(80);
        bench.answer(id, json!({"status": "progress", "progress": 10}));
        bench.wait(80);
        assert_eq!(bench.state(id), end);
    }
}

#[test]
fn the_devices_own_connection_is_preferred() {
    let mut bench = Bench::new();
    bench.receives(SECOND, false);
    bench.receives(FIRST, true);
    let id = bench.create(json!({"name": "a"}));
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
}

#[test]
fn a_scheduled_command_waits_for_its_time() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a", "not_before": 3_000, "ttl_ms": 0}));
    bench.wait(1_999);
    assert_eq!(bench.state(id), CommandState::Scheduled);
    bench.wait(1);
    assert_eq!(bench.sent(), [(FIRST, id, 1)]);
}

#[test]
fn of_scheduled_commands_that_are_due_at_once_the_highest_goes_first() {
    let mut bench = Bench::online();
    let due =
        |priority| json!({"name": "open", "not_before": 2_000, "ttl_ms": 0, "priority": priority});
    let low = bench.create(due(0));
    let high = bench.create(due(5));
    bench.wait(1_000);
    assert_eq!(bench.sent(), [(FIRST, high, 1)]);
    assert_eq!(bench.state(low), CommandState::Expired);
}

#[test]
fn a_newer_command_takes_the_place_of_a_queued_one() {
    let mut bench = Bench::new();
    let old = bench.create(json!({"name": "set", "supersede": "target"}));
    let other = bench.create(json!({"name": "set", "supersede": "mode"}));
    let new = bench.create(json!({"name": "set", "supersede": "target"}));
    let states = [old, other, new].map(|id| bench.state(id));
    use CommandState as S;
    assert_eq!(states, [S::Superseded, S::Queued, S::Queued]);
}

#[test]
fn a_scheduled_command_neither_takes_nor_loses_a_place_before_its_time() {
    let mut bench = Bench::new();
    let request = |not_before| json!({"name": "a", "supersede": "k", "not_before": not_before});
    let first = bench.create(request(0));
    let scheduled = bench.create(request(3_000));
    use CommandState as S;
    assert_eq!([first, scheduled].map(|id| bench.state(id)), [S::Queued, S::Scheduled]);
    let second = bench.create(request(0));
    let states = |bench: &Bench| [first, scheduled, second].map(|id| bench.state(id));
    assert_eq!(states(&bench), [S::Superseded, S::Scheduled, S::Queued]);
    bench.wait(2_000);
    assert_eq!(states(&bench), [S::Superseded, S::Queued, S::Superseded]);
    bench.receives(FIRST, true);
    assert_eq!(bench.sent(), [(FIRST, scheduled, 1)]);
}

#[test]
fn an_answer_of_another_device_counts_nothing() {
    let mut bench = Bench::online();
    let id = bench.create(json!({"name": "a"}));
    let answer = Answer {
        status: AnswerStatus::Succeeded,
        attempt: None,
        progress: None,
        result: None,
        error: None,
    };
    let other = "e".parse().unwrap();
    assert!(!bench.commands.answer(bench.time(), &other, id, &answer));
    assert_eq!(bench.state(id), CommandState::Sent);
}

/// Arrays in arrays, so many levels of them.
fn nested(levels: usize) -> serde_json::Value {
    (0..levels).fold(json!(0), |inner, _| json!([inner]))
}

/// What a restart finds of these rows.
fn read_back<'a>(rows: impl Iterator<Item = (RowKind, &'a str, &'a str)>) -> Kept {
    let (mut commands, mut batches) = (Vec::new(), Vec::new());
    for (kind, key, body) in rows {
        let body = body.as_bytes();
        match kind {
            RowKind::Command => commands.push(KeptCommand::read(body).expect("it reads back")),
            RowKind::Batch => batches.push(KeptBatch::read(key, body).expect("it reads back")),
        }
    }
    Kept::of(commands, batches)
}
