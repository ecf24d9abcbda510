//! Opening a database and closing it: the lock, the checks, the two threads.

use super::{
    NotStored, OpenError, Restored, Settings, Shared, StoreHandle, Survives,
    inbox::Inbox,
    pending::Ending,
    reader::{Reader, Request},
    record::{Damage, Packer},
    restore::{self, Contents, Trouble},
    schema::{self, Meta, Synchronous},
    writer::{RESERVE, Writer},
};
use protocol::Offset;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The file of the database in the data directory.
pub(super) const FILE: &str = "sluice.db";

/// So many reads wait at most; more are refused ([`super::ReadError::Busy`]).
const REQUESTS_MAX: usize = 256;

/// An open database: its threads and its lock. Dropped without [`Database::close`] it stores what waits,
/// and the next start takes it for a crash.
#[derive(Debug)]
pub struct Database {
    handle: StoreHandle,
    writer: Option<JoinHandle<Result<(), NotStored>>>,
    reader: Option<JoinHandle<()>>,
    _lock: File,
}

/// Opens the database in `settings.dir`, or makes one, and restores what it holds.
///
/// # Errors
/// [`OpenError`]; nothing is changed then.
pub fn open(settings: Settings) -> Result<(Database, Restored), OpenError> {
    let lock = lock(&settings.dir)?;
    let path = settings.dir.join(FILE);
    let (mut connection, meta) = connect(&path)?;
    let in_file = |trouble: Trouble| named(&path, trouble);
    let mut contents = restore::read_all(&connection, &meta).map_err(in_file)?;
    let (meta, last) = go_on(&mut connection, meta, &mut contents, settings.survives)
        .map_err(|error| in_file(error.into()))?;
    contents.live.note_committed(last);
    let restored = restore::restored(&meta, &mut contents, last);
    let database = start(settings, path, connection, meta, contents, lock)?;
    Ok((database, restored))
}

impl Database {
    /// The way to the store.
    #[must_use]
    pub fn handle(&self) -> StoreHandle {
        self.handle.clone()
    }

    /// Stores what waits and records that the gateway ended in order; `last` is the last offset that was
    /// given out. Blocks until that is done.
    ///
    /// # Errors
    /// [`NotStored`] when the disk fails: the next start takes it for a crash.
    pub fn close(mut self, last: Offset) -> Result<(), NotStored> {
        self.end(Ending::Clean(last))
    }

    fn end(&mut self, ending: Ending) -> Result<(), NotStored> {
        if let Some(reader) = self.reader.take() {
            let _ended_before = self.handle.0.requests.send(Request::End);
            reader.join().map_err(|_| NotStored("the reader of the store panicked".into()))?;
        }
        let Some(writer) = self.writer.take() else { return Ok(()) };
        self.handle.0.inbox.end(ending);
        let panicked = |_| Err(NotStored("the writer of the store panicked".into()));
        writer.join().unwrap_or_else(panicked)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.end(Ending::Abandoned) {
            tracing::error!(%error, "what waited for the store is lost");
        }
    }
}

/// Takes the directory for this process.
///
/// # Errors
/// [`OpenError::Locked`] or [`OpenError::Unusable`].
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Unusable { path: dir.into(), source };
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let open = File::options().create(true).truncate(false).write(true).open(dir.join("lock"));
    let file = open.map_err(unusable)?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED_FOR => {
                thread::sleep(LOCK_AGAIN);
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(dir.into())),
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
    }
}

/// A lock may outlive its owner for a moment: while the owner's process ends, or one that it has just begun has not yet
/// become its program.
const LOCKED_FOR: Duration = Duration::from_millis(250);

/// How often it is tried.
const LOCK_AGAIN: Duration = Duration::from_millis(10);

/// Opens the file and checks it as far as SQLite knows it.
fn connect(path: &Path) -> Result<(Connection, Meta), OpenError> {
    let in_file = |error: rusqlite::Error| named(path, error.into());
    let is_new = !path.exists();
    let mut connection = Connection::open(path).map_err(in_file)?;
    let version = schema::version(&connection).map_err(in_file)?;
    if version > schema::VERSION {
        let (path, known) = (path.into(), schema::VERSION);
        return Err(OpenError::Newer { path, found: version, known });
    }
    schema::prepare(&connection).map_err(in_file)?;
    if version > 0 {
        let found = schema::integrity(&connection).map_err(in_file)?;
        found.map_err(|damage| damaged(path, damage))?;
    }
    schema::migrate(&mut connection).map_err(in_file)?;
    let tables = schema::check_tables(&connection).map_err(in_file)?;
    tables.map_err(|damage| damaged(path, damage))?;
    let meta = Meta::read(&connection).map_err(in_file)?.map_err(|damage| damaged(path, damage))?;
    if is_new {
        let unusable = |source| OpenError::Unusable { path: path.into(), source };
        sync_directory(path).map_err(unusable)?;
    }
    Ok((connection, meta.unwrap_or_else(Meta::fresh)))
}

