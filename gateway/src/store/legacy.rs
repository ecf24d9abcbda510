//! Where what must survive is kept.
//!
//! The core stores what changed before it tells or sends it, through this trait only; no other module
//! knows which store runs.

use protocol::CommandDetails;

/// Something that must survive.
#[derive(Clone, Debug)]
pub enum Change {
    /// A command came to a new state.
    Command(Box<CommandDetails>),
}

/// The store did not take a change.
#[derive(Debug, thiserror::Error)]
#[error("the store failed")]
pub struct StoreError(#[from] std::io::Error);

/// Where changes are kept.
pub trait Store: Send + 'static {
    /// Keeps `changes`; when it returns they are where they must be.
    ///
    /// # Errors
    /// [`StoreError`]: none of them may be told or sent.
    fn commit(
        &mut self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Keeps changes as long as the process lives, which the core's own memory does already.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryStore;

impl Store for MemoryStore {
    async fn commit(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        drop(changes);
        std::future::ready(Ok(())).await
    }
}
