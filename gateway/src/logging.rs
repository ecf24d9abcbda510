//! The log: structured lines on standard error, as text or JSON. Who reads them holds up nobody (`lines`).

mod lines;

pub use lines::Writing;

use crate::{
    config::{Log, LogFormat},
    count::counters,
};
use anyhow::Context as _;
use lines::Lines;
use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal as _},
    panic::{self, PanicHookInfo},
    sync::{Arc, LazyLock},
};
use tracing::{Level, Metadata, field::display};
use tracing_subscriber::{
    Layer as _, Registry,
    filter::{FilterExt as _, FilterFn, LevelFilter, ParseError, Targets},
    fmt,
    layer::{Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

counters! {
    /// What the log counts.
    Counters {
        /// Lines of the log that were not written, as nobody read standard error.
        lines_dropped,
    }
}

/// The log of this process.
static LOG: LazyLock<Arc<Lines>> = LazyLock::new(Arc::default);

/// What the log of this process counts.
pub(crate) fn counters() -> &'static Counters {
    &LOG.counters
}

/// Starts logging as configured; what is said waits until it is [`written`].
///
/// # Errors
/// When logging was started before, or the level cannot be read, which the configuration checks.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let lines = fmt::layer().with_writer(Arc::clone(&LOG)).with_ansi(io::stderr().is_terminal());
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let filter = filter(&log.level).context("log.level")?;
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    // What the standard library does instead waits for who reads standard error.
    panic::set_hook(Box::new(panicked));
    Ok(())
}

/// Writes what is said until [`Writing`] is dropped.
///
/// # Errors
/// When there is no thread for it.
pub fn written() -> anyhow::Result<Writing> {
    Arc::clone(&LOG).write_to(io::stderr()).context("the log has no thread")
}

/// Tells how the process fails, as far as somebody reads it in time.
pub fn tell(failure: &str) {
    let lines = Arc::new(Lines::default());
    lines.say(format!("error: {failure}\n").as_bytes());
    // Without a thread, as without standard error, there is nobody to tell.
    drop(lines.write_to(io::stderr()));
}

fn panicked(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("something that is no text");
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| display(&backtrace));
    tracing::error!(location = panic.location().map(display), backtrace, "panicked: {message}");
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
