//! What subscribers get of the hub, seen through real outboxes.

use super::*;
use crate::{
    data::Metrics,
    outbox::{Encoding, Frame, Outbox},
};
use proptest::prelude::*;
use protocol::ResetReason;
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

const LIMITS: HubLimits =
    HubLimits { channels: 8, subscriptions: 3, account_subscriptions: 4, ring_bytes: 1 << 20 };
const NOW: Timestamp = Timestamp(1_000);

#[derive(Clone, Debug)]
struct Reader(Rc<RefCell<Outbox>>);

impl Default for Reader {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Outbox::new("epoch".into(), Encoding::Json))))
    }
}

impl Sink for Reader {
    fn offer(&self, update: &Arc<Update>, delivery: Delivery) {
        let mut outbox = self.0.borrow_mut();
        let _wake = match delivery {
            Delivery::Every => outbox.every(update),
            Delivery::Latest { interval } => outbox.latest(NOW, update, interval),
        };
    }

    fn replay(&self, update: &Arc<Update>) {
        let _wake = self.0.borrow_mut().replay(update);
    }

    fn snapshot(&self, channel: &TopicName, stamp: Stamp, data: &Data) {
        let _wake = self.0.borrow_mut().snapshot(channel.clone(), stamp, data.clone());
    }

    fn withdraw(&self, channel: &TopicName) {
        self.0.borrow_mut().withdraw(channel);
    }

    fn reply(&self, reply: &Reply) {
        let _wake = self.0.borrow_mut().reply(reply);
    }
}

impl Reader {
    /// What came since the last call: updates as `channel seq data`, with a mark; replies by type.
    fn read(&self) -> Vec<String> {
        self.messages().iter().map(short).collect()
    }

    fn messages(&self) -> Vec<Value> {
        match self.0.borrow_mut().take(NOW, 1 << 24) {
            Some(Frame::Text(frame)) => serde_json::from_str(&frame).unwrap(),
            Some(Frame::Binary(_)) => panic!("a binary frame for who speaks JSON"),
            None => Vec::new(),
        }
    }
}

fn short(message: &Value) -> String {
    let Some(kind) = message.get("type") else {
        let mark = ["snapshot", "replayed"].into_iter().find(|mark| message.get(mark).is_some());
        let mark = mark.map(|mark| format!(" {mark}")).unwrap_or_default();
        let channel = message["channel"].as_str().unwrap();
        return format!("{channel} {} {}{mark}", message["seq"], message["data"]);
    };
    let code = message.get("code").or(message.get("reason"));
    let code = code.map(|code| format!(" {}", code.as_str().unwrap()));
    format!("{}{}", kind.as_str().unwrap(), code.unwrap_or_default())
}

/// A hub with a hand on its publishers.
struct Bench {
    hub: Hub<Reader>,
    joined: u64,
}

impl Bench {
    fn new() -> Self {
        Self { hub: Hub::new(beginning(0), LIMITS), joined: 0 }
    }

    /// One whose memory holds so many small updates.
    fn with(updates: usize, beginning: Beginning) -> Self {
        let ring_bytes = updates * past("telemetry/a", 1, 1).weight() + 100;
        Self { hub: Hub::new(beginning, HubLimits { ring_bytes, ..LIMITS }), joined: 0 }
    }

    /// Lets a subscriber catch up as far as it goes.
    fn settle(&mut self, id: SubscriberId) -> Next {
        loop {
            match self.hub.catch_up(id) {
                Next::Step => {}
                next @ (Next::Live | Next::Log { .. } | Next::Range { .. }) => return next,
            }
        }
    }

    fn join(&mut self) -> (SubscriberId, Reader) {
        self.joined += 1;
        let (id, reader) = (SubscriberId(self.joined), Reader::default());
        self.hub.join(id, reader.clone(), Rights::everything());
        (id, reader)
    }

    fn subscribe(&mut self, id: SubscriberId, filters: &[&str], options: Value) {
        let options = serde_json::from_value(options).unwrap();
        self.hub.subscribe(id, None, parsed(filters), &options, |_, _| Prelude::Whole);
    }

