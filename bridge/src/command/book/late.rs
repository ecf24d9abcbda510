//! To which command an answer may be that does not say it: what timed out not long ago may still be answered, and
//! goes before what is underway.

use super::Commands;
use protocol::{Command, CommandId, CommandState, DeviceId, Millis, Timestamp};

/// How long after a command timed out an answer that names none may still be its own.
const LATE: Millis = Millis(30_000);

impl Commands {
    /// The commands of a device that wait for an answer, oldest first: those that timed out not long ago, then those
    /// that are underway and may have been written to a receiver.
    pub fn unanswered(&self, now: Timestamp, device: &DeviceId) -> impl Iterator<Item = &Command> {
        let late = self.timed_out.get(device).into_iter().flatten();
        let late = late.filter(move |id| self.may_be_answered(now, **id));
        let late = late.map(|id| &self.entries[id].details.command);
        late.chain(self.written_underway(device))
    }

    /// A command timed out, now or before a restart.
    pub(super) fn note_timed_out(&mut self, now: Timestamp, id: CommandId) {
        let device = self.entries[&id].device().clone();
        let mut ids = self.timed_out.remove(&device).unwrap_or_default();
        ids.push(id);
        ids.retain(|id| self.is_recent(now, *id));
        if !ids.is_empty() {
            self.timed_out.insert(device, ids);
        }
    }

    /// A command is forgotten, and so nothing is to it any more.
    pub(super) fn forget_timed_out(&mut self, device: &DeviceId, id: CommandId) {
        if let Some(ids) = self.timed_out.get_mut(device) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.timed_out.remove(device);
            }
        }
    }

    fn may_be_answered(&self, now: Timestamp, id: CommandId) -> bool {
        self.entries[&id].state() == CommandState::TimedOut && self.is_recent(now, id)
    }

    fn is_recent(&self, now: Timestamp, id: CommandId) -> bool {
        let finish_by = self.entries[&id].details.command.finish_by;
        finish_by.is_some_and(|at| now < at.plus(LATE))
    }
}
