//! `/metrics`: the one place where metric names are made. All start with `sluice_`.

use crate::{
    exchange::{self, Exchange},
    logging,
    stats::{Latest, Stats},
    webhook::{self, Webhook},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{collections::HashSet, fmt, sync::Arc};

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0, for who asks for it.
    OpenMetrics,
    /// That of Prometheus, version 0.0.4, which everybody reads.
    Plain,
}

impl Format {
    /// The one that a request's `Accept` asks for.
    pub(crate) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    /// Its media type.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All metrics as text.
///
/// # Errors
/// Never in practice: writing to a `String` does not fail.
pub(crate) fn encode(
    format: Format,
    stats: &Arc<Stats>,
    exchange: &Exchange,
    webhook: Option<&Webhook>,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("sluice");
    let exchange = Arc::clone(exchange.counters());
    let webhook = webhook.map(|webhook| Arc::clone(webhook.counters())).unwrap_or_default();
    registry.register_collector(Box::new(Snapshot { stats: Arc::clone(stats), exchange, webhook }));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Plain => plain(&text),
    })
}

/// The plain format of what is in OpenMetrics: a counter is described by the name that its sample has, and nothing
/// tells the end.
fn plain(text: &str) -> String {
    let counters: HashSet<&str> = text.lines().filter_map(counter).collect();
    let described = |line: &str| {
        let (kind, rest) = line.strip_prefix("# ")?.split_once(' ')?;
        let (name, rest) = rest.split_once(' ')?;
        let total = if counters.contains(name) { "_total" } else { "" };
        Some(format!("# {kind} {name}{total} {rest}\n"))
    };
    let lines = text.lines().filter(|line| *line != "# EOF");
    lines.map(|line| described(line).unwrap_or_else(|| format!("{line}\n"))).collect()
}

/// The counter whose type a line tells.
fn counter(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.strip_suffix(" counter")
}

#[derive(Debug)]
struct Snapshot {
    stats: Arc<Stats>,
    exchange: Arc<exchange::Counters>,
    webhook: Arc<webhook::Counters>,
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let groups = [
            ("mqtt", self.stats.edge.each().collect::<Vec<_>>()),
            ("websocket", self.stats.web.each().collect()),
            ("http", self.stats.http.each().collect()),
            ("listeners", self.stats.arrivals.each().collect()),
            ("exchange", self.exchange.each().collect()),
            ("webhook", self.webhook.each().collect()),
            ("log", logging::counters().each().collect()),
        ];
        for (group, counts) in groups {
            for (name, help, value) in counts {
                write(&mut encoder, &format!("{group}_{name}"), help, value)?;
            }
        }
        bridge(&mut encoder, &self.stats.latest())
    }
}

/// A number of the bridge: its name, what it means, and its value.
type Number = (&'static str, &'static str, u64);

fn bridge(encoder: &mut DescriptorEncoder<'_>, latest: &Latest) -> Result<(), fmt::Error> {
    let numbers = devices(latest).into_iter().chain(alerts(latest)).chain(commands(latest));
    for (name, help, value) in numbers.chain(refusals(latest)) {
        write(encoder, name, help, value)?;
    }
    Ok(())
}

/// Channels, devices and what is kept of them.
fn devices(latest: &Latest) -> [Number; 6] {
    let Latest { figures, refused, updates, audit_entries, .. } = latest;
    [
        ("updates", "Updates of all channels", *updates),
        ("devices_online_now", "Devices that are online", figures.devices_online),
        ("devices_known_now", "Devices that are known", figures.devices_known),
        ("audit_entries_now", "Entries of the audit log that are kept", *audit_entries),
        ("resident_memory_bytes_now", "Resident memory in bytes", figures.memory_bytes),
        (
            "forgotten_metrics",
            "Metrics that left a channel's value, as newer ones took their room",
            refused.metrics,
        ),
    ]
}

/// Alerts that are not cleared.
fn alerts(latest: &Latest) -> [Number; 5] {
    let figures = &latest.figures;
    [
        ("alerts_active_now", "Alerts that nobody acknowledged", figures.alerts.active),
        (
            "alerts_acknowledged_now",
            "Alerts acknowledged and not cleared",
            figures.alerts.acknowledged,
        ),
        ("alerts_info_now", "Alerts not cleared that are info", figures.alerts.info),
        ("alerts_warning_now", "Alerts not cleared that are warnings", figures.alerts.warning),
        ("alerts_critical_now", "Alerts not cleared that are critical", figures.alerts.critical),
    ]
}

/// Commands and batches.
fn commands(latest: &Latest) -> [Number; 14] {
    let Latest { figures, results_too_large, commands_unwritten, .. } = latest;
    let commands = &figures.commands;
    [
        ("commands_open_now", "Commands that have not ended", figures.commands_open),
        ("commands_batches_open_now", "Batches that have not ended", commands.batches_open),
        ("commands_created", "Commands accepted", commands.created),
        ("commands_sent", "Commands sent, each attempt", commands.sent),
        ("commands_succeeded", "Commands that succeeded", commands.succeeded),
        ("commands_failed", "Commands that failed", commands.failed),
        ("commands_rejected", "Commands that were rejected", commands.rejected),
        ("commands_timed_out", "Commands that timed out", commands.timed_out),
        ("commands_expired", "Commands that expired unsent", commands.expired),
        ("commands_cancelled", "Commands that were cancelled", commands.cancelled),
        ("commands_superseded", "Commands that newer ones took the place of", commands.superseded),
        ("commands_late", "Commands settled by an answer after they had timed out", commands.late),
        (
            "commands_results_too_large",
            "Results and errors over limits.command_result_bytes, or too deep, left out",
            *results_too_large,
        ),
        (
            "commands_unwritten",
            "Commands that failed as they could not be written to their receiver",
            *commands_unwritten,
        ),
    ]
}

/// What was over a limit, or from nobody.
fn refusals(latest: &Latest) -> [Number; 5] {
    let refused = &latest.refused;
    [
        (
            "refused_alerts",
            "Alerts beyond limits.alerts_open or limits.alerts_per_device",
            refused.alerts,
        ),
        ("refused_channels", "Updates of channels beyond limits.channels", refused.channels),
        ("refused_devices", "Messages of devices beyond limits.devices", refused.devices),
        (
            "refused_subscriptions",
            "Subscriptions beyond limits.websocket_subscriptions or limits.token_subscriptions",
            refused.subscriptions,
        ),
        ("refused_answers", "Answers to commands that the device does not have", refused.answers),
    ]
}

/// Writes one metric: a gauge where the name ends with `_now`, which is left out, else a counter.
fn write(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), fmt::Error> {
    let help = help.trim_end_matches('.');
    if let Some(name) = name.strip_suffix("_now") {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    } else {
        let counter = ConstCounter::new(value);
        counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plainly_a_counter_is_described_by_the_name_of_its_sample() {
        let open = "# HELP a How many.\n# TYPE a counter\na_total 1\n# HELP b Now.\n# TYPE b gauge\nb 2\n# EOF\n";
        let text = "# HELP a_total How many.\n# TYPE a_total counter\na_total 1\n# HELP b Now.\n# TYPE b gauge\nb 2\n";
        assert_eq!(plain(open), text);
        let browser = "text/html,*/*";
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.5";
        assert_eq!([browser, prometheus].map(Format::wanted), [Format::Plain, Format::OpenMetrics]);
    }
}
