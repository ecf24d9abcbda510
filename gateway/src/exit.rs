//! How the process ends: what it says and its exit code.

use crate::{acl::Verdict, app, auth::EditError, config::Config, logging, process};
use std::{
    io::{self, Write as _},
    process::ExitCode,
};

/// Usage or configuration (sysexits.h: `EX_USAGE`).
pub const USAGE: u8 = 64;

/// What a start with these settings would refuse, all at once.
///
/// # Errors
/// With all of it.
pub fn check(config: &Config) -> anyhow::Result<()> {
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
#[must_use]
pub fn verdict(outcome: anyhow::Result<Verdict>) -> ExitCode {
    match outcome {
        Ok(Verdict::Allowed) => ExitCode::SUCCESS,
        Ok(Verdict::Denied) => ExitCode::FAILURE,
        Err(error) => report(
            writeln!(io::stderr(), "error: {}", process::told(&error)).map_err(Into::into),
            USAGE,
        ),
    }
}

/// `code` where all is well; else what went wrong is told, and it is 64 where the question made no sense, or 1.
#[must_use]
pub fn report(outcome: anyhow::Result<()>, code: u8) -> ExitCode {
    match outcome {
        Ok(()) => code.into(),
        Err(error) => {
            logging::tell(&process::told(&error));
            let code = matches!(error.downcast_ref(), Some(EditError::BadUser)).then_some(USAGE);
            code.map_or(ExitCode::FAILURE, Into::into)
        }
    }
}
