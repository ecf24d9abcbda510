//! Connections that can be told from outside that nothing more comes: at the gateway's end one that has sent
//! half a request must not hold it up. Who takes none of what is written is not waited for without end. And who still
//! sends a body that nobody reads has time to read the answer.

use std::{
    fmt, io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{self, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long a connection that has closed reads on: what came to one that is gone would make the system of the peer
/// throw away what that has not read of the answer (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(5);

/// Whether a connection's last request has a body that was not read to its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(Arc<AtomicBool>);

impl Unread {
    pub(super) fn set(&self, unread: bool) {
        self.0.store(unread, Relaxed);
    }
}

/// A stream that ends when its token fires; what is being written is finished first.
pub(super) struct CutStream<S> {
    stream: S,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    write_within: Duration,
    /// Something is to be written and cannot be: until when it is tried.
    stuck: Option<Pin<Box<Sleep>>>,
    unread: Unread,
    /// It has closed: until when it reads on.
    lingers: Option<Pin<Box<Sleep>>>,
}

impl<S: fmt::Debug> fmt::Debug for CutStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CutStream").field(&self.stream).finish()
    }
}

impl<S> CutStream<S> {
    /// `write_within`: how long the peer may take nothing of what is written.
    pub(super) fn new(
        stream: S,
        cut: CancellationToken,
        write_within: Duration,
        unread: Unread,
    ) -> Self {
        let cut = Box::pin(cut.cancelled_owned());
        Self { stream, cut, write_within, stuck: None, unread, lingers: None }
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

impl<S: AsyncRead + Unpin> CutStream<S> {
    /// Reads what nobody wants until the peer has closed too, or its time is over.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let patience = self.lingers.get_or_insert_with(|| Box::pin(time::sleep(LINGER)));
        if patience.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut scraps = [MaybeUninit::uninit(); 4096];
            let mut scraps = ReadBuf::uninit(&mut scraps);
            let read = ready!(Pin::new(&mut *self).poll_read(context, &mut scraps));
            if read.is_err() || scraps.filled().is_empty() {
                return Poll::Ready(());
            }
        }
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

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for CutStream<S> {
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
        if self.lingers.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        }
        if self.unread.0.load(Relaxed) {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}
