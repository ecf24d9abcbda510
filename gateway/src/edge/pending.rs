//! Acknowledgements that wait for the core's receipt, in the order of the messages.

use super::{reason::Reason, wire::Flow};
use futures_util::FutureExt as _;
use std::{
    collections::VecDeque,
    task::{Context, Poll, ready},
};
use tokio::sync::oneshot;

/// A PUBACK or PUBREC to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PendingAck {
    pub(super) flow: Flow,
    pub(super) id: u16,
    pub(super) reason: Reason,
}

/// Each fires when a part of a batch is stored, and is there as far as somebody waits for it.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// What it says: the core's.
    pub(super) said: Option<oneshot::Receiver<()>>,
    /// What it left in queues, and of retained messages.
    pub(super) left: Option<oneshot::Receiver<()>>,
}

/// The acknowledgements of one batch.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) receipts: Receipts,
    pub(super) acks: Vec<PendingAck>,
}

/// The batches not acknowledged yet, oldest first: acknowledgements keep the order of the messages
/// `[MQTT-4.6.0-2]`.
#[derive(Debug, Default)]
pub(super) struct PendingQueue(VecDeque<Pending>);

impl PendingQueue {
    /// Adds a batch.
    pub(super) fn push(&mut self, pending: Pending) {
        self.0.push_back(pending);
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ready when the oldest batch is stored (true), or when it is certain that it is not (false); never while
    /// there is none. It stays until [`Self::pop`]. Who polled last is woken.
    pub(super) fn poll_front_stored(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some(front) = self.0.front_mut() else { return Poll::Pending };
        for receipt in [&mut front.receipts.said, &mut front.receipts.left] {
            if let Some(waiting) = receipt {
                let stored = ready!(waiting.poll_unpin(context)).is_ok();
                *receipt = None;
                if !stored {
                    return Poll::Ready(false);
                }
            }
        }
        Poll::Ready(true)
    }

    /// Removes the oldest batch.
    pub(super) fn pop(&mut self) -> Vec<PendingAck> {
        self.0.pop_front().map(|pending| pending.acks).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    async fn front_stored(queue: &mut PendingQueue) -> bool {
        poll_fn(|context| queue.poll_front_stored(context)).await
    }

    fn pending(id: u16, receipt: Option<oneshot::Receiver<()>>) -> Pending {
        Pending {
            receipts: Receipts { said: receipt, left: None },
            acks: vec![PendingAck { flow: Flow::Ack, id, reason: Reason::Success }],
        }
    }

    #[tokio::test]
    async fn batches_are_acknowledged_in_order_even_when_a_later_one_is_stored_first() {
        let mut queue = PendingQueue::default();
        let (first, first_receipt) = oneshot::channel();
        queue.push(pending(1, Some(first_receipt)));
        queue.push(pending(2, None));
        let early = tokio::time::timeout(std::time::Duration::ZERO, front_stored(&mut queue)).await;
        assert!(early.is_err());
        first.send(()).unwrap();
        assert!(front_stored(&mut queue).await);
        assert_eq!(queue.pop()[0].id, 1);
        assert!(front_stored(&mut queue).await);
        assert_eq!(queue.pop()[0].id, 2);
    }

    #[tokio::test]
    async fn a_dropped_receipt_says_not_stored() {
        let mut queue = PendingQueue::default();
        let (sender, receipt) = oneshot::channel();
        queue.push(pending(1, Some(receipt)));
        drop(sender);
        assert!(!front_stored(&mut queue).await);
    }

    #[tokio::test]
    async fn a_batch_is_stored_when_all_its_parts_are() {
        let mut queue = PendingQueue::default();
        let (first, one) = oneshot::channel();
        let (second, two) = oneshot::channel();
        queue.push(Pending {
            receipts: Receipts { said: Some(one), left: Some(two) },
            ..pending(1, None)
        });
        first.send(()).unwrap();
        let early = tokio::time::timeout(std::time::Duration::ZERO, front_stored(&mut queue)).await;
        assert!(early.is_err());
        second.send(()).unwrap();
        assert!(front_stored(&mut queue).await);
    }
}
