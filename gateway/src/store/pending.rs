//! What waits for the writer: bounded in bytes, and taken by it in pieces that make one commit each. When that is due
//! is decided here; who waits for whom is the inbox's business.

use super::{Batch, Receipt, Table};
use crate::watch::WATCH;
use protocol::Offset;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

mod rows;
mod taken;

use rows::WaitingRows;
use taken::Chunk;
pub(super) use taken::{Lost, Taken};

/// How long an update or a row may wait for others before it is committed, where nobody waits for it; and how often
/// the writer looks for such.
pub(super) const WAIT: Duration = Duration::from_millis(100);

/// So many bytes are committed without waiting for more; and one commit takes no more, but for what rows are tied to.
const COMMIT_BYTES: usize = 1024 * 1024;

/// The least time between two commits of what is not hasty: a device alone never waits for it, a crowd
/// shares commits. Hasty rows wait for nothing, and take along no updates that nobody waits for; those that
/// come during a commit share the next.
const PACE: Duration = Duration::from_millis(8);

/// The least time between two attempts while the disk fails.
const RETRY: Duration = Duration::from_secs(1);

/// How the store ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order; the last offset that was given out.
    Clean(Offset),
    /// Its owner went away without a word.
    Abandoned,
}

/// Whether somebody takes what is put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Presence {
    #[default]
    There,
    Gone,
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

impl Rounds {
    /// When the writer looks again where nothing waits: soon after a commit, for a crowd is not to wake it for the
    /// next; later it is woken for what somebody waits for.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        let paced = self.committed.map(|committed| committed + PACE);
        paced.filter(|paced| *paced > now).unwrap_or(now + WAIT)
    }
}

/// The writer sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asleep {
    /// Until then, unless it is woken.
    pub(super) until: Instant,
    /// What it had done before.
    pub(super) rounds: Rounds,
}

/// How the last commit went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    Failing,
}

/// All that waits, and what is known of the writer.
#[derive(Default)]
pub(super) struct Pending {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    pub(super) updates: u64,
    rows: WaitingRows,
    /// So many of the oldest chunks go into one commit with the rows: some of them say that these are there.
    tied: usize,
    /// Hasty rows wait that came without updates; these wait for them.
    hasty: Option<Vec<Receipt>>,
    lost: Option<Lost>,
    pub(super) lost_updates: u64,
    pub(super) through: Offset,
    /// Since when something waits.
    since: Option<Instant>,
    haste: Haste,
    pub(super) ending: Option<Ending>,
    pub(super) writer: Presence,
    pub(super) asleep: Option<Asleep>,
    /// When it was last called.
    called_at: Option<Instant>,
    /// Of what hurries, the next is likely to come at once: the last did.
    pub(super) soon: bool,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("updates", &self.updates).finish_non_exhaustive()
    }
}

/// How soon chunks are to be committed; the greatest that is asked for counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Haste {
    /// Nobody waits for it.
    #[default]
    None,
    /// Somebody waits, or counts on it; with a crowd it may share a commit ([`PACE`]).
    Paced,
    /// As soon as the writer is free: who waits publishes nothing before ([`Turns`](crate::rhythm::Turns)).
    Prompt,
    /// As soon as the writer is free: it is a step of a command.
    AtOnce,
}

impl Pending {
    /// Takes a batch in. Where somebody waits, it is committed with `haste` at least.
    pub(super) fn put(&mut self, batch: Batch, haste: Haste, now: Instant) {
        let Batch { updates, rows, receipts, through } = batch;
        if !updates.is_empty() || !rows.is_empty() || !receipts.is_empty() {
            self.since.get_or_insert(now);
        }
        let of_rows = rows.iter().map(|row| row.table.haste()).max().unwrap_or_default();
        let hasty = of_rows == Haste::AtOnce;
        let tied = !updates.is_empty() && rows.iter().any(|row| row.table == Table::Session);
        if of_rows == Haste::Paced {
            self.haste = self.haste.max(haste);
        }
        self.through = self.through.max(through);
        rows.into_iter().for_each(|row| self.rows.put(row));
        if hasty && updates.is_empty() {
            self.hasty.get_or_insert_default().extend(receipts);
        } else if !updates.is_empty() || !receipts.is_empty() {
            let haste = match (hasty, receipts.is_empty()) {
                (true, _) => Haste::AtOnce,
                (false, false) => haste,
                (false, true) => Haste::None,
            };
            self.haste = self.haste.max(haste);
            self.push(Chunk::new(updates, receipts));
        }
        if tied {
            self.tied = self.chunks.len();
        }
    }

