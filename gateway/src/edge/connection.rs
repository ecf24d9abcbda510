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
    pace::Pace,
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
    mailbox::{Receiver, Sender},
};
use bridge::event::ConnectionId;
use bytes::BytesMut;
use protocol::{DeviceId, TopicFilter};
use std::{
    future::{Future, poll_fn},
    io,
    mem::MaybeUninit,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};
use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf,
    },
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
    Order(Downlink),
    Down(Option<Arrival>),
    Message(Option<Arrival>),
    /// What was noted in the journal is stored.
    Journaled,
    /// There is room for retained messages.
    Backlog,
    Written(io::Result<usize>),
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
    pub(super) packet_bytes_max: usize,
    /// One and a half times what the client announced.
    pub(super) silence_max: Option<Duration>,
    pub(super) will: Option<Box<Will>>,
}

/// The actor.
pub(super) struct Connection<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) client: Client,
    pub(super) session: Session,
    pub(super) link: Option<Link>,
    pub(super) publishing: Publishing,
    /// Towards a client of MQTT 5 that takes some.
    pub(super) aliases: Option<Box<Aliases>>,
    /// Where rates are bounded.
    pub(super) pace: Option<Box<Pace>>,
    pub(super) rests: Rests,
    /// The devices whose commands the core was told it can receive.
    pub(super) receives: Receiving,
    /// The filters by which the core was told that it may receive those of mapped devices.
    pub(super) listens: Vec<TopicFilter>,
    pub(super) batch: Batch,
    pub(super) work: Option<Work>,
    pub(super) mailbox: Option<(Sender<Downlink>, Receiver<Downlink>)>,
    pub(super) down: Option<Receiver<Arrival>>,
    pub(super) buffer: BytesMut,
    pub(super) out: BytesMut,
    pub(super) reader: ReadHalf<S>,
    pub(super) writer: WriteHalf<S>,
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

