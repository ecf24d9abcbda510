//! What devices sign in with: a file of lines `ID,SECRET`, as `sluice-gateway device import` reads them too.

use protocol::DeviceId;
use std::{collections::BTreeMap, fmt, fs, path::Path, str::FromStr, sync::Arc};

/// The secret of each device. Cheap to clone; shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Arc<BTreeMap<DeviceId, String>>);

impl Secrets {
    /// Reads a file.
    ///
    /// # Errors
    /// [`BadSecrets`], naming the file or the line.
    pub fn read(file: &Path) -> Result<Self, BadSecrets> {
        let text = fs::read_to_string(file);
        text.map_err(|error| BadSecrets(format!("{}: {error}", file.display())))?.parse()
    }

    pub(crate) fn of(&self, id: &DeviceId) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }
}

impl FromStr for Secrets {
    type Err = BadSecrets;

    /// Lines that are empty or begin with `#` are left out; what comes after a second comma is another's business.
    fn from_str(text: &str) -> Result<Self, BadSecrets> {
        let mut secrets = BTreeMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |why: &str| BadSecrets(format!("line {number} of the secrets: {why}"));
            let (id, rest) = line.split_once(',').ok_or_else(|| bad("write it as ID,SECRET"))?;
            let id: DeviceId = id.trim().parse().map_err(|error| bad(&format!("{error}")))?;
            let secret = rest.split(',').next().unwrap_or_default().trim();
            if secret.is_empty() {
                return Err(bad("the secret is empty"));
            }
            secrets.insert(id, secret.to_owned());
        }
        Ok(Self(secrets.into()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets of {} devices", self.0.len())
    }
}

/// Secrets that cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSecrets(String);

impl fmt::Display for BadSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSecrets {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_device_and_its_secret() {
        let secrets: Secrets =
            "# fleet\npump-001,s3cret\n\n pump-002 , other ,pump\n".parse().unwrap();
        let of = |id: &str| secrets.of(&id.parse().unwrap()).map(str::to_owned);
        assert_eq!(of("pump-001").as_deref(), Some("s3cret"));
        assert_eq!(of("pump-002").as_deref(), Some("other"));
        assert_eq!(of("pump-003"), None);
        assert!(!format!("{secrets:?}").contains("s3cret"));
    }

    #[test]
    fn a_bad_line_is_named_without_its_secret() {
        for (text, why) in [
            ("pump-001", "line 1 of the secrets: write it as ID,SECRET"),
            ("a,b\npump-001,", "line 2 of the secrets: the secret is empty"),
            ("p 1,hidden", "line 1 of the secrets: 'p 1' is not a device id"),
        ] {
            let error = text.parse::<Secrets>().unwrap_err().to_string();
            assert!(error.starts_with(why) && !error.contains("hidden"), "{error}");
        }
    }
}
