//! The log of a damaged file: what is left of it, with a gap where something is missing.

use super::{LOG, Salvage, Taken};
use crate::store::{
    commit::no_memory,
    gap::{Gap, GapReason},
    record::{Label, Records, Summary, read_data},
    stored::StoredLogRow,
};
use protocol::Offset;
use rusqlite::params;

/// How far the log is taken over.
struct Following {
    /// Through where it was pruned, as far as that is known.
    pruned: Option<Offset>,
    /// The last offset that was taken.
    before: Option<Offset>,
    /// What the first row that was taken follows.
    first_after: Option<Offset>,
    /// Rows that do not follow the one before, or are not whole.
    holes: u64,
}

impl Salvage {
    /// Takes the log over; gives through where it is pruned.
    pub(super) fn log(&mut self, pruned: Option<Offset>) -> rusqlite::Result<Offset> {
        let mut log = Following { pruned, before: None, first_after: pruned, holes: 0 };
        let read = |row: &rusqlite::Row<'_>| Ok(Ok(StoredLogRow::read(row)?));
        self.rows(LOG, read, |salvage, row| salvage.log_row(&row, &mut log))?;
        if let Some(table) = self.tables.last_mut() {
            table.lost = table.lost.max(log.holes);
        }
        Ok(log.first_after.unwrap_or(self.last))
    }

    fn log_row(&mut self, row: &StoredLogRow, log: &mut Following) -> rusqlite::Result<Taken> {
        let Ok((after, all)) = row.open() else { return Ok(Taken::No) };
        let records = self.of_known_channels(&all);
        let Some(Summary { first, last, .. }) = records.summary() else { return Ok(Taken::No) };
        let (first, last) = (first.offset, last.offset);
        let follows = log.before.or(log.pruned).is_none_or(|before| before == after);
        if !follows || records.count() != all.count() {
            log.holes += 1;
        }
        let after = match log.before {
            None => *log.first_after.insert(after),
            Some(before) => {
                if !follows || first != row.first {
                    let (first, last) = (Offset(before.0 + 1), Offset(first.0 - 1));
                    Gap { first, last, reason: GapReason::Crash }.write(&self.new)?;
                }
                before
            }
        };
        let body = self.packer.pack(&Label::Log { after }, &records).map_err(no_memory)?;
        let sql = "INSERT INTO log VALUES (?1, ?2, ?3)";
        self.new.prepare_cached(sql)?.execute(params![first.0, last.0, body])?;
        log.before = Some(last);
        self.last = self.last.max(row.last);
        Ok(Taken::Yes)
    }

    /// Those that read, of channels whose names are left: what one has lost takes no other's updates with it.
    fn of_known_channels(&self, records: &Records) -> Records {
        let mut known = Records::default();
        let read = records.iter().filter_map(Result::ok);
        read.filter(|record| self.channels.contains_key(&record.channel))
            .filter(|record| read_data(record.form, record.json).is_ok())
            .for_each(|record| known.push(record));
        known
    }
}
