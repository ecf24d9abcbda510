//! A session's end of the exchange.

use super::{
    Stopped,
    counters::Counters,
    engine::Input,
    message::{Arrival, Attendance, Interest, Keeping},
    outlets::Inlet,
    routes::LinkId,
};
use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc::UnboundedSender, oneshot};

/// Receives what matches its filters, each message once (and once more for each shared subscription that
/// chose it), in the order of publishing. Dropping it ends its
/// subscriptions and makes room for another.
#[derive(Debug)]
pub struct Link {
    pub(super) id: LinkId,
    /// Not bounded by itself: a link waits for the answer to each of its commands.
    pub(super) inputs: UnboundedSender<Input>,
    pub(super) inlet: Inlet,
    pub(super) keeping: Keeping,
    pub(super) counters: Arc<Counters>,
    pub(super) _slot: OwnedSemaphorePermit,
}

impl Link {
    /// Subscribes; a message whose publishing begins after this has returned is received. A filter that is
    /// there already stays.
    ///
    /// # Errors
    /// The exchange has stopped.
    ///
    /// # Cancel safety
    /// If given up, the subscription may or may not be in force.
    pub async fn subscribe(&mut self, interest: Interest) -> Result<(), Stopped> {
        let link = self.id;
        self.ask(|done| Input::Subscribe { link, interest, done }).await
    }

    /// Ends a subscription; a message whose publishing begins after this has returned is not received, one
    /// that waits in the link still is. A filter that isn't there is no error.
    ///
    /// # Errors
    /// The exchange has stopped.
    ///
    /// # Cancel safety
    /// If given up, the subscription may or may not be in force.
    pub async fn unsubscribe(&mut self, interest: Interest) -> Result<(), Stopped> {
        let link = self.id;
        self.ask(|done| Input::Unsubscribe { link, interest, done }).await
    }

    /// Says whether the client is connected: shared messages go to those that are.
    pub fn attend(&self, attendance: Attendance) {
        self.inlet.attend(attendance);
    }

    /// What has come already and was not received.
    pub fn rest(&mut self) -> Vec<Arrival> {
        std::iter::from_fn(|| self.inlet.try_recv()).collect()
    }

    /// The next message; none when the exchange has stopped.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn recv(&mut self) -> Option<Arrival> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The same; who polled last is woken.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Arrival>> {
        self.inlet.poll_recv(context)
    }

    async fn ask(&self, input: impl FnOnce(oneshot::Sender<()>) -> Input) -> Result<(), Stopped> {
        let (done, answer) = oneshot::channel();
        self.inputs.send(input(done)).map_err(|_gone| Stopped)?;
        answer.await.map_err(|_gone| Stopped)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.counters.links_now.decrement();
        if self.keeping == Keeping::OnDisk {
            self.counters.keeping_links_now.decrement();
        }
        let _gone_as_well = self.inputs.send(Input::Close { link: self.id });
    }
}
