//! The arguments: what can be asked. Nothing is checked again after this.

mod order;
mod queries;
mod values;

pub(crate) use order::{BatchOrder, Order, Waiting};
pub(crate) use queries::{AlertQuery, CommandQuery, DeviceQuery, RowQuery, Wishes};

use crate::{
    exit,
    gateway::{GatewayUrl, Token},
    output::Format,
};
use clap::{
    Args as Arguments, CommandFactory as _, Parser, Subcommand, ValueHint, error::ErrorKind,
};
use protocol::{AlertId, CommandId, DeviceId};
use serde_json::{Map, Value};
use std::{ffi::OsString, path::PathBuf};
use values::{parse_device, parse_object, parse_pair};

/// Operates a Sluice gateway: devices, channels, commands, desired states, alerts.
#[derive(Clone, Debug, Parser)]
#[command(name = "sluice", version, after_help = exit::HELP, max_term_width = 100)]
pub struct Args {
    /// The gateway's address
    #[arg(
        long,
        global = true,
        display_order = 900,
        env = "SLUICE_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080",
        value_hint = ValueHint::Url
    )]
    pub(crate) url: GatewayUrl,

    /// The token, as 'sluice-gateway token create' printed it; better given by the environment
    #[arg(long, global = true, display_order = 901, env = "SLUICE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<Token>,

    /// Who signed the gateway's certificate, in PEM; without, whom the system trusts: for https
    #[arg(
        long,
        global = true,
        display_order = 902,
        env = "SLUICE_CA",
        hide_env_values = true,
        value_name = "FILE",
        value_hint = ValueHint::FilePath
    )]
    pub(crate) ca: Option<PathBuf>,

    /// Print what the gateway says as JSON, one object a line
    #[arg(long, global = true, display_order = 903)]
    json: bool,

    #[command(subcommand)]
    pub(crate) action: Action,
}

