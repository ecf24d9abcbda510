//! Reads the plain form that most devices send in one pass, several times cheaper than a parser of all JSON: an
//! object of numbers, texts without escapes, `true`, `false` and `null`. It takes only what `serde_json` takes;
//! the rest is left to that, which also says what is wrong with it.

use super::{
    parse::{DIGITS_SAFE, METRICS_MAX, has_repeats},
    scan,
};

/// Whether `text` is a plain object without blanks around it and without repeated names.
pub(super) fn is_object(text: &str) -> bool {
    names(text.as_bytes()).is_some_and(|names| !has_repeats(&names, |name| name))
}

/// The names of a plain object; none where it is anything else.
fn names(text: &[u8]) -> Option<Vec<&[u8]>> {
    let mut at = Cursor { text, at: 0 };
    let mut names = Vec::with_capacity(16);
    at.mark(b'{')?;
    loop {
        let name = at.member()?;
        if names.len() == METRICS_MAX {
            return None;
        }
        names.push(name);
        if at.mark(b',').is_none() {
            break;
        }
    }
    at.mark(b'}')?;
    (at.at == text.len()).then_some(names)
}

/// What is read, and how far.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) {
        while self.next().is_some_and(&belongs) {
            self.at += 1;
        }
    }

    fn blanks(&mut self) {
        self.at = scan::blanks(self.text, self.at);
    }

    /// Passes `mark`, with blanks before it.
    fn mark(&mut self, mark: u8) -> Option<()> {
        self.blanks();
        (self.next()? == mark).then(|| self.at += 1)
    }

    /// Passes a name and its value; gives the name without its quotes.
    fn member(&mut self) -> Option<&'a [u8]> {
        self.mark(b'"')?;
        let name = self.text_inside()?;
        self.mark(b':')?;
        self.blanks();
        self.value()?;
        Some(name)
    }

    /// Passes the rest of a text; gives its inside.
    fn text_inside(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.skip_while(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\');
        let inside = self.text.get(start..self.at)?;
        (self.next()? == b'"').then(|| self.at += 1)?;
        Some(inside)
    }

    fn value(&mut self) -> Option<()> {
        match self.next()? {
            b'"' => {
                self.at += 1;
                self.text_inside().map(drop)
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    /// Passes a number without an exponent (RFC 8259, 6).
    fn number(&mut self) -> Option<()> {
        let start = self.at;
        if self.next()? == b'-' {
            self.at += 1;
        }
        if self.next()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.next()? == b'.' {
            self.at += 1;
            self.digits()?;
        }
        (self.at - start <= DIGITS_SAFE).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_while(|byte| byte.is_ascii_digit());
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use proptest::prelude::*;

    type Members = Option<Vec<(String, String)>>;

    /// The members as both read them.
    fn both(text: &str) -> (Members, Members) {
        let members = |metrics: Metrics| {
            metrics.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        (Metrics::plain(text).map(members), Metrics::parse_any(text).ok().map(members))
    }

    #[test]
    fn what_devices_send_is_plain() {
        for text in [
            r#"{"a":1}"#,
            r#"{"temperature":21.5,"humidity":-0.25,"on":true,"off":false,"state":"grün","none":null}"#,
            " {\t\"a\" :\r\n0 , \"b\": \"\" } ",
            r#"{"":-0}"#,
        ] {
            let (plain, any) = both(text);
            assert!(plain.is_some(), "{text}");
            assert_eq!(plain, any, "{text}");
        }
    }

    #[test]
    fn all_else_is_left_to_the_parser_of_all_json() {
        let long = format!(r#"{{"a":{}}}"#, "1".repeat(301));
        let many: Vec<_> = (0..257).map(|number| format!(r#""m{number}":1"#)).collect();
        let many = format!("{{{}}}", many.join(","));
        for text in [
            "",
            "{",
            "{}",
            "[]",
            "1",
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a":1}}"#,
            r#"{"a" 1}"#,
            r#"{a:1}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":+1}"#,
            r#"{"a":1e3}"#,
            r#"{"a":tru}"#,
            r#"{"a":nulls}"#,
            r#"{"a":"b}"#,
            "{\"a\":\"\n\"}",
            r#"{"a\n":1}"#,
            r#"{"a":"\u0061"}"#,
            r#"{"a":{}}"#,
            r#"{"a":[1]}"#,
            r#"{"a":1,"a":2}"#,
            "\u{c}{\"a\":1}",
            &long,
            &many,
        ] {
            assert!(Metrics::plain(text).is_none(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Texts out of pieces of JSON, so that many are nearly valid.
        #[test]
        fn what_it_takes_the_parser_of_all_json_takes_the_same_way(
            pieces in proptest::collection::vec(prop_oneof![
                Just("{"), Just("}"), Just("\"a\":"), Just("\"b\" : "), Just(","), Just("\""), Just(":"),
                Just("1"), Just("0"), Just("-"), Just("."), Just("25"), Just("e5"), Just("true"), Just("null"),
                Just("\"é\""), Just("\\"), Just(" "), Just("\n"), Just("[]"), Just("\u{1}"),
            ], 0..12),
            whole: bool,
        ) {
            let text = pieces.concat();
            let text = if whole { format!("{{\"c\":1,\"d\":{text}}}") } else { text };
            let (plain, any) = both(&text);
            if plain.is_some() {
                prop_assert_eq!(plain, any, "{}", text);
            }
        }
    }
}
