//! A store that commits when it is told to.

use bridge::{
    data::Data,
    hub::{Found, Gap},
    update::{Stamp, Update},
};
use protocol::{Offset, TopicFilter, TopicName};
use std::{collections::BTreeMap, sync::Arc};

/// What survives the gateway.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) committed: Vec<Arc<Update>>,
    pub(crate) pending: Vec<Arc<Update>>,
    pub(crate) values: BTreeMap<TopicName, (Stamp, Data)>,
    pub(crate) gaps: Vec<Gap>,
    /// Everything kept after this is in `committed`.
    pub(crate) log_from: Offset,
    /// Everything up to this was given to the store and committed.
    pub(crate) through: Offset,
}

impl Store {
    pub(crate) fn commit(&mut self, through: Offset) {
        for update in self.pending.drain(..) {
            let value = match self.values.get(&update.channel) {
                Some((_, old)) => old.merged(&update.data),
                None => update.data.clone(),
            };
            self.values.insert(update.channel.clone(), (update.stamp, value));
            self.committed.push(update);
        }
        self.through = through;
    }

    /// Drops the older half of the log.
    pub(crate) fn trim(&mut self) {
        let half = self.committed.len() / 2;
        if let Some(last) = self.committed.drain(..half).next_back() {
            self.log_from = last.stamp.offset;
        }
    }

    pub(crate) fn log(&self, after: Offset, filters: &[TopicFilter], most: usize) -> Found {
        if after < self.log_from {
            return Found::Gone;
        }
        let kept = self.committed.iter().filter(|update| update.stamp.offset > after);
        let page: Vec<_> = kept.take(most).cloned().collect();
        let through = match page.last() {
            Some(last) if page.len() == most => last.stamp.offset,
            Some(_) | None => self.through,
        };
        if through <= after {
            return Found::Gone;
        }
        let wanted =
            |update: &Arc<Update>| filters.iter().any(|f| f.matches(update.channel.as_str()));
        Found::Log { updates: page.into_iter().filter(wanted).collect(), through }
    }
}
