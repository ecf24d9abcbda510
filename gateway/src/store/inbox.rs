//! The place where batches wait for the writer: whoever puts one in never waits, the writer sleeps until there is
//! something to do.

use super::{
    Batch, NotStored, Receipt,
    pending::{Asleep, Ending, Haste, Pending, Presence, Rounds, Taken},
};
use crate::{
    rhythm::{Cue, Turns},
    watch::{WATCH, watch},
};
use protocol::Offset;
use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How often the writer looks round with nothing to commit.
const TICK: Duration = Duration::from_secs(1);

/// The place where batches wait.
#[derive(Debug)]
pub(super) struct Inbox {
    pending: Mutex<Pending>,
    changed: Condvar,
    /// The writer was called while it slept or watched.
    called: AtomicBool,
    turns: Turns,
    bytes_max: usize,
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

impl Inbox {
    /// An empty one that gives up the oldest updates beyond `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            pending: Mutex::default(),
            changed: Condvar::new(),
            called: AtomicBool::new(false),
            turns: Turns::default(),
            bytes_max,
        }
    }

    /// Notes what made a client publish that will wait for a commit.
    pub(super) fn note(&self, cue: Cue) {
        self.turns.note(cue);
    }

    /// Takes a batch; never waits.
    pub(super) fn put(&self, batch: Batch) {
        let now = Instant::now();
        let mut pending = self.lock();
        if pending.writer == Presence::Gone {
            drop(pending);
            return refuse(batch.receipts, "the store is closed");
        }
        pending.put(batch, self.haste(), now);
        let overflown = pending.trim(self.bytes_max);
        let wake = pending.rouses_the_writer(now);
        drop(pending);
        if wake {
            self.call();
        }
        refuse(overflown, "more waits than the store may hold");
    }

    /// Puts back what could not be committed, before all that came since. Who is patient waits on with it; the others
    /// are told, for what is behind it cannot be committed either. Says whether the store is about to end.
    pub(super) fn put_back(&self, taken: Taken, why: &str) -> Option<Ending> {
        let mut pending = self.lock();
        let impatient = pending.put_back(taken);
        let overflown = pending.trim(self.bytes_max);
        let ending = pending.ending;
        drop(pending);
        refuse(impatient, why);
        refuse(overflown, "more waits than the store may hold");
        ending
    }

    /// Tells the writer to end when nothing waits any more.
    pub(super) fn end(&self, ending: Ending) {
        let mut pending = self.lock();
        pending.ending.get_or_insert(ending);
        pending.asleep = None;
        drop(pending);
        self.call();
    }

    /// How soon is committed what somebody waits for.
    fn haste(&self) -> Haste {
        if self.turns.are_taken() { Haste::Prompt } else { Haste::Paced }
    }

    fn call(&self) {
        self.called.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Waits for what the writer shall do next.
    pub(super) fn next(&self, rounds: &Rounds) -> Work {
        let mut pending = self.lock();
        pending.note_done();
        let mut idle_since = None;
        loop {
            let now = Instant::now();
            let due = pending.due(rounds);
            if due.is_some_and(|due| due <= now) {
                pending.note_wait(idle_since);
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
            let until = due.unwrap_or_else(|| rounds.next_look(now)).min(tick);
            pending.asleep = Some(Asleep { until, rounds: *rounds });
            idle_since.get_or_insert(now);
            pending = self.sleep(pending, until - now);
            pending.asleep = None;
        }
    }

    /// Sleeps until called, at most so long; watches before where the next is likely to come at once.
    fn sleep<'a>(
        &'a self,
        mut pending: MutexGuard<'a, Pending>,
        at_most: Duration,
    ) -> MutexGuard<'a, Pending> {
        if std::mem::take(&mut pending.soon) && at_most >= WATCH {
            self.called.store(false, Ordering::Relaxed);
            drop(pending);
            watch(|| self.called.load(Ordering::Acquire));
            pending = self.lock();
            if pending.asleep.is_none() {
                return pending;
            }
        }
        let waited = self.changed.wait_timeout(pending, at_most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Gives up everything that waits and that comes, for the writer ends.
    pub(super) fn abandon(&self) {
        let waiting = self.lock().abandon();
        refuse(waiting, "the store ends");
    }

    /// Whether more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.lock().has_room(self.bytes_max)
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
    receipts.into_iter().for_each(|receipt| receipt.tell(Err(why.clone())));
}
