//! What the database holds, read and checked row by row at the start.
//!
//! Numbers that were given out and not stored are never given out again: a gap tells which offsets they
//! were, and each channel's next number lies behind as many as it may have lost there.

use super::{
    Settings,
    gap::{Gap, GapReason},
    live::{Channel, Live},
    record::{ChannelId, Damage, read_data},
    row::{Rows, StoredRow, Table, read_forgotten},
    schema::Meta,
    stored::{ChannelRow, StoredLogRow},
    writer::Log,
};
use bridge::{
    data::Data,
    update::{ChannelKind, Stamp},
};
use protocol::{Offset, Seq, Timestamp, TopicName};
use rusqlite::{Connection, Row};
use std::collections::HashMap;

/// What was kept.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the numbers belong to.
    pub epoch: String,
    /// The next offset is the one after.
    pub last_offset: Offset,
    /// All channels that have updates.
    pub channels: Vec<RestoredChannel>,
    /// A channel that is not among them numbers its updates from behind this.
    pub new_channels_after: Seq,
    /// What was kept under keys.
    pub rows: Rows,
    /// Offsets that were given out and not stored, in order.
    pub gaps: Vec<Gap>,
    /// Everything kept from here on is in the log.
    pub log_first: Offset,
}

/// A channel as it was.
#[derive(Clone, Debug)]
pub struct RestoredChannel {
    /// Its name.
    pub name: TopicName,
    /// Its kind.
    pub kind: ChannelKind,
    /// The next update has the number after.
    pub seq: Seq,
    /// The place of its newest stored update.
    pub stamp: Stamp,
    /// Its value then; none: it is forgotten.
    pub value: Option<Data>,
    /// The newest that retention let go.
    pub pruned_seq: Seq,
}

/// Why what is there cannot be restored.
#[derive(Debug)]
pub(super) enum Trouble {
    Damaged(Damage),
    Sqlite(rusqlite::Error),
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What the database holds, in memory.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) live: Live,
    pub(super) log: Log,
    pub(super) gaps: Vec<Gap>,
    pub(super) rows: Rows,
}

/// Reads and checks everything but the bodies of blocks.
///
/// # Errors
/// The first row that does not check, or SQLite's.
pub(super) fn read_all(
    connection: &Connection,
    meta: &Meta,
    settings: &Settings,
) -> Result<Contents, Trouble> {
    let live = Live::new(settings.retention.clone());
    let mut contents = Contents { live, ..Contents::default() };
    let now = (settings.clock)();
    contents.log.last = meta.log_pruned;
    each(connection, "SELECT * FROM kept ORDER BY kind, key", StoredRow::read, |row| {
        contents.rows.push(row?);
        Ok(())
    })?;
    // Before the values that they concern.
    for (name, body) in contents.rows.take(Table::Forgotten) {
        let (name, offset) = read_forgotten(&name, &body)?;
        contents.live.forget(name, offset);
    }
    each(connection, "SELECT * FROM channel", ChannelRow::read, |row| {
        let row = row?;
        contents.live.insert(row.id, row.channel()?);
        Ok(())
    })?;
    check_blocks(connection, &contents.live)?;
    each(
        connection,
        "SELECT first, last, body FROM log ORDER BY first",
        StoredLogRow::read,
        |row| take_log_row(&mut contents, &row, now),
    )?;
    each(connection, "SELECT * FROM gap ORDER BY first_offset", Gap::read, |gap| {
        contents.gaps.push(gap?);
        Ok(())
    })?;
    Ok(contents)
}

/// Hands each row to `take`, as `read` reads it.
///
/// # Errors
/// The first that `take` refuses, or SQLite's.
pub(super) fn each<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    mut take: impl FnMut(T) -> Result<(), Damage>,
) -> Result<(), Trouble> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        take(read(row)?)?;
    }
    Ok(())
}

