//! What is let go, and when.

use super::{
    super::{ReadError, Rule, Settings},
    support::{TestStore, name},
};
use protocol::{Offset, Timestamp};
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Telemetry is kept for an hour, all else for good.
fn hour_of_telemetry(clock: fn() -> Timestamp) -> impl Fn(&mut Settings) {
    move |settings| {
        settings.clock = clock;
        settings.retention = vec![rule("telemetry/#", Some(Duration::from_secs(3_600)), None)];
    }
}

fn rule(channels: &str, age: Option<Duration>, bytes: Option<u64>) -> Rule {
    Rule { channels: channels.parse().unwrap(), age, bytes }
}

#[tokio::test]
async fn a_month_keeps_what_the_rules_say_and_the_file_stays_small() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let week = Duration::from_secs(7 * 24 * 3_600);
    let mut store = TestStore::with(|settings| {
        settings.clock = || Timestamp(NOW.load(Ordering::Relaxed));
        settings.recovery_bytes = 10_000;
        settings.retention = vec![
            rule("telemetry/forever", None, None),
            rule("state/#", None, Some(30_000)),
            rule("telemetry/#", Some(week), None),
        ];
    });
    let mut greatest = 0;
    for day in 0..30 {
        for channel in ["telemetry/a", "telemetry/forever", "state/a", "alerts/info/x"] {
            store.fill(channel, 1_440, day * DAY).await;
        }
        NOW.store((day + 1) * DAY, Ordering::Relaxed);
        store.handle().settled().await.unwrap();
        if day == 15 {
            greatest = store.await_number("PRAGMA page_count", |_| true);
        }
    }
    let count = |channel: &str| {
        let sql = format!(
            "SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM block
            JOIN channel ON channel.id = block.channel WHERE name = '{channel}'"
        );
        store.await_number(&sql, |_| true)
    };
    let oldest = "SELECT min(max_ts) FROM block JOIN channel ON channel.id = block.channel
        WHERE name = 'telemetry/a'";
    store.await_number(oldest, |at| at >= 23 * DAY);
    let bytes = "SELECT sum(bytes) FROM block JOIN channel ON channel.id = block.channel
        WHERE name = 'state/a'";
    store.await_number(bytes, |bytes| bytes <= 30_000);
    assert!(count("telemetry/a") >= 6 * 1_440, "{}", count("telemetry/a"));
    assert!(count("alerts/info/x") > 28 * 1_440);
    let handle = store.handle();
    assert_eq!(handle.newest(name("telemetry/forever"), 100_000).await.unwrap().len(), 30 * 1_440);
    let pages = store.await_number("PRAGMA page_count", |_| true);
    assert!(pages < greatest * 2, "{pages} pages after {greatest}");
    let mut store = TestStore::open(store.close(), |_| {});
    assert!(store.restored.channels.iter().any(|channel| channel.pruned_seq.0 > 0));
    store.fill("telemetry/a", 1, 31 * DAY).await;
}

#[tokio::test]
async fn a_channel_of_few_updates_loses_those_that_are_too_old() {
    static NOW: AtomicI64 = AtomicI64::new(100 * DAY);
    let hour = hour_of_telemetry(|| Timestamp(NOW.load(Ordering::Relaxed)));
    let mut store = TestStore::with(hour);
    for _ in 0..48 {
        let now = NOW.fetch_add(30 * MINUTE, Ordering::Relaxed) + 30 * MINUTE;
        store.fill("telemetry/slow", 1, now).await;
        let past = store.handle().newest(name("telemetry/slow"), 100).await.unwrap();
        assert!(past.iter().all(|(stamp, _)| stamp.timestamp.0 >= now - HOUR));
        assert!((1..=3).contains(&past.len()), "{}", past.len());
    }
    // The disk follows, the log too: nothing is there that came before this.
    let since = NOW.load(Ordering::Relaxed) - HOUR - HOUR / 8;
    let oldest = "SELECT coalesce(min(min_ts), 0) FROM block";
    store.await_number(oldest, |at| at == 0 || at >= since);
    store.await_number("SELECT count(*) FROM log", |rows| rows <= 3);
}

