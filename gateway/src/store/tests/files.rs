//! The files of a database: what SQLite would not tell of them.

use super::{
    super::{
        EpochAfter, OpenError, Row, Table, file, open, recover,
        wal::{self, Look},
    },
    support::{TestStore, name, settings},
};
use protocol::{Offset, Timestamp};
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};
use tempfile::TempDir;

const FILE: &str = "sluice.db";
const WAL: &str = "sluice.db-wal";

/// A database that was killed with updates in its write-ahead log.
async fn crashed() -> TempDir {
    let mut store = TestStore::new();
    for round in 0..5 {
        store.fill("telemetry/a", 20, round * 20_000).await;
    }
    store.crash()
}

/// Why it does not open.
fn damage(dir: &Path) -> String {
    match open(settings(dir)).map(drop) {
        Err(OpenError::Damaged { what, .. }) => what,
        opened => panic!("{opened:?}"),
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_new_database_is_for_its_user_alone_and_leaves_nothing_beside_it() {
    let dir = TestStore::new().close();
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(names.len(), 2, "itself and the lock: {names:?}");
    assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn who_removes_the_lock_lets_nobody_in() {
    let store = TestStore::new();
    fs::remove_file(store.dir.path().join("lock")).unwrap();
    for _ in 0..2 {
        let second = open(settings(store.dir.path())).map(drop);
        assert!(matches!(second, Err(OpenError::Locked(_))), "{second:?}");
    }
    let dir = store.close();
    open(settings(dir.path())).expect("it is free again");
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let dir = TempDir::new().unwrap();
    let made = Command::new("mkfifo").arg(dir.path().join(FILE)).status().unwrap();
    assert!(made.success());
    match open(settings(dir.path())).map(drop) {
        Err(OpenError::Unusable { source, .. }) => {
            assert_eq!(source.to_string(), "it is not a regular file");
        }
        opened => panic!("{opened:?}"),
    }
}

#[tokio::test]
async fn a_file_that_was_emptied_or_is_gone_is_no_new_one() {
    let dir = crashed().await;
    for bytes in [0, 1, 100] {
        change(&dir.path().join(FILE), |file| file.resize(bytes, 0));
        assert_eq!(damage(dir.path()), format!("it has {bytes} bytes"));
    }
    fs::remove_file(dir.path().join(FILE)).unwrap();
    assert!(damage(dir.path()).contains("gone"));
    let log = fs::read(dir.path().join(WAL)).unwrap();
    let report = recover(dir.path(), Timestamp(7)).unwrap();
    let aside = file::with_end(&report.set_aside, file::WAL);
    assert!(fs::read(aside).unwrap() == log, "what is left is set aside as it is");
    TestStore::open(dir, |_| {});
}

#[tokio::test]
async fn without_its_write_ahead_log_it_gives_no_number_twice() {
    let dir = TestStore::new().close();
    let mut store = TestStore::open(dir, |_| {});
    let epoch = store.restored.epoch.clone();
    store.fill("telemetry/a", 20, 0).await;
    let given = store.numbers.offset;
    let dir = store.crash();
    fs::remove_file(dir.path().join(WAL)).unwrap();
    let store = TestStore::open(dir, |_| {});
    assert_eq!(store.restored.epoch, epoch);
    assert!(store.restored.last_offset > Offset(given), "{:?}", store.restored.last_offset);
    assert_eq!(store.restored.gaps.len(), 1);
}

#[tokio::test]
async fn what_a_kill_left_is_no_empty_log_after_a_recovery_either() {
    let dir = crashed().await;
    assert_eq!(wal::look(&dir.path().join(WAL)).unwrap(), Look::Whole);
    assert_eq!(recover(dir.path(), Timestamp(7)).unwrap().epoch, EpochAfter::Kept);
    assert_eq!(wal::look(&dir.path().join(WAL)).unwrap(), Look::Whole);
    TestStore::open(dir, |_| {});
}

#[tokio::test]
async fn a_log_of_another_database_is_told_and_nothing_of_it_is_taken() {
    let (other, own) = (crashed().await, TestStore::new());
    own.keep_with(Vec::new(), vec![Row::set(Table::Device, "a", "{}")]);
    let dir = own.close();
    fs::copy(other.path().join(WAL), dir.path().join(WAL)).unwrap();
    assert!(damage(dir.path()).contains("another database"));
    let report = recover(dir.path(), Timestamp(7)).unwrap();
    assert_eq!(report.epoch, EpochAfter::Kept, "{report}");
    let mut store = TestStore::open(dir, |_| {});
    assert_eq!(store.restored.rows.take(Table::Device).len(), 1);
    assert!(store.handle().newest(name("telemetry/a"), 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn damage_in_the_middle_of_the_log_is_told_from_its_end() {
    let dir = crashed().await;
    let (log, whole) = (dir.path().join(WAL), fs::read(dir.path().join(WAL)).unwrap());
    assert_eq!(wal::look(&log).unwrap(), Look::Whole);
    for cut in (0..whole.len()).step_by(777) {
        fs::write(&log, &whole[..cut]).unwrap();
        let left = if cut < 32 + 24 + 4_096 { Look::Nothing } else { Look::Whole };
        assert_eq!(wal::look(&log).unwrap(), left, "cut at {cut}");
    }
    let last = whole.len() - (24 + 4_096);
    for at in (0..last).step_by(501) {
        fs::write(&log, &whole).unwrap();
        change(&log, |bytes| bytes[at] ^= 4);
        assert!(matches!(wal::look(&log).unwrap(), Look::Damaged(_)), "at {at}");
    }
    fs::remove_file(&log).unwrap();
    assert_eq!(wal::look(&log).unwrap(), Look::Nothing);
}

#[tokio::test]
async fn what_an_earlier_log_left_behind_the_newer_one_is_no_damage() {
    let dir = crashed().await;
    let connection = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    connection.query_one("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
    connection.execute_batch("UPDATE meta SET reserved = reserved").unwrap();
    let log = dir.path().join(WAL);
    let copy = dir.path().join("copy");
    fs::copy(&log, &copy).unwrap();
    assert!(fs::metadata(&copy).unwrap().len() > 20_000, "it is used anew from its beginning");
    assert_eq!(wal::look(&copy).unwrap(), Look::Whole);
}

#[tokio::test]
async fn a_file_that_lies_about_its_version_is_told_and_salvaged() {
    for version in [0, 1] {
        let store = TestStore::new();
        store.keep_with(Vec::new(), vec![Row::set(Table::Device, "a", "{}")]);
        let dir = store.close();
        let connection = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        assert_eq!(damage(dir.path()), "its tables are not those of its version");
        recover(dir.path(), Timestamp(7)).unwrap();
        let mut store = TestStore::open(dir, |_| {});
        assert_eq!(store.restored.rows.take(Table::Device).len(), 1);
    }
}

#[test]
fn a_file_of_another_program_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    let before = fs::read(&path).unwrap();
    damage(dir.path());
    assert!(fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn a_database_without_its_numbers_is_damaged() {
    let dir = TestStore::new().close();
    let connection = rusqlite::Connection::open(dir.path().join(FILE)).unwrap();
    connection.execute_batch("DELETE FROM meta").unwrap();
    drop(connection);
    assert!(damage(dir.path()).contains("meta"));
    assert_eq!(recover(dir.path(), Timestamp(7)).unwrap().epoch, EpochAfter::New);
}
