//! Who may publish and subscribe what over MQTT: the one place that decides it.
//!
//! Rules are asked in order, those of the configuration before the built-in ones; the first that concerns the
//! client and matches the topic decides, and what no rule matches is denied. A subscription with wildcards is
//! granted where some of what it matches may be read; [`Grant::Partly`] says that each message must be asked.

mod built_in;
mod pattern;

pub use pattern::Pattern;

use protocol::{DeviceId, DevicePattern, Role};
use std::{fmt, sync::Arc};

/// Who publishes or subscribes.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Who signed in.
    pub who: Who<'a>,
    /// The client id, which the client chose.
    pub client_id: &'a str,
}

/// Who signed in.
#[derive(Clone, Copy, Debug)]
pub enum Who<'a> {
    /// A device, and the type that its credential gives it.
    Device(&'a DeviceId, Option<&'a str>),
    /// A user, by name.
    User(&'a str, Role),
}

impl<'a> Client<'a> {
    /// The user name in MQTT's sense.
    fn user_name(&self) -> &'a str {
        match self.who {
            Who::Device(id, _) => id.as_str(),
            Who::User(name, _) => name,
        }
    }
}

/// What a client does with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Publishes to it, by hand or as a will.
    Publish,
    /// Subscribes to it, or is sent a message on it.
    Subscribe,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        })
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

/// Whom a rule concerns: who is all that is given; nothing given: everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whom {
    /// The user with this name.
    pub user: Option<String>,
    /// Users with exactly this role.
    pub role: Option<Role>,
    /// Devices with such an id.
    pub device: Option<DevicePattern>,
    /// Devices whose credential has this type.
    pub kind: Option<String>,
}

impl Whom {
    fn is(&self, client: &Client<'_>) -> bool {
        let Self { user, role, device, kind } = self;
        match client.who {
            Who::Device(id, of_type) => {
                user.is_none()
                    && role.is_none()
                    && device.as_ref().is_none_or(|pattern| pattern.matches(id.as_str()))
                    && kind.as_ref().is_none_or(|kind| of_type == Some(kind))
            }
            Who::User(name, of_role) => {
                device.is_none()
                    && kind.is_none()
                    && user.as_ref().is_none_or(|user| user == name)
                    && role.is_none_or(|role| role == of_role)
            }
        }
    }
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The configuration: its place there, from 0.
    Configured(usize),
    /// The program.
    BuiltIn,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where it comes from.
    pub origin: Origin,
    /// What it does.
    pub effect: Effect,
    /// Whom it concerns.
    pub whom: Whom,
    /// The action it is about; none: both.
    pub action: Option<Action>,
    /// The topics it is about.
    pub topic: Pattern,
}

impl Rule {
    fn concerns(&self, client: &Client<'_>, action: Action) -> bool {
        self.action.is_none_or(|own| own == action) && self.whom.is(client)
    }
}

/// As one would say it: `[[acl]] 1: deny publish 'secret/#' for user 'ann'`, counted from 1.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Configured(place) => write!(f, "[[acl]] {}: ", place + 1)?,
            Origin::BuiltIn => f.write_str("built in: ")?,
        }
        f.write_str(match self.effect {
            Effect::Allow => "allow ",
            Effect::Deny => "deny ",
        })?;
        match self.action {
            Some(action) => write!(f, "{action} '{}'", self.topic)?,
            None => write!(f, "publish and subscribe '{}'", self.topic)?,
        }
        let Whom { user, role, device, kind } = &self.whom;
        let user = user.as_ref().map(|user| format!("user '{user}'"));
        let role = role.map(|role| format!("role {role}"));
        let device = device.as_ref().map(|device| format!("device '{device}'"));
        let kind = kind.as_ref().map(|kind| format!("type '{kind}'"));
        let all: Vec<String> = [user, role, device, kind].into_iter().flatten().collect();
        let whom = if all.is_empty() { "everybody".to_owned() } else { all.join(", ") };
        write!(f, " for {whom}")
    }
}

/// What was decided, and by which rule; none: no rule matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// The verdict.
    pub effect: Effect,
    /// The rule that made it.
    pub by: Option<&'a Rule>,
}

/// How far a filter may be subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// All that it matches may be read.
    Whole,
    /// Some of it: each message must be asked.
    Partly,
    /// Nothing.
    Refused,
}

/// All rules, in order. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Arc<[Rule]>);

impl Rules {
    /// The rules of the configuration, and behind them the built-in ones.
    #[must_use]
    pub fn new(configured: Vec<Rule>) -> Self {
        Self(configured.into_iter().chain(built_in::rules()).collect())
    }

    /// Decides about one topic.
    #[must_use]
    pub fn decide(&self, client: &Client<'_>, action: Action, topic: &str) -> Decision<'_> {
        let matching =
            |rule: &&Rule| rule.concerns(client, action) && rule.topic.matches(topic, client);
        match self.0.iter().find(matching) {
            Some(rule) => Decision { effect: rule.effect, by: Some(rule) },
            None => Decision { effect: Effect::Deny, by: None },
        }
    }

    /// Whether `client` may do `action` with `topic`.
    #[must_use]
    pub fn allow(&self, client: &Client<'_>, action: Action, topic: &str) -> bool {
        self.decide(client, action, topic).effect == Effect::Allow
    }

    /// Decides about a filter; the rule is the first that lets something of it through, or that denies all.
    #[must_use]
    pub fn grant(&self, client: &Client<'_>, filter: &str) -> (Grant, Option<&Rule>) {
        let (mut grant, mut by) = (Grant::Refused, None);
        let mut untouched = true;
        let concerned = self.0.iter().filter(|rule| rule.concerns(client, Action::Subscribe));
        for rule in concerned.filter(|rule| rule.topic.overlaps(filter, client)) {
            let covers = rule.topic.covers(filter, client);
            if rule.effect == Effect::Allow {
                by = by.or(Some(rule));
                grant = if covers && untouched { Grant::Whole } else { Grant::Partly };
            }
            if covers {
                return (grant, by.or(Some(rule)));
            }
            untouched = false;
        }
        (grant, by)
    }
}

#[cfg(test)]
mod tests;
