//! Reads the plain form that most devices send in one pass, several times cheaper than a parser of all JSON: an
//! object of numbers, texts without escapes, `true`, `false` and `null`. It takes only what `serde_json` takes;
//! the rest is left to that, which also says what is wrong with it.

use super::{
    names::{Digester, Names},
    parse::DIGITS_SAFE,
    scan,
};

/// The most members that are read; more are rare.
const MEMBERS_MAX: usize = 64;

/// The names of a plain object without blanks around it, of which none is repeated; none where it is anything else.
pub(super) fn names(text: &str) -> Option<Names> {
    let (mut rest, digester) = (Rest(text.as_bytes()), Digester::new());
    let mut names = [0; MEMBERS_MAX];
    let mut count = 0;
    rest.mark(b'{')?;
    loop {
        let name = digester.name(rest.member()?);
        // Two names may have one digest; then the other reader finds that they differ.
        if names.get(..count)?.contains(&name) {
            return None;
        }
        *names.get_mut(count)? = name;
        count += 1;
        if rest.mark(b',').is_none() {
            break;
        }
    }
    rest.mark(b'}')?;
    rest.0.is_empty().then(|| digester.names(&names[..count]))
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Passes the bytes that belong together; gives them.
    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| !belongs(*byte))?;
        let (taken, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        Some(taken)
    }

    fn blanks(&mut self) {
        self.0 = self.0.get(scan::blanks(self.0, 0)..).unwrap_or_default();
    }

    /// Passes `mark`, with blanks before it.
    fn mark(&mut self, mark: u8) -> Option<()> {
        self.blanks();
        self.word(&[mark])
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
        let inside = self.take_while(scan::is_unescaped)?;
        self.word(b"\"").map(|()| inside)
    }

    fn value(&mut self) -> Option<()> {
        match self.0.first()? {
            b'"' => self.word(b"\"").and_then(|()| self.text_inside()).map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// Passes a number without an exponent (RFC 8259, 6).
    fn number(&mut self) -> Option<()> {
        let before = self.0.len();
        let _minus = self.word(b"-");
        self.word(b"0").or_else(|| self.digits())?;
        if self.word(b".").is_some() {
            self.digits()?;
        }
        (before - self.0.len() <= DIGITS_SAFE).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        (!self.take_while(|byte| byte.is_ascii_digit())?.is_empty()).then_some(())
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
        let many: Vec<_> = (0..65).map(|number| format!(r#""m{number}":1"#)).collect();
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
