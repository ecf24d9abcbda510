//! Values by metric, as one JSON text.

use super::{
    Fields, bare_json_text,
    names::Names,
    parse::Found,
    plain,
    scan::{Members, are_named_alike},
};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

/// Values by metric, in the order the device gave them, as one JSON text that any reader can take:
/// numbers finite, nesting at most 127 deep, each name once and without escapes where it needs none. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: Arc<str>,
    /// Known of what was read in the plain form: most updates of a device have the same, and are told apart in no time.
    names: Option<Names>,
}

/// What may stand around an object (RFC 8259, 2).
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

impl Default for Metrics {
    fn default() -> Self {
        Self::unnamed("{}")
    }
}

impl Metrics {
    /// An object whose names are not known.
    fn unnamed(text: &str) -> Self {
        Self { text: text.into(), names: None }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// What is wrong with it, with the metric.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        Self::plain(text).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// Reads an object in the form that is read fastest; none where it is another or no object.
    pub(crate) fn plain(text: &str) -> Option<Self> {
        let text = text.trim_matches(BLANKS);
        let names = plain::names(text)?;
        Some(Self { text: text.into(), names: Some(names) })
    }

    /// Reads an object in any form.
    pub(super) fn parse_any(text: &str) -> Result<Self, serde_json::Error> {
        let found: Found<'_> = serde_json::from_str(text)?;
        let bare = found.0.iter().all(|(name, _)| matches!(name, Cow::Borrowed(_)));
        if bare && !found.has_repeats() {
            return Ok(Self::unnamed(text.trim_matches(BLANKS)));
        }
        Ok(Self::compose(found.0.iter().map(|(name, value)| (&**name, value.get()))))
    }

    /// Takes back the text of metrics as [`super::Data::text`] gave it, without checking all of it again.
    /// None where it does not look like an object.
    #[must_use]
    pub fn reread(text: &str) -> Option<Self> {
        let text = text.trim_matches(BLANKS);
        Members::of(text).are_all().then(|| Self::unnamed(text))
    }

    /// The single metric `name`.
    #[must_use]
    pub fn one(name: &str, value: &RawValue) -> Self {
        Self::compose([(name, value.get())].into_iter())
    }

    /// The whole text, an object.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Those that `fields` names; none where there is none of them.
    pub(super) fn only(&self, fields: &Fields) -> Option<Self> {
        let mut wanted = self.iter().filter(|(name, _)| fields.has(name)).peekable();
        wanted.peek()?;
        Some(Self::join(wanted))
    }

    /// How many there are; they are counted.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// The names in order, as JSON texts without their quotes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// The metrics in order: names as JSON texts without their quotes, values as JSON texts.
    #[must_use]
    pub fn iter(&self) -> Members<'_> {
        Members::of(&self.text)
    }

    /// The value of a metric as JSON, sought in the whole text, by its name as a JSON text without the quotes.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Whether both have the same metrics in the same order, as two updates of a device mostly do.
    pub(super) fn is_named_like(&self, other: &Self) -> bool {
        match (self.names, other.names) {
            (Some(here), Some(there)) => here == there,
            _ => are_named_alike(&self.text, &other.text),
        }
    }

    /// Puts metrics together; of one that is named twice the last value counts.
    fn compose<'a>(metrics: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut once: Vec<(String, &str)> = Vec::new();
        for (name, value) in metrics {
            let quoted = bare_json_text(name);
            match once.iter_mut().find(|(known, _)| *known == quoted) {
                Some((_, old)) => *old = value,
                None => once.push((quoted, value)),
            }
        }
        Self::join(once.iter().map(|(name, value)| (name.as_str(), *value)))
    }

    /// Puts metrics together that differ in name and need no escaping any more.
    pub(super) fn join<'a>(metrics: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::from("{");
        for (name, value) in metrics {
            text.push_str(if text.len() == 1 { "\"" } else { ",\"" });
            text.push_str(name);
            text.push_str("\":");
            text.push_str(value);
        }
        text.push('}');
        Self::unnamed(&text)
    }
}

impl<'a> IntoIterator for &'a Metrics {
    type Item = (&'a str, &'a str);
    type IntoIter = Members<'a>;

    fn into_iter(self) -> Members<'a> {
        self.iter()
    }
}
