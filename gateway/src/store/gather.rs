//! Rows that several tasks gather for one commit: all of them are stored, or none.

use super::{Batch, Receipt, Row, StoreHandle};
use protocol::Offset;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is to be stored in one commit, gathered by everybody who holds a clone; the store gets it when the
/// last clone is gone.
#[derive(Clone, Debug)]
pub struct Gathering(Arc<Gathered>);

struct Gathered {
    store: StoreHandle,
    parts: Mutex<Parts>,
}

/// What was gathered so far.
#[derive(Debug, Default)]
struct Parts {
    /// What is true before all of it is here.
    early: Vec<Row>,
    rows: Vec<Row>,
    receipts: Vec<Receipt>,
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lock().fmt(f)
    }
}

impl Gathering {
    /// Nothing yet.
    #[must_use]
    pub fn new(store: StoreHandle) -> Self {
        Self(Arc::new(Gathered { store, parts: Mutex::default() }))
    }

    /// Adds a row.
    pub fn add(&self, row: Row) {
        self.0.lock().rows.push(row);
    }

    /// Adds a row for who stores what the messages say before the rest is here: it goes into that commit, and a row
    /// of the rest takes its place.
    pub fn add_early(&self, row: Row) {
        self.0.lock().early.push(row);
    }

    /// The rows that are to be stored with what the messages say, where the rest is not.
    #[must_use]
    pub fn take_early(&self) -> Vec<Row> {
        std::mem::take(&mut self.0.lock().early)
    }

    /// Tells `receipt` when everything is stored that was gathered here, and that was given to the store
    /// before; or when it was not.
    pub fn then(&self, receipt: Receipt) {
        self.0.lock().receipts.push(receipt);
    }
}

impl Gathering {
    /// Whether nobody else holds it: nothing more is gathered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// What was gathered, to be stored with something else; nothing where somebody still holds it.
    #[must_use]
    pub fn take(self) -> (Vec<Row>, Vec<Receipt>) {
        Arc::into_inner(self.0).map(|mut gathered| gathered.take()).unwrap_or_default()
    }
}

impl Gathered {
    fn take(&mut self) -> (Vec<Row>, Vec<Receipt>) {
        let parts = self.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut parts.rows), std::mem::take(&mut parts.receipts))
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        let (rows, receipts) = self.take();
        if !rows.is_empty() || !receipts.is_empty() {
            let through = Offset(0);
            self.store.keep(Batch { updates: Vec::new(), rows, receipts, through });
        }
    }
}
