//! Why the gateway could not start, in words that say what to change.

use crate::{
    arrival::TlsError,
    auth::BadFile,
    config::Unusable,
    edge,
    store::{OpenError, StoredRow},
};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be used.
    #[error("{key} = {address} {}", reason(.source, .key))]
    Listen {
        /// The key that changes it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The data directory, or what it is to be made in, is something else.
    #[error(
        "data_dir = {} cannot be used: '{}' is a file and no directory; give data_dir a directory, or a name \
         that is free",
        .path.display(), .file.display()
    )]
    NoDirectory {
        /// What was given.
        path: PathBuf,
        /// What is no directory.
        file: PathBuf,
    },
    /// The data directory cannot be used.
    #[error(
        "data_dir = {} cannot be used: give data_dir a directory that can be made and written to",
        .path.display()
    )]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] BadFile),
    /// A key that JWTs are checked with cannot be used.
    #[error(transparent)]
    Setting(#[from] Unusable),
    /// A file of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Rows of the database hold something else than they should.
    #[error(
        "the database in '{}' has rows that cannot be read: {}; another version wrote them, perhaps: use that one, or \
         start once with --recover, which sets them aside in a file and starts with the rest",
        .path.display(), named(.rows)
    )]
    Rows {
        /// The data directory.
        path: PathBuf,
        /// The rows.
        rows: Vec<StoredRow>,
    },
}

/// The first few of them, and how many more there are.
pub(super) fn named(rows: &[StoredRow]) -> String {
    let (first, others) = rows.split_at(rows.len().min(ROWS_NAMED));
    let first: Vec<_> = first.iter().map(ToString::to_string).collect();
    match others.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// So many rows are named in a message.
const ROWS_NAMED: usize = 5;

fn reason(error: &io::Error, key: &str) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        let other = if key.starts_with("mqtt") { " (another MQTT broker, perhaps)" } else { "" };
        format!("is taken by another program{other}: stop that one, or give {key} another port")
    } else {
        format!("cannot be used: {error}")
    }
}

impl From<edge::BindError> for StartError {
    fn from(edge::BindError { key, address, source }: edge::BindError) -> Self {
        Self::Listen { key, address, source }
    }
}

/// What could not be done in the data directory.
pub(super) fn data_dir_error(path: &Path) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::DataDir { path: path.into(), source }
}

/// What could not be done with the listener of a key.
pub(super) fn listen_error(
    key: &'static str,
    address: SocketAddr,
) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Listen { key, address, source }
}
