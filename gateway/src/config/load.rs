//! Reads the configuration from its sources and reports every mistake in one run.
//!
//! Each setting is laid on the defaults alone and read; so one that is wrong does not hide the next.

use super::Config;
use config::{File, FileFormat, Map, Source as _, Value, ValueKind};
use serde_json::Value as Json;
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
};

/// Where settings come from; later ones win.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, where one was named.
    pub file: Option<PathBuf>,
    /// The environment: all variables; those of other programs are left alone.
    pub environment: HashMap<String, OsString>,
    /// Keys and values given as flags.
    pub flags: Vec<(&'static str, OsString)>,
}

/// Everything that is wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl Mistakes {
    /// The settings, where nothing is wrong with them.
    pub(crate) fn unless_none((config, mistakes): (Config, Vec<String>)) -> Result<Config, Self> {
        if mistakes.is_empty() { Ok(config) } else { Err(Self(mistakes)) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("the configuration has a mistake:")?,
            count => write!(f, "the configuration has {count} mistakes:")?,
        }
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

/// Variables with our prefix that are no settings: of the `sluice` command line, and of test builds.
const OTHERS: &[&str] =
    if cfg!(feature = "faults") { &["SLUICE_URL", "SLUICE_FAULT"] } else { &["SLUICE_URL"] };

/// Reads all sources.
///
/// # Errors
/// All [`Mistakes`] together.
pub fn load(sources: &Sources) -> Result<Config, Mistakes> {
    Mistakes::unless_none(read(sources))
}

/// Reads all sources: the settings as far as they are good, and what is wrong with the others.
pub(crate) fn read(sources: &Sources) -> (Config, Vec<String>) {
    let mut reader = Reader::new();
    if let Some(path) = &sources.file {
        match read_table(path) {
            Ok(table) => reader.table("", table, &format!("in {}", path.display())),
            Err(why) => reader.mistakes.push(format!("{}: {why}", path.display())),
        }
    }
    let mut variables: Vec<_> = sources.environment.iter().collect();
    variables.sort_unstable();
    for (name, text) in variables {
        if let Some(key) = name.strip_prefix("SLUICE_")
            && !OTHERS.contains(&name.as_str())
        {
            let key = key.to_lowercase().replace("__", ".");
            reader.text(&key, text, &format!("from {name}"));
        }
    }
    for (key, text) in &sources.flags {
        reader.text(key, text, "from the command line");
    }
    reader.finish()
}

/// Reads what a file would say.
pub(crate) fn of_text(text: &str) -> Result<Config, Mistakes> {
    let mut reader = Reader::new();
    match table(text) {
        Ok(table) => reader.table("", table, "in the text"),
        Err(why) => reader.mistakes.push(why),
    }
    Mistakes::unless_none(reader.finish())
}

fn read_table(path: &Path) -> Result<Map<String, Value>, String> {
    table(&std::fs::read_to_string(path).map_err(|error| error.to_string())?)
}

fn table(text: &str) -> Result<Map<String, Value>, String> {
    // The reader of `config` tells no place where a number is too large.
    text.parse::<toml::Table>().map_err(|error| error.to_string().trim_end().to_owned())?;
    File::from_str(text, FileFormat::Toml).collect().map_err(|error| error.to_string())
}

struct Reader {
    defaults: Json,
    settings: Json,
    mistakes: Vec<String>,
}

impl Reader {
    fn new() -> Self {
        let defaults =
            serde_json::to_value(Config::default()).expect("the configuration is plain data");
        Self { settings: defaults.clone(), defaults, mistakes: Vec::new() }
    }

    fn table(&mut self, prefix: &str, table: Map<String, Value>, source: &str) {
        let mut entries: Vec<_> = table.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, value) in entries {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            if let ValueKind::Table(inner) = &value.kind
                && self.is_section(&key)
            {
                self.table(&key, inner.clone(), source);
            } else {
                self.set(&key, json(value.kind), source);
            }
        }
    }

    /// A value given as text: a text, a list of texts, or whatever it reads as.
    fn text(&mut self, key: &str, text: &OsStr, source: &str) {
        let Some(text) = text.to_str() else {
            return self.mistakes.push(format!("{key} = {text:?}: it is not UTF-8 ({source})"));
        };
        let value = match lookup(&self.defaults, key) {
            Some(Json::Array(_)) => text.split(',').map(str::trim).collect(),
            Some(Json::Number(_) | Json::Bool(_)) => match text.parse::<Json>() {
                Ok(Json::Number(value)) if value.is_f64() => {
                    value.as_f64().map_or(Json::Null, number)
                }
                Ok(value) => value,
                Err(_) => text.into(),
            },
            Some(Json::String(_) | Json::Object(_) | Json::Null) | None => text.into(),
        };
        self.set(key, value, source);
    }

    fn is_section(&self, key: &str) -> bool {
        lookup(&self.defaults, key).is_some_and(Json::is_object)
    }

    fn set(&mut self, key: &str, value: Json, source: &str) {
        if lookup(&self.defaults, key).is_none() {
            let hint = self.nearest(key).map(|known| format!(", did you mean {known}?"));
            let hint = hint.unwrap_or_default();
            return self.mistakes.push(format!("{key}: unknown key ({source}){hint}"));
        }
        let known = self.mistakes.len();
        match value.as_array().filter(|items| items.iter().any(Json::is_object)) {
            Some(items) => {
                for (place, item) in items.iter().enumerate() {
                    let alone = Json::Array(vec![item.clone()]);
                    self.try_alone(key, alone, &format!("{key}[{place}] = {item}"), source);
                }
            }
            None => self.try_alone(key, value.clone(), &format!("{key} = {value}"), source),
        }
        if self.mistakes.len() == known {
            place(&mut self.settings, key, value);
        }
    }

    /// Lays a value, or one of a list's, on the defaults alone.
    fn try_alone(&mut self, key: &str, value: Json, told: &str, source: &str) {
        let mut alone = self.defaults.clone();
        place(&mut alone, key, value);
        if let Err(error) = serde_json::from_value::<Config>(alone) {
            self.mistakes.push(format!("{told}: {error} ({source})"));
        }
    }

    /// The known key that differs least from an unknown one.
    fn nearest(&self, key: &str) -> Option<String> {
        let known = keys("", &self.defaults).into_iter();
        let near = known.map(|known| (distance(&known, key), known)).min()?;
        (near.0 <= key.len() / 3).then_some(near.1)
    }

    fn finish(mut self) -> (Config, Vec<String>) {
        let settings: Config =
            serde_json::from_value(self.settings).expect("each setting was read before");
        self.mistakes.extend(settings.mistakes().iter().map(ToString::to_string));
        (settings, self.mistakes)
    }
}

