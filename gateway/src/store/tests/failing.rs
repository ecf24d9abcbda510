//! A disk that is full, a process that is killed.

use super::{
    super::{Batch, NotStored, ReadError, Receipt, Row, Table},
    support::{TestStore, name},
};
use protocol::{Offset, StoreState};
use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::oneshot::{self, error::TryRecvError};

/// Writes until there is no room; what is said then, and how many updates were given.
async fn fill_the_disk(store: &mut TestStore) -> (NotStored, usize) {
    let handle = store.handle();
    handle.0.pages_max.store(1, Ordering::Relaxed);
    let text = format!(r#"{{"n":"{}"}}"#, "x".repeat(1_000));
    let mut given = 0;
    loop {
        let updates = (0..50).map(|_| store.numbers.update("state/a", 1, &text)).collect();
        given += 50;
        store.keep(updates);
        if let Err(refused) = handle.settled().await {
            return (refused, given);
        }
    }
}

async fn settle_within(store: &TestStore, deadline: Duration) {
    let deadline = Instant::now() + deadline;
    while let Err(error) = store.handle().settled().await {
        assert!(Instant::now() < deadline, "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_when_there_is_room_again_nothing_is_missing() {
    let mut store = TestStore::new();
    store.fill("telemetry/a", 10, 0).await;
    let handle = store.handle();
    let (refused, more) = fill_the_disk(&mut store).await;
    let kept = 10 + more;
    assert!(refused.to_string().contains("full"), "{refused}");
    assert!(handle.figures().pending_updates >= 50, "it waits for room");
    let figures = handle.figures();
    assert_eq!(figures.state, StoreState::Failing);
    assert!(figures.error.unwrap().contains("full"));
    handle.0.pages_max.store(0, Ordering::Relaxed);
    settle_within(&store, Duration::from_secs(10)).await;
    assert_eq!(handle.figures().state, StoreState::Ok);
    assert_eq!((handle.figures().pending_updates, handle.figures().lost_updates), (0, 0));
    let page = handle.log(Offset(0), vec!["#".parse().unwrap()], usize::MAX).await.unwrap();
    assert_eq!(page.updates.len(), kept);
}

#[tokio::test]
async fn who_waits_behind_more_than_one_commit_takes_is_told_too() {
    let mut store = TestStore::new();
    let handle = store.handle();
    let _full = fill_the_disk(&mut store).await;
    let text = format!(r#"{{"n":"{}"}}"#, "x".repeat(10_000));
    for _ in 0..2 {
        let updates = (0..200).map(|_| store.numbers.update("state/a", 1, &text)).collect();
        store.keep(updates);
        let told = tokio::time::timeout(Duration::from_secs(20), handle.settled()).await;
        told.expect("it is told").expect_err("there is no room");
    }
    handle.0.pages_max.store(0, Ordering::Relaxed);
    settle_within(&store, Duration::from_secs(10)).await;
    assert_eq!(handle.figures().pending_updates, 0);
}

#[tokio::test]
async fn what_there_is_no_room_for_is_counted_and_left_as_a_gap() {
    let mut store = TestStore::with(|settings| settings.pending_bytes = 64 * 1024);
    store.fill("telemetry/a", 10, 0).await;
    let handle = store.handle();
    handle.0.pages_max.store(1, Ordering::Relaxed);
    let text = format!(r#"{{"n":"{:0>200}"}}"#, "");
    while handle.figures().lost_updates == 0 {
        let update = store.numbers.update("telemetry/a", 1, &text);
        let refused = Receipt::impatient(drop);
        let through = Offset(store.numbers.offset);
        let (updates, rows) = (vec![update], Vec::new());
        handle.keep(Batch { updates, rows, receipts: vec![refused], through });
    }
    let lost = handle.figures().lost_updates;
    handle.0.pages_max.store(0, Ordering::Relaxed);
    settle_within(&store, Duration::from_secs(10)).await;
    let resumed = handle.log(Offset(10), vec!["#".parse().unwrap()], 100).await;
    assert_eq!(resumed.unwrap_err(), ReadError::Gone);
    let through = store.numbers.offset;
    let (first, last) = (protocol::Seq(1), protocol::Seq(through));
    let left = handle.range(name("telemetry/a"), first, last, usize::MAX).await.unwrap();
    assert_eq!(left.updates.len() as u64, through - handle.figures().lost_updates);
    let newest = handle.newest(name("telemetry/a"), 100_000).await.unwrap();
    assert_eq!(newest.len() as u64, through - handle.figures().lost_updates);
    assert!(handle.figures().lost_updates >= lost);
    let store = store.reopen();
    assert_eq!(store.restored.gaps.len(), 1, "{:?}", store.restored.gaps);
    assert_eq!(store.restored.last_offset, Offset(through));
}

#[tokio::test]
async fn rows_that_wait_take_room_until_they_are_stored() {
    let mut store = TestStore::with(|settings| settings.pending_bytes = 512 * 1024);
    let handle = store.handle();
    let _full = fill_the_disk(&mut store).await;
    let mut topics = 0;
    while handle.has_room() {
        topics += 1;
        assert!(topics < 10_000, "they are counted");
        let key = format!("t/{topics}");
        store.keep_with(Vec::new(), vec![Row::set(Table::Retained, key.as_str(), [0; 100])]);
        store.keep_with(Vec::new(), vec![Row::gone(Table::Retained, key)]);
    }
    handle.settled().await.expect_err("there is no room");
    assert!(!handle.has_room(), "what was tried waits on");
    handle.0.pages_max.store(0, Ordering::Relaxed);
    settle_within(&store, Duration::from_secs(10)).await;
    assert!(handle.has_room());
}

#[tokio::test]
async fn files_that_are_not_where_they_were_are_not_written_until_they_are() {
    for file in ["sluice.db", "sluice.db-wal"] {
        let mut store = TestStore::new();
        store.fill("telemetry/a", 10, 0).await;
        let (handle, path) = (store.handle(), store.dir.path().join(file));
        let aside = store.dir.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        std::fs::copy(&aside, &path).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while handle.figures().state == StoreState::Ok {
            assert!(Instant::now() < deadline, "it is seen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let told = kept_patiently(&mut store);
        let refused = handle.settled().await.expect_err("it would not be found again");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
        std::fs::rename(&aside, &path).unwrap();
        settle_within(&store, Duration::from_secs(20)).await;
        assert_eq!(told.await.unwrap(), Ok(()));
        assert_eq!(handle.figures().state, StoreState::Ok);
        std::fs::remove_file(&path).unwrap();
        let closed = store.database.close(Offset(store.numbers.offset));
        closed.expect_err("an end that nobody finds is none");
    }
}

/// Keeps an update with a receipt of somebody who is patient; where it arrives.
fn kept_patiently(store: &mut TestStore) -> oneshot::Receiver<Result<(), NotStored>> {
    let text = format!(r#"{{"n":"{}"}}"#, "x".repeat(1_000));
    let updates = vec![store.numbers.update("state/p", 1, &text)];
    let (sender, told) = oneshot::channel();
    let receipt = Receipt::patient(move |stored| {
        let _the_test_may_have_failed = sender.send(stored);
    });
    let (rows, through) = (Vec::new(), Offset(store.numbers.offset));
    store.handle().keep(Batch { updates, rows, receipts: vec![receipt], through });
    told
}

#[tokio::test]
async fn who_is_patient_is_told_when_it_is_stored_after_all_and_others_at_once() {
    let mut store = TestStore::new();
    let handle = store.handle();
    let _full = fill_the_disk(&mut store).await;
    let mut told = kept_patiently(&mut store);
    handle.settled().await.expect_err("there is no room");
    assert_eq!(told.try_recv(), Err(TryRecvError::Empty));
    handle.0.pages_max.store(0, Ordering::Relaxed);
    settle_within(&store, Duration::from_secs(10)).await;
    assert_eq!(told.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn who_is_patient_is_told_the_truth_of_what_was_given_up() {
    let mut store = TestStore::with(|settings| settings.pending_bytes = 64 * 1024);
    let handle = store.handle();
    let _full = fill_the_disk(&mut store).await;
    let first = store.numbers.offset + 1;
    let mut waiting = Vec::new();
    for round in 0..3 {
        waiting.extend((0..40).map(|_| kept_patiently(&mut store)));
        handle.settled().await.expect_err(&format!("no room in round {round}"));
    }
    handle.0.pages_max.store(0, Ordering::Relaxed);
    settle_within(&store, Duration::from_secs(10)).await;
    let newest = handle.newest(name("state/p"), 1_000).await.unwrap();
    let stored: Vec<_> = newest.iter().map(|(stamp, _)| stamp.offset.0).collect();
    let mut acknowledged = Vec::new();
    for (told, offset) in waiting.into_iter().zip(first..) {
        acknowledged.extend(told.await.unwrap().is_ok().then_some(offset));
    }
    assert_eq!(acknowledged, stored);
    assert!((1..120).contains(&stored.len()), "{stored:?}");
}

#[tokio::test]
async fn who_is_patient_is_refused_at_the_end() {
    let mut store = TestStore::new();
    let _full = fill_the_disk(&mut store).await;
    let told = kept_patiently(&mut store);
    store.database.close(Offset(store.numbers.offset)).expect_err("there is no room");
    told.await.unwrap().expect_err("it is not stored");
}

/// Tells the child below that it is the one to be killed, and where to write.
const CHILD: &str = "SLUICE_TEST_STORE_DIR";

/// Writes with receipts and prints each one's offset, until it is killed. Only runs as a child.
#[tokio::test]
#[ignore = "is the child process of another test"]
async fn child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let (database, restored) = super::super::open(super::support::settings(&dir)).unwrap();
    let mut numbers = super::support::Numbers::after(&restored);
    let handle = database.handle();
    println!("epoch {}", restored.epoch);
    loop {
        let updates = (0..7).map(|n| numbers.update(&format!("telemetry/{n}"), 1, r#"{"n":1}"#));
        let updates = updates.collect();
        let offset = numbers.offset;
        let receipt = Receipt::impatient(move |stored| {
            stored.unwrap();
            println!("stored {offset}");
        });
        let receipts = vec![receipt];
        handle.keep(Batch { updates, rows: Vec::new(), receipts, through: Offset(offset) });
        if offset.is_multiple_of(5) {
            handle.settled().await.unwrap();
        }
    }
}

/// Runs the child in `dir`, kills it after `count` receipts, and gives the last offset it was told of.
fn killed(dir: &TempDir, count: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "child_that_writes_until_it_is_killed"])
        .env(CHILD, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut stored = output.lines().filter_map(|line| {
        let line = line.unwrap();
        line.split("stored ").nth(1).map(|offset| offset.trim().parse::<u64>().unwrap())
    });
    let last = stored.by_ref().take(count).last().expect("the child writes");
    child.kill().unwrap();
    let last = stored.last().unwrap_or(last);
    child.wait().unwrap();
    last
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_was_receipted() {
    let dir = TempDir::new().unwrap();
    let mut dir = Some(dir);
    let mut receipted = Vec::new();
    for round in 0..20 {
        let held = dir.take().unwrap();
        receipted.push(killed(&held, 20 + round * 13));
        let store = TestStore::open(held, |_| {});
        for channel in &store.restored.channels {
            let past = store.handle().newest(channel.name.clone(), 1_000_000).await.unwrap();
            let offsets: std::collections::HashSet<_> =
                past.iter().map(|(stamp, _)| stamp.offset.0).collect();
            assert_eq!(offsets.len(), past.len(), "no offset twice");
            let digit: u64 = channel.name.as_str().rsplit('/').next().unwrap().parse().unwrap();
            for last in &receipted {
                assert!(offsets.contains(&(last - 6 + digit)), "{last} of {digit}, {receipted:?}");
            }
        }
        assert!(store.restored.last_offset.0 >= *receipted.last().unwrap());
        dir = Some(store.crash());
    }
}
