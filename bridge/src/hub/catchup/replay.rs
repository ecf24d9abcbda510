//! `replay`: a range of one channel's updates once more, by their numbers.

use super::{Job, Next, Rest, exactly, refuse_channel};
use crate::{
    hub::{Hub, Sink, SubscriberId, subscriber::Subscriber, wish::Wish},
    update::Update,
};
use protocol::{Reply, RequestId, ResetReason, Seq, SubscribeOptions, TopicName};
use std::sync::Arc;

/// How many updates a step sends.
const AT_ONCE: usize = 256;

#[derive(Debug)]
pub(in crate::hub) struct Replay {
    mark: Option<RequestId>,
    channel: TopicName,
    /// The next to send.
    next: Seq,
    /// The last.
    to: Seq,
    /// Whether some before `next` were nowhere to be had.
    has_holes: bool,
}

impl Replay {
    /// Sends updates in order, none before the next one; numbers that are left out are lost.
    pub(super) fn send<S: Sink>(&mut self, sink: &S, updates: &[Arc<Update>]) {
        for update in updates {
            sink.replay(update);
            self.has_holes |= update.stamp.seq > self.next;
            self.next = Seq(update.stamp.seq.0 + 1);
        }
    }
}

impl<S: Sink> Hub<S> {
    /// Begins a `replay`, or refuses it.
    pub fn replay(
        &mut self,
        id: SubscriberId,
        mark: Option<RequestId>,
        channel: TopicName,
        (from, to): (Seq, Seq),
    ) {
        let newest = self.channels.get(&channel).map_or(Seq(0), |channel| channel.seq);
        let most = self.limits.subscriptions;
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        if !subscriber.rights.may_see(&channel) {
            return refuse_channel(&subscriber.sink, mark, channel.as_str());
        }
        if from == Seq(0) || from > to || to > newest {
            let message = format!(
                "{from} to {to} is no range of '{channel}', whose updates are numbered 1 to {newest}"
            );
            let code = "bad_range".into();
            return subscriber.sink.reply(&Reply::Error { id: mark, code, message });
        }
        if subscriber.jobs.len() >= most {
            let message = format!("{most} requests for the past wait already: wait for their ends");
            let code = "too_many_replays".into();
            return subscriber.sink.reply(&Reply::Error { id: mark, code, message });
        }
        let replay = Replay { mark, channel, next: from, to, has_holes: false };
        subscriber.jobs.push_back(Job::Replay(replay));
    }

    pub(super) fn step_replay(
        &self,
        subscriber: &Subscriber<S>,
        mut replay: Replay,
        room: &mut usize,
    ) -> Rest {
        let Replay { ref channel, next, to, .. } = replay;
        if next > to && replay.has_holes {
            self.end_lost(subscriber, replay);
            return None;
        }
        if next > to {
            subscriber.sink.reply(&Reply::Ok { id: replay.mark, command: None });
            return None;
        }
        if let Some(found) = self.ring.range(channel, (next, to), AT_ONCE) {
            *room = room.saturating_sub(found.iter().map(|update| update.bytes()).sum());
            replay.send(&subscriber.sink, &found);
            return Some((Job::Replay(replay), Next::Step));
        }
        if self.channels.get(channel).is_some_and(|channel| channel.kind.is_kept()) {
            let range = Next::Range { channel: channel.clone(), from: next, to };
            return Some((Job::Replay(replay), range));
        }
        self.end_lost(subscriber, replay);
        None
    }

    /// Some of what was asked for is nowhere any more: the value instead.
    pub(super) fn end_lost(&self, subscriber: &Subscriber<S>, replay: Replay) {
        let Replay { mark, channel, .. } = replay;
        let whole = Wish::of(&SubscribeOptions::default());
        self.reset(subscriber, &[exactly(&channel)], ResetReason::Expired, &whole);
        subscriber.sink.reply(&Reply::Ok { id: mark, command: None });
    }
}
