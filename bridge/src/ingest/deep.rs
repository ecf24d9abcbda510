//! Answers that nest deeper than a parser takes: what a command does not keep of them anyway is taken out of the
//! text before it is read, so that the rest of the answer counts.

use crate::command::LEVELS_MAX;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A result that was cut here, in an answer and in a report of answers too, still nests deeper than a command
/// keeps; and what is left nests less deep than the 127 levels that `serde_json` reads.
const LEVELS: usize = LEVELS_MAX + 10;

/// The JSON with `null` in place of what nests deeper than [`LEVELS`]; anything else as it is.
pub(super) fn cut(payload: &[u8]) -> Cow<'_, [u8]> {
    // A raw value is looked through without recursion, to any depth.
    if !is_deep(payload) || serde_json::from_slice::<&RawValue>(payload).is_err() {
        return Cow::Borrowed(payload);
    }
    let mut kept = Vec::with_capacity(payload.len());
    let (mut level, mut from) = (0, 0);
    for (at, bracket) in brackets(payload) {
        match bracket {
            Bracket::Opens => {
                level += 1;
                if level == LEVELS + 1 {
                    kept.extend(payload.iter().take(at).skip(from));
                    kept.extend(b"null");
                }
            }
            Bracket::Closes => {
                if level == LEVELS + 1 {
                    from = at + 1;
                }
                level -= 1;
            }
        }
    }
    kept.extend(payload.iter().skip(from));
    Cow::Owned(kept)
}

fn is_deep(payload: &[u8]) -> bool {
    let mut level = 0_usize;
    brackets(payload).any(|(_, bracket)| {
        level = match bracket {
            Bracket::Opens => level + 1,
            Bracket::Closes => level.saturating_sub(1),
        };
        level > LEVELS
    })
}

/// What begins or ends an array or an object.
#[derive(Clone, Copy, Debug)]
enum Bracket {
    Opens,
    Closes,
}

/// The places of those outside of texts.
fn brackets(payload: &[u8]) -> impl Iterator<Item = (usize, Bracket)> {
    let (mut in_text, mut escaped) = (false, false);
    payload.iter().enumerate().filter_map(move |(at, byte)| {
        if std::mem::take(&mut escaped) {
            return None;
        }
        match byte {
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => return Some((at, Bracket::Opens)),
            b'}' | b']' if !in_text => return Some((at, Bracket::Closes)),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize, inside: &str) -> String {
        format!("{}{inside}{}", "[".repeat(levels), "]".repeat(levels))
    }

    fn check(payload: &str, kept: &str) {
        assert_eq!(std::str::from_utf8(&cut(payload.as_bytes())), Ok(kept));
    }

    #[test]
    fn what_nests_too_deep_is_null_and_all_else_stays() {
        let at_the_bound = nested(LEVELS, r#""[{\"[""#);
        check(&at_the_bound, &at_the_bound);
        let deep = nested(LEVELS, r#"1, [], {"a]\"": [2]}, "[]""#);
        check(&deep, &nested(LEVELS, r#"1, null, null, "[]""#));
        check(&nested(100_000, ""), &nested(LEVELS, "null"));
    }

    #[test]
    fn what_is_no_json_stays_as_it_is() {
        for bad in [nested(LEVELS + 1, "NaN"), "[".repeat(LEVELS + 1), "}]".repeat(9)] {
            check(&bad, &bad);
        }
    }
}
