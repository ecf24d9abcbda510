//! Random runs beside the plainest possible model: who wants each update gets exactly those.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

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
    wants: BTreeSet<&'static str>,
    expected: Vec<(String, u64)>,
    got: Vec<(String, u64)>,
    /// What it got, snapshots too.
    seen: Vec<(String, u64)>,
    /// Subscribed to `latest` at any time: holes are no loss then.
    modest: bool,
    gone: bool,
}

impl Model {
    fn wants(&self, channel: &str) -> bool {
        self.wants.iter().any(|filter| parsed(&[filter])[0].matches(channel))
    }

    fn may_add(&self, filter: &str) -> bool {
        !self.gone && (self.wants.len() < LIMITS.subscriptions || self.wants.contains(filter))
    }

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

    /// It got all and nothing else in order; who was modest at least nothing old, and the newest.
    fn check(&self) {
        if !self.modest {
            assert_eq!(self.got, self.expected);
        }
        for channel in CHANNELS {
            let seen = of_channel(&self.seen, channel);
            assert!(seen.is_sorted(), "{channel} goes back: {seen:?}");
            let newest = of_channel(&self.expected, channel).last().copied();
            assert!(seen.last().copied() >= newest, "{channel} is stale");
        }
    }
}

fn of_channel(list: &[(String, u64)], channel: &str) -> Vec<u64> {
    list.iter().filter(|(name, _)| name == channel).map(|(_, seq)| *seq).collect()
}

/// The hub and the models of its subscribers.
struct World {
    bench: Bench,
    models: Vec<Model>,
    seqs: [u64; CHANNELS.len()],
}

impl World {
    fn new() -> Self {
        Self { bench: Bench::new(), models: Vec::new(), seqs: [0; CHANNELS.len()] }
    }

    /// Plays a step; one of a subscriber that is not there does nothing.
    fn play(&mut self, step: Step) {
        match step {
            Step::Publish(channel, value) => self.publish(channel, value),
            Step::Join if self.models.len() < 4 => {
                let (id, reader) = self.bench.join();
                self.models.push(Model { id: id.0, reader, ..Model::default() });
            }
            Step::Join => {}
            Step::Subscribe(who, filter, latest) => self.subscribe(who, FILTERS[filter], latest),
            Step::Unsubscribe(who, filter) => self.unsubscribe(who, FILTERS[filter]),
            Step::Leave(who) => self.leave(who),
            Step::Read(who) => self.models.get_mut(who).into_iter().for_each(Model::read),
        }
    }

    fn publish(&mut self, channel: usize, value: i64) {
        let name = CHANNELS[channel];
        self.seqs[channel] += 1;
        self.bench.publish(name, &format!(r#"{{"v":{value}}}"#));
        for model in self.models.iter_mut().filter(|model| model.wants(name)) {
            model.expected.push((name.into(), self.seqs[channel]));
        }
    }

    fn subscribe(&mut self, who: usize, filter: &'static str, latest: bool) {
        let Some(model) = self.models.get_mut(who).filter(|it| it.may_add(filter)) else { return };
        model.modest |= latest;
        model.wants.insert(filter);
        let mode = if latest { "latest" } else { "every" };
        self.bench.subscribe(SubscriberId(model.id), &[filter], serde_json::json!({"mode": mode}));
    }

    fn unsubscribe(&mut self, who: usize, filter: &str) {
        let Some(model) = self.models.get_mut(who) else { return };
        model.wants.remove(filter);
        self.bench.hub.unsubscribe(SubscriberId(model.id), None, parsed(&[filter]));
    }

    fn leave(&mut self, who: usize) {
        let Some(model) = self.models.get_mut(who) else { return };
        self.bench.hub.leave(SubscriberId(model.id));
        model.wants.clear();
        model.gone = true;
    }
}

proptest! {
    #[test]
    fn each_subscriber_of_every_gets_exactly_what_its_filters_match_in_order(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.play(step));
        for model in &mut world.models {
            model.read();
            model.check();
        }
    }
}
