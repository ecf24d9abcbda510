//! Rows of channels and of the log as they lie in the database.

use super::{
    live::Channel,
    record::{ChannelId, Damage, Label, Records, data_column, read_data_column, unpack},
    schema,
    writer::LogRow,
};
use bridge::update::Stamp;
use protocol::{Offset, Seq, Timestamp};
use rusqlite::Row;

/// The row of a channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelRow {
    pub(super) id: ChannelId,
    pub(super) name: String,
    pub(super) stamp: Stamp,
    pub(super) value: String,
    pub(super) folded: Seq,
    pub(super) pruned: Seq,
    pub(super) blocks: u64,
}

impl ChannelRow {
    /// The row of a channel as it is in memory.
    pub(super) fn of(id: ChannelId, channel: &Channel) -> Self {
        let none = Stamp { seq: Seq(0), offset: Offset(0), timestamp: Timestamp(0) };
        let value = channel.value.as_ref();
        Self {
            id,
            name: channel.name.as_str().into(),
            stamp: value.map_or(none, |(stamp, _)| *stamp),
            value: value.map_or(String::new(), |(_, data)| data_column(data)),
            folded: channel.folded,
            pruned: channel.pruned,
            blocks: channel.blocks,
        }
    }

    pub(super) fn checksum(&self) -> u32 {
        let Self { id, name, stamp, value, folded, pruned, blocks } = self;
        let time = stamp.timestamp.0.cast_unsigned();
        let numbers = [id.0, stamp.seq.0, stamp.offset.0, time, folded.0, pruned.0, *blocks];
        schema::checksum(&numbers, &[name.as_bytes(), value.as_bytes()])
    }

    /// Reads `id, name, seq, offset, timestamp, value, folded_seq, pruned_seq, blocks, checksum`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<Self, Damage>> {
        let read = Self {
            id: ChannelId(row.get(0)?),
            name: row.get(1)?,
            stamp: Stamp {
                seq: Seq(row.get(2)?),
                offset: Offset(row.get(3)?),
                timestamp: Timestamp(row.get(4)?),
            },
            value: row.get(5)?,
            folded: Seq(row.get(6)?),
            pruned: Seq(row.get(7)?),
            blocks: row.get(8)?,
        };
        let whole = row.get::<_, u32>(9)? == read.checksum();
        let damage = || Damage(format!("the row of channel {}", read.id.0));
        Ok(if whole { Ok(read) } else { Err(damage()) })
    }

    /// The channel in memory.
    pub(super) fn channel(&self) -> Result<Channel, Damage> {
        let name =
            self.name.parse().map_err(|error| Damage(format!("a channel's name: {error}")))?;
        let value = match self.stamp.seq {
            Seq(0) => None,
            Seq(_) => Some((self.stamp, read_data_column(&self.value)?)),
        };
        let Self { folded, pruned, blocks, .. } = *self;
        let mut channel = Channel::new(name);
        (channel.value, channel.folded) = (value, folded);
        (channel.pruned, channel.blocks) = (pruned, blocks);
        Ok(channel)
    }
}

/// A row of the log as it is stored.
#[derive(Clone, Debug)]
pub(super) struct StoredLogRow {
    pub(super) first: Offset,
    pub(super) last: Offset,
    pub(super) body: Vec<u8>,
}

impl StoredLogRow {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { first: Offset(row.get(0)?), last: Offset(row.get(1)?), body: row.get(2)? })
    }

    /// What is in it: the offset it follows, and its records.
    ///
    /// # Errors
    /// [`Damage`] when it is not what this row was written with.
    pub(super) fn open(&self) -> Result<(Offset, Records), Damage> {
        let body = unpack(&self.body)?;
        let same = body.summary.first.offset == self.first && body.summary.last.offset == self.last;
        match body.label {
            Label::Log { after } if same => Ok((after, body.records)),
            Label::Log { .. } | Label::Block { .. } => Err(Damage::new("a body of another row")),
        }
    }

    /// The same in memory; it was written `at`.
    pub(super) fn row(&self, at: Timestamp) -> LogRow {
        LogRow { first: self.first, last: self.last, bytes: self.body.len() as u64, at }
    }
}
