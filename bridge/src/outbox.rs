//! One subscriber's outbox: what waits to be written to it, bounded in bytes, conflated in place.
//!
//! The hub offers updates; the connection's writer takes frames. When the reader is slow, telemetry
//! merges to the newest values of each channel and the reader is told (`lag`); what still grows past
//! the bound ends the connection ([`Outbox::is_too_slow`]). A reader that catches up has the true values.

use crate::{
    data::Data,
    update::{ChannelKind, Mark, Stamp, Update, write_update},
};
use protocol::{Millis, Reply, Timestamp, TopicName};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

/// A time that is over, for slots that wait for nothing.
const AT_ONCE: Timestamp = Timestamp(i64::MIN);

/// Above this many queued bytes telemetry conflates.
pub const CONFLATE_BYTES: usize = 256 * 1024;

/// Above this many queued bytes for [`TOO_SLOW_AFTER`] the connection is closed.
pub const TOO_SLOW_BYTES: usize = 1024 * 1024;

/// How long more than [`TOO_SLOW_BYTES`] may stay queued.
pub const TOO_SLOW_AFTER: Millis = Millis(10_000);

/// Above this many queued bytes the connection is closed at once: no burst of live data comes near
/// it, only a reader that asks for snapshots and never reads.
pub const OVERFLOW_BYTES: usize = 16 * 1024 * 1024;

/// How a subscriber wants the updates of a channel. Ordered by how much it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each update.
    Every,
    /// The newest values; with an interval, at most once in that time for each channel.
    Latest {
        /// The least time between two updates of a channel; 0: each frame.
        interval: Millis,
    },
}

impl Delivery {
    /// Of two deliveries the one that gives more.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        match (self, other) {
            (Self::Every, _) | (_, Self::Every) => Self::Every,
            (Self::Latest { interval: a }, Self::Latest { interval: b }) => {
                Self::Latest { interval: a.min(b) }
            }
        }
    }
}

/// What waits to be written to one subscriber.
#[derive(Debug, Default)]
pub struct Outbox {
    queue: VecDeque<Entry>,
    slots: HashMap<TopicName, Slot>,
    due: BTreeSet<(Timestamp, TopicName)>,
    bytes: usize,
    over_since: Option<Timestamp>,
    lag: Option<Lag>,
    delivered: u64,
    conflated: u64,
}

#[derive(Debug)]
enum Entry {
    /// A reply, encoded.
    Reply(String),
    /// An update, shared with the other subscribers.
    Update(Arc<Update>),
    /// The value of a channel, encoded when it is written.
    Snapshot(Box<(TopicName, Stamp, Data)>),
    /// What the slot of this channel holds when it is written, if its ticket is still this one.
    Slot(TopicName, u64),
}

/// The newest values of a channel that conflates.
#[derive(Debug)]
struct Slot {
    pending: Option<Pending>,
    /// Not written before this.
    not_before: Timestamp,
    interval: Millis,
    /// Counts how often it was cleared: places in the queue from before are void.
    ticket: u64,
}

#[derive(Debug)]
struct Pending {
    newest: Arc<Update>,
    /// The merged values, where more than one update went in.
    merged: Option<Data>,
}

#[derive(Debug, Default)]
struct Lag {
    dropped: u64,
}

/// What the rest of an entry costs beside its text.
const ENTRY_BYTES: usize = 64;

/// Whether the writer must be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// There is something to write, or an earlier time to look again.
    Yes,
    /// The writer knows already.
    No,
}

impl Outbox {
    /// Puts an update in, to come whole unless the reader is slow.
    pub fn every(&mut self, update: &Arc<Update>) -> Wake {
        let lagging = self.lag.is_some() && update.kind == ChannelKind::Telemetry;
        if lagging || self.holds(&update.channel) {
            return self.conflate(AT_ONCE, update, Millis(0));
        }
        let wake = self.push(Entry::Update(Arc::clone(update)));
        if self.bytes > CONFLATE_BYTES && self.lag.is_none() {
            self.start_lag();
        }
        wake
    }

    /// Puts an update in, to merge with those of its channel that are not written yet; with an
    /// interval, the channel is written at most once in that time.
    pub fn latest(&mut self, now: Timestamp, update: &Arc<Update>, interval: Millis) -> Wake {
        self.conflate(now, update, interval)
    }

