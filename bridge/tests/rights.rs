//! Nothing that is out of a user's sight is ever delivered, whatever is subscribed, resumed or replayed.

use bridge::{
    data::{Data, Metrics},
    hub::{Beginning, Found, Hub, HubLimits, Next, Prelude, Sink, SubscriberId},
    outbox::Delivery,
    rights::Rights,
    update::{Stamp, Update},
};
use proptest::{collection::vec, prelude::*, sample::select};
use protocol::{Cursor, Offset, Reply, Seq, SubscribeOptions, Timestamp, TopicFilter, TopicName};
use std::{cell::RefCell, rc::Rc, sync::Arc};

const CHANNELS: [&str; 12] = [
    "telemetry/pump-1",
    "telemetry/tank",
    "presence/pump-1",
    "state/tank",
    "alerts/critical/pump-2",
    "alerts/info/tank",
    "commands/pump-2",
    "batches/1",
    "topics/devices/pump-1/telemetry",
    "topics/shelf/pump-1",
    "gateway/stats",
    "air/pump-1",
];

const FILTERS: [&str; 12] = [
    "#",
    "+/+",
    "telemetry/#",
    "+/pump-1",
    "alerts/#",
    "topics/#",
    "gateway/stats",
    "telemetry/tank",
    "commands/pump-2",
    "batches/+",
    "telemetry/pump-1",
    "air/#",
];

const DEVICES: [&str; 5] = ["pump-*", "pump-1", "tank", "*", "nothing"];

const USER: SubscriberId = SubscriberId(1);

const NOW: Timestamp = Timestamp(1_000);

/// Notes the channels of all that comes.
#[derive(Clone, Debug, Default)]
struct Spy(Rc<RefCell<Vec<String>>>);

impl Spy {
    fn note(&self, channel: &TopicName) {
        self.0.borrow_mut().push(channel.to_string());
    }
}

impl Sink for Spy {
    fn offer(&self, update: &Arc<Update>, _: Delivery) {
        self.note(&update.channel);
    }

    fn replay(&self, update: &Arc<Update>) {
        self.note(&update.channel);
    }

    fn supersede(&self, _: &Update, _: Offset) {}

    fn snapshot(&self, channel: &TopicName, _: Stamp, _: &Data) {
        self.note(channel);
    }

    fn release(&self, _: &TopicName) {}

    fn withdraw(&self, _: &TopicName) {}

    fn reply(&self, reply: &Reply) {
        match reply {
            Reply::Reset { channels, .. } => {
                // What was asked for may be named again; what else is named is a channel.
                let named = channels.iter().map(ToString::to_string);
                self.0.borrow_mut().extend(named.filter(|name| !FILTERS.contains(&name.as_str())));
            }
            Reply::History(history) => self.note(&history.channel),
            Reply::Welcome { .. }
            | Reply::Subscribed { .. }
            | Reply::Unsubscribed { .. }
            | Reply::Live { .. }
            | Reply::Lag { .. }
            | Reply::Ok { .. }
            | Reply::Error { .. }
            | Reply::Pong { .. } => {}
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(&'static str),
    Subscribe(Vec<&'static str>),
    Resume(Vec<&'static str>, u64),
    Unsubscribe(&'static str),
    Replay(&'static str),
    CatchUp,
}

fn step() -> impl Strategy<Value = Step> {
    let filters = || vec(select(&FILTERS[..]), 1..3);
    prop_oneof![
        6 => select(&CHANNELS[..]).prop_map(Step::Publish),
        2 => filters().prop_map(Step::Subscribe),
        2 => (filters(), 0..40u64).prop_map(|(filters, offset)| Step::Resume(filters, offset)),
        1 => select(&FILTERS[..]).prop_map(Step::Unsubscribe),
        1 => select(&CHANNELS[..]).prop_map(Step::Replay),
        3 => Just(Step::CatchUp),
    ]
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().expect("valid")).collect()
}

struct World {
    hub: Hub<Spy>,
    log: Vec<Arc<Update>>,
}

impl World {
    fn play(&mut self, step: Step) {
        let options = |since| SubscribeOptions { since, ..SubscribeOptions::default() };
        match step {
            Step::Publish(channel) => {
                let data = Data::Metrics(Metrics::parse(r#"{"t":1}"#).expect("an object"));
                let channel = channel.parse().expect("valid");
                self.hub.publish(NOW, &channel, None, data).expect("there is room");
                self.log.extend(self.hub.take_to_keep());
            }
            Step::Subscribe(filters) => {
                let wanted: Vec<TopicFilter> = parsed(&filters);
                let names = self.hub.telemetry(USER, &wanted, 100);
                let options = options(None);
                self.hub.subscribe(USER, None, wanted, &options, |hub, sink| {
                    names.iter().for_each(|name| sink.note(name));
                    hub.send_newer((USER, sink), &names, Offset(0), &options)
                });
            }
            Step::Resume(filters, offset) => {
                let since = Cursor { epoch: "epoch".into(), offset: Offset(offset) };
                let (filters, options) = (parsed(&filters), options(Some(since)));
                self.hub.subscribe(USER, None, filters, &options, |_, _| Prelude::Whole);
            }
            Step::Unsubscribe(filter) => self.hub.unsubscribe(USER, None, parsed(&[filter])),
            Step::Replay(channel) => {
                let channel = channel.parse().expect("valid");
                self.hub.replay(USER, None, channel, (Seq(1), Seq(1)));
            }
            Step::CatchUp => self.catch_up(),
        }
    }

    /// Lets the user catch up, with a store that has all that is kept.
    fn catch_up(&mut self) {
        loop {
            let found = match self.hub.catch_up(USER) {
                Next::Live => return,
                Next::Step => continue,
                Next::Log { after, .. } => {
                    // Careless on purpose: what the filters do not match is found too.
                    let later = self.log.iter().filter(|update| update.stamp.offset > after);
                    Found::Log { updates: later.cloned().collect(), through: self.hub.offset() }
                }
                Next::Range { channel, .. } => {
                    let range = self.log.iter().filter(|update| update.channel == channel);
                    Found::Range(range.cloned().collect())
                }
            };
            self.hub.found(USER, found);
        }
    }
}

proptest! {
    #[test]
    fn nothing_out_of_sight_is_ever_delivered(
        devices in vec(select(&DEVICES[..]), 0..3),
        channels in vec(select(&FILTERS[..]), 0..3),
        memory in select(&[200usize, 2_000, 1 << 20][..]),
        steps in vec(step(), 1..80),
    ) {
        let rights = Rights::new(&parsed(&devices), &parsed(&channels));
        let limits = HubLimits {
            channels: 100,
            subscriptions: 100,
            account_subscriptions: 100,
            ring_bytes: memory,
        };
        let beginning = Beginning {
            epoch: "epoch".into(),
            offset: Offset(0),
            channels: Vec::new(),
            gaps: Vec::new(),
            new_channels_after: Seq(0),
        };
        let mut world = World { hub: Hub::new(beginning, limits), log: Vec::new() };
        let spy = Spy::default();
        world.hub.join(USER, spy.clone(), rights.clone());
        steps.into_iter().for_each(|step| world.play(step));
        world.catch_up();
        for name in spy.0.borrow().iter() {
            let seen = name.parse().is_ok_and(|name| rights.may_see(&name));
            prop_assert!(seen, "{} came to {:?}", name, rights);
        }
    }
}
