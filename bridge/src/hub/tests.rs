//! What subscribers get of the hub, seen through real outboxes.

use super::*;
use crate::{data::Metrics, outbox::Outbox};
use proptest::prelude::*;
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

const LIMITS: HubLimits = HubLimits { channels: 8, subscriptions: 3 };
const NOW: Timestamp = Timestamp(1_000);

#[derive(Clone, Debug, Default)]
struct Reader(Rc<RefCell<Outbox>>);

impl Sink for Reader {
    fn offer(&self, update: &Arc<Update>, delivery: Delivery) {
        let mut outbox = self.0.borrow_mut();
        let _wake = match delivery {
            Delivery::Every => outbox.every(update),
            Delivery::Latest { interval } => outbox.latest(NOW, update, interval),
        };
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
        let frame = self.0.borrow_mut().take(NOW, 1 << 24).unwrap_or_else(|| "[]".into());
        serde_json::from_str(&frame).unwrap()
    }
}

fn short(message: &Value) -> String {
    let Some(kind) = message.get("type") else {
        let mark = if message.get("snapshot").is_some() { " snapshot" } else { "" };
        let channel = message["channel"].as_str().unwrap();
        return format!("{channel} {} {}{mark}", message["seq"], message["data"]);
    };
    let code = message.get("code").map(|code| format!(" {}", code.as_str().unwrap()));
    format!("{}{}", kind.as_str().unwrap(), code.unwrap_or_default())
}

/// A hub with a hand on its publishers.
struct Bench {
    hub: Hub<Reader>,
    joined: u64,
}

impl Bench {
    fn new() -> Self {
        Self { hub: Hub::new("epoch".into(), LIMITS), joined: 0 }
    }

    fn join(&mut self) -> (SubscriberId, Reader) {
        self.joined += 1;
        let (id, reader) = (SubscriberId(self.joined), Reader::default());
        self.hub.join(id, reader.clone());
        (id, reader)
    }

    fn subscribe(&mut self, id: SubscriberId, filters: &[&str], options: Value) {
        let options = serde_json::from_value(options).unwrap();
        self.hub.subscribe(id, None, parsed(filters), &options);
    }

    fn publish(&mut self, channel: &str, metrics: &str) {
        let metrics = Metrics::parse(metrics).unwrap();
        let data = Data::Metrics(Arc::new(metrics));
        self.hub.publish(NOW, &channel.parse().unwrap(), None, data).unwrap();
    }
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
fn a_replay_of_numbers_never_given_is_an_error_and_of_old_ones_a_reset() {
    let mut bench = Bench::new();
    bench.publish("telemetry/a", r#"{"t":1}"#);
    let (id, reader) = bench.join();
    let channel: TopicName = "telemetry/a".parse().unwrap();
    for (from, to) in [(0, 1), (1, 2), (2, 1)] {
        bench.hub.replay(id, None, &channel, (Seq(from), Seq(to)));
        assert_eq!(reader.read(), ["error bad_range"]);
    }
    bench.hub.replay(id, None, &channel, (Seq(1), Seq(1)));
    assert_eq!(reader.read(), ["reset", r#"telemetry/a 1 {"t":1} snapshot"#, "ok"]);
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
