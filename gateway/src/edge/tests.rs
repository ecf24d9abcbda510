//! What needs the inside: time that is paused, a socket that panics. Everything else is tested from
//! outside, through a real listener.

use super::{
    Counters, Topics, begin, desired::DesiredPublisher, door::Ticket, handshake::Handshake,
    shared::Shared,
};
use crate::{
    auth::{Auth, Brought, Gate},
    config::Config,
    core::{Core, Downlink, Input, Inputs},
    exchange::{Exchange, Settings},
    files::{Kind, Room},
    store::{self, Database},
};
use bridge::{event::EdgeEvent, route::RouteTable};
use protocol::PresenceReason;
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex,
    },
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

struct Served {
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    inputs: Inputs,
    tasks: JoinSet<()>,
    _database: Database,
    _folder: TempDir,
}

/// Serves one connection on `socket`.
fn serving<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(socket: S) -> Served {
    let config = Config::default();
    let folder = TempDir::new().unwrap();
    let (database, _) = store::open(store::Settings::new(folder.path().into())).unwrap();
    let (core, inputs) = Core::channel();
    // Never run: these connections have no subscriptions.
    let (exchange, _engine) = Exchange::start(Settings::default(), CancellationToken::new());
    let gate = Gate::new(Auth::open(folder.path()).unwrap(), false, None);
    let topics = Topics { routes: RouteTable::new(vec![]), mappings: Arc::default() };
    let shared = Shared::new(&config, core, exchange, topics, gate, database.handle());
    let (shared, stop) = (Arc::new(shared), CancellationToken::new());
    let (of_test, counters) = (shared.clone(), shared.counters.clone());
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let brought = Brought::Nothing;
    let handshake = Handshake { shared, socket, address, brought, room: true, stop };
    let place = Room::new(&config.limits).take(Kind::Mqtt).unwrap();
    let ticket = Ticket::Room { _place: place };
    let mut tasks = JoinSet::new();
    tasks.spawn(begin(handshake, ticket).live());
    Served { shared: of_test, counters, inputs, tasks, _database: database, _folder: folder }
}

/// CONNECT of device `d1` with MQTT 5 and a keep-alive in seconds.
fn connect(keep_alive: u8) -> Vec<u8> {
    let mut bytes = vec![0x10, 15, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, keep_alive, 0];
    bytes.extend([0, 2, b'd', b'1']);
    bytes
}

/// `devices/d1/telemetry`, QoS 0, `{}`.
fn telemetry() -> Vec<u8> {
    [&[0x30, 25, 0, 20][..], b"devices/d1/telemetry", &[0], b"{}"].concat()
}

async fn connected(keep_alive: u8) -> (DuplexStream, Served) {
    let (mut peer, socket) = duplex(1024);
    let served = serving(socket);
    peer.write_all(&connect(keep_alive)).await.unwrap();
    let length = {
        assert_eq!(peer.read_u8().await.unwrap(), 0x20);
        peer.read_u8().await.unwrap()
    };
    let mut connack = vec![0; length.into()];
    peer.read_exact(&mut connack).await.unwrap();
    assert_eq!(connack[1], 0);
    (peer, served)
}

