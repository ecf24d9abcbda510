//! The file of tokens: read whole, written whole, so that who reads it sees all of a change or nothing.

use super::secret::{self, Hash};
use crate::clock;
use bridge::rights::Rights;
use protocol::{DevicePattern, Role, Timestamp, TopicFilter};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// What every token begins with, so that one in the wrong place is recognised.
const PREFIX: &str = "slt_";

/// The longest name of a user, in bytes.
const USER_BYTES_MAX: usize = 64;

/// Only the gateway's own user may read it.
const MODE: u32 = 0o600;

/// What a new token allows, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// What the user may do.
    pub role: Role,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
    /// The only devices that the user may see; none: all.
    pub devices: Vec<DevicePattern>,
    /// The only channels that the user may see; none: all.
    pub channels: Vec<TopicFilter>,
}

/// A token, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Whose it is.
    pub user: String,
    /// What the user may do.
    pub role: Role,
    /// The only devices that the user may see; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DevicePattern>,
    /// The only channels that the user may see; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<TopicFilter>,
    hash: Hash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

impl Token {
    /// What the user may see.
    #[must_use]
    pub fn rights(&self) -> Rights {
        Rights::new(&self.devices, &self.channels)
    }
}

/// All tokens, by their id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    tokens: BTreeMap<String, Token>,
}

/// The file is there and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the credentials in {} cannot be read: {why}", .path.display())]
pub struct BadFile {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Why the credentials are as they were.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// They cannot be read.
    #[error(transparent)]
    Read(#[from] BadFile),
    /// They cannot be written.
    #[error("the credentials in {} cannot be written: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A user's name cannot be this.
    #[error("'{0}' is not a user's name: use 1-64 characters of A-Z a-z 0-9 . _ @ -")]
    BadUser(String),
}

pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials.json")
}

impl Tokens {
    /// Reads the file; none: it is not there.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, BadFile> {
        let bad = |why: String| BadFile { path: path.into(), why };
        match fs::read(path) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.to_string()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(bad(error.to_string())),
        }
    }

    /// The tokens kept in `data_dir`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list(data_dir: &Path) -> Result<Self, BadFile> {
        Ok(Self::read(&path(data_dir))?.unwrap_or_default())
    }

    /// Changes the tokens in `data_dir`, whether a gateway runs there or not. One change waits for another.
    ///
    /// # Errors
    /// When the file cannot be read or written, or `change` refuses.
    pub fn edit<T>(
        data_dir: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        let path = path(data_dir);
        let failed = |source| EditError::Write { path: path.clone(), source };
        fs::create_dir_all(data_dir).map_err(failed)?;
        let lock = File::create(path.with_extension("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut tokens = Self::read(&path)?.unwrap_or_default();
        let done = change(&mut tokens)?;
        tokens.write(&path).map_err(failed)?;
        Ok(done)
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let draft = path.with_extension("json.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&draft)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    }

    /// Makes a token for `user`, and gives it: it is not to be had again.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn add(&mut self, user: &str, grant: Grant) -> Result<String, EditError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        if !(1..=USER_BYTES_MAX).contains(&user.len()) || !user.bytes().all(allowed) {
            return Err(EditError::BadUser(user.into()));
        }
        let (id, secret) = (secret::random_id(), secret::random());
        let Grant { role, expires_at, devices, channels } = grant;
        let (user, hash, created_at) = (user.into(), Hash::of(&secret), clock::now());
        let token = Token { user, role, devices, channels, hash, created_at, expires_at };
        let text = format!("{PREFIX}{id}_{secret}");
        self.tokens.insert(id, token);
        Ok(text)
    }

    /// Takes back the token with this id, or all of the user with this name; gives how many.
    pub fn revoke(&mut self, id_or_user: &str) -> usize {
        let before = self.tokens.len();
        self.tokens.retain(|id, token| id != id_or_user && token.user != id_or_user);
        before - self.tokens.len()
    }

    /// Each with its id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Token)> {
        self.tokens.iter().map(|(id, token)| (id.as_str(), token))
    }

    pub(super) fn get(&self, id: &str) -> Option<&Token> {
        self.tokens.get(id)
    }

    /// The token that `text` is.
    pub(super) fn find(&self, text: &str) -> Option<(&str, &Token)> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let (id, token) = self.tokens.get_key_value(id)?;
        token.hash.matches(secret).then_some((id.as_str(), token))
    }
}
