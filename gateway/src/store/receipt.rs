//! Who waits for a batch, and what they wait for where the disk fails.

use super::NotStored;

/// Is called once when the batch is stored, or when it was not; quick and without waiting, for it is the
/// writer that calls.
pub struct Receipt {
    tell: Box<dyn FnOnce(Result<(), NotStored>) + Send>,
    patience: Patience,
    /// How many it stands for.
    count: usize,
}

/// What a receipt waits for where a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// Nothing more: it is told at once, though its batch may be stored later.
    None,
    /// The end: its batch is stored after all, or given up.
    ToTheEnd,
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { patience, count, .. } = self;
        write!(f, "Receipt({patience:?} for {count})")
    }
}

impl Receipt {
    /// Somebody who is told at once that a commit failed: they do something else then.
    pub fn impatient(tell: impl FnOnce(Result<(), NotStored>) + Send + 'static) -> Self {
        Self { tell: Box::new(tell), patience: Patience::None, count: 1 }
    }

    /// Somebody who has nothing else to do than to wait until the batch is stored, or certainly never will be.
    pub fn patient(tell: impl FnOnce(Result<(), NotStored>) + Send + 'static) -> Self {
        Self { tell: Box::new(tell), patience: Patience::ToTheEnd, count: 1 }
    }

    /// One that stands for `receipts`, all as patient as the first; none where there are none.
    pub(crate) fn for_all(
        receipts: Vec<Self>,
        tell: impl FnOnce(Vec<Self>, Result<(), NotStored>) + Send + 'static,
    ) -> Option<Self> {
        let patience = receipts.first()?.patience;
        let count = receipts.iter().map(|receipt| receipt.count).sum();
        let tell = Box::new(move |stored| tell(receipts, stored));
        Some(Self { tell, patience, count })
    }

    /// Whether it waits on where a commit fails.
    #[must_use]
    pub fn is_patient(&self) -> bool {
        self.patience == Patience::ToTheEnd
    }

    /// About how many bytes it holds while it waits.
    pub(super) fn weight(&self) -> usize {
        self.count * BYTES
    }

    /// Says what became of the batch.
    pub fn tell(self, stored: Result<(), NotStored>) {
        (self.tell)(stored);
    }
}

/// About so many bytes wait with each who waits.
const BYTES: usize = 256;
