//! Rows: small things that are kept under a key until they are replaced or gone. What is in one is its
//! owner's business; here it is bytes with a checksum.

use super::{pending::Haste, record::Damage, schema};
use protocol::{Offset, TopicName};
use rusqlite::{Connection, Row as SqlRow, params};
use std::collections::HashMap;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// A device's type and tags, and when it was seen; the key is its id.
    Device,
    /// An alert; the key is its id.
    Alert,
    /// What is desired of a device; the key is its id.
    Desired,
    /// Entries of the audit log that came together; the key is the number of the first, with zeros before
    /// it.
    Audit,
    /// A command with its story; the key is its id.
    Command,
    /// A batch of commands; the key is its id.
    Batch,
    /// A retained message; the key is its topic.
    Retained,
    /// A session of an MQTT client, its messages and their states; the key is or begins with the client id.
    Session,
    /// A post to the webhook; the key is its id, and posts sort by it.
    Post,
    /// Up to which offset a channel's value is forgotten; the key is its name.
    Forgotten,
}

impl Table {
    const ALL: [Self; 10] = [
        Self::Device,
        Self::Alert,
        Self::Desired,
        Self::Audit,
        Self::Command,
        Self::Batch,
        Self::Retained,
        Self::Session,
        Self::Post,
        Self::Forgotten,
    ];

    /// Its name, in the database and for who reads of its rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Alert => "alert",
            Self::Desired => "desired",
            Self::Audit => "audit",
            Self::Command => "command",
            Self::Batch => "batch",
            Self::Retained => "retained",
            Self::Session => "session",
            Self::Post => "post",
            Self::Forgotten => "forgotten",
        }
    }

    /// How soon its rows are to be on the disk though no receipt asks for it. Somebody stands and waits for each step of
    /// a command. A client of MQTT counts on what it left, and QoS 0 has no way to say that it is there.
    pub(super) const fn haste(self) -> Haste {
        match self {
            Self::Command | Self::Batch => Haste::AtOnce,
            Self::Retained | Self::Session => Haste::Paced,
            Self::Device
            | Self::Alert
            | Self::Desired
            | Self::Audit
            | Self::Post
            | Self::Forgotten => Haste::None,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// What is kept from now on under a key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub table: Table,
    /// Which one.
    pub key: String,
    /// What is kept; none: no longer anything.
    pub body: Option<Vec<u8>>,
}

impl Row {
    /// Keeps `body`.
    #[must_use]
    pub fn set(table: Table, key: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { table, key: key.into(), body: Some(body.into()) }
    }

    /// Notes that a channel's value is forgotten up to `offset`.
    #[must_use]
    pub fn forgotten(channel: &TopicName, offset: Offset) -> Self {
        Self::set(Table::Forgotten, channel.as_str(), offset.to_string())
    }

    /// Keeps nothing any longer.
    #[must_use]
    pub fn gone(table: Table, key: impl Into<String>) -> Self {
        Self { table, key: key.into(), body: None }
    }
}

/// What a row of [`Table::Forgotten`] says.
///
/// # Errors
/// [`Damage`] when it is none.
pub(super) fn read_forgotten(name: &str, body: &[u8]) -> Result<(TopicName, Offset), Damage> {
    let offset = std::str::from_utf8(body).ok().and_then(|digits| digits.parse().ok());
    let read = name.parse().ok().zip(offset).map(|(name, offset)| (name, Offset(offset)));
    read.ok_or_else(|| Damage::new("a row of a forgotten value"))
}

/// A key and what is kept under it.
pub type KeyAndBody = (String, Vec<u8>);

/// All rows that were kept, by table and in the order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    by_table: HashMap<Table, Vec<KeyAndBody>>,
    unread: Vec<StoredRow>,
}

impl Rows {
    /// Those of `table`, in the order of their keys.
    pub fn take(&mut self, table: Table) -> Vec<KeyAndBody> {
        self.by_table.remove(&table).unwrap_or_default()
    }

