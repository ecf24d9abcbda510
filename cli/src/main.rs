//! `sluice`: reads the arguments, runs, and maps the outcome to an exit code.

use cli::{Args, BadEndpoint, Exit, Output, OutputError, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = match Args::read(std::env::args_os()) {
        Ok(args) => args,
        Err(error) => return explain(&error).into(),
    };
    let mut output = Output::new(args.format());
    let outcome = start(args, &mut output);
    outcome.unwrap_or_else(|error| report(&error, &mut output)).into()
}

/// One thread is enough for one connection.
fn start(args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(args, output))
}

/// Help and version are fine; everything else clap says is a mistake in the arguments.
fn explain(error: &clap::Error) -> Exit {
    let printed = error.print();
    match (error.use_stderr(), printed) {
        (false, Ok(()) | Err(_)) => Exit::Fine,
        (true, Ok(()) | Err(_)) => Exit::Usage,
    }
}

fn report(error: &anyhow::Error, output: &mut Output) -> Exit {
    if let Some(OutputError::Closed) = error.downcast_ref() {
        return Exit::Fine;
    }
    if let Some(bad) = error.downcast_ref::<BadEndpoint>() {
        output.error(&bad.to_string());
        return Exit::Usage;
    }
    output.error(&format!("{error:#}"));
    Exit::Failed
}
