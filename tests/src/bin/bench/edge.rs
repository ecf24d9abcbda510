//! What the MQTT side costs: devices that are quiet, devices that come, QoS 1, and ordinary MQTT between
//! clients.

use crate::{
    channels::flood,
    crowd,
    fanout::Effort,
    idle::{self, CLIENTS_A_PART},
    load::{Load, Step},
    paced::{self, Case},
    report::{self, Figures, number, ticks_us},
    socket::Language,
    target::Kind,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Quiet devices; a server can hold no more than it may open files
    #[arg(long, default_value_t = 19_000)]
    devices: usize,
    #[command(flatten)]
    effort: Effort,
}

const KINDS: [Kind; 2] = [Kind::Sluice, Kind::Mosquitto];

/// Measures and reports.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let publish =
        |title, body: &str| report::publish(title, body, &KINDS, options.effort.save.as_deref());
    publish("Quiet devices", &quiet(options).await?)?;
    publish("QoS 1 to one subscriber", &acknowledged(options).await?)?;
    publish("QoS 1 in turns", &in_turns(options).await?)?;
    publish("MQTT between clients", &between_clients(options).await?)
}

async fn quiet(options: &Options) -> anyhow::Result<String> {
    let (count, rounds) = (options.devices, options.effort.rounds);
    let table = async |kind| {
        let case = idle::Case { kind, language: Language::Mqtt, count };
        report::in_turns(rounds, &KINDS, async |server| idle::measure(server, case).await).await
    };
    Ok(format!(
        "{count} MQTT 3.1.1 connections, eight at a time, each subscribed to the commands of its device \
         (`devices/{{device}}/commands/+`): the growth of the server's resident memory, and how fast \
         the first {} were let in, the subscription included.\n\n{}\nThe same without a subscription:\n\n{}",
        CLIENTS_A_PART.min(count),
        table(crowd::Kind::Receivers).await?,
        table(crowd::Kind::Devices).await?
    ))
}

async fn acknowledged(options: &Options) -> anyhow::Result<String> {
    let Effort { rounds, seconds, .. } = options.effort;
    let load = Load { devices: 100, rate: 50, step: Step::Even, qos: 1 };
    let table = report::in_turns(rounds, &KINDS, async |kind| {
        let case = Case { load, subscribers: 1, language: kind.web(), root: "devices", seconds };
        let measured = paced::measure(kind, &case).await?;
        let cpu_us = ticks_us(measured.cpu.user + measured.cpu.system)?;
        Ok(vec![
            ("CPU time a message, µs", cpu_us / number(measured.sent.messages.max(1))),
            ("latency, median, ms", number(measured.got.p50_us) / 1_000.0),
            ("latency, 99th percentile, ms", number(measured.got.p99_us) / 1_000.0),
            ("delivered, %", measured.delivered_percent(&case)),
        ])
    });
    Ok(format!(
        "100 devices publish 50 messages a second each with QoS 1, evenly; one WebSocket subscriber wants all of \
         them (Mosquitto's with QoS 0). Sluice acknowledges what is committed to its database (`ingest.ack` \
         `stored`), Mosquitto what is in memory.\n\n{}",
        table.await?
    ))
}

async fn in_turns(options: &Options) -> anyhow::Result<String> {
    let Effort { rounds, seconds, .. } = options.effort;
    let table = async |devices| {
        let load = Load { devices, rate: 1, step: Step::Turns, qos: 1 };
        report::in_turns(rounds, &KINDS, async |kind| {
            let case =
                Case { load, subscribers: 1, language: kind.web(), root: "devices", seconds };
            let measured = paced::measure(kind, &case).await?;
            let (cpu_us, messages) = (
                ticks_us(measured.cpu.user + measured.cpu.system)?,
                number(measured.sent.messages),
            );
            Ok(vec![
                ("messages a second", messages / f64::from(seconds)),
                ("CPU time a message, µs", cpu_us / messages.max(1.0)),
                ("delivered, %", measured.delivered_percent(&case)),
            ])
        })
        .await
    };
    Ok(format!(
        "One device publishes with QoS 1, each message as soon as the one before is acknowledged, to one WebSocket \
         subscriber as above.\n\n{}\nThe same with 20 devices:\n\n{}",
        table(1).await?,
        table(20).await?
    ))
}

async fn between_clients(options: &Options) -> anyhow::Result<String> {
    let Effort { rounds, seconds, .. } = options.effort;
    let table = report::in_turns(rounds, &KINDS, async |kind| -> anyhow::Result<Figures> {
        flood(kind, Language::Mqtt, "plant", 10, seconds).await
    });
    Ok(format!(
        "100 MQTT clients publish as fast as they can on topics that feed no channel (`plant/+/telemetry`, \
         QoS 0, ten messages in one write) while the slowest of 10 MQTT subscribers of all of them is no \
         more than 800 messages behind.\n\n{}",
        table.await?
    ))
}
