//! The newest row of each key that waits, and the memory that they take.

use super::super::{Row, Table};
use ahash::HashMap;

/// Rows by their keys; none: gone.
pub(in super::super) type RowsByKey = HashMap<(Table, String), Option<Vec<u8>>>;

/// The rows that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingRows {
    by_key: RowsByKey,
    waiting_bytes: usize,
    /// Of those that the writer has, and may put back.
    taken_bytes: usize,
}

impl WaitingRows {
    /// Takes a row in the place of an older one.
    pub(super) fn put(&mut self, row: Row) {
        let Row { table, key, body } = row;
        self.waiting_bytes += weight(&key, &body);
        let of_key = weight(&key, &None);
        if let Some(older) = self.by_key.insert((table, key), body) {
            self.waiting_bytes -= of_key + older.map_or(0, |body| body.len());
        }
    }

    /// All of them.
    pub(super) fn take(&mut self) -> RowsByKey {
        self.taken_bytes = std::mem::take(&mut self.waiting_bytes);
        std::mem::take(&mut self.by_key)
    }

    /// The writer has none of them any more.
    pub(super) fn note_done(&mut self) {
        self.taken_bytes = 0;
    }

    /// Puts back what was taken, but for what is newer now.
    pub(super) fn put_back(&mut self, taken: RowsByKey) {
        self.note_done();
        let came_since = std::mem::replace(&mut self.by_key, taken);
        self.waiting_bytes = self.by_key.iter().map(|((_, key), body)| weight(key, body)).sum();
        for ((table, key), body) in came_since {
            self.put(Row { table, key, body });
        }
    }

    /// About how many bytes they take.
    pub(super) const fn bytes(&self) -> usize {
        self.waiting_bytes + self.taken_bytes
    }
}

/// About so many bytes a row takes beside its key and its body.
const ROW_BYTES: usize = 64;

fn weight(key: &str, body: &Option<Vec<u8>>) -> usize {
    ROW_BYTES + key.len() + body.as_ref().map_or(0, Vec::len)
}
