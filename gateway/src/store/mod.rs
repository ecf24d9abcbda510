//! Where what must survive is kept: the updates of all channels, rows of other kinds, the gateway's numbers.
//!
//! [`open`] gives a [`Database`] and what it [`Restored`]. Its [`StoreHandle`] takes [`Batch`]es without
//! ever waiting ([`StoreHandle::keep`]) and reads the past: everything after an offset
//! ([`StoreHandle::log`]), a range of one channel's numbers ([`StoreHandle::range`]), its newest updates
//! ([`StoreHandle::newest`]), a time ([`StoreHandle::between`]), rows by
//! their keys ([`StoreHandle::rows`]). [`Database::close`] ends it in order;
//! [`recover`] salvages a damaged one. Who waits for a batch gives it a [`Receipt`].
//!
//! Inside: one `writer` thread that commits what waits (`pending`) and one `reader` thread, each with its
//! own connection to one SQLite file. An update lies in the log first (`commit`: one body a commit, all
//! channels, for who resumes) and then in a block of its channel (`fold`: for who asks for history), a [`Row`] under its key (`row`);
//! `live` holds what is in no block yet. `record` packs, `schema` has the tables, `retention` lets go, `aside` takes what nobody
//! understands.
//! No other module knows SQLite.

mod aside;
mod block;
mod commit;
mod error;
mod file;
mod fold;
mod gap;
mod gather;
mod inbox;
mod lend;
mod live;
mod open;
mod pending;
mod reader;
mod reading;
mod receipt;
mod record;
mod recover;
mod restore;
mod retention;
mod row;
mod scan;
mod schema;
mod stored;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

pub use aside::set_aside;
pub use error::{NotStored, OpenError, Place, ReadError};
pub use gap::{Gap, GapReason};
pub use gather::Gathering;
pub use open::{Database, is_in_use, look, open};
pub use reader::{LogPage, Past, RangePage};
pub use receipt::Receipt;
pub use recover::{EpochAfter, Report, Salvaged, recover};
pub use restore::{Restored, RestoredChannel};
pub use row::{KeyAndBody, Order, Row, Rows, RowsWanted, StoredRow, Table};

use crate::rhythm::Cue;
use bridge::update::{Stamp, Update};
use inbox::Inbox;
use protocol::{Offset, Seq, StoreFigures, StoreState, Timestamp, TopicFilter, TopicName};
use reader::Request;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64, atomic::Ordering, mpsc},
    time::Duration,
};
use tokio::sync::oneshot;

/// What the store needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of its files.
    pub dir: PathBuf,
    /// What an acknowledged update must survive.
    pub survives: Survives,
    /// How long updates are kept: the first rule whose channels match; where none does, for good.
    pub retention: Vec<Rule>,
    /// The bytes of the log, packed: how far back who resumes can go.
    pub recovery_bytes: u64,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// The memory for what waits for the disk, in bytes; beyond, the oldest updates are given up. Rows are not: who lets
    /// others make ever new ones asks for room ([`StoreHandle::has_room`]).
    pub pending_bytes: usize,
    /// How much is read before it opens.
    pub checks: Checks,
}

/// How much of a database is read and checked before it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// All but what past updates say: that is checked when it is read.
    Usual,
    /// All: who asks for a recovery wants to know of every damage.
    All,
}

impl Settings {
    /// Settings for `dir` with the usual bounds: nothing is ever let go.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            survives: Survives::KilledProcess,
            retention: Vec::new(),
            recovery_bytes: 64 * 1024 * 1024,
            clock: crate::clock::now,
            pending_bytes: 64 * 1024 * 1024,
            checks: Checks::Usual,
        }
    }
}

/// What an acknowledged update must survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survives {
    /// The end of the process, however it comes: committed, `ingest.ack` "stored" and "accepted".
    KilledProcess,
    /// That of the machine too: synced at each commit, `ingest.ack` "synced".
    PowerCut,
}

/// How long the updates of some channels are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which channels.
    pub channels: TopicFilter,
    /// Older updates go: history has none, by their timestamps; the disk follows within an eighth of it and some minutes.
    pub age: Option<Duration>,
    /// All these channels together keep so many bytes, packed; the oldest go first.
    pub bytes: Option<u64>,
}

/// What the store shall keep, in one commit.
pub struct Batch {
    /// Updates of the kinds that are kept, in the order of their offsets, behind all earlier ones.
    pub updates: Vec<Arc<Update>>,
    /// What is kept under keys from now on; all of a batch in the same commit.
    pub rows: Vec<Row>,
    /// Who waits for it.
    pub receipts: Vec<Receipt>,
    /// The newest offset that was given out, also to updates that are not kept.
    pub through: Offset,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { updates, rows, through, .. } = self;
        let updates = updates.len();
        write!(f, "Batch({updates} updates, {} rows, through {through})", rows.len())
    }
}

/// The way to the store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoreHandle(Arc<Shared>);

