//! How connections end, and what is left to do then.

use super::{
    batch::{Batch, Content, Known, forward},
    connection::{Connection, Done},
    reason::Reason,
    registry::Takeover,
    session::Inherited,
    wire::disconnect,
};
use crate::core::Input;
use bridge::event::EdgeEvent;
use protocol::PresenceReason;
use std::time::Duration;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::timeout,
};

/// How long a peer may take for the last bytes to it, and for closing after them.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How much is read from a peer after the goodbye, so that closing does not tear it from the wire.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// What ended a connection.
#[derive(Debug)]
pub(super) enum End {
    /// DISCONNECT came; it took the will back or not.
    Disconnected,
    /// The socket broke or closed.
    Lost,
    KeepAlive,
    WriteTimeout,
    /// Another connection has the client id now.
    TakenOver(Option<Takeover>),
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
            Self::Lost | Self::WriteTimeout | Self::Violation(_) | Self::Panicked => {
                PresenceReason::ConnectionLost
            }
            Self::KeepAlive => PresenceReason::KeepAlive,
            Self::TakenOver(_) => PresenceReason::TakenOver,
            Self::Kicked => PresenceReason::Kicked,
            Self::Stopping => PresenceReason::Shutdown,
        }
    }

    /// What to tell the peer, if anything can be told.
    fn goodbye(&self) -> Option<Reason> {
        match self {
            Self::Disconnected | Self::Lost | Self::WriteTimeout | Self::Panicked => None,
            Self::KeepAlive => Some(Reason::KeepAliveTimeout),
            Self::TakenOver(_) => Some(Reason::TakenOver),
            Self::Kicked => Some(Reason::AdministrativeAction),
            Self::Stopping => Some(Reason::ShuttingDown),
            Self::Violation(reason) => Some(*reason),
        }
    }
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// Leaves nothing behind: what came is handed on, the core and the registry know, the will is
    /// published, a peer that listens is told why.
    pub(super) async fn finish(mut self, end: End) {
        tracing::debug!(?end, "connection ends");
        self.count(&end);
        if let Some(Done::Forwarded(_) | Done::Linked(_)) = self.finish_work().await {
            self.say_farewell(&end).await;
        }
        let Self { shared, client, .. } = &self;
        shared.registry.release(&client.id, client.connection);
        let goodbye = end.goodbye();
        if let End::TakenOver(Some(heir)) = end {
            let inherited = Inherited { attached: self.client.attached, session: None };
            // The heir may be gone already; then nobody inherits.
            let _gone = heir.send(inherited);
        }
        if let Some(reason) = goodbye {
            disconnect(&mut self.out, self.client.version, reason);
            let _late = timeout(GOODBYE_TIMEOUT, self.close()).await;
        }
    }

    fn count(&self, end: &End) {
        let counters = &self.shared.counters;
        match end {
            End::KeepAlive => counters.keep_alive_timeouts.increment(),
            End::WriteTimeout => counters.write_timeouts.increment(),
            End::Violation(_) => counters.violations.increment(),
            End::Panicked => counters.panics.increment(),
            End::Disconnected | End::Lost | End::TakenOver(_) | End::Kicked | End::Stopping => {}
        }
    }

    /// What the client sent before the end still counts.
    async fn finish_work(&mut self) -> Option<Done> {
        let done = match self.work.take() {
            Some(work) => work.await,
            None => Done::Forwarded(super::pending::Pending::default()),
        };
        (!matches!(done, Done::Stopped)).then_some(done)
    }

    async fn say_farewell(&mut self, end: &End) {
        let connection = self.client.connection;
        for device in std::mem::take(&mut self.receives).into_keys() {
            let event = EdgeEvent::ReceivesNot { device, connection };
            self.batch.input(Input::Edge { event, mailbox: None });
        }
        // Messages first: they came before the end.
        let (mut steps, _) = std::mem::take(&mut self.batch).into_steps(connection, false);
        let mut last = Batch::default();
        if let Some(device) = self.client.device.clone().filter(|_| self.client.attached) {
            let event = EdgeEvent::Detached { device, connection, reason: end.presence() };
            last.input(Input::Edge { event, mailbox: None });
        }
        self.add_will(&mut last);
        steps.extend(last.into_steps(connection, false).0);
        if forward(&self.shared, steps).await.is_err() {
            tracing::debug!("the gateway stops: the end of the connection is not told");
        }
    }

    fn add_will(&mut self, batch: &mut Batch) {
        let Some(will) = self.client.will.take() else { return };
        let known = match Known::new(&self.shared, &will.topic) {
            Ok(known) if !known.forbidden => known,
            Ok(_) | Err(_) => return,
        };
        self.shared.counters.wills.increment();
        let content = Content {
            payload: &will.payload,
            qos: will.qos,
            retain: will.retain,
            properties: will.properties,
        };
        batch.message(&self.shared, self.client.connection, &known, content);
    }

    async fn close(&mut self) -> std::io::Result<()> {
        self.writer.write_all_buf(&mut self.out).await?;
        self.writer.shutdown().await?;
        let mut rest = LINGER_BYTES_MAX;
        let mut scratch = [0; 4096];
        while rest > 0 {
            match self.reader.read(&mut scratch).await? {
                0 => break,
                bytes => rest = rest.saturating_sub(bytes),
            }
        }
        Ok(())
    }
}
