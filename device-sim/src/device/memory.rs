//! The commands a device has seen lately, so that none runs twice.

use protocol::{Answer, CommandId};
use std::collections::VecDeque;

/// How many commands are remembered: far more than may wait or be in hand, so that the oldest is
/// always over.
const COMMANDS_MAX: usize = 256;

/// What is known of a command that came.
#[derive(Debug, PartialEq)]
pub(super) enum Known {
    /// It never came before.
    New,
    /// It came; this is its last answer, for the attempt that came now.
    Answered(Answer),
    /// It came and was never answered.
    Unanswered,
}

/// The commands seen lately, oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: CommandId,
    attempt: u32,
    last: Option<Answer>,
    swallowed: bool,
}

impl Memory {
    /// What is known of `id`, which came (again) with this attempt.
    pub(super) fn recall(&mut self, id: CommandId, attempt: u32) -> Known {
        let Some(entry) = self.entry(id) else { return Known::New };
        entry.attempt = entry.attempt.max(attempt);
        match &entry.last {
            Some(last) => Known::Answered(Answer { attempt: Some(attempt), ..last.clone() }),
            None => Known::Unanswered,
        }
    }

    /// Keeps a new command, and forgets the oldest where there is no room.
    pub(super) fn remember(&mut self, id: CommandId, attempt: u32) {
        if self.entries.len() == COMMANDS_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { id, attempt, last: None, swallowed: false });
    }

    /// Marks a command that is never to be answered.
    pub(super) fn swallow(&mut self, id: CommandId) {
        if let Some(entry) = self.entry(id) {
            entry.swallowed = true;
        }
    }

    /// Whether it is never to be answered.
    pub(super) fn is_swallowed(&self, id: CommandId) -> bool {
        self.entries.iter().any(|entry| entry.id == id && entry.swallowed)
    }

    /// The newest attempt that came.
    pub(super) fn attempt(&self, id: CommandId) -> Option<u32> {
        self.entries.iter().find(|entry| entry.id == id).map(|entry| entry.attempt)
    }

    /// Keeps an answer as the last one; gives it back with the newest attempt.
    pub(super) fn answered(&mut self, id: CommandId, mut answer: Answer) -> Answer {
        if let Some(entry) = self.entry(id) {
            answer.attempt = Some(entry.attempt);
            entry.last = Some(answer.clone());
        }
        answer
    }

    fn entry(&mut self, id: CommandId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_where_there_is_no_room() {
        let mut memory = Memory::default();
        let ids = (0..=COMMANDS_MAX as u128).map(CommandId::from_u128);
        ids.for_each(|id| memory.remember(id, 1));
        assert_eq!(memory.entries.len(), COMMANDS_MAX);
        assert_eq!(memory.recall(CommandId::from_u128(0), 1), Known::New);
        assert_eq!(memory.recall(CommandId::from_u128(1), 1), Known::Unanswered);
    }
}
