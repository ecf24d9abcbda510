//! The gateway as a process: its threads, its log, and the signals that end it.

use crate::{app, config::Config, files, logging, rhythm::Rhythm};
use std::{io, sync::Arc};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Runs the gateway until SIGTERM or SIGINT, then drains it.
///
/// # Errors
/// When it cannot start, or a part of it fails.
pub fn run(config: Config, start: app::Start) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    // Before there are threads.
    files::raise_limit();
    files::make_table(&config.limits);
    // Ends last: what is said to the end is written, if somebody reads it.
    let _log = logging::written()?;
    let rhythm = Arc::new(Rhythm::default());
    let runtime = runtime(config.workers.count(), Arc::clone(&rhythm))?;
    let signals = {
        let _in_it = runtime.enter();
        Signals::listen()?
    };
    runtime.block_on(serve(config, start, rhythm, signals))
}

/// What went wrong, with its causes; what one says already is not said again.
#[must_use]
pub fn told(error: &anyhow::Error) -> String {
    let told = |said: String, cause: String| {
        if said.contains(&cause) { said } else { format!("{said}: {cause}") }
    };
    error.chain().map(ToString::to_string).reduce(told).unwrap_or_default()
}

/// The signals that mean something, heard from before the database is opened: who asks a gateway to end that
/// still starts has it end in order.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A write beyond the limit of a file's size (`ulimit -f`): where nobody hears it, it ends the process; so
    /// the write fails, as on a full disk.
    _file_too_large: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_too_large: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits until the gateway is asked to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A worker alone is this thread: a runtime for several would spend a tenth of its time on looking for the others.
fn runtime(workers: usize, rhythm: Arc<Rhythm>) -> io::Result<Runtime> {
    let mut builder =
        if workers == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(workers).on_thread_park(move || rhythm.rest()).enable_all().build()
}

async fn serve(
    config: Config,
    start: app::Start,
    rhythm: Arc<Rhythm>,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let routes = config.routes().expect("checked with the other settings");
    let app = app::App::bind(config, routes, start, rhythm).await?;
    let app::Endpoints { mqtt, mqtt_tls, http, https } = app.endpoints();
    let scheme = if https.is_some() { "https" } else { "http" };
    let mqtt_tls = mqtt_tls.map(tracing::field::display);
    tracing::info!(%mqtt, mqtt_tls, dashboard = %format_args!("{scheme}://{http}"), "listening");
    let stop = CancellationToken::new();
    let running = app.run(stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        () = signals.end() => {}
    }
    stop.cancel();
    running.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let error = io::Error::other("the disk is full");
        let error = anyhow::Error::new(error).context("cannot write 'a'").context("cannot start");
        assert_eq!(told(&error), "cannot start: cannot write 'a': the disk is full");
        let again = anyhow::Error::new(io::Error::other("full")).context("cannot write: full");
        assert_eq!(told(&again), "cannot write: full");
    }
}
