//! Devices and subscribers at full speed: the devices send as long as the slowest subscriber is not too
//! far behind. So each server shows the most that it delivers without losing anything.

use crate::{
    load::Device,
    now_us,
    part::{self, Plan},
    socket::{Feed, Language, Times},
};
use anyhow::ensure;
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the devices connect
    #[arg(long)]
    mqtt: SocketAddr,
    /// Where the subscribers connect
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    language: Language,
    /// How many subscribers
    #[arg(long)]
    count: usize,
    #[arg(long)]
    devices: u32,
    /// The first level of the devices' topics
    #[arg(long)]
    root: String,
}

/// What was delivered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    /// Messages that reached subscribers in the window.
    pub(crate) deliveries: u64,
}

/// A device writes so many messages at once: what it kept while it was offline, say.
const BURST: u64 = 10;

/// How many messages the slowest subscriber may be behind.
const BEHIND_MAX: u64 = 800;

/// When nothing comes for so long, something was lost.
const STALLED: Duration = Duration::from_secs(5);

/// Sends as ordered and reports the [`Flow`].
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { mqtt, address, language, count, devices, root } = options;
    let feeds = (0..*count).map(|number| Feed::open(*language, *address, number, root));
    let feeds: Vec<_> = feeds.collect::<anyhow::Result<_>>()?;
    let devices = (0..*devices).map(|number| Device::connect(*mqtt, root, number, 0));
    let mut devices: Vec<_> = devices.collect::<anyhow::Result<_>>()?;
    let plan = part::await_order()?;
    let counters: Arc<[AtomicU64]> = (0..*count).map(|_| AtomicU64::new(0)).collect();
    let readers = feeds.into_iter().enumerate().map(|(number, feed)| {
        let counters = Arc::clone(&counters);
        thread::spawn(move || count_all(feed, &counters[number], &plan))
    });
    let readers: Vec<_> = readers.collect();
    send(&mut devices, &counters, &plan)?;
    let mut deliveries = 0;
    for reader in readers {
        deliveries += reader.join().expect("a subscriber does not panic")?;
    }
    part::report(&Flow { deliveries })
}

fn send(devices: &mut [Device], counters: &[AtomicU64], plan: &Plan) -> anyhow::Result<()> {
    let mut sent = 0;
    for place in (0..devices.len()).cycle() {
        if now_us() >= plan.stop_us {
            break;
        }
        wait_for_room(sent, counters)?;
        let device = &mut devices[place];
        let packet = device.packet(now_us()).to_vec();
        device.write(&packet.repeat(usize::try_from(BURST)?))?;
        sent += BURST;
    }
    Ok(())
}

fn wait_for_room(sent: u64, counters: &[AtomicU64]) -> anyhow::Result<()> {
    let since = Instant::now();
    let slowest = || counters.iter().map(|counter| counter.load(Ordering::Relaxed)).min();
    while sent - slowest().unwrap_or(sent) > BEHIND_MAX {
        ensure!(since.elapsed() < STALLED, "the server lost messages");
        thread::sleep(Duration::from_micros(100));
    }
    Ok(())
}

/// Counts all messages for the sender; gives the number of those that came in the window.
fn count_all(mut feed: Feed, counter: &AtomicU64, plan: &Plan) -> anyhow::Result<u64> {
    let (mut times, mut in_window) = (Times::default(), 0);
    while now_us() < plan.rest_us {
        feed.read(|data| {
            let mut found = 0;
            times.look(data, |_| found += 1);
            counter.fetch_add(found, Ordering::Relaxed);
            if plan.counts(now_us()) {
                in_window += found;
            }
        })?;
    }
    Ok(in_window)
}
