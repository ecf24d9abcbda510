//! Damaged files: what is read is right or refused, and what can be salvaged is.

use super::{
    super::{Checks, EpochAfter, OpenError, Past, ReadError, Row, Settings, Table, open, recover},
    support::{TestStore, name, settings},
};
use bridge::update::{Stamp, Update};
use protocol::{Offset, Timestamp, TopicName};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{collections::HashMap, fs, path::Path, sync::Arc};
use tempfile::TempDir;

const CHANNELS: [&str; 3] = ["telemetry/a", "telemetry/b", "state/a"];

/// All that was kept, by channel.
type Kept = HashMap<TopicName, HashMap<Stamp2, String>>;
type Stamp2 = (u64, u64, i64);

fn key(stamp: Stamp) -> Stamp2 {
    (stamp.seq.0, stamp.offset.0, stamp.timestamp.0)
}

/// A database with blocks, a log and devices.
async fn made() -> (TempDir, Kept) {
    let mut store = TestStore::with(|settings| settings.recovery_bytes = 20_000);
    let mut kept = Kept::new();
    let mut note = |updates: Vec<Arc<Update>>| {
        for update in updates {
            let text = update.data.text().to_owned();
            let channel = kept.entry(update.channel.clone()).or_default();
            channel.insert(key(update.stamp), text);
        }
    };
    for round in 0..6 {
        for channel in CHANNELS {
            note(store.fill(channel, 400, round * 1_000_000).await);
        }
    }
    let device = Row::set(Table::Device, "a", r#"{"type":"pump"}"#);
    store.keep_with(Vec::new(), vec![device]);
    store.handle().settled().await.unwrap();
    (store.close(), kept)
}

fn copy_of(dir: &TempDir) -> TempDir {
    let copy = TempDir::new().unwrap();
    let file = "sluice.db";
    fs::copy(dir.path().join(file), copy.path().join(file)).unwrap();
    copy
}

/// What is wrong with `past` as an answer for all of `channel`; `all`: it must have every update.
fn check(past: &Past, kept: &HashMap<Stamp2, String>, all: bool) -> Result<(), String> {
    for (stamp, json) in past.iter() {
        if kept.get(&key(stamp)).map(String::as_str) != Some(json) {
            return Err(format!("{stamp:?} {json} was never kept"));
        }
    }
    if all && past.len() != kept.len() {
        return Err(format!("{} of {} updates", past.len(), kept.len()));
    }
    Ok(())
}

/// Opens what is in `dir` and reads all of it. Each answer must be right or a named error.
async fn read_all(dir: &Path, kept: &Kept) -> Result<Vec<&'static str>, String> {
    let mut seen = Vec::new();
    let (database, _) = match open(settings(dir)) {
        Ok(opened) => opened,
        Err(OpenError::Damaged { .. }) => return Ok(vec!["damaged"]),
        Err(OpenError::Newer { .. } | OpenError::Sqlite { .. } | OpenError::Unusable { .. }) => {
            return Ok(vec!["refused"]);
        }
        Err(OpenError::Locked(_)) => return Err("locked".into()),
    };
    let handle = database.handle();
    let (from, to) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
    for channel in CHANNELS {
        for read in [
            handle.between(name(channel), from, to, None, 100_000).await,
            handle.newest(name(channel), 100_000).await,
        ] {
            match read {
                Ok(past) => {
                    check(&past, &kept[&name(channel)], true)?;
                    seen.push("right");
                }
                Err(ReadError::Damaged { .. }) => seen.push("block"),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
    drop(database);
    Ok(seen)
}

#[tokio::test]
async fn flipped_bits_anywhere_give_the_right_answer_or_a_named_error() {
    let (dir, kept) = made().await;
    let whole = fs::read(dir.path().join("sluice.db")).unwrap();
    let mut outcomes: HashMap<&str, u32> = HashMap::new();
    for seed in 0..ROUNDS {
        let mut random = StdRng::seed_from_u64(seed);
        let mut bytes = whole.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] ^= 1 << random.random_range(0..8);
        }
        let damaged = TempDir::new().unwrap();
        fs::write(damaged.path().join("sluice.db"), bytes).unwrap();
        let seen = read_all(damaged.path(), &kept).await;
        for outcome in seen.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}")) {
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    for outcome in ["right", "damaged", "block"] {
        assert!(outcomes.contains_key(outcome), "{outcomes:?}");
    }
}

/// How many damaged files a test tries.
const ROUNDS: u64 = 150;

#[tokio::test]
async fn torn_pages_and_a_cut_file_give_the_right_answer_or_a_named_error() {
    let (dir, kept) = made().await;
    let whole = fs::read(dir.path().join("sluice.db")).unwrap();
    for (round, page) in whole.chunks(4_096).enumerate() {
        let mut torn = whole.clone();
        let start = round * 4_096 + 2_048;
        torn[start..start + page.len() - 2_048].fill(0);
        let cut = whole[..round * 4_096].to_vec();
        for bytes in [torn, cut] {
            let damaged = TempDir::new().unwrap();
            fs::write(damaged.path().join("sluice.db"), &bytes).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let seen = read_all(damaged.path(), &kept).await;
            seen.unwrap_or_else(|wrong| panic!("page {round}: {wrong}"));
        }
    }
}

#[tokio::test]
async fn a_cut_write_ahead_log_loses_its_end_and_nothing_else() {
    let mut store = TestStore::new();
    let mut kept = Kept::new();
    for round in 0..20 {
        for update in store.fill("telemetry/a", 25, round * 25_000).await {
            let text = update.data.text().to_owned();
            kept.entry(update.channel.clone()).or_default().insert(key(update.stamp), text);
        }
    }
    let files = ["sluice.db", "sluice.db-wal"].map(|file| fs::read(store.dir.path().join(file)));
    let [database, wal] = files.map(Result::unwrap);
    assert!(wal.len() > 20_000);
    let all = &kept[&name("telemetry/a")];
    let mut found = Vec::new();
    for cut in (0..wal.len()).step_by(3_999) {
        let copy = TempDir::new().unwrap();
        fs::write(copy.path().join("sluice.db"), &database).unwrap();
        fs::write(copy.path().join("sluice.db-wal"), &wal[..cut]).unwrap();
        let store = TestStore::open(copy, |_| {});
        let past = store.handle().newest(name("telemetry/a"), 1_000).await.unwrap();
        check(&past, all, false).unwrap();
        let first: Vec<_> = past.iter().map(|(stamp, _)| stamp.seq.0).collect();
        assert_eq!(first, (1..=past.len() as u64).collect::<Vec<_>>(), "a beginning, whole");
        found.push(past.len());
    }
    assert!(found.is_sorted(), "{found:?}");
    assert!(found.last().unwrap() > &400, "{found:?}");
}

#[tokio::test]
async fn a_damaged_block_is_named_when_it_is_read_and_the_rest_is_served() {
    let (dir, _) = made().await;
    let connection = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    let sql = "UPDATE block SET body = zeroblob(length(body)) WHERE id = 1";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    drop(connection);
    let store = TestStore::open(dir, |_| {});
    let (from, to) = (Timestamp(0), Timestamp(i64::MAX));
    let read = store.handle().between(name("telemetry/a"), from, to, None, 100_000).await;
    let error = read.unwrap_err().to_string();
    for part in ["sluice.db", "telemetry/a", "updates 1 to", "--recover"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(store.handle().damaged_reads(), 1);
    assert!(store.handle().newest(name("telemetry/a"), 600).await.is_ok());
}

#[tokio::test]
async fn recovery_of_a_whole_file_loses_nothing_and_goes_on() {
    let (dir, kept) = made().await;
    let before = TestStore::open(dir, |_| {});
    let epoch = before.restored.epoch.clone();
    let dir = before.close();
    let report = recover(dir.path(), Timestamp(77)).unwrap();
    assert_eq!(report.epoch, EpochAfter::Kept);
    assert!(report.tables.iter().all(|table| table.lost == 0), "{report}");
    assert!(report.set_aside.to_string_lossy().contains("77"), "{report}");
    let mut store = TestStore::open(dir, |_| {});
    assert_eq!(store.restored.epoch, epoch);
    assert_eq!(store.restored.last_offset, Offset(7_200));
    assert_eq!(store.restored.rows.take(Table::Device).len(), 1);
    for channel in CHANNELS {
        let past = store.handle().newest(name(channel), 100_000).await.unwrap();
        check(&past, &kept[&name(channel)], true).unwrap();
    }
}

#[test]
fn recovery_of_what_never_was_a_database_says_that_nothing_could_be_read() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("sluice.db"), "a note, and no database\n".repeat(1_000)).unwrap();
    let report = recover(dir.path(), Timestamp(1)).unwrap().to_string();
    assert!(report.starts_with("nothing in it could be read"), "{report}");
    assert!(!report.contains("rows") && report.contains("damaged-1"), "{report}");
    assert!(open(settings(dir.path())).is_ok());
}

