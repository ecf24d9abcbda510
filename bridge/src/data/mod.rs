//! The data of an update: what a payload became once it was validated.

mod merge;
mod scan;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, fmt, sync::Arc};

/// What a channel says. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Data {
    /// Values by metric; merges with what came before.
    Metrics(Arc<Metrics>),
    /// Any JSON; replaces what came before.
    Json(Arc<RawValue>),
}

impl Data {
    /// The JSON of `value`.
    ///
    /// # Panics
    /// Never: the types of `protocol` have text keys and finite numbers only.
    pub fn of(value: &impl serde::Serialize) -> Self {
        let raw = serde_json::value::to_raw_value(value).expect("wire types always serialize");
        Self::Json(raw.into())
    }

    /// Appends the JSON text to `text`.
    pub fn write(&self, text: &mut String) {
        match self {
            Self::Metrics(metrics) => text.push_str(&metrics.text),
            Self::Json(json) => text.push_str(json.get()),
        }
    }

    /// How long the JSON text is, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Metrics(metrics) => metrics.text.len(),
            Self::Json(json) => json.get().len(),
        }
    }

    /// Only the members that `fields` names; none where there is none of them.
    #[must_use]
    pub fn only(&self, fields: &Fields) -> Option<Self> {
        match self {
            Self::Metrics(metrics) => Some(Self::Metrics(Arc::new(metrics.only(fields)?))),
            Self::Json(json) => {
                let object = Metrics::parse(json.get()).ok()?.only(fields)?;
                Some(Self::Json(RawValue::from_string(object.text.into()).ok()?.into()))
            }
        }
    }

    /// This data after `newer` came: metrics merge, anything else is replaced.
    #[must_use]
    pub fn merged(&self, newer: &Self) -> Self {
        self.merge(newer).0
    }

    /// The same, and how many old metrics there was no room for.
    #[must_use]
    pub fn merge(&self, newer: &Self) -> (Self, u64) {
        match (self, newer) {
            (Self::Metrics(old), Self::Metrics(new)) => {
                let (merged, forgotten) = merge::merge(old, new);
                (Self::Metrics(merged), forgotten)
            }
            (Self::Metrics(_) | Self::Json(_), newer) => (newer.clone(), 0),
        }
    }
}

/// Names of metrics that somebody wants, in one order: equal where they name the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(Box<[String]>);

impl Fields {
    /// These names.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut quoted: Vec<_> = names.into_iter().map(bare_json_text).collect();
        quoted.sort_unstable();
        quoted.dedup();
        Self(quoted.into())
    }

    /// What either names.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut names: Vec<_> = self.0.iter().chain(&other.0).cloned().collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }

    /// Whether a metric is named, by its name as a JSON text without the quotes.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }
}

/// Values by metric, in the order the device gave them, as one JSON text that any reader can take:
/// numbers finite, nesting at most 127 deep, each name once and without escapes where it needs none.
#[derive(Clone, Debug)]
pub struct Metrics {
    text: Box<str>,
    members: Box<[Member]>,
}

