//! Files of credentials: read whole, written whole, so that who reads one sees all of a change or nothing,
//! whenever the writer dies.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Only the gateway's own user may read it.
const MODE: u32 = 0o600;

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
    /// The secret would have been lost.
    #[error("the secret cannot be printed, so none is made: {0}")]
    NotPrinted(io::Error),
    /// A user's name cannot be this.
    #[error("this is not a user's name: use 1-64 characters of A-Z a-z 0-9 . _ @ -")]
    BadUser,
    /// The device has one.
    #[error(
        "device '{0}' has a credential: revoke it first with 'sluice-gateway device revoke {0}'"
    )]
    DeviceKnown(String),
    /// The device has none.
    #[error(
        "there is no credential of '{0}': see sluice-gateway device list; a device that signs in by a certificate or \
         a JWT is kept out by an [[acl]] rule: effect = \"deny\", device = \"{0}\", action = \"any\", topic = \"#\""
    )]
    DeviceUnknown(String),
    /// There is no token with this id, and none of a user with this name.
    #[error("there is no token '{0}': see sluice-gateway token list")]
    TokenUnknown(String),
}

/// Which version of a file it is; none: it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(SystemTime, u64, u64)>);

impl Stamp {
    pub(super) fn of(path: &Path) -> Self {
        let file = fs::metadata(path).ok();
        Self(file.and_then(|file| Some((file.modified().ok()?, file.ino(), file.len()))))
    }
}

/// Reads the file; none: it is not there.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, BadFile> {
    let bad = |why: String| BadFile { path: path.into(), why };
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// Whether the file was there when a gateway looked.
pub(super) fn was_there(path: &Path) -> bool {
    known(path).exists()
}

/// Notes that the file is there: once it was, a start without it is a mishap.
pub(super) fn remember(path: &Path) -> io::Result<()> {
    if was_there(path) {
        return Ok(());
    }
    OpenOptions::new().append(true).create(true).mode(MODE).open(known(path))?.sync_all()
}

/// Where that is noted: `known.credentials` of `credentials.json`. What removes the one by the beginning of its name
/// does not remove the other.
fn known(path: &Path) -> PathBuf {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("known.{name}"))
}

/// Changes the file, whether a gateway reads it or not. One change waits for another; what `change` refuses leaves no
/// file where none was, for with the first one everybody must sign in.
pub(super) fn edit<T: Default + DeserializeOwned + Serialize, R>(
    path: &Path,
    change: impl FnOnce(&mut T) -> Result<R, EditError>,
) -> Result<R, EditError> {
    let failed = |source| EditError::Write { path: path.into(), source };
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    let lock = File::create(path.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut kept: T = read(path)?.unwrap_or_default();
    let done = change(&mut kept)?;
    write(path, &kept).map_err(failed)?;
    Ok(done)
}

fn write(path: &Path, kept: &impl Serialize) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&draft)?;
    file.write_all(serde_json::to_string_pretty(kept)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}
