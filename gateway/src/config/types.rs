//! Types of devices: one JSON file each in `types.dir`, with a JSON Schema for the parameters of each command.

use super::Config;
use bridge::types::{Check, DeviceTypes, KnownType};
use jsonschema::Validator;
use protocol::DeviceType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The most mistakes that one answer names.
const MISTAKES_MAX: usize = 8;

/// The types of the devices that `--demo` simulates.
const DEMO: [&str; 3] = [
    include_str!("../../../config/types/pump.json"),
    include_str!("../../../config/types/thermostat.json"),
    include_str!("../../../config/types/tracker.json"),
];

/// Types of devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Types {
    /// A directory with a JSON file for each type; none: no type is described.
    pub dir: Option<PathBuf>,
}

/// The types of the devices that `--demo` simulates.
///
/// # Panics
/// Never: they are part of the program, and a test reads them.
pub(crate) fn demo_types() -> DeviceTypes {
    let known = DEMO.map(|text| parse(text).expect("the demo's types are valid"));
    DeviceTypes::new(known)
}

impl Config {
    /// The types of devices that are described, compiled.
    ///
    /// # Errors
    /// What is wrong with each file of `types.dir`.
    pub fn device_types(&self) -> Result<DeviceTypes, Vec<String>> {
        self.types.dir.as_deref().map_or_else(|| Ok(DeviceTypes::default()), read_dir)
    }
}

/// Reads every `*.json` of a directory.
///
/// # Errors
/// What is wrong with the directory and with each file, by its name.
fn read_dir(dir: &Path) -> Result<DeviceTypes, Vec<String>> {
    let listed = fs::read_dir(dir).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = listed.map_err(|error| vec![format!("{}: {error}", dir.display())])?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort_unstable();
    let (mut types, mut mistakes) = (Vec::<KnownType>::new(), Vec::new());
    for path in paths {
        let read = fs::read_to_string(&path).map_err(|error| error.to_string());
        match read.and_then(|text| parse(&text)) {
            Ok(known) if types.iter().any(|other| other.described.name == known.described.name) => {
                let name = known.described.name;
                mistakes.push(format!("{}: type '{name}' is described twice", path.display()));
            }
            Ok(known) => types.push(known),
            Err(why) => mistakes.push(format!("{}: {why}", path.display())),
        }
    }
    if mistakes.is_empty() { Ok(DeviceTypes::new(types)) } else { Err(mistakes) }
}

/// Reads one type.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(text: &str) -> Result<KnownType, String> {
    let described: DeviceType = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if described.name.is_empty() {
        return Err("type is empty: name the devices' type".into());
    }
    if !(1..=1_000).contains(&described.max_inflight) {
        return Err(format!("max_inflight {} is not in 1-1000", described.max_inflight));
    }
    let mut checks = BTreeMap::new();
    for (name, command) in &described.commands {
        let validator = jsonschema::draft202012::new(&command.params)
            .map_err(|error| format!("commands.{name}.params is no JSON Schema: {error}"))?;
        checks.insert(name.clone(), check(validator));
    }
    Ok(KnownType { described, checks })
}

fn check(validator: Validator) -> Check {
    Arc::new(move |params: &Value| {
        let named = |error: jsonschema::ValidationError<'_>| {
            let place = error.instance_path().to_string().replace('/', ".");
            format!("params{place}: {error}")
        };
        validator.iter_errors(params).take(MISTAKES_MAX).map(named).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mistakes(params: Value) -> Vec<String> {
        let types = DeviceTypes::new(DEMO.map(|text| parse(text).unwrap()));
        types.mistakes(Some("thermostat"), "set_target", params.as_object())
    }

    #[test]
    fn a_mistake_names_the_field_and_its_value() {
        assert_eq!(mistakes(json!({"temperature": 21})), Vec::<String>::new());
        assert_eq!(
            mistakes(json!({"temperature": 90, "haste": 1})),
            [
                "params.temperature: 90 is greater than the maximum of 35",
                "params: Additional properties are not allowed ('haste' was unexpected)",
            ]
        );
        assert_eq!(mistakes(json!({})), ["params: \"temperature\" is a required property"]);
    }

    #[test]
    fn a_command_or_type_without_a_schema_is_not_checked() {
        let types = DeviceTypes::new(DEMO.map(|text| parse(text).unwrap()));
        assert!(types.mistakes(Some("thermostat"), "sing", None).is_empty());
        assert!(types.mistakes(Some("kettle"), "set_target", None).is_empty());
        assert!(types.mistakes(None, "set_target", None).is_empty());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        for (text, named) in [
            ("{", "EOF"),
            (r#"{"type": ""}"#, "type is empty"),
            (r#"{"type": "a", "max_inflight": 0}"#, "max_inflight 0"),
            (r#"{"type": "a", "comands": {}}"#, "unknown field `comands`"),
            (r#"{"type": "a", "commands": {"x": {"params": {"type": 7}}}}"#, "commands.x.params"),
            (
                r#"{"type": "a", "commands": {"x": {"params": {"$ref": "https://schemas.example/x"}}}}"#,
                "commands.x.params",
            ),
        ] {
            let why = parse(text).unwrap_err();
            assert!(why.contains(named), "{why}");
        }
    }

    #[test]
    fn two_files_for_one_type_are_refused_by_name() {
        let dir = tempfile::TempDir::new().unwrap();
        for name in ["a.json", "b.json", "notes.txt"] {
            fs::write(dir.path().join(name), r#"{"type": "kettle"}"#).unwrap();
        }
        let mistakes = read_dir(dir.path()).unwrap_err();
        assert!(mistakes[0].ends_with("b.json: type 'kettle' is described twice"), "{mistakes:?}");
        fs::remove_file(dir.path().join("b.json")).unwrap();
        assert_eq!(read_dir(dir.path()).unwrap().iter().count(), 1);
        assert!(read_dir(&dir.path().join("none")).unwrap_err()[0].contains("none"));
    }
}
