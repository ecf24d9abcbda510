//! Reads the configuration from its sources and reports every mistake in one run.
//!
//! Each setting, and each entry of a list, is laid on the defaults alone and read; so one that is wrong does not hide
//! the next. `tree` finds keys in them, `telling` keeps secrets out of what is said.

mod telling;
#[cfg(test)]
mod tests;
mod tree;

use super::{Config, Unusable};
use config::{File, FileFormat, Map, Source as _, Value, ValueKind};
use serde_json::Value as Json;
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
};
use tree::{entry, json, lookup, nearest, number, place};

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

/// Variables with our prefix that are settings of the `sluice` command line, and none of the gateway's.
const OF_COMMAND_LINE: [&str; 3] = ["SLUICE_URL", "SLUICE_TOKEN", "SLUICE_CA"];

/// One that test builds read.
const OF_TESTS: &str = "SLUICE_FAULT";

/// Whether a variable is another program's or a test's, though it has our prefix.
fn is_of_others(name: &str) -> bool {
    OF_COMMAND_LINE.contains(&name) || (cfg!(feature = "faults") && name == OF_TESTS)
}

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
            && !is_of_others(name)
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
    text.parse::<toml::Table>().map_err(|error| telling::syntax(text, &error))?;
    File::from_str(text, FileFormat::Toml).collect().map_err(|error| error.to_string())
}

struct Reader {
    defaults: Json,
    settings: Json,
    mistakes: Vec<String>,
    /// Keys whose values could not be read: the defaults, which stand for them, are not to be blamed.
    unread: Vec<String>,
    /// The places of those entries that could be read, of lists with others that could not.
    places: HashMap<String, Vec<usize>>,
}

impl Reader {
    fn new() -> Self {
        let defaults =
            serde_json::to_value(Config::default()).expect("the configuration is plain data");
        let settings = defaults.clone();
        let (mistakes, unread, places) = (Vec::new(), Vec::new(), HashMap::new());
        Self { defaults, settings, mistakes, unread, places }
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

    /// A value given as text: a text, a list of texts (nothing at all: none), or whatever it reads as.
    fn text(&mut self, key: &str, text: &OsStr, source: &str) {
        let Some(text) = text.to_str() else {
            return self.mistakes.push(format!("{key}: it is not UTF-8 ({source})"));
        };
        let value = match lookup(&self.defaults, key) {
            Some(Json::Array(_)) if text.trim().is_empty() => Json::Array(Vec::new()),
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
            let hint = nearest(&self.defaults, key).map(|known| format!(", did you mean {known}?"));
            let hint = hint.unwrap_or_default();
            return self.mistakes.push(format!("{key}: unknown key ({source}){hint}"));
        }
        self.places.remove(key);
        let entries = value.as_array().filter(|items| items.iter().any(Json::is_object));
        if let Some(entries) = entries.filter(|_| !telling::is_secret(key)) {
            self.entries(key, entries, source);
        } else if self.try_alone(key, value.clone(), &format!("{key} = {value}"), source) {
            place(&mut self.settings, key, value);
        } else {
            self.unread.push(key.into());
        }
    }

    /// A list of sections, as far as each can be read.
    fn entries(&mut self, key: &str, entries: &[Json], source: &str) {
        let (mut good, mut places) = (Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            let alone = Json::Array(vec![entry.clone()]);
            let told = format!("{key}[{place}] = {}", telling::entry(entry));
            if self.try_alone(key, alone, &told, source) {
                good.push(entry.clone());
                places.push(place);
            }
        }
        if places.len() < entries.len() {
            self.places.insert(key.into(), places);
        }
        if lookup(&self.defaults, key).is_some_and(Json::is_array) {
            place(&mut self.settings, key, Json::Array(good));
        } else {
            self.unread.push(key.into());
        }
    }

    /// Lays a value, or one of a list's, on the defaults alone; gives whether it could be read.
    fn try_alone(&mut self, key: &str, value: Json, told: &str, source: &str) -> bool {
        let mut alone = self.defaults.clone();
        let (was, fits) = (telling::kind(&value), lookup(&self.defaults, key).map(telling::kind));
        place(&mut alone, key, value);
        let Err(error) = serde_json::from_value::<Config>(alone) else { return true };
        self.mistakes.push(if telling::is_secret(key) {
            format!("{key}: it is {was}, not {} ({source})", fits.unwrap_or_default())
        } else {
            format!("{told}: {error} ({source})")
        });
        false
    }

    fn finish(mut self) -> (Config, Vec<String>) {
        let settings: Config =
            serde_json::from_value(self.settings).expect("each setting was read before");
        let of_values = settings.mistakes().into_iter();
        let of_values = of_values.filter(|mistake| !self.unread.contains(&mistake.key));
        let told = of_values.map(|Unusable { key, why }| {
            let written = self.places.iter().find_map(|(list, places)| entry(&key, list, places));
            Unusable { key: written.unwrap_or(key), why }.to_string()
        });
        self.mistakes.extend(told);
        (settings, self.mistakes)
    }
}
