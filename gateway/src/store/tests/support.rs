//! A store in a directory that is removed with it, and updates as the hub would number them.

use super::super::{Batch, Database, Restored, Row, Settings, StoreHandle, open};
use bridge::{
    data::{Data, Metrics},
    update::{ChannelKind, Stamp, Update},
};
use protocol::{Offset, Seq, Timestamp, TopicName};
use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Numbers updates as the hub does.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    pub(crate) offset: u64,
    seqs: HashMap<String, u64>,
    floor: u64,
}

impl Numbers {
    pub(crate) fn after(restored: &Restored) -> Self {
        let seqs =
            restored.channels.iter().map(|channel| (channel.name.to_string(), channel.seq.0));
        Self {
            offset: restored.last_offset.0,
            seqs: seqs.collect(),
            floor: restored.new_channels_after.0,
        }
    }

    /// The next update of `channel`.
    pub(crate) fn update(&mut self, channel: &str, at: i64, json: &str) -> Arc<Update> {
        self.offset += 1;
        let seq = self.seqs.entry(channel.into()).or_insert(self.floor);
        *seq += 1;
        let stamp = Stamp { seq: Seq(*seq), offset: Offset(self.offset), timestamp: Timestamp(at) };
        let kind = ChannelKind::of(channel);
        let data = match kind {
            ChannelKind::Telemetry => Data::Metrics(Metrics::parse(json).expect("metrics")),
            ChannelKind::Topics | ChannelKind::Stats | ChannelKind::Whole => {
                Data::of(&serde_json::from_str::<serde_json::Value>(json).expect("JSON"))
            }
        };
        Arc::new(Update::new(name(channel), kind, stamp, data))
    }
}

/// A store and the directory it is in.
pub(crate) struct TestStore {
    pub(crate) database: Database,
    pub(crate) restored: Restored,
    pub(crate) numbers: Numbers,
    pub(crate) dir: TempDir,
}

pub(crate) fn settings(dir: &Path) -> Settings {
    Settings::new(dir.into())
}

impl TestStore {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::open(tempfile::tempdir().expect("a directory"), change)
    }

    pub(crate) fn open(dir: TempDir, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(dir.path());
        change(&mut settings);
        let (database, restored) = open(settings).expect("it opens");
        Self { database, numbers: Numbers::after(&restored), restored, dir }
    }

    /// Ends in order.
    pub(crate) fn close(self) -> TempDir {
        self.database.close(Offset(self.numbers.offset)).expect("the disk is fine");
        self.dir
    }

    /// Ends as a crash does, but with everything committed.
    pub(crate) fn crash(self) -> TempDir {
        drop(self.database);
        self.dir
    }

    pub(crate) fn reopen(self) -> Self {
        Self::open(self.close(), |_| {})
    }

    pub(crate) fn handle(&self) -> StoreHandle {
        self.database.handle()
    }

    pub(crate) fn keep(&self, updates: Vec<Arc<Update>>) {
        self.keep_with(updates, Vec::new());
    }

    pub(crate) fn keep_with(&self, updates: Vec<Arc<Update>>, rows: Vec<Row>) {
        let through = Offset(self.numbers.offset);
        self.handle().keep(Batch { updates, rows, receipts: Vec::new(), through });
    }

    /// Keeps `count` updates `{"n":0}`, `{"n":1}` … of `channel`, a second apart from `at` on, and waits
    /// until they are stored.
    pub(crate) async fn fill(&mut self, channel: &str, count: i64, at: i64) -> Vec<Arc<Update>> {
        let numbers = &mut self.numbers;
        let updates: Vec<_> = (0..count)
            .map(|n| numbers.update(channel, at + n * 1_000, &format!(r#"{{"n":{n}}}"#)))
            .collect();
        for batch in updates.chunks(100) {
            self.keep(batch.to_vec());
        }
        self.handle().settled().await.expect("it is stored");
        updates
    }

    /// Waits until `sql` gives what `wanted` takes; looks with a connection of its own.
    pub(crate) fn await_number(&self, sql: &str, wanted: impl Fn(i64) -> bool) -> i64 {
        let deadline = Instant::now() + Duration::from_secs(20);
        let connection = super::super::file::read_only(&self.dir.path().join("sluice.db"));
        let connection = connection.expect("it opens");
        loop {
            let number: i64 = connection.query_one(sql, [], |row| row.get(0)).expect("a number");
            if wanted(number) {
                return number;
            }
            assert!(Instant::now() < deadline, "{sql} is still {number}");
            std::thread::yield_now();
        }
    }
}

pub(crate) fn name(channel: &str) -> TopicName {
    channel.parse().expect("a valid name")
}

pub(crate) fn texts(updates: &[Arc<Update>]) -> Vec<&str> {
    updates.iter().map(|update| update.text()).collect()
}
