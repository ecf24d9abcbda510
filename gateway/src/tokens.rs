//! `sluice-gateway token`: makes, lists and revokes tokens, whether a gateway runs or not.

use crate::{
    auth::{EditError, Tokens},
    clock,
};
use anyhow::bail;
use clap::Subcommand;
use protocol::{Millis, Role, Timestamp};
use std::{
    io::{self, Write as _},
    path::Path,
};

/// What is done with tokens.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenAction {
    /// Make a token and print it: it is not shown again. With the first one, HTTP and WebSocket need one
    Create {
        /// Whose it is, as commands and logs will say
        #[arg(default_value = "admin")]
        user: String,
        /// What it allows: viewer (reads), operator (also commands) or admin
        #[arg(long, default_value = "admin")]
        role: Role,
        /// After how many days it ends; without, never
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
    },
    /// List the tokens, without their secrets
    List,
    /// Revoke a token by its id, or all of a user by the name; a running gateway closes what they opened
    Revoke {
        /// The id or the name, as `list` shows it
        token: String,
    },
}

impl TokenAction {
    /// Does it in `data_dir`.
    ///
    /// # Errors
    /// When the credentials cannot be read or written, or there is no such token.
    pub fn run(self, data_dir: &Path) -> anyhow::Result<()> {
        let mut out = io::stdout();
        match self {
            Self::Create { user, role, days } => {
                let ends = |days: u16| end_of(clock::now(), days);
                let add = |tokens: &mut Tokens| tokens.add(&user, role, days.map(ends));
                writeln!(out, "{}", Tokens::edit(data_dir, add)?)?;
            }
            Self::List => {
                writeln!(out, "{:<12}  {:<8}  {:>13}  USER", "ID", "ROLE", "EXPIRES_AT")?;
                for (id, token) in Tokens::list(data_dir)?.iter() {
                    let end = token.expires_at.map_or("never".into(), |end| end.to_string());
                    writeln!(out, "{id:<12}  {:<8}  {end:>13}  {}", token.role.name(), token.user)?;
                }
            }
            Self::Revoke { token } => {
                let revoke = |tokens: &mut Tokens| Ok::<_, EditError>(tokens.revoke(&token));
                if Tokens::edit(data_dir, revoke)? == 0 {
                    bail!("there is no token '{token}': see sluice-gateway token list");
                }
            }
        }
        Ok(())
    }
}

fn end_of(now: Timestamp, days: u16) -> Timestamp {
    let day_ms = Millis(86_400_000);
    Timestamp(now.0 + i64::try_from(day_ms.0).unwrap_or(0) * i64::from(days))
}
