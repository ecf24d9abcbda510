//! Reads: each against a plain list of all that was kept.

use super::{
    super::{Past, ReadError},
    support::{TestStore, name, texts},
};
use bridge::update::{Stamp, Update};
use protocol::{Offset, Seq, Timestamp, TopicFilter};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::sync::Arc;

fn filters(filter: &str) -> Vec<TopicFilter> {
    vec![filter.parse().unwrap()]
}

fn json(update: &Update) -> String {
    update.data.text().into()
}

fn rows(past: &Past) -> Vec<(Stamp, String)> {
    past.iter().map(|(stamp, json)| (stamp, json.into())).collect()
}

/// Thousands of updates of some channels, their device times out of order.
async fn filled() -> (TestStore, Vec<Arc<Update>>) {
    let mut store = TestStore::with(|settings| settings.recovery_bytes = 40_000);
    let mut random = StdRng::seed_from_u64(7);
    let mut all = Vec::new();
    for n in 0..6_000_i64 {
        let channel = ["telemetry/a", "telemetry/b", "state/a", "alerts/info/a"]
            [usize::from(n % 10 == 3) + usize::from(n % 50 == 7) * 2];
        let at = n * 100 - random.random_range(0..3_000);
        let update = store.numbers.update(channel, at, &format!(r#"{{"n":{n},"x":"é\"{n}"}}"#));
        all.push(update);
    }
    for batch in all.chunks(77) {
        store.keep(batch.to_vec());
        store.handle().settled().await.unwrap();
    }
    (store, all)
}

fn of<'a>(all: &'a [Arc<Update>], channel: &str) -> Vec<&'a Arc<Update>> {
    all.iter().filter(|update| update.channel.as_str() == channel).collect()
}

#[tokio::test]
async fn every_update_is_read_back_by_time_page_by_page() {
    let (mut store, all) = filled().await;
    for _ in 0..2 {
        for channel in ["telemetry/a", "telemetry/b", "state/a"] {
            let (from, to) = (Timestamp(50_000), Timestamp(470_000));
            let mut expected: Vec<_> = of(&all, channel)
                .into_iter()
                .filter(|update| (from..to).contains(&update.stamp.timestamp))
                .map(|update| (update.stamp, json(update)))
                .collect();
            expected.sort_by_key(|(stamp, _)| (stamp.timestamp, stamp.seq));
            let mut read = Vec::new();
            let mut cursor = None;
            loop {
                let page = store.handle().between(name(channel), from, to, cursor, 333).await;
                let page = page.unwrap();
                read.extend(rows(&page));
                cursor = read.last().map(|(stamp, _)| (stamp.timestamp, stamp.seq));
                assert!(page.len() <= 333);
                if page.at_end {
                    break;
                }
            }
            assert_eq!(read, expected, "{channel}");
        }
        store = TestStore::open(store.close(), |settings| settings.recovery_bytes = 40_000);
    }
}

