//! `--recover`: what a damaged file still has goes into a new one, and the old one is set aside.
//!
//! A row is taken only if it checks. Where SQLite cannot go on through a table, the next row that it can
//! find is looked for; nothing is guessed. The new file goes on with the numbers only when everything that
//! they rest on was whole; otherwise it begins a new epoch. The log is taken over in `log`.

mod log;

use super::{
    OpenError,
    block::{Block, write_block},
    commit::{no_memory, write_channel},
    file::{FILE, create, remove_all, rename_all, sync_directory, with_end},
    gap::Gap,
    lend::{is_there, readable},
    live::Channel,
    open::{is_damage, lock, named, unusable},
    record::{ChannelId, Damage, Packer, read_data},
    row::{self, StoredRow, Table, read_forgotten},
    scan,
    schema::{self, Meta},
    stored::ChannelRow,
};
use protocol::{Offset, Seq, Timestamp, TopicName};
use rusqlite::{Connection, Row};
use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
};

/// What a recovery found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Where the damaged file is now.
    pub set_aside: PathBuf,
    /// What was kept and lost of each table.
    pub tables: Vec<Salvaged>,
    /// Whether the numbers go on.
    pub epoch: EpochAfter,
}

/// What became of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochAfter {
    /// All that they rest on was whole: who resumes does not notice.
    Kept,
    /// They begin a new epoch: whoever resumes gets a reset.
    New,
}

/// What was kept and lost of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// The table.
    pub table: &'static str,
    /// Rows that were kept.
    pub kept: u64,
    /// Rows that did not check, and places where rows could not be found at all.
    pub lost: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_nothing() {
            // Each table has one place that could not be read, and that says nothing.
            writeln!(
                f,
                "nothing in it could be read: it may never have been a database of Sluice"
            )?;
        } else {
            for Salvaged { table, kept, lost } in &self.tables {
                writeln!(f, "{table}: {kept} rows kept, {lost} lost")?;
            }
        }
        writeln!(f, "the damaged file is '{}' now", self.set_aside.display())?;
        f.write_str(match self.epoch {
            EpochAfter::Kept => "the numbers of updates go on",
            EpochAfter::New => "the numbers of updates begin a new epoch",
        })
    }
}

impl Report {
    /// Whether not one row was found.
    fn has_nothing(&self) -> bool {
        self.tables.iter().all(|table| table.kept == 0)
    }
}

/// Salvages the database in `dir` and sets the damaged file aside, under a name with the time `now` in
/// it. Interrupted, it leaves the damaged file where it was.
///
/// # Errors
/// [`OpenError`] when the directory is in use, or the disk does not take the new file.
pub fn recover(dir: &Path, now: Timestamp) -> Result<Report, OpenError> {
    let _lock = lock(dir)?;
    let path = dir.join(FILE);
    let [fresh, copy] = [".recovering", ".recovering-from"].map(|end| with_end(&path, end));
    let aside = with_end(&path, &format!(".damaged-{now}"));
    let in_fresh = |error: rusqlite::Error| named(&fresh, error.into());
    remove_all(&fresh).and_then(|()| create(&fresh)).map_err(unusable(&fresh))?;
    let new = begin(&fresh).map_err(in_fresh)?;
    let salvage = Salvage::new(readable(&path, &fresh, &copy)?, new).map_err(in_fresh)?;
    let (tables, epoch) = salvage.run().map_err(in_fresh)?;
    remove_all(&copy).map_err(unusable(&copy))?;
    rename_all(&path, &aside).map_err(unusable(&path))?;
    rename_all(&fresh, &path).map_err(unusable(&path))?;
    sync_directory(&path).map_err(unusable(&path))?;
    Ok(Report { set_aside: aside, tables, epoch })
}

/// Makes the tables of a new database, all in its file.
fn begin(fresh: &Path) -> rusqlite::Result<Connection> {
    let mut new = Connection::open(fresh)?;
    schema::prepare(&new)?;
    schema::migrate(&mut new)?;
    schema::checkpoint(&new).map(|()| new)
}

/// A recovery under way.
struct Salvage {
    old: Connection,
    new: Connection,
    packer: Packer,
    channels: HashMap<ChannelId, Channel>,
    names: HashMap<TopicName, ChannelId>,
    tables: Vec<Salvaged>,
    last: Offset,
}

