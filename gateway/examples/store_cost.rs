//! What the store costs: its CPU time at a load without receipts and with them, and how long a day of
//! history takes to read. Run it with `cargo run --release -p gateway --example store_cost`.

#![expect(clippy::print_stdout, reason = "it reports to a person")]

use anyhow::Context;
use bridge::{
    data::{Data, Metrics},
    update::{ChannelKind, Stamp, Update},
};
use gateway::store::{Batch, Receipt, Settings, StoreHandle, open};
use protocol::{Offset, Seq, Timestamp, TopicName};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Devices, each its own channel.
const DEVICES: u64 = 1_000;

/// Updates a second in all.
const RATE: u64 = 5_000;

/// How long each load lasts, in seconds.
const SECONDS: u64 = 10;

/// Seconds of a day, each an update.
const DAY: i64 = 86_400;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let dir = std::env::temp_dir().join(format!("sluice-store-cost-{}", std::process::id()));
    let (database, _) = open(Settings::new(dir.clone()))?;
    let handle = database.handle();
    let mut numbers = Numbers { offset: 0, seqs: vec![0; DEVICES as usize + 1] };
    load(&handle, &mut numbers, "without receipts", |_| Vec::new())?;
    let given = Arc::new(AtomicU64::new(0));
    load(&handle, &mut numbers, "with a receipt for each batch", |_| {
        let given = Arc::clone(&given);
        let receipt = Receipt::impatient(move |stored| {
            given.fetch_add(u64::from(stored.is_ok()), Ordering::Relaxed);
        });
        vec![receipt]
    })?;
    println!("receipts given: {}", given.load(Ordering::Relaxed));
    one_day(&handle, &mut numbers).await?;
    let figures = handle.figures();
    println!("{} updates, {} bytes in the file", numbers.offset, figures.bytes);
    let began = Instant::now();
    database.close(Offset(numbers.offset))?;
    println!("closed in {:?}", began.elapsed());
    let began = Instant::now();
    let (database, restored) = open(Settings::new(dir.clone()))?;
    println!("opened with {} channels in {:?}", restored.channels.len(), began.elapsed());
    drop(database);
    fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))
}

struct Numbers {
    offset: u64,
    seqs: Vec<u64>,
}

impl Numbers {
    fn update(&mut self, device: usize, at: i64) -> anyhow::Result<Arc<Update>> {
        self.offset += 1;
        let seq = self.seqs.get_mut(device).context("a known device")?;
        *seq += 1;
        let stamp = Stamp { seq: Seq(*seq), offset: Offset(self.offset), timestamp: Timestamp(at) };
        let (a, b) = (self.offset % 977, self.offset % 89);
        let json = format!(
            r#"{{"temperature":{}.{b},"pressure":101{a}.5,"level":0.{b}{a}}}"#,
            20 + seq_wave(*seq)
        );
        let data = Data::Metrics(Metrics::parse(&json)?);
        let channel = channel(device)?;
        Ok(Arc::new(Update::new(channel, ChannelKind::Telemetry, stamp, data)))
    }
}

fn seq_wave(seq: u64) -> u64 {
    seq / 60 % 7
}

fn channel(device: usize) -> anyhow::Result<TopicName> {
    format!("telemetry/pump-{device:04}").parse().map_err(|_| anyhow::anyhow!("a valid name"))
}

/// Gives the store `RATE` updates a second in batches of 25, and tells what its threads took.
fn load(
    handle: &StoreHandle,
    numbers: &mut Numbers,
    what: &str,
    receipts: impl Fn(u64) -> Vec<Receipt>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let before = store_cpu()?;
    let mut keeping = Duration::ZERO;
    for round in 0..SECONDS * RATE / 25 {
        let due = began + Duration::from_micros(round * 25 * 1_000_000 / RATE);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let updates = (0..25).map(|n| {
            let device = (round * 25 + n) % DEVICES;
            numbers.update(device as usize, 1_700_000_000_000 + round as i64 * 5)
        });
        let updates = updates.collect::<Result<_, _>>()?;
        let (receipts, through) = (receipts(round), Offset(numbers.offset));
        let at = Instant::now();
        handle.keep(Batch { updates, rows: Vec::new(), receipts, through });
        keeping += at.elapsed();
    }
    let cpu = store_cpu()? - before;
    let a_second = cpu / SECONDS as u32;
    println!(
        "{what}: {a_second:?} of CPU a second, keep() {:?} a second",
        keeping / SECONDS as u32
    );
    Ok(())
}

/// The CPU time of the store's threads so far, from Linux's ticks of 10 ms.
fn store_cpu() -> anyhow::Result<Duration> {
    let mut ticks = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let stat = fs::read_to_string(task?.path().join("stat"))?;
        let (head, rest) = stat.rsplit_once(')').context("a name")?;
        if head.contains("(store-") {
            let fields: Vec<&str> = rest.split_whitespace().collect();
            for field in [11, 12] {
                ticks += fields.get(field).context("a time")?.parse::<u64>()?;
            }
        }
    }
    Ok(Duration::from_millis(ticks * 10))
}

async fn one_day(handle: &StoreHandle, numbers: &mut Numbers) -> anyhow::Result<()> {
    let begin = 1_700_100_000_000;
    let device = DEVICES as usize;
    for second in 0..DAY {
        let updates = vec![numbers.update(device, begin + second * 1_000)?];
        let (rows, receipts) = (Vec::new(), Vec::new());
        handle.keep(Batch { updates, rows, receipts, through: Offset(numbers.offset) });
    }
    handle.settled().await?;
    for _ in 0..3 {
        let (from, to) = (Timestamp(begin), Timestamp(begin + DAY * 1_000));
        let began = Instant::now();
        let past = handle.between(channel(device)?, from, to, None, 100_000).await?;
        println!("a day, {} updates, read in {:?}", past.len(), began.elapsed());
    }
    Ok(())
}
