//! What waits and is taken in pieces, as they were put: one that cannot be committed waits on whole.

use super::{super::Receipt, rows::RowsByKey};
use bridge::update::Update;
use protocol::Offset;
use std::sync::Arc;

/// Updates that came together, and who waits for them.
#[derive(Debug, Default)]
pub(in super::super) struct Chunk {
    pub(super) updates: Vec<Arc<Update>>,
    pub(super) bytes: usize,
    pub(super) receipts: Vec<Receipt>,
}

impl Chunk {
    pub(super) fn new(updates: Vec<Arc<Update>>, receipts: Vec<Receipt>) -> Self {
        let of_updates: usize = updates.iter().map(|update| update.weight()).sum();
        let bytes = of_updates + receipts.iter().map(Receipt::weight).sum::<usize>();
        Self { updates, bytes, receipts }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.updates.is_empty() && self.receipts.is_empty()
    }

    /// Parts with who waits no longer when a commit fails.
    pub(super) fn without_impatient(self) -> (Self, Vec<Receipt>) {
        if self.receipts.iter().all(Receipt::is_patient) {
            return (self, Vec::new());
        }
        let (patient, impatient) = self.receipts.into_iter().partition(Receipt::is_patient);
        (Self::new(self.updates, patient), impatient)
    }

    /// The run that is lost with it; none where it has no updates.
    pub(super) fn lost(&self) -> Option<Lost> {
        let (first, last) = (self.updates.first()?, self.updates.last()?);
        Some(Lost { first: first.stamp.offset, last: last.stamp.offset })
    }
}

/// What the writer takes for one commit.
#[derive(Default)]
pub(in super::super) struct Taken {
    /// Updates in order, and who waits for them.
    pub(super) chunks: Vec<Chunk>,
    /// Who waits for rows alone.
    pub(super) hasty: Vec<Receipt>,
    /// The newest row of each key; none: gone.
    pub(in super::super) rows: RowsByKey,
    /// So many of the chunks must not be committed after them.
    pub(super) tied: usize,
    /// What was given up before.
    pub(in super::super) lost: Option<Lost>,
    /// The newest offset that was given out.
    pub(in super::super) through: Offset,
    /// Once this is committed, everything up to this offset that will ever be stored is.
    pub(in super::super) settled: Offset,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Taken").field("chunks", &self.chunks.len()).finish_non_exhaustive()
    }
}

impl Taken {
    /// The updates in order.
    pub(in super::super) fn updates(&self) -> impl Iterator<Item = &Arc<Update>> {
        self.chunks.iter().flat_map(|chunk| &chunk.updates)
    }

    /// Everybody who waits for the commit.
    pub(in super::super) fn into_receipts(self) -> impl Iterator<Item = Receipt> {
        self.hasty.into_iter().chain(self.chunks.into_iter().flat_map(|chunk| chunk.receipts))
    }
}

/// A run of updates that were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Lost {
    pub(in super::super) first: Offset,
    pub(in super::super) last: Offset,
}

impl Lost {
    pub(super) fn joined(before: Option<Self>, more: Self) -> Self {
        before.map_or(more, |before| Self {
            first: before.first.min(more.first),
            last: before.last.max(more.last),
        })
    }
}
