//! What of a damaged database SQLite can read: the file as it is, without a write-ahead log that is another's, or a copy
//! with a first page that is lent to it.
//!
//! The first page tells where each table begins; without it SQLite reads nothing. But in every file of a version a table
//! begins at the same page: SQLite keeps the beginnings in front, in the order in which the tables were made
//! (`auto_vacuum`). `VACUUM` makes them in another order. So the first page of a new file serves, or that of one on which
//! `VACUUM` was run: the one by which more tables begin. Should neither, rows do not check, and nothing is taken.

use super::{
    OpenError,
    file::{WAL, has_log_of_another, if_there, read_only, remove_all, with_end, without_log},
    open::{is_damage, named, unusable},
    row::StoredRow,
    schema,
};
use rusqlite::Connection;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

/// The bytes of a page; a file that somebody rewrote with others is not lent one.
const PAGE_BYTES: usize = 4_096;

/// Where the first page says how many pages there are, and then what is free among them.
const PAGES: std::ops::Range<usize> = 28..32;
const FREE: std::ops::Range<usize> = 32..40;

/// Opens what can be read of the database at `path`. `fresh` is a new database, all in its file; a copy, where one is
/// needed, is made at `copy`.
///
/// # Errors
/// [`OpenError`], where the file is not to blame.
pub(super) fn readable(path: &Path, fresh: &Path, copy: &Path) -> Result<Connection, OpenError> {
    let in_file = |error: rusqlite::Error| named(path, error.into());
    if has_log_of_another(path) {
        return without_log(path).and_then(lenient).map_err(in_file);
    }
    // SQLite takes a file without a page for a new one, and removes its write-ahead log.
    if fs::metadata(path).is_ok_and(|file| file.len() >= PAGE_BYTES as u64) {
        let connection = read_only(path).and_then(lenient).map_err(in_file)?;
        if has_tables(&connection).map_err(in_file)? {
            return Ok(connection);
        }
    }
    let packed = with_end(fresh, "-packed");
    pack(fresh, &packed)?;
    let mut begin = Vec::new();
    for donor in [fresh, &packed] {
        lend(path, donor, copy).map_err(unusable(copy))?;
        let lent = read_only(copy).and_then(lenient).map_err(in_file)?;
        begin.push(tables_that_begin(&lent).map_err(in_file)?);
    }
    if begin[0] >= begin[1] {
        lend(path, fresh, copy).map_err(unusable(copy))?;
    }
    remove_all(&packed).map_err(unusable(&packed))?;
    read_only(copy).and_then(lenient).map_err(in_file)
}

/// Makes `packed` of `fresh` as `VACUUM` does.
fn pack(fresh: &Path, packed: &Path) -> Result<(), OpenError> {
    remove_all(packed).map_err(unusable(packed))?;
    let into = |connection: Connection| {
        connection.execute("VACUUM INTO ?1", [packed.to_string_lossy()]).map(drop)
    };
    read_only(fresh).and_then(into).map_err(|error| named(packed, error.into()))
}

/// How many tables begin where the first page says: no index, and no other page, is taken for one.
fn tables_that_begin(connection: &Connection) -> rusqlite::Result<usize> {
    let mut count = 0;
    for table in [&TABLES[..], &[StoredRow::TABLE]].concat() {
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {table} NOT INDEXED LIMIT 1)");
        match connection.query_one(&sql, [], |_| Ok(())) {
            Ok(()) => count += 1,
            Err(error) if is_damage(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// The tables that every version has.
const TABLES: [&str; 5] = ["meta", "channel", "log", "block", "gap"];

/// Else SQLite reads nothing of a file that is shorter than its first page says.
fn lenient(connection: Connection) -> rusqlite::Result<Connection> {
    connection.execute_batch("PRAGMA writable_schema = ON").map(|()| connection)
}

/// Whether the first page names the tables: those of the version before, at least.
fn has_tables(connection: &Connection) -> rusqlite::Result<bool> {
    for table in TABLES {
        if !is_there(connection, table)? {
            return Ok(false);
        }
    }
    Ok(is_there(connection, StoredRow::TABLE)?
        || is_there(connection, schema::DEVICES_OF_VERSION_1)?)
}

/// Whether SQLite knows a table.
///
/// # Errors
/// SQLite's, where the file is not to blame.
pub(super) fn is_there(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    match connection.prepare(&format!("SELECT 1 FROM {table} NOT INDEXED LIMIT 0")) {
        Ok(_) => Ok(true),
        Err(error) if is_damage(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes `copy` of the database at `path`, with the first page of `fresh`.
fn lend(path: &Path, fresh: &Path, copy: &Path) -> io::Result<()> {
    remove_all(copy)?;
    for end in ["", WAL] {
        if_there(fs::copy(with_end(path, end), with_end(copy, end)))?;
    }
    let mut page = vec![0; PAGE_BYTES];
    File::open(fresh)?.read_exact(&mut page)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(copy)?;
    let pages = u32::try_from(file.metadata()?.len() / PAGE_BYTES as u64).unwrap_or(u32::MAX);
    page[PAGES].copy_from_slice(&pages.max(1).to_be_bytes());
    page[FREE].fill(0);
    file.write_all(&page)
}