    /// Puts the value of a channel in, to be marked as a snapshot.
    ///
    /// It takes the place of what waits in the channel's slot, which it contains: nothing older comes
    /// behind it.
    pub fn snapshot(&mut self, channel: TopicName, stamp: Stamp, data: Data) -> Wake {
        self.clear_slot(&channel);
        self.push(Entry::Snapshot(Box::new((channel, stamp, data))))
    }

    /// Puts a reply in, behind everything that is there.
    pub fn reply(&mut self, reply: &Reply) -> Wake {
        self.push(Entry::Reply(encode(reply)))
    }

    /// Forgets what waits for its interval in a channel that is no longer wanted.
    pub fn withdraw(&mut self, channel: &TopicName) {
        if let Some(slot) = self.slots.get(channel)
            && self.due.remove(&(slot.not_before, channel.clone()))
        {
            self.slots.remove(channel);
        }
    }

    /// The next frame: an array of at least one message, cut at the first message past `bytes_max`;
    /// none where nothing is ready.
    pub fn take(&mut self, now: Timestamp, bytes_max: usize) -> Option<String> {
        self.release_due(now);
        let mut frame = String::with_capacity(self.bytes.clamp(64, bytes_max + 1_024));
        while frame.len() < bytes_max
            && let Some(entry) = self.queue.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(entry.size());
            self.write(now, &mut frame, entry);
        }
        if self.queue.is_empty()
            && let Some(Lag { dropped }) = self.lag.take()
        {
            begin_message(&mut frame);
            frame.push_str(&encode(&Reply::Lag { on: false, dropped }));
        }
        if frame.is_empty() {
            return None;
        }
        frame.push(']');
        Some(frame)
    }

    /// When [`Self::take`] has something again without anything being put in.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether something can be taken now.
    #[must_use]
    pub fn is_ready(&self, now: Timestamp) -> bool {
        !self.queue.is_empty() || self.next_due().is_some_and(|at| at <= now)
    }

    /// Whether the reader is too slow to be kept: past the bound for too long, or far past it. Wants
    /// to be asked about every second, for the time counts from the first time that it is asked.
    #[must_use]
    pub fn is_too_slow(&mut self, now: Timestamp) -> bool {
        if self.bytes <= TOO_SLOW_BYTES {
            self.over_since = None;
            return false;
        }
        let since = *self.over_since.get_or_insert(now);
        now.since(since) >= TOO_SLOW_AFTER || self.bytes > OVERFLOW_BYTES
    }

    /// Whether telemetry is being conflated because the reader is slow.
    #[must_use]
    pub fn is_lagging(&self) -> bool {
        self.lag.is_some()
    }

    /// Takes the counts since the last call: updates written, updates conflated because of lag.
    pub fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.delivered), std::mem::take(&mut self.conflated))
    }

    /// Whether older values of the channel wait in a slot, so that nothing may overtake them.
    fn holds(&self, channel: &TopicName) -> bool {
        !self.slots.is_empty() && self.slots.get(channel).is_some_and(|slot| slot.pending.is_some())
    }

    fn push(&mut self, entry: Entry) -> Wake {
        let wake = if self.queue.is_empty() { Wake::Yes } else { Wake::No };
        self.bytes += entry.size();
        self.queue.push_back(entry);
        wake
    }

    /// Lets go of what waits in a channel's slot; its place in the queue is void then.
    fn clear_slot(&mut self, channel: &TopicName) {
        if let Some(slot) = self.slots.get_mut(channel) {
            slot.pending = None;
            slot.ticket += 1;
        }
    }

    /// Merges an update into its channel's slot, which gets a place in the queue when it is due.
    fn conflate(&mut self, now: Timestamp, update: &Arc<Update>, interval: Millis) -> Wake {
        let slot = self.slots.entry(update.channel.clone()).or_insert_with(|| Slot {
            pending: None,
            not_before: now,
            interval,
            ticket: 0,
        });
        slot.interval = interval;
        if let Some(pending) = &mut slot.pending {
            pending.merge(update);
            self.count_dropped(1);
            return Wake::No;
        }
        slot.pending = Some(Pending { newest: Arc::clone(update), merged: None });
        let place = (slot.not_before, update.channel.clone());
        if slot.not_before <= now {
            // A slot has one place: what was due to look whether it stayed empty must not queue it again.
            self.due.remove(&place);
            let ticket = slot.ticket;
            return self.push(Entry::Slot(place.1, ticket));
        }
        let earliest = self.due.first().is_none_or(|first| place < *first);
        self.due.insert(place);
        if earliest { Wake::Yes } else { Wake::No }
    }

    fn count_dropped(&mut self, updates: u64) {
        if let Some(lag) = &mut self.lag {
            lag.dropped += updates;
            self.conflated += updates;
        }
    }

    /// Conflates the telemetry that waits, and says so before anything else.
    fn start_lag(&mut self) {
        self.lag = Some(Lag::default());
        self.bytes = 0;
        for entry in std::mem::take(&mut self.queue) {
            match entry {
                Entry::Update(update) if update.kind == ChannelKind::Telemetry => {
                    let _queued_already = self.conflate(AT_ONCE, &update, Millis(0));
                }
                Entry::Snapshot(value) => {
                    self.clear_slot(&value.0);
                    let _queued_already = self.push(Entry::Snapshot(value));
                }
                other @ (Entry::Reply(_) | Entry::Update(_) | Entry::Slot(..)) => {
                    let _queued_already = self.push(other);
                }
            }
        }
        let dropped = self.lag.as_mut().map_or(0, |lag| std::mem::take(&mut lag.dropped));
        let notice = Entry::Reply(encode(&Reply::Lag { on: true, dropped }));
        self.bytes += notice.size();
        self.queue.push_front(notice);
    }

    /// Gives slots whose time has come their place in the queue, and forgets those that stayed empty.
    fn release_due(&mut self, now: Timestamp) {
        while self.due.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, channel)) = self.due.pop_first()
        {
            let waiting = self.slots.get(&channel).filter(|slot| slot.pending.is_some());
            if let Some(ticket) = waiting.map(|slot| slot.ticket) {
                let _taken_next = self.push(Entry::Slot(channel, ticket));
            } else {
                self.slots.remove(&channel);
            }
        }
    }

    fn write(&mut self, now: Timestamp, frame: &mut String, entry: Entry) {
        match entry {
            Entry::Reply(text) => {
                begin_message(frame);
                frame.push_str(&text);
            }
            Entry::Update(update) => {
                self.delivered += 1;
                begin_message(frame);
                frame.push_str(update.text());
            }
            Entry::Snapshot(value) => {
                let (channel, stamp, data) = &*value;
                begin_message(frame);
                write_update(frame, channel.as_str(), *stamp, data, Mark::Snapshot);
            }
            Entry::Slot(channel, ticket) => self.write_slot(now, frame, channel, ticket),
        }
    }

    fn write_slot(&mut self, now: Timestamp, frame: &mut String, channel: TopicName, ticket: u64) {
        let Some(slot) = self.slots.get_mut(&channel).filter(|slot| slot.ticket == ticket) else {
            return;
        };
        let Some(pending) = slot.pending.take() else { return };
        self.delivered += 1;
        begin_message(frame);
        match &pending.merged {
            None => frame.push_str(pending.newest.text()),
            Some(data) => {
                write_update(frame, channel.as_str(), pending.newest.stamp, data, Mark::Live);
            }
        }
        if slot.interval == Millis(0) {
            self.slots.remove(&channel);
        } else {
            slot.not_before = now.plus(slot.interval);
            self.due.insert((slot.not_before, channel));
        }
    }
}

