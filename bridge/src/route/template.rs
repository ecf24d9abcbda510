//! Templates: topics and channels some of whose levels have names. `{name}` is one level, a last `{name...}`
//! all that follow.

use super::BadRoute;
use protocol::levels;
use std::str::FromStr;

/// Levels of a topic, some of them named.
#[derive(Clone, Debug)]
pub(crate) struct Template(Vec<Level>);

#[derive(Clone, Debug)]
enum Level {
    Text(String),
    One(String),
    Rest(String),
}

impl Level {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::One(name) | Self::Rest(name) => Some(name),
        }
    }

    fn parse(level: &str) -> Option<Self> {
        let Some(inner) = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
            let plain = !level.contains(['{', '}', '+', '#', '\0']);
            return plain.then(|| Self::Text(level.into()));
        };
        let (name, rest) = match inner.strip_suffix("...") {
            Some(name) => (name, true),
            None => (inner, false),
        };
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(word) {
            return None;
        }
        Some(if rest { Self::Rest(name.into()) } else { Self::One(name.into()) })
    }
}

impl FromStr for Template {
    type Err = BadRoute;

    fn from_str(template: &str) -> Result<Self, BadRoute> {
        let mut parsed: Vec<Level> = Vec::new();
        for text in levels(template) {
            let after_rest = matches!(parsed.last(), Some(Level::Rest(_)));
            let level = Level::parse(text).filter(|_| !after_rest && !template.is_empty());
            let level = level
                .ok_or_else(|| BadRoute::Level { template: template.into(), level: text.into() })?;
            if let Some(name) = level.name()
                && parsed.iter().any(|known| known.name() == Some(name))
            {
                return Err(BadRoute::Twice { template: template.into(), name: name.into() });
            }
            parsed.push(level);
        }
        Ok(Self(parsed))
    }
}

impl Template {
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Level::name)
    }

    /// Whether it has this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Whether it stands for two levels, always.
    pub(super) fn has_two_levels(&self) -> bool {
        self.0.len() == 2 && !matches!(self.0.last(), Some(Level::Rest(_)))
    }

    /// What the names stand for in `topic`; none: it is of another shape.
    pub(crate) fn captures<'a>(&'a self, topic: &'a str) -> Option<Captures<'a>> {
        let mut captures = Captures(Vec::new());
        let mut rest = Some(topic);
        for level in &self.0 {
            let remaining = rest?;
            let (first, behind) = match remaining.split_once('/') {
                Some((first, behind)) => (first, Some(behind)),
                None => (remaining, None),
            };
            match level {
                Level::Text(text) if text == first => rest = behind,
                Level::Text(_) => return None,
                Level::One(name) => {
                    captures.0.push((name, first));
                    rest = behind;
                }
                Level::Rest(name) => {
                    captures.0.push((name, remaining));
                    rest = None;
                }
            }
        }
        rest.is_none().then_some(captures)
    }

    /// The text with what its names stand for.
    pub(super) fn filled(&self, captures: &Captures<'_>) -> String {
        let fill = |level: &Level| match level {
            Level::Text(text) => text.clone(),
            Level::One(name) | Level::Rest(name) => captures.get(name).unwrap_or_default().into(),
        };
        self.0.iter().map(fill).collect::<Vec<String>>().join("/")
    }
}

/// What the names of a template stand for.
pub(crate) struct Captures<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Captures<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}
