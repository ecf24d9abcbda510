//! `sluice-gateway`: reads the settings, starts the gateway, waits for a reason to stop, drains.
//!
//! Exit codes: 0 fine, 64 usage or configuration, 1 runtime.

use clap::Parser as _;
use gateway::{app::App, args::Args, logging};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Many small allocations of several threads are what the gateway does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Usage or configuration (sysexits.h: `EX_USAGE`).
const USAGE: u8 = 64;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            return report(error.print().map_err(Into::into), code);
        }
    };
    let config = match args.settings() {
        Ok(config) => config,
        Err(mistakes) => {
            return report(writeln!(io::stderr(), "{mistakes}").map_err(Into::into), USAGE);
        }
    };
    if args.check_config {
        return report(writeln!(io::stdout(), "the configuration is fine").map_err(Into::into), 0);
    }
    report(run(config, args.demo), 0)
}

#[tokio::main]
async fn run(config: gateway::config::Config, demo: bool) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    let routes = config.routes().map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
    let app = App::bind(config, routes, demo).await?;
    let gateway::app::Endpoints { mqtt, http } = app.endpoints();
    tracing::info!(%mqtt, dashboard = %format_args!("http://{http}"), "listening");
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

fn report(outcome: anyhow::Result<()>, code: u8) -> ExitCode {
    match outcome {
        Ok(()) => code.into(),
        Err(error) => {
            // Without standard error there is nobody to tell.
            let _nobody_reads = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
