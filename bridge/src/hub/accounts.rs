//! How many filters the subscribers of each account have together.

use super::subscriber::Subscriber;
use std::{collections::HashMap, sync::Arc};

/// The counts, and how often somebody was refused for them or for a subscriber's own.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    filters: HashMap<Arc<str>, usize>,
    pub(super) refused: u64,
}

impl Accounts {
    /// How many filters the account of a subscriber would have, if that one had so many.
    pub(super) fn with<S>(&self, subscriber: &Subscriber<S>, filters: usize) -> usize {
        let Some(account) = &subscriber.account else { return 0 };
        let now = self.filters.get(account).copied().unwrap_or(0);
        now - subscriber.counted + filters
    }

    /// A subscriber has so many filters now.
    pub(super) fn count<S>(&mut self, subscriber: &mut Subscriber<S>, filters: usize) {
        let Some(account) = &subscriber.account else { return };
        if filters == subscriber.counted {
            return;
        }
        let count = self.with(subscriber, filters);
        if count == 0 {
            self.filters.remove(account);
        } else {
            self.filters.insert(Arc::clone(account), count);
        }
        subscriber.counted = filters;
    }
}
