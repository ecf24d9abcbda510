//! What a connection begins with: what the handshake found out, and what an earlier one left.

use super::{
    super::{
        batch::Batch,
        delivering::Aliases,
        journal::Journal,
        pace::Pace,
        receives::Receiving,
        registry::Takeover,
        restoring,
        session::{Inherited, Kept, Session},
        shared::Shared,
    },
    Client, Connection,
    deadlines::FAR,
    socket::READ_BYTES,
};
use crate::{clock, exchange::Attendance};
use bytes::BytesMut;
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// What the handshake found out and made.
pub(in crate::edge) struct Opening<S> {
    pub(in crate::edge) shared: Arc<Shared>,
    pub(in crate::edge) client: Client,
    /// How many messages the client takes unacknowledged.
    pub(in crate::edge) window: u16,
    /// How many topic aliases it takes.
    pub(in crate::edge) aliases_max: u16,
    pub(in crate::edge) inherited: Inherited,
    pub(in crate::edge) socket: S,
    /// What came behind CONNECT.
    pub(in crate::edge) buffer: BytesMut,
    /// CONNACK.
    pub(in crate::edge) out: BytesMut,
    pub(in crate::edge) taken_over: oneshot::Receiver<Takeover>,
    pub(in crate::edge) stop: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(in crate::edge) fn new(opening: Opening<S>) -> Self {
        let Opening { shared, client, socket, buffer, out, .. } = opening;
        let inherited = inherit(&shared, &client, opening.window, opening.inherited);
        let Kept { session, link, mailbox } = inherited;
        let heard = Instant::now();
        let ends = client.ends();
        let silent = heard + client.silence_max().unwrap_or(FAR);
        let first = ends.map_or(silent, |ends| ends.min(silent));
        Self {
            publishing: None,
            aliases: Aliases::new(opening.aliases_max),
            pace: Pace::new(&shared.limits, heard),
            receives: Receiving::default(),
            listens: Box::default(),
            batch: Batch::default(),
            work: None,
            mailbox,
            read_bytes: *READ_BYTES.start(),
            stuck_since: None,
            ends,
            timer: Box::pin(tokio::time::sleep_until(first)),
            timed: false,
            taken_over: opening.taken_over,
            stopped: Box::pin(opening.stop.cancelled_owned()),
            shared,
            client,
            session,
            link,
            buffer,
            out,
            socket,
            heard,
            heard_bytes: 0,
        }
    }
}

impl Client {
    /// When its credential ends.
    fn ends(&self) -> Option<Instant> {
        let at = self.access.as_ref()?.principal.ends_at()?;
        Some(restoring::instant(at, clock::now()))
    }
}

/// The session that goes on, or a new one.
fn inherit(shared: &Arc<Shared>, client: &Client, window: u16, inherited: Inherited) -> Kept {
    let mut kept = match inherited.session {
        Some(mut kept) => {
            kept.session.resume(window);
            kept
        }
        None => Kept { session: begin(shared, client, window), link: None, mailbox: None },
    };
    kept.session.restrict(&client.access);
    if let Some(link) = &kept.link {
        link.attend(Attendance::Here);
    }
    kept
}

/// A session with a journal, if it is to outlive the connection.
fn begin(shared: &Arc<Shared>, client: &Client, window: u16) -> Session {
    let mut session = Session::new(shared, window);
    if client.session_expiry > 0 {
        session.journal = Some(Box::new(Journal::new(shared, client.id.clone())));
    }
    session
}
