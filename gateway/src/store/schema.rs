//! The tables, the versions they had, and the checksums of their small rows.
//!
//! Every row can be checked: bodies by what is packed in them (`record`), other rows by a CRC-32 of
//! their columns. `PRAGMA integrity_check` keeps the indexes true to the tables, so an index may be
//! trusted to find what is there.

use super::{
    record::Damage,
    row::{self, StoredRow, Table},
};
use protocol::Offset;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, config::DbConfig, params};
use std::time::Duration;

/// What the database must be before tables are made, and what a connection needs.
///
/// # Errors
/// SQLite's.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Only takes effect on a new file; without it a file never gives room back.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    // An end that was not in order leaves the log behind: where it is missing after one, it was taken away.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Puts all that is committed into the file itself, on the disk; the write-ahead log is empty then.
///
/// # Errors
/// SQLite's.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Has the write-ahead log go when `connection` is closed; before, all that is in it goes where it belongs.
///
/// # Errors
/// SQLite's.
pub(super) fn leave_no_log(connection: &Connection) -> rusqlite::Result<()> {
    checkpoint(connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map(drop)
}

/// We are the only writer; somebody who looks with another tool holds a lock for a moment only.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// 8 MiB: a checkpoint syncs twice, so not after each MiB; and what a reader must look through is short.
const WAL_PAGES: u32 = 2_048;

/// A write-ahead log that grew, for a long read held it, is cut to this afterwards.
const WAL_BYTES_KEPT: u32 = 16 * 1024 * 1024;

/// A step from a version to the next.
type Migration = fn(&Connection) -> rusqlite::Result<()>;

/// All of them; a file's `user_version` counts those it has had.
const MIGRATIONS: [Migration; 2] =
    [|connection| connection.execute_batch(include_str!("schema/1.sql")), keep_devices_in_rows];

/// The version that this gateway writes.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The file's version.
///
/// # Errors
/// SQLite's.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_one("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings the tables up to date, each step whole or not at all.
///
/// # Errors
/// SQLite's.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_to(connection, VERSION)
}

