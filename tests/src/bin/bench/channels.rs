//! What channels cost: fan-out at a pace and at full speed, many who only listen, a fleet on one page.

use crate::{
    bare, crowd, fanout,
    fanout::{Effort, KINDS},
    flood::Flow,
    idle,
    load::{Load, Step},
    paced::{self, Case, flat, window},
    part::Part,
    report::{self, Figures, number, ticks_us},
    socket::Language,
    target::Kind,
};
use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these parts
    #[arg(long, value_delimiter = ',', default_values_t = [Piece::Even, Piece::Together, Piece::Bare, Piece::Most, Piece::Idle, Piece::Fleet])]
    only: Vec<Piece>,
    /// Idle WebSockets
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    #[command(flatten)]
    effort: Effort,
}

/// A part of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Piece {
    /// Fan-out, evenly
    Even,
    /// Fan-out, the devices in step
    Together,
    /// What the system takes for a message that is passed on at once
    Bare,
    /// The most deliveries
    Most,
    /// Idle WebSockets
    Idle,
    /// A fleet on one page
    Fleet,
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().expect("none is skipped").get_name())
    }
}

/// Measures and reports.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    for piece in &options.only {
        let (title, body) = match piece {
            Piece::Even => ("Fan-out", fan_out(options, Step::Even).await?),
            Piece::Together => ("Fan-out in step", fan_out(options, Step::Together).await?),
            Piece::Bare => ("A bare write", bare::section(&options.effort)?),
            Piece::Most => ("The most deliveries", most(options).await?),
            Piece::Idle => ("Idle WebSockets", idle(options).await?),
            Piece::Fleet => ("A fleet on one page", fleet(options).await?),
        };
        let kinds = match piece {
            Piece::Bare => &KINDS[..0],
            Piece::Fleet => &KINDS[..1],
            Piece::Even | Piece::Together | Piece::Most | Piece::Idle => &KINDS[..],
        };
        report::publish(title, &body, kinds, options.effort.save.as_deref())?;
    }
    Ok(())
}

async fn fan_out(options: &Options, step: Step) -> anyhow::Result<String> {
    let load = Load { devices: 100, rate: 50, step, qos: 0 };
    let effort = options.effort.clone();
    fanout::section(&fanout::Options { load, subscribers: 10, effort }).await
}

async fn most(options: &Options) -> anyhow::Result<String> {
    let Effort { rounds, seconds, .. } = options.effort;
    let table = report::in_turns(rounds, &KINDS, async |kind| {
        flood(kind, kind.web(), "devices", 10, seconds).await
    });
    Ok(format!(
        "100 devices publish as fast as they can (MQTT 3.1.1, QoS 0, a reading of 100 bytes, ten in one \
         write) while the slowest of 10 WebSocket subscribers of everything, as above, is no more than \
         800 messages behind: nothing is lost. Devices and subscribers run on the same processors. \
         Medians of {rounds} rounds of {seconds} s.\n\n{}",
        table.await?
    ))
}

/// The most that gets through a server.
pub(crate) async fn flood(
    kind: Kind,
    language: Language,
    root: &str,
    subscribers: u32,
    seconds: u32,
) -> anyhow::Result<Figures> {
    let target = kind.start().await?;
    let mut part = Part::start(
        "flood",
        &flat([
            ("--mqtt", target.mqtt().to_string()),
            ("--address", target.address(language).to_string()),
            ("--language", language.argument()),
            ("--count", subscribers.to_string()),
            ("--devices", "100".into()),
            ("--root", root.into()),
        ]),
    )?;
    part.ready().await?;
    let cpu = window(&target, &mut [&mut part], seconds).await?;
    let Flow { deliveries } = part.result().await?;
    let cpu_us = ticks_us(cpu.user + cpu.system)?;
    Ok(vec![
        ("deliveries a second", number(deliveries) / f64::from(seconds)),
        ("CPU, cores", cpu_us / (f64::from(seconds) * 1_000_000.0)),
        ("CPU time a delivery, µs", cpu_us / number(deliveries.max(1))),
    ])
}

async fn idle(options: &Options) -> anyhow::Result<String> {
    let count = options.idle;
    let case =
        |kind: Kind| idle::Case { kind: crowd::Kind::Subscribers, language: kind.web(), count };
    let table = report::in_turns(options.effort.rounds, &KINDS, async |kind| {
        idle::measure(kind, case(kind)).await
    });
    Ok(format!(
        "{count} WebSockets, each with one subscription of everything, as above, and nothing published: the \
         growth of the server's resident memory.\n\n{}",
        table.await?
    ))
}

async fn fleet(options: &Options) -> anyhow::Result<String> {
    let Effort { rounds, seconds, .. } = options.effort;
    let load = Load { devices: 10_000, rate: 1, step: Step::Even, qos: 0 };
    let case = Case { load, subscribers: 1, language: Language::Page, root: "devices", seconds };
    let table = report::in_turns(rounds, &KINDS[..1], async |kind| {
        let measured = paced::measure(kind, &case).await?;
        let cpu_us = ticks_us(measured.cpu.user + measured.cpu.system)?;
        let a_second = |count| number(count) / f64::from(seconds);
        Ok(vec![
            ("CPU, cores", cpu_us / (f64::from(seconds) * 1_000_000.0)),
            ("messages in a second", a_second(measured.sent.messages)),
            ("frames out a second", a_second(measured.got.frames)),
            ("KiB out a second", a_second(measured.got.bytes) / 1_024.0),
        ])
    });
    Ok(format!(
        "10,000 devices, each with a connection of its own, publish one reading a second each (QoS 0), evenly. \
         One page shows all of them: `sluice.v1.columns`, `telemetry/#` with `throttle` 10.\n\n{}",
        table.await?
    ))
}
