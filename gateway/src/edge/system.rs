//! `$SYS/broker/...`: the gateway's own figures under Mosquitto's names, so that what watches a Mosquitto
//! watches this.
//!
//! Made when somebody subscribes, and every ten seconds for all who have.

use super::shared::Shared;
use crate::{
    clock,
    exchange::{Message, Properties},
    stats,
};
use protocol::TopicFilter;
use std::{
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the figures are told.
const INTERVAL: Duration = Duration::from_secs(10);

/// What all topics here begin with.
const PREFIX: &str = "$SYS/broker/";

/// What is averaged, with the name of each under `load/`.
const LOADS: [&str; 9] = [
    "messages/received",
    "messages/sent",
    "publish/dropped",
    "publish/received",
    "publish/sent",
    "bytes/received",
    "bytes/sent",
    "sockets",
    "connections",
];

/// Over how many minutes.
const MINUTES: [u32; 3] = [1, 5, 15];

/// What must be remembered for the figures.
#[derive(Debug)]
pub(super) struct System {
    started: Instant,
    remembered: Mutex<Remembered>,
    /// The most that were connected at the same time.
    clients_most: AtomicU64,
}

#[derive(Debug)]
struct Remembered {
    at: Instant,
    counts: [u64; LOADS.len()],
    averages: [[f64; MINUTES.len()]; LOADS.len()],
}

impl System {
    pub(super) fn new() -> Self {
        let started = Instant::now();
        let remembered = Remembered {
            at: started,
            counts: [0; LOADS.len()],
            averages: [[0.0; MINUTES.len()]; LOADS.len()],
        };
        Self { started, remembered: Mutex::new(remembered), clients_most: AtomicU64::new(0) }
    }

    /// So many are connected, now that one more is.
    pub(super) fn note_clients(&self, connected: u64) {
        self.clients_most.fetch_max(connected, Ordering::Relaxed);
    }
}

impl Remembered {
    /// Averages as Mosquitto does: each old minute counts less.
    #[expect(clippy::cast_precision_loss, reason = "an average needs no 52 bits")]
    fn sample(&mut self, counts: [u64; LOADS.len()], now: Instant) {
        let minutes = now.duration_since(self.at).as_secs_f64() / 60.0;
        if minutes <= 0.0 {
            return;
        }
        for (load, count) in counts.iter().enumerate() {
            let per_minute = (count - self.counts[load]) as f64 / minutes;
            for (average, over) in self.averages[load].iter_mut().zip(MINUTES) {
                let stays = (-minutes / f64::from(over)).exp();
                *average = per_minute + (*average - per_minute) * stays;
            }
        }
        (self.at, self.counts) = (now, counts);
    }
}

/// Tells the figures to who listens, and lets go of retained messages that have expired, until `stop`.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => tick(&shared),
        }
    }
}

fn tick(shared: &Shared) {
    shared.retained.sweep(clock::now());
    {
        let counts = counts(shared);
        let system = &shared.system;
        let mut remembered = system.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.sample(counts, Instant::now());
    }
    if shared.exchange.has_links() {
        for (name, value) in figures(shared) {
            shared.exchange.offer(message(&name, value));
        }
    }
}

/// The messages whose topic `filter` matches, as if they were retained.
pub(super) fn matching(shared: &Shared, filter: &TopicFilter) -> Vec<Message> {
    if !filter.as_str().starts_with("$SYS/") {
        return Vec::new();
    }
    let all = figures(shared).into_iter().map(|(name, value)| message(&name, value));
    all.filter(|message| filter.matches(message.topic.as_str())).collect()
}

fn message(name: &str, value: String) -> Message {
    Message {
        topic: format!("{PREFIX}{name}").parse().expect("the names here are topic names"),
        payload: value.into(),
        qos: 0,
        retain: true,
        publisher: None,
        served: None,
        retained_as: 0,
        properties: Properties::default(),
    }
}

