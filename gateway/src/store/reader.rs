//! The reader thread: answers one question after the other from a connection of its own, so that no read
//! holds up a commit, nor a worker of the runtime.

use super::{
    KeyAndBody, ReadError, RowsWanted, Shared, error::Place, live::Live, open::is_damage,
    record::Damage, row,
};
use bridge::update::{Stamp, Update};
use protocol::{Offset, Seq, Timestamp, TopicFilter, TopicName};
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering, mpsc},
};
use tokio::sync::oneshot;

/// Updates of the log, in order.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The updates.
    pub updates: Vec<Arc<Update>>,
    /// The next page begins after this offset.
    pub through: Offset,
    /// Whether there is nothing more now.
    pub at_end: bool,
}

/// Updates of one channel, by number.
#[derive(Clone, Debug)]
pub struct RangePage {
    /// The updates.
    pub updates: Vec<Arc<Update>>,
    /// Whether these are all that were asked for; if not, the next page begins after the last of them.
    pub at_end: bool,
}

/// Updates of one channel, by time: the timestamp, then the number.
#[derive(Clone, Debug, Default)]
pub struct Past {
    pub(super) rows: Vec<PastRow>,
    pub(super) text: String,
    /// Newer updates than this offset were not stored yet.
    pub through: Offset,
    /// Whether these are all that were asked for; if not, more come after the last of them.
    pub at_end: bool,
}

/// One of them; its JSON is `text[start..end]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PastRow {
    pub(super) stamp: Stamp,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Past {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bytes of JSON they are.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Each update's place and its data as JSON.
    #[expect(clippy::string_slice, reason = "the rows were made from whole texts")]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Stamp, &str)> {
        self.rows.iter().map(|row| (row.stamp, &self.text[row.start..row.end]))
    }
}

/// A question, and where the answer goes.
#[derive(Debug)]
pub(super) enum Request {
    Log {
        after: Offset,
        filters: Vec<TopicFilter>,
        bytes_max: usize,
        reply: Reply<LogPage>,
    },
    Range {
        channel: TopicName,
        from: Seq,
        to: Seq,
        bytes_max: usize,
        reply: Reply<RangePage>,
    },
    Newest {
        channel: TopicName,
        count: usize,
        reply: Reply<Past>,
    },
    Between {
        channel: TopicName,
        from: Timestamp,
        to: Timestamp,
        cursor: Option<(Timestamp, Seq)>,
        limit: usize,
        reply: Reply<Past>,
    },
    Rows {
        wanted: RowsWanted,
        reply: Reply<Vec<KeyAndBody>>,
    },
    /// The store ends.
    End,
}

type Reply<T> = oneshot::Sender<Result<T, ReadError>>;

/// The one who reads.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Mutex<Live>>,
    pub(super) path: PathBuf,
    /// The wall clock.
    pub(super) clock: fn() -> Timestamp,
}

/// Why something cannot be read, before it is known which file it is in.
#[derive(Debug)]
pub(super) enum Unread {
    Gone,
    Damaged(Place, Damage),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Reader {
    /// Answers until it shall end.
    pub(super) fn run(self, asked: &mpsc::Receiver<Request>) {
        while let Ok(request) = asked.recv() {
            match request {
                Request::Log { after, filters, bytes_max, reply } => {
                    self.answer(reply, |reader| reader.log(after, &filters, bytes_max));
                }
                Request::Range { channel, from, to, bytes_max, reply } => {
                    self.answer(reply, |reader| reader.range(&channel, (from, to), bytes_max));
                }
                Request::Newest { channel, count, reply } => {
                    self.answer(reply, |reader| reader.newest(&channel, count));
                }
                Request::Between { channel, from, to, cursor, limit, reply } => {
                    let between = (from, to, cursor);
                    self.answer(reply, |reader| reader.between(&channel, between, limit));
                }
                Request::Rows { wanted, reply } => {
                    self.answer(reply, |reader| reader.rows(&wanted));
                }
                Request::End => return,
            }
        }
    }

    fn rows(&self, wanted: &RowsWanted) -> Result<Vec<KeyAndBody>, Unread> {
        row::read(&self.connection, wanted)?.map_err(|damage| Unread::Damaged(Place::Index, damage))
    }

    /// The channels in memory.
    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        // Nothing that holds it panics half way through a change.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `read` on one state of the database, if somebody still waits for it.
    fn answer<T>(&self, reply: Reply<T>, read: impl FnOnce(&Self) -> Result<T, Unread>) {
        if reply.is_closed() {
            return;
        }
        let answer = read(self).map_err(|unread| self.named(unread));
        let _asker_may_be_gone = reply.send(answer);
    }

    fn named(&self, unread: Unread) -> ReadError {
        match unread {
            Unread::Gone => ReadError::Gone,
            Unread::Damaged(place, damage) => self.damaged(place, damage),
            Unread::Sqlite(error) if is_damage(&error) => {
                self.damaged(Place::Index, Damage(format!("SQLite says: {error}")))
            }
            Unread::Sqlite(error) => ReadError::Failed(error.to_string()),
        }
    }

    fn damaged(&self, place: Place, damage: Damage) -> ReadError {
        self.shared.damaged_reads.fetch_add(1, Ordering::Relaxed);
        tracing::error!(path = %self.path.display(), %place, what = %damage, "damaged: not served");
        ReadError::Damaged { path: self.path.clone(), place, what: damage.0 }
    }
}

impl Shared {
    /// Counts and logs a block that the writer found damaged.
    pub(super) fn note_damage(&self, channel: &TopicName, damage: &Damage) {
        self.damaged_reads.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%channel, what = %damage, "the channel's last block is damaged: left as it is");
    }
}
