//! Fan-out: many devices, a few subscribers that want every message of all of them.

use crate::{
    Window,
    listen::{Got, READY},
    load::{Load, Sent},
    now_us,
    report::{self, Measured},
    target::{Kind, Target},
};
use anyhow::{Context as _, ensure};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::sleep,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Subscribers, each of everything
    #[arg(long, default_value_t = 10)]
    pub(crate) subscribers: u32,
    /// How often each server is measured; the report has the medians
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// How long each measurement takes
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u32,
    /// Write the report to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
}

/// Who is measured, in the order of the report's columns.
pub(crate) const TARGETS: [Kind; 2] = [Kind::Sluice, Kind::Mosquitto];

const SECOND_US: u64 = 1_000_000;
/// For the devices to connect, one after the other.
const CONNECT_US: u64 = 4 * SECOND_US;
/// Load before the window.
const WARM_UP_US: u64 = 2 * SECOND_US;
/// Load after the window, so that its end is like its middle.
const TAIL_US: u64 = SECOND_US / 2;
/// How long subscribers wait for what is still on its way.
const REST_US: u64 = 2 * SECOND_US;

/// A generator that is later than this was disturbed.
const LATE_US_MAX: u64 = SECOND_US / 5;
/// How often a disturbed measurement is tried.
const ATTEMPTS_MAX: u32 = 3;

/// Measures each server in turn, the order changing from round to round, and reports.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for round in 0..options.rounds {
        let mut order = TARGETS;
        if round % 2 == 1 {
            order.reverse();
        }
        for kind in order {
            all.push((kind, measure_in_peace(options, round, kind).await?));
        }
    }
    report::publish(options, &all)
}

/// Measures again, a few times at most, where the machine had so much else to do that the generator
/// itself was held back.
async fn measure_in_peace(options: &Options, round: u32, kind: Kind) -> anyhow::Result<Measured> {
    let mut attempt = 1;
    loop {
        let measured = measure(options, kind).await.with_context(|| kind.name())?;
        report::progress(round, kind, &measured);
        if measured.sent.late_us_max <= LATE_US_MAX || attempt == ATTEMPTS_MAX {
            return Ok(measured);
        }
        attempt += 1;
    }
}

async fn measure(options: &Options, kind: Kind) -> anyhow::Result<Measured> {
    let target = kind.start().await?;
    let start_us = now_us() + CONNECT_US;
    let begin_us = start_us + WARM_UP_US;
    let end_us = begin_us + u64::from(options.seconds) * SECOND_US;
    let window = Window { begin_us, end_us };
    let stop_us = end_us + TAIL_US;
    let mut listeners = listeners(options, kind, &target, window, stop_us + REST_US)?;
    ensure!(listeners.line().await? == READY, "the subscribers are not ready");
    let mut devices = devices(options, &target, window, start_us, stop_us)?;
    until(begin_us).await;
    let before = target.cpu()?;
    until(end_us).await;
    let cpu = target.cpu()?.since(before);
    let sent: Sent = serde_json::from_str(&devices.line().await?)?;
    let got: Got = serde_json::from_str(&listeners.line().await?)?;
    Ok(Measured { cpu, sent, got })
}

fn listeners(
    options: &Options,
    kind: Kind,
    target: &Target,
    window: Window,
    stop_us: u64,
) -> anyhow::Result<Part> {
    let language = format!("{:?}", kind.language()).to_lowercase();
    let mut command = part("listen")?;
    command.args(["--address", &target.websocket().to_string(), "--language", &language]);
    command.args(["--count", &options.subscribers.to_string()]);
    command.args(["--stop-us", &stop_us.to_string()]).args(window.arguments());
    Part::start(command)
}

fn devices(
    options: &Options,
    target: &Target,
    window: Window,
    start_us: u64,
    stop_us: u64,
) -> anyhow::Result<Part> {
    let Load { devices, rate } = options.load;
    let mut command = part("load")?;
    command.args(["--address", &target.mqtt().to_string()]);
    command.args(["--devices", &devices.to_string(), "--rate", &rate.to_string()]);
    command.args(["--start-us", &start_us.to_string(), "--stop-us", &stop_us.to_string()]);
    command.args(window.arguments());
    Part::start(command)
}

async fn until(at_us: u64) {
    sleep(Duration::from_micros(at_us.saturating_sub(now_us()))).await;
}

fn part(name: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name);
    Ok(command)
}

/// A process of the benchmark; what it measured is a line of its output.
struct Part {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Part {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("piped")?).lines();
        Ok(Self { _child: child, lines })
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        self.lines.next_line().await?.context("a part of the benchmark ended early")
    }
}
