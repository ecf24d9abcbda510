//! `sluice-gateway acl check`: what the access rules say of one client and one topic, and which rule says it.

use crate::{
    auth::{Devices, Tokens},
    config::Config,
    edge::share,
};
use anyhow::{Context as _, bail};
use bridge::acl::{Action, Client, Effect, Grant, Rule, Who};
use clap::{Args, Subcommand, ValueEnum};
use protocol::{DeviceId, Role, TopicFilter, TopicName};
use std::{
    fmt,
    io::{self, Write as _},
    path::Path,
};

/// What is asked of the access rules.
#[derive(Clone, Debug, Subcommand)]
pub enum AclAction {
    /// Tell whether a client may publish or subscribe, and which rule says so; exit code 1: it may not
    Check(Check),
}

/// Who wants to do what.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// The device that signed in
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "role"], required_unless_present = "user")]
    device: Option<DeviceId>,
    /// The user who signed in
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The user's role; without, that of the user's token
    #[arg(long)]
    role: Option<Role>,
    /// The device's type; without, that of its credential
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "user")]
    kind: Option<String>,
    /// The client id; without, the device's id or the user's name
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// What the client does
    action: Doing,
    /// The topic; to subscribe, a filter
    topic: String,
}

/// What a client does.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Doing {
    Publish,
    Subscribe,
}

/// What the rules say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The client may.
    Allowed,
    /// The client may not.
    Denied,
}

/// What comes of a CONNECT.
enum SignIn {
    As(Role),
    /// It is refused, and so the client may do nothing.
    Refused(&'static str),
}

impl AclAction {
    /// Answers from the configuration and the credentials.
    ///
    /// # Errors
    /// When what is asked makes no sense.
    pub fn run(self, config: &Config) -> anyhow::Result<Verdict> {
        let Self::Check(check) = self;
        let (verdict, said) = check.answer(config)?;
        writeln!(io::stdout(), "{said}")?;
        Ok(verdict)
    }
}

impl Check {
    fn answer(&self, config: &Config) -> anyhow::Result<(Verdict, String)> {
        let rules = config.access_rules();
        let role = match self.sign_in(config)? {
            SignIn::As(role) => role,
            SignIn::Refused(why) => return Ok((Verdict::Denied, format!("denied ({why})"))),
        };
        let kind = self.kind_of_device(&config.data_dir.0)?;
        let (who, name) = match (&self.device, &self.user) {
            (Some(id), _) => (Who::Device(id, kind.as_deref()), id.as_str()),
            (None, user) => {
                let name = user.as_deref().unwrap_or_default();
                (Who::User(name, role), name)
            }
        };
        let client = Client { who, client_id: self.client.as_deref().unwrap_or(name) };
        Ok(match self.action {
            Doing::Publish => {
                let topic: TopicName = self.topic.parse().with_context(|| self.bad_topic())?;
                let decision = rules.decide(&client, Action::Publish, topic.as_str());
                match decision.effect {
                    Effect::Allow => said(Verdict::Allowed, "allowed", decision.by),
                    Effect::Deny => said(Verdict::Denied, "denied", decision.by),
                }
            }
            Doing::Subscribe => {
                let (_, filter) = share::parts(&self.topic).with_context(|| self.bad_topic())?;
                let filter: TopicFilter = filter.parse().with_context(|| self.bad_topic())?;
                match rules.grant(&client, filter.as_str()) {
                    (Grant::Whole, by) => said(Verdict::Allowed, "allowed", by),
                    (Grant::Partly, by) => said(
                        Verdict::Allowed,
                        "allowed, and only what may be read of it is delivered",
                        by,
                    ),
                    (Grant::Refused, by) => said(Verdict::Denied, "denied", by),
                }
            }
        })
    }

    fn bad_topic(&self) -> String {
        format!("'{}' cannot be used", self.topic)
    }

    /// What comes of the user's CONNECT, with the token that allows most.
    fn sign_in(&self, config: &Config) -> anyhow::Result<SignIn> {
        let (Some(user), None) = (&self.user, self.role) else {
            return Ok(SignIn::As(self.role.unwrap_or_default()));
        };
        let tokens = Tokens::list(&config.data_dir.0)?;
        let tokens = tokens.iter().map(|(_, token)| token);
        let of_user: Vec<_> = tokens.filter(|token| token.user == *user).collect();
        if of_user.is_empty() {
            bail!("'{user}' has no token: give --role, or see sluice-gateway token list");
        }
        let lasting = of_user.iter().filter(|token| !token.has_expired());
        let whole = lasting.clone().filter(|token| !token.rights().is_narrowed());
        Ok(match (whole.map(|token| token.role).max(), lasting.count()) {
            (Some(role), _) => SignIn::As(role),
            (None, 0) => SignIn::Refused(EXPIRED),
            (None, _) => SignIn::Refused(NARROWED),
        })
    }

    fn kind_of_device(&self, data_dir: &Path) -> anyhow::Result<Option<String>> {
        let (Some(device), None) = (&self.device, &self.kind) else { return Ok(self.kind.clone()) };
        let devices = Devices::list(data_dir)?;
        Ok(devices.get(device).and_then(|credential| credential.kind.as_deref().map(Into::into)))
    }
}

const EXPIRED: &str =
    "the user's token has expired, and there is no other: see sluice-gateway token create";

const NARROWED: &str =
    "MQTT is not for narrowed tokens, and the user has no other: see sluice-gateway token list";

fn said(verdict: Verdict, words: &str, by: Option<&Rule>) -> (Verdict, String) {
    let by: &dyn fmt::Display = match by {
        Some(rule) => rule,
        None => &"no rule allows it",
    };
    (verdict, format!("{words} ({by})"))
}
