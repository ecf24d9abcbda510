//! The tokens of users, in `{data_dir}/credentials.json`.

use super::{
    file::{self, BadFile, EditError},
    secret::{self, Hash},
};
use crate::clock;
use bridge::rights::Rights;
use protocol::{DevicePattern, Role, Timestamp, TopicFilter};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What every token begins with, so that one in the wrong place is recognised.
pub(super) const PREFIX: &str = "slt_";

/// The longest name of a user, in bytes.
const USER_BYTES_MAX: usize = 64;

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

    /// Whether it counts no more.
    #[must_use]
    pub fn has_expired(&self) -> bool {
        super::has_passed(self.expires_at)
    }
}

/// All tokens, by their id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    tokens: BTreeMap<String, Token>,
}

pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials.json")
}

impl Tokens {
    /// The tokens kept in `data_dir`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list(data_dir: &Path) -> Result<Self, BadFile> {
        Ok(file::read(&path(data_dir))?.unwrap_or_default())
    }

    /// Changes the tokens in `data_dir`, whether a gateway runs there or not. One change waits for another.
    ///
    /// # Errors
    /// When the file cannot be read or written, or `change` refuses.
    pub fn edit<T>(
        data_dir: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        file::edit(&path(data_dir), change)
    }

    /// Makes a token for `user`, and gives it: it is not to be had again.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn add(&mut self, user: &str, grant: Grant) -> Result<String, EditError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._@-".contains(&byte);
        if !(1..=USER_BYTES_MAX).contains(&user.len()) || !user.bytes().all(allowed) {
            return Err(EditError::BadUser);
        }
        let (id, secret) = (secret::random_id(), secret::random());
        let Grant { role, expires_at, devices, channels } = grant;
        let (user, hash, created_at) = (user.into(), Hash::fast(secret.as_bytes()), clock::now());
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
        let (id, secret) = parts(text)?;
        let (id, token) = self.tokens.get_key_value(id)?;
        token.hash.matches(secret.as_bytes()).then_some((id.as_str(), token))
    }

    /// The token that `text` says it is, whether its secret is right or not.
    pub(super) fn named_by(&self, text: &str) -> Option<&Token> {
        let (id, _secret) = parts(text)?;
        self.tokens.get(id)
    }
}

/// A token's id and its secret.
fn parts(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(PREFIX)?.split_once('_')
}