/// What handle, writer and reader share.
#[derive(Debug)]
struct Shared {
    inbox: Inbox,
    requests: mpsc::SyncSender<Request>,
    /// Why nothing is stored; none while it is.
    failing: Mutex<Option<Arc<str>>>,
    file_bytes: AtomicU64,
    damaged_reads: AtomicU64,
    /// The most pages the file may have; zero: no bound.
    #[cfg(test)]
    pages_max: std::sync::atomic::AtomicU32,
}

impl StoreHandle {
    /// Keeps rows alone, for which nobody waits.
    pub fn keep_rows(&self, rows: Vec<Row>) {
        let (updates, receipts) = (Vec::new(), Vec::new());
        self.keep(Batch { updates, rows, receipts, through: Offset(0) });
    }

    /// Notes what made a client publish that will wait for a commit: whom it is gathered for decides that.
    pub(crate) fn note(&self, cue: Cue) {
        self.0.inbox.note(cue);
    }

    /// Takes a batch; never waits. Who must know that it is stored adds a receipt.
    pub fn keep(&self, batch: Batch) {
        self.0.inbox.put(batch);
    }

    /// Whether more than is there now may wait for the disk.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.inbox.has_room()
    }

    /// How the store is.
    #[must_use]
    pub fn figures(&self) -> StoreFigures {
        let error = self.0.failing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (pending_updates, lost_updates) = self.0.inbox.counts();
        StoreFigures {
            state: if error.is_some() { StoreState::Failing } else { StoreState::Ok },
            error: error.map(|error| error.to_string()),
            pending_updates,
            lost_updates,
            bytes: self.0.file_bytes.load(Ordering::Relaxed),
        }
    }

    /// How many reads found a part of the database damaged, since the start.
    #[must_use]
    pub fn damaged_reads(&self) -> u64 {
        self.0.damaged_reads.load(Ordering::Relaxed)
    }

    /// Waits until all that was given before is stored, or could not be.
    ///
    /// # Errors
    /// [`NotStored`] when it could not be.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn settled(&self) -> Result<(), NotStored> {
        let (sender, answer) = oneshot::channel();
        let receipt = Receipt::impatient(move |outcome| {
            let _asker_may_be_gone = sender.send(outcome);
        });
        let (updates, rows) = (Vec::new(), Vec::new());
        self.keep(Batch { updates, rows, receipts: vec![receipt], through: Offset(0) });
        answer.await.unwrap_or_else(|_| Err(NotStored("the store is closed".into())))
    }

    /// The kept updates after the offset `after` of channels that any of `filters` matches, in order; some
    /// of them once they are `bytes_max` long, at least one.
    ///
    /// # Errors
    /// [`ReadError::Gone`] when not all of them are kept; otherwise what fails.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn log(
        &self,
        after: Offset,
        filters: Vec<TopicFilter>,
        bytes_max: usize,
    ) -> Result<LogPage, ReadError> {
        self.ask(|reply| Request::Log { after, filters, bytes_max, reply }).await
    }

    /// The updates `from` to `to` of `channel`, both included, in order, as far as they are kept; some of them
    /// once they are `bytes_max` long, at least one.
    ///
    /// # Errors
    /// [`ReadError::Gone`] when none of them is kept; otherwise what fails.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn range(
        &self,
        channel: TopicName,
        from: Seq,
        to: Seq,
        bytes_max: usize,
    ) -> Result<RangePage, ReadError> {
        // What was just said may not be stored yet. Where it cannot be, the read says so.
        let _failing = self.settled().await;
        self.ask(|reply| Request::Range { channel, from, to, bytes_max, reply }).await
    }

    /// The newest `count` stored updates of `channel`.
    ///
    /// # Errors
    /// What fails.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn newest(&self, channel: TopicName, count: usize) -> Result<Past, ReadError> {
        self.ask(|reply| Request::Newest { channel, count, reply }).await
    }

    /// The stored updates of `channel` with timestamps from `from` to before `to`, behind `cursor`, the
    /// first `limit` of them.
    ///
    /// # Errors
    /// What fails.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn between(
        &self,
        channel: TopicName,
        from: Timestamp,
        to: Timestamp,
        cursor: Option<(Timestamp, Seq)>,
        limit: usize,
    ) -> Result<Past, ReadError> {
        self.ask(|reply| Request::Between { channel, from, to, cursor, limit, reply }).await
    }

    /// The rows that are asked for, once all that was given before is stored.
    ///
    /// # Errors
    /// What fails.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn rows(&self, wanted: RowsWanted) -> Result<Vec<KeyAndBody>, ReadError> {
        let _failing = self.settled().await;
        self.ask(|reply| Request::Rows { wanted, reply }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ReadError>>) -> Request,
    ) -> Result<T, ReadError> {
        let (sender, answer) = oneshot::channel();
        self.0.requests.try_send(request(sender)).map_err(|error| match error {
            mpsc::TrySendError::Full(_) => ReadError::Busy,
            mpsc::TrySendError::Disconnected(_) => ReadError::Closed,
        })?;
        answer.await.unwrap_or(Err(ReadError::Closed))
    }
}

/// The place of an update in the order of time: the timestamp, then the number.
const fn in_time(stamp: &Stamp) -> (Timestamp, Seq) {
    (stamp.timestamp, stamp.seq)
}
