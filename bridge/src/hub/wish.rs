//! How a subscriber wants the channels that a filter matches.

use crate::{
    data::{Data, Fields},
    outbox::Delivery,
    update::{ChannelKind, Update},
};
use protocol::{Millis, Mode, SubscribeOptions};
use std::sync::Arc;

/// What the options of a subscription ask for, for as long as it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) delivery: Delivery,
    /// Only these members; none: all.
    pub(super) fields: Option<Arc<Fields>>,
}

impl Wish {
    pub(super) fn of(options: &SubscribeOptions) -> Self {
        let delivery = match (options.throttle, options.mode) {
            (Some(rate), _) => Delivery::Latest { interval: interval(rate) },
            (None, Some(Mode::Latest)) => Delivery::Latest { interval: Millis(0) },
            (None, Some(Mode::Every) | None) => Delivery::Every,
        };
        let fields = options.fields.as_ref();
        let fields = fields.map(|names| Arc::new(Fields::new(names.iter().map(String::as_str))));
        Self { delivery, fields }
    }

    /// The same where the channel's kind lets a subscriber choose, else everything.
    pub(super) fn on(&self, kind: ChannelKind) -> Self {
        match kind {
            ChannelKind::Telemetry | ChannelKind::Topics | ChannelKind::Stats => self.clone(),
            ChannelKind::Whole => Self { delivery: Delivery::Every, fields: None },
        }
    }

    /// What gives as much as either.
    pub(super) fn most(self, other: Self) -> Self {
        let fields = match (self.fields, other.fields) {
            (Some(these), Some(those)) if these == those => Some(these),
            (Some(these), Some(those)) => Some(Arc::new(these.union(&those))),
            (None, _) | (_, None) => None,
        };
        Self { delivery: self.delivery.most(other.delivery), fields }
    }

    /// Whether who gets this gets all that `other` asks for.
    pub(super) fn gives(&self, other: &Self) -> bool {
        self.has_fields_of(other) && self.delivery.most(other.delivery) == self.delivery
    }

    /// Whether each update has all the members that `other` asks for.
    pub(super) fn has_fields_of(&self, other: &Self) -> bool {
        match (&self.fields, &other.fields) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(these), Some(those)) => these == those || these.union(those) == **these,
        }
    }

    /// The part of `data` that is wanted; none where that is nothing.
    pub(super) fn part(&self, data: &Data) -> Option<Data> {
        match &self.fields {
            None => Some(data.clone()),
            Some(fields) => data.only(fields),
        }
    }

    /// The part of `update` that is wanted; none where that is nothing.
    pub(super) fn part_of(&self, update: &Arc<Update>) -> Option<Arc<Update>> {
        let Some(fields) = &self.fields else { return Some(Arc::clone(update)) };
        let data = update.data.only(fields)?;
        let Update { channel, kind, stamp, .. } = &**update;
        Some(Arc::new(Update::new(channel.clone(), *kind, *stamp, data)))
    }
}

/// The least whole time between updates that gives at most `rate` a second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive rate gives a positive time, and `as` saturates"
)]
fn interval(rate: f64) -> Millis {
    Millis((1_000.0 / rate).ceil() as u64)
}

/// The parts of one update, each made once for all who want the same.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<(Arc<Fields>, Option<Arc<Update>>)>);

impl Parts {
    /// What of `update` goes to a subscriber with this wish.
    pub(super) fn of<'a>(
        &'a mut self,
        update: &'a Arc<Update>,
        wish: &Wish,
    ) -> Option<&'a Arc<Update>> {
        let Some(fields) = &wish.fields else { return Some(update) };
        let place = self.0.iter().position(|(known, _)| known == fields).unwrap_or_else(|| {
            self.0.push((Arc::clone(fields), wish.part_of(update)));
            self.0.len() - 1
        });
        self.0.get(place).expect("found or pushed above").1.as_ref()
    }
}
