//! A commit: what was taken goes into the log, all of it or nothing.

use super::{
    gap::{Gap, GapReason},
    live::{Channel, Live},
    pending::{Lost, Taken},
    record::{ChannelId, Label, Records},
    row::{self, Table, read_forgotten},
    schema,
    writer::{LogRow, Writer},
};
use ahash::HashMap;
use bridge::update::Update;
use protocol::{Offset, Timestamp, TopicName};
use rusqlite::{Connection, params};
use std::sync::{Arc, PoisonError};

/// A row of the log has about so many bytes before packing, so that a reader takes in a little at a time.
const ROW_BYTES: usize = 1024 * 1024;

/// A row of the log that is ready to be written.
struct Prepared {
    row: LogRow,
    body: Vec<u8>,
}

impl Writer {
    /// Writes what was taken.
    ///
    /// # Errors
    /// SQLite's; nothing is changed then.
    pub(super) fn write(&mut self, taken: &Taken) -> rusqlite::Result<()> {
        #[cfg(test)]
        self.bound_pages()?;
        let live = Arc::clone(&self.live);
        let (ids, new) = {
            let live = live.lock().unwrap_or_else(PoisonError::into_inner);
            name_channels(&live, taken.updates())
        };
        let now = (self.settings.clock)();
        let rows = self.prepare(&ids, taken.updates(), now)?;
        let before = self.log.last;
        schema::immediately(&mut self.connection, |connection| {
            if let Some(Lost { first, last }) = taken.lost {
                Gap { first, last, reason: GapReason::Overflow }.write(connection)?;
            }
            for (name, id) in &new {
                write_channel(connection, *id, &Channel::new(name.clone()))?;
            }
            if !rows.is_empty() {
                // A commit that failed may have come through all the same: what it left is written anew.
                let left = "DELETE FROM log WHERE first > ?1";
                connection.prepare_cached(left)?.execute([before.0])?;
            }
            rows.iter().try_for_each(|row| write_row(connection, row))?;
            taken.rows.iter().try_for_each(|((table, key), body)| {
                row::write(connection, *table, key, body.as_deref())
            })
        })?;
        let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, id) in new {
            live.insert(id, Channel::new(name));
        }
        for ((table, name), body) in &taken.rows {
            if let (Table::Forgotten, Some(body)) = (table, body)
                && let Ok((name, offset)) = read_forgotten(name, body)
            {
                live.forget(name, offset);
            }
        }
        for (update, id) in taken.updates().zip(ids) {
            live.add_data(id, update.stamp, &update.data, now);
        }
        live.note_committed(taken.settled);
        rows.iter().for_each(|prepared| self.log.push(prepared.row));
        Ok(())
    }

    /// Packs the updates into rows.
    fn prepare<'a>(
        &mut self,
        ids: &[ChannelId],
        updates: impl Iterator<Item = &'a Arc<Update>>,
        now: Timestamp,
    ) -> rusqlite::Result<Vec<Prepared>> {
        let mut prepared = Vec::new();
        let mut records = Records::default();
        let mut after = self.log.last;
        let mut updates = updates.zip(ids).peekable();
        while let Some((update, id)) = updates.next() {
            records.push_data(*id, update.stamp, &update.data);
            if records.len() >= ROW_BYTES || updates.peek().is_none() {
                let row = self.pack(after, &std::mem::take(&mut records), now)?;
                after = row.row.last;
                prepared.push(row);
            }
        }
        Ok(prepared)
    }

    fn pack(
        &mut self,
        after: Offset,
        records: &Records,
        at: Timestamp,
    ) -> rusqlite::Result<Prepared> {
        let body = self.packer.pack(&Label::Log { after }, records).map_err(no_memory)?;
        let summary = records.summary().expect("a row has records");
        let (first, last) = (summary.first.offset, summary.last.offset);
        Ok(Prepared { row: LogRow { first, last, bytes: body.len() as u64, at }, body })
    }

    #[cfg(test)]
    fn bound_pages(&self) -> rusqlite::Result<()> {
        let pages = self.shared.pages_max.load(std::sync::atomic::Ordering::Relaxed);
        let pages = if pages == 0 { u32::MAX - 1 } else { pages };
        self.connection.query_one(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
    }
}

/// Packing fails for want of memory only.
pub(super) fn no_memory(error: std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

/// The id of each update's channel, and the channels that are new.
fn name_channels<'a>(
    live: &Live,
    updates: impl Iterator<Item = &'a Arc<Update>>,
) -> (Vec<ChannelId>, Vec<(TopicName, ChannelId)>) {
    let mut new: HashMap<&'a TopicName, ChannelId> = HashMap::default();
    let mut next = live.next_id();
    let ids = updates.map(|update| {
        live.id(&update.channel).unwrap_or_else(|| {
            *new.entry(&update.channel).or_insert_with(|| {
                let id = next;
                next.0 += 1;
                id
            })
        })
    });
    let ids = ids.collect();
    (ids, new.into_iter().map(|(name, id)| (name.clone(), id)).collect())
}

fn write_row(connection: &Connection, prepared: &Prepared) -> rusqlite::Result<()> {
    let Prepared { row, body } = prepared;
    let sql = "INSERT INTO log VALUES (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![row.first.0, row.last.0, body])?;
    Ok(())
}

/// Writes the row of a channel as it is in memory.
///
/// # Errors
/// SQLite's.
pub(super) fn write_channel(
    connection: &Connection,
    id: ChannelId,
    channel: &Channel,
) -> rusqlite::Result<()> {
    let row = super::stored::ChannelRow::of(id, channel);
    let sql = "INSERT INTO channel VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
        ON CONFLICT (id) DO UPDATE SET seq = ?3, \"offset\" = ?4, timestamp = ?5, value = ?6,
        folded_seq = ?7, pruned_seq = ?8, blocks = ?9, checksum = ?10";
    connection.prepare_cached(sql)?.execute(params![
        row.id.0,
        row.name,
        row.stamp.seq.0,
        row.stamp.offset.0,
        row.stamp.timestamp.0,
        row.value,
        row.folded.0,
        row.pruned.0,
        row.blocks,
        row.checksum()
    ])?;
    Ok(())
}
