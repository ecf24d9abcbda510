//! A client that does what it may rely on, and finds out when it may not.

use crate::{CHANNELS, merges, reader::Reader};
use bridge::{
    hub::{Hub, SubscriberId},
    outbox::Frame,
};
use protocol::{Cursor, Offset, Reply, ServerMessage, SubscribeOptions, TopicFilter};
use rand::{RngExt, rngs::StdRng};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

const FILTERS: [&[&str]; 6] = [
    &["#"],
    &["telemetry/+"],
    &["+/a"],
    &["telemetry/a", "commands/b"],
    &["telemetry/#", "presence/#"],
    &["gateway/stats", "+/b"],
];

pub(crate) struct Line {
    pub(crate) id: SubscriberId,
    pub(crate) reader: Reader,
    pub(crate) live: bool,
    pub(crate) lagging: bool,
    /// The newest number of each channel that came on this line.
    pub(crate) seqs: HashMap<String, u64>,
}

/// A client as protocol.md lets it be written.
pub(crate) struct Client {
    pub(crate) filters: Vec<TopicFilter>,
    pub(crate) options: SubscribeOptions,
    /// The options that it asked for last, until they are granted.
    asked: Option<SubscribeOptions>,
    pub(crate) line: Option<Line>,
    pub(crate) cursor: Option<Cursor>,
    pub(crate) values: BTreeMap<String, Map<String, Value>>,
    pub(crate) seqs: HashMap<String, u64>,
}

impl Client {
    pub(crate) fn new(rng: &mut StdRng) -> Self {
        let filters = FILTERS[rng.random_range(0..FILTERS.len())];
        Self {
            filters: filters.iter().map(|filter| filter.parse().expect("valid")).collect(),
            options: any_options(rng),
            asked: None,
            line: None,
            cursor: None,
            values: BTreeMap::new(),
            seqs: HashMap::new(),
        }
    }

    pub(crate) fn wants_every(&self, channel: &str) -> bool {
        !merges(channel) || self.options == SubscribeOptions::default()
    }

    pub(crate) fn connected(
        &mut self,
        id: SubscriberId,
        reader: Reader,
    ) -> (Vec<TopicFilter>, SubscribeOptions) {
        self.asked = None;
        self.line = Some(Line { id, reader, live: false, lagging: false, seqs: HashMap::new() });
        if self.cursor.is_none() {
            (self.values, self.seqs) = (BTreeMap::new(), HashMap::new());
        }
        let options = SubscribeOptions { since: self.cursor.clone(), ..self.options.clone() };
        (self.filters.clone(), options)
    }

    /// Other options for the same filters, if it is live and was granted the last; where it had all metrics, also
    /// without the values.
    pub(crate) fn change(&mut self, rng: &mut StdRng) -> Option<(SubscriberId, SubscribeOptions)> {
        let line = self.line.as_ref().filter(|line| line.live && self.asked.is_none())?;
        let options = any_options(rng);
        self.asked = Some(options.clone());
        let snapshot = self.options.fields.is_some() || rng.random_range(0..2) == 0;
        Some((line.id, SubscribeOptions { snapshot: Some(snapshot), ..options }))
    }

    /// From here on its new options count. Cut before it is live again, it begins anew.
    fn granted(&mut self) {
        let Some(options) = self.asked.take() else { return };
        if self.options.fields.is_some() {
            self.seqs.clear();
        }
        if let Some(fields) = &options.fields {
            for (_, value) in self.values.iter_mut().filter(|(channel, _)| merges(channel)) {
                value.retain(|metric, _| fields.contains(metric));
            }
        }
        self.options = options;
        self.cursor = None;
        self.line.as_mut().expect("who reads is connected").live = false;
    }

