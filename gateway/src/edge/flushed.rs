//! A stream that counts bytes as written only when they have left it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// TLS and WebSocket take bytes before they write them, and a connection flushes nothing: what it handed
/// over would lie there, and a peer that takes nothing would look as if it did. So a write here ends when
/// all of it is with the system.
#[derive(Debug)]
pub(super) struct Flushed<S> {
    stream: S,
    /// Bytes that the stream took and has not let go.
    taken: Option<usize>,
}

impl<S> Flushed<S> {
    /// Wraps `stream`.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, taken: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Flushed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// A write that was given up is to be called again with the same bytes first, as a connection does.
impl<S: AsyncWrite + Unpin> AsyncWrite for Flushed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = match self.taken {
            Some(taken) => taken,
            None => ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?,
        };
        self.taken = Some(taken);
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.taken = None;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
