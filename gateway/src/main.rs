//! `sluice-gateway`: reads the settings and runs the gateway.
//!
//! Exit codes: 0 fine, 64 usage or configuration, 1 runtime.

use clap::Parser as _;
use gateway::{
    app::Start,
    args::{Action, Args},
    process,
};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

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
    let read = if args.action.is_some() { args.read() } else { args.settings() };
    let config = match read {
        Ok(config) => config,
        Err(mistakes) => {
            return report(writeln!(io::stderr(), "{mistakes}").map_err(Into::into), USAGE);
        }
    };
    if let Some(Action::Token(action)) = args.action {
        return report(action.run(&config.data_dir.0), 0);
    }
    if args.check_config {
        return report(writeln!(io::stdout(), "the configuration is fine").map_err(Into::into), 0);
    }
    let start = Start { demo: args.demo, recover: args.recover };
    report(process::run(config, start), 0)
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
