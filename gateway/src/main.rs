//! `sluice-gateway`: reads the settings and runs the gateway.
//!
//! Exit codes: 0 fine, 64 usage or configuration, 1 runtime.

use clap::Parser as _;
use gateway::{
    acl::Verdict,
    app::{self, Start},
    args::{Action, Args},
    config::Config,
    logging, process,
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
    match args.action {
        Some(Action::Token(action)) => return report(action.run(&config.data_dir.0), 0),
        Some(Action::Device(action)) => return report(action.run(&config.data_dir.0), 0),
        Some(Action::Acl(action)) => return verdict(action.run(&config)),
        None => {}
    }
    if args.check_config {
        return report(check(&config), 0);
    }
    let start = Start { demo: args.demo, recover: args.recover };
    report(process::run(config, start), 0)
}

/// What a start with these settings would refuse, all at once.
fn check(config: &Config) -> anyhow::Result<()> {
    let refusals = app::refusals(config).into_iter().map(|refusal| process::told(&refusal.into()));
    let refusals: Vec<_> = refusals.collect();
    anyhow::ensure!(
        refusals.is_empty(),
        "the gateway would not start:\n  {}",
        refusals.join("\n  ")
    );
    Ok(writeln!(io::stdout(), "the configuration is fine")?)
}

/// Allowed 0, denied 1, a question that makes no sense 64.
fn verdict(outcome: anyhow::Result<Verdict>) -> ExitCode {
    match outcome {
        Ok(Verdict::Allowed) => ExitCode::SUCCESS,
        Ok(Verdict::Denied) => ExitCode::FAILURE,
        Err(error) => report(
            writeln!(io::stderr(), "error: {}", process::told(&error)).map_err(Into::into),
            USAGE,
        ),
    }
}

fn report(outcome: anyhow::Result<()>, code: u8) -> ExitCode {
    match outcome {
        Ok(()) => code.into(),
        Err(error) => {
            logging::tell(&process::told(&error));
            ExitCode::FAILURE
        }
    }
}
