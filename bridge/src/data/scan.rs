//! Goes through the members of an object in text that was validated before: so cheap that nobody keeps where they
//! are. In other text it finds nonsense, but never panics.

/// The members of an object, in order: names as JSON texts without their quotes, values as JSON texts.
#[derive(Clone, Debug)]
pub struct Members<'a> {
    text: &'a str,
    /// Before the next member.
    at: usize,
}

impl<'a> Members<'a> {
    /// Those of an object without blanks around it.
    pub(crate) fn of(text: &'a str) -> Self {
        Self { text, at: 1 }
    }

    /// Whether the text looks like an object to the end.
    pub(super) fn are_all(mut self) -> bool {
        let opened = self.text.starts_with('{');
        self.by_ref().for_each(drop);
        opened && self.text.as_bytes().get(self.at..) == Some(b"}")
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.text.as_bytes();
        self.at = blanks(text, self.at);
        if text.get(self.at) != Some(&b'"') {
            return None;
        }
        let name_start = self.at + 1;
        let name_end = string_end(text, name_start)?;
        let value_start = value_start(text, name_end)?;
        let value_end = value_end(text, value_start)?;
        self.at = next_start(text, value_end);
        Some((self.text.get(name_start..name_end)?, self.text.get(value_start..value_end)?))
    }
}

/// Whether two objects have the same names in the same order.
pub(super) fn are_named_alike(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let (mut here, mut there) = (1, 1);
    loop {
        (here, there) = (blanks(one, here), blanks(other, there));
        if one.get(here) != Some(&b'"') {
            return one.get(here) == other.get(there);
        }
        let name_end = string_end(one, here + 1);
        let name = name_end.and_then(|end| one.get(here..=end));
        let rest = other.get(there..).unwrap_or_default();
        let Some(name) = name.filter(|name| rest.starts_with(name)) else { return false };
        match (behind(one, here + name.len() - 1), behind(other, there + name.len() - 1)) {
            (Some(one), Some(other)) => (here, there) = (one, other),
            _ => return false,
        }
    }
}

/// Where the value of the name begins that ends at `name_end`.
fn value_start(text: &[u8], name_end: usize) -> Option<usize> {
    let colon = blanks(text, name_end + 1);
    (text.get(colon) == Some(&b':')).then(|| blanks(text, colon + 1))
}

/// Behind the comma after a value, where there is one.
fn next_start(text: &[u8], value_end: usize) -> usize {
    let at = blanks(text, value_end);
    at + usize::from(text.get(at) == Some(&b','))
}

/// Behind the value of the name that ends at `name_end`, and the comma.
fn behind(text: &[u8], name_end: usize) -> Option<usize> {
    Some(next_start(text, value_end(text, value_start(text, name_end)?)?))
}

/// Whether a byte stands for itself in a JSON text (RFC 8259, 7).
pub(super) const fn is_unescaped(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// The place of the first character from `at` on that is no blank.
pub(super) fn blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
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
fn value_end(text: &[u8], mut at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => Some(string_end(text, at + 1)? + 1),
        b'{' | b'[' => nested_end(text, at),
        // Behind a number or a word is a comma, a brace or a blank. All of theirs but the plus are greater.
        _ => {
            while text.get(at).is_some_and(|byte| *byte > b',' && *byte != b'}' || *byte == b'+') {
                at += 1;
            }
            Some(at)
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
