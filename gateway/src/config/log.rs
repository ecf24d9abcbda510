//! What is written to the log: `[log]`.

use super::check::{Unusable, unusable};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter::Targets;

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
        let error = self.level.parse::<Targets>().err()?;
        let why = format!("'{}' is not a level or a list of target=level: {error}", self.level);
        Some(unusable("log.level", why))
    }
}
