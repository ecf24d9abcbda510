//! What can go wrong with the store, split by what the caller can do about it.

use protocol::{Seq, TopicName};
use std::{io, path::PathBuf, sync::Arc};

/// The store did not take what it was given: it must not be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not stored: {0}")]
pub struct NotStored(pub Arc<str>);

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another gateway runs with this data directory.
    #[error(
        "the data directory '{0}' is in use by another gateway: stop that one, or set data_dir to \
         another directory"
    )]
    Locked(PathBuf),
    /// The directory or the file cannot be used.
    #[error("cannot use '{path}': {source}; check data_dir, its rights and the disk")]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database is not whole.
    #[error(
        "the database '{path}' is damaged ({what}): start once with --recover, which sets the file \
         aside and salvages what can be read"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A newer gateway wrote it.
    #[error(
        "the database '{path}' has version {found} and this gateway knows versions up to {known}: \
         use the newer gateway, or another data_dir"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// SQLite refuses for another reason.
    #[error("the database '{path}' cannot be opened: {source}; check its rights and the disk")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// What was asked for cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Some of it is not kept any more, or never was: continuity is lost.
    #[error("some of it is not kept any more")]
    Gone,
    /// A part of the database is not what was written.
    #[error(
        "the database '{path}' is damaged at {place} ({what}): restart with --recover to salvage \
         the rest"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part of it.
        place: Place,
        /// What was found.
        what: String,
    },
    /// Too many reads wait already.
    #[error("too many reads of the store wait: try again")]
    Busy,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// SQLite or the disk fails.
    #[error("the store cannot be read: {0}")]
    Failed(String),
}

/// A part of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The updates of one channel.
    Channel {
        /// The channel.
        channel: TopicName,
        /// The first of them.
        from: Seq,
        /// The last of them.
        to: Seq,
    },
    /// The log, from this offset on.
    Log(protocol::Offset),
    /// The list of what is there.
    Index,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Channel { channel, from, to } => {
                write!(f, "the updates {from} to {to} of '{channel}'")
            }
            Self::Log(offset) => write!(f, "the log at offset {offset}"),
            Self::Index => f.write_str("its tables"),
        }
    }
}
