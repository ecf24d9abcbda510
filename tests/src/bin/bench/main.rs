//! Benchmarks of the real binaries against other brokers; `tests/bench` builds and runs this.
//!
//! Every part is a process of its own, so that the server's CPU time is the server's alone: the
//! server ([`target`]), the devices ([`load`]), the subscribers ([`listen`]), and this one, which
//! starts them and reads the clocks ([`fanout`]). [`report`] writes what came out.

mod fanout;
mod listen;
mod load;
mod report;
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
    /// The devices of a scenario, which starts this itself
    #[command(hide = true)]
    Load(load::Options),
    /// The subscribers of a scenario, which starts this itself
    #[command(hide = true)]
    Listen(listen::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Args::parse().scenario {
        Scenario::Fanout(options) => fanout::run(&options).await,
        Scenario::Load(options) => load::run(&options),
        Scenario::Listen(options) => listen::run(&options),
    }
}

/// Microseconds since the Unix epoch: all processes share this clock.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_micros()).expect("fits for half a million years")
}

/// Messages that were sent from `begin_us` on and before `end_us` count; those around them warm up.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Window {
    #[arg(long)]
    begin_us: u64,
    #[arg(long)]
    end_us: u64,
}

impl Window {
    fn has(self, sent_us: u64) -> bool {
        (self.begin_us..self.end_us).contains(&sent_us)
    }

    fn arguments(self) -> [String; 4] {
        let Self { begin_us, end_us } = self;
        ["--begin-us".into(), begin_us.to_string(), "--end-us".into(), end_us.to_string()]
    }
}