    /// Gives up the oldest chunks beyond `bytes_max`; those who wait for them.
    pub(super) fn trim(&mut self, bytes_max: usize) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        while self.bytes > bytes_max {
            let Some(chunk) = self.chunks.pop_front() else { break };
            self.forget(&chunk);
            self.tied = self.tied.saturating_sub(1);
            self.lost_updates += chunk.updates.len() as u64;
            if let Some(lost) = chunk.lost() {
                self.lost = Some(Lost::joined(self.lost, lost));
            }
            receipts.extend(chunk.receipts);
        }
        receipts
    }

    /// Whether what waits takes less than `bytes_max`, updates and rows together.
    pub(super) const fn has_room(&self, bytes_max: usize) -> bool {
        self.bytes + self.rows.bytes() < bytes_max
    }

    /// The writer has done what it took before.
    pub(super) fn note_done(&mut self) {
        self.rows.note_done();
    }

    /// Gives everything up, for there is no writer any more; all who wait.
    pub(super) fn abandon(&mut self) -> Vec<Receipt> {
        self.writer = Presence::Gone;
        let mut waiting = self.hasty.take().unwrap_or_default();
        waiting.extend(self.chunks.drain(..).flat_map(|chunk| chunk.receipts));
        waiting
    }

    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes;
        self.updates += chunk.updates.len() as u64;
        self.chunks.push_back(chunk);
    }

    fn forget(&mut self, chunk: &Chunk) {
        self.bytes -= chunk.bytes;
        self.updates -= chunk.updates.len() as u64;
    }

    /// What one commit takes.
    pub(super) fn take(&mut self, now: Instant) -> Taken {
        let ripe = self.ripe_at().is_some_and(|at| at <= now);
        let mut taken = Taken {
            rows: self.rows.take(),
            hasty: self.hasty.take().unwrap_or_default(),
            tied: std::mem::take(&mut self.tied),
            lost: self.lost.take(),
            through: self.through,
            ..Taken::default()
        };
        let mut bytes = 0;
        while ripe
            && let Some(chunk) = self.chunks.front()
            && (bytes == 0
                || bytes + chunk.bytes <= COMMIT_BYTES
                || taken.chunks.len() < taken.tied)
            && let Some(chunk) = self.chunks.pop_front()
        {
            bytes += chunk.bytes;
            self.forget(&chunk);
            taken.chunks.push(chunk);
        }
        if self.chunks.is_empty() {
            (self.since, self.haste) = (None, Haste::None);
        }
        taken.settled = self.settled();
        taken
    }

    /// Where nothing waits any more: the newest offset that was given out, though its update is not kept.
    pub(super) fn settled(&self) -> Offset {
        let waits = !self.chunks.is_empty() || self.lost.is_some();
        if waits { Offset(0) } else { self.through }
    }

    /// Puts back what could not be committed, before all that came since; those who then wait no longer.
    pub(super) fn put_back(&mut self, taken: Taken) -> Vec<Receipt> {
        self.rows.put_back(taken.rows);
        let before_newer = if self.tied > 0 { taken.chunks.len() + self.tied } else { 0 };
        self.tied = before_newer.max(taken.tied);
        if let Some(lost) = taken.lost {
            self.lost = Some(Lost::joined(self.lost, lost));
        }
        self.since.get_or_insert_with(Instant::now);
        let mut hasty = taken.hasty;
        hasty.extend(self.hasty.take().unwrap_or_default());
        let came_since = std::mem::take(&mut self.chunks);
        (self.bytes, self.updates) = (0, 0);
        let all = taken.chunks.into_iter().chain(came_since);
        let mut impatient = Vec::new();
        for chunk in all.chain([Chunk::new(Vec::new(), hasty)]) {
            let (chunk, others) = chunk.without_impatient();
            impatient.extend(others);
            if !chunk.is_empty() {
                self.push(chunk);
            }
        }
        impatient
    }

    /// When the writer shall commit; none while nothing waits.
    pub(super) fn due(&self, rounds: &Rounds) -> Option<Instant> {
        let (ripe_at, since) = (self.ripe_at()?, self.since?);
        let rest = match (rounds.health, self.ending, self.haste) {
            (Health::Well, None, _) if self.hasty.is_some() => return Some(since),
            (_, Some(_), _) | (Health::Well, None, Haste::Prompt | Haste::AtOnce) => {
                return Some(ripe_at);
            }
            (Health::Well, None, Haste::None | Haste::Paced) => PACE,
            (Health::Failing, None, _) => RETRY,
        };
        Some(rounds.committed.map_or(ripe_at, |committed| ripe_at.max(committed + rest)))
    }

    /// From when on a commit takes chunks along; none while nothing waits.
    fn ripe_at(&self) -> Option<Instant> {
        let since = self.since?;
        // The rows of tied ones go with whatever is taken next, and would say that they are there.
        let hurry = self.bytes >= COMMIT_BYTES || self.ending.is_some() || self.tied > 0;
        Some(if hurry || self.haste > Haste::None { since } else { since + WAIT })
    }

    /// Notes since when the writer had nothing to do before what it takes now; none: it had something all the time.
    pub(super) fn note_wait(&mut self, idle_since: Option<Instant>) {
        let hurries = self.hasty.is_some() || self.haste == Haste::AtOnce;
        let called = self.called_at.take();
        let soon = |idle_since| called.is_some_and(|called| called - idle_since < WATCH);
        self.soon = hurries && idle_since.is_none_or(soon);
    }

    /// Whether the writer must be woken for what waits, and now is; once is enough.
    pub(super) fn rouses_the_writer(&mut self, now: Instant) -> bool {
        let Some(Asleep { until, rounds }) = self.asleep else { return false };
        let rouses = self.due(&rounds).is_some_and(|due| due < until);
        if rouses {
            (self.asleep, self.called_at) = (None, Some(now));
        }
        rouses
    }
}

#[cfg(test)]
mod tests;
