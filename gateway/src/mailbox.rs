//! A bounded queue to one connection's task. Most of them are empty most of the time and there are tens of
//! thousands, so an empty one takes next to no memory; tokio's channel allocates room for 32 messages first.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, mpsc::error::TrySendError};

/// An emptied queue that has room for more messages than this gives it back.
const ROOM_KEPT: usize = 32;

/// Puts messages in; cheap to clone.
#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

/// Takes messages out.
#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    wake: Notify,
}

#[derive(Debug)]
struct State<T> {
    messages: VecDeque<T>,
    messages_max: u32,
    senders: u32,
    receiver: Presence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    There,
    Gone,
}

/// A mailbox for so many messages; what comes beyond it is given back to the sender.
#[must_use]
pub fn mailbox<T>(messages_max: u32) -> (Sender<T>, Receiver<T>) {
    let messages = VecDeque::new();
    let state = State { messages, messages_max, senders: 1, receiver: Presence::There };
    let shared = Arc::new(Shared { state: Mutex::new(state), wake: Notify::new() });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Puts a message in; never waits.
    ///
    /// # Errors
    /// With the message, when the mailbox is full or nobody will ever take it out.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut state = self.0.lock();
        if state.receiver == Presence::Gone {
            return Err(TrySendError::Closed(message));
        }
        if state.messages.len() >= state.messages_max as usize {
            return Err(TrySendError::Full(message));
        }
        state.messages.push_back(message);
        drop(state);
        self.0.wake.notify_one();
        Ok(())
    }

    /// Whether nobody takes messages out any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.lock().receiver == Presence::Gone
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            self.0.wake.notify_one();
        }
    }
}

impl<T> Receiver<T> {
    /// The next message; none: the mailbox is empty and every sender is gone.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some(message) = state.messages.pop_front() {
                    if state.messages.is_empty() && state.messages.capacity() > ROOM_KEPT {
                        state.messages = VecDeque::new();
                    }
                    return Some(message);
                }
                if state.senders == 0 {
                    return None;
                }
            }
            self.0.wake.notified().await;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receiver = Presence::Gone;
        let unread = std::mem::take(&mut state.messages);
        drop(state);
        // What they hold is let go of without the lock.
        drop(unread);
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn messages_come_out_in_order_and_wake_who_waits() {
        let (sender, mut receiver) = mailbox(3);
        let put = async {
            yield_now().await;
            (1..=3).for_each(|number| sender.try_send(number).unwrap());
        };
        let take = async { [receiver.recv().await, receiver.recv().await, receiver.recv().await] };
        assert_eq!(tokio::join!(take, put).0, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_full_mailbox_gives_the_message_back() {
        let (sender, _receiver) = mailbox(1);
        sender.try_send(1).unwrap();
        assert!(matches!(sender.try_send(2), Err(TrySendError::Full(2))));
    }

    #[tokio::test]
    async fn a_mailbox_without_senders_ends_when_it_is_empty() {
        let (sender, mut receiver) = mailbox(1);
        let other = sender.clone();
        other.try_send(1).unwrap();
        let gone = async {
            yield_now().await;
            drop((sender, other));
        };
        let take = async { [receiver.recv().await, receiver.recv().await] };
        assert_eq!(tokio::join!(take, gone).0, [Some(1), None]);
    }

    #[test]
    fn a_mailbox_without_a_receiver_is_closed() {
        let (sender, receiver) = mailbox(1);
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed());
        assert!(matches!(sender.try_send(1), Err(TrySendError::Closed(1))));
    }

    #[tokio::test]
    async fn a_burst_leaves_no_room_behind() {
        let (sender, mut receiver) = mailbox(1_000);
        (0..1_000).for_each(|number| sender.try_send(number).unwrap());
        for _ in 0..1_000 {
            receiver.recv().await.unwrap();
        }
        assert_eq!(receiver.0.lock().messages.capacity(), 0);
    }
}
