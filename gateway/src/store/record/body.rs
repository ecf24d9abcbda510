//! A body: packed records with a header that says what they are of.

use super::{
    ChannelId, Damage, Records, Summary,
    number::{put, put_text, take, take_text},
};
use protocol::{Offset, TopicName};
use std::io;
use zstd::bulk::{Compressor, Decompressor};

/// What a body is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Label {
    /// A commit: updates of all channels, the first that were kept behind the offset `after`.
    Log { after: Offset },
    /// Updates of one channel.
    Block { channel: ChannelId, name: TopicName },
}

/// What a row of the database holds: records and what they are of.
#[derive(Clone, Debug)]
pub(in crate::store) struct Body {
    pub(in crate::store) label: Label,
    pub(in crate::store) summary: Summary,
    pub(in crate::store) records: Records,
}

/// Makes bodies; keeps what zstd needs for it.
pub(in crate::store) struct Packer {
    /// For rows of the log: a few updates, read by few and soon replaced by blocks.
    quick: Compressor<'static>,
    /// For blocks: many updates, for good.
    thorough: Compressor<'static>,
    plain: Vec<u8>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// A packer.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(in crate::store) fn new() -> io::Result<Self> {
        let (quick, thorough) = (compressor(QUICK)?, compressor(THOROUGH)?);
        Ok(Self { quick, thorough, plain: Vec::new() })
    }

    /// The body of `records`, which are not empty.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub(in crate::store) fn pack(
        &mut self,
        label: &Label,
        records: &Records,
    ) -> io::Result<Vec<u8>> {
        self.plain.clear();
        put(&mut self.plain, VERSION);
        let (tag, number, name) = match label {
            Label::Log { after } => (TAG_LOG, after.0, ""),
            Label::Block { channel, name } => (TAG_BLOCK, channel.0, name.as_str()),
        };
        put(&mut self.plain, tag);
        put(&mut self.plain, number);
        put_text(&mut self.plain, name);
        let summary = records.summary().expect("a body has records");
        summary.numbers().into_iter().for_each(|number| put(&mut self.plain, number));
        self.plain.extend_from_slice(&records.bytes);
        match label {
            Label::Log { .. } => self.quick.compress(&self.plain),
            Label::Block { .. } => self.thorough.compress(&self.plain),
        }
    }
}

/// A level of zstd that makes no Huffman tables, which cost more than all else in a row of one command.
const QUICK: i32 = -5;

/// The level of zstd for what stays.
const THOROUGH: i32 = 1;

fn compressor(level: i32) -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(level)?;
    compressor.include_checksum(true)?;
    Ok(compressor)
}

/// Reads a body.
///
/// # Errors
/// [`Damage`] when it is not what was packed.
pub(in crate::store) fn unpack(body: &[u8]) -> Result<Body, Damage> {
    let size = Decompressor::upper_bound(body).filter(|size| *size <= PLAIN_BYTES_MAX);
    let size = size.ok_or_else(|| Damage::new("a body of an impossible size"))?;
    let plain = zstd::bulk::decompress(body, size)
        .map_err(|error| Damage(format!("a body that does not unpack: {error}")))?;
    let mut rest = plain.as_slice();
    let version = take(&mut rest)?;
    if version != VERSION {
        return Err(Damage(format!("a body of the unknown version {version}")));
    }
    let (tag, number, name) = (take(&mut rest)?, take(&mut rest)?, take_text(&mut rest)?);
    let label = match tag {
        TAG_LOG => Label::Log { after: Offset(number) },
        TAG_BLOCK => {
            let name =
                name.parse().map_err(|error| Damage(format!("a body's channel: {error}")))?;
            Label::Block { channel: ChannelId(number), name }
        }
        unknown => return Err(Damage(format!("a body of the unknown kind {unknown}"))),
    };
    let mut numbers = [0; 9];
    for number in &mut numbers {
        *number = take(&mut rest)?;
    }
    let summary = Summary::from_numbers(numbers);
    let records = Records { bytes: rest.to_vec(), summary: Some(summary), channel: ChannelId(0) };
    Ok(Body { label, summary, records })
}

const VERSION: u64 = 1;
const TAG_LOG: u64 = 0;
const TAG_BLOCK: u64 = 1;

/// No body is larger: it holds some MiB and at most one update more, which is at most one MQTT packet.
const PLAIN_BYTES_MAX: usize = 512 * 1024 * 1024;
