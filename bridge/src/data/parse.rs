//! Reads an object of metrics, and says what is wrong with it.

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, fmt};

/// An object's members as they stand in its text.
pub(super) struct Found<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl Found<'_> {
    /// Whether a name is there more than once.
    pub(super) fn has_repeats(&self) -> bool {
        let mut members = self.0.iter().enumerate();
        members.any(|(at, (name, _))| self.0.iter().take(at).any(|(other, _)| other == name))
    }
}

impl<'de> serde::Deserialize<'de> for Found<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FoundVisitor)
    }
}

struct FoundVisitor;

impl<'de> Visitor<'de> for FoundVisitor {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metrics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found<'de>, A::Error> {
        let mut found = Vec::with_capacity(8);
        while let Some(Text(name)) = map.next_key()? {
            let value: &RawValue = map.next_value()?;
            if found.len() == METRICS_MAX {
                return Err(A::Error::custom(format!("more than {METRICS_MAX} metrics")));
            }
            check(value).map_err(|error| A::Error::custom(format!("metric '{name}': {error}")))?;
            found.push((name, value));
        }
        Ok(Found(found))
    }
}

/// The most metrics in one update: merging looks names up one by one.
const METRICS_MAX: usize = 256;

/// Checks what a raw value leaves open: numbers in range, whole characters, bounded nesting.
pub(crate) fn check(value: &RawValue) -> Result<(), serde_json::Error> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') if !text.contains('\\') => Ok(()),
        Some(b'"') => serde_json::from_str::<Text<'_>>(text).map(drop),
        Some(b'{' | b'[') => serde_json::from_str::<Value>(text).map(drop),
        Some(b'-' | b'0'..=b'9')
            if text.len() > DIGITS_SAFE || text.bytes().any(|byte| matches!(byte, b'e' | b'E')) =>
        {
            serde_json::from_str::<f64>(text).map(drop)
        }
        Some(_) | None => Ok(()),
    }
}

/// A number with fewer characters and no exponent is in the range of a double.
pub(super) const DIGITS_SAFE: usize = 300;

/// A JSON text, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