/// Opens the array, or goes on to its next message.
fn begin_message(frame: &mut String) {
    frame.push(if frame.is_empty() { '[' } else { ',' });
}

impl Pending {
    fn merge(&mut self, newer: &Arc<Update>) {
        let old = self.merged.as_ref().unwrap_or(&self.newest.data);
        self.merged = Some(old.merged(&newer.data));
        self.newest = Arc::clone(newer);
    }
}

impl Entry {
    fn size(&self) -> usize {
        ENTRY_BYTES
            + match self {
                Self::Reply(text) => text.len(),
                Self::Update(update) => update.text().len(),
                Self::Snapshot(_) | Self::Slot(..) => 0,
            }
    }
}

fn encode(reply: &Reply) -> String {
    serde_json::to_string(reply).expect("replies have text keys and finite numbers only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Metrics;
    use proptest::prelude::*;
    use protocol::{Offset, Seq};
    use serde_json::Value as Json;

    const EACH_FRAME: Delivery = Delivery::Latest { interval: Millis(0) };

    fn update(channel: &str, number: u64, metrics: &str) -> Arc<Update> {
        let metrics = Metrics::parse(metrics).unwrap();
        let stamp =
            Stamp { seq: Seq(number), offset: Offset(number), timestamp: Timestamp(number as i64) };
        let channel: TopicName = channel.parse().unwrap();
        let kind = ChannelKind::of(channel.as_str());
        Arc::new(Update::new(channel, kind, stamp, Data::Metrics(Arc::new(metrics))))
    }

    fn offer(outbox: &mut Outbox, now: i64, update: &Arc<Update>, delivery: Delivery) {
        let _wake = match delivery {
            Delivery::Every => outbox.every(update),
            Delivery::Latest { interval } => outbox.latest(Timestamp(now), update, interval),
        };
    }

    /// The next frame as (seq, data) of updates and type of replies.
    fn take(outbox: &mut Outbox, now: i64) -> Vec<String> {
        let frame = outbox.take(Timestamp(now), 1 << 20).unwrap_or_else(|| "[]".into());
        let messages: Vec<Json> = serde_json::from_str(&frame).unwrap();
        let short = |message: &Json| match message.get("type") {
            Some(kind) => kind.as_str().unwrap().to_owned(),
            None => format!("{} {}", message["seq"], message["data"]),
        };
        messages.iter().map(short).collect()
    }

    #[test]
    fn every_update_comes_in_order() {
        let mut outbox = Outbox::default();
        for number in 1..=3 {
            offer(&mut outbox, 0, &update("telemetry/d", number, r#"{"a":1}"#), Delivery::Every);
        }
        assert_eq!(take(&mut outbox, 0), [r#"1 {"a":1}"#, r#"2 {"a":1}"#, r#"3 {"a":1}"#]);
        assert_eq!(outbox.take(Timestamp(0), 100), None);
    }

    #[test]
    fn only_the_first_update_wakes_the_writer() {
        let mut outbox = Outbox::default();
        let one = update("telemetry/d", 1, "{}");
        assert_eq!(outbox.every(&one), Wake::Yes);
        assert_eq!(outbox.every(&one), Wake::No);
    }

    #[test]
    fn latest_merges_to_the_newest_values_and_the_newest_seq() {
        let mut outbox = Outbox::default();
        offer(&mut outbox, 0, &update("telemetry/d", 1, r#"{"a":1,"b":1}"#), EACH_FRAME);
        offer(&mut outbox, 0, &update("telemetry/e", 1, r#"{"a":7}"#), EACH_FRAME);
        offer(&mut outbox, 0, &update("telemetry/d", 2, r#"{"a":2}"#), EACH_FRAME);
        assert_eq!(take(&mut outbox, 0), [r#"2 {"a":2,"b":1}"#, r#"1 {"a":7}"#]);
    }

    #[test]
    fn a_throttled_channel_comes_at_its_interval_with_the_newest_value() {
        let mut outbox = Outbox::default();
        let delivery = Delivery::Latest { interval: Millis(100) };
        for number in 1..=5_u64 {
            let now = number as i64 * 30;
            offer(&mut outbox, now, &update("telemetry/d", number, "{}"), delivery);
        }
        assert_eq!(take(&mut outbox, 150), ["5 {}"]);
        offer(&mut outbox, 160, &update("telemetry/d", 6, "{}"), delivery);
        assert_eq!(take(&mut outbox, 249), Vec::<String>::new());
        assert_eq!(outbox.next_due(), Some(Timestamp(250)));
        assert_eq!(take(&mut outbox, 250), ["6 {}"]);
        assert_eq!(take(&mut outbox, 400), Vec::<String>::new());
        assert!(outbox.slots.is_empty(), "an idle channel is forgotten");
    }

    #[test]
    fn an_update_that_comes_when_its_interval_is_over_is_queued_once() {
        let mut outbox = Outbox::default();
        let delivery = Delivery::Latest { interval: Millis(100) };
        offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), delivery);
        assert_eq!(take(&mut outbox, 0), ["1 {}"]);
        offer(&mut outbox, 100, &update("telemetry/d", 2, "{}"), delivery);
        assert_eq!(take(&mut outbox, 100), ["2 {}"]);
        offer(&mut outbox, 150, &update("telemetry/d", 3, "{}"), delivery);
        assert_eq!(outbox.next_due(), Some(Timestamp(200)));
        assert_eq!(take(&mut outbox, 200), ["3 {}"]);
    }

    #[test]
    fn a_channel_that_is_no_longer_wanted_is_withdrawn() {
        let mut outbox = Outbox::default();
        let delivery = Delivery::Latest { interval: Millis(100) };
        offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), delivery);
        assert_eq!(take(&mut outbox, 0), ["1 {}"]);
        offer(&mut outbox, 10, &update("telemetry/d", 2, "{}"), delivery);
        outbox.withdraw(&"telemetry/d".parse().unwrap());
        assert_eq!(take(&mut outbox, 200), Vec::<String>::new());
        assert_eq!(outbox.next_due(), None);
    }

    #[test]
    fn a_snapshot_is_never_followed_by_what_it_contains() {
        let snapshot = |outbox: &mut Outbox, number: u64| {
            let value = update("telemetry/d", number, &format!(r#"{{"a":{number}}}"#));
            let _wake = outbox.snapshot(value.channel.clone(), value.stamp, value.data.clone());
        };
        let mut outbox = Outbox::default();
        offer(&mut outbox, 0, &update("telemetry/d", 1, r#"{"a":1}"#), EACH_FRAME);
        snapshot(&mut outbox, 1);
        offer(&mut outbox, 0, &update("telemetry/d", 2, r#"{"a":2}"#), EACH_FRAME);
        assert_eq!(take(&mut outbox, 0), [r#"1 {"a":1}"#, r#"2 {"a":2}"#]);
        let pad = "x".repeat(CONFLATE_BYTES);
        offer(&mut outbox, 0, &update("telemetry/d", 3, r#"{"a":3}"#), Delivery::Every);
        snapshot(&mut outbox, 3);
        let big = update("telemetry/e", 1, &format!(r#"{{"pad":"{pad}"}}"#));
        offer(&mut outbox, 0, &big, Delivery::Every);
        offer(&mut outbox, 0, &update("telemetry/d", 4, r#"{"a":4}"#), Delivery::Every);
        let frame = take(&mut outbox, 0);
        let of_d: Vec<_> = frame.iter().filter(|text| text.contains("\"a\"")).collect();
        assert_eq!(of_d, [r#"3 {"a":3}"#, r#"4 {"a":4}"#]);
    }

    #[test]
    fn nothing_overtakes_older_values_of_its_channel() {
        let mut outbox = Outbox::default();
        let slow = Delivery::Latest { interval: Millis(100) };
        offer(&mut outbox, 0, &update("telemetry/d", 1, "{}"), slow);
        assert_eq!(take(&mut outbox, 0), ["1 {}"]);
        offer(&mut outbox, 10, &update("telemetry/d", 2, r#"{"a":2}"#), slow);
        offer(&mut outbox, 20, &update("telemetry/d", 3, r#"{"b":3}"#), Delivery::Every);
        assert_eq!(take(&mut outbox, 100), [r#"3 {"a":2,"b":3}"#]);
    }

    #[test]
    fn a_slow_reader_is_told_gets_the_newest_values_and_is_told_again() {
        let mut outbox = Outbox::default();
        let count = 4_000;
        for number in 1..=count {
            let metrics = format!(r#"{{"a":{number},"pad":"{}"}}"#, "x".repeat(100));
            offer(&mut outbox, 0, &update("telemetry/d", number, &metrics), Delivery::Every);
        }
        assert!(outbox.is_lagging());
        let frame = take(&mut outbox, 0);
        assert_eq!(frame.first().map(String::as_str), Some("lag"));
        assert!(frame[1].starts_with(&format!("{count} {{\"a\":{count}")));
        assert_eq!(frame.last().map(String::as_str), Some("lag"));
        assert!(!outbox.is_lagging());
        assert_eq!(outbox.take_counts(), (1, count - 1));
    }

    #[test]
    fn what_must_come_whole_is_not_conflated_and_ends_a_reader_that_stays_slow() {
        let mut outbox = Outbox::default();
        let metrics = format!(r#"{{"pad":"{}"}}"#, "x".repeat(1_000));
        for number in 1..=1_500 {
            offer(&mut outbox, 0, &update("commands/d", number, &metrics), Delivery::Every);
        }
        assert!(!outbox.is_too_slow(Timestamp(0)));
        assert!(!outbox.is_too_slow(Timestamp(9_999)));
        assert!(outbox.is_too_slow(Timestamp(10_000)));
    }

    #[test]
    fn a_frame_is_cut_at_its_size() {
        let mut outbox = Outbox::default();
        for number in 1..=10 {
            offer(&mut outbox, 0, &update("telemetry/d", number, "{}"), Delivery::Every);
        }
        let frame = outbox.take(Timestamp(0), 100).unwrap();
        let messages: Vec<Json> = serde_json::from_str(&frame).unwrap();
        assert_eq!(messages.len(), 2);
        assert!(outbox.is_ready(Timestamp(0)));
    }

    /// What a step of a random run does; channel `i` is always delivered the same way.
    #[derive(Clone, Debug)]
    enum Step {
        Offer(usize, usize),
        Wait(i64),
        Take(usize),
        Withdraw(usize),
    }

    const CHANNELS: [(&str, Delivery); 4] = [
        ("telemetry/every", Delivery::Every),
        ("telemetry/latest", EACH_FRAME),
        ("telemetry/fast", Delivery::Latest { interval: Millis(10) }),
        ("telemetry/slow", Delivery::Latest { interval: Millis(35) }),
    ];

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0..CHANNELS.len(), 0..3_usize).prop_map(|(channel, metric)| Step::Offer(channel, metric)),
            3 => prop_oneof![Just(5), Just(10), Just(35), 0..40_i64].prop_map(Step::Wait),
            3 => prop_oneof![Just(1), Just(150), Just(1 << 20)].prop_map(Step::Take),
            1 => (0..CHANNELS.len()).prop_map(Step::Withdraw),
        ];
        proptest::collection::vec(step, 0..120)
    }

    /// The plainest model of one channel: all that was offered, all that came.
    #[derive(Default)]
    struct Model {
        offered: u64,
        /// The newest value of each metric, since the channel was withdrawn.
        truth: HashMap<usize, u64>,
        seen: HashMap<usize, u64>,
        /// The seq of what came, and when.
        got: Vec<(u64, i64)>,
        /// A withdrawn channel forgets its pace, as a new subscription would.
        withdrawn: bool,
    }

    fn read(models: &mut [Model], frame: &str, now: i64) {
        let messages: Vec<Json> = serde_json::from_str(frame).unwrap();
        for message in messages {
            let channel =
                CHANNELS.iter().position(|(name, _)| message["channel"] == *name).unwrap();
            models[channel].got.push((message["seq"].as_u64().unwrap(), now));
            for (metric, value) in message["data"].as_object().unwrap() {
                models[channel].seen.insert(metric.parse().unwrap(), value.as_u64().unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn every_comes_whole_and_a_modest_reader_ends_with_the_truth_at_its_pace(steps in steps()) {
            let mut outbox = Outbox::default();
            let mut models: Vec<Model> = CHANNELS.iter().map(|_| Model::default()).collect();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Offer(channel, metric) => {
                        let model = &mut models[channel];
                        model.offered += 1;
                        model.truth.insert(metric, model.offered);
                        let metrics = format!(r#"{{"{metric}":{}}}"#, model.offered);
                        let (name, delivery) = CHANNELS[channel];
                        offer(&mut outbox, now, &update(name, model.offered, &metrics), delivery);
                    }
                    Step::Wait(ms) => now += ms,
                    Step::Take(bytes) => {
                        if let Some(frame) = outbox.take(Timestamp(now), bytes) {
                            read(&mut models, &frame, now);
                        }
                    }
                    Step::Withdraw(channel) => {
                        outbox.withdraw(&CHANNELS[channel].0.parse().unwrap());
                        if CHANNELS[channel].1 != Delivery::Every {
                            // What waited is gone: only what is offered from here on must come.
                            models[channel].truth.clear();
                            models[channel].withdrawn = true;
                        }
                    }
                }
            }
            while outbox.is_ready(Timestamp(now)) || outbox.next_due().is_some() {
                now = outbox.next_due().map_or(now, |at| at.0.max(now));
                if let Some(frame) = outbox.take(Timestamp(now), 1 << 20) {
                    read(&mut models, &frame, now);
                }
            }
            for (model, (name, delivery)) in models.iter().zip(CHANNELS) {
                let seqs: Vec<u64> = model.got.iter().map(|(seq, _)| *seq).collect();
                prop_assert!(seqs.is_sorted_by(|a, b| a < b), "{name}: {seqs:?}");
                for (metric, value) in &model.truth {
                    prop_assert_eq!(model.seen.get(metric), Some(value), "{}", name);
                }
                match delivery {
                    Delivery::Every => prop_assert_eq!(seqs.len() as u64, model.offered),
                    Delivery::Latest { interval } if !model.withdrawn => {
                        let least = interval.0 as i64;
                        let paced = model.got.windows(2).all(|pair| pair[1].1 - pair[0].1 >= least);
                        prop_assert!(paced, "{name}: {:?}", model.got);
                    }
                    Delivery::Latest { .. } => {}
                }
            }
        }
    }
}
