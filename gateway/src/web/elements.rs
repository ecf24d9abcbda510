//! Headers whose value is a list (RFC 9110, section 5.6.1), in one line or several.

use axum::http::{
    HeaderMap,
    header::{self, AsHeaderName},
};

/// The elements of a header, in order. A comma within quotes parts nothing.
pub(super) fn elements(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(parted).map(str::trim).filter(|element| !element.is_empty())
}

fn parted(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |character| {
        quoted ^= character == '"';
        character == ',' && !quoted
    })
}

/// Whether `If-None-Match` names this entity tag (RFC 9110, section 13.1.2). A proxy that packs an answer makes its tag
/// a weak one, which says the same here.
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let strong = |known: &'_ str| known.strip_prefix("W/").unwrap_or(known) == tag;
    elements(headers, header::IF_NONE_MATCH).any(|known| known == "*" || strong(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_comma_within_quotes_parts_nothing() {
        let headers = headers("prefer", &[r#"a, "b, *, c" ,, d="e,f";g"#, "", "h"]);
        let found: Vec<_> = elements(&headers, "prefer").collect();
        assert_eq!(found, ["a", r#""b, *, c""#, r#"d="e,f";g"#, "h"]);
    }

    #[test]
    fn a_tag_is_known_that_is_weak_or_one_of_several() {
        let known = |line| is_known(&headers("if-none-match", &[line]), r#""a""#);
        for yes in [r#""a""#, r#"W/"a""#, r#""b", W/"a""#, "*"] {
            assert!(known(yes), "{yes}");
        }
        for no in ["", "a", r#""A""#, r#""b, "a"#, r#"W/"b""#] {
            assert!(!known(no), "{no}");
        }
    }
}
