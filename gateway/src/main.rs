//! `sluice-gateway`: reads the settings and runs the gateway.
//!
//! Exit codes: 0 fine, 64 usage or configuration, 1 runtime.

use clap::Parser as _;
use gateway::{
    app::Start,
    args::{Action, Args},
    exit::{USAGE, check, report, verdict},
    process,
};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// Many small allocations of several threads are what the gateway does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
