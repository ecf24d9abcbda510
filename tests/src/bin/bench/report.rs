//! What came out, as Markdown.

use crate::{
    fanout::{Options, TARGETS},
    listen::Got,
    load::{Load, Sent},
    target::{Cpu, Kind},
};
use anyhow::Context as _;
use std::{fmt::Write as _, fs, process::Command};

/// One measurement of one server.
#[derive(Debug)]
pub(crate) struct Measured {
    /// CPU time of the window.
    pub(crate) cpu: Cpu,
    pub(crate) sent: Sent,
    pub(crate) got: Got,
}

/// Tells what one measurement gave, for who watches.
#[expect(clippy::print_stderr, reason = "standard output is the report")]
pub(crate) fn progress(round: u32, kind: Kind, measured: &Measured) {
    eprintln!("round {}, {}: {measured:?}", round + 1, kind.name());
}

/// Prints the report, and saves it where that is wanted.
#[expect(clippy::print_stdout, reason = "this is what was asked for")]
pub(crate) fn publish(options: &Options, all: &[(Kind, Measured)]) -> anyhow::Result<()> {
    let text = fanout(options, all)?;
    print!("{text}");
    if let Some(path) = &options.save {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A row of the table: what, with its unit, and how a measurement gives it.
type Row<'a> = (&'a str, Box<dyn Fn(&Measured) -> f64 + 'a>);

fn fanout(options: &Options, all: &[(Kind, Measured)]) -> anyhow::Result<String> {
    let Options { load: Load { devices, rate }, subscribers, rounds, seconds, .. } = options;
    let tick_us = 1_000_000.0 / output("getconf", &["CLK_TCK"])?.parse::<f64>()?;
    let window_us = f64::from(*seconds) * 1_000_000.0;
    let a_delivery =
        |m: &Measured, ticks| number(ticks) * tick_us / number(m.got.deliveries.max(1));
    let rows: [Row<'_>; 7] = [
        ("CPU time a delivery, µs", Box::new(move |m| a_delivery(m, m.cpu.user + m.cpu.system))),
        ("- of it in the program, µs", Box::new(move |m| a_delivery(m, m.cpu.user))),
        ("- of it in the system, µs", Box::new(move |m| a_delivery(m, m.cpu.system))),
        ("CPU, cores", Box::new(|m| number(m.cpu.user + m.cpu.system) * tick_us / window_us)),
        ("latency, median, ms", Box::new(|m| number(m.got.p50_us) / 1_000.0)),
        ("latency, 99th percentile, ms", Box::new(|m| number(m.got.p99_us) / 1_000.0)),
        (
            "delivered, %",
            Box::new(|m| {
                let expected = m.sent.messages * u64::from(*subscribers);
                100.0 * number(m.got.deliveries) / number(expected.max(1))
            }),
        ),
    ];
    let mut text = String::from("# Benchmarks\n\n## Fan-out\n\n");
    writeln!(
        text,
        "{devices} devices publish {rate} messages a second each (MQTT 3.1.1, QoS 0, a reading of about \
         100 bytes) to {subscribers} WebSocket subscribers that want all of them: {} deliveries a second. \
         Sluice's speak `sluice.v1` (`telemetry/#`, mode `every`), Mosquitto's MQTT over WebSocket \
         (`devices/+/telemetry`, QoS 0). Medians of {rounds} rounds of {seconds} s each, in alternating \
         order; the server's CPU time is user and system time of its process, latency the time from \
         before the device's write to after the subscriber's read, by the same clock.\n",
        devices * rate * subscribers
    )?;
    let names = TARGETS.map(Kind::name);
    writeln!(text, "| | {} | {} | ratio |\n|---|---:|---:|---:|", names[0], names[1])?;
    for (name, value) in rows {
        let [ours, theirs] = TARGETS.map(|kind| median(all, kind, &value));
        writeln!(text, "| {name} | {ours:.2} | {theirs:.2} | {:.2} |", theirs / ours.max(1e-9))?;
    }
    let late = all.iter().map(|(_, measured)| measured.sent.late_us_max).max().unwrap_or(0);
    writeln!(
        text,
        "\nIn the windows the generator was never later than {:.1} ms.\n",
        number(late) / 1_000.0
    )?;
    writeln!(text, "{}", machine()?)?;
    Ok(text)
}

fn median(all: &[(Kind, Measured)], kind: Kind, value: impl Fn(&Measured) -> f64) -> f64 {
    let of_kind = all.iter().filter(|(measured, _)| *measured == kind);
    let mut values: Vec<_> = of_kind.map(|(_, measured)| value(measured)).collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "a report has few digits")]
fn number(count: u64) -> f64 {
    count as f64
}

/// What was measured where.
fn machine() -> anyhow::Result<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unnamed CPU", |(_, model)| model);
    let load = fs::read_to_string("/proc/loadavg")?;
    let others = load.split(' ').next().unwrap_or_default();
    let versions = TARGETS.map(Kind::version).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(format!(
        "{} (commit {}), {}; {model}, {} cores, Linux {}; load average at the end {others}.",
        versions[0],
        output("git", &["rev-parse", "--short", "HEAD"])?,
        versions[1],
        output("nproc", &[])?,
        output("uname", &["-r"])?,
    ))
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.with_context(|| format!("{program} does not run"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
