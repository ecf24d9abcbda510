//! Clients that connect, subscribe and are quiet.

use crate::{
    now_us, part,
    socket::{Feed, Language, mqtt, mqtt_subscribe},
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::{
    net::{SocketAddr, TcpStream},
    thread,
};

/// What the clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Devices (MQTT over TCP) that only connect.
    Devices,
    /// Devices that subscribe to their own commands.
    Receivers,
    /// Subscribers of all telemetry.
    Subscribers,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    kind: Kind,
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    language: Language,
    /// How many clients
    #[arg(long)]
    count: usize,
    /// The number of the first
    #[arg(long)]
    first: usize,
}

/// How long it took them to come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Came {
    pub(crate) took_us: u64,
}

/// So many connect at the same time.
const AT_A_TIME: usize = 8;

enum Client {
    Device { _stream: TcpStream },
    Subscriber { _feed: Box<Feed> },
}

/// Connects when ordered, reports when all [`Came`], and keeps them until the benchmark has seen enough.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    part::await_order()?;
    let began = now_us();
    let clients = thread::scope(|scope| {
        let threads = (0..AT_A_TIME).map(|at| {
            scope.spawn(move || {
                let mine = (at..options.count).step_by(AT_A_TIME);
                mine.map(|number| connect(options, options.first + number)).collect()
            })
        });
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
        joined.collect::<anyhow::Result<Vec<Vec<Client>>>>()
    })?;
    part::report(&Came { took_us: now_us() - began })?;
    std::io::stdin().read_line(&mut String::new())?;
    drop(clients);
    Ok(())
}

fn connect(options: &Options, number: usize) -> anyhow::Result<Client> {
    let Options { kind, address, language, .. } = options;
    let id = format!("crowd-{number:06}");
    Ok(match kind {
        Kind::Devices => Client::Device { _stream: mqtt(*address, &id)? },
        Kind::Receivers => {
            let mut stream = mqtt(*address, &id)?;
            mqtt_subscribe(&mut stream, &format!("devices/{id}/commands/+"))?;
            Client::Device { _stream: stream }
        }
        Kind::Subscribers => {
            let feed = Feed::open(*language, *address, number, "devices")?;
            Client::Subscriber { _feed: Box::new(feed) }
        }
    })
}
