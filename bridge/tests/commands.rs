//! Model checking of one command's life: every order of PUBACKs, answers, disconnects, timers, cancels, full windows,
//! restarts, slow commits and crashes before a commit, exhaustively to a depth of [`DEPTH`] and by seed beyond.
//!
//! The store is modelled too: rows count from their commit on, and what is to be sent is sent only then. A
//! crash before a commit loses both; a slow one comes together with a later one. After each step the rules of docs/protocol.md, section 4, must hold.

use bridge::{
    command::book::{
        Asked, Caller, CommandLimits, Commands, Effect, Kept, KeptCommand, Row, RowKind,
    },
    event::ConnectionId,
};
use protocol::{Answer, AnswerStatus, CommandId, CommandState, Delivery, DeviceId, Timestamp};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::HashMap;

/// Every sequence of so many steps is played; tests/run plays the longer ones.
const DEPTH: u32 = if cfg!(debug_assertions) { 3 } else { 5 };
/// How long the sequences are that are drawn by seed.
const LONG: usize = 40;
/// How many of them, unless `SEEDS` says.
const SEEDS: u64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    Disconnect,
    Puback,
    Old(AnswerStatus),
    New(AnswerStatus),
    Wait,
    Cancel,
    /// The device acknowledges no more, and what comes for it waits in its connection.
    Shut,
    /// It acknowledged what it had: what waits is written.
    Open,
    Restart,
}

/// What becomes of what a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    /// It is stored, with all that waited.
    Now,
    /// It is stored some steps later.
    Later,
    /// The gateway dies first.
    Never,
}

/// Each step, and what becomes of what it did.
fn steps() -> Vec<(Step, Commit)> {
    use AnswerStatus as A;
    let alone = [
        Step::Connect,
        Step::Disconnect,
        Step::Puback,
        Step::Old(A::Succeeded),
        Step::Old(A::Progress),
        Step::New(A::Started),
        Step::New(A::Succeeded),
        Step::New(A::Failed),
        Step::New(A::Cancelled),
        Step::New(A::NotCancelled),
        Step::Wait,
        Step::Cancel,
        Step::Shut,
        Step::Open,
        Step::Restart,
    ];
    let crashes = [Step::Connect, Step::Puback, Step::New(A::Succeeded), Step::Wait, Step::Cancel];
    let slow = [Step::Connect, Step::Wait];
    let with = |commit| move |step| (step, commit);
    let now = alone.into_iter().map(with(Commit::Now));
    let never = crashes.into_iter().map(with(Commit::Never));
    now.chain(never).chain(slow.into_iter().map(with(Commit::Later))).collect()
}

struct World {
    commands: Commands,
    rows: HashMap<(RowKind, String), String>,
    /// What waits for a commit that is slow.
    pending: Vec<Effect>,
    pending_rows: Vec<Row>,
    now: i64,
    connection: Option<ConnectionId>,
    connections: u64,
    idempotent: bool,
    /// Attempts that reached the device.
    arrived: u32,
    /// The newest of them on this connection.
    here: Option<u32>,
    is_shut: bool,
    /// The attempt that waits in this connection.
    held_up: Option<u32>,
    /// An attempt waited so, on whichever connection.
    ever_held_up: bool,
    /// An attempt was written to a connection that had just gone, or nobody knows any more whether it was.
    went_nowhere: bool,
    /// The device has it, and the gateway has stored that.
    has_it: bool,
    last: CommandState,
}

const ID: CommandId = CommandId::from_u128(7);

fn device() -> DeviceId {
    "d".parse().expect("a device id")
}

fn limits() -> CommandLimits {
    CommandLimits {
        open_per_device: 10,
        ended_kept: 10,
        params_bytes: 100,
        result_bytes: 100,
        batch_devices: 10,
        batches_open: 10,
        batches_kept: 10,
    }
}

