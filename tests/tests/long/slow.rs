//! A slow reader beside fast ones: they do not feel it, the gateway's memory does not either, and in the
//! end it has the true values.

use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tests::{Connect, Live, Peer, TestGateway, Version, is_update, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

const FAST: usize = 9;
const DEVICES: usize = 50;
/// Of each device.
const ROUNDS_PER_S: u32 = 20;
const PADDING_BYTES: usize = 400;
const PHASE: Duration = Duration::from_secs(12);
const PHASES: usize = 2;
/// The slow reader's line.
const LINE_BYTES_PER_S: usize = 10 * 1024;

#[tokio::test]
async fn nine_fast_readers_do_not_feel_a_slow_one_which_ends_with_the_true_values() {
    let gateway = TestGateway::start().await;
    let begin = Instant::now();
    let (going, round) = (watch::Sender::new(true), watch::Sender::new(0));
    let mut publisher = JoinSet::new();
    publisher.spawn(publish(gateway.mqtt(), begin, going.subscribe(), round.clone()));
    let relay = Relay::start(gateway.http()).await;

    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..PHASES {
        alone.push(listen(&gateway, begin, PHASE).await);
    }
    let mut slow = Live::connect(relay.address).await;
    let ask = json!({"type": "subscribe", "channels": ["telemetry/#"]});
    slow.ask(ask).await;
    for _ in 0..PHASES {
        beside.push(listen(&gateway, begin, PHASE).await);
    }
    assert_eq!(gateway.metric("sluice_websocket_lags_total").await, 1, "it was noticed");
    assert_eq!(gateway.metric("sluice_websocket_closed_too_slow_total").await, 0, "and kept");
    let best = |phases: &[Duration]| *phases.iter().min().expect("there were some");
    let (alone, beside) = (best(&alone), best(&beside));
    assert!(beside <= alone * 2 + Duration::from_millis(20), "{beside:?} beside, {alone:?} alone");

    going.send_replace(false);
    soon("the publisher's end", publisher.join_all()).await;
    let last = *round.borrow();
    relay.open.send_replace(true);
    let dropped = catch_up(&mut slow, last).await;
    assert_eq!(gateway.metric("sluice_websocket_updates_dropped_total").await, dropped);
    assert_eq!(gateway.metric("sluice_websocket_lagging").await, 0);
}

/// Reads until it lags no more and the values are true. Gives how many updates were merged away.
async fn catch_up(slow: &mut Live, last: u64) -> u64 {
    let mut values = HashMap::new();
    let (mut updates, mut dropped) = (0, 0);
    loop {
        let message = slow.next().await;
        if let Some(channel) = message["channel"].as_str() {
            let number = message["data"]["n"].as_u64().expect("a number");
            let before = values.insert(channel.to_owned(), number);
            assert!(before.is_none_or(|before| before < number), "{message} after {before:?}");
            updates += 1;
        }
        dropped += message["dropped"].as_u64().unwrap_or(0);
        let is_true = values.len() == DEVICES && values.values().all(|number| *number == last);
        // It may have caught up before, and fallen behind again.
        if is_true && message["type"] == "lag" && message["on"] == false {
            break;
        }
    }
    assert!(dropped > updates, "most of it was merged: {dropped} beside {updates}");
    dropped
}

#[tokio::test]
async fn what_a_slow_reader_leaves_unread_is_not_kept_for_it() {
    const ROUNDS: u64 = 200;
    const PADDING: usize = 16 * 1024;
    /// All of it together, and what of it the process may have more in the end: outbox, store, allocator.
    const UNREAD_BYTES: u64 = ROUNDS * (DEVICES * PADDING) as u64;
    const MEMORY_BYTES: u64 = UNREAD_BYTES / 4;
    // What is kept for who comes back would grow for a while too.
    let gateway = TestGateway::with(&[("LIMITS__RING_BYTES", "65536")]).await;
    let relay = Relay::start(gateway.http()).await;
    let mut slow = Live::connect(relay.address).await;
    slow.ask(json!({"type": "subscribe", "channels": ["telemetry/#"]})).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let padding = "x".repeat(PADDING);
    let mut before = 0;
    for number in 1..=ROUNDS {
        for device in 0..DEVICES {
            let reading = json!({"n": number, "padding": padding}).to_string();
            let qos = u8::from(device == DEVICES - 1);
            peer.publish(&format!("devices/d{device}/telemetry"), reading.as_bytes(), qos).await;
        }
        if number == ROUNDS / 10 {
            before = gateway.memory_bytes();
        }
    }
    let grown = gateway.memory_bytes().saturating_sub(before);
    assert!(grown < MEMORY_BYTES, "{grown} bytes more for {UNREAD_BYTES}");
    relay.open.send_replace(true);
    catch_up(&mut slow, ROUNDS).await;
}

/// Publishes rounds of readings, evenly, until it is told to end; tells the last.
async fn publish(
    mqtt: SocketAddr,
    begin: Instant,
    going: watch::Receiver<bool>,
    round: watch::Sender<u64>,
) {
    let mut peer = Peer::connect(mqtt, Connect::new(Version::V3, "publisher")).await;
    let padding = "x".repeat(PADDING_BYTES);
    let mut every = interval(Duration::from_secs(1) / ROUNDS_PER_S);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    while *going.borrow() {
        every.tick().await;
        number += 1;
        for device in 0..DEVICES {
            let at = u64::try_from(begin.elapsed().as_micros()).expect("a short test");
            let reading = json!({"n": number, "at": at, "padding": padding}).to_string();
            let topic = format!("devices/d{device}/telemetry");
            peer.publish(&topic, reading.as_bytes(), 0).await;
        }
        round.send_replace(number);
    }
    peer.settle().await;
}

/// Nine fast readers for a while; gives the delay that 99 of 100 updates keep below.
async fn listen(gateway: &TestGateway, begin: Instant, time: Duration) -> Duration {
    let mut readers = JoinSet::new();
    for _ in 0..FAST {
        let mut live = gateway.live().await;
        readers.spawn(async move {
            live.subscribe_with(&["telemetry/#"], json!({"snapshot": false})).await;
            let mut delays = Vec::new();
            // Nothing but the clock ends a phase.
            let _time_is_over = timeout(time, async {
                let mut last = HashMap::new();
                loop {
                    let update = live.next().await;
                    check(&mut last, &update);
                    let at = update["data"]["at"].as_u64().expect("a number");
                    delays.push(begin.elapsed().saturating_sub(Duration::from_micros(at)));
                }
            })
            .await;
            delays
        });
    }
    let mut delays: Vec<_> = readers.join_all().await.into_iter().flatten().collect();
    delays.sort_unstable();
    assert!(delays.len() > FAST * DEVICES, "they heard something");
    delays[delays.len() * 99 / 100]
}

/// A fast reader gets each update.
fn check(last: &mut HashMap<String, u64>, update: &Value) {
    let channel = update["channel"].as_str().unwrap_or_else(|| panic!("{update} is no update"));
    let seq = update["seq"].as_u64().expect("a number");
    let before = last.insert(channel.to_owned(), seq);
    assert!(before.is_none_or(|before| seq == before + 1), "{update} after {before:?}");
}

/// A line to the gateway that lets through only so much until it is opened.
struct Relay {
    address: SocketAddr,
    open: watch::Sender<bool>,
    _running: JoinSet<()>,
}

impl Relay {
    async fn start(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let open = watch::Sender::new(false);
        let mut running = JoinSet::new();
        let opened = open.subscribe();
        running.spawn(async move {
            let (client, _) = listener.accept().await.expect("a client");
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(4_096).expect("the system allows small buffers");
            let gateway = socket.connect(gateway).await.expect("the gateway accepts");
            relay(client, gateway, opened).await;
        });
        Self { address, open, _running: running }
    }
}

async fn relay(client: TcpStream, gateway: TcpStream, opened: watch::Receiver<bool>) {
    const PIECES_PER_S: usize = 20;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_gateway, mut to_gateway) = gateway.into_split();
    let upwards = async { tokio::io::copy(&mut from_client, &mut to_gateway).await.map(drop) };
    let downwards = async {
        let mut piece = vec![0; LINE_BYTES_PER_S / PIECES_PER_S];
        loop {
            let count = from_gateway.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            to_client.write_all(&piece[..count]).await?;
            if !*opened.borrow() {
                sleep(Duration::from_secs(1) / PIECES_PER_S as u32).await;
            }
        }
    };
    // The test's end is the line's end.
    let _cut: std::io::Result<()> = tokio::select! {
        ended = upwards => ended,
        ended = downwards => ended,
    };
}

