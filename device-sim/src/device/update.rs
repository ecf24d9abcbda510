//! New firmware and new configuration, as `docs/updates.md` has them: checked before they count.

use super::error;
use protocol::{AnswerError, Millis, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// How long the simulated download takes.
pub(super) const DOWNLOAD: Millis = Millis(2_000);
/// The longest version, in characters.
const VERSION_MAX: usize = 64;

/// A firmware that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    pub(super) version: String,
    checksum: String,
    began: Timestamp,
}

impl Update {
    /// # Errors
    /// What is wrong with the parameters.
    pub(super) fn new(params: &Value, now: Timestamp) -> Result<Self, AnswerError> {
        let (version, checksum) = (text(params, "version")?, text(params, "checksum")?);
        Ok(Self { version, checksum, began: now })
    }

    /// How much of it is here, in percent.
    pub(super) fn percent(&self, now: Timestamp) -> f64 {
        let part = std::time::Duration::from_millis(now.since(self.began).0).as_secs_f64();
        let whole = std::time::Duration::from_millis(DOWNLOAD.0).as_secs_f64();
        (100.0 * part / whole).min(100.0)
    }

    /// # Errors
    /// When what came is not what was announced.
    pub(super) fn check(&self) -> Result<(), AnswerError> {
        compare(&image(&self.version), &self.checksum)
    }
}

/// A configuration that counts from now on, with its version.
///
/// # Errors
/// What is wrong with the parameters; nothing changes then.
pub(super) fn config(params: &Value) -> Result<(String, Map<String, Value>), AnswerError> {
    let (version, checksum) = (text(params, "version")?, text(params, "checksum")?);
    let content = text(params, "config")?;
    compare(&content, &checksum)?;
    match serde_json::from_str(&content) {
        Ok(Value::Object(config)) => Ok((version, config)),
        Ok(_) | Err(_) => Err(error("bad_params", "config is not the text of a JSON object")),
    }
}

/// What the simulated server has for a version.
fn image(version: &str) -> String {
    format!("firmware {version}")
}

fn compare(content: &str, announced: &str) -> Result<(), AnswerError> {
    let hash = Sha256::digest(content);
    let found = hash.iter().fold(String::from("sha256:"), |text, byte| format!("{text}{byte:02x}"));
    if found.eq_ignore_ascii_case(announced) {
        Ok(())
    } else {
        let message = format!("what came has the checksum {found}, announced was {announced}");
        Err(error("bad_checksum", &message))
    }
}

fn text(params: &Value, name: &str) -> Result<String, AnswerError> {
    let long = |text: &&str| !text.is_empty() && (name != "version" || text.len() <= VERSION_MAX);
    let found = params.get(name).and_then(Value::as_str).filter(long);
    let missing = || error("bad_params", &format!("{name} is not a text, or has no right length"));
    found.map(str::to_owned).ok_or_else(missing)
}
