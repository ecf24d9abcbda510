//! What waits for the writer: bounded in bytes, and taken by it in pieces that make one commit each.

use super::{Batch, NotStored, Receipt, Row, Table};
use bridge::update::Update;
use protocol::Offset;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long an update or a row may wait for others before it is committed, where nobody waits for it; and how often
/// the writer looks for such, as they do not wake it.
const WAIT: Duration = Duration::from_millis(100);

/// So many bytes are committed without waiting for more; and one commit takes no more.
const COMMIT_BYTES: usize = 1024 * 1024;

/// The least time between two commits of what is not hasty: a device alone never waits for it, a crowd
/// shares commits. Hasty rows wait for nothing, and take along no updates that nobody waits for; those that
/// come during a commit share the next.
const PACE: Duration = Duration::from_millis(4);

/// The least time between two attempts while the disk fails.
const RETRY: Duration = Duration::from_secs(1);

/// How often the writer looks round with nothing to commit.
const TICK: Duration = Duration::from_secs(1);

/// The place where batches wait.
#[derive(Debug)]
pub(super) struct Inbox {
    pending: Mutex<Pending>,
    changed: Condvar,
    bytes_max: usize,
}

/// What the writer takes for one commit.
#[derive(Default)]
pub(super) struct Taken {
    /// Updates in order.
    pub(super) updates: Vec<Arc<Update>>,
    /// The newest row of each key; none: gone.
    pub(super) rows: HashMap<(Table, String), Option<Vec<u8>>>,
    /// What was given up before.
    pub(super) lost: Option<Lost>,
    /// Everybody who waits for the commit.
    pub(super) receipts: Vec<Receipt>,
    /// The newest offset that was given out.
    pub(super) through: Offset,
    /// Once this is committed, everything up to this offset that will ever be stored is.
    pub(super) settled: Offset,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taken").field("updates", &self.updates.len()).finish_non_exhaustive()
    }
}

/// A run of updates that were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) first: Offset,
    pub(super) last: Offset,
}

/// What the writer shall do next.
#[derive(Debug)]
pub(super) enum Work {
    /// Commit this.
    Commit(Taken),
    /// Look round.
    Tick {
        /// The newest offset that was given out.
        through: Offset,
        /// Everything up to this one that will ever be stored is.
        settled: Offset,
    },
    /// End: nothing waits any more.
    End(Ending),
}

/// How the store ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order; the last offset that was given out.
    Clean(Offset),
    /// Its owner went away without a word.
    Abandoned,
}

/// When the writer last did what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// When the last commit began.
    pub(super) committed: Option<Instant>,
    /// Whether it failed.
    pub(super) health: Health,
    /// When it last looked round.
    pub(super) ticked: Instant,
}

/// How the last commit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    Failing,
}

#[derive(Default)]
struct Pending {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    updates: u64,
    rows: HashMap<(Table, String), Option<Vec<u8>>>,
    /// Hasty rows wait that came without updates; these wait for them.
    hasty: Option<Vec<Receipt>>,
    lost: Option<Lost>,
    lost_updates: u64,
    through: Offset,
    /// Since when something waits.
    since: Option<Instant>,
    haste: Haste,
    ending: Option<Ending>,
    writer: Presence,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("updates", &self.updates).finish_non_exhaustive()
    }
}

/// How soon chunks are to be committed; the greatest that is asked for counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Haste {
    /// Nobody waits for it.
    #[default]
    None,
    /// Somebody waits; with a crowd it may share a commit ([`PACE`]).
    Paced,
    /// As soon as the writer is free.
    AtOnce,
}

/// Whether somebody takes what is put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    #[default]
    There,
    Gone,
}

#[derive(Default)]
struct Chunk {
    updates: Vec<Arc<Update>>,
    bytes: usize,
    receipts: Vec<Receipt>,
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chunk").field("updates", &self.updates.len()).finish_non_exhaustive()
    }
}

