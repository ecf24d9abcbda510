//! One batch: how many of its rows are in which state, and when the next may begin.

use super::entry::Release;
use protocol::{AbortAfter, Batch, BatchRequest, BatchState, CommandId, CommandState, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// With a rate this fast a late timer is made up for, by at most so many milliseconds.
const CATCH_UP_MS: f64 = 50.0;

/// A batch as it is kept, and what follows from its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Course {
    pub(super) status: Batch,
    pub(super) request: BatchRequest,
    /// The user and `Idempotency-Key` it was asked for with.
    pub(super) key: Option<(String, String)>,
    /// The order of creation, among batches.
    pub(super) ordinal: u64,
    /// Rows that were not begun, in their order; some may have ended by themselves.
    #[serde(skip)]
    pub(super) held: VecDeque<CommandId>,
    /// Rows that were begun and have not ended.
    #[serde(skip)]
    pub(super) open: usize,
    /// When `rate` lets the next row begin, in milliseconds since the epoch.
    #[serde(skip)]
    next_at_ms: f64,
    /// When the batch is to be looked at again.
    #[serde(skip)]
    pub(super) wake_at: Option<Timestamp>,
    /// The status that was told last.
    #[serde(skip)]
    pub(super) told: Option<Batch>,
}

impl Course {
    pub(super) fn new(
        id: String,
        ordinal: u64,
        request: BatchRequest,
        key: Option<(String, String)>,
    ) -> Self {
        let counts = std::collections::BTreeMap::new();
        Self {
            status: Batch { id, state: BatchState::Running, total: 0, counts },
            request,
            key,
            ordinal,
            held: VecDeque::new(),
            open: 0,
            next_at_ms: 0.0,
            wake_at: None,
            told: None,
        }
    }

    /// A row is new.
    pub(super) fn add(&mut self, id: CommandId, state: CommandState) {
        self.status.total += 1;
        *self.status.counts.entry(shown(state)).or_default() += 1;
        self.held.push_back(id);
    }

    /// A row is there again after a restart.
    pub(super) fn take_back(&mut self, id: CommandId, state: CommandState, release: Release) {
        match (state.is_final(), release) {
            (true, _) => {}
            (false, Release::Held) => self.held.push_back(id),
            (false, Release::Free) => self.open += 1,
        }
    }

    /// A row went from one state to another.
    pub(super) fn moved(&mut self, before: CommandState, after: CommandState, release: Release) {
        let counts = &mut self.status.counts;
        if let Some(count) = counts.get_mut(&shown(before)) {
            *count = count.saturating_sub(1);
        }
        *counts.entry(shown(after)).or_default() += 1;
        counts.retain(|_, count| *count > 0);
        if release == Release::Free && after.is_final() && !before.is_final() {
            self.open = self.open.saturating_sub(1);
        }
    }

    /// Whether so many rows have failed that the rest is to be given up.
    pub(super) fn has_failed(&self) -> bool {
        let failures: usize = [
            CommandState::Failed,
            CommandState::Rejected,
            CommandState::TimedOut,
            CommandState::Expired,
        ]
        .iter()
        .filter_map(|state| self.status.counts.get(state))
        .sum();
        match self.request.abort_after {
            None => false,
            Some(AbortAfter::Failures(most)) => failures >= most as usize,
            Some(AbortAfter::Percent(percent)) => share(failures, self.status.total) >= percent,
        }
    }

    /// Whether every row has ended.
    pub(super) fn has_ended(&self) -> bool {
        let open =
            |(state, count): (&CommandState, &usize)| if state.is_final() { 0 } else { *count };
        self.status.counts.iter().map(open).sum::<usize>() == 0
    }

    /// The row that may begin now. Notes when to ask again, where only the rate stands in the way.
    pub(super) fn next_row(&mut self, now: Timestamp) -> Option<CommandId> {
        self.wake_at = None;
        let room = self.request.concurrency.is_none_or(|most| self.open < most as usize);
        if self.status.state != BatchState::Running || !room {
            return None;
        }
        self.held.front()?;
        let now_ms = millis(now);
        if let Some(rate) = self.request.rate {
            if self.next_at_ms > now_ms {
                self.wake_at = Some(at(self.next_at_ms));
                return None;
            }
            let step_ms = 1_000.0 / rate;
            let begins = self.next_at_ms == 0.0;
            let catch_up_ms = if begins || step_ms >= CATCH_UP_MS { 0.0 } else { CATCH_UP_MS };
            self.next_at_ms = self.next_at_ms.max(now_ms - catch_up_ms) + step_ms;
        }
        self.open += 1;
        self.held.pop_front()
    }

    /// Rows begin again: none sooner than the rate lets it, and none to make up for the pause.
    pub(super) fn resume(&mut self, now: Timestamp) {
        self.status.state = BatchState::Running;
        self.next_at_ms = self.next_at_ms.max(millis(now));
    }

    /// The row that was just given has ended by itself before: it takes no turn.
    pub(super) fn not_begun(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

/// What is not yet sent counts as queued.
fn shown(state: CommandState) -> CommandState {
    if state == CommandState::Scheduled { CommandState::Queued } else { state }
}

#[expect(clippy::cast_precision_loss, reason = "rows are far fewer than 2^52")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of the present are far below 2^52")]
fn millis(at: Timestamp) -> f64 {
    at.0 as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of the present are far below 2^52"
)]
fn at(ms: f64) -> Timestamp {
    Timestamp(ms.ceil() as i64)
}