fn migrate_to(connection: &mut Connection, to: u32) -> rusqlite::Result<()> {
    let from = version(connection)?;
    let steps = MIGRATIONS.iter().enumerate().take(to as usize).skip(from as usize);
    for (step, migration) in steps {
        let step = u32::try_from(step).expect("there are few migrations");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        migration(&transaction)?;
        transaction.pragma_update(None, "user_version", step + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Version 1 had a table for devices alone.
fn keep_devices_in_rows(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(include_str!("schema/2.sql"))?;
    let mut devices = connection.prepare("SELECT id, body, checksum FROM device")?;
    let mut rows = devices.query([])?;
    while let Some(found) = rows.next()? {
        // One that is damaged is not made good by a new checksum: it is left out, as recovery would.
        match read_device_of_version_1(found)? {
            Ok(StoredRow { table, key, body }) => row::write(connection, table, &key, Some(&body))?,
            Err(damage) => tracing::error!(what = %damage, "damaged: not taken over"),
        }
    }
    drop(rows);
    drop(devices);
    connection.execute_batch("DROP TABLE device")
}

/// The table that version 1 had for devices.
pub(super) const DEVICES_OF_VERSION_1: &str = "device";

/// Reads a row of it.
///
/// # Errors
/// [`Damage`], or SQLite's.
pub(super) fn read_device_of_version_1(
    row: &Row<'_>,
) -> rusqlite::Result<Result<StoredRow, Damage>> {
    let (key, body): (String, String) = (row.get("id")?, row.get("body")?);
    if row.get::<_, u32>("checksum")? != checksum(&[], &[key.as_bytes(), body.as_bytes()]) {
        return Ok(Err(Damage(format!("the row of device '{key}'"))));
    }
    Ok(Ok(StoredRow { table: Table::Device, key, body: body.into() }))
}

/// Compares the tables with what the migrations make up to a version.
///
/// # Errors
/// That they differ, or SQLite's.
pub(super) fn check_tables(
    connection: &Connection,
    version: u32,
) -> rusqlite::Result<Result<(), Damage>> {
    let mut fresh = Connection::open_in_memory()?;
    migrate_to(&mut fresh, version)?;
    let tables = |connection: &Connection| -> rusqlite::Result<Vec<(String, Option<String>)>> {
        let sql = "SELECT name, sql FROM sqlite_schema ORDER BY name";
        connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    let same = tables(connection)? == tables(&fresh)?;
    Ok(if same { Ok(()) } else { Err(Damage::new("its tables are not those of its version")) })
}

/// What SQLite finds wrong with the structure of the file; it looks at every page.
///
/// # Errors
/// SQLite's.
pub(super) fn integrity(connection: &Connection) -> rusqlite::Result<Result<(), Damage>> {
    let found: String = connection.query_one("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    // SQLite says it in several lines, a log has one for each event.
    Ok(if found == "ok" { Ok(()) } else { Err(Damage(found.replace('\n', " "))) })
}

/// The one row about the database itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// What the numbers belong to.
    pub(super) epoch: String,
    /// No offset beyond has been given out.
    pub(super) reserved: Offset,
    /// The last offset that was given out, if the gateway ended in order.
    pub(super) clean: Option<Offset>,
    /// The last offset that the log has lost to its bound.
    pub(super) log_pruned: Offset,
}

impl Meta {
    /// Reads it; none: its row is not there.
    ///
    /// # Errors
    /// [`Damage`], or SQLite's.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Result<Option<Self>, Damage>> {
        let sql = "SELECT epoch, reserved, clean, log_pruned, checksum FROM meta WHERE id = 1";
        let row = connection.prepare_cached(sql)?.query_row([], |row| {
            let clean: Option<u64> = row.get(2)?;
            let meta = Self {
                epoch: row.get(0)?,
                reserved: Offset(row.get(1)?),
                clean: clean.map(Offset),
                log_pruned: Offset(row.get(3)?),
            };
            Ok((meta, row.get::<_, u32>(4)?))
        });
        Ok(match row.optional()? {
            Some((meta, checksum)) if checksum == meta.checksum() => Ok(Some(meta)),
            Some(_) => Err(Damage::new("the row of table meta does not match its checksum")),
            None => Ok(None),
        })
    }

    /// Writes it.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO meta VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let clean = self.clean.map(|offset| offset.0);
        connection.prepare_cached(sql)?.execute(params![
            self.epoch,
            self.reserved.0,
            clean,
            self.log_pruned.0,
            self.checksum()
        ])?;
        Ok(())
    }

    fn checksum(&self) -> u32 {
        let clean = self.clean.map_or(u64::MAX, |offset| offset.0);
        let numbers = [self.reserved.0, clean, self.log_pruned.0];
        checksum(&numbers, &[self.epoch.as_bytes()])
    }
}

/// Runs `act` in a transaction of its own that is on the disk when this returns.
///
/// # Errors
/// SQLite's; nothing is changed then.
pub(super) fn synced(
    connection: &mut Connection,
    afterwards: Synchronous,
    act: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    Synchronous::Full.set(connection)?;
    let done = immediately(connection, act);
    afterwards.set(connection)?;
    done
}

/// Runs `act` in a transaction of its own.
///
/// # Errors
/// SQLite's; nothing is changed then.
pub(super) fn immediately<T>(
    connection: &mut Connection,
    act: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // Not rusqlite's transaction, which has SQLite read the words anew each time.
    let say = |word| connection.prepare_cached(word)?.execute([]).map(drop);
    say("BEGIN IMMEDIATE")?;
    let done = act(connection).and_then(|value| say("COMMIT").map(|()| value));
    // Some failures have ended it already.
    if done.is_err() && !connection.is_autocommit() {
        say("ROLLBACK")?;
    }
    done
}

/// When SQLite syncs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Synchronous {
    /// At checkpoints: a commit survives a killed process.
    Normal,
    /// At every commit: it survives a power cut.
    Full,
}

impl Synchronous {
    /// Sets it for what `connection` does from now on.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn set(self, connection: &Connection) -> rusqlite::Result<()> {
        let value = match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        };
        connection.pragma_update(None, "synchronous", value)
    }
}

/// A CRC-32 of a row's columns; texts end with their length, so that no two rows run together.
pub(super) fn checksum(numbers: &[u64], texts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    numbers.iter().for_each(|number| hasher.update(&number.to_le_bytes()));
    for text in texts {
        hasher.update(text);
        hasher.update(&(text.len() as u64).to_le_bytes());
    }
    hasher.finalize()
}
