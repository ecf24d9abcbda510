//! Connections that can be told from outside that nothing more comes: at the gateway's end one that has sent
//! half a request must not hold it up. And who takes none of what is written is not waited for without end.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A stream that ends when its token fires; what is being written is finished first.
pub(super) struct CutStream<S> {
    stream: S,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    write_within: Duration,
    /// Something is to be written and cannot be: until when it is tried.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S: fmt::Debug> fmt::Debug for CutStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CutStream").field(&self.stream).finish()
    }
}

impl<S> CutStream<S> {
    /// `write_within`: how long the peer may take nothing of what is written.
    pub(super) fn new(stream: S, cut: CancellationToken, write_within: Duration) -> Self {
        Self { stream, cut: Box::pin(cut.cancelled_owned()), write_within, stuck: None }
    }

    fn note<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let within = self.write_within;
        let patience = self.stuck.get_or_insert_with(|| Box::pin(time::sleep(within)));
        ready!(patience.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CutStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            return Poll::Ready(read);
        }
        if self.stuck.is_some() {
            return Poll::Pending;
        }
        // Nothing read means that the stream has ended.
        ready!(self.cut.as_mut().poll(context));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CutStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.note(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS takes bytes before it writes them.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.note(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