#[tokio::test]
async fn the_newest_are_the_last_by_number() {
    let (store, all) = filled().await;
    for (channel, count) in [("telemetry/a", 1), ("telemetry/a", 2_000), ("state/a", 10_000)] {
        let given = of(&all, channel);
        let from = given.len().saturating_sub(count);
        let mut expected: Vec<_> =
            given[from..].iter().map(|update| (update.stamp, json(update))).collect();
        expected.sort_by_key(|(stamp, _)| (stamp.timestamp, stamp.seq));
        let past = store.handle().newest(name(channel), count).await.unwrap();
        assert_eq!(rows(&past), expected, "{count} of {channel}");
        assert_eq!(past.through, Offset(6_000));
    }
    assert!(store.handle().newest(name("telemetry/unknown"), 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_range_is_whole_where_nothing_is_missing() {
    let (mut store, all) = filled().await;
    let given = of(&all, "telemetry/a");
    let last = given.len() as u64;
    for (from, to) in [(1, last), (1, 1), (500, 530), (last - 3, last), (last, last)] {
        let mut read = Vec::new();
        loop {
            let next = Seq(from + read.len() as u64);
            let page = store.handle().range(name("telemetry/a"), next, Seq(to), 20_000).await;
            let page = page.unwrap();
            read.extend(page.updates);
            if page.at_end {
                break;
            }
        }
        let expected: Vec<_> =
            given[from as usize - 1..to as usize].iter().map(|update| update.text()).collect();
        assert_eq!(texts(&read), expected, "{from} to {to}");
    }
    // What was just given is waited for.
    let update = store.numbers.update("telemetry/a", 5, r#"{"n":1}"#);
    store.keep(vec![update]);
    let next = Seq(last + 1);
    let page = store.handle().range(name("telemetry/a"), next, next, 100).await.unwrap();
    assert_eq!(page.updates.len(), 1);
    let beyond = store.handle().range(name("telemetry/a"), next, Seq(last + 2), 100).await;
    assert_eq!(beyond.unwrap_err(), ReadError::Gone);
}

#[tokio::test]
async fn the_log_gives_what_came_after_an_offset_or_says_that_it_is_gone() {
    let (store, all) = filled().await;
    // Some of it went to keep the log within its bound, all of it into blocks.
    store.await_number("SELECT min(first) FROM log", |first| first > 1);
    let first = store.await_number("SELECT sum(length(body)) FROM log", |bytes| bytes <= 40_000);
    assert!(first > 10_000, "the log keeps what it may");
    let pruned = store.await_number("SELECT log_pruned FROM meta", |_| true) as u64;
    for (filter, after) in [("#", pruned), ("telemetry/b", pruned), ("+/a", 5_800), ("#", 6_000)] {
        let mut read = Vec::new();
        let mut next = Offset(after);
        loop {
            let page = store.handle().log(next, filters(filter), 3_000).await.unwrap();
            read.extend(page.updates);
            next = page.through;
            if page.at_end {
                break;
            }
        }
        let filter: TopicFilter = filter.parse().unwrap();
        let expected: Vec<_> = all
            .iter()
            .filter(|update| update.stamp.offset.0 > after)
            .filter(|update| filter.matches(update.channel.as_str()))
            .map(|update| update.text())
            .collect();
        assert_eq!(texts(&read), expected, "{filter} after {after}");
        assert_eq!(next, Offset(6_000));
    }
    let gone = store.handle().log(Offset(pruned - 1), filters("#"), 1_000).await;
    assert_eq!(gone.unwrap_err(), ReadError::Gone);
}

#[tokio::test]
async fn a_slow_channel_does_not_leave_a_block_for_every_few_updates() {
    let mut store = TestStore::with(|settings| settings.recovery_bytes = 2_000);
    for round in 0..60 {
        store.fill("telemetry/slow", 2, round * 10_000).await;
        store.fill("telemetry/fast", 200, round * 10_000).await;
    }
    let sql = "SELECT count(*) FROM block JOIN channel ON channel.id = block.channel
        WHERE name = 'telemetry/slow'";
    assert_eq!(store.await_number(sql, |_| true), 1);
    assert_eq!(store.handle().newest(name("telemetry/slow"), 500).await.unwrap().len(), 120);
}

#[tokio::test]
async fn numbers_of_what_is_not_kept_are_settled_too() {
    let mut store = TestStore::new();
    store.fill("telemetry/a", 3, 0).await;
    store.numbers.offset = 50;
    store.keep(Vec::new());
    let handle = store.handle();
    handle.settled().await.unwrap();
    assert_eq!(handle.newest(name("telemetry/a"), 9).await.unwrap().through, Offset(50));
    let filters = || vec!["#".parse().unwrap()];
    assert_eq!(handle.log(Offset(20), filters(), 100).await.unwrap().through, Offset(50));
    let store = store.reopen();
    let handle = store.handle();
    assert_eq!(handle.newest(name("telemetry/a"), 9).await.unwrap().through, Offset(50));
    assert_eq!(handle.log(Offset(20), filters(), 100).await.unwrap().through, Offset(50));
}