#[tokio::test(start_paused = true)]
async fn silence_beyond_one_and_a_half_keep_alives_ends_a_connection() {
    let (mut peer, served) = connected(10).await;
    let start = Instant::now();
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert_eq!((rest[0], rest[2]), (0xE0, 0x8D));
    assert_eq!(start.elapsed().as_secs(), 15);
    assert_eq!(served.counters.keep_alive_timeouts.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn packets_keep_a_connection_alive() {
    let (mut peer, served) = connected(10).await;
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(14)).await;
        peer.write_all(&[0xC0, 0]).await.unwrap();
        assert_eq!(peer.read_u16().await.unwrap(), 0xD000);
    }
    assert_eq!(served.counters.keep_alive_timeouts.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_keep_alive_of_zero_means_any_silence() {
    let (mut peer, _served) = connected(0).await;
    tokio::time::advance(Duration::from_secs(30 * 24 * 3600)).await;
    peer.write_all(&[0xC0, 0]).await.unwrap();
    assert_eq!(peer.read_u16().await.unwrap(), 0xD000);
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_let_go_also_after_days_without_a_deadline() {
    for days in [0, 1, 2] {
        let (mut peer, mut served) = connected(0).await;
        tokio::time::advance(Duration::from_secs(days * 24 * 3600 + 60)).await;
        // More answers than the socket holds.
        peer.write_all(&[0xC0, 0].repeat(600)).await.unwrap();
        let start = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(60), served.tasks.join_next()).await;
        ended.expect("it is let go").unwrap().unwrap();
        assert_eq!((start.elapsed().as_secs(), served.counters.write_timeouts.get()), (10, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_packet_is_silence() {
    let (mut peer, served) = connected(10).await;
    let start = Instant::now();
    for _ in 0..7 {
        tokio::time::advance(Duration::from_secs(2)).await;
        peer.write_all(&[0x30]).await.ok();
    }
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert_eq!((start.elapsed().as_secs(), served.counters.keep_alive_timeouts.get()), (15, 1));
}

#[tokio::test(start_paused = true)]
async fn a_large_packet_that_comes_slowly_is_no_silence() {
    let (mut peer, served) = connected(10).await;
    // PUBLISH, of 8 KiB.
    let mut message = [&[0x30, 0x80, 0x40, 0, 1, b'a', 0][..], &[b'x'; 8192 - 4]].concat();
    message.extend([0xC0, 0]);
    for part in message.chunks(1024) {
        tokio::time::sleep(Duration::from_secs(14)).await;
        peer.write_all(part).await.unwrap();
    }
    assert_eq!(peer.read_u16().await.unwrap(), 0xD000);
    assert_eq!(served.counters.keep_alive_timeouts.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_for_a_full_core_is_not_silent() {
    let (mut peer, mut served) = connected(10).await;
    let message = telemetry();
    while tokio::time::timeout(Duration::from_secs(1), peer.write_all(&message)).await.is_ok() {}
    assert!(served.inputs.is_full());
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(served.counters.keep_alive_timeouts.get(), 0);
    while served.inputs.next().await.is_some() && served.inputs.waiting() > 0 {}
    peer.write_all(&message).await.expect("the connection goes on");
}

#[tokio::test(start_paused = true)]
async fn a_release_that_waits_for_a_receipt_that_never_comes_ends_with_the_keep_alive() {
    let (mut peer, served) = connected(10).await;
    let topic = b"devices/d1/telemetry";
    let message = [&[0x34, 27, 0, 20][..], topic, &[0, 7, 0], b"{}"].concat();
    peer.write_all(&[&message[..], &[0x62, 2, 0, 7]].concat()).await.unwrap();
    let start = Instant::now();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), peer.read_to_end(&mut rest)).await;
    ended.expect("it ends").unwrap();
    assert_eq!((rest[0], rest[2]), (0xE0, 0x8D));
    // With what is waited for the receipt at the end.
    assert!((15..=16).contains(&start.elapsed().as_secs()));
    assert_eq!(served.counters.keep_alive_timeouts.get(), 1);
}

/// CONNECT of device `d1` with MQTT 5, clean, with a will to its telemetry; in seconds, how long the
/// session lasts and the will waits.
fn mortal(session: u8, delay: u8) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 0x06, 0, 0];
    body.extend([5, 0x11, 0, 0, 0, session]);
    body.extend([0, 2, b'd', b'1']);
    body.extend([5, 0x18, 0, 0, 0, delay]);
    body.extend([0, 20]);
    body.extend(b"devices/d1/telemetry");
    body.extend([0, 2, b'{', b'}']);
    [&[0x10, body.len() as u8][..], &body].concat()
}

/// After how many seconds the will comes.
async fn will_comes_after(session: u8, delay: u8) -> u64 {
    let (mut peer, socket) = duplex(1024);
    let mut served = serving(socket);
    peer.write_all(&mortal(session, delay)).await.unwrap();
    peer.read_u8().await.unwrap();
    drop(peer);
    let start = Instant::now();
    // Before it comes that the device was there, and is gone.
    while !matches!(served.inputs.next().await.unwrap(), Input::LastWords(_)) {}
    let after = start.elapsed().as_secs();
    served.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(start.elapsed().as_secs(), u64::from(session));
    after
}

#[tokio::test(start_paused = true)]
async fn a_will_waits_for_its_delay_but_not_longer_than_its_session_lasts() {
    assert_eq!(will_comes_after(60, 30).await, 30);
    assert_eq!(will_comes_after(60, 90).await, 60);
    assert_eq!(will_comes_after(60, 0).await, 0);
    assert_eq!(will_comes_after(0, 30).await, 0);
}

#[tokio::test(start_paused = true)]
async fn of_a_device_that_was_deleted_no_will_comes() {
    for delay in [0, 30] {
        let (mut peer, socket) = duplex(1024);
        let mut served = serving(socket);
        peer.write_all(&mortal(60, delay)).await.unwrap();
        let (connection, mailbox) = loop {
            if let Input::Edge { event: EdgeEvent::Attached { connection, .. }, mailbox } =
                served.inputs.next().await.unwrap()
            {
                break (connection, mailbox.unwrap());
            }
        };
        mailbox.try_send(Downlink::Kick(connection), 1).unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        let goodbye = &rest[2 + usize::from(rest[1])..];
        assert_eq!((goodbye[0], goodbye[2]), (0xE0, 0x98));
        served.tasks.join_next().await.unwrap().unwrap();
        assert_eq!(served.counters.wills.get(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_device_that_was_deleted_while_its_session_waited_no_will_comes() {
    let (mut peer, socket) = duplex(1024);
    let mut served = serving(socket);
    peer.write_all(&mortal(60, 30)).await.unwrap();
    peer.read_u8().await.unwrap();
    drop(peer);
    tokio::time::sleep(Duration::from_secs(10)).await;
    let device = "d1".parse().unwrap();
    DesiredPublisher(Arc::downgrade(&served.shared)).forget(&device);
    served.tasks.join_next().await.unwrap().unwrap();
    assert_eq!(served.counters.sessions_expired.get(), 1);
    assert_eq!(served.counters.wills.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_came_since_its_device_was_deleted_stays_and_can_be_taken_over() {
    let (mut peer, served) = connected(0).await;
    let device = "d1".parse().unwrap();
    for _ in 0..2 {
        DesiredPublisher(Arc::downgrade(&served.shared)).forget(&device);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    served.shared.registry.revoke(|_| false);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), peer.read_to_end(&mut rest)).await;
    ended.expect("it ends").unwrap();
    assert_eq!((rest[0], rest[2]), (0xE0, 0x87));
}

/// A socket that panics when the bytes in it have been read.
struct Explosive(DuplexStream, bool);

impl AsyncRead for Explosive {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.0).poll_read(context, buffer);
        assert!(!self.1, "this socket is meant to panic");
        self.1 = buffer.filled().get(before).is_some_and(|head| *head == 0x30);
        poll
    }
}

impl AsyncWrite for Explosive {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_and_the_device_is_told_offline() {
    let (mut peer, socket) = duplex(1024);
    let mut served = serving(Explosive(socket, false));
    peer.write_all(&connect(0)).await.unwrap();
    peer.read_u8().await.unwrap();
    peer.write_all(&telemetry()).await.unwrap();
    served.tasks.join_next().await.unwrap().expect("the panic is caught");
    assert_eq!(served.counters.panics.get(), 1);
    assert_eq!(served.counters.connections_now.get(), 0);
    let mut last = None;
    while served.inputs.waiting() > 0 {
        last = served.inputs.next().await;
    }
    match last {
        Some(Input::Edge { event: EdgeEvent::Detached { reason, .. }, .. }) => {
            assert_eq!(reason, PresenceReason::ConnectionLost);
        }
        other => panic!("{other:?}"),
    }
}
