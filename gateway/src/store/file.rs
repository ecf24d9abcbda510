//! The database as files: their names, a new one made whole, and what can be seen to be wrong before SQLite opens it.

use super::{
    OpenError,
    open::{damaged, named, unusable},
    record::Damage,
    schema::{self, Meta},
};
use rusqlite::{Connection, OpenFlags};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::{
        ffi::OsStringExt as _,
        fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

/// The file of the database in the data directory.
pub(super) const FILE: &str = "sluice.db";

/// The files of a database: itself, what is not in it yet, and the index of that.
pub(super) const ENDS: [&str; 3] = ["", WAL, "-shm"];

/// The write-ahead log.
pub(super) const WAL: &str = "-wal";

/// Only the gateway's own user may read it. SQLite gives the files beside it the same.
const MODE: u32 = 0o600;

/// The least that a file of SQLite has: its smallest page.
const BYTES_MIN: u64 = 512;

pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// Makes a database where none is. One that is there is left to SQLite, but for what SQLite would take for a new one.
///
/// # Errors
/// [`OpenError`].
pub(super) fn make_if_none(path: &Path) -> Result<(), OpenError> {
    check_shape(path)?;
    if fs::symlink_metadata(path).is_ok() { Ok(()) } else { make(path) }
}

/// Whether what is there can be a database, or a new one may be made there.
///
/// # Errors
/// [`OpenError`].
pub(super) fn check_shape(path: &Path) -> Result<(), OpenError> {
    let has_log = fs::metadata(with_end(path, WAL)).is_ok_and(|file| file.len() > 0);
    match (fs::symlink_metadata(path).is_ok(), fs::metadata(path)) {
        // To open a pipe would wait for somebody at its other end.
        (true, Ok(file)) if !file.is_file() => {
            Err(unusable(path)(io::Error::other("it is not a regular file")))
        }
        (true, Ok(file)) if file.len() < BYTES_MIN => {
            Err(damaged(path, Damage(format!("it has {} bytes", file.len()))))
        }
        (false, _) if has_log => {
            Err(damaged(path, Damage::new("it is gone, and its write-ahead log is there")))
        }
        (_, _) => Ok(()),
    }
}

/// Makes a database whole before it has its name: a file that is there and empty is never a new one.
fn make(path: &Path) -> Result<(), OpenError> {
    let draft = with_end(path, ".new");
    remove_all(&draft).map_err(unusable(path))?;
    create(&draft).map_err(unusable(path))?;
    if let Err(error) = fill(&draft) {
        // A full disk gets back what it has taken.
        remove_all(&draft).map_err(unusable(path))?;
        return Err(named(path, error.into()));
    }
    fs::rename(&draft, path).map_err(unusable(path))?;
    remove_all(&draft).map_err(unusable(path))?;
    sync_directory(path).map_err(unusable(path))
}

/// Makes an empty file for a database.
///
/// # Errors
/// The system's.
pub(super) fn create(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map(drop)
}

fn fill(draft: &Path) -> rusqlite::Result<()> {
    let mut connection = Connection::open(draft)?;
    schema::prepare(&connection)?;
    schema::migrate(&mut connection)?;
    Meta::fresh().write(&connection)?;
    schema::leave_no_log(&connection)
}

/// A new file is on the disk only when its directory is.
///
/// # Errors
/// The system's.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Removes a database, where it is there.
///
/// # Errors
/// The system's.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    ENDS.iter().try_for_each(|end| if_there(fs::remove_file(with_end(path, end))))
}

/// Gives a database another name, where it is there.
///
/// # Errors
/// The system's.
pub(super) fn rename_all(from: &Path, to: &Path) -> io::Result<()> {
    ENDS.iter().try_for_each(|end| if_there(fs::rename(with_end(from, end), with_end(to, end))))
}

pub(super) fn if_there<T: Default>(done: io::Result<T>) -> io::Result<T> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        done => done,
    }
}

/// The database and its write-ahead log as they were opened.
#[derive(Debug)]
pub(super) struct Opened([(PathBuf, Identity); 2]);

/// What a file is, wherever it lies: its device and its inode.
type Identity = (u64, u64);

impl Opened {
    /// Those at `path`.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let opened = |end| {
            let path = with_end(path, end);
            identity(&path).map(|identity| (path, identity))
        };
        Ok(Self([opened("")?, opened(WAL)?]))
    }

    /// Whether they are where they were: what is written to others is not found again.
    ///
    /// # Errors
    /// What is wrong, for a person.
    pub(super) fn check(&self) -> Result<(), String> {
        self.0.iter().try_for_each(|(path, opened)| match if_there(identity(path).map(Some)) {
            Ok(Some(found)) if found == *opened => Ok(()),
            Ok(_) => Err(format!(
                "'{}' is gone or another file than the one that was opened: put that back, or restart the gateway",
                path.display()
            )),
            Err(error) => Err(format!("cannot look at '{}': {error}", path.display())),
        })
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

/// A connection that cannot write.
///
/// # Errors
/// SQLite's.
pub(super) fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    open_with(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// A connection that sees the file alone, and not its write-ahead log.
///
/// # Errors
/// SQLite's.
pub(super) fn without_log(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = b"file:".to_vec();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'%' | b'?' | b'#' => uri.extend(format!("%{byte:02x}").bytes()),
            byte => uri.push(*byte),
        }
    }
    uri.extend(b"?immutable=1");
    let uri = PathBuf::from(OsString::from_vec(uri));
    open_with(&uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

fn open_with(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Whether the write-ahead log is that of another database: SQLite knows it by its name alone. What it would make of
/// the file has another epoch than the file itself.
pub(super) fn has_log_of_another(path: &Path) -> bool {
    let epoch = |connection: rusqlite::Result<Connection>| {
        let meta = Meta::read(&connection.ok()?).ok()?.ok()??;
        Some(meta.epoch)
    };
    let own = epoch(without_log(path));
    own.is_some_and(|own| epoch(read_only(path)).is_some_and(|with_log| with_log != own))
}
