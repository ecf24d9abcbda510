//! The commands a device has seen lately, so that none runs twice.

use protocol::{Answer, AnswerStatus, CommandId};
use std::collections::VecDeque;

/// How many commands are remembered: far more than may wait or be in hand, so that there is always
/// one that is over and may be forgotten.
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
    over: bool,
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

    /// Keeps a new command, and forgets the oldest that is over where there is no room.
    pub(super) fn remember(&mut self, id: CommandId, attempt: u32) {
        if self.entries.len() >= COMMANDS_MAX
            && let Some(oldest) = self.entries.iter().position(|entry| entry.over)
        {
            self.entries.remove(oldest);
        }
        let entry = Entry { id, attempt, last: None, swallowed: false, over: false };
        self.entries.push_back(entry);
    }

    /// Marks a command that is never to be answered.
    pub(super) fn swallow(&mut self, id: CommandId) {
        if let Some(entry) = self.entry(id) {
            entry.swallowed = true;
            entry.over = true;
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
            entry.over = is_final(answer.status);
            entry.last = Some(answer.clone());
        }
        answer
    }

    fn entry(&mut self, id: CommandId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }
}

const fn is_final(status: AnswerStatus) -> bool {
    match status {
        AnswerStatus::Succeeded
        | AnswerStatus::Failed
        | AnswerStatus::Rejected
        | AnswerStatus::Cancelled => true,
        AnswerStatus::Received
        | AnswerStatus::Started
        | AnswerStatus::Progress
        | AnswerStatus::NotCancelled => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_room_the_oldest_that_is_over_is_forgotten() {
        let mut memory = Memory::default();
        for n in 0..=COMMANDS_MAX as u128 {
            memory.remember(CommandId::from_u128(n), 1);
            if n > 0 {
                memory.swallow(CommandId::from_u128(n));
            }
        }
        assert_eq!(memory.entries.len(), COMMANDS_MAX);
        assert_eq!(memory.recall(CommandId::from_u128(0), 1), Known::Unanswered);
        assert_eq!(memory.recall(CommandId::from_u128(1), 1), Known::New);
        assert_eq!(memory.recall(CommandId::from_u128(2), 1), Known::Unanswered);
    }
}
