//! What a connection waits for: the closed list of what can happen to it, and the order in which it is looked at.

use super::{super::registry::Takeover, Connection, Done, socket::OUT_BYTES_HIGH};
use crate::{core::Downlink, exchange::Arrival};
use futures_util::FutureExt as _;
use std::{
    future::{Future as _, poll_fn},
    io,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Ends the poll with an event where there is one.
macro_rules! event {
    ($poll:expr, $ready:pat => $event:expr) => {
        if let Poll::Ready($ready) = $poll {
            return Poll::Ready($event);
        }
    };
}

/// All that can happen to a connection.
#[derive(Debug)]
pub(super) enum Event {
    Stop,
    TakenOver(Option<Takeover>),
    Timer,
    Done(Done),
    /// The oldest unacknowledged batch is stored, or it is certain that it will not be.
    Stored(bool),
    Read(io::Result<usize>),
    Down(Downlink),
    Message(Option<Arrival>),
    /// What was noted in the journal is stored.
    Journaled,
    /// There is room for retained messages.
    Backlog,
    Written(io::Result<usize>),
    /// Nothing of it could be written.
    Stuck,
}

/// What can be waited for beside what always can.
struct Awaited {
    /// The task was woken since it was looked whether the connection ends.
    woken: bool,
    deadline: bool,
    /// There is one of which the timer's clock does not know yet.
    new_deadline: bool,
    reading: bool,
    /// There is room for retained messages that were promised, once others had their turn.
    backlog: bool,
    others_had_their_turn: bool,
}

impl Awaited {
    fn poll_yield(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.others_had_their_turn {
            return Poll::Ready(());
        }
        self.others_had_their_turn = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Waits for the next event. What ends the connection wakes its task, so that it is looked at once after each
    /// waking and not again for each event of one; `woken`: it is still to be looked at.
    pub(super) async fn next_event(&mut self, woken: bool) -> Event {
        let deadline = self.deadline();
        let new_deadline =
            deadline.filter(|deadline| !self.timed || *deadline < self.timer.deadline());
        self.timed = deadline.is_some();
        if let Some(deadline) = new_deadline {
            self.timer.as_mut().reset(deadline);
        }
        let mut awaited = Awaited {
            woken,
            deadline: deadline.is_some(),
            new_deadline: new_deadline.is_some(),
            reading: self.may_read(),
            backlog: self.may_pull_retained() && self.out.len() < OUT_BYTES_HIGH,
            others_had_their_turn: false,
        };
        poll_fn(|context| {
            let event = self.poll_event(&mut awaited, context);
            // Who asks again was woken.
            awaited.woken = true;
            event
        })
        .await
    }

    /// The next event. What is asked keeps nothing between two polls, so that to wait takes no memory.
    ///
    /// The order is a promise: ends and deadlines are never starved; what is read comes before what is
    /// delivered, so that no flood of messages keeps a client's own packets waiting; writing comes
    /// last, so that one write takes all that is ready.
    fn poll_event(&mut self, awaited: &mut Awaited, context: &mut Context<'_>) -> Poll<Event> {
        if awaited.woken {
            event!(self.stopped.as_mut().poll(context), () => Event::Stop);
            event!(self.taken_over.poll_unpin(context), takeover => Event::TakenOver(takeover.ok()));
        }
        if awaited.deadline && (awaited.woken || awaited.new_deadline) {
            event!(self.timer.as_mut().poll(context), () => Event::Timer);
        }
        event!(self.poll_work(context), done => Event::Done(done));
        if let Some(publishing) = &mut self.publishing {
            event!(publishing.pending.poll_front_stored(context), stored => Event::Stored(stored));
        }
        if awaited.reading {
            event!(self.poll_read(context), read => Event::Read(read));
        }
        if let Some(mailbox) = &mut self.mailbox {
            event!(mailbox.poll_recv(context), down => Event::Down(down));
        }
        if let Some(link) = &mut self.link {
            event!(link.poll_recv(context), message => Event::Message(message));
        }
        if let Some(journal) = &mut self.session.journal {
            event!(journal.poll_stored(context), () => Event::Journaled);
        }
        if awaited.backlog {
            event!(awaited.poll_yield(context), () => Event::Backlog);
        }
        if !self.out.is_empty() {
            let waited = self.out.len();
            match self.poll_write(context) {
                // Nothing was held back for it, so nothing follows from it.
                Poll::Ready(Ok(bytes)) if bytes == waited && waited < OUT_BYTES_HIGH => {
                    self.note_written(bytes);
                }
                Poll::Ready(written) => return Poll::Ready(Event::Written(written)),
                Poll::Pending if self.stuck_since.is_none() => return Poll::Ready(Event::Stuck),
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    fn poll_work(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(done)
    }
}