/// Every channel has the blocks that its row says: none is missing.
fn check_blocks(connection: &Connection, live: &Live) -> Result<(), Trouble> {
    let mut blocks: HashMap<u64, (u64, u64)> = HashMap::new();
    let sql = "SELECT channel, count(*), max(last_seq) FROM block GROUP BY channel";
    let read = |row: &Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
    each(connection, sql, read, |(channel, found)| {
        blocks.insert(channel, found);
        Ok(())
    })?;
    for (id, channel) in live.iter() {
        let (count, last) = blocks.remove(&id.0).unwrap_or((0, channel.folded.0));
        if count != channel.blocks || last > channel.folded.0 {
            let what = format!("the blocks of channel '{}' are not those it had", channel.name);
            return Err(Damage(what).into());
        }
    }
    match blocks.keys().next() {
        Some(id) => Err(Damage(format!("blocks of the unknown channel {id}")).into()),
        None => Ok(()),
    }
}

fn take_log_row(
    contents: &mut Contents,
    stored: &StoredLogRow,
    now: Timestamp,
) -> Result<(), Damage> {
    let place = |damage: Damage| Damage(format!("the log at offset {}: {damage}", stored.first));
    let (after, records) = stored.open().map_err(place)?;
    if after != contents.log.last {
        return Err(place(Damage(format!(
            "what was kept behind {} is missing",
            contents.log.last
        ))));
    }
    // When it came is not stored: about when the newest in it, or before it, says; devices' clocks may be behind.
    let newest = records.summary().map_or(now, |summary| summary.max.min(now));
    let at = contents.log.newest_at().map_or(newest, |before| before.max(newest));
    for record in records.iter() {
        let record = record.map_err(place)?;
        let known = contents.live.get(record.channel).map(Channel::seq_and_folded);
        let (seq, folded) =
            known.ok_or_else(|| place(Damage(format!("unknown channel {}", record.channel.0))))?;
        if record.stamp.seq > seq || record.stamp.seq > folded {
            let data = read_data(record.form, record.json).map_err(place)?;
            contents.live.add_data(record.channel, record.stamp, &data, at);
        }
    }
    contents.live.note_committed(stored.last);
    contents.log.push(stored.row(at));
    Ok(())
}

/// Where the numbers go on.
#[derive(Clone, Debug)]
pub(super) struct Continued {
    pub(super) last_offset: Offset,
    /// The gap that an end without a word has left.
    pub(super) gap: Option<Gap>,
}

/// Decides where the numbers go on after what `meta` says of the end.
pub(super) fn go_on(meta: &Meta, log: &Log, gaps: &[Gap]) -> Continued {
    if let Some(clean) = meta.clean {
        return Continued { last_offset: clean, gap: None };
    }
    // Gaps that have nothing stored between them are one.
    let first = gaps.last().filter(|gap| gap.last >= log.last && gap.reason == GapReason::Crash);
    let first = first.map_or(Offset(log.last.0 + 1), |gap| gap.first);
    let gap = Gap { first, last: meta.reserved, reason: GapReason::Crash };
    Continued { last_offset: meta.reserved, gap: Some(gap) }
}

/// What the gateway is told.
pub(super) fn restored(meta: &Meta, contents: &mut Contents, last_offset: Offset) -> Restored {
    let Contents { live, gaps, rows, .. } = contents;
    let lost = |stored| gaps.iter().map(|gap| gap.lost_after(stored)).sum::<u64>();
    let channel = |(_, channel): (ChannelId, &Channel)| {
        let stamp = channel.value.as_ref()?.0;
        Some(RestoredChannel {
            name: channel.name.clone(),
            kind: channel.kind,
            seq: Seq(stamp.seq.0 + lost(stamp.offset)),
            stamp,
            value: channel.known_value().cloned(),
            pruned_seq: channel.pruned,
        })
    };
    Restored {
        epoch: meta.epoch.clone(),
        last_offset,
        channels: live.iter().filter_map(channel).collect(),
        new_channels_after: Seq(lost(Offset(0))),
        rows: std::mem::take(rows),
        gaps: gaps.clone(),
        log_first: Offset(meta.log_pruned.0 + 1),
    }
}
