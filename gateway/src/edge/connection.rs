//! One client's connection: the actor that owns the socket.
//!
//! [`Connection::serve`] waits in one place and dispatches in one place. Nothing else waits: what takes
//! time (a full core, the exchange's router) is [`Work`] that goes on beside writing, deliveries and
//! timers, while the socket is not read. So a full gateway slows its publishers down and loses nothing.

use super::{
    access::MaybeAccess,
    batch::Batch,
    delivering::Aliases,
    ending::End,
    journal::Journal,
    pace::{Pace, Rests},
    pending::Pending,
    publishing::Publishing,
    receives::Receiving,
    registry::Takeover,
    restoring,
    session::{Inherited, Kept, Session},
    shared::Shared,
    subscribing::Linked,
    subscriptions::Source,
    wire::{Dialect, Version, Will},
};
use crate::{
    clock,
    core::Downlink,
    exchange::{Arrival, Attendance, Link},
    mailbox::Mailbox,
};
use bridge::event::ConnectionId;
use bytes::{Buf as _, BytesMut};
use futures_util::FutureExt as _;
use protocol::{DeviceId, TopicFilter};
use std::{
    future::{Future, poll_fn},
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Above this many bytes to write, messages stay in the outbox and the socket is not read.
pub(super) const OUT_BYTES_HIGH: usize = 64 * 1024;

/// How much is read at a time at first, and at most: it follows what the client sends.
const READ_BYTES: std::ops::RangeInclusive<usize> = 1024..=64 * 1024;

/// Where the timer rests while there is no deadline.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// Ends the poll with an event where there is one.
macro_rules! event {
    ($poll:expr, $ready:pat => $event:expr) => {
        if let Poll::Ready($ready) = $poll {
            return Poll::Ready($event);
        }
    };
}

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

/// All that can happen to a connection.
#[derive(Debug)]
enum Event {
    Stop,
    TakenOver(Option<Takeover>),
    Timer,
    Done(Done),
    /// The oldest unacknowledged batch is stored, or it is certain that it will not be.
    Stored(bool),
    Read(io::Result<usize>),
    Down(Downlink),
    Message(Option<Arrival>),
    /// What was noted in the journal is stored.
    Journaled,
    /// There is room for retained messages.
    Backlog,
    Written(io::Result<usize>),
}

/// What can be waited for beside what always can.
struct Awaited {
    deadline: bool,
    reading: bool,
    /// There is room for retained messages that were promised, once others had their turn.
    backlog: bool,
    others_had_their_turn: bool,
}

impl Awaited {
    fn poll_yield(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.others_had_their_turn {
            return Poll::Ready(());
        }
        self.others_had_their_turn = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Who is connected.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) connection: ConnectionId,
    pub(super) address: SocketAddr,
    pub(super) version: Version,
    pub(super) dialect: Dialect,
    pub(super) id: Arc<str>,
    /// The device that the client id names, if it is a device id.
    pub(super) device: Option<DeviceId>,
    /// What it may do; none: all, it is trusted.
    pub(super) access: MaybeAccess,
    /// The connection is that device's own.
    pub(super) attached: bool,
    /// How long its session outlives the connection, in seconds.
    pub(super) session_expiry: u32,
    /// One and a half times what the client announced.
    pub(super) silence_max: Option<Duration>,
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
    pub(super) listens: Vec<TopicFilter>,
    pub(super) batch: Batch,
    pub(super) work: Option<Work>,
    pub(super) mailbox: Option<Mailbox<Downlink>>,
    pub(super) buffer: BytesMut,
    pub(super) out: BytesMut,
    pub(super) socket: S,
    /// When the last whole packet came.
    pub(super) heard: Instant,
    read_bytes: usize,
    /// Since when the peer takes no bytes.
    stuck_since: Option<Instant>,
    /// When its credential ends.
    ends: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    pub(super) taken_over: oneshot::Receiver<Takeover>,
    pub(super) stop: CancellationToken,
    /// Waits for `stop`, kept because to begin to wait takes a lock that all connections share.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What the handshake found out and made.
pub(super) struct Opening<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    /// How many messages the client takes unacknowledged.
    pub(super) window: u16,
    /// How many topic aliases it takes.
    pub(super) aliases_max: u16,
    pub(super) inherited: Inherited,
    pub(super) socket: S,
    /// What came behind CONNECT.
    pub(super) buffer: BytesMut,
    /// CONNACK.
    pub(super) out: BytesMut,
    pub(super) taken_over: oneshot::Receiver<Takeover>,
    pub(super) stop: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(opening: Opening<S>) -> Self {
        let Opening { shared, client, window, inherited, socket, buffer, out, .. } = opening;
        let Kept { mut session, link, mailbox } = match inherited.session {
            Some(mut kept) => {
                kept.session.resume(window);
                kept
            }
            None => {
                let mut session = Session::new(&shared, window);
                if client.session_expiry > 0 {
                    let journal = Journal::new(&shared, client.id.clone());
                    session.journal = Some(Box::new(journal));
                }
                Kept { session, link: None, mailbox: None }
            }
        };
        let ends = client.access.as_ref().and_then(|access| access.principal.ends_at());
        let ends = ends.map(|at| restoring::instant(at, clock::now()));
        session.restrict(&client.access);
        if let Some(link) = &link {
            link.attend(Attendance::Here);
        }
        let heard = Instant::now();
        let far = heard + client.silence_max.unwrap_or(FAR);
        let far = ends.map_or(far, |ends| ends.min(far));
        Self {
            publishing: None,
            aliases: Aliases::new(opening.aliases_max),
            pace: Pace::new(&shared.limits, heard),
            receives: Receiving::default(),
            listens: Vec::new(),
            batch: Batch::default(),
            work: None,
            mailbox,
            read_bytes: *READ_BYTES.start(),
            stuck_since: None,
            ends,
            timer: Box::pin(tokio::time::sleep_until(far)),
            taken_over: opening.taken_over,
            stopped: Box::pin(opening.stop.clone().cancelled_owned()),
            stop: opening.stop,
            shared,
            client,
            session,
            link,
            buffer,
            out,
            socket,
            heard,
        }
    }

    /// Serves the client until something ends the connection.
    pub(super) async fn serve(&mut self) -> End {
        loop {
            if let Err(end) = self.advance() {
                return end;
            }
            let event = self.next_event().await;
            if let Err(end) = self.handle(event) {
                return end;
            }
        }
    }

    /// Does what can be done without waiting: decodes whole packets, hands their batch on, moves
    /// messages from the outbox to the bytes that are written next.
    fn advance(&mut self) -> Result<(), End> {
        let decoded = self.decode_packets();
        self.hand_on();
        decoded?;
        self.keep_journal();
        self.fill();
        // What could not be written is told.
        self.hand_on();
        self.stuck_since = match self.stuck_since {
            _ if self.out.is_empty() => None,
            None => Some(Instant::now()),
            since => since,
        };
        Ok(())
    }

    /// Waits for the next event.
    async fn next_event(&mut self) -> Event {
        let deadline = self.deadline();
        if let Some(deadline) = deadline.filter(|deadline| *deadline < self.timer.deadline()) {
            self.timer.as_mut().reset(deadline);
        }
        let mut awaited = Awaited {
            deadline: deadline.is_some(),
            reading: self.may_read(),
            backlog: self.may_pull_retained() && self.out.len() < OUT_BYTES_HIGH,
            others_had_their_turn: false,
        };
        poll_fn(|context| self.poll_event(&mut awaited, context)).await
    }

    /// The next event. What is asked keeps nothing between two polls, so that to wait takes no memory.
    ///
    /// The order is a promise: ends and deadlines are never starved; what is read comes before what is
    /// delivered, so that no flood of messages keeps a client's own packets waiting; writing comes
    /// last, so that one write takes all that is ready.
    fn poll_event(&mut self, awaited: &mut Awaited, context: &mut Context<'_>) -> Poll<Event> {
        event!(self.stopped.as_mut().poll(context), () => Event::Stop);
        event!(self.taken_over.poll_unpin(context), takeover => Event::TakenOver(takeover.ok()));
        if awaited.deadline {
            event!(self.timer.as_mut().poll(context), () => Event::Timer);
        }
        event!(self.poll_work(context), done => Event::Done(done));
        if let Some(publishing) = &mut self.publishing {
            event!(publishing.pending.poll_front_stored(context), stored => Event::Stored(stored));
        }
        if awaited.reading {
            event!(self.poll_read(context), read => Event::Read(read));
        }
        if let Some(mailbox) = &mut self.mailbox {
            event!(mailbox.poll_recv(context), down => Event::Down(down));
        }
        if let Some(link) = &mut self.link {
            event!(link.poll_recv(context), message => Event::Message(message));
        }
        if let Some(journal) = &mut self.session.journal {
            event!(journal.poll_stored(context), () => Event::Journaled);
        }
        if awaited.backlog {
            event!(awaited.poll_yield(context), () => Event::Backlog);
        }
        if !self.out.is_empty() {
            let written = Pin::new(&mut self.socket).poll_write(context, &self.out);
            event!(written, written => Event::Written(written));
        }
        Poll::Pending
    }

    fn poll_work(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = ready!(work.as_mut().poll(context));
        self.work = None;
        Poll::Ready(done)
    }

    /// Reads about as much as came the last times. While that is little, it is read onto the stack first, so
    /// that the buffer is no larger than what came; and while nothing comes there is none.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * self.read_bytes {
            self.buffer = BytesMut::new();
        }
        if self.read_bytes > *READ_BYTES.start() {
            self.buffer.reserve(self.read_bytes);
            return pin!(self.socket.read_buf(&mut self.buffer)).poll(context);
        }
        let mut scratch = [const { MaybeUninit::uninit() }; *READ_BYTES.start()];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        let read = Pin::new(&mut self.socket).poll_read(context, &mut scratch);
        if read.is_pending() && self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        ready!(read)?;
        self.buffer.extend_from_slice(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Stop | Event::Done(Done::Stopped) | Event::Message(None) => {
                return Err(End::Stopping);
            }
            Event::TakenOver(takeover) => return Err(self.taken_over_by(takeover)),
            Event::Timer => return self.time_out(Instant::now()),
            Event::Done(Done::Forwarded(pending)) => self.publishing().pending.push(pending),
            Event::Done(Done::Linked(linked)) => self.linked(linked),
            Event::Stored(stored) => return self.stored(stored),
            Event::Read(read) => return self.read(read),
            Event::Down(down) => return self.downlink(down),
            Event::Message(Some(arrival)) => self.deliver(arrival, Source::Link),
            // The next round does what can be done now.
            Event::Journaled | Event::Backlog => {}
            Event::Written(written) => return self.written(written),
        }
        Ok(())
    }

    /// Orders to an earlier connection of the session come again, to this one.
    fn downlink(&mut self, down: Downlink) -> Result<(), End> {
        let me = self.client.connection;
        match down {
            Downlink::Kick(connection) if connection == me => return Err(End::Kicked),
            Downlink::Publish(connection, message) if connection == me => {
                self.deliver_order(&message);
            }
            Downlink::Kick(_) | Downlink::Publish(..) => {}
            Downlink::Pass(arrival) => self.deliver(arrival, Source::Own),
        }
        Ok(())
    }

    /// Another connection takes the client id, or this one may not stay.
    fn taken_over_by(&mut self, takeover: Option<Takeover>) -> End {
        match takeover {
            Some(Takeover::Heir(heir)) => End::TakenOver(Some(heir)),
            Some(Takeover::Revoked(next)) => {
                self.taken_over = next;
                End::Revoked
            }
            None => End::TakenOver(None),
        }
    }

    fn read(&mut self, read: io::Result<usize>) -> Result<(), End> {
        let bytes = match read {
            Ok(0) | Err(_) => return Err(End::Lost),
            Ok(bytes) => bytes,
        };
        self.shared.counters.bytes_in.add(bytes as u64);
        let next =
            if bytes >= self.read_bytes { bytes * 2 } else { self.read_bytes.min(bytes * 4) };
        self.read_bytes = next.clamp(*READ_BYTES.start(), *READ_BYTES.end());
        Ok(())
    }

    fn written(&mut self, written: io::Result<usize>) -> Result<(), End> {
        let Ok(bytes) = written else { return Err(End::Lost) };
        self.out.advance(bytes);
        self.shared.counters.bytes_out.add(bytes as u64);
        self.stuck_since = None;
        if self.out.is_empty() && self.out.capacity() > OUT_BYTES_HIGH {
            self.out = BytesMut::new();
        }
        Ok(())
    }

    /// Whether the socket is read: nothing that came before waits, and the client reads what it is sent.
    fn may_read(&self) -> bool {
        self.may_decode() && self.out.len() < OUT_BYTES_HIGH
    }

    pub(super) fn rests(&self) -> Rests {
        self.pace.as_ref().map_or(Rests::default(), |pace| pace.rests)
    }

    /// The next moment at which the peer has been silent or stuck for too long, or has rested long enough.
    fn deadline(&self) -> Option<Instant> {
        let silent = self.client.silence_max.map(|max| self.heard + max);
        let stuck = self.stuck_since.map(|since| since + self.shared.write_timeout());
        let Rests { reading, writing } = self.rests();
        [silent, stuck, reading, writing, self.ends].into_iter().flatten().min()
    }

    fn time_out(&mut self, now: Instant) -> Result<(), End> {
        // Not reading is not silence.
        if !self.may_read() {
            self.heard = now;
        }
        if let Some(pace) = &mut self.pace {
            pace.rest_until(now);
        }
        if self.client.silence_max.is_some_and(|max| self.heard + max <= now) {
            return Err(End::KeepAlive);
        }
        let stuck =
            self.stuck_since.is_some_and(|since| since + self.shared.write_timeout() <= now);
        if stuck {
            return Err(End::WriteTimeout);
        }
        if self.ends.is_some_and(|ends| ends <= now) {
            return Err(End::Revoked);
        }
        let next = self.deadline().unwrap_or(now + FAR);
        self.timer.as_mut().reset(next);
        Ok(())
    }
}
