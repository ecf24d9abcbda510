//! One client's connection: the actor that owns the socket.
//!
//! [`Connection::serve`] waits in one place (`waiting`) and dispatches in one place. Nothing else waits: what takes
//! time (a full core, the exchange's router) is [`Work`] that goes on beside writing, deliveries and
//! timers, while the socket is not read. So a full gateway slows its publishers down and loses nothing.
//! How much is read and written says `socket`, how long is waited for a peer `deadlines`, what a connection begins
//! with `opening`.

mod deadlines;
mod opening;
mod socket;
mod waiting;

use super::{
    access::MaybeAccess,
    batch::Batch,
    delivering::Aliases,
    ending::End,
    pace::Pace,
    pending::Pending,
    publishing::{Outcome, Publishing},
    reading::Decoded,
    receives::Receiving,
    registry::Takeover,
    session::Session,
    shared::Shared,
    subscribing::Linked,
    subscriptions::Source,
    wire::{Dialect, Will},
};
use crate::{core::Downlink, exchange::Link, mailbox::Mailbox};
use bridge::event::ConnectionId;
use bytes::BytesMut;
pub(super) use opening::Opening;
use protocol::{DeviceId, TopicFilter};
pub(super) use socket::OUT_BYTES_HIGH;
use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    time::{Instant, Sleep},
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use waiting::Event;

/// What takes time; its end comes as [`Event::Done`].
pub(super) type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// How work ended.
#[derive(Debug)]
pub(super) enum Done {
    /// A batch is with the core and the exchange; its acknowledgements may follow.
    Forwarded(Pending),
    /// The link follows the subscriptions; the client may be answered.
    Linked(Linked),
    /// The core or the exchange has ended.
    Stopped,
}

/// Who is connected.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) connection: ConnectionId,
    pub(super) address: SocketAddr,
    pub(super) dialect: Dialect,
    /// A bridge of another broker.
    pub(super) is_bridge: bool,
    pub(super) id: Arc<str>,
    /// The device that the client id names, if it is a device id.
    pub(super) device: Option<DeviceId>,
    /// What it may do; none: all, it is trusted.
    pub(super) access: MaybeAccess,
    /// The connection is that device's own.
    pub(super) attached: bool,
    /// How long its session outlives the connection, in seconds.
    pub(super) session_expiry: u32,
    /// In seconds; none: 0.
    pub(super) keep_alive: u16,
    pub(super) will: Option<Box<Will>>,
}

/// The actor.
pub(super) struct Connection<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) session: Session,
    pub(super) link: Option<Box<Link>>,
    pub(super) publishing: Option<Box<Publishing>>,
    /// Towards a client of MQTT 5 that takes some.
    pub(super) aliases: Option<Box<Aliases>>,
    /// Where rates are bounded.
    pub(super) pace: Option<Box<Pace>>,
    /// The devices whose commands the core was told it can receive.
    pub(super) receives: Receiving,
    /// The filters by which the core was told that it may receive those of mapped devices.
    pub(super) listens: Box<[TopicFilter]>,
    pub(super) batch: Batch,
    pub(super) work: Option<Work>,
    pub(super) mailbox: Option<Mailbox<Downlink>>,
    pub(super) buffer: BytesMut,
    pub(super) out: BytesMut,
    pub(super) socket: S,
    /// When the last packet came, or so much of one that its client is not silent.
    pub(super) heard: Instant,
    /// How much of the next packet had come by then.
    heard_bytes: usize,
    read_bytes: usize,
    /// Since when the peer takes no bytes.
    stuck_since: Option<Instant>,
    /// When its credential ends.
    ends: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    /// The timer is set for a deadline. Otherwise its clock may not even know whom to wake.
    timed: bool,
    pub(super) taken_over: oneshot::Receiver<Takeover>,
    /// Waits for the end of the gateway, kept because to begin to wait takes a lock that all connections share.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Serves the client until something ends the connection.
    pub(super) async fn serve(&mut self) -> End {
        let mut woken = true;
        loop {
            if let Err(end) = self.advance() {
                return end;
            }
            let event = self.next_event(woken).await;
            // A timer that has rung waits for the next deadline, who was told something for what is told next.
            woken = matches!(event, Event::Timer | Event::TakenOver(_));
            if let Err(end) = self.handle(event) {
                return end;
            }
        }
    }

    /// Does what can be done without waiting: decodes whole packets, hands their batch on, moves
    /// messages from the outbox to the bytes that are written next.
    fn advance(&mut self) -> Result<(), End> {
        loop {
            let decoded = self.decode_packets();
            self.hand_on();
            if decoded? == Decoded::AllThatMay {
                break;
            }
        }
        self.keep_journal();
        self.fill();
        // What could not be written is told.
        self.hand_on();
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Stop if !self.shared.is_stopping() => return Err(End::Revoked),
            Event::Stop | Event::Done(Done::Stopped) | Event::Message(None) => {
                return Err(End::Stopping);
            }
            Event::TakenOver(takeover) => return self.taken_over_by(takeover),
            Event::Timer => return self.time_out(Instant::now()),
            Event::Done(Done::Forwarded(pending)) => self.forwarded(pending),
            Event::Done(Done::Linked(linked)) => self.linked(linked),
            Event::Stored(stored) => return self.stored(Outcome::of(stored)),
            Event::Read(read) => return self.read(read),
            Event::Down(down) => return self.downlink(down),
            Event::Message(Some(arrival)) => self.deliver(arrival, Source::Link),
            // The next round does what can be done now.
            Event::Journaled | Event::Backlog => {}
            Event::Written(written) => return self.written(written),
            Event::Stuck => self.stuck_since = Some(Instant::now()),
        }
        Ok(())
    }

    /// Orders to an earlier connection of the session come again, to this one.
    pub(super) fn downlink(&mut self, down: Downlink) -> Result<(), End> {
        let me = self.client.connection;
        match down {
            Downlink::Kick(connection) if connection == me => return Err(End::Kicked),
            Downlink::Publish(connection, message) if connection == me => {
                self.deliver_order(&message);
            }
            Downlink::Recall(connection, command, attempt) if connection == me => {
                self.give_back(command, attempt);
            }
            Downlink::Kick(_) | Downlink::Publish(..) | Downlink::Recall(..) => {}
            Downlink::Pass(arrival) => self.deliver(arrival, Source::Own),
        }
        Ok(())
    }

    /// Another connection takes the client id, or this one may not stay.
    fn taken_over_by(&mut self, takeover: Option<Takeover>) -> Result<(), End> {
        match takeover {
            Some(Takeover::Heir(heir)) => Err(End::TakenOver(Some(heir))),
            Some(Takeover::Revoked(next)) => {
                self.taken_over = next;
                Err(End::Revoked)
            }
            // The core has kicked the connection that it knew: one that is here came since.
            Some(Takeover::Deleted(next)) => {
                self.taken_over = next;
                Ok(())
            }
            None => Err(End::TakenOver(None)),
        }
    }
}
