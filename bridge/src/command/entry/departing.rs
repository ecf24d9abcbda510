//! How far the newest attempt of a command is on its way to its receiver.

use super::Entry;
use protocol::{CommandState, Millis, Timestamp};

/// A command that was to be sent in time is still sent when the store took no longer to keep that.
const KEEPING: Millis = Millis(1_000);
/// A commit that takes more than one part in so many of the device's time is made up for.
const NOTICEABLE: u64 = 10;

/// What an attempt waits for before it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::command) enum WaitsFor {
    /// The commit that keeps it: no connection has it yet.
    Commit,
    /// The window of its receiver, whose connection has it.
    Window,
}

impl Entry {
    /// The newest attempt waits no more: it was written, or never will be.
    pub(in crate::command) fn waits_no_more(&mut self) {
        (self.waits_for, self.recall_at) = (None, None);
    }

    /// Its first sending is decided, and waits for the store.
    pub(in crate::command) fn waits_for_first_commit(&self) -> bool {
        self.waits_for == Some(WaitsFor::Commit) && self.details.command.attempt == 1
    }

    /// The newest attempt waits in its receiver's connection for the receiver's window.
    pub(in crate::command) fn is_held_up(&self) -> bool {
        self.waits_for == Some(WaitsFor::Window)
    }

    /// No attempt was written: it certainly did not run, and nothing is an answer to it.
    pub(in crate::command) fn never_ran(&self) -> bool {
        self.waits_for.is_some()
            && self.details.command.attempt == self.given_back + 1
            && !self.acknowledged
    }

    /// It certainly did not run, unless its connection has written it just now.
    pub(in crate::command) fn may_be_taken_back(&self) -> bool {
        self.is_held_up() && self.never_ran()
    }

    /// Whether the newest attempt, where it is not written yet, is still to be. It is not where an answer to an
    /// earlier one came meanwhile.
    pub(in crate::command) fn is_to_be_written(&self) -> bool {
        !self.acknowledged
            && match self.state() {
                CommandState::Sent => true,
                CommandState::Delivered | CommandState::Started => self.details.command.attempt > 1,
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

    /// When its connection is asked to give back what waits for the window: at once where it is not to be written any
    /// more, and at the end of its time where it did not run.
    pub(super) fn wanted_back(&self) -> Option<Timestamp> {
        if !self.is_held_up() {
            None
        } else if self.recall_at.is_some() {
            self.recall_at
        } else if !self.is_to_be_written() {
            Some(self.changed_at)
        } else {
            self.details.command.finish_by.filter(|_| self.may_be_taken_back())
        }
    }

    /// When it is too late to write the first attempt: as it is too late to send it, but not before the store
    /// had its time.
    pub(super) fn write_by(&self) -> Timestamp {
        let deliver_by = self.details.command.deliver_by;
        self.sent_at.map_or(deliver_by, |at| deliver_by.max(at.plus(KEEPING)))
    }

    /// The first attempt is written only now. Where the store took a good part of the device's time, that
    /// counts from now on; says how long the store took then.
    pub(in crate::command) fn counts_anew(&mut self, now: Timestamp) -> Option<Millis> {
        let waited = now.since(self.sent_at?);
        if !self.waits_for_first_commit() || waited.0 <= self.timeout.0 / NOTICEABLE {
            return None;
        }
        self.sent_at = Some(now);
        self.details.command.finish_by = Some(now.plus(self.timeout));
        Some(waited)
    }
}
