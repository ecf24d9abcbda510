//! One device's lane: its waiting commands in their order, those underway, and its receivers.

use crate::event::ConnectionId;
use protocol::{CommandId, CommandState};
use std::{cmp::Reverse, collections::BTreeSet};

/// A command's place in the order of its device: priority, then creation.
pub(super) type Place = (Reverse<i32>, u64, CommandId);

/// One device's commands.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waiting: BTreeSet<Place>,
    pub(super) underway: Vec<CommandId>,
    pub(super) scheduled: BTreeSet<CommandId>,
    /// Those that wait for their batch.
    pub(super) held: BTreeSet<CommandId>,
    pub(super) receivers: Vec<Receiver>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receiver {
    pub(super) connection: ConnectionId,
    pub(super) own: bool,
    pub(super) cancels: bool,
}

impl Lane {
    pub(super) fn open(&self) -> usize {
        self.waiting.len() + self.underway.len() + self.scheduled.len()
    }

    /// Those that wait and have a place before that of a new one with this priority.
    pub(super) fn waiting_before(&self, priority: i32) -> impl Iterator<Item = CommandId> {
        let earlier =
            self.waiting.iter().take_while(move |(known, ..)| *known <= Reverse(priority));
        earlier.map(|(_, _, id)| *id)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open() == 0 && self.held.is_empty() && self.receivers.is_empty()
    }

    /// The device's own connection, else the first that named its topics.
    pub(super) fn receiver(&self) -> Option<Receiver> {
        let own = self.receivers.iter().find(|receiver| receiver.own);
        own.or(self.receivers.first()).copied()
    }

    /// All that were not sent yet.
    pub(super) fn unsent(&self) -> Vec<CommandId> {
        let waiting = self.waiting.iter().map(|(_, _, id)| id);
        waiting.chain(&self.scheduled).chain(&self.held).copied().collect()
    }

    pub(super) fn leave(&mut self, place: Place) {
        self.waiting.remove(&place);
        self.scheduled.remove(&place.2);
        self.held.remove(&place.2);
        self.underway.retain(|id| *id != place.2);
    }

    pub(super) fn join(&mut self, state: CommandState, place: Place) {
        match state {
            CommandState::Scheduled => drop(self.scheduled.insert(place.2)),
            CommandState::Queued => drop(self.waiting.insert(place)),
            CommandState::Sent
            | CommandState::Delivered
            | CommandState::Started
            | CommandState::Cancelling => self.underway.push(place.2),
            CommandState::Succeeded
            | CommandState::Failed
            | CommandState::Rejected
            | CommandState::Cancelled
            | CommandState::Superseded
            | CommandState::Expired
            | CommandState::TimedOut => {}
        }
    }
}