impl Inbox {
    /// An empty one that gives up the oldest updates beyond `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { pending: Mutex::default(), changed: Condvar::new(), bytes_max }
    }

    /// Takes a batch; never waits.
    pub(super) fn put(&self, batch: Batch) {
        let now = Instant::now();
        let mut pending = self.lock();
        if pending.writer == Presence::Gone {
            drop(pending);
            return refuse(batch.receipts, "the store is closed");
        }
        let slept = pending.asleep();
        pending.put(batch, now);
        let overflown = pending.trim(self.bytes_max);
        let wake = slept != pending.asleep();
        drop(pending);
        if wake {
            self.changed.notify_one();
        }
        refuse(overflown, "more waits than the store may hold");
    }

    /// Puts back what could not be committed, before all that came since; nobody waits for it any more.
    /// Says whether the store is about to end.
    pub(super) fn put_back(&self, taken: Taken) -> Option<Ending> {
        let mut pending = self.lock();
        pending.put_back(taken);
        let overflown = pending.trim(self.bytes_max);
        let ending = pending.ending;
        drop(pending);
        refuse(overflown, "more waits than the store may hold");
        ending
    }

    /// Tells the writer to end when nothing waits any more.
    pub(super) fn end(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
        self.changed.notify_one();
    }

    /// Waits for what the writer shall do next.
    pub(super) fn next(&self, rounds: &Rounds) -> Work {
        let mut pending = self.lock();
        loop {
            let now = Instant::now();
            let due = pending.due(rounds);
            if due.is_some_and(|due| due <= now) {
                return Work::Commit(pending.take(now));
            }
            if let (None, Some(ending)) = (due, pending.ending) {
                return Work::End(ending);
            }
            let tick = rounds.ticked + TICK;
            if tick <= now {
                let settled = pending.settled();
                return Work::Tick { through: pending.through, settled };
            }
            let until = due.unwrap_or(now + WAIT).min(tick);
            let waited = self.changed.wait_timeout(pending, until - now);
            pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives up everything that waits and that comes, for the writer ends.
    pub(super) fn abandon(&self) {
        let mut pending = self.lock();
        pending.writer = Presence::Gone;
        let mut waiting = pending.hasty.take().unwrap_or_default();
        waiting.extend(pending.chunks.drain(..).flat_map(|chunk| chunk.receipts));
        drop(pending);
        refuse(waiting, "the store ends");
    }

    /// How many updates wait, and how many were given up since the start.
    pub(super) fn counts(&self) -> (u64, u64) {
        let pending = self.lock();
        (pending.updates, pending.lost_updates)
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Nothing in here panics half way.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells everybody who waits that it was not stored.
pub(super) fn refuse(receipts: Vec<Receipt>, why: &str) {
    if receipts.is_empty() {
        return;
    }
    let why = NotStored(why.into());
    receipts.into_iter().for_each(|receipt| receipt(Err(why.clone())));
}

impl Pending {
    fn put(&mut self, batch: Batch, now: Instant) {
        let Batch { updates, rows, receipts, through } = batch;
        if !updates.is_empty() || !rows.is_empty() || !receipts.is_empty() {
            self.since.get_or_insert(now);
        }
        let hasty = rows.iter().any(|row| row.table.is_hasty());
        self.through = self.through.max(through);
        for Row { table, key, body } in rows {
            self.rows.insert((table, key), body);
        }
        if hasty && updates.is_empty() {
            self.hasty.get_or_insert_default().extend(receipts);
        } else if !updates.is_empty() || !receipts.is_empty() {
            let haste = match (hasty, receipts.is_empty()) {
                (true, _) => Haste::AtOnce,
                (false, false) => Haste::Paced,
                (false, true) => Haste::None,
            };
            self.haste = self.haste.max(haste);
            let bytes = updates.iter().map(|update| update.weight()).sum();
            self.bytes += bytes;
            self.updates += updates.len() as u64;
            self.chunks.push_back(Chunk { updates, bytes, receipts });
        }
    }

    /// Gives up the oldest chunks beyond `bytes_max`; those who wait for them.
    fn trim(&mut self, bytes_max: usize) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        while self.bytes > bytes_max {
            let Some(chunk) = self.chunks.pop_front() else { break };
            self.forget(&chunk);
            self.lost_updates += chunk.updates.len() as u64;
            if let [first, ..] = &chunk.updates[..]
                && let [.., last] = &chunk.updates[..]
            {
                let lost = Lost { first: first.stamp.offset, last: last.stamp.offset };
                self.lost = Some(Lost::joined(self.lost, lost));
            }
            receipts.extend(chunk.receipts);
        }
        receipts
    }

    fn forget(&mut self, chunk: &Chunk) {
        self.bytes -= chunk.bytes;
        self.updates -= chunk.updates.len() as u64;
    }

    fn take(&mut self, now: Instant) -> Taken {
        let mut taken = Taken {
            rows: std::mem::take(&mut self.rows),
            receipts: self.hasty.take().unwrap_or_default(),
            lost: self.lost.take(),
            through: self.through,
            ..Taken::default()
        };
        let mut bytes = 0;
        let ripe = self.ripe_at().is_some_and(|at| at <= now);
        while ripe
            && let Some(chunk) = self.chunks.front()
            && (bytes == 0 || bytes + chunk.bytes <= COMMIT_BYTES)
            && let Some(chunk) = self.chunks.pop_front()
        {
            bytes += chunk.bytes;
            self.forget(&chunk);
            taken.updates.extend(chunk.updates);
            taken.receipts.extend(chunk.receipts);
        }
        if self.chunks.is_empty() {
            (self.since, self.haste) = (None, Haste::None);
        }
        taken.settled = self.settled();
        taken
    }

    /// Where nothing waits any more: the newest offset that was given out, though its update is not kept.
    fn settled(&self) -> Offset {
        let waits = !self.chunks.is_empty() || self.lost.is_some();
        if waits { Offset(0) } else { self.through }
    }

    fn put_back(&mut self, taken: Taken) {
        for (key, body) in taken.rows {
            self.rows.entry(key).or_insert(body);
        }
        if let Some(lost) = taken.lost {
            self.lost = Some(Lost::joined(self.lost, lost));
        }
        self.since.get_or_insert_with(Instant::now);
        for updates in taken.updates.chunks(CHUNK_UPDATES).rev() {
            let bytes = updates.iter().map(|update| update.weight()).sum();
            self.bytes += bytes;
            self.updates += updates.len() as u64;
            let chunk = Chunk { updates: updates.to_vec(), bytes, receipts: Vec::new() };
            self.chunks.push_front(chunk);
        }
    }

    /// When the writer shall commit; none while nothing waits.
    fn due(&self, rounds: &Rounds) -> Option<Instant> {
        let (ripe_at, since) = (self.ripe_at()?, self.since?);
        let rest = match (rounds.health, self.ending, self.haste) {
            (Health::Well, None, _) if self.hasty.is_some() => return Some(since),
            (_, Some(_), _) | (Health::Well, None, Haste::AtOnce) => return Some(ripe_at),
            (Health::Well, None, Haste::None | Haste::Paced) => PACE,
            (Health::Failing, None, _) => RETRY,
        };
        Some(rounds.committed.map_or(ripe_at, |committed| ripe_at.max(committed + rest)))
    }

    /// From when on a commit takes chunks along; none while nothing waits.
    fn ripe_at(&self) -> Option<Instant> {
        let since = self.since?;
        let hurry = self.bytes >= COMMIT_BYTES || self.ending.is_some();
        Some(if hurry || self.haste > Haste::None { since } else { since + WAIT })
    }

    /// What the writer sleeps for; it is woken when this changes.
    fn asleep(&self) -> (bool, Haste, bool) {
        (self.hasty.is_none(), self.haste, self.bytes < COMMIT_BYTES)
    }
}

/// How finely what was put back can be given up.
const CHUNK_UPDATES: usize = 256;

impl Lost {
    fn joined(before: Option<Self>, more: Self) -> Self {
        before.map_or(more, |before| Self {
            first: before.first.min(more.first),
            last: before.last.max(more.last),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::support::Numbers, *};

    #[test]
    fn a_commands_row_takes_updates_along_only_when_their_time_has_come() {
        let (now, mut pending) = (Instant::now(), Pending::default());
        let update = Numbers::default().update("commands/d", 1, "{}");
        let (rows, receipts) = (vec![Row::set(Table::Command, "id", "{}")], Vec::new());
        let step = || {
            let (rows, updates) = (rows.clone(), Vec::new());
            Batch { updates, rows, receipts: Vec::new(), through: Offset(1) }
        };
        let updates = vec![update];
        pending.put(Batch { updates, rows: Vec::new(), receipts, through: Offset(1) }, now);
        pending.put(step(), now);
        let taken = pending.take(now);
        assert_eq!((taken.rows.len(), taken.updates.len()), (1, 0));
        assert_eq!(taken.settled, Offset(0));
        pending.put(step(), now);
        let taken = pending.take(now + WAIT);
        assert_eq!((taken.rows.len(), taken.updates.len()), (1, 1));
        assert_eq!(taken.settled, Offset(1));
    }
}