/// A new file is on the disk only when its directory is.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

impl Meta {
    /// That of a new file: an epoch of its own.
    pub(super) fn fresh() -> Self {
        let epoch = uuid::Uuid::now_v7().simple().to_string();
        Self { epoch, reserved: Offset(0), clean: Some(Offset(0)), log_pruned: Offset(0) }
    }
}

/// Says in the file which offsets may be given out from now on, before any is.
fn go_on(
    connection: &mut Connection,
    meta: Meta,
    contents: &mut Contents,
    survives: Survives,
) -> rusqlite::Result<(Meta, Offset)> {
    let continued = restore::go_on(&meta, &contents.log, &contents.gaps);
    let last = continued.last_offset;
    let meta = Meta { reserved: Offset(last.0 + RESERVE), clean: None, ..meta };
    schema::synced(connection, survives.into(), |transaction| {
        if let Some(gap) = continued.gap {
            gap.write(transaction)?;
        }
        meta.write(transaction)
    })?;
    if let Some(gap) = continued.gap {
        contents.gaps.retain(|known| known.first != gap.first);
        contents.gaps.push(gap);
    }
    Ok((meta, last))
}

fn start(
    settings: Settings,
    path: PathBuf,
    connection: Connection,
    meta: Meta,
    contents: Contents,
    lock: File,
) -> Result<Database, OpenError> {
    let unusable = |source| OpenError::Unusable { path: path.clone(), source };
    let (requests, asked) = mpsc::sync_channel(REQUESTS_MAX);
    let shared = Arc::new(Shared {
        inbox: Inbox::new(settings.pending_bytes),
        requests,
        failing: Mutex::default(),
        file_bytes: std::fs::metadata(&path).map_or(0, |file| file.len()).into(),
        damaged_reads: 0.into(),
        #[cfg(test)]
        pages_max: 0.into(),
    });
    let live = Arc::new(Mutex::new(contents.live));
    let reader = Reader {
        connection: read_only(&path).map_err(|error| named(&path, error.into()))?,
        shared: Arc::clone(&shared),
        live: Arc::clone(&live),
        path: path.clone(),
    };
    let writer = Writer {
        connection,
        shared: Arc::clone(&shared),
        live,
        settings,
        path: path.clone(),
        packer: Packer::new().map_err(unusable)?,
        meta,
        log: contents.log,
        round: None,
        round_began: None,
    };
    let named = |name: &str| thread::Builder::new().name(name.into());
    let mut database =
        Database { handle: StoreHandle(shared), writer: None, reader: None, _lock: lock };
    let spawned = named("store-reader").spawn(move || reader.run(&asked));
    database.reader = Some(spawned.map_err(unusable)?);
    let spawned = named("store-writer").spawn(move || writer.run());
    database.writer = Some(spawned.map_err(unusable)?);
    Ok(database)
}

/// A connection that cannot write.
///
/// # Errors
/// SQLite's.
pub(super) fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

impl From<Survives> for Synchronous {
    fn from(survives: Survives) -> Self {
        match survives {
            Survives::KilledProcess => Self::Normal,
            Survives::PowerCut => Self::Full,
        }
    }
}

fn damaged(path: &Path, damage: Damage) -> OpenError {
    OpenError::Damaged { path: path.into(), what: damage.0 }
}

/// What went wrong, with the file: damage, or the world round it.
pub(super) fn named(path: &Path, trouble: Trouble) -> OpenError {
    match trouble {
        Trouble::Damaged(damage) => damaged(path, damage),
        Trouble::Sqlite(error) if is_damage(&error) => {
            damaged(path, Damage(format!("SQLite says: {error}")))
        }
        Trouble::Sqlite(source) => OpenError::Sqlite { path: path.into(), source },
    }
}

/// Whether the file is to blame and not the disk, the rights or another process.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, PermissionDenied,
        ReadOnly, SystemIoFailure,
    };
    let around = [
        CannotOpen,
        DatabaseBusy,
        DatabaseLocked,
        DiskFull,
        OutOfMemory,
        PermissionDenied,
        ReadOnly,
        SystemIoFailure,
    ];
    error.sqlite_error_code().is_none_or(|code| !around.contains(&code))
}
