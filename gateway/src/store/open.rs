//! Opening a database and closing it: the lock, the checks, the two threads.

use super::{
    Checks, NotStored, OpenError, Restored, Settings, Shared, StoreHandle, Survives,
    block::check_bodies,
    file::{self, FILE, read_only},
    inbox::Inbox,
    pending::Ending,
    reader::{Reader, Request},
    record::{Damage, Packer},
    restore::{self, Contents, Trouble},
    schema::{self, Meta, Synchronous},
    wal::{self, Look},
    writer::{RESERVE, Writer},
};
use protocol::Offset;
use rusqlite::{Connection, ErrorCode};
use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// So many reads wait at most; more are refused ([`super::ReadError::Busy`]).
const REQUESTS_MAX: usize = 256;

/// An open database: its threads and its lock. Dropped without [`Database::close`] it stores what waits,
/// and the next start takes it for a crash.
#[derive(Debug)]
pub struct Database {
    handle: StoreHandle,
    writer: Option<JoinHandle<Result<(), NotStored>>>,
    reader: Option<JoinHandle<()>>,
    _lock: Lock,
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
    let mut contents = restore::read_all(&connection, &meta, &settings).map_err(in_file)?;
    if settings.checks == Checks::All {
        check_bodies(&connection).map_err(in_file)?;
    }
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

/// What keeps other gateways out: a file, and the directory itself for the day when somebody removes that.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    /// None: the file system locks no directories.
    _dir: Option<File>,
}

/// Takes the directory for this process.
///
/// # Errors
/// [`OpenError::Locked`] or [`OpenError::Unusable`].
pub(super) fn lock(dir: &Path) -> Result<Lock, OpenError> {
    std::fs::create_dir_all(dir).map_err(unusable(dir))?;
    let path = dir.join("lock");
    let open = File::options().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(unusable(&path))?;
    let locked = |file: &File| match lock_soon(file) {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(dir.into())),
        Err(TryLockError::Error(error)) => Ok(Some(error)),
    };
    if let Some(error) = locked(&file)? {
        return Err(unusable(dir)(error));
    }
    let itself = File::open(dir).map_err(unusable(dir))?;
    let refused = locked(&itself)?;
    Ok(Lock { _file: file, _dir: refused.is_none().then_some(itself) })
}

fn lock_soon(file: &File) -> Result<(), TryLockError> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED_FOR => {
                thread::sleep(LOCK_AGAIN);
            }
            tried => return tried,
        }
    }
}

/// Whether a gateway runs with the data directory `dir`.
#[must_use]
pub fn is_in_use(dir: &Path) -> bool {
    matches!(lock(dir), Err(OpenError::Locked(_)))
}

/// A lock may outlive its owner for a moment: while the owner's process ends, or one that it has just begun has not yet
/// become its program.
const LOCKED_FOR: Duration = Duration::from_millis(250);

/// How often it is tried.
const LOCK_AGAIN: Duration = Duration::from_millis(10);

/// Opens the file and checks it as far as SQLite knows it; makes one where none is. What does not check is not changed.
fn connect(path: &Path) -> Result<(Connection, Meta), OpenError> {
    file::make_if_none(path)?;
    let log = look_at_log(path)?;
    let in_file = |error: rusqlite::Error| named(path, error.into());
    let mut connection = Connection::open(path).map_err(in_file)?;
    let version = schema::version(&connection).map_err(in_file)?;
    check_version(path, version)?;
    check(&connection, version).map_err(|trouble| named(path, trouble))?;
    schema::prepare(&connection).map_err(in_file)?;
    schema::migrate(&mut connection).map_err(in_file)?;
    let meta = Meta::read(&connection).map_err(in_file)?.map_err(|damage| damaged(path, damage))?;
    let missing = || damaged(path, Damage::new("the row of table meta is missing"));
    let meta = meta.ok_or_else(missing)?;
    // The start that made it so wrote into the log at once.
    if log == Look::Nothing && meta.clean.is_none() {
        let path = path.display();
        tracing::warn!(%path, "the write-ahead log is gone or empty: what was last committed is lost");
    }
    Ok((connection, meta))
}

