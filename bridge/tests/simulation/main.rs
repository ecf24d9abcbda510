//! The hub with everything around it that can go wrong: publishers, a store that commits late, crashes,
//! clean restarts, lines that are cut between any two frames, readers that are slow or modest, or change their mind.
//!
//! One seed decides everything. A client here does what protocol.md says a client may rely on: it resumes
//! from the greatest offset it has seen, throws away what a `reset` names, merges telemetry. What must hold:
//! - on one connection no update comes twice, and who wants `every` update sees no hole in `seq` but after a
//!   `reset` or while it is told that it lags;
//! - in the end every client has the values that the hub has.
//!
//! `SEED=n cargo test -p bridge --test simulation` plays one seed; `SEEDS=n` so many.

mod client;
mod reader;
mod store;

use bridge::{
    data::{Data, Metrics},
    hub::{Beginning, Gap, Hub, HubLimits, Next, Prelude, Restored, SubscriberId},
    outbox::{Encoding, Outbox},
    rights::Rights,
    update::Stamp,
};
use client::Client;
use protocol::{Offset, ResetReason, Seq, Timestamp, TopicName};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reader::Reader;
use serde_json::{Map, Value};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use store::Store;

const CHANNELS: [&str; 6] =
    ["telemetry/a", "telemetry/b", "telemetry/c", "presence/a", "commands/b", "gateway/stats"];

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
            76..86 => self.change(client),
            86..98 => self.read(client),
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
            Data::Metrics(Metrics::parse(&text).expect("an object"))
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

    /// A client that is live asks for its channels in another way.
    fn change(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let Some((id, options)) = client.change(&mut self.rng) else { return };
        self.hub.subscribe(id, None, client.filters.clone(), &options, |_, _| Prelude::Whole);
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

/// Whether updates of the channel hold metrics, which merge and take options.
fn merges(channel: &str) -> bool {
    channel.starts_with("telemetry/") || channel == "gateway/stats"
}