#[tokio::test]
async fn recovery_salvages_most_of_a_damaged_file_and_serves_nothing_wrong() {
    let (dir, kept) = made().await;
    let whole = fs::read(dir.path().join("sluice.db")).unwrap();
    let mut worst = usize::MAX;
    let pages = whole.len() / 4_096;
    // The first page says where everything is.
    for page in (1..pages).step_by(2) {
        let copy = copy_of(&dir);
        let mut bytes = whole.clone();
        bytes[page * 4_096..(page + 1) * 4_096].fill(0xa5);
        fs::write(copy.path().join("sluice.db"), bytes).unwrap();
        recover(copy.path(), Timestamp(1)).unwrap();
        let store = TestStore::open(copy, |_| {});
        let mut found = 0;
        for channel in CHANNELS {
            let past = store.handle().newest(name(channel), 100_000).await.unwrap();
            check(&past, &kept[&name(channel)], false)
                .unwrap_or_else(|wrong| panic!("page {page}: {wrong}"));
            found += past.len();
        }
        worst = worst.min(found);
        let mut store = store;
        store.fill("telemetry/a", 3, 0).await;
    }
    assert!((4_000..7_200).contains(&worst), "{worst} of 7200 updates behind the worst page");
}

#[tokio::test]
async fn of_a_file_that_is_no_database_any_more_nothing_is_salvaged_and_it_begins_anew() {
    let (dir, _) = made().await;
    for bytes in [b"something else".to_vec(), Vec::new(), vec![0; 40_960], vec![0xa5; 9_999]] {
        let copy = copy_of(&dir);
        let path = copy.path().join("sluice.db");
        fs::write(&path, &bytes).unwrap();
        let refused = open(settings(copy.path())).map(drop).unwrap_err();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
        let report = recover(copy.path(), Timestamp(1)).unwrap();
        assert_eq!(report.epoch, EpochAfter::New);
        assert!(fs::read(&report.set_aside).unwrap() == bytes, "it is set aside as it is");
        let mut store = TestStore::open(copy, |_| {});
        store.fill("telemetry/a", 3, 0).await;
    }
}

