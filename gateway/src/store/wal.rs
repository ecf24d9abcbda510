//! The write-ahead log before SQLite reads it. For SQLite the first frame that does not check is the end, and what lies
//! behind it was never there; here that is told from an end.
//!
//! The format is that of <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>: a header, then frames, each a
//! header and a page. Two salts tell frames of this log from what an earlier one left in the file. Frames are written one
//! after the other: a killed process leaves at most the last one half, with nothing of this log behind it.

use super::{file::if_there, record::Damage};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The first four bytes; one more where checksums are of big-endian numbers.
const MAGIC: u32 = 0x377f_0682;

/// The largest page of SQLite.
const PAGE_BYTES_MAX: u32 = 65_536;

/// What a write-ahead log is, as far as it can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// There is none, or nothing whole in it.
    Nothing,
    /// It is whole, or cut at its end.
    Whole,
    /// It is damaged in its middle.
    Damaged(Damage),
}

/// Looks at the log at `path`.
///
/// # Errors
/// The system's.
pub(super) fn look(path: &Path) -> io::Result<Look> {
    let Some(file) = if_there(File::open(path).map(Some))? else { return Ok(Look::Nothing) };
    let mut file = BufReader::with_capacity(256 * 1024, file);
    let mut header = [0; HEADER_BYTES];
    if !fills(&mut file, &mut header)? {
        return Ok(Look::Nothing);
    }
    let Some(mut log) = Log::begin(&header) else {
        return Ok(Look::Damaged(Damage::new("its beginning is not one")));
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES + log.page_bytes];
    let (mut number, mut broken) = (0_u64, None);
    while fills(&mut file, &mut frame)? {
        number += 1;
        match (broken, log.take(&frame)) {
            (Some(at), Frame::Whole | Frame::Broken) => {
                let what = format!("frame {at} does not check, and others follow");
                return Ok(Look::Damaged(Damage(what)));
            }
            (None, Frame::Broken | Frame::Other) => broken = Some(number),
            (None, Frame::Whole) | (Some(_), Frame::Other) => {}
        }
    }
    Ok(if number == 0 || broken == Some(1) { Look::Nothing } else { Look::Whole })
}

/// Reads as much as fits; not where less is left.
fn fills(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// Of this log, and it checks.
    Whole,
    /// Of this log, and it does not.
    Broken,
    /// Of an earlier one, or of none.
    Other,
}

/// A log as far as it was read.
#[derive(Debug)]
struct Log {
    salts: [u8; 8],
    page_bytes: usize,
    read: fn([u8; 4]) -> u32,
    /// The checksum of all before.
    sum: (u32, u32),
}

impl Log {
    /// None: the header is none.
    fn begin(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let number = |at: usize| header[at..at + 4].try_into().map(u32::from_be_bytes);
        let read: fn([u8; 4]) -> u32 = match number(0).ok()? {
            MAGIC => u32::from_le_bytes,
            magic if magic == MAGIC + 1 => u32::from_be_bytes,
            _ => return None,
        };
        let page_bytes = number(8).ok().filter(|bytes| *bytes <= PAGE_BYTES_MAX)? as usize;
        let salts = header[16..24].try_into().ok()?;
        let mut log = Self { salts, page_bytes, read, sum: (0, 0) };
        log.add(&header[..24]);
        (log.sum_bytes() == header[24..]).then_some(log)
    }

    fn take(&mut self, frame: &[u8]) -> Frame {
        let (header, page) = frame.split_at(FRAME_HEADER_BYTES);
        if header[8..16] != self.salts {
            return Frame::Other;
        }
        self.add(&header[..8]);
        self.add(page);
        if self.sum_bytes() == header[16..] { Frame::Whole } else { Frame::Broken }
    }

    fn add(&mut self, bytes: &[u8]) {
        let (mut a, mut b) = self.sum;
        for pair in bytes.as_chunks::<8>().0 {
            let [first, second] =
                [0, 4].map(|at| (self.read)([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]));
            a = a.wrapping_add(first).wrapping_add(b);
            b = b.wrapping_add(second).wrapping_add(a);
        }
        self.sum = (a, b);
    }

    fn sum_bytes(&self) -> [u8; 8] {
        let (a, b) = self.sum;
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&a.to_be_bytes());
        bytes[4..].copy_from_slice(&b.to_be_bytes());
        bytes
    }
}
