//! How the connection of a session that is kept comes to rest: nothing that its client sent stays in doubt.

use super::{
    connection::Connection,
    publishing::{Outcome, Publishing},
    subscriptions::Source,
};
use crate::{core::Downlink, exchange::Arrival};
use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout_at},
};

/// How long is waited for receipts.
const RECEIPTS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long is waited for them while the store fails: until it has been given all that was on the way to it.
const FAILING_TIMEOUT: Duration = Duration::from_secs(1);

/// What comes while a receipt is waited for.
enum Event {
    /// Of the oldest batch it is certain whether it is stored.
    Stored(bool),
    Down(Downlink),
    Message(Arrival),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Waits for the receipts of what the client sent, so that no QoS 2 message of the session is in
    /// doubt, and answers what can be answered. What is still open then counts as new when it comes again.
    pub(super) async fn settle(&mut self) {
        let failing = self.shared.store.figures().error.is_some();
        let deadline = Instant::now() + if failing { FAILING_TIMEOUT } else { RECEIPTS_TIMEOUT };
        let waits = |publishing: &Publishing| !publishing.pending.is_empty();
        while self.publishing.as_deref().is_some_and(waits) {
            let outcome = match timeout_at(deadline, self.front_stored()).await {
                Ok(stored) => Outcome::of(stored),
                Err(_) => Outcome::Open,
            };
            // That the connection is to end changes nothing any more.
            drop(self.stored(outcome));
        }
        let _late = timeout_at(deadline, self.journal_settled()).await;
    }

    /// Waits until all that was noted is stored, and answers what waited for that.
    async fn journal_settled(&mut self) {
        self.keep_journal();
        while let Some(journal) = self.session.journal.as_mut().filter(|it| it.is_waited_for()) {
            poll_fn(|context| journal.poll_stored(context)).await;
            self.keep_journal();
        }
    }

    /// Whether the oldest batch is stored. What comes for the client meanwhile is taken: who sent that waits for
    /// its receipt as well, and may be at the end of its connection too.
    async fn front_stored(&mut self) -> bool {
        loop {
            match poll_fn(|context| self.poll_settling(context)).await {
                Event::Stored(stored) => return stored,
                Event::Message(arrival) => self.deliver(arrival, Source::Link),
                // That the connection is to end changes nothing any more.
                Event::Down(down) => drop(self.downlink(down)),
            }
        }
    }

    fn poll_settling(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(stored) = self.publishing().pending.poll_front_stored(context) {
            return Poll::Ready(Event::Stored(stored));
        }
        if let Some(mailbox) = &mut self.mailbox
            && let Poll::Ready(down) = mailbox.poll_recv(context)
        {
            return Poll::Ready(Event::Down(down));
        }
        let Some(link) = &mut self.link else { return Poll::Pending };
        match ready!(link.poll_recv(context)) {
            Some(arrival) => Poll::Ready(Event::Message(arrival)),
            // The exchange has stopped.
            None => Poll::Pending,
        }
    }
}
