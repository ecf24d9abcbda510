//! From the decision to send to the sending itself. Between the two lies a commit, which may take its time: until
//! then a first attempt certainly did not run.

use super::Commands;
use crate::event::ConnectionId;
use protocol::{Actor, CommandDetails, CommandId, CommandState, Delivery, Timestamp};

impl Commands {
    /// An attempt that is kept may be written now, as `delivery` says then; false where it is no longer to be.
    /// Where the commit took a good part of the device's time, that counts from now on.
    pub fn departs(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        delivery: &mut Delivery,
    ) -> bool {
        let id = delivery.id;
        if !self.is_to_be_sent(id, delivery.attempt, connection) {
            return false;
        }
        let entry = self.entries.get_mut(&id).expect("what is to be sent is known");
        if let Some(waited) = entry.counts_anew(now) {
            let finish_by = entry.details.command.finish_by;
            delivery.not_after = finish_by.unwrap_or(delivery.not_after);
            entry.note(now, Actor::Gateway, format!("sent {waited} ms later, once it was stored"));
            self.changed(now, id);
        }
        true
    }

    /// An attempt was handed to its receiver's connection.
    pub fn written(&mut self, id: CommandId, attempt: u32) {
        let entry = self.entries.get_mut(&id);
        if let Some(entry) = entry.filter(|entry| entry.details.command.attempt == attempt) {
            entry.unwritten = false;
            self.set_deadline(id);
        }
    }

    /// Whether this is about an attempt that was taken back before it was written.
    #[must_use]
    pub fn was_taken_back(&self, details: &CommandDetails) -> bool {
        let known = self.entries.get(&details.command.id);
        known.is_some_and(|entry| entry.details.command.attempt < details.command.attempt)
    }

    /// It was to be sent in time, but the store did not keep that in time: it certainly did not run.
    pub(super) fn not_kept_in_time(&mut self, now: Timestamp, id: CommandId) {
        let device = self.entries[&id].device().clone();
        self.unsend(id, 1);
        let reason = "it was not sent: the store took too long to keep that it is".to_owned();
        self.enter(now, id, CommandState::Expired, Actor::Timer, Some(reason));
        self.pump(now, &device);
        self.forget_lane(&device);
    }

    /// Whether this attempt is still to be written to this connection.
    fn is_to_be_sent(&self, id: CommandId, attempt: u32, connection: ConnectionId) -> bool {
        let Some(entry) = self.entries.get(&id) else { return false };
        let newest = entry.details.command.attempt == attempt && entry.sent_to == Some(connection);
        // It was acknowledged meanwhile: an answer to an earlier attempt came.
        newest
            && !entry.acknowledged
            && match entry.state() {
                CommandState::Sent => true,
                CommandState::Delivered | CommandState::Started => attempt > 1,
                CommandState::Scheduled
                | CommandState::Queued
                | CommandState::Cancelling
                | CommandState::Succeeded
                | CommandState::Failed
                | CommandState::Rejected
                | CommandState::Cancelled
                | CommandState::Superseded
                | CommandState::Expired
                | CommandState::TimedOut => false,
            }
    }
}
