//! The lists of statements: every test that is named exists, every test of the suite is named, and
//! `docs/mqtt-conformance.md` says what the lists say.

use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// One list: its file, the version, how its document calls it, and how many statements that has.
const LISTS: [(&str, &str, usize); 2] =
    [("mqtt-3.1.1.toml", "MQTT 3.1.1", 141), ("mqtt-5.0.toml", "MQTT 5.0", 251)];

/// A normative statement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    binds: Binds,
    /// In our words.
    says: String,
    /// What holds a server to it: `module::test` here, or `file/module::test` of another suite.
    #[serde(default)]
    tests: Vec<String>,
    /// Why nothing does.
    why: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Binds {
    Server,
    Client,
    Both,
}

/// Sections as numbers, so that 3.10 comes after 3.9; then the number of the statement.
type Id = (Vec<u32>, u32);

fn id(text: &str) -> Id {
    let (section, number) = text.split_once('-').expect("an id is SECTION-NUMBER");
    let numbers = section.split('.').map(|number| number.parse().expect("a number"));
    (numbers.collect(), number.parse().expect("a number"))
}

fn read(file: &str) -> BTreeMap<Id, (String, Statement)> {
    let path = root().join("tests/conformance").join(file);
    let text = fs::read_to_string(&path).expect("the list is there");
    let list: BTreeMap<String, Statement> = toml::from_str(&text).expect("the list is TOML");
    list.into_iter().map(|(text, statement)| (id(&text), (text, statement))).collect()
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests lies in the project").to_owned()
}

/// The source of the module that `name` is in, and the test's own name.
fn place(name: &str) -> (PathBuf, &str) {
    let (suite, rest) = name.split_once('/').unwrap_or(("conformance", name));
    let (module, test) = rest.split_once("::").expect("a test is MODULE::TEST");
    let folder = match suite {
        "conformance" => "tests/tests/conformance",
        "e2e" => "tests/tests/e2e",
        "edge_in_process" => "gateway/tests/edge_in_process",
        other => panic!("{name}: there is no suite {other}"),
    };
    (PathBuf::from(folder).join(format!("{module}.rs")), test)
}

/// The tests of a source file.
fn tests_of(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(file))
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut lines = text.lines();
    let mut found = BTreeSet::new();
    while let Some(line) = lines.next() {
        if matches!(line, "#[tokio::test]" | "#[test]") {
            let head = lines.next().expect("a test has a function");
            let head = head.trim_start_matches("async ").trim_start_matches("fn ");
            found.extend(head.split_once("()").map(|(name, _)| name.to_owned()));
        }
    }
    found
}

#[test]
fn the_lists_are_whole_and_each_statement_has_a_test_or_a_reason() {
    for (file, _, count) in LISTS {
        let list = read(file);
        assert_eq!(list.len(), count, "{file}");
        let mut numbers: BTreeMap<&[u32], Vec<u32>> = BTreeMap::new();
        for ((section, number), (text, statement)) in &list {
            numbers.entry(section).or_default().push(*number);
            let has_one = statement.tests.is_empty() == statement.why.is_some();
            assert!(has_one, "{file}: {text} needs tests or a reason why there are none");
        }
        for (section, numbers) in numbers {
            // The standard itself has no `[MQTT-2.2.1-1]` in 5.0.
            let first = if section == [2, 2, 1] { 2 } else { 1 };
            let expected = first..first + u32::try_from(numbers.len()).expect("few");
            assert_eq!(numbers, expected.collect::<Vec<_>>(), "{file}: {section:?}");
        }
    }
}

#[test]
fn each_test_that_is_named_exists() {
    for (file, ..) in LISTS {
        for (text, statement) in read(file).into_values() {
            for name in &statement.tests {
                let (source, test) = place(name);
                let there = tests_of(&source).contains(test);
                assert!(there, "{file}: {text} names {test}, which is not in {}", source.display());
            }
        }
    }
}

#[test]
fn the_document_says_what_the_lists_say() {
    let path = root().join("docs/mqtt-conformance.md");
    let expected = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).expect("the document can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == expected,
        "docs/mqtt-conformance.md is not what the lists say: run \
         `UPDATE_DOCS=1 cargo test -p tests --test conformance table` and commit it"
    );
}

fn document() -> String {
    let mut out = String::from(HEAD);
    for (file, title, _) in LISTS {
        let list = read(file);
        let tested = list.values().filter(|(_, statement)| statement.why.is_none()).count();
        let untested = list.len() - tested;
        out += &format!(
            "\n## {title}\n\n{} statements: {tested} tested, {untested} not, for the reason given.\n\n\
             | statement | binds | says | tests |\n|---|---|---|---|\n",
            list.len()
        );
        for (text, statement) in list.values() {
            let binds = match statement.binds {
                Binds::Server => "server",
                Binds::Client => "client",
                Binds::Both => "both",
            };
            let says = statement.says.replace('|', "\\|");
            let tests = match &statement.why {
                Some(why) => format!("not tested: {why}"),
                None => tests_cell(&statement.tests),
            };
            out += &format!("| MQTT-{text} | {binds} | {says} | {tests} |\n");
        }
    }
    out
}

fn tests_cell(tests: &[String]) -> String {
    let links = tests.iter().map(|name| {
        let (source, test) = place(name);
        format!("[{test}](../{})", source.display())
    });
    links.collect::<Vec<_>>().join(", ")
}

const HEAD: &str = "\
# Conformance with MQTT

Every normative statement of both standards, what it says in our words, and the tests that hold the gateway to
it. Statements that bind clients are tested as far as a server can refuse what breaks them. All tests pass:
`tests/run` runs them, and stops at the first that does not. They send raw packets to the real binary
(`tests/tests/conformance`) or to the edge in process (`gateway/tests/edge_in_process`), in both versions where
both say the same.

The tests of `tests/tests/conformance` ask for nothing that is the gateway's own. To hold Debian's Mosquitto to
them: `CONFORMANCE_BROKER=mosquitto cargo test -p tests --test conformance`.

This page is written by `tests/tests/conformance/table.rs` from `tests/conformance/*.toml`.
";
