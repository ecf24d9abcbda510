//! What is let go, and when.

use super::{
    super::Rule,
    support::{TestStore, name},
};
use protocol::Timestamp;
use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

const DAY: i64 = 24 * 3_600 * 1_000;

static NOW: AtomicI64 = AtomicI64::new(0);

fn rule(channels: &str, age: Option<Duration>, bytes: Option<u64>) -> Rule {
    Rule { channels: channels.parse().unwrap(), age, bytes }
}

#[tokio::test]
async fn a_month_keeps_what_the_rules_say_and_the_file_stays_small() {
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
