//! Values by metric, as one JSON text.

use super::{
    Fields, bare_json_text,
    parse::{Found, has_repeats},
    scan,
};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Values by metric, in the order the device gave them, as one JSON text that any reader can take:
/// numbers finite, nesting at most 127 deep, each name once and without escapes where it needs none.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: Box<str>,
    members: Box<[Member]>,
}

/// Where a metric stands in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// From behind the opening quote of the name.
    pub(super) name_start: u32,
    pub(super) name_end: u32,
    pub(super) value_start: u32,
    pub(super) value_end: u32,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { text: "{}".into(), members: Box::default() }
    }
}

impl Metrics {
    /// Reads an object.
    ///
    /// # Errors
    /// What is wrong with it, with the metric.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let Found(found) = serde_json::from_str(text)?;
        let plain = found.iter().all(|(name, _)| matches!(name, Cow::Borrowed(_)));
        if !plain || has_repeats(&found) || text.len() > u32::MAX as usize {
            return Ok(Self::compose(found.iter().map(|(name, value)| (&**name, value.get()))));
        }
        let place = |part: &str| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            (start as u32, (start + part.len()) as u32)
        };
        let member = |(name, value): &(Cow<'_, str>, &RawValue)| {
            let (name_start, name_end) = place(name);
            let (value_start, value_end) = place(value.get());
            Member { name_start, name_end, value_start, value_end }
        };
        Ok(Self { members: found.iter().map(member).collect(), text: text.into() })
    }

    /// Takes back the text of metrics as it was written: finds the members without checking them again.
    /// None where the text was not written by [`super::Data::write`].
    #[must_use]
    pub fn reread(text: Box<str>) -> Option<Self> {
        let members = scan::members(text.as_bytes())?;
        Some(Self { text, members })
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
        let wanted = Self::join(self.iter().filter(|(name, _)| fields.has(name)));
        (!wanted.members.is_empty()).then_some(wanted)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// The metrics in order: names as JSON texts without their quotes, values as JSON texts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.members.iter().map(|member| (self.name(member), self.value(member)))
    }

    /// The value at a place in the order, as JSON.
    ///
    /// # Panics
    /// Where there are not so many.
    #[must_use]
    pub fn value_at(&self, place: usize) -> &str {
        self.value(self.members.get(place).expect("the caller has counted them"))
    }

    /// The value of a metric as JSON, by its name as a JSON text without the quotes.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Whether both have the same metrics in the same order, as two updates of a device mostly do.
    pub(super) fn is_named_like(&self, other: &Self) -> bool {
        fn names(metrics: &Metrics) -> impl Iterator<Item = &[u8]> {
            let text = metrics.text.as_bytes();
            metrics.members.iter().map(|it| &text[it.name_start as usize..it.name_end as usize])
        }
        self.members.len() == other.members.len() && names(self).eq(names(other))
    }

    #[expect(clippy::string_slice, reason = "the places were found between characters")]
    fn name(&self, member: &Member) -> &str {
        &self.text[member.name_start as usize..member.name_end as usize]
    }

    #[expect(clippy::string_slice, reason = "the places were found between characters")]
    fn value(&self, member: &Member) -> &str {
        &self.text[member.value_start as usize..member.value_end as usize]
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
        let mut members = Vec::new();
        for (name, value) in metrics {
            text.push_str(if members.is_empty() { "\"" } else { ",\"" });
            let name_start = text.len() as u32;
            text.push_str(name);
            let name_end = text.len() as u32;
            text.push_str("\":");
            let value_start = text.len() as u32;
            text.push_str(value);
            members.push(Member {
                name_start,
                name_end,
                value_start,
                value_end: text.len() as u32,
            });
        }
        text.push('}');
        Self { text: text.into(), members: members.into() }
    }
}