#[tokio::test]
async fn who_does_not_catch_up_is_closed_with_4108_and_sees_it_when_it_reads_again() {
    let gateway = TestGateway::start().await;
    let mut slow = Live::connect_narrow(gateway.http()).await;
    slow.subscribe(&["topics/#"]).await;
    let mut quick = gateway.live().await;
    quick.subscribe(&["topics/blob/0"]).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let payload = vec![b'x'; 100_000];
    let mut sent = 0;
    let begin = Instant::now();
    while gateway.metric("sluice_websocket_closed_too_slow_total").await == 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "the slow reader was never closed");
        // Each channel is reset to its newest message; of so many that is too much.
        peer.publish(&format!("blob/{}", sent % 40), &payload, 1).await;
        if sent % 40 == 0 {
            let update = quick.next().await;
            assert!(is_update(&update, "topics/blob/0"), "the quick one has each: {update}");
            assert_eq!(update["seq"], sent / 40 + 1);
        }
        sent += 1;
        sleep(Duration::from_millis(20)).await;
    }
    assert!(begin.elapsed() > Duration::from_secs(10), "it was given ten seconds");
    assert!(gateway.metric("sluice_websocket_overflow_resets_total").await > 0);
    assert_eq!(slow.closed().await, 4108);
}

#[tokio::test]
async fn who_never_reads_telemetry_is_closed_with_4108_though_it_is_merged() {
    const PADDING: usize = 12_000;
    const DEVICES: usize = 150;
    let gateway = TestGateway::start().await;
    let mut slow = Live::connect_narrow(gateway.http()).await;
    slow.subscribe(&["telemetry/#"]).await;
    let mut peer = Peer::connect(gateway.mqtt(), Connect::new(Version::V3, "publisher")).await;
    let padding = "x".repeat(PADDING);
    let begin = Instant::now();
    for round in 0.. {
        assert!(begin.elapsed() < Duration::from_secs(60), "the slow reader was never closed");
        for device in 0..DEVICES {
            let reading = json!({"n": round, "padding": padding}).to_string();
            peer.publish(&format!("devices/d{device}/telemetry"), reading.as_bytes(), 0).await;
        }
        peer.settle().await;
        if gateway.metric("sluice_websocket_closed_too_slow_total").await > 0 {
            break;
        }
        sleep(Duration::from_millis(500)).await;
    }
    assert!(begin.elapsed() > Duration::from_secs(10), "it was given ten seconds");
    assert_eq!(slow.closed().await, 4108);
}
