//! Writes the machine-readable contracts: `cargo test -p protocol --features schema` fails where a file
//! of `protocol/api` differs from the types, and writes it anew with `UPDATE=1`.
#![cfg(feature = "schema")]

mod asyncapi;
mod openapi;
mod schemas;

use serde_json::Value;
use std::{fs, path::Path};

#[test]
fn openapi_json_is_that_of_the_types() {
    same("openapi.json", &openapi::document());
}

#[test]
fn asyncapi_json_is_that_of_the_types() {
    same("asyncapi.json", &asyncapi::document());
}

fn same(name: &str, wanted: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("api").join(name);
    let wanted = serde_json::to_string_pretty(wanted).expect("a value is JSON") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &wanted).expect("the file can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == wanted, "run: UPDATE=1 cargo test -p protocol --features schema");
}
