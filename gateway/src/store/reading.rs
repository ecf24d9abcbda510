//! What the reader does for each question about a channel; the log is read in `log`.

mod log;

use super::{
    block::Block,
    error::Place,
    in_time,
    live::Channel,
    reader::{Past, PastRow, RangePage, Reader, Unread},
    record::{ChannelId, Damage, Record, Records, read_data},
};
use bridge::update::{ChannelKind, Stamp, Update};
use protocol::{Offset, Seq, Timestamp, TopicName};
use rusqlite::{Connection, Params, Row, Transaction};
use std::{ops::ControlFlow, sync::Arc};

/// An answer by time has so many bytes of JSON at most, where updates in order of time allow it.
const PAST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One channel as it is in memory at the beginning of a read. All before its first update that is not
/// folded is in blocks that any later state of the database has.
struct Seen {
    id: ChannelId,
    channel: Channel,
    through: Offset,
    /// By its rule, history has nothing older.
    oldest: Timestamp,
}

impl Seen {
    /// The first number that memory has; what blocks have from there on came meanwhile.
    fn first(&self) -> Seq {
        let first = self.channel.unfolded().first().and_then(|part| part.records.summary());
        first.map_or(Seq(u64::MAX), |summary| summary.first.seq)
    }

    fn place(&self, (from, to): (Seq, Seq)) -> Place {
        Place::Channel { channel: self.channel.name.clone(), from, to }
    }

    fn rebuild(&self, record: Record<'_>) -> Result<Arc<Update>, Unread> {
        rebuild(&self.channel.name, self.channel.kind, record).map_err(|damage| {
            Unread::Damaged(self.place((record.stamp.seq, record.stamp.seq)), damage)
        })
    }
}

fn rebuild(name: &TopicName, kind: ChannelKind, record: Record<'_>) -> Result<Arc<Update>, Damage> {
    let data = read_data(record.form, record.json)?;
    Ok(Arc::new(Update::new(name.clone(), kind, record.stamp, data)))
}

impl Reader {
    /// See [`super::StoreHandle::range`].
    pub(super) fn range(
        &self,
        name: &TopicName,
        (from, to): (Seq, Seq),
        bytes_max: usize,
    ) -> Result<RangePage, Unread> {
        let seen = self.see(name).filter(|seen| to <= seen.channel.seq()).ok_or(Unread::Gone)?;
        let transaction = self.connection.unchecked_transaction()?;
        let mut range = RangeReading { next: from, to, left: bytes_max, updates: Vec::new() };
        let sql = "SELECT id, first_seq, last_seq FROM block
            WHERE channel = ?1 AND last_seq >= ?2 AND first_seq <= ?3 AND first_seq < ?4 ORDER BY last_seq";
        let first = i64::try_from(seen.first().0).unwrap_or(i64::MAX);
        let bounds = (seen.id.0, from.0, to.0, first);
        for_each(&transaction, sql, bounds, BlockRow::read, |block| {
            range.take(&seen, &block.open(&transaction, &seen)?)
        })?;
        for part in seen.channel.unfolded() {
            if range.take(&seen, &part.records)?.is_break() {
                break;
            }
        }
        if range.updates.is_empty() {
            return Err(Unread::Gone);
        }
        Ok(RangePage { updates: range.updates, at_end: range.next > to })
    }