    pub(crate) fn receive(&mut self, frame: &Frame) {
        let Frame::Text(text) = frame else { panic!("a binary frame for who speaks JSON") };
        let messages: Vec<ServerMessage> = serde_json::from_str(text).expect("valid messages");
        let mut newest = Offset(0);
        for message in messages {
            match message {
                ServerMessage::Update(update) => {
                    newest = newest.max(update.offset);
                    self.update(&update);
                }
                ServerMessage::Reply(reply) => newest = newest.max(self.reply(reply)),
            }
        }
        let live = self.line.as_ref().is_some_and(|line| line.live);
        if live && newest > self.cursor.as_ref().map_or(Offset(0), |cursor| cursor.offset) {
            self.cursor = Some(Cursor { epoch: "one".into(), offset: newest });
        }
    }

    /// Gives the offset that it tells, where it is one to resume from.
    pub(crate) fn reply(&mut self, reply: Reply) -> Offset {
        let line = self.line.as_mut().expect("who reads is connected");
        match reply {
            Reply::Live { offset, .. } => {
                line.live = true;
                return offset;
            }
            Reply::Lag { on, .. } => line.lagging = on,
            Reply::Reset { channels, .. } => {
                let named = |channel: &String| channels.iter().any(|f| f.matches(channel));
                self.values.retain(|channel, _| !named(channel));
                self.seqs.retain(|channel, _| !named(channel));
                line.seqs.retain(|channel, _| !named(channel));
                if !line.live {
                    // Its values are still to come: cut before that, it begins anew.
                    self.cursor = None;
                }
            }
            Reply::Subscribed { .. } => self.granted(),
            Reply::Welcome { .. }
            | Reply::Unsubscribed { .. }
            | Reply::History(_)
            | Reply::Ok { .. }
            | Reply::Error { .. }
            | Reply::Pong { .. } => panic!("nobody asked for {reply:?}"),
        }
        Offset(0)
    }

    pub(crate) fn update(&mut self, update: &protocol::Update) {
        let channel = update.channel.as_str().to_owned();
        let every = self.wants_every(&channel);
        let line = self.line.as_mut().expect("who reads is connected");
        let seq = update.seq.0;
        let data: Map<String, Value> = serde_json::from_str(update.data.get()).expect("an object");
        if update.snapshot {
            line.seqs.insert(channel.clone(), seq);
            self.seqs.insert(channel.clone(), seq);
            self.values.insert(channel, data);
            return;
        }
        if let Some(before) = line.seqs.insert(channel.clone(), seq) {
            assert!(seq > before, "{channel}: {seq} after {before} on one line");
        }
        if let Some(before) = self.seqs.get(&channel) {
            if seq <= *before {
                // Replayed on a new line, because the old one was cut before `live`.
                assert!(update.replayed, "{channel}: {seq} came again, live");
                return;
            }
            let may_miss = !every || (line.lagging && channel.starts_with("telemetry/"));
            assert!(may_miss || seq == before + 1, "{channel}: {seq} after {before}");
        }
        self.seqs.insert(channel.clone(), seq);
        let value = self.values.entry(channel.clone()).or_default();
        if !merges(&channel) {
            value.clear();
        }
        value.extend(data);
    }

    /// Its values are the hub's, as far as it asked for them.
    pub(crate) fn compare(&self, hub: &Hub<Reader>) {
        for channel in CHANNELS {
            if !self.filters.iter().any(|filter| filter.matches(channel)) {
                continue;
            }
            let value = hub.value(&channel.parse().expect("valid"));
            let truth = value.map_or("", |data| data.text());
            let mut truth: Map<String, Value> = serde_json::from_str(truth).unwrap_or_default();
            if let Some(fields) = self.options.fields.as_ref().filter(|_| merges(channel)) {
                truth.retain(|metric, _| fields.contains(metric));
            }
            let seen = self.values.get(channel).cloned().unwrap_or_default();
            assert_eq!(seen, truth, "{channel}, {:?}", self.options);
        }
    }
}

fn any_options(rng: &mut StdRng) -> SubscribeOptions {
    let options = match rng.random_range(0..6) {
        0 => json!({"mode": "latest"}),
        1 => json!({"throttle": 5}),
        2 => json!({"fields": ["t", "pad"]}),
        _ => json!({}),
    };
    serde_json::from_value(options).expect("valid")
}
