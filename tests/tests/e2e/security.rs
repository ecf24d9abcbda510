//! docs/security.md promises nothing without a test.

use std::path::Path;

/// The links of a text whose names are in backticks: name and target.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let links = text.split("[`").skip(1);
    links
        .filter_map(|link| {
            let (name, rest) = link.split_once("`](")?;
            Some((name, rest.split_once(')')?.0))
        })
        .collect()
}

#[test]
fn each_promise_of_the_security_page_names_tests_that_exist() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(docs.join("security.md")).expect("docs/security.md");
    let tables = page.split("| promise | shown by |\n|---|---|\n").skip(1);
    let promises = tables.flat_map(|table| table.lines().take_while(|line| line.starts_with('|')));
    let bare: Vec<_> = promises.filter(|promise| named_tests(promise).is_empty()).collect();
    assert!(bare.is_empty(), "promises without a test: {bare:?}");
    let named = named_tests(&page);
    assert!(named.len() > 30, "{named:?}");
    for (name, file) in named {
        let code = std::fs::read_to_string(docs.join(file));
        let code = code.unwrap_or_else(|error| panic!("{file}: {error}"));
        let is_there = [format!("fn {name}("), format!("\"{name}\"")];
        assert!(is_there.iter().any(|test| code.contains(test)), "'{name}' is not in {file}");
    }
}