    /// Those of `table` as `read` understands them, in the order of their keys; those that it does not are
    /// [`Self::unread`].
    pub fn read<T>(
        &mut self,
        table: Table,
        mut read: impl FnMut(&str, &[u8]) -> Option<T>,
    ) -> Vec<T> {
        let mut understood = Vec::new();
        for (key, body) in self.take(table) {
            match read(&key, &body) {
                Some(row) => understood.push(row),
                None => self.unread.push(StoredRow { table, key, body }),
            }
        }
        understood
    }

    /// The rows that nobody understood: each is what was written, so another version wrote it.
    pub fn unread(&mut self) -> Vec<StoredRow> {
        std::mem::take(&mut self.unread)
    }

    /// Adds one that comes behind those of its table.
    pub(super) fn push(&mut self, row: StoredRow) {
        self.by_table.entry(row.table).or_default().push((row.key, row.body));
    }
}

/// A row as it lies in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// What it is about.
    pub table: Table,
    /// Which one.
    pub key: String,
    /// What is kept.
    pub body: Vec<u8>,
}

impl std::fmt::Display for StoredRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} '{}'", self.table.name(), self.key)
    }
}

impl StoredRow {
    /// The table of all rows.
    pub(super) const TABLE: &str = "kept";

    /// Reads and checks one.
    ///
    /// # Errors
    /// [`Damage`], or SQLite's.
    pub(super) fn read(row: &SqlRow<'_>) -> rusqlite::Result<Result<Self, Damage>> {
        let (name, key): (String, String) = (row.get("kind")?, row.get("key")?);
        let body: Vec<u8> = row.get("body")?;
        let whole = row.get::<_, u32>("checksum")? == checksum(&name, &key, &body);
        Ok(match Table::named(&name).filter(|_| whole) {
            Some(table) => Ok(Self { table, key, body }),
            None => Err(Damage(format!("the row of {name} '{key}'"))),
        })
    }
}

/// Writes what is kept under a key.
///
/// # Errors
/// SQLite's.
pub(super) fn write(
    connection: &Connection,
    table: Table,
    key: &str,
    body: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let name = table.name();
    match body {
        Some(body) => {
            let sql = "INSERT INTO kept (kind, key, body, checksum) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (kind, key) DO UPDATE SET body = ?3, checksum = ?4";
            let checksum = checksum(name, key, body);
            connection.prepare_cached(sql)?.execute(params![name, key, body, checksum])?;
        }
        None => {
            let sql = "DELETE FROM kept WHERE kind = ?1 AND key = ?2";
            connection.prepare_cached(sql)?.execute(params![name, key])?;
        }
    }
    Ok(())
}

/// Which rows of a table are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsWanted {
    /// The table.
    pub table: Table,
    /// No key before.
    pub from: String,
    /// No key from here on; none: up to the end.
    pub to: Option<String>,
    /// In which order.
    pub order: Order,
    /// At most so many.
    pub limit: usize,
}

/// The order of rows by their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// Reads the rows that are asked for.
///
/// # Errors
/// The first that does not check, or SQLite's.
pub(super) fn read(
    connection: &Connection,
    wanted: &RowsWanted,
) -> rusqlite::Result<Result<Vec<KeyAndBody>, Damage>> {
    let direction = match wanted.order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    let sql = format!(
        "SELECT kind, key, body, checksum FROM kept
         WHERE kind = ?1 AND key >= ?2 AND (?3 IS NULL OR key < ?3) ORDER BY key {direction} LIMIT ?4"
    );
    let RowsWanted { table, from, to, limit, .. } = wanted;
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map(params![table.name(), from, to, limit], StoredRow::read)?;
    let found: Vec<_> = found.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().map(|row| row.map(|row| (row.key, row.body))).collect())
}

fn checksum(name: &str, key: &str, body: &[u8]) -> u32 {
    schema::checksum(&[], &[name.as_bytes(), key.as_bytes(), body])
}
