//! Blocks: many updates of one channel, packed, as rows of the database.

use super::{
    commit::no_memory,
    record::{Body, ChannelId, Damage, Label, Packer, Records, Summary, unpack},
    restore::{Trouble, each},
};
use protocol::TopicName;
use rusqlite::{Connection, Row, params};

/// Writes a block of the channel; in place of the one with this id.
///
/// # Errors
/// SQLite's.
pub(super) fn write_block(
    connection: &Connection,
    packer: &mut Packer,
    id: Option<u64>,
    (channel, name): (ChannelId, &TopicName),
    records: &Records,
) -> rusqlite::Result<()> {
    let label = Label::Block { channel, name: name.clone() };
    let body = packer.pack(&label, records).map_err(no_memory)?;
    let summary = records.summary().expect("a block has records");
    let sql = "INSERT OR REPLACE INTO block VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(sql)?.execute(params![
        id,
        channel.0,
        summary.first.seq.0,
        summary.last.seq.0,
        summary.min.0,
        summary.max.0,
        body.len() as u64,
        body
    ])?;
    Ok(())
}

/// What the body of a block says; its row has nothing beside it that is not in here.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) channel: ChannelId,
    pub(super) name: TopicName,
    pub(super) summary: Summary,
    pub(super) records: Records,
}

impl Block {
    /// Unpacks it.
    ///
    /// # Errors
    /// [`Damage`] when it is not what was written.
    pub(super) fn open(body: &[u8]) -> Result<Self, Damage> {
        let Body { label, summary, records } = unpack(body)?;
        match label {
            Label::Block { channel, name } => Ok(Self { channel, name, summary, records }),
            Label::Log { .. } => Err(Damage::new("a body of the log")),
        }
    }
}

/// What past updates say is what was written, in every block.
///
/// # Errors
/// The first that does not check, or SQLite's.
pub(super) fn check_bodies(connection: &Connection) -> Result<(), Trouble> {
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    each(connection, "SELECT id, body FROM block", read, |(id, body): (u64, Vec<u8>)| {
        Block::open(&body).map(drop).map_err(|damage| Damage(format!("the block {id}: {damage}")))
    })
}
