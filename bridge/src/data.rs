//! The data of an update: what a payload became once it was validated.

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
            Self::Metrics(metrics) => metrics.write(text),
            Self::Json(json) => text.push_str(json.get()),
        }
    }

    /// This data after `newer` came: metrics merge, anything else is replaced.
    #[must_use]
    pub fn merged(&self, newer: &Self) -> Self {
        match (self, newer) {
            (Self::Metrics(old), Self::Metrics(new)) => Self::Metrics(Metrics::merge(old, new)),
            (Self::Metrics(_) | Self::Json(_), newer) => newer.clone(),
        }
    }
}

/// Values by metric, in the order the device gave them; each a valid JSON text that any reader can
/// take: numbers finite, nesting at most 127 deep.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<(Box<str>, Box<RawValue>)>);

impl Metrics {
    /// The single metric `name`.
    #[must_use]
    pub fn one(name: &str, value: Box<RawValue>) -> Self {
        Self(vec![(name.into(), value)])
    }

    /// The metrics in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The values of `old` with those of `new` in their place or behind them.
    #[must_use]
    pub fn merge(old: &Arc<Self>, new: &Arc<Self>) -> Arc<Self> {
        let in_order = old.0.len() == new.0.len()
            && old.0.iter().zip(&new.0).all(|((old, _), (new, _))| old == new);
        if in_order || old.0.iter().all(|(name, _)| new.get(name).is_some()) {
            return Arc::clone(new);
        }
        let mut merged = Self::clone(old);
        for (name, value) in &new.0 {
            merged.set(name, value.clone());
        }
        Arc::new(merged)
    }

    fn get(&self, name: &str) -> Option<&RawValue> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| &**value)
    }

    fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    fn write(&self, text: &mut String) {
        text.push('{');
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_json_text(text, name);
            text.push(':');
            text.push_str(value.get());
        }
        text.push('}');
    }
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

impl<'de> serde::Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MetricsVisitor)
    }
}

struct MetricsVisitor;

impl<'de> Visitor<'de> for MetricsVisitor {
    type Value = Metrics;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of metrics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
        let mut metrics = Metrics(Vec::with_capacity(4));
        while let Some(name) = map.next_key::<Box<str>>()? {
            let value: Box<RawValue> = map.next_value()?;
            if metrics.0.len() == METRICS_MAX {
                return Err(A::Error::custom(format!("more than {METRICS_MAX} metrics")));
            }
            check(&value).map_err(|error| A::Error::custom(format!("metric '{name}': {error}")))?;
            if metrics.get(&name).is_none() {
                metrics.0.push((name, value));
            } else {
                metrics.set(&name, value);
            }
        }
        Ok(metrics)
    }
}

/// The most metrics in one update: merging looks names up one by one.
const METRICS_MAX: usize = 256;

/// Checks what a raw value leaves open: numbers in range, whole characters, bounded nesting.
pub(crate) fn check(value: &RawValue) -> Result<(), serde_json::Error> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<CheckedText<'_>>(text).map(drop),
        Some(b'{' | b'[') => serde_json::from_str::<Value>(text).map(drop),
        Some(_) | None => serde_json::from_str::<Option<Scalar>>(text).map(drop),
    }
}

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "only whether it reads matters")]
struct CheckedText<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(serde::Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only whether it reads matters")]
enum Scalar {
    Number(f64),
    Bool(bool),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metrics(text: &str) -> Arc<Metrics> {
        Arc::new(serde_json::from_str(text).expect("the metrics of these tests are valid"))
    }

    fn text(data: &Data) -> String {
        let mut text = String::new();
        data.write(&mut text);
        text
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
            assert!(serde_json::from_str::<Metrics>(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn names_survive_encoding(name: String, value: i64) {
            let raw = serde_json::value::to_raw_value(&value).expect("a number serializes");
            let data = Data::Metrics(Arc::new(Metrics::one(&name, raw)));
            let read: serde_json::Map<String, Value> = serde_json::from_str(&text(&data))
                .expect("written metrics are JSON");
            prop_assert_eq!(read.get(&name), Some(&Value::from(value)));
        }
    }
}
