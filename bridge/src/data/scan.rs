//! Finds the members of an object in text that was validated before: several times cheaper than to
//! parse it again. On other text it gives up or finds nonsense, but never panics.

use super::metrics::Member;

/// Where the members of an object stand.
pub(super) fn members(text: &[u8]) -> Option<Box<[Member]>> {
    let mut at = blanks(text, 0);
    if text.get(at) != Some(&b'{') || text.len() > u32::MAX as usize {
        return None;
    }
    let mut members = Vec::new();
    at = blanks(text, at + 1);
    while text.get(at) == Some(&b'"') {
        let name_end = string_end(text, at + 1)?;
        let colon = blanks(text, name_end + 1);
        if text.get(colon) != Some(&b':') {
            return None;
        }
        let value_start = blanks(text, colon + 1);
        let value_end = value_end(text, value_start)?;
        let place = |at: usize| at as u32;
        members.push(Member {
            name_start: place(at + 1),
            name_end: place(name_end),
            value_start: place(value_start),
            value_end: place(value_end),
        });
        at = blanks(text, value_end);
        match text.get(at)? {
            b',' => at = blanks(text, at + 1),
            b'}' => break,
            _ => return None,
        }
    }
    (text.get(at) == Some(&b'}')).then(|| members.into())
}

/// The place of the first character from `at` on that is no blank.
fn blanks(text: &[u8], at: usize) -> usize {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    at + text.iter().skip(at).take_while(blank).count()
}

/// The place of the quote that ends the string whose inside begins at `at`.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match text.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The place behind the value that begins at `at`.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => Some(string_end(text, at + 1)? + 1),
        b'{' | b'[' => nested_end(text, at),
        _ => {
            let more = |byte: &&u8| !matches!(byte, b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
            Some(at + text.iter().skip(at).take_while(more).count())
        }
    }
}

fn nested_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => at = string_end(text, at + 1)?,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}