/// What a start would refuse of the database in `dir`, as far as its first page tells: that it is none, or a newer
/// gateway's. Nothing is locked or changed, so that a gateway which runs is not disturbed; whether all of it is whole,
/// only a start looks.
///
/// # Errors
/// [`OpenError`].
pub fn look(dir: &Path) -> Result<(), OpenError> {
    let path = dir.join(FILE);
    file::check_shape(&path)?;
    if !path.exists() {
        return Ok(());
    }
    let in_file = |error: rusqlite::Error| named(&path, error.into());
    let connection = file::without_log(&path).map_err(in_file)?;
    let version = schema::version(&connection).map_err(in_file)?;
    check_version(&path, version)?;
    let tables = schema::check_tables(&connection, version).map_err(in_file)?;
    tables.map_err(|damage| damaged(&path, damage))
}

fn check_version(path: &Path, found: u32) -> Result<(), OpenError> {
    let known = schema::VERSION;
    if found > known {
        return Err(OpenError::Newer { path: path.into(), found, known });
    }
    Ok(())
}

/// Looks at the write-ahead log before SQLite takes it up: what it does not read of it, it does not tell.
fn look_at_log(path: &Path) -> Result<Look, OpenError> {
    let log = file::with_end(path, file::WAL);
    let look = wal::look(&log).map_err(unusable(&log))?;
    if let Look::Damaged(what) = &look {
        let path = log.display();
        tracing::warn!(%path, %what, "the write-ahead log is damaged: what was committed behind that is lost");
    }
    if file::has_log_of_another(path) {
        let what = "its write-ahead log is that of another database";
        return Err(damaged(path, Damage::new(what)));
    }
    Ok(look)
}

/// Whether SQLite finds it whole, and its tables are those of its version.
fn check(connection: &Connection, version: u32) -> Result<(), Trouble> {
    schema::integrity(connection)??;
    Ok(schema::check_tables(connection, version)??)
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
    // Whatever becomes of the write-ahead log from now on, no number is given out twice.
    schema::checkpoint(connection)?;
    // And the log says from its beginning on whose it is.
    meta.write(connection)?;
    Ok((meta, last))
}

fn start(
    settings: Settings,
    path: PathBuf,
    connection: Connection,
    meta: Meta,
    contents: Contents,
    lock: Lock,
) -> Result<Database, OpenError> {
    let unusable = unusable(&path);
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
        clock: settings.clock,
    };
    let writer = Writer {
        connection,
        shared: Arc::clone(&shared),
        live,
        settings,
        path: path.clone(),
        opened: file::Opened::at(&path).map_err(&unusable)?,
        out_of_place: None,
        packer: Packer::new().map_err(&unusable)?,
        meta,
        log: contents.log,
        round: None,
        round_began: None,
    };
    let named = |name: &str| thread::Builder::new().name(name.into());
    let mut database =
        Database { handle: StoreHandle(shared), writer: None, reader: None, _lock: lock };
    let spawned = named("store-reader").spawn(move || reader.run(&asked));
    database.reader = Some(spawned.map_err(&unusable)?);
    let spawned = named("store-writer").spawn(move || writer.run());
    database.writer = Some(spawned.map_err(&unusable)?);
    Ok(database)
}

impl From<Survives> for Synchronous {
    fn from(survives: Survives) -> Self {
        match survives {
            Survives::KilledProcess => Self::Normal,
            Survives::PowerCut => Self::Full,
        }
    }
}

pub(super) fn damaged(path: &Path, damage: Damage) -> OpenError {
    OpenError::Damaged { path: path.into(), what: damage.0 }
}

/// What the system does not let be done with `path`.
pub(super) fn unusable(path: &Path) -> impl Fn(io::Error) -> OpenError {
    move |source| OpenError::Unusable { path: path.into(), source }
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
