//! The subscribers: one thread each, which looks for the times in what it gets and nothing else.

use crate::{
    now_us,
    part::{self, Plan},
    socket::{Feed, Language, Times},
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, thread};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    language: Language,
    /// How many subscribers
    #[arg(long)]
    count: usize,
    /// The first level of the devices' topics
    #[arg(long)]
    root: String,
}

/// What the subscribers got.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Got {
    /// Messages of the window, those of all subscribers together.
    pub(crate) deliveries: u64,
    /// Frames, or reads of plain sockets, within the window.
    pub(crate) frames: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// From sending to having it, the median.
    pub(crate) p50_us: u64,
    /// 99 of 100 took no longer.
    pub(crate) p99_us: u64,
}

/// Listens as ordered and reports what was [`Got`].
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { address, language, count, root } = options;
    let feeds = (0..*count).map(|number| Feed::open(*language, *address, number, root));
    let feeds: Vec<_> = feeds.collect::<anyhow::Result<_>>()?;
    let plan = part::await_order()?;
    let threads = feeds.into_iter().map(|feed| thread::spawn(move || listen(feed, &plan)));
    let (mut latencies, mut got) = (Vec::new(), Got::default());
    for thread in threads.collect::<Vec<_>>() {
        let heard = thread.join().expect("a subscriber does not panic")?;
        latencies.extend(heard.latencies);
        got.frames += heard.frames;
        got.bytes += heard.bytes;
    }
    latencies.sort_unstable();
    got.deliveries = u64::try_from(latencies.len())?;
    got.p50_us = percentile(&latencies, 50);
    got.p99_us = percentile(&latencies, 99);
    part::report(&got)
}

/// The value that so many of a hundred do not pass.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let place = sorted.len().saturating_sub(1) * percent / 100;
    sorted.get(place).copied().unwrap_or(0)
}

#[derive(Default)]
struct Heard {
    /// Of each message of the window, in microseconds.
    latencies: Vec<u64>,
    frames: u64,
    bytes: u64,
}

fn listen(mut feed: Feed, plan: &Plan) -> anyhow::Result<Heard> {
    let (mut heard, mut times) = (Heard::default(), Times::default());
    while now_us() < plan.rest_us {
        feed.read(|data| {
            let now = now_us();
            if plan.counts(now) {
                heard.frames += 1;
                heard.bytes += data.len() as u64;
            }
            times.look(data, |sent| {
                if plan.counts(sent) {
                    heard.latencies.push(now.saturating_sub(sent));
                }
            });
        })?;
    }
    Ok(heard)
}
