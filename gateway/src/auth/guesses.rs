//! What there is to tell of sign-ins that were held back, since it was told last. However many they are, it has
//! a bounded size.

use super::guard::Comer;
use crate::clock;
use protocol::Timestamp;
use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// So many addresses and names are told of; the counts go on.
const TOLD_MAX: usize = 16;

/// So many characters of a name are told: who guesses chooses how long it is.
const NAME_CHARS_MAX: usize = 128;

/// Sign-ins that were held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guesses {
    /// How many had to wait.
    pub delayed: u64,
    /// How many were refused because too many of their address waited.
    pub refused: u64,
    /// Where they came from: the first few.
    pub addresses: BTreeSet<IpAddr>,
    /// Whom they wanted to be, where they said that: the first few.
    pub names: BTreeSet<String>,
    /// When the first came.
    pub since: Option<Timestamp>,
}

/// What became of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    Delayed,
    Refused,
}

/// Keeps them until they are told.
#[derive(Debug, Default)]
pub(super) struct Tally {
    untold: Mutex<Guesses>,
    some: Notify,
}

impl Tally {
    pub(super) fn note(&self, what: Guess, comer: Comer<'_>) {
        let mut untold = self.untold();
        match what {
            Guess::Delayed => untold.delayed += 1,
            Guess::Refused => untold.refused += 1,
        }
        untold.since.get_or_insert_with(clock::now);
        if untold.addresses.len() < TOLD_MAX {
            untold.addresses.insert(comer.address.to_canonical());
        }
        if let Some(name) = comer.name
            && untold.names.len() < TOLD_MAX
        {
            untold.names.insert(name.chars().take(NAME_CHARS_MAX).collect());
        }
        drop(untold);
        self.some.notify_one();
    }

    /// Waits until there is something to tell.
    pub(super) async fn some(&self) {
        while self.untold().since.is_none() {
            self.some.notified().await;
        }
    }

    pub(super) fn take(&self) -> Guesses {
        std::mem::take(&mut self.untold())
    }

    fn untold(&self) -> MutexGuard<'_, Guesses> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::net::Ipv4Addr;

    #[test]
    fn what_is_told_of_a_flood_of_guesses_is_bounded() {
        let tally = Tally::default();
        assert!(tally.some().now_or_never().is_none(), "there is nothing to tell");
        for number in 0..1_000_u32 {
            let name = format!("{number}{}", "x".repeat(1_000));
            let address = Ipv4Addr::from_bits(number).into();
            tally.note(Guess::Delayed, Comer { address, name: Some(&name) });
        }
        tally.note(Guess::Refused, Comer { address: Ipv4Addr::LOCALHOST.into(), name: None });
        assert!(tally.some().now_or_never().is_some());
        let told = tally.take();
        assert_eq!((told.delayed, told.refused), (1_000, 1));
        assert_eq!((told.addresses.len(), told.names.len()), (TOLD_MAX, TOLD_MAX));
        assert!(told.names.iter().all(|name| name.chars().count() <= NAME_CHARS_MAX));
        assert_eq!(tally.take(), Guesses::default(), "nothing is told twice");
        assert!(tally.some().now_or_never().is_none());
    }
}
