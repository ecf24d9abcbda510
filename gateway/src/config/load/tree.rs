//! Settings as a tree of JSON, and their keys: names with points between them.

use config::ValueKind;
use serde_json::Value as Json;

/// What is under a key.
pub(super) fn lookup<'a>(tree: &'a Json, key: &str) -> Option<&'a Json> {
    key.split('.').try_fold(tree, |tree, name| tree.get(name))
}

/// Puts `value` under a key that is there.
pub(super) fn place(tree: &mut Json, key: &str, value: Json) {
    let slot = key.split('.').try_fold(tree, |tree, name| tree.get_mut(name));
    *slot.expect("the key was looked up in the defaults, which have the same shape") = value;
}

/// The key `list[n]...` with the number that entry `n` has in `places`; none: it is of another list.
pub(super) fn entry(key: &str, list: &str, places: &[usize]) -> Option<String> {
    let (number, rest) = key.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?;
    let place = places.get(number.parse::<usize>().ok()?)?;
    Some(format!("{list}[{place}]{rest}"))
}

/// All keys below `prefix`.
pub(super) fn keys(prefix: &str, tree: &Json) -> Vec<String> {
    let Json::Object(entries) = tree else { return vec![prefix.into()] };
    let join = |name: &String| {
        if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") }
    };
    entries.iter().flat_map(|(name, inner)| keys(&join(name), inner)).collect()
}

/// The known key that differs least from an unknown one.
pub(super) fn nearest(tree: &Json, key: &str) -> Option<String> {
    let near = keys("", tree).into_iter().map(|known| (distance(&known, key), known)).min()?;
    (near.0 <= key.len() / 3).then_some(near.1)
}

/// What a file says, as JSON.
#[expect(clippy::wildcard_enum_match_arm, reason = "128-bit integers fit no setting")]
pub(super) fn json(kind: ValueKind) -> Json {
    match kind {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(value) => value.into(),
        ValueKind::U64(value) => value.into(),
        ValueKind::Float(value) => number(value),
        ValueKind::String(value) => value.into(),
        ValueKind::Array(items) => items.into_iter().map(|item| json(item.kind)).collect(),
        ValueKind::Table(entries) => {
            entries.into_iter().map(|(name, value)| (name, json(value.kind))).collect()
        }
        other => other.to_string().into(),
    }
}

/// A number; without a fraction it is a whole one, however it was written.
pub(super) fn number(value: f64) -> Json {
    value.to_string().parse::<i64>().map_or_else(|_| value.into(), Json::from)
}

/// How many characters must be added, removed or exchanged (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}