    /// See [`super::StoreHandle::newest`].
    pub(super) fn newest(&self, name: &TopicName, count: usize) -> Result<Past, Unread> {
        let Some(seen) = self.see(name) else { return Ok(self.nothing()) };
        let transaction = self.connection.unchecked_transaction()?;
        let mut past = Past { through: seen.through, at_end: true, ..Past::default() };
        for part in seen.channel.unfolded() {
            past.take(&seen, &part.records, |stamp| stamp.timestamp >= seen.oldest)?;
        }
        let sql = "SELECT id, first_seq, last_seq FROM block
            WHERE channel = ?1 AND first_seq < ?2 ORDER BY last_seq DESC";
        let first = i64::try_from(seen.first().0).unwrap_or(i64::MAX);
        if past.rows.len() < count {
            for_each(&transaction, sql, (seen.id.0, first), BlockRow::read, |block| {
                let records = block.open(&transaction, &seen)?;
                past.take(&seen, &records, |stamp| {
                    stamp.seq < seen.first() && stamp.timestamp >= seen.oldest
                })?;
                let enough = past.rows.len() >= count || past.text.len() > PAST_BYTES_MAX;
                Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
        }
        past.rows.sort_by_key(|row| row.stamp.seq);
        past.rows.drain(..past.rows.len().saturating_sub(count));
        past.rows.sort_by_key(|row| in_time(&row.stamp));
        Ok(past)
    }

    /// See [`super::StoreHandle::between`].
    pub(super) fn between(
        &self,
        name: &TopicName,
        (from, to, cursor): (Timestamp, Timestamp, Option<(Timestamp, Seq)>),
        limit: usize,
    ) -> Result<Past, Unread> {
        let Some(seen) = self.see(name) else { return Ok(self.nothing()) };
        let transaction = self.connection.unchecked_transaction()?;
        let from = cursor.map_or(from, |(at, _)| from.max(at)).max(seen.oldest);
        let wanted = |stamp: &Stamp| {
            let in_range = from <= stamp.timestamp && stamp.timestamp < to;
            in_range && cursor.is_none_or(|cursor| in_time(stamp) > cursor)
        };
        let mut past = Past { through: seen.through, at_end: true, ..Past::default() };
        for part in seen.channel.unfolded() {
            past.take(&seen, &part.records, wanted)?;
        }
        let sql = "SELECT id, first_seq, last_seq, min_ts FROM block
            WHERE channel = ?1 AND max_ts >= ?2 AND min_ts < ?3 ORDER BY min_ts";
        let read = |row: &Row<'_>| Ok((BlockRow::read(row)?, Timestamp(row.get(3)?)));
        for_each(&transaction, sql, (seen.id.0, from.0, to.0), read, |(block, begins)| {
            if past.stop_before(begins, limit).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let records = block.open(&transaction, &seen)?;
            past.take(&seen, &records, |stamp| stamp.seq < seen.first() && wanted(stamp))?;
            Ok(ControlFlow::Continue(()))
        })?;
        past.rows.sort_by_key(|row| in_time(&row.stamp));
        past.at_end &= past.rows.len() <= limit;
        past.rows.truncate(limit);
        Ok(past)
    }

    fn see(&self, name: &TopicName) -> Option<Seen> {
        let live = self.live();
        let id = live.id(name)?;
        let channel = live.get(id)?.clone();
        let expired = live.rule(&channel).and_then(|rule| rule.expired((self.clock)()));
        let oldest = expired.unwrap_or(Timestamp(i64::MIN));
        Some(Seen { id, channel, through: live.committed(), oldest })
    }

    fn nothing(&self) -> Past {
        Past { through: self.live().committed(), at_end: true, ..Past::default() }
    }
}

/// Calls `act` on each row until it says stop.
fn for_each<T>(
    connection: &Connection,
    sql: &str,
    bounds: impl Params,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    mut act: impl FnMut(T) -> Result<ControlFlow<()>, Unread>,
) -> Result<(), Unread> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(bounds)?;
    while let Some(row) = rows.next()? {
        if act(read(row)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Where a block is and what it says it has.
struct BlockRow {
    id: u64,
    first: Seq,
    last: Seq,
}

impl BlockRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, first: Seq(row.get(1)?), last: Seq(row.get(2)?) })
    }

    /// Its updates, if they are those of this channel and of these numbers.
    fn open(&self, transaction: &Transaction<'_>, seen: &Seen) -> Result<Records, Unread> {
        let sql = "SELECT body FROM block WHERE id = ?1";
        let body: Vec<u8> =
            transaction.prepare_cached(sql)?.query_row([self.id], |row| row.get(0))?;
        let damaged = |damage| Unread::Damaged(seen.place((self.first, self.last)), damage);
        let block = Block::open(&body).map_err(damaged)?;
        let numbers = (block.summary.first.seq, block.summary.last.seq);
        let is_of_channel = block.channel == seen.id && block.name == seen.channel.name;
        if !is_of_channel || numbers != (self.first, self.last) {
            return Err(damaged(Damage::new("a body of another row")));
        }
        Ok(block.records)
    }
}

/// A range of numbers while it is read.
struct RangeReading {
    next: Seq,
    to: Seq,
    left: usize,
    updates: Vec<Arc<Update>>,
}

impl RangeReading {
    /// Takes what is wanted of `records`, over holes; stops where there is enough.
    fn take(&mut self, seen: &Seen, records: &Records) -> Result<ControlFlow<()>, Unread> {
        for record in records.iter() {
            let whole = |damage| Unread::Damaged(seen.place((self.next, self.to)), damage);
            let record = record.map_err(whole)?;
            if record.stamp.seq < self.next {
                continue;
            }
            if record.stamp.seq > self.to || self.left == 0 {
                return Ok(ControlFlow::Break(()));
            }
            self.next = Seq(record.stamp.seq.0 + 1);
            let update = seen.rebuild(record)?;
            self.left = self.left.saturating_sub(update.text().len());
            self.updates.push(update);
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Past {
    /// Takes what is wanted of `records`.
    fn take(
        &mut self,
        seen: &Seen,
        records: &Records,
        wanted: impl Fn(&Stamp) -> bool,
    ) -> Result<(), Unread> {
        for record in records.iter() {
            let all = (Seq(1), seen.channel.seq());
            let record = record.map_err(|damage| Unread::Damaged(seen.place(all), damage))?;
            if wanted(&record.stamp) {
                let start = self.text.len();
                self.text.push_str(record.json);
                let end = self.text.len();
                self.rows.push(PastRow { stamp: record.stamp, start, end });
            }
        }
        Ok(())
    }

    /// Stops before a block that begins at `begins` if there is enough that nothing in it can precede.
    fn stop_before(&mut self, begins: Timestamp, limit: usize) -> ControlFlow<()> {
        let heavy = self.text.len() > PAST_BYTES_MAX;
        if self.rows.len() < limit && !heavy {
            return ControlFlow::Continue(());
        }
        self.rows.sort_by_key(|row| in_time(&row.stamp));
        let sure = self.rows.partition_point(|row| row.stamp.timestamp < begins);
        if sure >= limit || heavy && sure > 0 {
            self.rows.truncate(sure);
            self.at_end = false;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
