//! What is to happen once the store has what it follows from: rounds of effects, each waiting for its commit.

use super::Answer;
use crate::{
    rhythm::Rhythm,
    store::{NotStored, Receipt},
};
use bridge::command::book::Effect;
use protocol::CommandId;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use tokio::sync::mpsc;

/// How a round ended.
pub(super) struct Outcome {
    /// None: nothing else waits for it.
    number: Option<u64>,
    stored: Result<(), NotStored>,
    /// Who waited for it: the actor answers them.
    waited: Vec<Receipt>,
}

/// The rounds that wait, oldest first.
#[derive(Debug)]
pub(super) struct Deferred {
    rounds: VecDeque<(u64, Vec<Effect>)>,
    /// Of rounds that could not be stored: they happen with the next that is.
    kept_back: Vec<Effect>,
    last: u64,
    /// One message for each round that waits.
    outcomes: mpsc::UnboundedSender<Outcome>,
    lookers: Vec<(u64, Looker)>,
    rhythm: Arc<Rhythm>,
}

/// Who is to see nothing that is not stored.
struct Looker(Answer);

impl std::fmt::Debug for Looker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Looker")
    }
}

/// What a round's end means.
pub(super) enum Settled {
    /// These may happen now.
    Stored(Vec<Effect>),
    /// These did not happen.
    NotStored(Vec<Effect>),
}

impl Deferred {
    /// None wait; and where their outcomes arrive.
    pub(super) fn new(rhythm: Arc<Rhythm>) -> (Self, mpsc::UnboundedReceiver<Outcome>) {
        let (outcomes, arrive) = mpsc::unbounded_channel();
        let (rounds, kept_back, lookers) = (VecDeque::new(), Vec::new(), Vec::new());
        (Self { rounds, kept_back, last: 0, outcomes, lookers, rhythm }, arrive)
    }

    /// Takes what follows from a batch and who waits for it; the receipts are for the batch. A round that could not be
    /// stored comes to its end at once, so who is patient does not wait for that.
    pub(super) fn take(
        &mut self,
        effects: Option<Vec<Effect>>,
        waiting: Vec<Receipt>,
    ) -> Vec<Receipt> {
        let (patient, impatient) = waiting.into_iter().partition(Receipt::is_patient);
        let first = match effects {
            Some(effects) => Some(self.round(effects, impatient)),
            None => self.answers(impatient),
        };
        first.into_iter().chain(self.answers(patient)).collect()
    }

    /// Takes a round and who waits for its end, before anything happens; the receipt is for the batch that it
    /// follows from.
    fn round(&mut self, effects: Vec<Effect>, waiting: Vec<Receipt>) -> Receipt {
        self.last += 1;
        let (number, outcomes) = (self.last, self.outcomes.clone());
        self.rounds.push_back((number, effects));
        let rhythm = Arc::clone(&self.rhythm);
        let began = Instant::now();
        rhythm.note_begun();
        Receipt::impatient(move |stored| {
            let number = Some(number);
            let _actor_may_have_ended = outcomes.send(Outcome { number, stored, waited: waiting });
            rhythm.note_ended(began.elapsed());
        })
    }

    /// Takes who waits for the end of a round without effects: the store's thread wakes the actor once, not each of
    /// them.
    fn answers(&self, waiting: Vec<Receipt>) -> Option<Receipt> {
        let outcomes = self.outcomes.clone();
        Receipt::for_all(waiting, move |waiting, stored| {
            let outcome = Outcome { number: None, stored, waited: waiting };
            let _actor_may_have_ended = outcomes.send(outcome);
        })
    }

    /// A round came to its end; none: that means nothing but for who waited.
    pub(super) fn settle(&mut self, outcome: Outcome) -> Option<Settled> {
        let Outcome { number, stored, waited } = outcome;
        waited.into_iter().for_each(|receipt| receipt.tell(stored.clone()));
        let number = number?;
        let mut effects = Vec::new();
        while self.rounds.front().is_some_and(|(first, _)| *first <= number)
            && let Some((_, round)) = self.rounds.pop_front()
        {
            effects.extend(round);
        }
        let (seen, waiting) = std::mem::take(&mut self.lookers)
            .into_iter()
            .partition(|(waits_for, _)| *waits_for <= number);
        self.lookers = waiting;
        seen.into_iter().for_each(|(_, Looker(answer))| answer());
        Some(match stored {
            Ok(()) => {
                let mut all = std::mem::take(&mut self.kept_back);
                all.append(&mut effects);
                Settled::Stored(all)
            }
            Err(_) => Settled::NotStored(effects),
        })
    }

    /// These happen with the next round that is stored.
    pub(super) fn keep_back(&mut self, effects: Vec<Effect>) {
        self.kept_back.extend(effects);
    }

    /// Whether something is kept back, and no round under way that could free it.
    pub(super) fn is_stuck(&self) -> bool {
        !self.kept_back.is_empty() && self.rounds.is_empty()
    }

    /// Answers once what was seen is stored, or is known not to be.
    pub(super) fn look(&mut self, answer: Answer) {
        if self.rounds.is_empty() {
            answer();
        } else {
            self.lookers.push((self.last, Looker(answer)));
        }
    }

    /// Whether something is still to be told of a command.
    pub(super) fn concerns(&self, id: CommandId) -> bool {
        let rounds = self.rounds.iter().flat_map(|(_, effects)| effects);
        rounds.chain(&self.kept_back).any(|effect| match effect {
            Effect::Created(_, details) | Effect::Changed(_, details) => details.command.id == id,
            Effect::BatchChanged(_)
            | Effect::Send { .. }
            | Effect::AskCancel { .. }
            | Effect::Recall { .. }
            | Effect::AlertChanged(..)
            | Effect::Forget(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_round_without_effects_means_something_only_to_who_waited() {
        let (mut deferred, mut arrive) = Deferred::new(Arc::default());
        let _under_way = deferred.round(Vec::new(), Vec::new());
        for stored in [Ok(()), Err(NotStored("the disk is full".into()))] {
            let (tell, told) = mpsc::channel();
            let who = Receipt::impatient(move |stored| {
                let _the_test_waits = tell.send(stored.is_ok());
            });
            deferred.answers(vec![who]).expect("somebody waits").tell(stored.clone());
            let outcome = arrive.try_recv().expect("it is said at once");
            assert!(told.try_recv().is_err(), "the actor answers, nobody else");
            assert!(deferred.settle(outcome).is_none());
            assert_eq!(told.try_recv(), Ok(stored.is_ok()));
            assert_eq!(deferred.rounds.len(), 1);
        }
    }

    #[test]
    fn a_round_does_not_wait_for_who_is_patient() {
        let (mut deferred, _arrive) = Deferred::new(Arc::default());
        let waiting = || vec![Receipt::patient(drop), Receipt::impatient(drop)];
        for effects in [None, Some(Vec::new())] {
            let receipts = deferred.take(effects, waiting());
            let patient: Vec<_> = receipts.iter().map(Receipt::is_patient).collect();
            assert_eq!(patient, [false, true]);
        }
        assert!(deferred.take(None, Vec::new()).is_empty());
    }
}
