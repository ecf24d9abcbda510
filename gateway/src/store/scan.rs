//! Going through a damaged table: past what SQLite cannot read, to the next row that it can.

use super::{open::is_damage, record::Damage};
use rusqlite::{Connection, OptionalExtension, Row};

/// So many rows are read before they are handed on.
const ROWS_AT_ONCE: u32 = 64;

/// Some rows of a table, in the order of their numbers.
#[derive(Debug)]
pub(super) struct Found<T> {
    /// Those that check.
    pub(super) rows: Vec<T>,
    /// How many did not, or could not be read; a place that hides many counts once.
    pub(super) lost: u64,
    /// Where to go on; none at the end.
    pub(super) next: Option<i64>,
}

impl<T> Found<T> {
    fn take(&mut self, row: rusqlite::Result<Result<T, Damage>>) {
        match row {
            Ok(Ok(row)) => self.rows.push(row),
            Ok(Err(_)) | Err(_) => self.lost += 1,
        }
    }
}

/// Reads rows of `table` numbered `from` and up, from 0 on.
///
/// # Errors
/// SQLite's, where the file is not to blame.
pub(super) fn rows<T>(
    connection: &Connection,
    table: &str,
    from: i64,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, Damage>>,
) -> rusqlite::Result<Found<T>> {
    let mut found = Found { rows: Vec::new(), lost: 0, next: Some(from) };
    match run(connection, table, from, &read, &mut found) {
        Ok(()) => Ok(found),
        Err(error) if is_damage(&error) => {
            let hidden_from = found.next.unwrap_or(i64::MAX);
            skip(connection, table, hidden_from, &read, &mut found)?;
            Ok(found)
        }
        Err(error) => Err(error),
    }
}

/// Reads row after row while that goes well; `found.next` is behind the last.
fn run<T>(
    connection: &Connection,
    table: &str,
    from: i64,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, Damage>>,
    found: &mut Found<T>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT *, rowid FROM {table} NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let number = statement.column_count() - 1;
    let mut rows = statement.query((from, ROWS_AT_ONCE))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let row_number: i64 = row.get(number)?;
        if found.next.is_some_and(|next| row_number < next) {
            // A damaged page leads back: go on behind it.
            return Err(rusqlite::Error::InvalidQuery);
        }
        found.take(read(row));
        found.next = row_number.checked_add(1);
        count += 1;
    }
    if count < ROWS_AT_ONCE {
        found.next = None;
    }
    Ok(())
}

/// Goes on with the next row that can be found, read alone: what hides it may hide others too.
fn skip<T>(
    connection: &Connection,
    table: &str,
    from: i64,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, Damage>>,
    found: &mut Found<T>,
) -> rusqlite::Result<()> {
    found.lost += 1;
    found.next = None;
    let Some(number) = next_row(connection, table, from)? else { return Ok(()) };
    found.next = number.checked_add(1);
    let sql = format!("SELECT * FROM {table} NOT INDEXED WHERE rowid = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    match statement.query_row([number], |row| Ok(read(row))) {
        Ok(row) => {
            found.take(row);
            Ok(())
        }
        Err(error) if is_damage(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The first row from `from` on that SQLite can find: first in ever greater steps, then back by halves.
fn next_row(connection: &Connection, table: &str, from: i64) -> rusqlite::Result<Option<i64>> {
    let mut hidden = from;
    let mut step = 1_i64;
    let mut seen = loop {
        let at = from.saturating_add(step - 1);
        match probe(connection, table, at)? {
            Probe::Row(number) => break (at, number),
            Probe::Nothing => return Ok(None),
            Probe::Hidden if step == i64::MAX => return Ok(None),
            Probe::Hidden => hidden = at,
        }
        step = step.saturating_mul(2);
    };
    while seen.0.abs_diff(hidden) > 1 {
        let middle = hidden + (seen.0 - hidden) / 2;
        match probe(connection, table, middle)? {
            Probe::Row(number) => seen = (middle, number),
            Probe::Nothing | Probe::Hidden => hidden = middle,
        }
    }
    Ok(Some(seen.1))
}

/// What is found from a number on.
enum Probe {
    Row(i64),
    Nothing,
    Hidden,
}

fn probe(connection: &Connection, table: &str, from: i64) -> rusqlite::Result<Probe> {
    let sql =
        format!("SELECT rowid FROM {table} NOT INDEXED WHERE rowid >= ?1 ORDER BY rowid LIMIT 1");
    let found = connection
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.query_row([from], |row| row.get(0)).optional());
    match found {
        Ok(Some(number)) if number >= from => Ok(Probe::Row(number)),
        Ok(Some(_)) => Ok(Probe::Hidden),
        Ok(None) => Ok(Probe::Nothing),
        Err(error) if is_damage(&error) => Ok(Probe::Hidden),
        Err(error) => Err(error),
    }
}