/// Until when a client that was too fast is neither read nor sent messages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rests {
    pub(super) reading: Option<Instant>,
    pub(super) writing: Option<Instant>,
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
    pub(super) reader: ReadHalf<S>,
    pub(super) writer: WriteHalf<S>,
    /// What came behind CONNECT.
    pub(super) buffer: BytesMut,
    /// CONNACK.
    pub(super) out: BytesMut,
    pub(super) taken_over: oneshot::Receiver<Takeover>,
    pub(super) stop: CancellationToken,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    pub(super) fn new(opening: Opening<S>) -> Self {
        let Opening { shared, client, window, inherited, reader, writer, buffer, out, .. } =
            opening;
        let Kept { mut session, link, down } = match inherited.session {
            Some(mut kept) => {
                kept.session.outbox.resume(window);
                kept
            }
            None => {
                let mut session = Session::new(&shared, window);
                if client.session_expiry > 0 {
                    let journal = Journal::new(&shared, client.id.clone());
                    session.journal = Some(Box::new(journal));
                }
                Kept { session, link: None, down: None }
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
            publishing: Publishing::default(),
            aliases: Aliases::new(opening.aliases_max),
            pace: Pace::new(&shared.limits, heard),
            rests: Rests::default(),
            receives: Receiving::default(),
            listens: Vec::new(),
            batch: Batch::default(),
            work: None,
            mailbox: None,
            down,
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
            reader,
            writer,
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
    ///
    /// The order is a promise: ends and deadlines are never starved; what is read comes before what is
    /// delivered, so that no flood of messages keeps a client's own packets waiting; writing comes
    /// last, so that one write takes all that is ready.
    async fn next_event(&mut self) -> Event {
        let deadline = self.deadline();
        if let Some(deadline) = deadline.filter(|deadline| *deadline < self.timer.deadline()) {
            self.timer.as_mut().reset(deadline);
        }
        let backlog = self.may_pull_retained() && self.out.len() < OUT_BYTES_HIGH;
        let may_read = self.may_read();
        tokio::select! {
            biased;
            () = &mut self.stopped => Event::Stop,
            takeover = &mut self.taken_over => Event::TakenOver(takeover.ok()),
            () = &mut self.timer, if deadline.is_some() => Event::Timer,
            done = finish(&mut self.work), if self.work.is_some() => Event::Done(done),
            stored = self.publishing.pending.front_stored() => Event::Stored(stored),
            read = read_some(&mut self.reader, &mut self.buffer, self.read_bytes), if may_read => Event::Read(read),
            order = next_order(&mut self.mailbox) => Event::Order(order),
            message = next_down(&mut self.down) => Event::Down(message),
            message = next_message(&mut self.link) => Event::Message(message),
            () = journaled(self.session.journal.as_deref()) => Event::Journaled,
            () = tokio::task::yield_now(), if backlog => Event::Backlog,
            written = self.writer.write_buf(&mut self.out), if !self.out.is_empty() => {
                Event::Written(written)
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Stop | Event::Done(Done::Stopped) | Event::Message(None) => {
                return Err(End::Stopping);
            }
            Event::TakenOver(takeover) => return Err(self.taken_over_by(takeover)),
            Event::Timer => return self.time_out(Instant::now()),
            Event::Done(Done::Forwarded(pending)) => self.publishing.pending.push(pending),
            Event::Done(Done::Linked(linked)) => self.linked(linked),
            Event::Stored(stored) => return self.stored(stored),
            Event::Read(read) => return self.read(read),
            Event::Order(Downlink::Kick) => return Err(End::Kicked),
            Event::Order(Downlink::Publish(message)) => self.deliver_order(&message),
            Event::Down(Some(arrival)) => self.deliver(arrival, Source::Own),
            Event::Down(None) => self.down = None,
            Event::Message(Some(arrival)) => self.deliver(arrival, Source::Link),
            // The next round does what can be done now.
            Event::Journaled | Event::Backlog => {}
            Event::Written(written) => return self.written(written),
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

    /// The next moment at which the peer has been silent or stuck for too long, or has rested long enough.
    fn deadline(&self) -> Option<Instant> {
        let silent = self.client.silence_max.map(|max| self.heard + max);
        let stuck = self.stuck_since.map(|since| since + self.shared.write_timeout());
        let Rests { reading, writing } = self.rests;
        [silent, stuck, reading, writing, self.ends].into_iter().flatten().min()
    }

    fn time_out(&mut self, now: Instant) -> Result<(), End> {
        // Not reading is not silence.
        if !self.may_read() {
            self.heard = now;
        }
        let Rests { reading, writing } = &mut self.rests;
        for rest in [reading, writing] {
            rest.take_if(|until| *until <= now);
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

/// Reads about as much as came the last times. While that is little, it is read onto the stack first, so that
/// the buffer is no larger than what came.
async fn read_some<S: AsyncRead>(
    reader: &mut ReadHalf<S>,
    buffer: &mut BytesMut,
    bytes: usize,
) -> io::Result<usize> {
    if buffer.is_empty() && buffer.capacity() > 4 * bytes {
        *buffer = BytesMut::new();
    }
    if bytes > *READ_BYTES.start() {
        buffer.reserve(bytes);
        return reader.read_buf(buffer).await;
    }
    poll_fn(|context| {
        let mut scratch = [const { MaybeUninit::uninit() }; *READ_BYTES.start()];
        let mut scratch = ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut *reader).poll_read(context, &mut scratch))?;
        buffer.extend_from_slice(scratch.filled());
        Poll::Ready(Ok(scratch.filled().len()))
    })
    .await
}

async fn finish(work: &mut Option<Work>) -> Done {
    let done = match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    };
    *work = None;
    done
}

/// The connection keeps a sender itself: the mailbox never closes.
async fn next_order(mailbox: &mut Option<(Sender<Downlink>, Receiver<Downlink>)>) -> Downlink {
    match mailbox {
        Some((_, receiver)) => match receiver.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

async fn journaled(journal: Option<&Journal>) {
    match journal {
        Some(journal) => journal.stored().notified().await,
        None => std::future::pending().await,
    }
}

/// The next message to the device's own topics; none: nobody can reach it that way any more.
pub(super) async fn next_down(down: &mut Option<Receiver<Arrival>>) -> Option<Arrival> {
    match down {
        Some(down) => down.recv().await,
        None => std::future::pending().await,
    }
}

/// The next message of the exchange; none: it has stopped.
pub(super) async fn next_message(link: &mut Option<Link>) -> Option<Arrival> {
    match link {
        Some(link) => link.recv().await,
        None => std::future::pending().await,
    }
}
