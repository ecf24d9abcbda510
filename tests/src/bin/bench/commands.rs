//! What a command costs: from who gives it to the device and back, alone and many at a time.

use crate::{
    ask::{Answered, Way},
    fanout::Effort,
    paced::{flat, window},
    part::Part,
    report::{self, Figures, number, ticks_us},
    target::Kind,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Devices that get many commands
    #[arg(long, default_value_t = 1_000)]
    devices: usize,
    /// Commands a second for all of them
    #[arg(long, default_value_t = 2_000)]
    rate: u32,
    #[command(flatten)]
    effort: Effort,
}

const KINDS: [Kind; 2] = [Kind::Sluice, Kind::Mosquitto];

/// Measures and reports.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let publish = |title, body: &str, kinds: &[Kind]| {
        report::publish(title, body, kinds, options.effort.save.as_deref())
    };
    publish("The round trip of a command", &round_trips(&options.effort).await?, &KINDS)?;
    publish("Many commands", &many(options).await?, &KINDS[..1])
}

async fn round_trips(effort: &Effort) -> anyhow::Result<String> {
    let table = async |way| {
        report::in_turns(effort.rounds, &KINDS, async |kind| {
            let way = if kind == Kind::Mosquitto { Way::Mqtt } else { way };
            figures(kind, way, 1, 0, effort.seconds).await
        })
        .await
    };
    Ok(format!(
        "One device, one who asks: a command, the device's PUBACK, its answer (QoS 1), and the next command. \
         Sluice keeps each step in its database before it tells it. Mosquitto's client publishes to the \
         device's topic and is subscribed to its answers, with QoS 1. Medians of {} rounds of {} s.\n\n\
         By HTTP (`Prefer: wait`):\n\n{}\nBy WebSocket:\n\n{}",
        effort.rounds,
        effort.seconds,
        table(Way::Http).await?,
        table(Way::WebSocket).await?,
    ))
}

async fn many(options: &Options) -> anyhow::Result<String> {
    let Options { devices, rate, effort: Effort { rounds, seconds, .. } } = options;
    let table = report::in_turns(*rounds, &KINDS[..1], async |kind| {
        figures(kind, Way::Http, *devices, *rate, *seconds).await
    });
    Ok(format!(
        "{rate} commands a second to {devices} devices, each given by HTTP and waited for (`Prefer: wait`).\n\n{}",
        table.await?
    ))
}

async fn figures(
    kind: Kind,
    way: Way,
    devices: usize,
    rate: u32,
    seconds: u32,
) -> anyhow::Result<Figures> {
    let target = kind.start().await?;
    let mut part = Part::start(
        "ask",
        &flat([
            ("--way", way.argument()),
            ("--mqtt", target.mqtt().to_string()),
            ("--http", target.address(kind.web()).to_string()),
            ("--devices", devices.to_string()),
            ("--rate", rate.to_string()),
        ]),
    )?;
    part.ready().await?;
    let cpu = window(&target, &mut [&mut part], seconds).await?;
    let Answered { succeeded, failed, p50_us, p99_us } = part.result().await?;
    Ok(vec![
        ("round trip, median, ms", number(p50_us) / 1_000.0),
        ("round trip, 99th percentile, ms", number(p99_us) / 1_000.0),
        ("commands a second", number(succeeded) / f64::from(seconds)),
        ("did not succeed", number(failed)),
        ("CPU time a command, µs", ticks_us(cpu.user + cpu.system)? / number(succeeded.max(1))),
    ])
}
