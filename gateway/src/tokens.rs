//! `sluice-gateway token`: makes, lists and revokes tokens, whether a gateway runs or not.

use crate::{
    auth::{
        EditError, Grant, Token, Tokens,
        journal::{Change, leave},
        print_secret,
    },
    clock,
};
use clap::Subcommand;
use protocol::{DevicePattern, Millis, Role, Timestamp, TopicFilter};
use serde_json::{Value, json};
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
        /// Only these devices may be seen: ids with * for any characters, such as 'pump-*'; repeatable
        #[arg(long, value_name = "PATTERN")]
        devices: Vec<DevicePattern>,
        /// Only these channels may be seen: filters such as 'telemetry/#'; repeatable
        #[arg(long, value_name = "FILTER")]
        channels: Vec<TopicFilter>,
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
        match self {
            Self::Create { user, role, days, devices, channels } => {
                let expires_at = days.map(|days| end_of(clock::now(), days));
                let grant = Grant { role, expires_at, devices, channels };
                Ok(create(data_dir, &user, grant, &mut io::stdout())?)
            }
            Self::List => list(data_dir),
            Self::Revoke { token } => revoke(data_dir, &token),
        }
    }
}

fn create(
    data_dir: &Path,
    user: &str,
    grant: Grant,
    out: &mut impl io::Write,
) -> Result<(), EditError> {
    let about = json!({
        "user": user, "role": grant.role, "expires_at": grant.expires_at,
        "devices": grant.devices, "channels": grant.channels,
    });
    let add = |tokens: &mut Tokens| {
        let text = tokens.add(user, grant)?;
        let id = text.split('_').nth(1).unwrap_or_default();
        print_secret(&text, out)?;
        leave(data_dir, &[told("token.created", with_id(about, id))])
    };
    Tokens::edit(data_dir, add)
}

fn list(data_dir: &Path) -> anyhow::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{:<12}  {:<8}  {:>13}  USER  ONLY", "ID", "ROLE", "EXPIRES_AT")?;
    for (id, token) in Tokens::list(data_dir)?.iter() {
        let end = token.expires_at.map_or("never".into(), |end| end.to_string());
        let (role, user, only) = (token.role.name(), &token.user, only(token));
        writeln!(out, "{id:<12}  {role:<8}  {end:>13}  {user}{only}")?;
    }
    Ok(())
}

/// Revokes the token with this id, or all of the user with this name.
fn revoke(data_dir: &Path, token: &str) -> anyhow::Result<()> {
    let revoke = |tokens: &mut Tokens| {
        let meant = tokens.iter().filter(|(id, of)| *id == token || of.user == token);
        let gone = meant.map(|(id, of)| {
            let about = with_id(json!({"user": of.user, "role": of.role}), id);
            told("token.revoked", about)
        });
        let gone: Vec<_> = gone.collect();
        if gone.is_empty() {
            return Err(EditError::TokenUnknown(token.into()));
        }
        leave(data_dir, &gone)?;
        tokens.revoke(token);
        Ok(())
    };
    Ok(Tokens::edit(data_dir, revoke)?)
}

/// What the audit log is to tell.
fn told(action: &str, details: Value) -> Change {
    Change::new(action, None, details)
}

fn with_id(mut about: Value, id: &str) -> Value {
    about["token"] = id.into();
    about
}

/// What a token is narrowed to.
fn only(token: &Token) -> String {
    let devices = token.devices.iter().map(ToString::to_string);
    let channels = token.channels.iter().map(ToString::to_string);
    devices.chain(channels).map(|only| format!("  {only}")).collect()
}

fn end_of(now: Timestamp, days: u16) -> Timestamp {
    let day_ms = Millis(86_400_000);
    Timestamp(now.0 + i64::try_from(day_ms.0).unwrap_or(0) * i64::from(days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{is_set_up, journal};
    use std::fs::File;

    #[test]
    fn a_token_that_cannot_be_printed_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let refused = create(folder.path(), "anna", Grant::default(), &mut full).unwrap_err();
        assert!(refused.to_string().contains("cannot be printed"), "{refused}");
        assert!(!is_set_up(folder.path()), "HTTP needs no token");
        assert_eq!(journal::take(folder.path()).unwrap(), (vec![], 0));
        let mut printed = Vec::new();
        create(folder.path(), "anna", Grant::default(), &mut printed).unwrap();
        assert!(printed.starts_with(b"slt_") && is_set_up(folder.path()));
    }

    #[test]
    fn revoking_what_is_not_there_makes_nobody_sign_in() {
        let folder = tempfile::tempdir().unwrap();
        let refused = revoke(folder.path(), "anna").unwrap_err().to_string();
        assert!(refused.contains("'anna'") && !is_set_up(folder.path()), "{refused}");
    }
}
