//! A bounded queue to one connection's task. Most of them are empty most of the time and there are tens of
//! thousands, so an empty one takes next to no memory; tokio's channel allocates room for 32 messages first.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};
use tokio::{sync::mpsc::error::TrySendError, task::coop};

/// An emptied queue that has room for more messages than this gives it back.
const ROOM_KEPT: usize = 32;

/// Puts messages in; cheap to clone.
#[derive(Debug)]
pub struct Sender<T>(Arc<Mutex<State<T>>>);

/// Takes messages out.
#[derive(Debug)]
pub struct Mailbox<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
struct State<T> {
    messages: VecDeque<T>,
    /// Whom the next message wakes.
    waiting: Option<Waker>,
    is_closed: bool,
}

impl<T> Sender<T> {
    /// Puts a message in, where fewer than `messages_max` wait; never waits itself.
    ///
    /// # Errors
    /// With the message, when so many wait or nobody will ever take it out.
    pub fn try_send(&self, message: T, messages_max: usize) -> Result<(), TrySendError<T>> {
        let mut state = lock(&self.0);
        if state.is_closed {
            return Err(TrySendError::Closed(message));
        }
        if state.messages.len() >= messages_max {
            return Err(TrySendError::Full(message));
        }
        state.messages.push_back(message);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
        Ok(())
    }

    /// Whether nobody takes messages out any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.0).is_closed
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Mailbox<T> {
    /// An empty mailbox.
    #[must_use]
    pub fn new() -> Self {
        let state = State { messages: VecDeque::new(), waiting: None, is_closed: false };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A way to put messages in.
    #[must_use]
    pub fn sender(&self) -> Sender<T> {
        Sender(Arc::clone(&self.0))
    }

    /// The next message.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub async fn recv(&mut self) -> T {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The same; who polled last is woken.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<T> {
        let mut state = lock(&self.0);
        if !state.messages.is_empty() {
            // A mailbox that never gets empty keeps no other task waiting.
            ready!(coop::poll_proceed(context)).made_progress();
        }
        let Some(message) = state.messages.pop_front() else {
            match &mut state.waiting {
                Some(waiting) => waiting.clone_from(context.waker()),
                None => state.waiting = Some(context.waker().clone()),
            }
            return Poll::Pending;
        };
        if state.messages.is_empty() && state.messages.capacity() > ROOM_KEPT {
            state.messages = VecDeque::new();
        }
        Poll::Ready(message)
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.is_closed = true;
        let unread = (std::mem::take(&mut state.messages), state.waiting.take());
        drop(state);
        // What they hold is let go of without the lock.
        drop(unread);
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    // Nothing in here panics half way.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn messages_come_out_in_order_and_wake_who_waits() {
        let mut mailbox = Mailbox::new();
        let sender = mailbox.sender();
        let put = async {
            yield_now().await;
            (1..=3).for_each(|number| sender.try_send(number, 3).unwrap());
        };
        let take = async { [mailbox.recv().await, mailbox.recv().await, mailbox.recv().await] };
        assert_eq!(tokio::join!(take, put).0, [1, 2, 3]);
    }

    #[test]
    fn a_full_mailbox_gives_the_message_back_to_who_has_a_smaller_bound() {
        let mailbox = Mailbox::new();
        mailbox.sender().try_send(1, 1).unwrap();
        assert!(matches!(mailbox.sender().try_send(2, 1), Err(TrySendError::Full(2))));
        mailbox.sender().try_send(3, 2).unwrap();
    }

    #[test]
    fn a_mailbox_that_is_gone_is_closed() {
        let mailbox = Mailbox::new();
        let sender = mailbox.sender();
        assert!(!sender.is_closed());
        drop(mailbox);
        assert!(sender.is_closed());
        assert!(matches!(sender.try_send(1, 1), Err(TrySendError::Closed(1))));
    }

    #[tokio::test]
    async fn a_mailbox_that_is_filled_again_and_again_leaves_others_their_turn() {
        let mut mailbox = Mailbox::new();
        let sender = mailbox.sender();
        let take = async {
            for number in 0..1_000 {
                sender.try_send(number, 1).unwrap();
                mailbox.recv().await;
            }
        };
        let mut turns = 0;
        let others = poll_fn(|_| -> Poll<()> {
            turns += 1;
            Poll::Pending
        });
        tokio::select! { biased; () = take => {}, () = others => {} }
        assert!(turns > 0);
    }

    #[tokio::test]
    async fn a_burst_leaves_no_room_behind() {
        let mut mailbox = Mailbox::new();
        (0..1_000).for_each(|number| mailbox.sender().try_send(number, 1_000).unwrap());
        for _ in 0..1_000 {
            mailbox.recv().await;
        }
        assert_eq!(lock(&mailbox.0).messages.capacity(), 0);
    }
}
