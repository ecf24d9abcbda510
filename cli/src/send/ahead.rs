//! What is known of a command before its channel tells of it: an answer overtakes the updates that are still on their way.

use protocol::{Command, CommandState};

/// How far a command was, as an answer told it; none once its channel is as far.
#[derive(Debug, Default)]
pub(super) struct Ahead(Option<Far>);

/// Attempt, state, progress, and whether it was verified: the greater, the later.
type Far = (u32, usize, f64, bool);

impl Ahead {
    /// An answer was shown.
    pub(super) fn answered(command: &Command) -> Self {
        Self(Some(far(command)))
    }

    /// Whether an update is news: it is beyond what the answer told.
    pub(super) fn is_news(&mut self, update: &Command) -> bool {
        let news = self.0.is_none_or(|known| far(update) > known);
        if news {
            self.0 = None;
        }
        news
    }
}

/// The states are in the order in which a command goes through them.
fn far(command: &Command) -> Far {
    let Command { attempt, state, progress, verified, .. } = command;
    let place = CommandState::ALL.iter().position(|known| known == state);
    (*attempt, place.unwrap_or_default(), progress.unwrap_or_default(), verified.is_some())
}