/// In the order of [`LOADS`].
fn counts(shared: &Shared) -> [u64; LOADS.len()] {
    let counters = &shared.counters;
    [
        counters.packets_in.get(),
        counters.packets_out.get(),
        dropped(shared),
        counters.publishes_in(),
        counters.publishes_out.get(),
        counters.bytes_in.get(),
        counters.bytes_out.get(),
        counters.sockets.get(),
        counters.connections_accepted.get(),
    ]
}

fn dropped(shared: &Shared) -> u64 {
    let counters = &shared.counters;
    let all = [
        &counters.dropped_qos0,
        &counters.dropped_qos12,
        &counters.dropped_expired,
        &counters.dropped_too_large,
        &shared.exchange.counters().dropped,
    ];
    all.iter().map(|count| count.get()).sum()
}

fn figures(shared: &Shared) -> Vec<(String, String)> {
    let counters = &shared.counters;
    let (connected, away) = (counters.connections_now.get(), counters.sessions_now.get());
    let (retained, retained_bytes) = shared.retained.counts();
    // What is retained, and what waits or is in flight to each client.
    let queued = shared.budget.used();
    let (stored, stored_bytes) =
        (retained + queued.messages, retained_bytes + queued.payload_bytes);
    let remembered = shared.system.remembered.lock().unwrap_or_else(PoisonError::into_inner);
    let uptime = shared.system.started.elapsed().as_secs();
    let version = concat!("sluice version ", env!("CARGO_PKG_VERSION"));
    let mut all = vec![
        ("version".to_owned(), version.to_owned()),
        ("uptime".to_owned(), format!("{uptime} seconds")),
    ];
    let [received, sent, dropped, publishes_in, publishes_out, bytes_in, bytes_out, ..] =
        counts(shared);
    let numbers = [
        ("clients/total", connected + away),
        ("clients/connected", connected),
        ("clients/active", connected),
        ("clients/disconnected", away),
        ("clients/inactive", away),
        ("clients/maximum", shared.system.clients_most.load(Ordering::Relaxed)),
        ("clients/expired", counters.sessions_expired.get()),
        ("messages/received", received),
        ("messages/sent", sent),
        ("messages/stored", stored as u64),
        ("store/messages/count", stored as u64),
        ("store/messages/bytes", stored_bytes as u64),
        ("retained messages/count", retained as u64),
        ("subscriptions/count", counters.subscriptions_now.get()),
        ("shared_subscriptions/count", counters.shared_subscriptions_now.get()),
        ("publish/messages/dropped", dropped),
        ("publish/messages/received", publishes_in),
        ("publish/messages/sent", publishes_out),
        ("publish/bytes/received", counters.payload_bytes_in.get()),
        ("publish/bytes/sent", counters.payload_bytes_out.get()),
        ("bytes/received", bytes_in),
        ("bytes/sent", bytes_out),
        ("heap/current", stats::memory_bytes().unwrap_or(0)),
    ];
    all.extend(numbers.map(|(name, value)| (name.to_owned(), value.to_string())));
    for (name, averages) in LOADS.iter().zip(&remembered.averages) {
        for (average, minutes) in averages.iter().zip(MINUTES) {
            let mut value = String::new();
            let _a_string_takes_all = write!(value, "{average:.2}");
            all.push((format!("load/{name}/{minutes}min"), value));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_its_own_average_in_the_end_and_sooner_over_one_minute() {
        let mut now = Instant::now();
        let mut remembered =
            Remembered { at: now, ..System::new().remembered.into_inner().unwrap() };
        let mut count = 0;
        let mut averages_after = |samples: u32| {
            for _ in 0..samples {
                now += INTERVAL;
                count += 10;
                remembered.sample([count; LOADS.len()], now);
            }
            remembered.averages[0]
        };
        let [one, five, fifteen] = averages_after(6);
        assert!((37.0..39.0).contains(&one) && (10.0..12.0).contains(&five), "{one} {five}");
        assert!((3.0..5.0).contains(&fifteen), "{fifteen}");
        assert!(averages_after(1_000).iter().all(|average| (59.9..60.1).contains(average)));
    }
}
