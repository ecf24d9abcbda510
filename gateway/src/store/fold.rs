//! Folding: what lies in the log and in memory becomes blocks of its channel, and the log gets shorter.

use super::{
    Rule,
    block::write_block,
    commit::write_channel,
    live::{BLOCK_BYTES, BLOCK_UPDATES, Channel, Part, is_within},
    record::{ChannelId, Damage, Label, Packer, Records, unpack},
    schema,
    writer::Writer,
};
use protocol::{Millis, Timestamp};
use rusqlite::{Connection, OptionalExtension};
use std::sync::{Arc, PoisonError};

/// So many channels are folded at once, so that a commit does not wait long.
const FOLDS_AT_ONCE: usize = 64;

/// So many rows of the log go at once.
const ROWS_AT_ONCE: usize = 256;

/// Updates in no block take so much memory at most; beyond, blocks are written before they are full.
pub(super) const UNFOLDED_BYTES_MAX: usize = 32 * 1024 * 1024;

impl Writer {
    /// Folds what is full or must go, and drops from the log what is too much.
    ///
    /// # Errors
    /// SQLite's; nothing is changed then.
    pub(super) fn fold_and_shrink(&mut self) -> rusqlite::Result<()> {
        let expires = self.settings.expires(self.log.oldest());
        let excess = self.log.excess(self.settings.recovery_bytes, expires, ROWS_AT_ONCE);
        let ids = {
            let live = self.live();
            let mut ids = live.full(FOLDS_AT_ONCE);
            let pinned = excess
                .last()
                .is_some_and(|row| live.oldest_unfolded().is_some_and(|oldest| oldest <= row.last));
            if pinned || live.unfolded_bytes() > UNFOLDED_BYTES_MAX {
                ids.extend(live.oldest(FOLDS_AT_ONCE));
                ids.sort_unstable();
                ids.dedup();
            }
            ids
        };
        self.fold(&ids)?;
        let oldest = self.live().oldest_unfolded();
        let free = |last| oldest.is_none_or(|oldest| last < oldest);
        let Some(row) = excess.iter().rev().find(|row| free(row.last)) else { return Ok(()) };
        let meta = schema::Meta { log_pruned: row.last, ..self.meta.clone() };
        schema::immediately(&mut self.connection, |connection| {
            let sql = "DELETE FROM log WHERE first <= ?1";
            connection.prepare_cached(sql)?.execute([row.first.0])?;
            meta.write(connection)
        })?;
        self.meta = meta;
        self.log.forget(row.last);
        Ok(())
    }

    /// Writes all that these channels have in no block into blocks.
    fn fold(&mut self, ids: &[ChannelId]) -> rusqlite::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let live = Arc::clone(&self.live);
        let folding: Vec<(ChannelId, Channel, Option<Millis>)> = {
            let live = live.lock().unwrap_or_else(PoisonError::into_inner);
            let with_span = |id: &ChannelId| {
                let channel = live.get(*id)?;
                Some((*id, channel.clone(), live.rule(channel).and_then(Rule::span)))
            };
            ids.iter().filter_map(with_span).collect()
        };
        let packer = &mut self.packer;
        let shared = &self.shared;
        let added = schema::immediately(&mut self.connection, |connection| {
            let mut added = Vec::new();
            for (id, channel, span) in &folding {
                let mut fold = Fold { connection, packer, id: *id, channel, span: *span };
                let blocks = fold.channel(|damage| {
                    shared.note_damage(&channel.name, &damage);
                })?;
                let folded = channel.last_unfolded().unwrap_or(channel.folded);
                let mut now = channel.clone();
                (now.folded, now.blocks) = (folded, channel.blocks + blocks);
                write_channel(connection, *id, &now)?;
                added.push(blocks);
            }
            Ok(added)
        })?;
        let mut live = live.lock().unwrap_or_else(PoisonError::into_inner);
        for ((id, ..), added) in folding.iter().zip(added) {
            live.folded(*id, added);
        }
        Ok(())
    }
}

/// The folding of one channel.
struct Fold<'a> {
    connection: &'a Connection,
    packer: &'a mut Packer,
    id: ChannelId,
    channel: &'a Channel,
    /// What a block has came within so long.
    span: Option<Millis>,
}

/// The last block of a channel, where it has room for more.
struct Last {
    id: u64,
    records: Records,
}

impl Fold<'_> {
    /// Writes the blocks; how many there are more.
    fn channel(&mut self, damaged: impl FnOnce(Damage)) -> rusqlite::Result<u64> {
        let mut added = 0;
        let [first, rest @ ..] = self.channel.unfolded() else { return Ok(0) };
        match self.last_with_room(first, damaged)? {
            Some(last) => {
                let records = joined(last.records, &first.records);
                self.write(Some(last.id), &records)?;
            }
            None => {
                self.write(None, &first.records)?;
                added += 1;
            }
        }
        for part in rest {
            self.write(None, &part.records)?;
            added += 1;
        }
        Ok(added)
    }

    /// The last block, if `more` still fits in: so a slow channel does not make thousands of small ones.
    fn last_with_room(
        &self,
        more: &Part,
        damaged: impl FnOnce(Damage),
    ) -> rusqlite::Result<Option<Last>> {
        let sql = "SELECT id, last_seq - first_seq, bytes, min_ts FROM block
            WHERE channel = ?1 ORDER BY last_seq DESC LIMIT 1";
        let last = self.connection.prepare_cached(sql)?.query_row([self.id.0], |row| {
            let (id, numbers, bytes) =
                (row.get(0)?, row.get::<_, u64>(1)?, row.get::<_, usize>(2)?);
            Ok((id, numbers, bytes, Timestamp(row.get(3)?)))
        });
        let Some((id, numbers, bytes, oldest)) = last.optional()? else { return Ok(None) };
        // When one of before this start began, its timestamps tell best.
        let began = self.channel.block_began.unwrap_or(oldest);
        let (ended, more) = (more.ended, &more.records);
        let too_much =
            numbers + 1 + more.count() > BLOCK_UPDATES || bytes + more.len() > BLOCK_BYTES;
        if too_much || !is_within(self.span, began, ended) {
            return Ok(None);
        }
        self.read(id, damaged)
            .map(|last| last.filter(|last| last.records.len() + more.len() <= BLOCK_BYTES))
    }

    /// The block with this id; none: it is damaged.
    fn read(&self, id: u64, damaged: impl FnOnce(Damage)) -> rusqlite::Result<Option<Last>> {
        let sql = "SELECT body FROM block WHERE id = ?1";
        let body: Vec<u8> =
            self.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?;
        match unpack(&body).and_then(|body| self.check(body)) {
            Ok(records) => Ok(Some(Last { id, records })),
            Err(damage) => {
                damaged(damage);
                Ok(None)
            }
        }
    }

    fn check(&self, body: super::record::Body) -> Result<Records, Damage> {
        let label = Label::Block { channel: self.id, name: self.channel.name.clone() };
        body.records.iter().try_for_each(|record| record.map(drop))?;
        if body.label == label {
            Ok(body.records)
        } else {
            Err(Damage::new("another block's body"))
        }
    }

    fn write(&mut self, id: Option<u64>, records: &Records) -> rusqlite::Result<()> {
        let of = (self.id, &self.channel.name);
        write_block(self.connection, self.packer, id, of, records)
    }
}

/// `more` behind `records`.
fn joined(records: Records, more: &Records) -> Records {
    let mut both = Records::default();
    for record in records.iter().chain(more.iter()) {
        both.push(record.expect("both were read through"));
    }
    both
}
