//! How connections end, and what is left to do then.

use super::{
    batch::{Batch, Wait, forward},
    connection::{Connection, Done},
    journal::KeptWill,
    parked::Parked,
    reading::Decoded,
    reason::Reason,
    registry::Heir,
    session::{Inherited, Kept, Session},
    wire::disconnect,
};
use crate::{clock, core::Input, exchange::Attendance, rhythm::Cue};
use bridge::event::EdgeEvent;
use futures_util::FutureExt;
use protocol::{Millis, PresenceReason};
use std::{future::poll_fn, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::oneshot,
    time::{Instant, timeout},
};

/// How long a peer may take for the last bytes to it, and for closing after them.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a connection that is taken over is read once more: a client that goes on sending on it is not waited for.
const HEAR_OUT_READS_MAX: usize = 64;

/// How much is read from a peer after the goodbye, so that closing does not tear it from the wire.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// What ended a connection.
#[derive(Debug)]
pub(super) enum End {
    /// DISCONNECT came; it took the will back or not.
    Disconnected,
    /// The peer says no more; it may still read.
    Silent,
    /// The socket broke.
    Lost,
    KeepAlive,
    WriteTimeout,
    /// Another connection has the client id now.
    TakenOver(Option<Heir>),
    /// Its credential was revoked or has ended, or it was trusted and has to sign in now.
    Revoked,
    /// Its device was deleted.
    Kicked,
    /// The gateway is shutting down.
    Stopping,
    /// The peer broke the protocol or a limit.
    Violation(Reason),
    /// A bug, met by what this peer sent.
    Panicked,
}

impl End {
    fn presence(&self) -> PresenceReason {
        match self {
            Self::Disconnected => PresenceReason::Disconnected,
            Self::Silent
            | Self::Lost
            | Self::WriteTimeout
            | Self::Violation(_)
            | Self::Panicked => PresenceReason::ConnectionLost,
            Self::KeepAlive => PresenceReason::KeepAlive,
            Self::TakenOver(_) => PresenceReason::TakenOver,
            Self::Kicked | Self::Revoked => PresenceReason::Kicked,
            Self::Stopping => PresenceReason::Shutdown,
        }
    }

    /// What to tell the peer, if anything can be told.
    fn goodbye(&self) -> Option<Reason> {
        match self {
            Self::Disconnected
            | Self::Silent
            | Self::Lost
            | Self::WriteTimeout
            | Self::Panicked => None,
            Self::KeepAlive => Some(Reason::KeepAliveTimeout),
            Self::TakenOver(_) => Some(Reason::TakenOver),
            Self::Kicked => Some(Reason::AdministrativeAction),
            Self::Revoked => Some(Reason::NotAuthorized),
            Self::Stopping => Some(Reason::ShuttingDown),
            Self::Violation(reason) => Some(*reason),
        }
    }

