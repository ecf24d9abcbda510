//! Whether devices that know only their own topics are there: by what is said on these.

use bridge::{
    alerts::{AlertLimits, AlertSettings},
    audit::Audit,
    bridge::{Bridge, Past, Settings},
    command::book::{CommandLimits, Kept},
    data::Data,
    hub::{Beginning, HubLimits, Sink},
    ingest::decode_mapped,
    mapping::{MappingSettings, Mappings},
    outbox::Delivery,
    types::DeviceTypes,
    update::{Stamp, Update},
};
use protocol::{DeviceId, Millis, Offset, Reply, Seq, Status, Timestamp, TopicName};
use serde_json::json;
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_000);

#[test]
fn a_device_is_there_by_what_it_says_and_gone_by_what_is_said_of_it() {
    let mut world = World::new();
    world.says("lamps/a", r#"{"on":true}"#);
    assert_eq!(world.status("a"), Some(Status::Online));
    world.says("lamps/a/there", "no");
    assert_eq!(world.status("a"), Some(Status::Offline));
    world.says("lamps/a/there", "yes");
    assert_eq!(world.status("a"), Some(Status::Online));
}

#[test]
fn presence_that_is_neither_of_its_two_texts_makes_no_device_online() {
    let mut world = World::new();
    world.says("lamps/a", "1");
    world.says("lamps/a/there", "no");
    for payload in ["", "perhaps", r#"{"there":"yes"}"#] {
        world.says("lamps/a/there", payload);
        assert_eq!(world.status("a"), Some(Status::Offline), "{payload}");
        world.says("lamps/ghost/there", payload);
        assert_eq!(world.status("ghost"), None, "{payload}");
    }
}

#[test]
fn a_device_that_nobody_knew_is_not_there_by_the_word_that_it_is_gone() {
    let mut world = World::new();
    world.says("lamps/ghost/there", "no");
    assert_eq!(world.status("ghost"), None);
    world.says("lamps/ghost/there", "yes");
    assert_eq!(world.status("ghost"), Some(Status::Online));
}

#[test]
fn on_a_topic_that_answers_come_on_too_whatever_is_said_is_the_devices_word() {
    let mut world = World::new();
    world.says("lights/b", r#"{"there":"no"}"#);
    assert_eq!(world.status("b"), None);
    world.says("lights/b", r#"{"on":true}"#);
    assert_eq!(world.status("b"), Some(Status::Online));
}

#[test]
fn a_will_in_a_devices_own_way_makes_it_gone_and_never_online() {
    let mut world = World::new();
    world.says("lamps/a", "1");
    world.leaves("lamps/a/there", "no");
    assert_eq!(world.status("a"), Some(Status::Offline));
    for (topic, payload) in [("lamps/a/there", "yes"), ("lamps/a", r#"{"on":true}"#)] {
        world.leaves(topic, payload);
        assert_eq!(world.status("a"), Some(Status::Offline), "{topic}");
    }
}

/// Two mappings: one has presence on a topic of its own, the other among its answers.
struct World {
    bridge: Bridge<Nobody>,
    mappings: Arc<Mappings>,
}

impl World {
    fn new() -> Self {
        let settings: Vec<MappingSettings> = serde_json::from_value(json!([
            {
                "type": "lamp",
                "topic": "lamps/{device}/set",
                "presence": {"topic": "lamps/{device}/there", "online": "yes", "offline": "no"},
                "answers": [{"topic": "lamps/{device}", "when": {"/on": "{params.on}"}}],
            },
            {
                "type": "light",
                "topic": "lights/{device}/set",
                "presence": {"topic": "lights/{device}", "at": "/there", "online": "yes", "offline": "no"},
                "answers": [{"topic": "lights/{device}", "when": {"/on": "{params.on}"}}],
            },
        ]))
        .expect("mappings");
        let mappings = Arc::new(Mappings::new(&settings, 1_000).expect("they compile"));
        Self { bridge: bridge(mappings.clone()), mappings }
    }

    fn says(&mut self, topic: &str, payload: &str) {
        let inbound = self.read(topic, payload);
        self.bridge.ingest(NOW, inbound);
    }

    fn leaves(&mut self, topic: &str, payload: &str) {
        let inbound = self.read(topic, payload);
        self.bridge.last_words(NOW, inbound);
    }

    fn read(&self, topic: &str, payload: &str) -> Vec<bridge::ingest::Inbound> {
        let spoken = self.mappings.resolve(topic);
        spoken.and_then(|spoken| decode_mapped(&spoken, payload.as_bytes())).into_iter().collect()
    }

    fn status(&self, device: &str) -> Option<Status> {
        let device: DeviceId = device.parse().expect("an id");
        Some(self.bridge.devices().get(&device)?.status())
    }
}

fn bridge(mappings: Arc<Mappings>) -> Bridge<Nobody> {
    let settings = Settings {
        node: "node".into(),
        silent_after: Millis(300_000),
        devices_max: 8,
        hub: HubLimits { channels: 8, subscriptions: 1, account_subscriptions: 1, ring_bytes: 1 },
        commands: CommandLimits {
            open_per_device: 1,
            ended_kept: 1,
            params_bytes: 1_000,
            result_bytes: 1_000,
            batch_devices: 1,
            batches_open: 1,
            batches_kept: 1,
        },
        alert_limits: AlertLimits { open: 1, open_per_device: 1, cleared_kept: 1 },
        alerts: AlertSettings::default(),
        desired_bytes_max: 1_000,
        types: DeviceTypes::default(),
        mappings,
    };
    let hub = Beginning {
        epoch: "epoch".into(),
        offset: Offset(0),
        channels: vec![],
        gaps: vec![],
        new_channels_after: Seq(0),
    };
    let past = Past {
        hub,
        devices: vec![],
        alerts: vec![],
        desired: vec![],
        audit: Audit::new(8),
        commands: Kept::default(),
    };
    Bridge::new(NOW, settings, past)
}

/// Nobody subscribes.
#[derive(Clone, Debug)]
struct Nobody;

impl Sink for Nobody {
    fn offer(&self, _: &Arc<Update>, _: Delivery) {}
    fn replay(&self, _: &Arc<Update>) {}
    fn supersede(&self, _: &Update, _: Offset) {}
    fn snapshot(&self, _: &TopicName, _: Stamp, _: &Data) {}
    fn release(&self, _: &TopicName) {}
    fn withdraw(&self, _: &TopicName) {}
    fn reply(&self, _: &Reply) {}
}
