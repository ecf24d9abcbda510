//! A session whose client is away: it collects what is to be delivered, and holds the will back for
//! its delay, until the client comes back or the session expires.

use super::{
    access::MaybeAccess,
    batch::{Batch, Wait, forward},
    journal::KeptWill,
    outbox::Entry,
    publishing::is_under,
    registry::{Heir, Takeover},
    session::{Inherited, Kept},
    shared::Shared,
    subscriptions::Source,
    wire::Will,
};
use crate::{
    clock,
    core::Downlink,
    exchange::{Arrival, Link},
    mailbox::Mailbox,
    rhythm::Cue,
};
use bridge::event::ConnectionId;
use futures_util::FutureExt as _;
use protocol::{Millis, Timestamp};
use std::sync::Arc;
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    task::coop::unconstrained,
    time::{Instant, sleep_until},
};

/// A session without a connection.
pub(super) struct Parked {
    pub(super) shared: Arc<Shared>,
    pub(super) client_id: Arc<str>,
    /// What its client may do.
    pub(super) access: MaybeAccess,
    /// The connection it was on.
    pub(super) connection: ConnectionId,
    pub(super) kept: Kept,
    /// With when to publish it.
    pub(super) will: Option<(Will, Instant)>,
    pub(super) expires: Instant,
    /// The same for the disk, with how long that is from the end of a connection, in seconds.
    pub(super) ends_at: Timestamp,
    pub(super) lasts_s: u32,
    pub(super) taken_over: oneshot::Receiver<Takeover>,
    /// None while the gateway stops: then sessions are kept for a moment only.
    pub(super) _room: Option<OwnedSemaphorePermit>,
}

/// All that can happen to a session whose client is away.
enum Event {
    Stop,
    TakenOver(Option<Takeover>),
    Expired,
    WillDue,
    Down(Downlink),
    Message(Option<Arrival>),
}

impl Parked {
    /// Keeps the session until its client comes back, it expires, or the gateway stops.
    pub(super) async fn run(mut self) {
        self.shared.counters.sessions_now.increment();
        let heir = loop {
            match self.next_event().await {
                // The disk keeps it.
                Event::Stop => {
                    self.collect_rest();
                    return self.stopped();
                }
                Event::Message(None) => return self.stopped(),
                Event::Expired => {
                    self.shared.counters.sessions_expired.increment();
                    break None;
                }
                Event::TakenOver(Some(Takeover::Heir(heir))) => break Some(heir),
                Event::TakenOver(None) => break None,
                // Who may come back and take it is decided then.
                Event::TakenOver(Some(Takeover::Revoked(next))) => self.taken_over = next,
                Event::TakenOver(Some(Takeover::Deleted(next))) => {
                    self.taken_over = next;
                    self.drop_own_will();
                }
                Event::WillDue => self.publish_will().await,
                Event::Down(down) => self.take(down),
                Event::Message(Some(message)) => self.collect(message, Source::Link),
            }
        };
        self.end(heir).await;
    }

    async fn next_event(&mut self) -> Event {
        let will_due = self.will.as_ref().map_or(self.expires, |(_, due)| *due);
        tokio::select! {
            biased;
            () = self.shared.sessions_end.cancelled() => Event::Stop,
            takeover = &mut self.taken_over => Event::TakenOver(takeover.ok()),
            () = sleep_until(will_due), if self.will.is_some() => Event::WillDue,
            () = sleep_until(self.expires) => Event::Expired,
            message = next_down(&mut self.kept.mailbox) => Event::Down(message),
            message = next_message(&mut self.kept.link) => Event::Message(message),
        }
    }

    fn take(&mut self, down: Downlink) {
        match down {
            Downlink::Pass(message) => self.collect(message, Source::Own),
            // It was for the connection that is no more.
            Downlink::Publish(..) | Downlink::Recall(..) | Downlink::Kick(_) => {}
        }
    }

    /// Takes what has come, and was acknowledged or will be.
    fn collect_rest(&mut self) {
        // All of it, also where this task's turn is over.
        while let Some(down) = unconstrained(next_down(&mut self.kept.mailbox)).now_or_never() {
            self.take(down);
        }
        let come = self.kept.link.as_mut().map(|link| link.rest());
        for message in come.into_iter().flatten() {
            self.collect(message, Source::Link);
        }
    }

    /// QoS 0 is not kept for who is away.
    fn collect(&mut self, arrival: Arrival, source: Source) {
        let Arrival { message, share, gathering } = arrival;
        let session = &mut self.kept.session;
        let grant = match &share {
            Some(share) => session.subscriptions.select_shared(&message, share),
            None if session.stands_by(&self.access, &message) => None,
            None => session.subscriptions.select(&message, source, self.connection),
        };
        let Some(grant) = grant else { return };
        if !session.may_have(&self.access, &message, &self.shared) {
            return;
        }
        let entry = Entry { share, ..Entry::new(message, grant) };
        if entry.qos > 0 && session.push(entry, gathering, &self.shared).is_err() {
            self.shared.counters.dropped_qos12.increment();
        }
    }

    async fn publish_will(&mut self) {
        let Some((will, _)) = self.will.take() else { return };
        let mut batch = Batch::default();
        batch.will(&self.shared, self.connection, &self.access, will);
        let (steps, _) = batch.into_steps(self.connection, Cue::Own, Wait::ForNothing);
        if forward(&self.shared, steps).await.is_err() {
            tracing::debug!("the gateway stops: a will is not published");
        }
        self.note();
    }

    /// The device is no more, and what its will says of it neither.
    fn drop_own_will(&mut self) {
        let Self { will, client_id, .. } = self;
        if will.take_if(|(will, _)| is_under(&will.topic, client_id)).is_some() {
            self.note();
        }
    }

    /// The disk is told how the session stands.
    pub(super) fn note(&mut self) {
        let will = self.will.as_ref().map(|(will, due)| {
            let in_time = due.saturating_duration_since(Instant::now()).as_millis();
            let due = clock::now().plus(Millis(u64::try_from(in_time).unwrap_or(u64::MAX)));
            KeptWill { due: Some(due), will: will.clone() }
        });
        let session = &mut self.kept.session;
        session.note_head(&self.access, self.lasts_s, Some(self.ends_at), will);
        if let Some(journal) = &mut session.journal {
            journal.flush();
        }
    }

    fn stopped(self) {
        self.shared.counters.sessions_now.decrement();
    }

    async fn end(mut self, heir: Option<Heir>) {
        let goes_on = heir.as_ref().is_some_and(|heir| !heir.clean);
        if !goes_on {
            self.publish_will().await;
            self.kept.session.forget();
            let link = self.kept.link.take();
            self.kept.session.pass_on(link, &self.shared.exchange).await;
        }
        self.shared.counters.sessions_now.decrement();
        self.shared.registry.release(&self.client_id, self.connection);
        if let Some(Heir { inherits, .. }) = heir {
            let session = goes_on.then_some(self.kept);
            // The heir may be gone already; then nobody inherits.
            let _gone = inherits.send(Inherited { attached: false, session, ended: !goes_on });
        }
    }
}

/// The next message to the device's own topics.
async fn next_down(mailbox: &mut Option<Mailbox<Downlink>>) -> Downlink {
    match mailbox {
        Some(mailbox) => mailbox.recv().await,
        None => std::future::pending().await,
    }
}

/// The next message of the exchange; none: it has stopped.
async fn next_message(link: &mut Option<Box<Link>>) -> Option<Arrival> {
    match link {
        Some(link) => link.recv().await,
        None => std::future::pending().await,
    }
}