impl Args {
    /// Reads a command line: the program's name, then what is asked.
    ///
    /// # Errors
    /// What clap finds wrong with it, or that it contradicts itself.
    pub fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args = Self::try_parse_from(line)?;
        match args.contradiction() {
            Some(why) => {
                Err(Self::command().error(ErrorKind::ArgumentConflict, format!("{why}\n")))
            }
            None => Ok(args),
        }
    }

    /// What clap cannot see: arguments that say two things, or another than they were meant to.
    fn contradiction(&self) -> Option<String> {
        match &self.action {
            Action::Desired { action: DesiredAction::Set(desire) } => {
                let member = desire.contradiction()?;
                Some(format!("'{member}' is to be removed and has a value: leave out one of them"))
            }
            Action::Send(order) => order.forgotten_name(),
            Action::Batch { action: BatchAction::Send(order) } => order.forgotten_name(),
            Action::Devices(_)
            | Action::Watch(_)
            | Action::Command { .. }
            | Action::Batch { .. }
            | Action::Desired { .. }
            | Action::Alerts { .. }
            | Action::Top
            | Action::Audit { .. }
            | Action::Completions { .. } => None,
        }
    }

    /// How results are to be printed.
    #[must_use]
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Action {
    /// List devices with their newest values
    Devices(DeviceQuery),
    /// Print the updates of channels as they come; reconnects by itself
    Watch(Wishes),
    /// Send a command to a device
    #[command(after_help = exit::HELP)]
    Send(Box<Order>),
    /// List commands, explain one, cancel one
    Command {
        /// What to do
        #[command(subcommand)]
        action: CommandAction,
    },
    /// Send one command to many devices, a few at a time
    Batch {
        /// What to do
        #[command(subcommand)]
        action: BatchAction,
    },
    /// See and change what a device is wanted to be
    Desired {
        /// What to do
        #[command(subcommand)]
        action: DesiredAction,
    },
    /// List alerts; acknowledge and clear them
    #[command(args_conflicts_with_subcommands = true)]
    Alerts {
        /// Which ones are listed
        #[command(flatten)]
        query: AlertQuery,
        /// What else to do
        #[command(subcommand)]
        action: Option<AlertAction>,
    },
    /// Show the fleet live on the full screen: rates, who is slow or away, alerts, running commands
    Top,
    /// Look at the audit log
    Audit {
        /// What to do with it
        #[command(subcommand)]
        action: AuditAction,
    },
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum AuditAction {
    /// Check that no entry was changed or left out
    Verify,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CommandAction {
    /// List commands, the newest first
    List(CommandQuery),
    /// Tell a command's whole story: each step, why, and what it waited for
    Explain {
        /// The command's id
        id: CommandId,
    },
    /// Cancel a command, or ask its device to give it up
    Cancel {
        /// The command's id
        id: CommandId,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum BatchAction {
    /// Send a command to many devices
    #[command(after_help = exit::HELP)]
    Send(Box<BatchOrder>),
    /// Show how far a batch is
    Show {
        /// The batch's id
        id: CommandId,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// List the rows of a batch: one for each device
    Rows(RowQuery),
    /// Begin and send no more rows until it is resumed
    Pause {
        /// The batch's id
        id: CommandId,
    },
    /// Go on with a batch that was paused
    Resume {
        /// The batch's id
        id: CommandId,
    },
    /// Cancel what was not sent yet
    Cancel {
        /// The batch's id
        id: CommandId,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum DesiredAction {
    /// Show what a device is wanted to be and what it reports
    Get {
        /// The device
        #[arg(value_parser = parse_device)]
        device: DeviceId,
    },
    /// Change what a device is wanted to be
    #[command(after_help = exit::HELP)]
    Set(Box<Desire>),
}

/// A change of what a device is wanted to be.
#[derive(Clone, Debug, Arguments)]
pub(crate) struct Desire {
    /// The device
    #[arg(value_parser = parse_device)]
    pub(crate) device: DeviceId,
    /// Members; a value is JSON where it reads as JSON (21.5, true, null, {"a":1}), else text
    #[arg(value_name = "KEY=VALUE", value_parser = parse_pair, required_unless_present_any = ["object", "remove", "replace"])]
    pub(crate) pairs: Vec<(String, Value)>,
    /// Members as one JSON object; KEY=VALUE adds to them and wins
    #[arg(long, value_name = "JSON", value_parser = parse_object)]
    pub(crate) object: Option<Map<String, Value>>,
    /// Want nothing of this member any more
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
    /// Want nothing but what is named here
    #[arg(long, conflicts_with = "remove")]
    pub(crate) replace: bool,
    /// Only if the newest version is this one still; 0: there is none yet
    #[arg(long, value_name = "N")]
    pub(crate) if_version: Option<u64>,
    #[command(flatten)]
    pub(crate) waiting: Waiting,
}

impl Desire {
    /// A member that is to be removed and has a value.
    fn contradiction(&self) -> Option<&str> {
        let named = self.pairs.iter().map(|(key, _)| key);
        let mut named = named.chain(self.object.iter().flat_map(Map::keys));
        named.find(|key| self.remove.contains(*key)).map(String::as_str)
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AlertAction {
    /// Tell everybody that you know of them
    Ack {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<AlertId>,
    },
    /// Clear them by hand
    Clear {
        /// Their ids
        #[arg(required = true)]
        ids: Vec<AlertId>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    fn refused(line: &str) -> clap::Error {
        Args::read(line.split(' ').map(Into::into)).expect_err(line)
    }

    #[test]
    fn a_member_that_is_removed_and_has_a_value_is_a_contradiction() {
        let line = "sluice desired set pump-1 y=2 --remove x";
        assert!(Args::read(line.split(' ').map(Into::into)).is_ok());
        for with_value in [" x=1", " --object {\"x\":1}"] {
            let error = refused(&format!("{line}{with_value}")).to_string();
            assert!(error.contains("'x' is to be removed and has a value"), "{error}");
        }
    }

    #[test]
    fn a_parameter_in_the_place_of_the_name_is_refused_and_a_name_like_it_can_be_meant() {
        for line in ["send pump-1 rpm=5 --wait", "batch send rpm=5 valve=2 --type pump"] {
            let error = refused(&format!("sluice {line}")).to_string();
            assert!(error.contains("NAME rpm=5'"), "{error}");
            let meant = format!("sluice {line} --params {{}}");
            assert!(Args::read(meant.split(' ').map(Into::into)).is_ok(), "{meant}");
        }
    }

    #[test]
    fn a_device_that_no_address_can_name_is_refused() {
        for line in ["send .. stop", "desired get .", "desired set .. x=1"] {
            let error = refused(&format!("sluice {line}")).to_string();
            assert!(error.contains("an address cannot name it"), "{error}");
        }
    }
}
