//! Fan-out: many devices, a few subscribers that want every message of all of them.

use crate::{
    load::{Load, Step},
    paced::{self, Case},
    report::{self, Figures, number, ticks_us},
    target::Kind,
};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) load: Load,
    /// Subscribers, each of everything
    #[arg(long, default_value_t = 10)]
    pub(crate) subscribers: u32,
    #[command(flatten)]
    pub(crate) effort: Effort,
}

/// How long is measured, and where the report goes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Effort {
    /// How often each server is measured; the report has the medians
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// How long each measurement takes
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u32,
    /// Put the report into this file too, in the place of the section with its title
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
}

/// Who is measured, in the order of the report's columns.
pub(crate) const KINDS: [Kind; 3] = [Kind::Sluice, Kind::Mosquitto, Kind::Nats];

/// Measures and reports.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let body = section(options).await?;
    report::publish("Fan-out", &body, &KINDS, options.effort.save.as_deref())
}

/// What it is and the table.
pub(crate) async fn section(options: &Options) -> anyhow::Result<String> {
    let Options { load, subscribers, effort: Effort { rounds, seconds, .. } } = options;
    let table = report::in_turns(*rounds, &KINDS, async |kind| measure(options, kind).await);
    let Load { devices, rate, step, .. } = load;
    let step = match step {
        Step::Even => "one after the other, evenly",
        Step::Together => "all at the same moment",
        Step::Turns => "or as their last ones are acknowledged",
    };
    Ok(format!(
        "{devices} devices publish {rate} messages a second each, {step} (MQTT 3.1.1, QoS 0, a reading of 100 \
         bytes), to {subscribers} WebSocket subscribers that want all of them: {} deliveries a second. \
         Sluice's speak `sluice.v1` (`telemetry/#`, mode `every`), Mosquitto's MQTT over WebSocket \
         (`devices/+/telemetry`, QoS 0), NATS' its own protocol over WebSocket (`devices.*.telemetry`). \
         Medians of {rounds} rounds of {seconds} s each, in changing order; CPU time is user and system time \
         of the server's process, latency the time from before the device's write to after the \
         subscriber's read, by the same clock.\n\n{}",
        devices * rate * subscribers,
        table.await?
    ))
}

async fn measure(options: &Options, kind: Kind) -> anyhow::Result<Figures> {
    let Options { load, subscribers, effort } = options;
    let (subscribers, seconds) = (*subscribers, effort.seconds);
    let case = Case { load: *load, subscribers, language: kind.web(), root: "devices", seconds };
    let measured = paced::measure(kind, &case).await?;
    let (cpu, got) = (measured.cpu, &measured.got);
    let a_delivery = |ticks| anyhow::Ok(ticks_us(ticks)? / number(got.deliveries.max(1)));
    Ok(vec![
        ("CPU time a delivery, µs", a_delivery(cpu.user + cpu.system)?),
        ("- of it in the program, µs", a_delivery(cpu.user)?),
        ("- of it in the system, µs", a_delivery(cpu.system)?),
        ("latency, median, ms", number(got.p50_us) / 1_000.0),
        ("latency, 99th percentile, ms", number(got.p99_us) / 1_000.0),
        ("delivered, %", measured.delivered_percent(&case)),
        ("the generator's greatest delay, ms", number(measured.sent.late_us_max) / 1_000.0),
    ])
}
