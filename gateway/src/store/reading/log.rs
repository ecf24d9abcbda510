//! Reading the log: everything after an offset, for who resumes.

use super::{
    super::{
        error::Place,
        gap::Gap,
        reader::{LogPage, Reader, Unread},
        record::{ChannelId, Damage, Record},
        schema::Meta,
        stored::StoredLogRow,
    },
    for_each, rebuild,
};
use bridge::update::ChannelKind;
use protocol::{Offset, TopicFilter, TopicName};
use rusqlite::Connection;
use std::{collections::HashMap, ops::ControlFlow};

/// A page of the log looks at so many bytes at most, also where nothing in them is wanted.
const LOOK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// No offset is greater: it fits a column.
const OFFSET_MAX: Offset = Offset(i64::MAX as u64);

impl Reader {
    /// See [`crate::store::StoreHandle::log`].
    pub(in crate::store) fn log(
        &self,
        after: Offset,
        filters: &[TopicFilter],
        bytes_max: usize,
    ) -> Result<LogPage, Unread> {
        // What is newer in the database may have channels that memory does not know yet.
        let committed = self.live().committed();
        let after = after.min(OFFSET_MAX);
        let transaction = self.connection.unchecked_transaction()?;
        check_continuity(&transaction, after)?;
        let mut page = LogReading {
            reader: self,
            filters,
            wanted: HashMap::new(),
            page: LogPage { updates: Vec::new(), through: after, at_end: true },
            after,
            bytes_left: bytes_max,
            look_left: LOOK_BYTES_MAX,
        };
        let sql = "SELECT first, last, body FROM log
            WHERE first >= (SELECT coalesce(max(first), 0) FROM log WHERE first <= ?1)
            AND first <= ?2 ORDER BY first";
        let mut follows = None;
        for_each(&transaction, sql, (after.0, committed.0), StoredLogRow::read, |row| {
            page.take(&row, &mut follows)
        })?;
        let mut page = page.page;
        if page.at_end {
            page.through = page.through.max(committed);
        }
        Ok(page)
    }
}

/// Whether everything after `after` that was kept is in the log.
fn check_continuity(connection: &Connection, after: Offset) -> Result<(), Unread> {
    let index = |damage| Unread::Damaged(Place::Index, damage);
    let meta = Meta::read(connection)?.map_err(index)?;
    let meta = meta.ok_or_else(|| index(Damage::new("the row of table meta is missing")))?;
    if after < meta.log_pruned {
        return Err(Unread::Gone);
    }
    let sql = "SELECT * FROM gap ORDER BY first_offset DESC LIMIT 1";
    let mut newest = None;
    for_each(connection, sql, [], Gap::read, |gap| {
        newest = Some(gap.map_err(index)?);
        Ok(ControlFlow::Break(()))
    })?;
    if newest.is_some_and(|gap| gap.last > after) { Err(Unread::Gone) } else { Ok(()) }
}

/// A page of the log while it is read.
struct LogReading<'a> {
    reader: &'a Reader,
    filters: &'a [TopicFilter],
    wanted: HashMap<ChannelId, Option<(TopicName, ChannelKind)>>,
    page: LogPage,
    after: Offset,
    bytes_left: usize,
    look_left: usize,
}

impl LogReading<'_> {
    fn take(
        &mut self,
        row: &StoredLogRow,
        follows: &mut Option<Offset>,
    ) -> Result<ControlFlow<()>, Unread> {
        if self.bytes_left == 0 || self.look_left == 0 {
            self.page.at_end = false;
            return Ok(ControlFlow::Break(()));
        }
        let damaged = |damage| Unread::Damaged(Place::Log(row.first), damage);
        let (after, records) = row.open().map_err(damaged)?;
        if follows.map_or(after > self.after, |before| after != before) {
            return Err(damaged(Damage::new("what was kept before it is missing")));
        }
        *follows = Some(row.last);
        self.look_left = self.look_left.saturating_sub(records.len());
        for record in records.iter() {
            let record = record.map_err(damaged)?;
            if record.stamp.offset <= self.after {
                continue;
            }
            if self.bytes_left == 0 {
                self.page.at_end = false;
                return Ok(ControlFlow::Break(()));
            }
            self.page.through = record.stamp.offset;
            self.add(record).map_err(damaged)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn add(&mut self, record: Record<'_>) -> Result<(), Damage> {
        let (reader, filters) = (self.reader, self.filters);
        let channel = self.wanted.entry(record.channel).or_insert_with(|| {
            let live = reader.live();
            let channel = live.get(record.channel)?;
            let matches = |filter: &TopicFilter| filter.matches(channel.name.as_str());
            filters.iter().any(matches).then(|| (channel.name.clone(), channel.kind))
        });
        if let Some((name, kind)) = channel {
            let update = rebuild(name, *kind, record)?;
            self.bytes_left = self.bytes_left.saturating_sub(update.text().len());
            self.page.updates.push(update);
        }
        Ok(())
    }
}
