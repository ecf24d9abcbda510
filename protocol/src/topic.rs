//! Topic names and topic filters by MQTT's rules (MQTT 5.0, section 4.7). Channels and their
//! filters follow the same rules, so the same types serve both.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// A topic name or filter that MQTT does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTopic {
    /// It has no character `[MQTT-4.7.3-1]`.
    Empty,
    /// It is longer than 65,535 bytes `[MQTT-4.7.3-3]`.
    TooLong,
    /// It contains the null character `[MQTT-4.7.3-2]`.
    Null,
    /// It is a name and contains `+` or `#` `[MQTT-3.3.2-2]`.
    WildcardInName(String),
    /// `#` is not the last level, or a wildcard shares its level `[MQTT-4.7.1-1]`, `[MQTT-4.7.1-2]`.
    MisplacedWildcard(String),
}

impl fmt::Display for BadTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a topic must have at least one character"),
            Self::TooLong => f.write_str("a topic must not be longer than 65535 bytes"),
            Self::Null => f.write_str("a topic must not contain the null character"),
            Self::WildcardInName(name) => {
                write!(f, "'{name}' is a topic name and must not contain + or #")
            }
            Self::MisplacedWildcard(filter) => write!(
                f,
                "'{filter}' misplaces a wildcard: + and # fill a whole level, and # is the last"
            ),
        }
    }
}

impl std::error::Error for BadTopic {}

/// The levels of a topic name or filter; `a//b` has three, the second empty.
pub fn levels(topic: &str) -> std::str::Split<'_, char> {
    topic.split('/')
}

fn check_length(topic: &str) -> Result<(), BadTopic> {
    if topic.is_empty() {
        Err(BadTopic::Empty)
    } else if topic.len() > usize::from(u16::MAX) {
        Err(BadTopic::TooLong)
    } else if topic.contains('\0') {
        Err(BadTopic::Null)
    } else {
        Ok(())
    }
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadTopic;

            fn try_from(text: String) -> Result<Self, BadTopic> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(topic: $name) -> Self {
                topic.as_str().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// A topic name, or a channel: at least one character, no wildcard, no null.
// Cheap to clone: the text is shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend(
        "pattern" = r"^[^+#\u0000]+$",
        "maxLength" = 65_535,
        "examples" = ["telemetry/pump-1"]
    ))
)]
pub struct TopicName(Arc<str>);

text_newtype!(TopicName);

impl FromStr for TopicName {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        check_length(text)?;
        if text.contains(['+', '#']) {
            return Err(BadTopic::WildcardInName(text.into()));
        }
        Ok(Self(text.into()))
    }
}

/// A topic filter: a topic name in which `+` stands for one level and a last `#` for any number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(extend(
        "pattern" = r"^(?:(?:\+|[^+#/\u0000]*)/)*(?:\+|#|[^+#/\u0000]*)$",
        "minLength" = 1,
        "maxLength" = 65_535,
        "examples" = ["telemetry/+"]
    ))
)]
pub struct TopicFilter(Arc<str>);

text_newtype!(TopicFilter);

impl TopicFilter {
    /// Whether the filter names exactly one topic.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains(['+', '#'])
    }

    /// Whether `topic` is selected by this filter.
    ///
    /// A filter that starts with a wildcard does not match a topic that starts with `$`
    /// `[MQTT-4.7.2-1]`; `a/#` also matches `a` (section 4.7.1.2).
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.matches_levels(levels(topic))
    }

    /// The same for the topic that has these levels.
    pub fn matches_levels<'a>(&self, topic: impl IntoIterator<Item = &'a str>) -> bool {
        let mut topic = topic.into_iter().peekable();
        let is_system = topic.peek().is_some_and(|first| first.starts_with('$'));
        if is_system && self.0.starts_with(['+', '#']) {
            return false;
        }
        for wanted in levels(&self.0) {
            match (wanted, topic.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                (_, Some(_) | None) => return false,
            }
        }
        topic.next().is_none()
    }
}

impl FromStr for TopicFilter {
    type Err = BadTopic;

    fn from_str(text: &str) -> Result<Self, BadTopic> {
        check_length(text)?;
        let mut rest = levels(text).peekable();
        while let Some(level) = rest.next() {
            let shared = level.len() > 1 && level.contains(['+', '#']);
            let early = level == "#" && rest.peek().is_some();
            if shared || early {
                return Err(BadTopic::MisplacedWildcard(text.into()));
            }
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(filter: &str, topic: &str) -> bool {
        filter.parse::<TopicFilter>().expect("a filter of these tests is valid").matches(topic)
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("a//b", "a//b", true),
            ("a/+/b", "a//b", true),
            ("ACCOUNTS", "Accounts", false),
            ("äö/+", "äö/ü", true),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} on {topic}");
        }
    }

    #[test]
    fn misplaced_wildcards_are_refused() {
        for bad in ["sport/tennis#", "sport/#/ranking", "sport+", "a/b+/c", "##", "+a", ""] {
            assert!(bad.parse::<TopicFilter>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_take_no_wildcard_and_no_null() {
        for bad in ["a/+", "#", "a\0b", "", &"x".repeat(65_536)] {
            assert!(bad.parse::<TopicName>().is_err());
        }
    }

    /// The rules written as plainly as possible: recursion over lists of levels.
    fn reference(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            ([wanted, filter @ ..], [level, topic @ ..]) => {
                (*wanted == "+" || wanted == level) && reference(filter, topic)
            }
            ([], [_, ..]) | ([_, ..], []) => false,
        }
    }

    fn reference_with_dollar(filter: &str, topic: &str) -> bool {
        let filter: Vec<_> = levels(filter).collect();
        let topic: Vec<_> = levels(topic).collect();
        let hidden = topic[0].starts_with('$') && ["+", "#"].contains(&filter[0]);
        !hidden && reference(&filter, &topic)
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_naive_reference(
            filter in "([a$+ä]?/){0,3}[a$+#ä]?",
            topic in "([a$ä]?/){0,3}[a$ä]?",
        ) {
            prop_assume!(!topic.is_empty());
            if let Ok(parsed) = filter.parse::<TopicFilter>() {
                prop_assert_eq!(parsed.matches(&topic), reference_with_dollar(&filter, &topic));
            }
        }

        #[test]
        fn no_text_panics(filter: String, topic: String) {
            let _name: Result<TopicName, _> = topic.parse();
            if let Ok(filter) = filter.parse::<TopicFilter>() {
                let _matched = filter.matches(&topic);
            }
        }
    }
}
