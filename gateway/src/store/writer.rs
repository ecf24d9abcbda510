//! The writer thread: commits what waits, folds, lets go of what is old, and keeps trying when the disk
//! fails.

use super::{
    NotStored, Settings, Shared,
    file::{Opened, WAL, with_end},
    inbox::Work,
    live::Live,
    pending::{Ending, Health, Rounds, Taken},
    record::Packer,
    retention::Round,
    schema::{self, Meta, Synchronous},
};
use protocol::{Offset, Timestamp};
use rusqlite::Connection;
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Instant,
};

/// The one who writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Mutex<Live>>,
    pub(super) settings: Settings,
    pub(super) path: PathBuf,
    pub(super) opened: Opened,
    /// Why nothing is written: the files are not where they were.
    pub(super) out_of_place: Option<String>,
    pub(super) packer: Packer,
    pub(super) meta: Meta,
    pub(super) log: Log,
    /// The round of retention that is under way.
    pub(super) round: Option<Round>,
    /// When the last one began.
    pub(super) round_began: Option<Timestamp>,
}

/// What the log has, so that it can be kept within its bound.
#[derive(Debug, Default)]
pub(super) struct Log {
    rows: VecDeque<LogRow>,
    bytes: u64,
    /// The last offset in it, or that was in it.
    pub(super) last: Offset,
}

/// A row of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogRow {
    pub(super) first: Offset,
    pub(super) last: Offset,
    pub(super) bytes: u64,
    /// When it was written.
    pub(super) at: Timestamp,
}

impl Log {
    /// Takes in a row behind all others.
    pub(super) fn push(&mut self, row: LogRow) {
        self.bytes += row.bytes;
        self.last = row.last;
        self.rows.push_back(row);
    }

    /// The first of its rows.
    pub(super) fn oldest(&self) -> Option<&LogRow> {
        self.rows.front()
    }

    /// When the last of its rows was written.
    pub(super) fn newest_at(&self) -> Option<Timestamp> {
        Some(self.rows.back()?.at)
    }

    /// The oldest rows that must go for the log to have `bytes_max` bytes and none that `is_expired`, at most `count`.
    pub(super) fn excess(
        &self,
        bytes_max: u64,
        is_expired: impl Fn(&LogRow) -> bool,
        count: usize,
    ) -> Vec<LogRow> {
        let mut excess = self.bytes.saturating_sub(bytes_max);
        let too_old = |row: &&LogRow| {
            let goes = excess > 0 || is_expired(row);
            excess = excess.saturating_sub(row.bytes);
            goes
        };
        self.rows.iter().take(count).take_while(too_old).copied().collect()
    }

    /// Lets go of everything up to `offset`.
    pub(super) fn forget(&mut self, offset: Offset) {
        while let Some(row) = self.rows.pop_front_if(|row| row.last <= offset) {
            self.bytes -= row.bytes;
        }
    }
}

impl Writer {
    /// Works until it shall end.
    ///
    /// # Errors
    /// [`NotStored`] when the end is not recorded: the next start takes it for a crash.
    pub(super) fn run(mut self) -> Result<(), NotStored> {
        let mut rounds = Rounds { committed: None, health: Health::Well, ticked: Instant::now() };
        loop {
            match self.shared.inbox.next(&rounds) {
                Work::Commit(taken) => {
                    rounds.committed = Some(Instant::now());
                    rounds.health = match self.commit(taken) {
                        Ok(()) => Health::Well,
                        Err(Refused { ending: Some(_), why }) => return Err(NotStored(why.into())),
                        Err(Refused { ending: None, .. }) => Health::Failing,
                    };
                }
                Work::Tick { through, settled } => {
                    rounds.ticked = Instant::now();
                    self.live().note_committed(settled);
                    rounds.health = self.tick(through, rounds.health);
                }
                Work::End(Ending::Clean(last)) => return self.finish(last),
                Work::End(Ending::Abandoned) => return Ok(()),
            }
            if rounds.health == Health::Well {
                self.look_after();
            }
        }
    }

    /// The channels in memory.
    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        // Nothing that holds it panics half way through a change.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Commits what waits. What cannot be is put back.
    fn commit(&mut self, taken: Taken) -> Result<(), Refused> {
        let written = match &self.out_of_place {
            Some(why) => Err(why.clone()),
            None => self.write(&taken).map_err(|error| error.to_string()),
        };
        match written {
            Ok(()) => {
                self.note_well();
                let through = taken.through;
                taken.into_receipts().for_each(|receipt| receipt.tell(Ok(())));
                self.reserve(through);
                Ok(())
            }
            Err(why) => {
                self.note_failing(&why);
                Err(Refused { ending: self.shared.inbox.put_back(taken, &why), why })
            }
        }
    }

    /// Keeps the reserve of numbers well ahead of those that are given out.
    fn reserve(&mut self, through: Offset) {
        if through.0 + RESERVE / 2 < self.meta.reserved.0 {
            return;
        }
        let meta = Meta { reserved: Offset(through.0 + RESERVE), ..self.meta.clone() };
        let afterwards = self.synchronous();
        match schema::synced(&mut self.connection, afterwards, |transaction| {
            meta.write(transaction)
        }) {
            Ok(()) => self.meta = meta,
            Err(error) => self.note_failing(&error.to_string()),
        }
    }

    fn synchronous(&self) -> Synchronous {
        self.settings.survives.into()
    }

    /// Looks round; whether the store is well then.
    fn tick(&mut self, through: Offset, health: Health) -> Health {
        let was_out_of_place = self.out_of_place.is_some();
        self.out_of_place = self.opened.check().err();
        if let Some(why) = &self.out_of_place {
            self.note_failing(why);
            return Health::Failing;
        }
        self.reserve(through);
        let size = |end| std::fs::metadata(with_end(&self.path, end)).map_or(0, |file| file.len());
        self.shared.file_bytes.store(size("") + size(WAL), Ordering::Relaxed);
        if was_out_of_place { Health::Well } else { health }
    }

    /// The work that nobody waits for, a little at a time.
    fn look_after(&mut self) {
        match self.fold_and_shrink().and_then(|()| self.let_go()) {
            Ok(()) => self.note_well(),
            Err(error) => self.note_failing(&error.to_string()),
        }
    }

    fn note_failing(&self, why: &str) {
        let mut failing = self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.is_none() {
            let path = self.path.display();
            tracing::error!(%path, error = why, "the store fails: live data flows, nothing is kept");
        }
        *failing = Some(why.into());
    }

    fn note_well(&self) {
        let mut failing = self.shared.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.take().is_some() {
            tracing::info!(path = %self.path.display(), "the store keeps again");
        }
    }

    /// Records that the end was in order, and leaves one file behind.
    fn finish(mut self, last: Offset) -> Result<(), NotStored> {
        self.opened.check().map_err(|why| NotStored(why.into()))?;
        let last = last.max(self.live().committed());
        let meta = Meta { clean: Some(last), ..self.meta.clone() };
        let afterwards = self.synchronous();
        schema::synced(&mut self.connection, afterwards, |transaction| meta.write(transaction))
            .map_err(|error| NotStored(error.to_string().into()))?;
        if let Err(error) = schema::leave_no_log(&self.connection) {
            tracing::warn!(%error, "the write-ahead log stays: the next start takes it up");
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Also when it panics: nobody may wait for a commit that will not come.
        self.shared.inbox.abandon();
    }
}

/// How many offsets are reserved at once; renewed when half are used.
pub(super) const RESERVE: u64 = 1 << 32;

/// A commit failed.
struct Refused {
    /// The store was to end after it.
    ending: Option<Ending>,
    why: String,
}
