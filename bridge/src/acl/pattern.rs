//! Patterns of topics: MQTT's wildcards, and `%c` and `%u` for the client id and the user name, as in Mosquitto.
//!
//! What stands for `%c` and `%u` is compared as text within one level: a client id with `/`, `+` or `#` matches
//! no more than itself.

use super::Client;
use protocol::{BadTopic, TopicFilter, levels};
use std::{borrow::Cow, fmt, str::FromStr};

/// A pattern of topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(TopicFilter);

/// How far two levels go together.
enum Step {
    /// To the next levels.
    On,
    End(bool),
}

impl Pattern {
    /// Whether `topic` is one of those that are meant.
    pub(super) fn matches(&self, topic: &str, client: &Client<'_>) -> bool {
        self.walk(topic, |own, level, is_first| match (own, level) {
            (Some("#"), level) => Step::End(!level.is_some_and(|it| is_first && is_system(it))),
            (Some("+"), Some(level)) if is_first && is_system(level) => Step::End(false),
            (Some("+"), Some(_)) => Step::On,
            (Some(own), Some(level)) => on_if(fill(own, client) == level),
            (own, level) => Step::End(own.is_none() && level.is_none()),
        })
    }

    /// Whether some topic is matched by both, the pattern and `filter`.
    pub(super) fn overlaps(&self, filter: &str, client: &Client<'_>) -> bool {
        self.walk(filter, |own, level, is_first| match (own, level) {
            (Some("#"), other) | (other, Some("#")) => {
                Step::End(!other.is_some_and(|it| is_first && is_system(it)))
            }
            (Some("+"), Some(other)) | (Some(other), Some("+")) => {
                if is_first && is_system(other) {
                    Step::End(false)
                } else {
                    Step::On
                }
            }
            (Some(own), Some(level)) => on_if(fill(own, client) == level),
            (own, level) => Step::End(own.is_none() && level.is_none()),
        })
    }

    /// Whether every topic that `filter` matches is one of those that are meant.
    pub(super) fn covers(&self, filter: &str, client: &Client<'_>) -> bool {
        self.walk(filter, |own, level, is_first| match (own, level) {
            (Some("#"), level) => Step::End(!level.is_some_and(|it| is_first && is_system(it))),
            (_, Some("#")) => Step::End(false),
            (Some("+"), Some(level)) if is_first && is_system(level) => Step::End(false),
            (Some("+"), Some(_)) => Step::On,
            (Some(_), Some("+")) => Step::End(false),
            (Some(own), Some(level)) => on_if(fill(own, client) == level),
            (own, level) => Step::End(own.is_none() && level.is_none()),
        })
    }

    /// Goes through the levels of both; `step` also gets whether these are the first.
    fn walk(&self, other: &str, step: impl Fn(Option<&str>, Option<&str>, bool) -> Step) -> bool {
        let (mut own, mut other) = (levels(self.0.as_str()), levels(other));
        let mut is_first = true;
        loop {
            match step(own.next(), other.next(), is_first) {
                Step::On => is_first = false,
                Step::End(verdict) => return verdict,
            }
        }
    }
}

fn on_if(same: bool) -> Step {
    if same { Step::On } else { Step::End(false) }
}

/// Wildcards do not match the first level of such topics (MQTT 5.0, section 4.7.2).
fn is_system(first_level: &str) -> bool {
    first_level.starts_with('$')
}

fn fill<'a>(level: &'a str, client: &Client<'_>) -> Cow<'a, str> {
    if !level.contains('%') {
        return level.into();
    }
    let mut parts = level.split('%');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (text, rest) = match part.split_at_checked(1) {
            Some(("c", rest)) => (client.client_id, rest),
            Some(("u", rest)) => (client.user_name(), rest),
            Some(_) | None => ("%", part),
        };
        filled.push_str(text);
        filled.push_str(rest);
    }
    filled.into()
}

impl FromStr for Pattern {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
