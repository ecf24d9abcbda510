//! The log: structured lines on standard error, as text or JSON.

use crate::config::{Log, LogFormat};
use anyhow::Context as _;
use std::io::{self, IsTerminal as _};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer as _,
    filter::{FilterExt as _, LevelFilter, Targets, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Starts logging as configured.
///
/// # Errors
/// When logging was started before, or the level cannot be read, which the configuration checks.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let targets: Targets = log.level.parse().context("log.level")?;
    // The exchange reports its router's end itself, and a demo's devices are not this program's news.
    let targets = [("rumqttd", LevelFilter::OFF), ("device_sim", LevelFilter::WARN)]
        .into_iter()
        .filter(|(target, _)| !log.level.contains(target))
        .fold(targets, |targets, (target, level)| targets.with_target(target, level));
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let filter = targets.and(filter_fn(|event| !says_messages(event)));
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(())
}

/// What tells whole messages of a WebSocket, however much is asked for: a `hello` has a token in it, a CONNECT a password.
fn says_messages(event: &Metadata<'_>) -> bool {
    event.target().starts_with("tungstenite") && *event.level() == Level::TRACE
}