impl World {
    fn new(idempotent: bool) -> Self {
        let mut commands = Commands::new(limits());
        let request = serde_json::json!({
            "name": "open", "ttl_ms": 90, "timeout_ms": 100, "idempotent": idempotent,
        });
        let request = serde_json::from_value(request).expect("a request");
        let caller = Caller { user: "ada", key: None };
        let asked = commands.asked_before(&device(), &request, caller).expect("without a key");
        let Asked::FirstTime(caller) = asked else { panic!("nobody asked before") };
        let created = commands.create(Timestamp(1_000), ID, &device(), request, vec![], caller);
        let mut world = Self {
            commands,
            rows: HashMap::new(),
            pending: Vec::new(),
            pending_rows: Vec::new(),
            now: 1_000,
            connection: None,
            connections: 0,
            idempotent,
            arrived: 0,
            here: None,
            is_shut: false,
            held_up: None,
            ever_held_up: false,
            went_nowhere: false,
            has_it: false,
            last: created.expect("it is valid").state,
        };
        world.commit();
        world
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now)
    }

    fn play(&mut self, step: Step, commit: Commit) {
        let had_it = self.has_it;
        self.act(step);
        self.take_changes();
        match commit {
            Commit::Now => self.commit(),
            Commit::Later => {}
            Commit::Never => {
                self.has_it = had_it;
                self.restart();
            }
        }
        self.check();
    }

    fn act(&mut self, step: Step) {
        let now = self.now();
        match step {
            Step::Connect if self.connection.is_none() => {
                self.connections += 1;
                let connection = ConnectionId(self.connections);
                self.connection = Some(connection);
                self.commands.receives(now, &device(), connection, true, true);
            }
            Step::Disconnect => {
                (self.here, self.held_up) = (None, None);
                if let Some(connection) = self.connection.take() {
                    self.commands.receives_not(now, &device(), connection);
                }
            }
            Step::Puback => {
                if let Some(attempt) = self.here {
                    self.has_it |= attempt == self.attempt();
                    self.commands.delivered(now, ID, attempt, None);
                }
            }
            Step::Old(status) if self.arrived > 1 => self.answer(status, Some(1)),
            // Without a number an answer counts for the newest attempt.
            Step::New(status) if self.arrived > 0 => {
                self.has_it = true;
                self.answer(status, None);
            }
            Step::Wait => {
                self.now += 60;
                self.commands.tick(self.now());
            }
            Step::Cancel => {
                let _refused_where_it_must_be = self.commands.cancel(now, ID, "ada");
            }
            Step::Shut => self.is_shut = true,
            Step::Open => {
                self.is_shut = false;
                if let Some(attempt) = self.held_up.take() {
                    assert!(
                        !self.last.is_final() || !self.pending.is_empty(),
                        "written though it ended"
                    );
                    self.arrive(attempt);
                    self.commands.written_after_all(now, ID, attempt);
                }
            }
            Step::Restart => self.restart(),
            Step::Connect | Step::Old(_) | Step::New(_) => {}
        }
    }

    fn answer(&mut self, status: AnswerStatus, attempt: Option<u32>) {
        let (progress, result, error) = (None, None, None);
        let answer = Answer { status, attempt, progress, result, error };
        assert!(self.commands.answer(self.now(), &device(), ID, &answer), "it is lost");
    }

    fn attempt(&self) -> u32 {
        self.commands.get(ID).expect("no command is lost").command.attempt
    }

    /// What changed is stored; then what is to be sent is sent, and what comes of that is stored too.
    fn commit(&mut self) {
        self.take_changes();
        while !self.pending_rows.is_empty() || !self.pending.is_empty() {
            self.commit_once();
            self.take_changes();
        }
    }

    fn take_changes(&mut self) {
        self.pending_rows.extend(self.commands.take_rows());
        self.pending.extend(self.commands.take_effects());
    }

    fn commit_once(&mut self) {
        for row in std::mem::take(&mut self.pending_rows) {
            match row.body {
                Some(body) => drop(self.rows.insert((row.kind, row.key), body)),
                None => drop(self.rows.remove(&(row.kind, row.key))),
            }
        }
        for effect in std::mem::take(&mut self.pending) {
            match effect {
                Effect::Send { connection, delivery, .. } => self.send(connection, *delivery),
                Effect::Recall { connection, attempt, .. } => self.recall(connection, attempt),
                Effect::Created(..)
                | Effect::Changed(..)
                | Effect::BatchChanged(_)
                | Effect::AskCancel { .. }
                | Effect::AlertChanged(..)
                | Effect::Forget(_) => {}
            }
        }
    }

    fn send(&mut self, connection: ConnectionId, mut delivery: Delivery) {
        if !self.commands.departs(self.now(), connection, &mut delivery) {
            return;
        }
        assert!(delivery.not_after >= self.now(), "sent though its time is over");
        self.commands.written(delivery.id, delivery.attempt);
        if Some(connection) != self.connection {
            self.went_nowhere = true;
        } else if self.is_shut {
            (self.held_up, self.ever_held_up) = (Some(delivery.attempt), true);
            self.commands.held_up(self.now(), ID, delivery.attempt);
        } else {
            self.arrive(delivery.attempt);
        }
    }

    /// A connection that has gone wrote nothing that waited in it.
    fn recall(&mut self, connection: ConnectionId, attempt: u32) {
        let waits = Some(connection) != self.connection
            || self.held_up.take_if(|it| *it == attempt).is_some();
        if waits {
            self.commands.given_back(self.now(), ID, attempt);
        }
    }

    fn arrive(&mut self, attempt: u32) {
        assert!(!self.has_it || self.idempotent, "sent again though the device has it");
        self.arrived += 1;
        self.here = Some(attempt);
        self.has_it = false;
    }

    /// What was not committed is lost.
    fn restart(&mut self) {
        self.connection = None;
        self.here = None;
        self.held_up = None;
        self.went_nowhere |= self.ever_held_up;
        self.pending.clear();
        self.pending_rows.clear();
        self.commands = Commands::new(limits());
        let commands = self
            .rows
            .values()
            .map(|body| KeptCommand::read(body.as_bytes()).expect("it reads back"));
        let kept = Kept::of(commands.collect(), Vec::new());
        self.commands.restore(self.now(), kept, |_| {});
    }

    fn check(&mut self) {
        let details = self.commands.get(ID).expect("no command is lost");
        let (state, late) = (details.command.state, details.command.late);
        // A crash may take back what nobody was told; what was committed stays.
        if self.last.is_final() && state != self.last {
            assert!(self.last == CommandState::TimedOut, "{} became {state}", self.last);
            assert!(late && state.is_final(), "timed out, then {state} and not late");
        }
        if state == CommandState::Expired {
            assert_eq!(self.arrived, 0, "expired means that it certainly did not run");
        }
        // Whether an attempt waits on a connection that has gone is not known while the store is slow.
        self.went_nowhere |= self.ever_held_up && !self.pending.is_empty();
        if state == CommandState::TimedOut {
            assert!(self.arrived > 0 || self.went_nowhere, "timed out though it was never sent");
        }
        if matches!(state, CommandState::Queued | CommandState::Scheduled) {
            assert_eq!(self.arrived, 0, "it was sent and waits again");
        }
        self.last = state;
    }

    /// Whatever happened, it ends.
    fn end(&mut self) {
        self.act(Step::Disconnect);
        for _ in 0..4 {
            self.play(Step::Wait, Commit::Now);
        }
        assert!(self.last.is_final(), "it never ends: {}", self.last);
    }
}

fn play(sequence: &[(Step, Commit)], idempotent: bool) {
    let failed = std::panic::catch_unwind(|| {
        let mut world = World::new(idempotent);
        sequence.iter().for_each(|(step, commit)| world.play(*step, *commit));
        world.end();
    });
    assert!(failed.is_ok(), "idempotent: {idempotent}, {sequence:?}");
}

#[test]
fn every_short_sequence_keeps_the_rules() {
    let steps = steps();
    let count = steps.len();
    for number in 0..count.pow(DEPTH) {
        // The device is there first in half of them, so that most reach it.
        let mut rest = number;
        let mut sequence = vec![(Step::Connect, Commit::Now)];
        for _ in 0..DEPTH {
            sequence.push(steps[rest % count]);
            rest /= count;
        }
        play(&sequence, number % 2 == 0);
        play(&sequence[1..], number % 2 == 1);
    }
}

#[test]
fn long_sequences_by_seed_keep_the_rules() {
    let seeds = std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
    let steps = steps();
    for seed in 0..seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let sequence: Vec<_> = (0..LONG).map(|_| steps[rng.random_range(0..steps.len())]).collect();
        play(&sequence, seed % 2 == 0);
    }
}
