//! The hub with everything around it that can go wrong: publishers, a store that commits late, crashes,
//! clean restarts, lines that are cut between any two frames, readers that are slow or modest.
//!
//! One seed decides everything. A client here does what protocol.md says a client may rely on: it resumes
//! from the greatest offset it has seen, throws away what a `reset` names, merges telemetry. What must hold:
//! - on one connection no update comes twice, and who wants `every` update sees no hole in `seq` but after a
//!   `reset` or while it is told that it lags;
//! - in the end every client has the values that the hub has.
//!
//! `SEED=n cargo test -p bridge --test simulation` plays one seed; `SEEDS=n` so many.

use bridge::{
    data::{Data, Metrics},
    hub::{Beginning, Found, Gap, Hub, HubLimits, Next, Prelude, Restored, Sink, SubscriberId},
    outbox::{Delivery, Encoding, Frame, Outbox},
    rights::Rights,
    update::{Stamp, Update},
};
use protocol::{
    Cursor, Offset, Reply, ResetReason, Seq, ServerMessage, SubscribeOptions, Timestamp,
    TopicFilter, TopicName,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    rc::Rc,
    sync::Arc,
};

const CHANNELS: [&str; 6] =
    ["telemetry/a", "telemetry/b", "telemetry/c", "presence/a", "commands/b", "gateway/stats"];

const FILTERS: [&[&str]; 6] = [
    &["#"],
    &["telemetry/+"],
    &["+/a"],
    &["telemetry/a", "commands/b"],
    &["telemetry/#", "presence/#"],
    &["gateway/stats", "+/b"],
];

type Clock = Rc<Cell<i64>>;

#[test]
fn every_client_ends_with_the_truth_and_is_told_of_every_loss() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("SEEDS").unwrap_or(500)),
    };
    for seed in first..first + count {
        let outcome = std::panic::catch_unwind(|| World::new(seed).run());
        let again = format!("SEED={seed} cargo test -p bridge --test simulation");
        assert!(outcome.is_ok(), "seed {seed} fails; to see it again: {again}");
    }
}

/// The connection's outbox, as the gateway has it.
#[derive(Clone, Debug)]
struct Reader(Rc<RefCell<Outbox>>, Clock);

impl Reader {
    fn now(&self) -> Timestamp {
        Timestamp(self.1.get())
    }
}

