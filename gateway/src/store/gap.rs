//! Gaps: offsets that were given out and not stored, as rows of the database.

use super::{record::Damage, schema};
use protocol::Offset;
use rusqlite::{Connection, Row, params};

/// Offsets that were given out and not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub first: Offset,
    /// The last of them.
    pub last: Offset,
    /// Why.
    pub reason: GapReason,
}

/// Why offsets were not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// The gateway ended without a word: nobody knows how many were used.
    Crash,
    /// More waited than there was room for, as the disk was full, slow or broken.
    Overflow,
}

impl GapReason {
    const fn code(self) -> u64 {
        match self {
            Self::Crash => 0,
            Self::Overflow => 1,
        }
    }

    fn from_code(code: u64) -> Result<Self, Damage> {
        match code {
            0 => Ok(Self::Crash),
            1 => Ok(Self::Overflow),
            unknown => Err(Damage(format!("a gap for the unknown reason {unknown}"))),
        }
    }
}

impl Gap {
    /// Writes it; in place of one with the same beginning.
    ///
    /// # Errors
    /// SQLite's.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO gap VALUES (?1, ?2, ?3, ?4)";
        let (first, last, reason) = (self.first.0, self.last.0, self.reason.code());
        connection.prepare_cached(sql)?.execute(params![first, last, reason, self.checksum()])?;
        Ok(())
    }

    fn checksum(&self) -> u32 {
        schema::checksum(&[self.first.0, self.last.0, self.reason.code()], &[])
    }

    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<Self, Damage>> {
        let (first, last) = (Offset(row.get(0)?), Offset(row.get(1)?));
        let reason = match GapReason::from_code(row.get(2)?) {
            Ok(reason) => reason,
            Err(damage) => return Ok(Err(damage)),
        };
        let gap = Self { first, last, reason };
        let whole = row.get::<_, u32>(3)? == gap.checksum();
        Ok(if whole { Ok(gap) } else { Err(Damage(format!("the row of gap {first}"))) })
    }

    /// How many numbers a channel may have lost in it whose newest stored update has this offset.
    pub(super) fn lost_after(&self, stored: Offset) -> u64 {
        let before = stored.0.max(self.first.0.saturating_sub(1));
        self.last.0.saturating_sub(before)
    }
}
