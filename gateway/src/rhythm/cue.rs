//! Tells who publishes in turns with the gateway from who publishes of its own accord. A script that waits for each
//! acknowledgement before it sends the next message sends nothing while others are waited for: to gather would only slow
//! it down.

use super::REST;
use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

/// What made a client publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Its own time: it measured, something happened.
    Own,
    /// The acknowledgement of what it had published before.
    Acknowledgement,
}

/// Who publishes so soon after an acknowledgement has waited for it: a rest, and the way through a local network.
const SOON: Duration = REST.saturating_add(Duration::from_millis(1));

impl Cue {
    /// That of a client that published so long after its last acknowledgement; none: it has had none.
    pub(crate) fn after(acknowledgement: Option<Duration>) -> Self {
        let soon = acknowledgement.is_some_and(|past| past < SOON);
        if soon { Self::Acknowledgement } else { Self::Own }
    }
}

/// Whether those who wait for acknowledgements mostly take turns with the gateway.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Rises with each who does, falls with each who does not.
    score: AtomicU8,
}

/// Three of four must take turns for the score to rise.
const FALL: u8 = 3;
const SCORE_MAX: u8 = 16;
const SCORE_MIN: u8 = 8;

impl Turns {
    /// Notes what made a client publish that waits for an acknowledgement. Two who note at the same moment may count
    /// as one; that does no harm.
    pub(crate) fn note(&self, cue: Cue) {
        let score = self.score.load(Ordering::Relaxed);
        let next = match cue {
            Cue::Acknowledgement => SCORE_MAX.min(score + 1),
            Cue::Own => score.saturating_sub(FALL),
        };
        self.score.store(next, Ordering::Relaxed);
    }

    /// Whether they do.
    pub(crate) fn are_taken(&self) -> bool {
        self.score.load(Ordering::Relaxed) >= SCORE_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_publishes_right_after_an_acknowledgement_has_waited_for_it() {
        assert_eq!(Cue::after(None), Cue::Own);
        assert_eq!(Cue::after(Some(Duration::from_micros(50))), Cue::Acknowledgement);
        assert_eq!(Cue::after(Some(Duration::from_millis(20))), Cue::Own);
    }

    /// Whether turns are taken after so many messages of which `soon` of ten come right after an acknowledgement.
    fn taken(messages: u32, soon: u32) -> bool {
        let turns = Turns::default();
        for message in 0..messages {
            turns.note(if message % 10 < soon { Cue::Acknowledgement } else { Cue::Own });
        }
        turns.are_taken()
    }

    #[test]
    fn a_script_takes_turns_after_a_few_messages_and_a_fleet_never() {
        assert!(!taken(1, 10));
        assert!(taken(10, 10));
        assert!(taken(1_000, 9));
        assert!((0..1_000).all(|messages| !taken(messages, 6)));
    }

    #[test]
    fn a_fleet_that_comes_after_a_script_ends_its_turns() {
        let turns = Turns::default();
        (0..1_000).for_each(|_| turns.note(Cue::Acknowledgement));
        (0..5).for_each(|_| turns.note(Cue::Own));
        assert!(!turns.are_taken());
    }
}
