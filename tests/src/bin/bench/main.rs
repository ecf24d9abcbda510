//! Benchmarks of the real binaries against other brokers; `tests/bench` builds and runs this.
//!
//! Every part is a process of its own, so that the server's CPU time and memory are the server's alone:
//! the server ([`target`]), the devices ([`load`]), the subscribers ([`listen`]), both of them at full
//! speed ([`flood`]), clients that only are there ([`crowd`]), who gives commands and who carries them out
//! ([`ask`]), and this one, which starts them ([`part`]) and reads the clocks. [`report`] writes what came out.

mod ask;
mod bare;
mod channels;
mod commands;
mod crowd;
mod edge;
mod fanout;
mod flood;
mod history;
mod idle;
mod listen;
mod load;
mod paced;
mod part;
mod report;
mod socket;
mod target;

use clap::{Parser, Subcommand};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Args {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Devices that measure, and subscribers that want all of it
    Fanout(fanout::Options),
    /// Fan-out, the most deliveries, idle WebSockets, and a fleet on one page
    Channels(channels::Options),
    /// Quiet devices, devices that come, QoS 1, MQTT between clients
    Edge(edge::Options),
    /// The round trip of a command, and many commands
    Commands(commands::Options),
    /// A day of one device's readings, for a chart
    History(history::Options),
    /// Who gives commands in a scenario, which starts this itself, and the devices that carry them out
    #[command(hide = true)]
    Ask(ask::Options),
    /// The devices of a scenario, which starts this itself
    #[command(hide = true)]
    Load(load::Options),
    /// The subscribers of a scenario, which starts this itself
    #[command(hide = true)]
    Listen(listen::Options),
    /// Devices and subscribers at full speed, for a scenario, which starts this itself
    #[command(hide = true)]
    Flood(flood::Options),
    /// Idle clients of a scenario, which starts this itself
    #[command(hide = true)]
    Crowd(crowd::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Args::parse().scenario {
        Scenario::Fanout(options) => fanout::run(&options).await,
        Scenario::Channels(options) => channels::run(&options).await,
        Scenario::Edge(options) => edge::run(&options).await,
        Scenario::Commands(options) => commands::run(&options).await,
        Scenario::History(options) => history::run(&options).await,
        Scenario::Ask(options) => ask::run(&options).await,
        Scenario::Load(options) => load::run(&options).await,
        Scenario::Listen(options) => listen::run(&options),
        Scenario::Flood(options) => flood::run(&options),
        Scenario::Crowd(options) => crowd::run(&options),
    }
}

const SECOND_US: u64 = 1_000_000;

/// Microseconds since the Unix epoch: all processes share this clock.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_micros()).expect("fits for half a million years")
}
