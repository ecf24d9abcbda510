//! What happened in the last minutes, by whom it concerns: bounded however many they are.

use std::{
    collections::HashMap,
    hash::Hash,
    time::{Duration, Instant},
};

/// After so long a time without anything new it is forgotten.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(300);

/// Of how many it is kept; beyond, the one of whom nothing was heard for longest is forgotten.
pub(super) const KEPT_MAX: usize = 10_000;

/// How often something happened, and when it did last.
#[derive(Debug)]
pub(super) struct Recent<K>(HashMap<K, Times>);

#[derive(Clone, Copy, Debug)]
struct Times {
    count: u32,
    last: Instant,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Copy + Eq + Hash> Recent<K> {
    /// How often it happened.
    pub(super) fn count(&self, key: K, now: Instant) -> u32 {
        self.0.get(&key).filter(|times| !times.are_over(now)).map_or(0, |times| times.count)
    }

    /// It happened once more.
    pub(super) fn note(&mut self, key: K, now: Instant) {
        if self.0.len() >= KEPT_MAX && !self.0.contains_key(&key) {
            let oldest = self.0.iter().min_by_key(|(_, times)| times.last).map(|(key, _)| *key);
            oldest.and_then(|oldest| self.0.remove(&oldest));
        }
        let count = self.count(key, now).saturating_add(1);
        self.0.insert(key, Times { count, last: now });
    }

    /// It counts no more.
    pub(super) fn forget(&mut self, key: K) {
        self.0.remove(&key);
    }
}

impl Times {
    fn are_over(self, now: Instant) -> bool {
        self.last + FORGET_AFTER <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_the_one_heard_of_longest_ago_is_forgotten() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        for key in 0..KEPT_MAX {
            recent.note(key, now + Duration::from_millis(key as u64));
        }
        let later = now + Duration::from_secs(60);
        recent.note(0, later);
        recent.note(KEPT_MAX, later);
        let counts = [0, 1, 2, KEPT_MAX].map(|key| recent.count(key, later));
        assert_eq!((counts, recent.0.len()), ([2, 0, 1, 1], KEPT_MAX));
    }

    #[test]
    fn what_did_not_happen_for_long_is_over() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        recent.note("x", now);
        recent.note("x", now);
        assert_eq!(recent.count("x", now + FORGET_AFTER - Duration::from_millis(1)), 2);
        assert_eq!(recent.count("x", now + FORGET_AFTER), 0);
        recent.note("x", now + FORGET_AFTER);
        assert_eq!(recent.count("x", now + FORGET_AFTER), 1);
    }
}
