//! The data of an update: what a payload became once it was validated.

mod merge;
mod metrics;
mod names;
mod parse;
mod plain;
mod scan;

pub use metrics::Metrics;
pub(crate) use parse::check;
pub(crate) use scan::Members;

use serde_json::{Value, value::RawValue};
use std::sync::Arc;

/// What a channel says. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Data {
    /// Values by metric; merges with what came before.
    Metrics(Metrics),
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

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Metrics(metrics) => metrics.text(),
            Self::Json(json) => json.get(),
        }
    }

    /// The JSON as it is, for what wraps it.
    ///
    /// # Panics
    /// Never: what a channel says was checked when it came, and when it was restored.
    #[must_use]
    pub fn raw(&self) -> Arc<RawValue> {
        match self {
            Self::Metrics(metrics) => {
                let json = RawValue::from_string(metrics.text().to_owned());
                json.expect("metrics are one JSON text").into()
            }
            Self::Json(json) => Arc::clone(json),
        }
    }

    /// Only the members that `fields` names; none where there is none of them.
    #[must_use]
    pub fn only(&self, fields: &Fields) -> Option<Self> {
        match self {
            Self::Metrics(metrics) => Some(Self::Metrics(metrics.only(fields)?)),
            Self::Json(json) => {
                let object = Metrics::parse(json.get()).ok()?.only(fields)?;
                Some(Self::Json(RawValue::from_string(object.text().into()).ok()?.into()))
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

/// Appends `content` as a JSON text in quotes.
pub(crate) fn push_json_text(text: &mut String, content: &str) {
    // To the end, whatever is found: several bytes are looked at at once then.
    if content.bytes().fold(true, |plain, byte| plain & scan::is_unescaped(byte)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metrics(text: &str) -> Metrics {
        Metrics::parse(text).expect("the metrics of these tests are valid")
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
        assert_eq!(merged.text(), r#"{"a":9,"b":2,"c":3}"#);
    }

    #[test]
    fn numbers_keep_the_text_the_device_gave() {
        let data = Data::Metrics(metrics(r#"{"a":1.10,"b":12345678901234567890123,"c":-0}"#));
        assert_eq!(data.text(), r#"{"a":1.10,"b":12345678901234567890123,"c":-0}"#);
    }

    #[test]
    fn a_repeated_metric_counts_once_with_its_last_value() {
        assert_eq!(Data::Metrics(metrics(r#"{"a":1,"a":2}"#)).text(), r#"{"a":2}"#);
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
        assert_eq!(merged.text(), r#"{"a":1,"b":3,"q\"":4}"#);
    }

    proptest! {
        #[test]
        fn what_was_written_is_reread_as_it_was(members in proptest::collection::btree_map("[a-z\"\\\\é]{0,3}", value(), 0..5), blank in "[ \n]{0,2}") {
            let members = members.iter().map(|(name, value)| format!("{}{blank}:{blank}{value}", Value::from(name.as_str())));
            let members: Vec<_> = members.collect();
            let read = metrics(&format!("{blank}{{{blank}{}{blank}}}", members.join(&format!("{blank},{blank}"))));
            let again = Metrics::reread(read.text()).expect("written by us");
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), again.iter().collect::<Vec<_>>());
        }

        #[test]
        fn names_are_compared_as_they_are_read(
            names in proptest::collection::vec("[ab\"\\\\]{0,2}", 0..4),
            values in proptest::collection::vec((value(), value()), 4),
            change in 0..3_usize,
            blank in "[ \n]{0,2}",
        ) {
            let object = |names: &[String], values: Vec<&Value>, blank: &str| {
                let members = names.iter().zip(values).map(|(name, value)| format!("{blank}{}:{blank}{value}{blank}", Value::from(name.as_str())));
                metrics(&format!("{{{}{blank}}}", members.collect::<Vec<_>>().join(",")))
            };
            let one = object(&names, values.iter().map(|(value, _)| value).collect(), "");
            let changed: Vec<_> = match change {
                0 => names.clone(),
                1 => names.iter().skip(1).cloned().collect(),
                _ => names.iter().rev().cloned().collect(),
            };
            let other = object(&changed, values.iter().map(|(_, value)| value).collect(), &blank);
            prop_assert_eq!(one.is_named_like(&other), one.names().eq(other.names()));
        }

        #[test]
        fn nothing_reread_panics(text in "[{}\\[\\]\",:a1\\\\ é]{0,12}") {
            if let Some(metrics) = Metrics::reread(&text) {
                let _members = metrics.iter().count();
                let _names = metrics.is_named_like(&metrics);
            }
        }

        #[test]
        fn names_survive_encoding(name: String, value: i64) {
            let raw = serde_json::value::to_raw_value(&value).expect("a number serializes");
            let data = Data::Metrics(Metrics::one(&name, &raw));
            let read: serde_json::Map<String, Value> = serde_json::from_str(data.text())
                .expect("written metrics are JSON");
            prop_assert_eq!(read.get(&name), Some(&Value::from(value)));
        }
    }
}