fn lookup<'a>(tree: &'a Json, key: &str) -> Option<&'a Json> {
    key.split('.').try_fold(tree, |tree, name| tree.get(name))
}

fn place(tree: &mut Json, key: &str, value: Json) {
    let slot = key.split('.').try_fold(tree, |tree, name| tree.get_mut(name));
    *slot.expect("the key was looked up in the defaults, which have the same shape") = value;
}

fn keys(prefix: &str, tree: &Json) -> Vec<String> {
    let Json::Object(entries) = tree else { return vec![prefix.into()] };
    let join = |name: &String| {
        if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") }
    };
    entries.iter().flat_map(|(name, inner)| keys(&join(name), inner)).collect()
}

/// How many characters must be added, removed or exchanged (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let exchanged = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[row.len() - 1]
}

#[expect(clippy::wildcard_enum_match_arm, reason = "128-bit integers fit no setting")]
fn json(kind: ValueKind) -> Json {
    match kind {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(value) => value.into(),
        ValueKind::I64(value) => value.into(),
        ValueKind::U64(value) => value.into(),
        ValueKind::Float(value) => number(value),
        ValueKind::String(value) => value.into(),
        ValueKind::Array(items) => items.into_iter().map(|item| json(item.kind)).collect(),
        ValueKind::Table(entries) => {
            entries.into_iter().map(|(name, value)| (name, json(value.kind))).collect()
        }
        other => other.to_string().into(),
    }
}