    /// Whether the peer may still read what it is owed.
    fn leaves_a_reader(&self) -> bool {
        !matches!(self, Self::Lost | Self::WriteTimeout | Self::Panicked)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Leaves nothing behind: what came is handed on, the core and the registry know, the will is
    /// published or kept, a peer that listens is told why. Gives what waits for the client to come back.
    pub(super) async fn finish(mut self, mut end: End) -> Option<Parked> {
        tracing::debug!(?end, "connection ends");
        self.count(&end);
        if matches!(end, End::Panicked) {
            // It may be what panicked.
            self.work = None;
        }
        let mut going_on = self.finish_work().await;
        if going_on && matches!(end, End::TakenOver(_)) {
            going_on = self.hear_out().await;
        }
        if matches!(end, End::Kicked) && self.leaves_own_will() {
            self.client.will = None;
        }
        let heir = if let End::TakenOver(takeover) = &mut end { takeover.take() } else { None };
        let kept = self.keeps_session(&end, heir.as_ref());
        if going_on {
            if kept {
                self.settle().await;
            }
            self.say_farewell(&end, kept).await;
        }
        let parked = match heir {
            Some(Heir { inherits, .. }) => {
                let ended = !kept && self.session.journal.is_some();
                if !kept {
                    self.session.forget();
                }
                let session = kept.then(|| self.take_session());
                let inherited = Inherited { attached: self.client.attached, session, ended };
                // The heir may be gone already; then nobody inherits.
                let _gone = inherits.send(inherited);
                None
            }
            None if kept => self.park(&end),
            None => None,
        };
        // What was not taken away by now has ended.
        if !kept {
            self.session.forget();
            let link = self.link.take();
            self.session.pass_on(link, &self.shared.exchange).await;
        }
        if parked.is_none() {
            self.shared.registry.release(&self.client.id, self.client.connection);
        }
        if end.leaves_a_reader() {
            self.say_goodbye(&end).await;
        }
        parked
    }

    /// Answers what came before the end (`[MQTT-4.3.2-4]`: who sent a QoS 1 message gets its PUBACK), says why it
    /// ends, and closes.
    async fn say_goodbye(&mut self, end: &End) {
        let _not_stored_yet = timeout(GOODBYE_TIMEOUT, self.settle()).await;
        if let Some(reason) = end.goodbye() {
            disconnect(&mut self.out, self.client.dialect, reason);
        }
        let _late = timeout(GOODBYE_TIMEOUT, self.close()).await;
    }

    /// Whether the client finds its session again.
    fn keeps_session(&self, end: &End, heir: Option<&Heir>) -> bool {
        match end {
            End::TakenOver(_) => {
                heir.is_some_and(|heir| !heir.clean) && self.client.session_expiry > 0
            }
            End::Panicked => false,
            End::Disconnected
            | End::Stopping
            | End::Silent
            | End::Lost
            | End::KeepAlive
            | End::WriteTimeout
            | End::Kicked
            | End::Revoked
            | End::Violation(_) => self.client.session_expiry > 0,
        }
    }

    fn take_session(&mut self) -> Kept {
        // The core sends them again, on the next connection.
        self.session.forget_commands();
        if let Some(journal) = &mut self.session.journal {
            journal.flush();
        }
        let fresh = Session::new(&self.shared, 0);
        let session = std::mem::replace(&mut self.session, fresh);
        Kept { session, link: self.link.take(), mailbox: self.mailbox.take() }
    }

    /// Keeps the session for the client to come back; none: there are too many already. While the gateway stops it
    /// takes what others still say, and the disk keeps it.
    fn park(&mut self, end: &End) -> Option<Parked> {
        let room = self.shared.sessions.clone().try_acquire_owned().ok();
        if room.is_none() && !matches!(end, End::Stopping) {
            self.shared.counters.limit_sessions.increment();
            if self.shared.complaints.due("kept sessions", std::time::Instant::now()) {
                let client = &*self.client.id;
                tracing::warn!(client, "its session is not kept: limits.mqtt_sessions is reached");
            }
            self.session.forget();
            return None;
        }
        self.note_parked();
        if let Some(link) = &self.link {
            link.attend(Attendance::Away);
        }
        let now = Instant::now();
        let lasts = Duration::from_secs(self.client.session_expiry.into());
        // Without a sender nobody takes over any more: the registry has forgotten us.
        let taken_over = std::mem::replace(&mut self.taken_over, oneshot::channel().1);
        Some(Parked {
            shared: self.shared.clone(),
            client_id: self.client.id.clone(),
            access: self.client.access.clone(),
            connection: self.client.connection,
            kept: self.take_session(),
            will: self.client.will.take().map(|will| {
                let delay = Duration::from_secs(will.delay.into());
                (*will, now + delay.min(lasts))
            }),
            expires: now + lasts,
            ends_at: clock::now().plus(Millis(u64::from(self.client.session_expiry) * 1_000)),
            lasts_s: self.client.session_expiry,
            taken_over,
            _room: room,
        })
    }

    /// The disk is told that the client is away.
    fn note_parked(&mut self) {
        let (now, lasts_s) = (clock::now(), self.client.session_expiry);
        let in_seconds = |seconds: u32| now.plus(Millis(u64::from(seconds) * 1_000));
        let will = self
            .client
            .will
            .clone()
            .map(|will| KeptWill { due: Some(in_seconds(will.delay.min(lasts_s))), will: *will });
        self.session.note_head(&self.client.access, lasts_s, Some(in_seconds(lasts_s)), will);
    }

    fn count(&self, end: &End) {
        let counters = &self.shared.counters;
        match end {
            End::KeepAlive => counters.keep_alive_timeouts.increment(),
            End::WriteTimeout => counters.write_timeouts.increment(),
            End::Violation(_) => counters.violations.increment(),
            End::Panicked => counters.panics.increment(),
            End::Revoked => counters.closed_revoked.increment(),
            End::TakenOver(_) => counters.takeovers.increment(),
            End::Disconnected | End::Silent | End::Lost | End::Kicked | End::Stopping => {}
        }
    }

    /// What the client sent before the end still counts. False: the gateway stops, nobody takes it.
    async fn finish_work(&mut self) -> bool {
        let Some(work) = self.work.take() else { return true };
        match work.await {
            Done::Forwarded(pending) => self.forwarded(pending),
            Done::Linked(linked) => self.linked(linked),
            Done::Stopped => return false,
        }
        true
    }

    /// What the client said here before it came back on another connection counts, above all that it was going: it lies
    /// in the socket, however late this task gets to it. False: the gateway stops, nobody takes it.
    async fn hear_out(&mut self) -> bool {
        for _ in 0..HEAR_OUT_READS_MAX {
            let decoded = self.decode_packets();
            self.hand_on();
            if !self.finish_work().await {
                return false;
            }
            match decoded {
                Ok(Decoded::AllThatMay) => {}
                Ok(Decoded::UpToChange) => continue,
                Err(_) => break,
            }
            let more = self.may_read().then(|| poll_fn(|context| self.poll_read(context)));
            let Some(read) = more.and_then(FutureExt::now_or_never) else { break };
            if self.read(read).is_err() {
                break;
            }
        }
        true
    }

    async fn say_farewell(&mut self, end: &End, kept: bool) {
        let connection = self.client.connection;
        for device in self.receives.take() {
            let event = EdgeEvent::ReceivesNot { device, connection };
            self.batch.input(Input::Edge { event, mailbox: None });
        }
        if !std::mem::take(&mut self.listens).is_empty() {
            let (client, filters) = (self.client.id.to_string(), Vec::new());
            let event = EdgeEvent::Listens { connection, client, filters };
            self.batch.input(Input::Edge { event, mailbox: None });
        }
        // Messages first: they came before the end.
        let (mut steps, _) =
            std::mem::take(&mut self.batch).into_steps(connection, Cue::Own, Wait::ForNothing);
        let mut last = Batch::default();
        if self.mailbox.is_some() {
            last.input(Input::Gone(connection));
        }
        if let Some(device) = self.client.device.clone().filter(|_| self.client.attached) {
            let event = EdgeEvent::Detached { device, connection, reason: end.presence() };
            last.input(Input::Edge { event, mailbox: None });
        }
        // With a delay the will waits for the client, as long as its session does.
        if let Some(will) = self.client.will.take_if(|will| !kept || will.delay == 0) {
            last.will(&self.shared, connection, &self.client.access, *will);
        }
        steps.extend(last.into_steps(connection, Cue::Own, Wait::ForNothing).0);
        if forward(&self.shared, steps).await.is_err() {
            tracing::debug!("the gateway stops: the end of the connection is not told");
        }
    }

    async fn close(&mut self) -> std::io::Result<()> {
        self.socket.write_all_buf(&mut self.out).await?;
        self.socket.shutdown().await?;
        let mut rest = LINGER_BYTES_MAX;
        let mut scratch = [0; 4096];
        while rest > 0 {
            match self.socket.read(&mut scratch).await? {
                0 => break,
                bytes => rest = rest.saturating_sub(bytes),
            }
        }
        Ok(())
    }
}