/// Where a metric stands in the text.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// From behind the opening quote of the name.
    name_start: u32,
    name_end: u32,
    value_start: u32,
    value_end: u32,
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
    /// None where the text was not written by [`Data::write`].
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

    /// Those that `fields` names; none where there is none of them.
    fn only(&self, fields: &Fields) -> Option<Self> {
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
    fn join<'a>(metrics: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
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

fn has_repeats(found: &[(Cow<'_, str>, &RawValue)]) -> bool {
    found
        .iter()
        .enumerate()
        .any(|(at, (name, _))| found.iter().take(at).any(|(other, _)| other == name))
}

/// Appends `content` as a JSON text in quotes.
pub(crate) fn push_json_text(text: &mut String, content: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if content.bytes().all(plain) {
        text.push('"');
        text.push_str(content);
        text.push('"');
    } else {
        text.push_str(&Value::from(content).to_string());
    }
}

/// `content` as a JSON text without its quotes.
pub(crate) fn bare_json_text(content: &str) -> String {
    let mut text = String::new();
    push_json_text(&mut text, content);
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    bare.expect("a JSON text has quotes").into()
}

/// An object's members as they stand in its text.
struct Found<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

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
        Some(b'-' | b'0'..=b'9') if text.len() > DIGITS_SAFE || text.contains(['e', 'E']) => {
            serde_json::from_str::<f64>(text).map(drop)
        }
        Some(_) | None => Ok(()),
    }
}

/// A number with fewer characters and no exponent is in the range of a double.
const DIGITS_SAFE: usize = 300;

/// A JSON text, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metrics(text: &str) -> Arc<Metrics> {
        Arc::new(Metrics::parse(text).expect("the metrics of these tests are valid"))
    }

    fn text(data: &Data) -> String {
        let mut text = String::new();
        data.write(&mut text);
        text
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\{}]{0,4}".prop_map(Value::from),
            Just(serde_json::json!({"a": [1, {"b": "]"}], "c": true})),
            Just(Value::Null),
        ]
    }

    #[test]
    fn merging_keeps_the_newest_value_of_each_metric() {
        let old = Data::Metrics(metrics(r#"{"a":1,"b":2}"#));
        let merged = old.merged(&Data::Metrics(metrics(r#"{"c":3,"a":9}"#)));
        assert_eq!(text(&merged), r#"{"a":9,"b":2,"c":3}"#);
    }

    #[test]
    fn numbers_keep_the_text_the_device_gave() {
        let data = Data::Metrics(metrics(r#"{"a":1.10,"b":12345678901234567890123,"c":-0}"#));
        assert_eq!(text(&data), r#"{"a":1.10,"b":12345678901234567890123,"c":-0}"#);
    }

    #[test]
    fn a_repeated_metric_counts_once_with_its_last_value() {
        assert_eq!(text(&Data::Metrics(metrics(r#"{"a":1,"a":2}"#))), r#"{"a":2}"#);
    }

    #[test]
    fn what_another_reader_could_not_take_is_refused() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        for bad in [r#"{"a":1e999}"#, r#"{"a":"\ud800"}"#, &deep, r#"{"a":}"#, "[]", "1"] {
            assert!(Metrics::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_the_same_however_they_are_escaped() {
        let old = Data::Metrics(metrics(r#"{"a":1,"\u0062":2}"#));
        let merged = old.merged(&Data::Metrics(metrics(r#"{"b":3,"q\"":4}"#)));
        assert_eq!(text(&merged), r#"{"a":1,"b":3,"q\"":4}"#);
    }

    proptest! {
        #[test]
        fn what_was_written_is_reread_as_it_was(members in proptest::collection::btree_map("[a-z\"\\\\é]{0,3}", value(), 0..5), blank in "[ \n]{0,2}") {
            let members = members.iter().map(|(name, value)| format!("{}{blank}:{blank}{value}", Value::from(name.as_str())));
            let members: Vec<_> = members.collect();
            let read = metrics(&format!("{blank}{{{blank}{}{blank}}}", members.join(&format!("{blank},{blank}"))));
            let again = Metrics::reread(read.text.clone()).expect("written by us");
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), again.iter().collect::<Vec<_>>());
        }

        #[test]
        fn nothing_reread_panics(text in "[{}\\[\\]\",:a1\\\\ é]{0,12}") {
            if let Some(metrics) = Metrics::reread(text.into()) {
                let _members = metrics.iter().count();
            }
        }

        #[test]
        fn names_survive_encoding(name: String, value: i64) {
            let raw = serde_json::value::to_raw_value(&value).expect("a number serializes");
            let data = Data::Metrics(Arc::new(Metrics::one(&name, &raw)));
            let read: serde_json::Map<String, Value> = serde_json::from_str(&text(&data))
                .expect("written metrics are JSON");
            prop_assert_eq!(read.get(&name), Some(&Value::from(value)));
        }
    }
}