    fn publish(&mut self, channel: &str, metrics: &str) {
        let metrics = Metrics::parse(metrics).unwrap();
        let data = Data::Metrics(Arc::new(metrics));
        self.hub.publish(NOW, &channel.parse().unwrap(), None, data).unwrap();
    }
}

fn beginning(offset: u64) -> Beginning {
    let (channels, gaps) = (Vec::new(), Vec::new());
    let (epoch, offset, new_channels_after) = ("epoch".into(), Offset(offset), Seq(0));
    Beginning { epoch, offset, channels, gaps, new_channels_after }
}

fn parsed(filters: &[&str]) -> Vec<TopicFilter> {
    filters.iter().map(|filter| filter.parse().unwrap()).collect()
}

fn none() -> Value {
    serde_json::json!({})
}

#[test]
fn a_subscription_answers_with_the_values_and_goes_on_live() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1,"h":5}"#);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/+"], none());
    assert_eq!(reader.read(), ["subscribed", r#"telemetry/a 2 {"h":5,"t":2} snapshot"#, "live"]);
    bench.publish("telemetry/a", r#"{"t":3}"#);
    bench.publish("telemetry/new", r#"{"t":1}"#);
    assert_eq!(reader.read(), [r#"telemetry/a 3 {"t":3}"#, r#"telemetry/new 1 {"t":1}"#]);
}

#[test]
fn without_a_snapshot_only_live_updates_come() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", "{}");
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"snapshot": false}));
    assert_eq!(reader.read(), ["subscribed", "live"]);
}

#[test]
fn an_update_comes_once_by_the_filter_that_gives_most() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"mode": "latest"}));
    bench.subscribe(id, &["telemetry/#"], none());
    reader.read();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    assert_eq!(reader.read(), [r#"telemetry/a 1 {"t":1}"#, r#"telemetry/a 2 {"t":2}"#]);
    bench.hub.unsubscribe(id, None, parsed(&["telemetry/#"]));
    bench.publish("telemetry/a", r#"{"t":3}"#);
    bench.publish("telemetry/a", r#"{"t":4}"#);
    assert_eq!(reader.read(), ["unsubscribed", r#"telemetry/a 4 {"t":4}"#]);
}

#[test]
fn a_filter_that_is_subscribed_again_takes_the_new_options() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], none());
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"mode": "latest"}));
    reader.read();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    assert_eq!(reader.read(), [r#"telemetry/a 2 {"t":2}"#]);
}

#[test]
fn options_do_not_touch_channels_that_must_come_whole() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["#"], serde_json::json!({"throttle": 1}));
    reader.read();
    bench.publish("presence/a", "{}");
    bench.publish("presence/a", "{}");
    assert_eq!(reader.read(), ["presence/a 1 {}", "presence/a 2 {}"]);
}

#[test]
fn topics_have_no_value_and_are_wanted_only_while_somebody_listens() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    assert!(!bench.hub.topics_wanted());
    bench.subscribe(id, &["topics/#", "#"], none());
    assert!(bench.hub.topics_wanted());
    bench.publish("topics/x", "{}");
    bench.subscribe(id, &["topics/x"], none());
    assert_eq!(reader.read(), ["subscribed", "live", "topics/x 1 {}", "subscribed", "live"]);
    bench.hub.leave(id);
    assert!(!bench.hub.topics_wanted());
}

#[test]
fn all_filters_or_none_within_the_limit() {
    let mut bench = Bench::new();
    let (id, reader) = bench.join();
    bench.subscribe(id, &["a", "b", "c", "d"], none());
    bench.publish("a", "{}");
    assert_eq!(reader.read(), ["error too_many_subscriptions"]);
    bench.subscribe(id, &["a", "b", "c"], none());
    bench.subscribe(id, &["a"], none());
    assert_eq!(reader.read().last().map(String::as_str), Some("live"));
}

#[test]
fn channels_are_bounded() {
    let mut bench = Bench::new();
    for number in 0..LIMITS.channels {
        bench.publish(&format!("telemetry/{number}"), "{}");
    }
    let one_more = "telemetry/more".parse().unwrap();
    let data = Data::Metrics(Arc::default());
    let refused = bench.hub.publish(NOW, &one_more, None, data);
    assert_eq!(refused, Err(TooManyChannels(LIMITS.channels)));
}