/// Recovers the database in `dir`: nothing of what `kept` says is lost, and no copy is left.
async fn is_salvaged_whole(dir: TempDir, kept: &Kept, what: &str) {
    let report = recover(dir.path(), Timestamp(1)).unwrap();
    assert!(report.tables.iter().all(|table| table.lost == 0), "{what}: {report}");
    let mut store = TestStore::open(dir, |_| {});
    assert_eq!(store.restored.rows.take(Table::Device).len(), 1);
    for channel in CHANNELS {
        let past = store.handle().newest(name(channel), 100_000).await.unwrap();
        check(&past, &kept[&name(channel)], true).unwrap();
    }
    let files = fs::read_dir(store.dir.path()).unwrap();
    let mut names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert!(names.all(|name| !name.contains("recovering")), "no copy is left");
}

#[tokio::test]
async fn all_but_the_first_page_is_salvaged_without_it() {
    let (dir, kept) = made().await;
    let whole = fs::read(dir.path().join("sluice.db")).unwrap();
    for (start, end) in [(0, 16), (0, 100), (0, 140), (0, 4_096), (100, 4_096), (16, 18), (40, 64)]
    {
        for byte in [0, 0xa5] {
            let copy = copy_of(&dir);
            let mut bytes = whole.clone();
            bytes[start..end].fill(byte);
            fs::write(copy.path().join("sluice.db"), bytes).unwrap();
            is_salvaged_whole(copy, &kept, &format!("{start}-{end}")).await;
        }
    }
}

