//! When a commit is due, what it takes, and when the writer is woken for it.

use super::{
    super::{Row, Table, tests::support::Numbers},
    *,
};

#[test]
fn what_clients_of_mqtt_left_is_committed_soon_though_nobody_waits() {
    let (now, mut pending) = (Instant::now(), Pending::default());
    let rounds = Rounds { committed: None, health: Health::Well, ticked: now };
    let row = |table| Batch {
        updates: Vec::new(),
        rows: vec![Row::set(table, "key", "")],
        receipts: Vec::new(),
        through: Offset(0),
    };
    pending.put(row(Table::Device), Haste::Paced, now);
    assert_eq!(pending.due(&rounds), Some(now + WAIT));
    pending.put(row(Table::Retained), Haste::Paced, now);
    assert_eq!(pending.due(&rounds), Some(now));
}

#[test]
fn a_crowd_does_not_wake_the_writer_that_looks_in_time() {
    let now = Instant::now();
    let receipt = || Batch {
        updates: Vec::new(),
        rows: Vec::new(),
        receipts: vec![Receipt::impatient(|_| {})],
        through: Offset(0),
    };
    let wakes_with = |haste: Haste, since_commit: Duration, batch: Batch| {
        let rounds = Rounds { committed: Some(now), health: Health::Well, ticked: now };
        let now = now + since_commit;
        let asleep = Some(Asleep { until: rounds.next_look(now), rounds });
        let mut pending = Pending { asleep, ..Pending::default() };
        pending.put(batch, haste, now);
        let rouses = pending.rouses_the_writer(now);
        assert!(!pending.rouses_the_writer(now), "once is enough");
        rouses
    };
    let wakes = |since_commit, batch| wakes_with(Haste::Paced, since_commit, batch);
    let command = || Batch { rows: vec![Row::set(Table::Command, "id", "{}")], ..receipt() };
    assert!(!wakes(PACE / 2, receipt()));
    assert!(wakes(PACE * 2, receipt()), "a device alone");
    assert!(wakes(PACE / 2, command()));
    assert!(wakes_with(Haste::Prompt, PACE / 2, receipt()), "who takes turns is no crowd");
}

#[test]
fn the_next_is_likely_to_come_at_once_where_the_last_that_hurried_did() {
    let now = Instant::now();
    let soon = |table, idle: Option<Duration>| {
        let rows = vec![Row::set(table, "id", "{}")];
        let mut pending = Pending::default();
        let (updates, receipts) = (Vec::new(), Vec::new());
        pending.put(Batch { updates, rows, receipts, through: Offset(0) }, Haste::Paced, now);
        pending.called_at = idle.map(|idle| now + idle);
        pending.note_wait(idle.map(|_| now));
        pending.soon
    };
    assert!(soon(Table::Command, None));
    assert!(soon(Table::Command, Some(WATCH / 2)));
    assert!(!soon(Table::Command, Some(WATCH)));
    assert!(!soon(Table::Retained, None), "nobody waits for it");
}

#[test]
fn a_commands_row_takes_updates_along_only_when_their_time_has_come() {
    let (now, mut pending) = (Instant::now(), Pending::default());
    let update = Numbers::default().update("commands/d", 1, "{}");
    let (rows, receipts) = (vec![Row::set(Table::Command, "id", "{}")], Vec::new());
    let step = || {
        let (rows, updates) = (rows.clone(), Vec::new());
        Batch { updates, rows, receipts: Vec::new(), through: Offset(1) }
    };
    let updates = vec![update];
    pending.put(
        Batch { updates, rows: Vec::new(), receipts, through: Offset(1) },
        Haste::Paced,
        now,
    );
    pending.put(step(), Haste::Paced, now);
    let taken = pending.take(now);
    assert_eq!((taken.rows.len(), taken.updates().count()), (1, 0));
    assert_eq!(taken.settled, Offset(0));
    pending.put(step(), Haste::Paced, now);
    let taken = pending.take(now + WAIT);
    assert_eq!((taken.rows.len(), taken.updates().count()), (1, 1));
    assert_eq!(taken.settled, Offset(1));
}

#[test]
fn a_sessions_row_is_never_committed_before_the_updates_that_it_came_with() {
    let (now, mut pending, mut numbers) = (Instant::now(), Pending::default(), Numbers::default());
    let big = format!(r#"{{"text":"{}"}}"#, "x".repeat(COMMIT_BYTES * 2 / 3));
    let mut put = |pending: &mut Pending, rows| {
        let updates = vec![numbers.update("telemetry/d", 1, &big)];
        let receipts = vec![Receipt::patient(|_| {})];
        pending.put(Batch { updates, rows, receipts, through: Offset(0) }, Haste::Paced, now);
    };
    let count = |taken: &Taken| (taken.rows.len(), taken.updates().count());
    put(&mut pending, Vec::new());
    put(&mut pending, vec![Row::set(Table::Session, "id", "")]);
    put(&mut pending, Vec::new());
    let taken = pending.take(now);
    assert_eq!(count(&taken), (1, 2), "in one commit, though each is most of what one takes");
    pending.put_back(taken);
    let taken = pending.take(now);
    assert_eq!(count(&taken), (1, 2), "after a failure too");
    let taken = pending.take(now);
    assert_eq!(count(&taken), (0, 1), "others have their own");
}

#[test]
fn a_sessions_row_that_was_put_back_goes_with_its_updates_also_where_a_commands_row_hurries() {
    let (now, mut pending) = (Instant::now(), Pending::default());
    let updates = vec![Numbers::default().update("telemetry/d", 1, "{}")];
    let batch = |table, updates| Batch {
        updates,
        rows: vec![Row::set(table, "id", "{}")],
        receipts: Vec::new(),
        through: Offset(1),
    };
    pending.put(batch(Table::Session, updates), Haste::Paced, now);
    let taken = pending.take(now);
    assert!(pending.put_back(taken).is_empty());
    pending.put(batch(Table::Command, Vec::new()), Haste::Paced, now);
    let taken = pending.take(Instant::now());
    assert_eq!((taken.rows.len(), taken.updates().count()), (2, 1));
}
