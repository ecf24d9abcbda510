//! The operator's command line `sluice`: what it asks a gateway and how it shows the answers.
//!
//! Speaks only the contracts of `docs/protocol.md`, through the types of `protocol`. `main.rs` maps
//! [`run`]'s outcome to the process; everything else is here so that tests can reach it.

mod alerts;
pub mod args;
mod audit;
mod batch;
mod client;
mod command;
mod desired;
mod devices;
mod exit;
mod follow;
mod gateway;
mod output;
mod pages;
mod send;
mod table;
mod text;
mod top;
mod watch;

pub use args::Args;
pub use exit::Exit;
pub use gateway::BadEndpoint;
pub use output::{Output, OutputError};

use args::{Action, AuditAction};
use clap::CommandFactory;
use gateway::{Endpoint, Gateway};

/// Does what the arguments ask.
///
/// # Errors
/// Whatever stops it at runtime, for a person to read; [`OutputError::Closed`] where nobody reads on, [`BadEndpoint`]
/// where the arguments name no gateway that can be asked.
pub async fn run(args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let gateway = Gateway::new(Endpoint::new(args.url, args.token, args.ca.as_deref())?)?;
    match args.action {
        Action::Devices(query) => devices::list(&gateway, &query, output).await,
        Action::Watch(wishes) => watch::watch(&gateway, &wishes, output).await,
        Action::Send(order) => send::send(&gateway, &order, output).await,
        Action::Command { action } => command::run(&gateway, action, output).await,
        Action::Batch { action } => batch::run(&gateway, action, output).await,
        Action::Desired { action } => desired::run(&gateway, action, output).await,
        Action::Alerts { query, action } => alerts::run(&gateway, &query, action, output).await,
        Action::Audit { action: AuditAction::Verify } => audit::verify(&gateway, output).await,
        Action::Top => top::run(&gateway).await,
        Action::Completions { shell } => completions(shell, output),
    }
}

/// Written to memory first, because the generator panics where a pipe is closed.
fn completions(shell: clap_complete::Shell, output: &mut Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "sluice", &mut script);
    output.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}