#[test]
fn a_replay_of_numbers_never_given_is_an_error() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    let (id, reader) = bench.join();
    for (from, to) in [(0, 1), (1, 2), (2, 1)] {
        bench.hub.replay(id, None, channel("telemetry/a"), (Seq(from), Seq(to)));
        assert_eq!(reader.read(), ["error bad_range"]);
    }
}

#[test]
fn a_replay_gives_what_memory_has_and_asks_the_store_for_the_rest() {
    let mut bench = Bench::with(3, beginning(10));
    (1..=5).for_each(|n| bench.publish("telemetry/a", &format!(r#"{{"t":{n}}}"#)));
    let (id, reader) = bench.join();
    bench.hub.replay(id, None, channel("telemetry/a"), (Seq(3), Seq(4)));
    assert_eq!(bench.settle(id), Next::Live);
    let (third, fourth) =
        (r#"telemetry/a 3 {"t":3} replayed"#, r#"telemetry/a 4 {"t":4} replayed"#);
    assert_eq!(reader.read(), [third, fourth, "ok"]);
    bench.hub.replay(id, None, channel("telemetry/a"), (Seq(2), Seq(3)));
    let range = Next::Range { channel: channel("telemetry/a"), from: Seq(2), to: Seq(3) };
    assert_eq!(bench.settle(id), range);
    bench.hub.found(id, Found::Range(vec![past("telemetry/a", 2, 12)]));
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(reader.read(), [r#"telemetry/a 2 {"t":2} replayed"#, third, "ok"]);
    bench.hub.replay(id, None, channel("telemetry/a"), (Seq(1), Seq(1)));
    bench.hub.catch_up(id);
    bench.hub.found(id, Found::Gone);
    assert_eq!(reader.read(), ["reset expired", r#"telemetry/a 5 {"t":5} snapshot"#, "ok"]);
}

#[test]
fn who_resumes_gets_what_it_missed_and_goes_on_live() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/b", r#"{"t":1}"#);
    bench.publish("presence/a", "{}");
    bench.publish("telemetry/a", r#"{"t":2}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/#"], since("epoch", 1));
    assert_eq!(bench.settle(id), Next::Live);
    bench.publish("telemetry/a", r#"{"t":3}"#);
    assert_eq!(
        reader.read(),
        [
            "subscribed",
            r#"telemetry/b 1 {"t":1} replayed"#,
            r#"telemetry/a 2 {"t":2} replayed"#,
            "live",
            r#"telemetry/a 3 {"t":3}"#
        ]
    );
}

#[test]
fn what_came_live_meanwhile_by_another_filter_does_not_come_again() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/b", r#"{"t":1}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], serde_json::json!({"snapshot": false}));
    bench.subscribe(id, &["telemetry/+"], since("epoch", 0));
    reader.read();
    bench.publish("telemetry/a", r#"{"t":2}"#);
    bench.publish("telemetry/b", r#"{"t":2}"#);
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(
        reader.read(),
        [
            r#"telemetry/a 2 {"t":2}"#,
            r#"telemetry/a 1 {"t":1} replayed"#,
            r#"telemetry/b 1 {"t":1} replayed"#,
            r#"telemetry/b 2 {"t":2} replayed"#,
            "live"
        ]
    );
}

#[test]
fn older_updates_come_from_the_store_and_join_those_of_memory() {
    let mut bench = Bench::with(2, beginning(10));
    (1..=4).for_each(|n| bench.publish("telemetry/a", &format!(r#"{{"t":{n}}}"#)));
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], since("epoch", 10));
    let Next::Log { after, .. } = bench.settle(id) else { panic!("memory does not reach back") };
    assert_eq!(after, Offset(10));
    let updates = vec![past("telemetry/a", 1, 11), past("telemetry/a", 2, 12)];
    bench.hub.found(id, Found::Log { updates, through: Offset(12) });
    assert_eq!(bench.settle(id), Next::Live);
    let seqs: Vec<_> = reader
        .read()
        .iter()
        .map(|text| text.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    let wanted =
        ["subscribed", "telemetry/a 1", "telemetry/a 2", "telemetry/a 3", "telemetry/a 4", "live"];
    assert_eq!(seqs, wanted);
}

#[test]
fn who_cannot_resume_is_told_why_and_gets_the_values() {
    let gap = Gap { first: Offset(5), last: Offset(10), reason: ResetReason::Crash };
    let mut bench = Bench::with(2, Beginning { gaps: vec![gap], ..beginning(10) });
    (1..=4).for_each(|n| bench.publish("telemetry/a", &format!(r#"{{"t":{n}}}"#)));
    let value = r#"telemetry/a 4 {"t":4} snapshot"#;
    for (cursor, reason) in
        [(since("other", 12), "epoch"), (since("epoch", 15), "epoch"), (since("epoch", 9), "crash")]
    {
        let (id, reader) = bench.join();
        bench.subscribe(id, &["telemetry/a"], cursor);
        assert_eq!(bench.settle(id), Next::Live);
        assert_eq!(reader.read(), ["subscribed", &format!("reset {reason}"), value, "live"]);
    }
    let (id, reader) = bench.join();
    bench.subscribe(id, &["telemetry/a"], since("epoch", 11));
    bench.settle(id);
    bench.hub.found(id, Found::Gone);
    assert_eq!(reader.read(), ["subscribed", "reset expired", value, "live"]);
}

#[test]
fn a_resumed_channel_that_is_not_kept_is_reset_where_memory_lost_some() {
    let mut bench = Bench::with(2, beginning(0));
    let (listener, _) = bench.join();
    bench.subscribe(listener, &["#"], none());
    (1..=3).for_each(|_| bench.publish("topics/x", "{}"));
    bench.publish("gateway/stats", r#"{"n":1}"#);
    let (id, reader) = bench.join();
    bench.subscribe(id, &["#"], since("epoch", 1));
    assert!(matches!(bench.settle(id), Next::Log { .. }));
    bench.hub.found(id, Found::Log { updates: vec![], through: Offset(2) });
    assert_eq!(bench.settle(id), Next::Live);
    assert_eq!(
        reader.read(),
        [
            "subscribed",
            "reset expired",
            "topics/x 3 {} replayed",
            r#"gateway/stats 1 {"n":1} replayed"#,
            r#"gateway/stats 1 {"n":1} snapshot"#,
            "live"
        ]
    );
}

#[test]
fn fields_are_all_that_comes() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1,"h":5}"#);
    let (id, reader) = bench.join();
    let (twin, other) = bench.join();
    for id in [id, twin] {
        bench.subscribe(
            id,
            &["telemetry/+", "presence/+"],
            serde_json::json!({"fields": ["h", "x"]}),
        );
    }
    assert_eq!(reader.read(), ["subscribed", r#"telemetry/a 1 {"h":5} snapshot"#, "live"]);
    bench.publish("telemetry/a", r#"{"t":2}"#);
    bench.publish("telemetry/a", r#"{"x":3,"t":2,"h":6}"#);
    bench.publish("presence/a", r#"{"status":"online"}"#);
    let wanted = [r#"telemetry/a 3 {"h":6,"x":3}"#, r#"presence/a 1 {"status":"online"}"#];
    assert_eq!(reader.read(), wanted);
    assert_eq!(other.read()[3..], wanted);
}

#[test]
fn a_user_sees_only_its_channels_also_under_wildcards() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    bench.publish("telemetry/b", r#"{"t":1}"#);
    let (id, reader) = (SubscriberId(99), Reader::default());
    bench.hub.join(id, reader.clone(), Rights::new(&[], &parsed(&["+/a"])));
    bench.subscribe(id, &["telemetry/b"], none());
    bench.hub.replay(id, None, channel("telemetry/b"), (Seq(1), Seq(1)));
    assert_eq!(reader.read(), ["error forbidden", "error forbidden"]);
    bench.subscribe(id, &["#"], none());
    assert_eq!(reader.read(), ["subscribed", r#"telemetry/a 1 {"t":1} snapshot"#, "live"]);
    bench.publish("telemetry/b", r#"{"t":2}"#);
    bench.publish("presence/a", "{}");
    bench.publish("presence/b", "{}");
    assert_eq!(reader.read(), ["presence/a 1 {}"]);
    bench.subscribe(id, &["+/+"], since("epoch", 0));
    bench.settle(id);
    assert!(reader.read().iter().all(|text| !text.contains("/b")));
}

#[test]
fn what_a_token_may_subscribe_is_shared_by_its_connections() {
    let mut bench = Bench::new();
    let account = Some(Arc::from("token"));
    let join = |hub: &mut Hub<Reader>, id| {
        let (id, reader) = (SubscriberId(id), Reader::default());
        let member = Member { account: account.clone(), ..Member::default() };
        hub.join(id, reader.clone(), member);
        (id, reader)
    };
    let ((first, one), (second, two)) = (join(&mut bench.hub, 1), join(&mut bench.hub, 2));
    bench.subscribe(first, &["a", "b", "c"], none());
    bench.subscribe(second, &["a", "b"], none());
    assert_eq!(two.read(), ["error too_many_subscriptions"]);
    bench.subscribe(second, &["a"], none());
    bench.subscribe(second, &["a"], none());
    assert_eq!(two.read(), ["subscribed", "live", "subscribed", "live"]);
    bench.hub.unsubscribe(first, None, parsed(&["a", "b"]));
    bench.subscribe(second, &["b"], since("epoch", 0));
    bench.subscribe(second, &["c"], none());
    assert_eq!(two.read(), ["subscribed", "subscribed", "live"], "what waits for the past counts");
    bench.settle(second);
    bench.subscribe(first, &["d"], none());
    assert_eq!(one.read()[2..], ["unsubscribed", "error too_many_subscriptions"]);
    bench.hub.leave(second);
    bench.subscribe(first, &["d"], none());
    assert_eq!(one.read(), ["subscribed", "live"]);
    bench.hub.move_to(first, Some("renewed".into()));
    let (third, three) = join(&mut bench.hub, 3);
    bench.subscribe(third, &["a", "b", "c"], none());
    assert_eq!(three.read(), ["subscribed", "live"], "who was moved is not counted here");
    assert_eq!(bench.hub.refused_subscriptions(), 2);
}

fn channel(name: &str) -> TopicName {
    name.parse().unwrap()
}

fn since(epoch: &str, offset: u64) -> Value {
    serde_json::json!({"since": {"epoch": epoch, "offset": offset}})
}

/// An update as the store gives it back.
fn past(channel: &str, seq: u64, offset: u64) -> Arc<Update> {
    let data = Data::Metrics(Arc::new(Metrics::parse(&format!(r#"{{"t":{seq}}}"#)).unwrap()));
    let stamp = Stamp { seq: Seq(seq), offset: Offset(offset), timestamp: NOW };
    Arc::new(Update::new(channel.parse().unwrap(), ChannelKind::Telemetry, stamp, data))
}

/// What one step of a random run does.
#[derive(Clone, Debug)]
enum Step {
    Publish(usize, i64),
    Join,
    Subscribe(usize, usize, bool),
    Unsubscribe(usize, usize),
    Leave(usize),
    Read(usize),
}

const CHANNELS: [&str; 4] = ["telemetry/a", "telemetry/b", "presence/a", "topics/x/y"];
const FILTERS: [&str; 5] = ["telemetry/a", "telemetry/+", "#", "+/a", "topics/#"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..CHANNELS.len(), any::<i64>()).prop_map(|(channel, value)| Step::Publish(channel, value)),
        1 => Just(Step::Join),
        2 => (0..4_usize, 0..FILTERS.len(), any::<bool>())
            .prop_map(|(who, filter, latest)| Step::Subscribe(who, filter, latest)),
        1 => (0..4_usize, 0..FILTERS.len()).prop_map(|(who, filter)| Step::Unsubscribe(who, filter)),
        1 => (0..4_usize).prop_map(Step::Leave),
        3 => (0..4_usize).prop_map(Step::Read),
    ];
    proptest::collection::vec(step, 0..60)
}

/// A subscriber as the plainest possible model: what it wants, and all that it must have got.
#[derive(Default)]
struct Model {
    reader: Reader,
    id: u64,
    wants: BTreeMap<&'static str, bool>,
    expected: Vec<(String, u64)>,
    got: Vec<(String, u64)>,
    /// What it got, snapshots too.
    seen: Vec<(String, u64)>,
    /// Subscribed to `latest` at any time: holes are no loss then.
    modest: bool,
    gone: bool,
}

impl Model {
    fn read(&mut self) {
        for message in self.reader.messages() {
            if message.get("type").is_some() {
                continue;
            }
            let channel = message["channel"].as_str().unwrap().to_owned();
            let seq = message["seq"].as_u64().unwrap();
            self.seen.push((channel.clone(), seq));
            if message.get("snapshot").is_none() {
                self.got.push((channel, seq));
            }
        }
    }
}

proptest! {
    #[test]
    fn each_subscriber_of_every_gets_exactly_what_its_filters_match_in_order(steps in steps()) {
        let mut bench = Bench::new();
        let mut models: Vec<Model> = Vec::new();
        let mut seqs = [0_u64; CHANNELS.len()];
        for step in steps {
            match step {
                Step::Publish(channel, value) => {
                    seqs[channel] += 1;
                    bench.publish(CHANNELS[channel], &format!(r#"{{"v":{value}}}"#));
                    for model in &mut models {
                        let wanted = model.wants.keys().any(|filter| {
                            parsed(&[filter])[0].matches(CHANNELS[channel])
                        });
                        if wanted {
                            model.expected.push((CHANNELS[channel].into(), seqs[channel]));
                        }
                    }
                }
                Step::Join if models.len() < 4 => {
                    let (id, reader) = bench.join();
                    models.push(Model { reader, id: id.0, ..Model::default() });
                }
                Step::Subscribe(who, filter, latest) if who < models.len() && !models[who].gone => {
                    let model = &mut models[who];
                    if model.wants.len() == LIMITS.subscriptions
                        && !model.wants.contains_key(FILTERS[filter]) {
                        continue;
                    }
                    model.modest |= latest;
                    model.wants.insert(FILTERS[filter], latest);
                    let mode = if latest { "latest" } else { "every" };
                    let id = SubscriberId(model.id);
                    bench.subscribe(id, &[FILTERS[filter]], serde_json::json!({"mode": mode}));
                }
                Step::Unsubscribe(who, filter) if who < models.len() => {
                    models[who].wants.remove(FILTERS[filter]);
                    let id = SubscriberId(models[who].id);
                    bench.hub.unsubscribe(id, None, parsed(&[FILTERS[filter]]));
                }
                Step::Leave(who) if who < models.len() => {
                    bench.hub.leave(SubscriberId(models[who].id));
                    models[who].wants.clear();
                    models[who].gone = true;
                }
                Step::Read(who) if who < models.len() => models[who].read(),
                Step::Join
                | Step::Subscribe(..)
                | Step::Unsubscribe(..)
                | Step::Leave(_)
                | Step::Read(_) => {}
            }
        }
        for model in &mut models {
            model.read();
            if !model.modest {
                prop_assert_eq!(&model.got, &model.expected);
            }
            for channel in CHANNELS {
                let of_channel = |list: &[(String, u64)]| -> Vec<u64> {
                    list.iter().filter(|(name, _)| name == channel).map(|(_, seq)| *seq).collect()
                };
                let seen = of_channel(&model.seen);
                prop_assert!(seen.is_sorted(), "{channel} goes back: {seen:?}");
                prop_assert!(seen.last() >= of_channel(&model.expected).last(), "{channel} is stale");
            }
        }
    }
}

#[test]
fn a_past_with_a_gap_is_followed_by_a_reset_and_the_values() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"n":1}"#);
    let (id, reader) = bench.join();
    let options = serde_json::from_value(serde_json::json!({"snapshot": false})).unwrap();
    bench.hub.subscribe(id, None, parsed(&["telemetry/+"]), &options, |_, _| Prelude::Gap);
    let value = r#"telemetry/a 1 {"n":1} snapshot"#;
    assert_eq!(reader.read(), ["subscribed", "reset expired", value, "live"]);
}

#[test]
fn only_so_many_replays_wait() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"n":1}"#);
    let (id, reader) = bench.join();
    for _ in 0..=bench.hub.limits.subscriptions {
        bench.hub.replay(id, None, "telemetry/a".parse().unwrap(), (Seq(1), Seq(1)));
    }
    assert_eq!(reader.read(), ["error too_many_replays"]);
}
