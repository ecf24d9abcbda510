//! Merges metrics: what a channel's value is, and what a slow or modest subscriber gets of several updates.
//!
//! A device may give its metrics ever new names; so what is merged is bounded in number and bytes. What came
//! first and is not among the newest is forgotten first.

use super::Metrics;
use std::collections::HashMap;

/// The most metrics that are merged.
const MERGED_MAX: usize = 1_024;

/// The most bytes of them, but an update that is longer stands alone.
const MERGED_BYTES_MAX: usize = 256 * 1024;

/// Up to so many comparisons names are looked up one by one: faster than to build an index.
const COMPARISONS_MAX: usize = 4_096;

/// The values of `old` with those of `new` in their place or behind them, and how many old ones were forgotten.
pub(super) fn merge(old: &Metrics, new: &Metrics) -> (Metrics, u64) {
    if old.is_named_like(new) {
        return (new.clone(), 0);
    }
    let in_new = Index::of(new, old.count());
    if old.iter().all(|(name, _)| in_new.get(name).is_some()) {
        return (new.clone(), 0);
    }
    let stay: Vec<_> = old.iter().map(|(name, value)| (name, value, in_new.get(name))).collect();
    let mut excess = Excess::of(new, &stay);
    let mut forgotten = 0;
    let kept = stay.into_iter().filter_map(|(name, old, new)| {
        if new.is_none() && excess.takes(name, old) {
            forgotten += 1;
            return None;
        }
        Some((name, new.unwrap_or(old)))
    });
    let in_old = Index::of(old, new.count());
    let added = new.iter().filter(|(name, _)| in_old.get(name).is_none());
    let merged = Metrics::join(kept.chain(added));
    (merged, forgotten)
}

/// What is too much, still.
struct Excess {
    metrics: usize,
    bytes: usize,
}

impl Excess {
    fn of(new: &Metrics, stay: &[(&str, &str, Option<&str>)]) -> Self {
        let only_old = stay.iter().filter(|(_, _, new)| new.is_none());
        let (metrics, bytes) = only_old
            .fold((new.count(), new.text().len()), |all, (name, old, _)| {
                (all.0 + 1, all.1 + bytes_of(name, old))
            });
        Self {
            metrics: metrics.saturating_sub(MERGED_MAX),
            bytes: bytes.saturating_sub(MERGED_BYTES_MAX),
        }
    }

    /// Whether an old metric has to go.
    fn takes(&mut self, name: &str, value: &str) -> bool {
        let any = self.metrics > 0 || self.bytes > 0;
        if any {
            self.metrics = self.metrics.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(bytes_of(name, value));
        }
        any
    }
}

/// The length of a member: quotes, colon, comma.
const fn bytes_of(name: &str, value: &str) -> usize {
    name.len() + value.len() + 4
}

/// Finds values by name.
enum Index<'a> {
    Few(Vec<(&'a str, &'a str)>),
    Many(HashMap<&'a str, &'a str>),
}

impl<'a> Index<'a> {
    /// That of `metrics`, for so many questions.
    fn of(metrics: &'a Metrics, questions: usize) -> Self {
        // Found once: to look for a name in the text itself is to go through all values.
        let members: Vec<_> = metrics.iter().collect();
        if members.len() * questions <= COMPARISONS_MAX {
            Self::Few(members)
        } else {
            Self::Many(members.into_iter().collect())
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        match self {
            Self::Few(members) => {
                members.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
            }
            Self::Many(values) => values.get(name).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn metrics(named: impl IntoIterator<Item = (String, String)>) -> Metrics {
        let members = named.into_iter().map(|(name, value)| format!("\"{name}\":{value}"));
        let text = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        Metrics::reread(&text).expect("an object")
    }

    fn numbered(names: std::ops::Range<usize>, value: &str) -> Metrics {
        metrics(names.map(|number| (format!("m{number}"), value.to_owned())))
    }

    #[test]
    fn a_device_with_ever_new_metrics_keeps_the_newest_of_them() {
        let mut value = numbered(0..1, "0");
        let mut forgotten = 0;
        for round in 0..20 {
            let (merged, lost) = merge(&value, &numbered(round * 200..(round + 1) * 200, "1"));
            value = merged;
            forgotten += lost;
        }
        assert_eq!((value.count(), forgotten), (MERGED_MAX, 4_000 - MERGED_MAX as u64));
        assert_eq!(value.get("m3999"), Some("1"));
        assert_eq!(value.get("m0"), None);
    }

    #[test]
    fn what_is_merged_is_bounded_in_bytes() {
        let long = format!("\"{}\"", "x".repeat(100_000));
        let mut value = numbered(0..1, &long);
        for round in 1..10 {
            value = merge(&value, &numbered(round..round + 1, &long)).0;
            assert!(value.text().len() <= MERGED_BYTES_MAX, "{}", value.text().len());
        }
        assert_eq!((value.get("m9"), value.get("m8")), (Some(&*long), Some(&*long)));
    }

    #[test]
    fn a_metric_that_comes_again_and_again_stays() {
        let mut value = numbered(0..1, "0");
        for round in 1..30 {
            let names = (0..1).chain(round * 100..(round + 1) * 100);
            let new = metrics(names.map(|number| (format!("m{number}"), round.to_string())));
            value = merge(&value, &new).0;
        }
        assert_eq!(value.get("m0"), Some("29"));
    }

    proptest! {
        #[test]
        fn merging_agrees_with_a_map(
            old in proptest::collection::vec(0_u16..400, 0..200),
            new in proptest::collection::vec(0_u16..400, 0..200),
        ) {
            let unique = |numbers: Vec<u16>, value: &str| {
                let map: BTreeMap<_, _> = numbers
                    .into_iter()
                    .map(|number| (format!("m{number}"), value.to_owned()))
                    .collect();
                map
            };
            let (old, new) = (unique(old, "1"), unique(new, "2"));
            let (merged, forgotten) = merge(&metrics(old.clone()), &metrics(new.clone()));
            let mut both = old;
            both.extend(new);
            let found: BTreeMap<_, _> =
                merged.iter().map(|(name, value)| (name.into(), value.into())).collect();
            prop_assert_eq!((found, forgotten), (both, 0));
        }
    }
}
