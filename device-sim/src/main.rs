//! The `device-sim` binary: flags in, a fleet until it is told to stop, a summary out.

mod args;
mod status;

use anyhow::Context;
use args::{Args, explain};
use clap::Parser;
use device_sim::{Fleet, FleetConfig};
use std::{process::ExitCode, time::Duration};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

fn main() -> ExitCode {
    let (config, duration) = match Args::try_parse().and_then(Args::into_config) {
        Ok(wanted) => wanted,
        Err(error) => return explain(&error),
    };
    status::start_logging();
    match run(config, duration) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            status::tell(&format!("device-sim: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(config: FleetConfig, duration: Option<Duration>) -> anyhow::Result<()> {
    let broker = config.broker.clone();
    let fleet = Fleet::new(config)?;
    status::tell(&format!("{} devices connect to {broker}", fleet.devices().len()));
    let counters = fleet.counters();
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let over = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = args::elapsed(duration) => {}
            () = status::show(&counters) => {}
        }
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(fleet.run(stop.clone()), over);
    let summary = ended?;
    status::tell(&summary.to_string());
    match summary.never_connected() {
        Some(failure) => anyhow::bail!("no device could connect to {broker}: {failure}"),
        None => Ok(()),
    }
}
