//! The log: structured lines on standard error, as text or JSON.

use crate::config::{Log, LogFormat};
use anyhow::Context as _;
use tracing_subscriber::{
    Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Starts logging as configured.
///
/// # Errors
/// When logging was started before, or the level cannot be read, which the configuration checks.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let targets: Targets = log.level.parse().context("log.level")?;
    // The router's thread is told to end by a panic of its own; what it says of it is no news.
    let targets = targets.with_target("rumqttd", tracing::Level::ERROR);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(targets)).try_init()?;
    Ok(())
}
