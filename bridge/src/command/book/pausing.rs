//! Pausing a batch: what of it was not sent waits, whether its turn had come or not.

use super::{BatchError, Commands};
use crate::command::lane::Lane;
use protocol::{Batch, BatchState, CommandId, CommandState, Timestamp};

impl Commands {
    /// Begins and sends no more rows of a batch. The time of those that it has begun runs on.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn pause_batch(&mut self, now: Timestamp, id: &str) -> Result<Batch, BatchError> {
        self.open_batch(id)?.status.state = BatchState::Paused;
        Ok(self.changed_batch(now, id))
    }

    /// Begins and sends rows of a batch again.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn resume_batch(&mut self, now: Timestamp, id: &str) -> Result<Batch, BatchError> {
        self.open_batch(id)?.resume(now);
        let rows = self.entries.values().map(|entry| &entry.details.command);
        let queued = rows
            .filter(|row| row.state == CommandState::Queued && row.batch.as_deref() == Some(id));
        let devices: Vec<_> = queued.map(|row| row.device.clone()).collect();
        devices.iter().for_each(|device| self.pump(now, device));
        Ok(self.changed_batch(now, id))
    }

    /// The one that is sent next, of those that wait in a lane.
    pub(super) fn next_waiting(&self, lane: &Lane) -> Option<CommandId> {
        lane.waiting.iter().map(|(.., id)| *id).find(|id| !self.is_paused(*id))
    }

    /// Those that wait in a lane and would go before a new one with this priority.
    pub(super) fn waiting_before(
        &self,
        lane: &Lane,
        priority: i32,
    ) -> impl Iterator<Item = CommandId> {
        lane.waiting_before(priority).filter(|id| !self.is_paused(*id))
    }

    fn is_paused(&self, id: CommandId) -> bool {
        let batch = self.entries[&id].details.command.batch.as_ref();
        let course = batch.and_then(|batch| self.batches.get(batch));
        course.is_some_and(|course| course.status.state == BatchState::Paused)
    }

    fn changed_batch(&mut self, now: Timestamp, id: &str) -> Batch {
        self.touched.insert(id.to_owned());
        self.tick(now);
        self.batches[id].status.clone()
    }
}