/// A number; without a fraction it is a whole one, however it was written.
fn number(value: f64) -> Json {
    value.to_string().parse::<i64>().map_or_else(|_| value.into(), Json::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, os::unix::ffi::OsStringExt as _};

    fn with_file(text: &str, environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let environment =
            environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let file_path = file.path().to_owned();
        let loaded = load(&Sources { file: Some(file_path), environment, flags: vec![] });
        loaded.map_err(|Mistakes(mistakes)| {
            let path = file.path().display().to_string();
            Mistakes(mistakes.into_iter().map(|text| text.replace(&path, "FILE")).collect())
        })
    }

    #[test]
    fn nothing_set_means_the_defaults() {
        assert_eq!(load(&Sources::default()), Ok(Config::default()));
    }

    #[test]
    fn the_environment_wins_over_the_file_and_flags_over_both() {
        let loaded = with_file(
            "[mqtt]\nlisten = '127.0.0.1:1'\n[http]\nflush_ms = 5",
            &[
                ("SLUICE_MQTT__LISTEN", "127.0.0.1:2"),
                ("SLUICE_HTTP__ALLOWED_HOSTS", "a.example, b.example"),
                ("SLUICE_URL", "http://127.0.0.1:8080"),
                ("HOME", "/"),
            ],
        )
        .unwrap();
        assert_eq!((loaded.mqtt.listen.port(), loaded.http.flush_ms), (2, 5));
        assert_eq!(loaded.http.allowed_hosts, ["a.example", "b.example"]);
        let flags = vec![("mqtt.listen", "127.0.0.1:3".into())];
        let environment =
            [("SLUICE_MQTT__LISTEN".to_owned(), "127.0.0.1:2".into())].into_iter().collect();
        let loaded = load(&Sources { file: None, environment, flags }).unwrap();
        assert_eq!(loaded.mqtt.listen.port(), 3);
    }

    #[test]
    fn every_mistake_is_in_one_report() {
        let report = with_file(
            r#"
            data_dri = "x"
            [mqtt]
            listen = "here"
            [http]
            listen = "0.0.0.0:80"
            allowed_origins = ["dashboard.example"]
            [limits]
            topic_bytes = "many"
            topic_levels = 0
            mqtt_packet_bytes = -1
            [log]
            format = "xml"
            level = "loud="
            [mqtts]
            listen = "127.0.0.1:8883"
            [[routes]]
            topic = "a/{x"
            channel = "b"
            [[routes]]
            topic = "a/{x}"
            channel = "telemetry/{y}"
            "#,
            &[("SLUICE_HTTP__FLUSH_MS", "soon"), ("SLUICE_NOTHING", "1")],
        )
        .unwrap_err();
        insta::assert_snapshot!(report);
    }

    #[test]
    fn every_example_reads_and_the_full_one_says_the_defaults() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../config");
        let mut examples = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                continue;
            }
            let sources = Sources { file: Some(file.clone()), ..Sources::default() };
            let loaded = load(&sources).unwrap_or_else(|error| panic!("{error}"));
            if file.ends_with("sluice.toml") {
                let text = std::fs::read_to_string(&file).unwrap();
                let missing: Vec<_> = keys("", &serde_json::to_value(Config::default()).unwrap())
                    .into_iter()
                    .filter(|key| key != "routes")
                    .filter(|key| !text.contains(key.rsplit('.').next().unwrap()))
                    .collect();
                assert_eq!((loaded, missing), (Config::default(), vec![]));
            }
            examples += 1;
        }
        assert!(examples >= 2);
    }

    #[test]
    fn each_entry_of_a_list_is_told_of_and_a_number_that_is_too_large_by_its_place() {
        let Mistakes(told) = with_file(
            "[[retention]]\nhours = 1\n[[retention]]\nchannels = '#'\n[[retention]]\nchannels = 5",
            &[("SLUICE_DATA_DIR", "")],
        )
        .unwrap_err();
        let places = ["retention[0] = ", "retention[2] = ", "data_dir: "];
        for (told, place) in told.iter().zip(places) {
            assert!(told.starts_with(place), "{told}");
        }
        assert_eq!(told.len(), places.len(), "{told:?}");
        let large = with_file("[limits]\ndevices = 99999999999999999999", &[]).unwrap_err();
        assert!(large.to_string().contains("line 2"), "{large}");
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point_and_a_fraction_is_told() {
        let text = "[http]\nflush_ms = 30.0\n[[retention]]\nchannels = '#'\nhours = 2.0";
        let loaded = with_file(text, &[("SLUICE_LIMITS__DEVICES", "5e3")]).unwrap();
        assert_eq!((loaded.http.flush_ms, loaded.limits.devices), (30, 5_000));
        let environment = [("SLUICE_LIMITS__DEVICES", "7.5")];
        let Mistakes(told) = with_file("[http]\nflush_ms = 30.5", &environment).unwrap_err();
        assert!(told[0].starts_with("http.flush_ms = 30.5: "), "{told:?}");
        assert!(told[1].starts_with("limits.devices = 7.5: "), "{told:?}");
    }

    #[test]
    fn what_is_not_utf_8_is_told_where_it_is_a_setting_and_left_alone_elsewhere() {
        let bytes = OsString::from_vec(vec![0xff]);
        let environment = ["LESS", "SLUICE_DATA_DIR"].map(|name| (name.to_owned(), bytes.clone()));
        let flags = vec![("http.listen", bytes)];
        let environment = environment.into_iter().collect();
        let Mistakes(told) = load(&Sources { file: None, environment, flags }).unwrap_err();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("from SLUICE_DATA_DIR") && told[1].contains("http.listen"));
    }

    #[test]
    fn a_route_with_an_unknown_field_is_refused() {
        let report = with_file("[[routes]]\ntopic = 'a'\nchannel = 'b'\ncodec = 'json'", &[]);
        insta::assert_snapshot!(report.unwrap_err());
    }

    #[test]
    fn a_file_that_is_no_toml_or_not_there_is_named() {
        insta::assert_snapshot!(with_file("[mqtt", &[]).unwrap_err());
        let sources = Sources { file: Some("/nowhere/sluice.toml".into()), ..Sources::default() };
        insta::assert_snapshot!(load(&sources).unwrap_err());
    }
}
