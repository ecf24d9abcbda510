//! Clients that only are there: the memory of each, and how fast they come.

use crate::{
    SECOND_US,
    crowd::{self, Came},
    paced::flat,
    part::{Part, Plan},
    report::{Figures, number, ticks_us},
    socket::Language,
    target::Kind,
};
use clap::ValueEnum as _;
use std::time::Duration;
use tokio::time::sleep;

/// How long a server may tidy up before its memory is read.
const SETTLE: Duration = Duration::from_secs(3);

/// A process opens no more files than it may: larger crowds are several processes. How fast clients come is measured
/// of the first: once half of all ports are taken, the system of the clients looks long for a free one.
pub(crate) const CLIENTS_A_PART: usize = 10_000;

/// What the clients are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) kind: crowd::Kind,
    pub(crate) language: Language,
    pub(crate) count: usize,
}

/// Has the clients come to a new server.
pub(crate) async fn measure(kind: Kind, case: Case) -> anyhow::Result<Figures> {
    let target = kind.start().await?;
    // What the first client costs is not what each costs.
    let first = come(&target.address(case.language).to_string(), case, 900_000, 10).await?;
    sleep(SETTLE).await;
    let (memory, cpu) = (target.memory_kib()?, target.cpu()?);
    let (mut parts, mut figures) = (vec![first.0], Vec::new());
    for from in (0..case.count).step_by(CLIENTS_A_PART) {
        let count = CLIENTS_A_PART.min(case.count - from);
        let (part, came) =
            come(&target.address(case.language).to_string(), case, from, count).await?;
        parts.push(part);
        if from == 0 {
            let (count, cpu) = (number(count as u64), target.cpu()?.since(cpu));
            figures = vec![
                ("clients a second", count * number(SECOND_US) / number(came.took_us.max(1))),
                ("CPU time to let one in, µs", ticks_us(cpu.user + cpu.system)? / count),
            ];
        }
    }
    sleep(SETTLE).await;
    let (count, grown) = (number(case.count as u64), target.memory_kib()?.saturating_sub(memory));
    figures.insert(0, ("memory a client, KiB", number(grown) / count));
    Ok(figures)
}

async fn come(
    address: &str,
    case: Case,
    first: usize,
    count: usize,
) -> anyhow::Result<(Part, Came)> {
    let kind = case.kind.to_possible_value().expect("none is skipped");
    let mut part = Part::start(
        "crowd",
        &flat([
            ("--kind", kind.get_name().into()),
            ("--address", address.into()),
            ("--language", case.language.argument()),
            ("--count", count.to_string()),
            ("--first", first.to_string()),
        ]),
    )?;
    part.ready().await?;
    part.go(&Plan::of(0)).await?;
    let came = part.result().await?;
    Ok((part, came))
}
