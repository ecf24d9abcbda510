//! The channels: the number, the value and the listeners of each. What a subscriber wants of one is its
//! own affair (`subscriber`); who may make one more is the hub's.

use super::{Restored, Sink, SubscriberId, filters::Selection, wish::Parts, wish::Wish};
use crate::{
    data::Data,
    update::{ChannelKind, Stamp, Update},
};
use ahash::HashMap;
use protocol::{Offset, Seq, TopicFilter, TopicName};
use std::sync::Arc;

/// All channels by name. They are boxed: a table is often half empty.
#[derive(Debug)]
pub(super) struct Channels<S>(HashMap<TopicName, Box<Channel<S>>>);

#[derive(Debug)]
pub(super) struct Channel<S> {
    pub(super) kind: ChannelKind,
    pub(super) seq: Seq,
    /// The offset of its newest update.
    pub(super) newest: Offset,
    pub(super) value: Option<(Stamp, Data)>,
    targets: Vec<Target<S>>,
}

/// Who gets a channel's updates, and how.
#[derive(Debug)]
pub(super) struct Target<S> {
    pub(super) subscriber: SubscriberId,
    pub(super) sink: S,
    pub(super) wish: Wish,
    /// It has got what the wish asks for of every update after this one.
    pub(super) after: Offset,
}

impl<S: Sink> Channels<S> {
    /// The channels as they were kept; nobody listens yet.
    pub(super) fn restored(kept: Vec<Restored>) -> Self {
        let channel = |Restored { channel, stamp, value }: Restored| {
            let kind = ChannelKind::of(channel.as_str());
            let value = value.map(|data| (stamp, data));
            let Stamp { seq, offset: newest, .. } = stamp;
            (channel, Box::new(Channel { kind, seq, newest, value, targets: Vec::new() }))
        };
        Self(kept.into_iter().map(channel).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, name: &TopicName) -> Option<&Channel<S>> {
        self.0.get(name).map(|channel| &**channel)
    }

    pub(super) fn get_mut(&mut self, name: &TopicName) -> Option<&mut Channel<S>> {
        self.0.get_mut(name).map(|channel| &mut **channel)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TopicName, &Channel<S>)> {
        self.0.iter().map(|(name, channel)| (name, &**channel))
    }

    pub(super) fn insert(&mut self, name: TopicName, channel: Channel<S>) {
        self.0.insert(name, Box::new(channel));
    }

    /// Calls `act` on each channel that any of `filters` matches.
    pub(super) fn matching(
        &self,
        filters: &[TopicFilter],
        mut act: impl FnMut(&TopicName, &Channel<S>),
    ) {
        if let Some(name) = only_name(filters) {
            return self.0.get(&name).into_iter().for_each(|channel| act(&name, channel));
        }
        let selection = Selection::new(filters.to_vec());
        for (name, channel) in &self.0 {
            if selection.matches(name.as_str()) {
                act(name, channel);
            }
        }
    }

    /// Calls `act` on each channel that any of `filters` matches, to change it.
    pub(super) fn matching_mut(
        &mut self,
        filters: &[TopicFilter],
        mut act: impl FnMut(&TopicName, &mut Channel<S>),
    ) {
        if let Some(name) = only_name(filters) {
            return self.0.get_mut(&name).into_iter().for_each(|channel| act(&name, channel));
        }
        let selection = Selection::new(filters.to_vec());
        for (name, channel) in &mut self.0 {
            if selection.matches(name.as_str()) {
                act(name, channel);
            }
        }
    }
}

/// The one channel that `filters` can match, where it is one: it is looked up instead of sought among all.
fn only_name(filters: &[TopicFilter]) -> Option<TopicName> {
    match filters {
        [filter] if filter.is_literal() => filter.as_str().parse().ok(),
        _ => None,
    }
}

impl<S: Sink> Channel<S> {
    /// A channel without an update yet, whose numbers begin behind `seq`.
    pub(super) fn new(kind: ChannelKind, seq: Seq, targets: Vec<Target<S>>) -> Self {
        Self { kind, seq, newest: Offset(0), value: None, targets }
    }

    /// Merges an update into the value. Gives how many metrics that had no room for.
    pub(super) fn keep_value(&mut self, stamp: Stamp, data: &Data) -> u64 {
        if self.kind == ChannelKind::Topics {
            return 0;
        }
        let (value, forgotten) = match self.value.take() {
            Some((_, old)) => old.merge(data),
            None => (data.clone(), 0),
        };
        self.value = Some((stamp, value));
        forgotten
    }

    /// Hands an update to all who listen.
    pub(super) fn offer(&self, update: &Arc<Update>) {
        let mut parts = Parts::default();
        for target in &self.targets {
            if let Some(part) = parts.of(update, &target.wish) {
                target.sink.offer(part, target.wish.delivery);
            }
        }
    }

    /// Whether a subscriber got all that `wish` asks for of an update when it was live.
    pub(super) fn told(&self, id: SubscriberId, update: &Update, wish: &Wish) -> bool {
        let target = self.target(id);
        target.is_some_and(|target| update.stamp.offset > target.after && target.wish.gives(wish))
    }

    /// How a subscriber is served; none: it is not.
    pub(super) fn wish_of(&self, id: SubscriberId) -> Option<&Wish> {
        Some(&self.target(id)?.wish)
    }

    fn target(&self, id: SubscriberId) -> Option<&Target<S>> {
        self.targets.iter().find(|target| target.subscriber == id)
    }

    /// From here on, after the update `newest`, a subscriber gets what `wish` asks for, and before that what still
    /// waits of what it asked for before.
    pub(super) fn serve(
        &mut self,
        name: &TopicName,
        subscriber: SubscriberId,
        sink: S,
        wish: Wish,
        newest: Offset,
    ) {
        let before = self.remove(subscriber);
        if before.as_ref().is_some_and(|before| before.wish != wish) {
            sink.release(name);
        }
        let after = match before {
            Some(before) if before.wish.gives(&wish) => before.after,
            Some(_) | None => newest,
        };
        self.targets.push(Target { subscriber, sink, wish, after });
    }

    pub(super) fn remove(&mut self, id: SubscriberId) -> Option<Target<S>> {
        let place = self.targets.iter().position(|target| target.subscriber == id)?;
        Some(self.targets.remove(place))
    }
}
