//! The gateway as a process: its threads, its log, and the signals that end it.

use crate::{app, config::Config, files, logging, rhythm::Rhythm};
use std::{num::NonZero, sync::Arc};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Runs the gateway until SIGTERM or SIGINT, then drains it.
///
/// # Errors
/// When it cannot start, or a part of it fails.
pub fn run(mut config: Config, start: app::Start) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    files::fit(&mut config.limits);
    let rhythm = Arc::new(Rhythm::default());
    runtime(Arc::clone(&rhythm))?.block_on(serve(config, start, rhythm))
}

/// As many workers as there are processors but one, which is left to the router's thread and the
/// kernel: on a small machine a second worker costs more in wake-ups than it gives.
fn runtime(rhythm: Arc<Rhythm>) -> std::io::Result<Runtime> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let workers = processors.saturating_sub(1).max(1);
    Builder::new_multi_thread()
        .worker_threads(workers)
        .on_thread_park(move || rhythm.rest())
        .enable_all()
        .build()
}

async fn serve(config: Config, start: app::Start, rhythm: Arc<Rhythm>) -> anyhow::Result<()> {
    let routes = config.routes().map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
    let app = app::App::bind(config, routes, start, rhythm).await?;
    let app::Endpoints { mqtt, mqtt_tls, http, https } = app.endpoints();
    let scheme = if https.is_some() { "https" } else { "http" };
    let mqtt_tls = mqtt_tls.map(tracing::field::display);
    tracing::info!(%mqtt, mqtt_tls, dashboard = %format_args!("{scheme}://{http}"), "listening");
    let stop = CancellationToken::new();
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let running = app.run(stop.clone());
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop.cancel();
    running.await
}
