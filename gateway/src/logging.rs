//! The log: structured lines on standard error, as text or JSON.

use crate::config::{Log, LogFormat};
use anyhow::Context as _;
use std::io::{self, IsTerminal as _};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer as _, Registry,
    filter::{FilterExt as _, FilterFn, LevelFilter, ParseError, Targets},
    fmt,
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// Starts logging as configured.
///
/// # Errors
/// When logging was started before, or the level cannot be read, which the configuration checks.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let filter = filter(&log.level).context("log.level")?;
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(())
}

/// What is written at `level`.
fn filter(level: &str) -> Result<impl Filter<Registry> + use<>, ParseError> {
    let targets: Targets = level.parse()?;
    // The exchange reports its router's end itself, and a demo's devices are not this program's news.
    let targets = [("rumqttd", LevelFilter::OFF), ("device_sim", LevelFilter::WARN)]
        .into_iter()
        .filter(|(target, _)| !level.contains(target))
        .fold(targets, |targets, (target, level)| targets.with_target(target, level));
    // With the hint what no level asks for costs nothing; without it each message would be asked about several times.
    let harmless = FilterFn::new(|event: &Metadata<'_>| !says_messages(event))
        .with_max_level_hint(LevelFilter::TRACE);
    Ok(targets.and(harmless))
}

/// What tells whole messages of a WebSocket, however much is asked for: a `hello` has a token in it, a CONNECT a password.
fn says_messages(event: &Metadata<'_>) -> bool {
    event.target().starts_with("tungstenite") && *event.level() == Level::TRACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_level_asks_for_is_not_even_looked_at() {
        for (level, most) in [
            ("info", LevelFilter::INFO),
            ("warn,gateway::edge=debug", LevelFilter::DEBUG),
            ("trace", LevelFilter::TRACE),
        ] {
            assert_eq!(filter(level).unwrap().max_level_hint(), Some(most), "{level}");
        }
    }
}
