//! What a look at the past costs: a day of one device's readings, for a chart.

use crate::{
    SECOND_US, now_us,
    report::{self, Figures, number},
    target::Kind,
};
use anyhow::ensure;
use serde_json::{Value, json};
use std::path::PathBuf;
use tests::{DAY_POINTS, DAY_READINGS, TestGateway, publish_day};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How often it is measured, each time with a new server; the report has the medians
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Put the report into this file too, in the place of the section with its title
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// Times it is asked for.
const TIMES: usize = 100;

const KINDS: [Kind; 1] = [Kind::Sluice];

/// Measures and reports.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let table = report::in_turns(options.rounds, &KINDS, async |_| measure().await).await?;
    let body = format!(
        "A day of one device's readings, one a second ({DAY_READINGS}, three metrics each), down to {DAY_POINTS} points for a \
         chart: the least, greatest and last value of each metric. Asked for {TIMES} times, one after the \
         other, by HTTP and by WebSocket. Medians of {} rounds.\n\n{table}",
        options.rounds
    );
    report::publish("A day of history", &body, &KINDS, options.save.as_deref())
}

async fn measure() -> anyhow::Result<Figures> {
    let gateway = TestGateway::start().await;
    let from = i64::try_from(now_us() / 1_000)? - DAY_READINGS * 1_000;
    publish_day(gateway.mqtt(), from).await;
    let (http, http_bytes) = by_http(&gateway, from).await?;
    let (websocket, websocket_bytes) = by_websocket(&gateway, from).await?;
    Ok(vec![
        ("by HTTP, median, ms", percentile(&http, 50)),
        ("by HTTP, 99th percentile, ms", percentile(&http, 99)),
        ("by HTTP, KiB", number(http_bytes) / 1_024.0),
        ("by WebSocket, median, ms", percentile(&websocket, 50)),
        ("by WebSocket, 99th percentile, ms", percentile(&websocket, 99)),
        ("by WebSocket, KiB", number(websocket_bytes) / 1_024.0),
    ])
}

async fn by_http(gateway: &TestGateway, from: i64) -> anyhow::Result<(Vec<u64>, u64)> {
    let path = format!("/api/v1/devices/d1/telemetry?from={from}&points={DAY_POINTS}");
    let (mut took, mut bytes) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let began = now_us();
        let (status, body) = gateway.get_text(&path).await;
        took.push(now_us() - began);
        ensure!(status.is_success(), "{status} {body}");
        bytes = body.len() as u64;
    }
    Ok((took, bytes))
}

async fn by_websocket(gateway: &TestGateway, from: i64) -> anyhow::Result<(Vec<u64>, u64)> {
    let mut live = gateway.live().await;
    let options = json!({"history": {"since": from, "points": DAY_POINTS}, "snapshot": false});
    let (mut took, mut bytes) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let began = now_us();
        let told = live.subscribe_with(&["telemetry/d1"], options.clone()).await;
        took.push(now_us() - began);
        bytes = Value::from(told).to_string().len() as u64;
        ensure!(bytes > 1_000, "an answer without history");
    }
    Ok((took, bytes))
}

/// In milliseconds.
fn percentile(took_us: &[u64], percent: usize) -> f64 {
    let mut sorted = took_us.to_vec();
    sorted.sort_unstable();
    let found = sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)));
    number(found.copied().unwrap_or(0)) * 1_000.0 / number(SECOND_US)
}