#[tokio::test]
async fn a_file_on_which_vacuum_was_run_is_salvaged_without_its_first_page() {
    let (dir, kept) = made().await;
    let path = dir.path().join("sluice.db");
    for sql in ["VACUUM", "PRAGMA journal_mode = DELETE"] {
        rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[..4_096].fill(0);
    fs::write(&path, bytes).unwrap();
    is_salvaged_whole(dir, &kept, "vacuumed").await;
}

#[tokio::test]
async fn a_row_that_is_no_row_of_its_table_does_not_stop_what_was_salvaged() {
    let store = TestStore::new();
    let no_offset = Row::set(Table::Forgotten, "telemetry/a", "none");
    store.keep_with(Vec::new(), vec![no_offset, Row::set(Table::Device, "a", "{}")]);
    let dir = store.close();
    let refused = open(settings(dir.path())).map(drop).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    let report = recover(dir.path(), Timestamp(1)).unwrap();
    assert_eq!(report.tables.iter().map(|table| table.lost).sum::<u64>(), 1, "{report}");
    let mut store = TestStore::open(dir, |_| {});
    assert_eq!(store.restored.rows.take(Table::Device).len(), 1);
}

#[tokio::test]
async fn a_channel_whose_name_is_lost_takes_no_update_of_another_with_it() {
    let mut store = TestStore::new();
    let channels = ["state/b", "telemetry/a", "telemetry/a", "state/b"];
    for at in 0..10 {
        let updates = channels.map(|channel| store.numbers.update(channel, at, r#"{"n":1}"#));
        store.keep(updates.to_vec());
        store.handle().settled().await.unwrap();
    }
    let dir = store.close();
    let connection = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    connection.execute("DELETE FROM channel WHERE name = 'state/b'", []).unwrap();
    drop(connection);
    let report = recover(dir.path(), Timestamp(1)).unwrap();
    assert_eq!(report.epoch, EpochAfter::New, "{report}");
    let store = TestStore::open(dir, |_| {});
    let past = store.handle().newest(name("telemetry/a"), 100).await.unwrap();
    assert_eq!(past.len(), 20, "{report}");
}

#[tokio::test]
async fn who_asks_for_a_recovery_is_told_of_a_damaged_block_at_the_start() {
    let (dir, _) = made().await;
    let connection = rusqlite::Connection::open(dir.path().join("sluice.db")).unwrap();
    connection.execute("UPDATE block SET body = zeroblob(length(body)) WHERE id = 1", []).unwrap();
    drop(connection);
    let thorough = Settings { checks: Checks::All, ..settings(dir.path()) };
    let refused = open(thorough.clone()).map(drop).unwrap_err().to_string();
    assert!(refused.contains("block 1"), "{refused}");
    let report = recover(dir.path(), Timestamp(1)).unwrap();
    let lost: u64 = report.tables.iter().map(|table| table.lost).sum();
    assert_eq!(lost, 1, "{report}");
    assert!(open(thorough).is_ok());
}

#[tokio::test]
async fn a_file_that_was_cut_is_salvaged_as_far_as_it_goes() {
    let (dir, kept) = made().await;
    let whole = fs::read(dir.path().join("sluice.db")).unwrap();
    let copy = copy_of(&dir);
    let pages = whole.len() / 4_096 * 3 / 4;
    fs::write(copy.path().join("sluice.db"), &whole[..pages * 4_096]).unwrap();
    recover(copy.path(), Timestamp(1)).unwrap();
    let mut store = TestStore::open(copy, |_| {});
    assert_eq!(store.restored.rows.take(Table::Device).len(), 1);
    for channel in CHANNELS {
        let past = store.handle().newest(name(channel), 100_000).await.unwrap();
        check(&past, &kept[&name(channel)], false).unwrap();
    }
}
