//! How much is read from a client's socket at a time, when, and how what waits is written.

use super::{super::ending::End, Connection};
use bytes::{Buf as _, BytesMut};
use std::future::Future as _;
use std::{
    io,
    mem::MaybeUninit,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// Above this many bytes to write, messages stay in the outbox and the socket is not read.
pub(in crate::edge) const OUT_BYTES_HIGH: usize = 64 * 1024;

/// How much is read at a time at first, and at most: it follows what the client sends.
pub(super) const READ_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=64 * 1024;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Whether the socket is read: nothing that came before waits, and the client reads what it is sent.
    pub(in crate::edge) fn may_read(&self) -> bool {
        self.may_decode() && self.out.len() < OUT_BYTES_HIGH
    }

    /// Reads about as much as came the last times. While that is little, it is read onto the stack first, so
    /// that the buffer is no larger than what came; and while nothing comes there is none.
    pub(in crate::edge) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * self.read_bytes {
            self.buffer = BytesMut::new();
        }
        if self.read_bytes > *READ_BYTES.start() {
            self.buffer.reserve(self.read_bytes);
            return pin!(self.socket.read_buf(&mut self.buffer)).poll(context);
        }
        let mut scratch = [const { MaybeUninit::uninit() }; *READ_BYTES.start()];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        let read = Pin::new(&mut self.socket).poll_read(context, &mut scratch);
        if read.is_pending() && self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        ready!(read)?;
        self.buffer.extend_from_slice(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    }

    pub(in crate::edge) fn read(&mut self, read: io::Result<usize>) -> Result<(), End> {
        let bytes = match read {
            Ok(0) => return Err(End::Silent),
            Err(_) => return Err(End::Lost),
            Ok(bytes) => bytes,
        };
        self.shared.counters.bytes_in.add(bytes as u64);
        let next =
            if bytes >= self.read_bytes { bytes * 2 } else { self.read_bytes.min(bytes * 4) };
        self.read_bytes = next.clamp(*READ_BYTES.start(), *READ_BYTES.end());
        Ok(())
    }

    pub(super) fn written(&mut self, written: io::Result<usize>) -> Result<(), End> {
        self.note_written(written.map_err(|_| End::Lost)?);
        Ok(())
    }

    pub(super) fn note_written(&mut self, bytes: usize) {
        self.out.advance(bytes);
        self.shared.counters.bytes_out.add(bytes as u64);
        self.stuck_since = None;
        if self.out.is_empty() && self.out.capacity() > OUT_BYTES_HIGH {
            self.out = BytesMut::new();
        }
    }

    /// Writes what the socket takes of it.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, &self.out)
    }
}