impl Salvage {
    fn new(old: Connection, new: Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            old,
            new,
            packer: Packer::new().map_err(no_memory)?,
            channels: HashMap::new(),
            names: HashMap::new(),
            tables: Vec::new(),
            last: Offset(0),
        })
    }

    fn run(mut self) -> rusqlite::Result<(Vec<Salvaged>, EpochAfter)> {
        self.new.execute_batch("BEGIN IMMEDIATE")?;
        let meta = self.meta()?;
        self.channels()?;
        let index_whole = self.tables.iter().all(|table| table.lost == 0);
        self.blocks()?;
        let pruned = meta.as_ref().map(|meta| meta.log_pruned);
        let log_pruned = self.log(pruned)?;
        let logs_whole = self.tables.iter().all(|table| table.table != LOG || table.lost == 0);
        self.rows(GAP, Gap::read, |salvage, gap| {
            salvage.last = salvage.last.max(gap.last);
            gap.write(&salvage.new).map(|()| Taken::Yes)
        })?;
        self.kept_rows()?;
        for (id, channel) in &self.channels {
            write_channel(&self.new, *id, channel)?;
        }
        let gaps_whole = self.tables.iter().all(|table| table.table != GAP || table.lost == 0);
        let (epoch, meta) = match meta {
            Some(meta) if index_whole && logs_whole && gaps_whole => {
                (EpochAfter::Kept, Meta { log_pruned, ..meta })
            }
            Some(_) | None => {
                let reserved = meta.map_or(self.last, |meta| meta.reserved.max(self.last));
                let clean = Some(reserved);
                (EpochAfter::New, Meta { reserved, clean, log_pruned, ..Meta::fresh() })
            }
        };
        meta.write(&self.new)?;
        self.new.execute_batch("COMMIT")?;
        schema::checkpoint(&self.new)?;
        // An empty log would be told as one that has lost something.
        meta.write(&self.new)?;
        Ok((self.tables, epoch))
    }

    fn kept_rows(&mut self) -> rusqlite::Result<()> {
        let take = |salvage: &mut Self, row: StoredRow| {
            let StoredRow { table, key, body } = row;
            if table == Table::Forgotten && read_forgotten(&key, &body).is_err() {
                return Ok(Taken::No);
            }
            row::write(&salvage.new, table, &key, Some(&body)).map(|()| Taken::Yes)
        };
        // What the file says of its version may be damaged too.
        let devices = schema::DEVICES_OF_VERSION_1;
        if is_there(&self.old, devices)? && !is_there(&self.old, StoredRow::TABLE)? {
            return self.rows(devices, schema::read_device_of_version_1, take);
        }
        self.rows(StoredRow::TABLE, StoredRow::read, take)
    }

    fn meta(&mut self) -> rusqlite::Result<Option<Meta>> {
        let mut table = Salvaged { table: "meta", ..Salvaged::default() };
        let meta = match Meta::read(&self.old) {
            Ok(Ok(Some(meta))) => Some(meta),
            Ok(Ok(None) | Err(_)) => None,
            Err(error) if is_damage(&error) => None,
            Err(error) => return Err(error),
        };
        match meta {
            Some(_) => table.kept = 1,
            None => table.lost = 1,
        }
        self.tables.push(table);
        Ok(meta)
    }

    fn channels(&mut self) -> rusqlite::Result<()> {
        self.rows("channel", ChannelRow::read, |salvage, row| {
            let Ok(mut channel) = row.channel() else { return Ok(Taken::No) };
            (channel.blocks, channel.folded) = (0, Seq(0));
            salvage.last = salvage.last.max(row.stamp.offset);
            salvage.names.insert(channel.name.clone(), row.id);
            salvage.channels.insert(row.id, channel);
            Ok(Taken::Yes)
        })
    }

    fn blocks(&mut self) -> rusqlite::Result<()> {
        let body = |row: &Row<'_>| Ok(Ok(row.get("body")?));
        self.rows("block", body, |salvage, body: Vec<u8>| salvage.block(&body))
    }

    fn block(&mut self, body: &[u8]) -> rusqlite::Result<Taken> {
        let Ok(block) = Block::open(body) else { return Ok(Taken::No) };
        let Block { channel: id, name, summary, records } = block;
        if *self.names.entry(name.clone()).or_insert(id) != id {
            return Ok(Taken::No);
        }
        let channel = self.channels.entry(id).or_insert_with(|| Channel::new(name.clone()));
        if channel.name != name {
            return Ok(Taken::No);
        }
        if summary.last.seq > channel.seq() {
            // Its row is lost: the newest update stands for the value.
            let last = records.iter().last();
            let Some(Ok(record)) = last else { return Ok(Taken::No) };
            let Ok(data) = read_data(record.form, record.json) else { return Ok(Taken::No) };
            channel.value = Some((record.stamp, data));
        }
        channel.blocks += 1;
        channel.folded = channel.folded.max(summary.last.seq);
        self.last = self.last.max(summary.last.offset);
        write_block(&self.new, &mut self.packer, None, (id, &name), &records)?;
        Ok(Taken::Yes)
    }

    /// Takes the rows of a table that check and that `take` wants.
    fn rows<T>(
        &mut self,
        table: &'static str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<Result<T, Damage>>,
        mut take: impl FnMut(&mut Self, T) -> rusqlite::Result<Taken>,
    ) -> rusqlite::Result<()> {
        let mut salvaged = Salvaged { table, ..Salvaged::default() };
        let mut next = Some(0);
        while let Some(from) = next {
            let found = scan::rows(&self.old, table, from, &read)?;
            for row in found.rows {
                match take(self, row)? {
                    Taken::Yes => salvaged.kept += 1,
                    Taken::No => salvaged.lost += 1,
                }
            }
            salvaged.lost += found.lost;
            next = found.next;
        }
        self.tables.push(salvaged);
        Ok(())
    }
}

const LOG: &str = "log";
const GAP: &str = "gap";

/// Whether a row was good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}
