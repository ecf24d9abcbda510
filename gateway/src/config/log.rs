//! What is written to the log: `[log]`.

use super::check::{Unusable, unusable};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::{LevelFilter, Targets};

/// What is written to the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` for people or `json` for collectors.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`; or directives such as `info,gateway::edge=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".into() }
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Log {
    /// What is wrong with the level.
    pub(super) fn mistake(&self) -> Option<Unusable> {
        // To tracing a word alone that is no level is a target, and all else goes unsaid.
        let is_known = |part: &str| {
            part.contains('=') || (!part.is_empty() && part.parse::<LevelFilter>().is_ok())
        };
        let why = match self.level.parse::<Targets>() {
            Err(error) => format!(": {error}"),
            Ok(_) if !self.level.split(',').all(|part| is_known(part.trim())) => String::new(),
            Ok(_) => return None,
        };
        let levels =
            "is not a level (off, error, warn, info, debug, trace) or a list of target=level";
        Some(unusable("log.level", format!("'{}' {levels}{why}", self.level)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_does_not_silence_the_log() {
        let mistake = |level: &str| Log { level: level.into(), ..Log::default() }.mistake();
        for level in ["info", "WARN", "off", "info,gateway::edge=debug", "warn, gateway=info"] {
            assert_eq!(mistake(level), None, "{level}");
        }
        for level in ["", "inof", "info,", "info,gateway", "gateway=loud"] {
            assert!(mistake(level).is_some(), "{level}");
        }
    }
}