impl Sink for Reader {
    fn offer(&self, update: &Arc<Update>, delivery: Delivery) {
        let mut outbox = self.0.borrow_mut();
        let _wake = match delivery {
            Delivery::Every => outbox.every(update),
            Delivery::Latest { interval } => outbox.latest(self.now(), update, interval),
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

/// What survives the gateway.
#[derive(Default)]
struct Store {
    committed: Vec<Arc<Update>>,
    pending: Vec<Arc<Update>>,
    values: BTreeMap<TopicName, (Stamp, Data)>,
    gaps: Vec<Gap>,
    /// Everything kept after this is in `committed`.
    log_from: Offset,
    /// Everything up to this was given to the store and committed.
    through: Offset,
}

impl Store {
    fn commit(&mut self, through: Offset) {
        for update in self.pending.drain(..) {
            let value = match self.values.get(&update.channel) {
                Some((_, old)) => old.merged(&update.data),
                None => update.data.clone(),
            };
            self.values.insert(update.channel.clone(), (update.stamp, value));
            self.committed.push(update);
        }
        self.through = through;
    }

    /// Drops the older half of the log.
    fn trim(&mut self) {
        let half = self.committed.len() / 2;
        if let Some(last) = self.committed.drain(..half).next_back() {
            self.log_from = last.stamp.offset;
        }
    }

    fn log(&self, after: Offset, filters: &[TopicFilter], most: usize) -> Found {
        if after < self.log_from {
            return Found::Gone;
        }
        let kept = self.committed.iter().filter(|update| update.stamp.offset > after);
        let page: Vec<_> = kept.take(most).cloned().collect();
        let through = match page.last() {
            Some(last) if page.len() == most => last.stamp.offset,
            Some(_) | None => self.through,
        };
        if through <= after {
            return Found::Gone;
        }
        let wanted =
            |update: &Arc<Update>| filters.iter().any(|f| f.matches(update.channel.as_str()));
        Found::Log { updates: page.into_iter().filter(wanted).collect(), through }
    }
}

struct World {
    rng: StdRng,
    clock: Clock,
    hub: Hub<Reader>,
    limits: HubLimits,
    store: Store,
    clients: Vec<Client>,
    next_id: u64,
    published: u64,
    /// Offsets lost in crashes.
    skipped: u64,
}

enum Ending {
    Clean,
    Crash,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let ring_bytes = [2_000, 20_000, 1_000_000][rng.random_range(0..3)];
        let (subscriptions, account_subscriptions) = (10, 10);
        let limits = HubLimits { channels: 100, subscriptions, account_subscriptions, ring_bytes };
        let (channels, gaps) = (Vec::new(), Vec::new());
        let (offset, new_channels_after) = (Offset(0), Seq(0));
        let epoch = "one".into();
        let beginning = Beginning { epoch, offset, channels, gaps, new_channels_after };
        let clients = (0..rng.random_range(1..5)).map(|_| Client::new(&mut rng)).collect();
        let (clock, store) = (Clock::default(), Store::default());
        let hub = Hub::new(beginning, limits);
        Self { rng, clock, hub, limits, store, clients, next_id: 0, published: 0, skipped: 0 }
    }

    fn run(mut self) {
        for _ in 0..self.rng.random_range(20..160) {
            self.step();
            self.clock.set(self.clock.get() + self.rng.random_range(0..40));
        }
        self.settle();
        for client in &self.clients {
            client.compare(&self.hub);
        }
    }

    fn step(&mut self) {
        let client = self.rng.random_range(0..self.clients.len());
        match self.rng.random_range(0..100) {
            0..45 => self.publish(10),
            45..49 => {
                let burst = self.rng.random_range(1..120);
                (0..burst).for_each(|_| self.publish(4_000));
            }
            49..58 => self.commit(),
            58..60 => self.store.trim(),
            60..68 => self.cut(client),
            68..76 => self.connect(client),
            76..98 => self.read(client),
            98 => self.restart(Ending::Clean),
            _ => self.restart(Ending::Crash),
        }
    }

    fn publish(&mut self, padding: usize) {
        let channel = CHANNELS[self.rng.random_range(0..CHANNELS.len())];
        self.published += 1;
        let mut members = Map::new();
        for metric in ["t", "h", "p"] {
            // The gateway's figures are always whole.
            if channel == "gateway/stats" || self.rng.random_range(0..2) == 0 {
                members.insert(metric.into(), self.published.into());
            }
        }
        if channel == "gateway/stats" || self.rng.random_range(0..3) == 0 {
            members.insert("pad".into(), "x".repeat(padding).into());
        }
        let text = Value::Object(members).to_string();
        let data = if merges(channel) {
            Data::Metrics(Arc::new(Metrics::parse(&text).expect("an object")))
        } else {
            Data::Json(serde_json::value::RawValue::from_string(text).expect("JSON").into())
        };
        let now = Timestamp(self.clock.get());
        let channel = channel.parse().expect("valid");
        self.hub.publish(now, &channel, None, data).expect("there is room");
        self.store.pending.extend(self.hub.take_to_keep());
    }

    fn commit(&mut self) {
        self.store.commit(self.hub.offset());
    }

    fn restart(&mut self, ending: Ending) {
        (0..self.clients.len()).for_each(|client| self.cut(client));
        let mut skipped = 0;
        match ending {
            Ending::Clean => self.commit(),
            Ending::Crash => {
                let lost = self.store.through;
                self.store.pending.clear();
                let reserved = Offset(self.hub.offset().0 + 1_000);
                skipped = reserved.0 - lost.0;
                let (first, last) = (Offset(lost.0 + 1), reserved);
                self.store.gaps.push(Gap { first, last, reason: ResetReason::Crash });
                self.store.through = reserved;
            }
        }
        for (stamp, _) in self.store.values.values_mut() {
            stamp.seq.0 += skipped;
        }
        let restored = |(channel, (stamp, data)): (&TopicName, &(Stamp, Data))| Restored {
            channel: channel.clone(),
            stamp: *stamp,
            value: Some(data.clone()),
        };
        let channels = self.store.values.iter().map(restored).collect();
        let (epoch, offset) = ("one".into(), self.store.through);
        let gaps = self.store.gaps.clone();
        self.skipped += skipped;
        let new_channels_after = Seq(self.skipped);
        let past = Beginning { epoch, offset, channels, gaps, new_channels_after };
        self.hub = Hub::new(past, self.limits);
    }

    fn connect(&mut self, client: usize) {
        if self.clients[client].line.is_some() {
            return;
        }
        self.next_id += 1;
        let id = SubscriberId(self.next_id);
        let outbox = Outbox::new("one".into(), Encoding::Json);
        let reader = Reader(Rc::new(RefCell::new(outbox)), Rc::clone(&self.clock));
        self.hub.join(id, reader.clone(), Rights::everything());
        let (filters, options) = self.clients[client].connected(id, reader);
        self.hub.subscribe(id, None, filters, &options, |_, _| Prelude::Whole);
    }

    fn cut(&mut self, client: usize) {
        if let Some(line) = self.clients[client].line.take() {
            self.hub.leave(line.id);
        }
    }

    /// One client's past goes on if there is room; then it reads a frame.
    fn read(&mut self, client: usize) {
        let bytes = self.rng.random_range(1..4_000);
        let Some(line) = &self.clients[client].line else { return };
        let (id, reader) = (line.id, line.reader.clone());
        if reader.0.borrow().bytes() < 2_000 {
            self.catch_up(id);
        }
        let frame = reader.0.borrow_mut().take(reader.now(), bytes);
        if let Some(frame) = frame {
            self.clients[client].receive(&frame);
        }
    }

    fn catch_up(&mut self, id: SubscriberId) {
        let most = self.rng.random_range(1..50);
        let found = match self.hub.catch_up(id) {
            Next::Live | Next::Step => return,
            Next::Log { after, filters } => self.store.log(after, &filters, most),
            Next::Range { .. } => panic!("nobody asks for a replay here"),
        };
        self.hub.found(id, found);
    }

    /// No more trouble: everybody connects and reads until nothing comes any more.
    fn settle(&mut self) {
        self.commit();
        for client in 0..self.clients.len() {
            self.connect(client);
            let mut quiet = 0;
            while quiet < 5 {
                self.clock.set(self.clock.get() + 2_000);
                self.read(client);
                let line = self.clients[client].line.as_ref().expect("connected above");
                let waits = line.reader.0.borrow().is_ready(line.reader.now());
                quiet = if line.live && !waits { quiet + 1 } else { 0 };
            }
        }
    }
}

struct Line {
    id: SubscriberId,
    reader: Reader,
    live: bool,
    lagging: bool,
    /// The newest number of each channel that came on this line.
    seqs: HashMap<String, u64>,
}

/// A client as protocol.md lets it be written.
struct Client {
    filters: Vec<TopicFilter>,
    options: SubscribeOptions,
    line: Option<Line>,
    cursor: Option<Cursor>,
    values: BTreeMap<String, Map<String, Value>>,
    seqs: HashMap<String, u64>,
}

impl Client {
    fn new(rng: &mut StdRng) -> Self {
        let options = match rng.random_range(0..6) {
            0 => json!({"mode": "latest"}),
            1 => json!({"throttle": 5}),
            2 => json!({"fields": ["t", "pad"]}),
            _ => json!({}),
        };
        let filters = FILTERS[rng.random_range(0..FILTERS.len())];
        Self {
            filters: filters.iter().map(|filter| filter.parse().expect("valid")).collect(),
            options: serde_json::from_value(options).expect("valid"),
            line: None,
            cursor: None,
            values: BTreeMap::new(),
            seqs: HashMap::new(),
        }
    }

    fn wants_every(&self, channel: &str) -> bool {
        !merges(channel) || self.options == SubscribeOptions::default()
    }

    fn connected(
        &mut self,
        id: SubscriberId,
        reader: Reader,
    ) -> (Vec<TopicFilter>, SubscribeOptions) {
        self.line = Some(Line { id, reader, live: false, lagging: false, seqs: HashMap::new() });
        if self.cursor.is_none() {
            (self.values, self.seqs) = (BTreeMap::new(), HashMap::new());
        }
        let options = SubscribeOptions { since: self.cursor.clone(), ..self.options.clone() };
        (self.filters.clone(), options)
    }

    fn receive(&mut self, frame: &Frame) {
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
    fn reply(&mut self, reply: Reply) -> Offset {
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
            Reply::Subscribed { .. } => {}
            Reply::Welcome { .. }
            | Reply::Unsubscribed { .. }
            | Reply::History(_)
            | Reply::Ok { .. }
            | Reply::Error { .. }
            | Reply::Pong { .. } => panic!("nobody asked for {reply:?}"),
        }
        Offset(0)
    }

    fn update(&mut self, update: &protocol::Update) {
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
    fn compare(&self, hub: &Hub<Reader>) {
        for channel in CHANNELS {
            if !self.filters.iter().any(|filter| filter.matches(channel)) {
                continue;
            }
            let mut truth = String::new();
            if let Some(data) = hub.value(&channel.parse().expect("valid")) {
                data.write(&mut truth);
            }
            let mut truth: Map<String, Value> = serde_json::from_str(&truth).unwrap_or_default();
            if let Some(fields) = self.options.fields.as_ref().filter(|_| merges(channel)) {
                truth.retain(|metric, _| fields.contains(metric));
            }
            let seen = self.values.get(channel).cloned().unwrap_or_default();
            assert_eq!(seen, truth, "{channel}, {:?}", self.options);
        }
    }
}

/// Whether updates of the channel hold metrics, which merge and take options.
fn merges(channel: &str) -> bool {
    channel.starts_with("telemetry/") || channel == "gateway/stats"
}
