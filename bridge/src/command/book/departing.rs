//! From the decision to send to the sending itself. Between the two lies a commit, which may take its time: until
//! then a first attempt certainly did not run.

use super::{Commands, Effect};
use crate::{
    command::{
        entry::{Entry, WaitsFor},
        machine::Happening,
    },
    event::ConnectionId,
};
use protocol::{Actor, CommandDetails, CommandId, CommandState, Delivery, Millis, Timestamp};

/// How often a connection is asked to give back what waits.
const RECALL_EVERY: Millis = Millis(1_000);

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
        if self.newest(id, attempt).is_some() {
            self.waits_no_more(id);
        }
    }

    /// An attempt that waited for its receiver's window was written. Where it was to be taken back, its device is asked
    /// to give it up instead, if it can be.
    pub fn written_after_all(&mut self, now: Timestamp, id: CommandId, attempt: u32) {
        let Some(entry) = self.newest(id, attempt) else { return };
        let device = entry.device().clone();
        self.waits_no_more(id);
        self.ask_cancel(&device);
        if self.entries[&id].cancel_asked.is_none() {
            self.apply(now, id, Happening::WrittenAfterAll, &Actor::Gateway, None);
        }
        self.tick(now);
    }

    /// An attempt waits in its receiver's connection for the receiver's window.
    pub fn held_up(&mut self, now: Timestamp, id: CommandId, attempt: u32) {
        if let Some(entry) = self.newest(id, attempt) {
            entry.waits_for = Some(WaitsFor::Window);
            self.set_deadline(id);
            self.tick(now);
        }
    }

    /// What waits for its receiver's window is not to be written any more, or its time has passed. Only its connection
    /// knows whether it still does, so that is asked, and again until it has answered.
    pub(super) fn recall(&mut self, now: Timestamp, id: CommandId) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.recall_at = Some(now.plus(RECALL_EVERY));
        if let Some(connection) = entry.sent_to {
            let attempt = entry.details.command.attempt;
            self.effects.push(Effect::Recall { connection, command: id, attempt });
        }
        self.set_deadline(id);
    }

    /// An attempt that waited for its receiver's window is not written any more.
    pub fn given_back(&mut self, now: Timestamp, id: CommandId, attempt: u32) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let taken_back = attempt == entry.details.command.attempt && entry.may_be_taken_back();
        if attempt == entry.given_back + 1 {
            entry.given_back = attempt;
        }
        if attempt == entry.details.command.attempt {
            entry.waits_no_more();
        }
        self.set_deadline(id);
        if taken_back {
            self.was_given_back(now, id);
        }
        self.tick(now);
    }

    /// It certainly did not run, and now it cannot any more.
    fn was_given_back(&mut self, now: Timestamp, id: CommandId) {
        let entry = &self.entries[&id];
        let cancelling = entry.state() == CommandState::Cancelling;
        let by = if cancelling { Actor::Gateway } else { Actor::Timer };
        let is_there = |connection| self.is_receiver(entry.device(), connection);
        let receiver_left = !entry.sent_to.is_some_and(is_there);
        self.apply(now, id, Happening::GivenBack { receiver_left }, &by, None);
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

    /// Whether this attempt waits for its receiver's window.
    pub(super) fn is_held_up(&self, id: CommandId, attempt: u32) -> bool {
        let known = self.entries.get(&id);
        known.is_some_and(|entry| entry.details.command.attempt == attempt && entry.is_held_up())
    }

    /// Whether this attempt is still to be written to this connection.
    fn is_to_be_sent(&self, id: CommandId, attempt: u32, connection: ConnectionId) -> bool {
        let known = self.entries.get(&id);
        known.is_some_and(|entry| {
            entry.details.command.attempt == attempt
                && entry.sent_to == Some(connection)
                && entry.is_to_be_written()
        })
    }

    /// The newest attempt was written, or never will be.
    pub(super) fn waits_no_more(&mut self, id: CommandId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.waits_no_more();
            self.set_deadline(id);
        }
    }

    /// The command where this is its newest attempt.
    pub(super) fn newest(&mut self, id: CommandId, attempt: u32) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&id);
        entry.filter(|entry| entry.details.command.attempt == attempt)
    }
}