#[tokio::test]
async fn a_channel_that_is_silent_keeps_its_value_alone() {
    static NOW: AtomicI64 = AtomicI64::new(100 * DAY);
    let hour = hour_of_telemetry(|| Timestamp(NOW.load(Ordering::Relaxed)));
    let mut store = TestStore::with(&hour);
    store.fill("telemetry/a", 2, 100 * DAY).await;
    let mut store = TestStore::open(store.close(), &hour);
    NOW.fetch_add(2 * HOUR, Ordering::Relaxed);
    store.await_number("SELECT count(*) FROM log", |rows| rows == 0);
    store.await_number("SELECT count(*) FROM block", |blocks| blocks == 0);
    assert!(store.handle().newest(name("telemetry/a"), 9).await.unwrap().is_empty());
    let all = || vec!["#".parse().unwrap()];
    let gone = store.handle().log(Offset(1), all(), 1_000).await;
    assert_eq!(gone.unwrap_err(), ReadError::Gone, "who resumes is told");
    store = TestStore::open(store.close(), &hour);
    let kept = &store.restored.channels[0];
    assert_eq!((kept.seq.0, kept.value.as_ref().unwrap().text()), (2, r#"{"n":1}"#));
    store.fill("telemetry/a", 1, 100 * DAY + 2 * HOUR).await;
    assert_eq!(store.handle().log(Offset(2), all(), 1_000).await.unwrap().updates.len(), 1);
}

#[tokio::test]
async fn history_has_nothing_that_was_too_old_when_it_came_but_who_resumes_has() {
    let mut store = TestStore::with(hour_of_telemetry(|| Timestamp(100 * DAY)));
    store.fill("telemetry/a", 1, 100 * DAY - 2 * HOUR).await;
    store.fill("telemetry/a", 1, 100 * DAY).await;
    store.fill("state/a", 1, 0).await;
    let handle = store.handle();
    let (from, to) = (Timestamp(0), Timestamp(200 * DAY));
    let between = handle.between(name("telemetry/a"), from, to, None, 9).await.unwrap();
    let newest = handle.newest(name("telemetry/a"), 9).await.unwrap();
    assert_eq!((between.len(), newest.len()), (1, 1));
    assert_eq!(handle.newest(name("state/a"), 9).await.unwrap().len(), 1, "for good");
    let log = handle.log(Offset(0), vec!["#".parse().unwrap()], 1_000).await.unwrap();
    assert_eq!(log.updates.len(), 3);
}

#[tokio::test]
async fn many_channels_whose_clocks_differ_have_few_blocks() {
    static NOW: AtomicI64 = AtomicI64::new(100 * DAY);
    let hour = hour_of_telemetry(|| Timestamp(NOW.load(Ordering::Relaxed)));
    let mut store = TestStore::with(|settings| {
        hour(settings);
        // Each commit has all but the last channels folded.
        settings.recovery_bytes = 1_000;
    });
    for minute in 0..180 {
        let now = NOW.fetch_add(MINUTE, Ordering::Relaxed);
        let behind = (minute % 2) * 50 * MINUTE;
        for device in 0..20 {
            let channel = format!("telemetry/d{device}");
            let update = store.numbers.update(&channel, now - behind, r#"{"n":1}"#);
            store.keep(vec![update]);
        }
        store.handle().settled().await.unwrap();
    }
    // Not one for each of 60 updates: one for each eighth of an hour.
    let most = "SELECT max(blocks) FROM (SELECT count(*) AS blocks FROM block GROUP BY channel)";
    store.await_number(most, |blocks| (1..=12).contains(&blocks));
}

#[tokio::test]
async fn a_clock_that_was_put_back_does_not_end_retention() {
    static NOW: AtomicI64 = AtomicI64::new(900 * DAY);
    let hour = hour_of_telemetry(|| Timestamp(NOW.load(Ordering::Relaxed)));
    let mut store = TestStore::with(hour);
    for now in [900 * DAY, 100 * DAY] {
        NOW.store(now, Ordering::Relaxed);
        store.fill("telemetry/a", 600, 0).await;
        // The next round.
        NOW.store(now + 2 * MINUTE, Ordering::Relaxed);
        store.await_number("SELECT count(*) FROM block", |blocks| blocks == 0);
    }
}

#[tokio::test]
async fn a_block_that_takes_more_in_spans_no_longer_time() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    let mut store = TestStore::with(|settings| {
        settings.clock = || Timestamp(NOW.load(Ordering::Relaxed));
        // What is in the log for fifty minutes is folded; a block spans an hour.
        settings.retention =
            vec![rule("state/#", minutes(44), None), rule("telemetry/#", minutes(8 * 60), None)];
    });
    let folded = "SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM block";
    store.fill("telemetry/slow", 1, 0).await;
    NOW.store(55 * MINUTE, Ordering::Relaxed);
    store.await_number(folded, |updates| updates == 1);
    for minute in [55, 100] {
        NOW.store(minute * MINUTE, Ordering::Relaxed);
        store.fill("telemetry/slow", 1, minute * MINUTE).await;
    }
    NOW.store(110 * MINUTE, Ordering::Relaxed);
    store.await_number(folded, |updates| updates == 3);
    let longest = store.await_number("SELECT max(max_ts - min_ts) FROM block", |_| true);
    assert!(longest <= HOUR, "{longest}");
}
