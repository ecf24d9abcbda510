//! The subscribers: one thread each, which looks for the times in what it gets and nothing else.

use crate::{Window, now_us};
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::{
    io,
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};
use tests::{
    Connect, Version,
    mqtt::{field, packet},
};
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket, client, client::IntoClientRequest, http::HeaderValue,
};

/// What is spoken over the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// The gateway's own protocol, `sluice.v1`.
    Sluice,
    /// MQTT in binary frames.
    Mqtt,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    language: Language,
    /// How many subscribers
    #[arg(long)]
    count: usize,
    /// When to stop
    #[arg(long)]
    stop_us: u64,
    #[command(flatten)]
    window: Window,
}

/// What the subscribers got.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Got {
    /// Messages of the window, those of all subscribers together.
    pub(crate) deliveries: u64,
    /// From sending to having it, the median.
    pub(crate) p50_us: u64,
    /// 99 of 100 took no longer.
    pub(crate) p99_us: u64,
}

/// How long a read may take before the subscriber looks at the clock again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What [`run`] prints first: all subscriptions are there.
pub(crate) const READY: &str = "ready";

/// Listens until told and prints [`READY`], then what was [`Got`] as JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let sockets = (0..options.count).map(|number| subscribe(options, number));
    let sockets: Vec<_> = sockets.collect::<anyhow::Result<_>>()?;
    say(READY)?;
    let threads = sockets.into_iter().map(|socket| {
        let (window, stop_us) = (options.window, options.stop_us);
        thread::spawn(move || listen(socket, window, stop_us))
    });
    let threads: Vec<_> = threads.collect();
    let mut latencies = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().expect("a subscriber does not panic")?);
    }
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let place = latencies.len().saturating_sub(1) * percent / 100;
        latencies.get(place).copied().unwrap_or(0)
    };
    let deliveries = u64::try_from(latencies.len())?;
    let got = Got { deliveries, p50_us: percentile(50), p99_us: percentile(99) };
    say(&serde_json::to_string(&got)?)
}

#[expect(clippy::print_stdout, reason = "the benchmark reads it")]
fn say(text: &str) -> anyhow::Result<()> {
    println!("{text}");
    Ok(())
}

type Socket = WebSocket<TcpStream>;

fn subscribe(options: &Options, number: usize) -> anyhow::Result<Socket> {
    let stream = TcpStream::connect(options.address).context("the server accepts no subscriber")?;
    stream.set_nodelay(true)?;
    let (path, protocol) = match options.language {
        Language::Sluice => ("ws", "sluice.v1"),
        Language::Mqtt => ("mqtt", "mqtt"),
    };
    let mut request = format!("ws://{}/{path}", options.address).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
    let (mut socket, _) = client(request, stream).context("the server refuses a subscriber")?;
    match options.language {
        Language::Sluice => {
            let wish = r#"{"type":"subscribe","id":1,"channels":["telemetry/#"]}"#;
            socket.send(Message::text(wish))?;
            answer(&mut socket, |data| contains(data, br#""type":"live""#))?;
        }
        Language::Mqtt => {
            let id = format!("listener-{number}");
            socket.send(Message::binary(Connect::new(Version::V3, &id).encode()))?;
            answer(&mut socket, |data| data.first() == Some(&0x20))?;
            let body = [&[0, 1][..], &field(b"devices/+/telemetry"), &[0]].concat();
            socket.send(Message::binary(packet(8, 2, &body)))?;
            answer(&mut socket, |data| data.first() == Some(&0x90))?;
        }
    }
    socket.get_ref().set_read_timeout(Some(LOOK_EVERY))?;
    Ok(socket)
}

fn answer(socket: &mut Socket, is_it: impl Fn(&[u8]) -> bool) -> anyhow::Result<()> {
    loop {
        let message = socket.read()?;
        if message.is_close() {
            bail!("the server closed instead of answering");
        }
        if is_it(&message.into_data()) {
            return Ok(());
        }
    }
}

/// The latency of each message of the window, in microseconds.
fn listen(mut socket: Socket, window: Window, stop_us: u64) -> anyhow::Result<Vec<u64>> {
    let mut latencies = Vec::new();
    while now_us() < stop_us {
        match socket.read() {
            Ok(message) => {
                let now = now_us();
                let data = message.into_data();
                let sent = times(&data).filter(|sent| window.has(*sent));
                latencies.extend(sent.map(|sent| now.saturating_sub(sent)));
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => bail!("the server let a subscriber go: {error}"),
        }
    }
    Ok(latencies)
}

/// What stands before each time of sending; 16 digits follow.
const TIME_KEY: &[u8] = br#""t":"#;

fn times(data: &[u8]) -> impl Iterator<Item = u64> {
    data.windows(TIME_KEY.len() + 16).filter(|bytes| bytes.starts_with(TIME_KEY)).filter_map(
        |bytes| {
            let digits = bytes.get(TIME_KEY.len()..)?;
            digits.iter().try_fold(0_u64, |time, digit| {
                digit.is_ascii_digit().then(|| time * 10 + u64::from(digit - b'0'))
            })
        },
    )
}

fn contains(data: &[u8], text: &[u8]) -> bool {
    data.windows(text.len()).any(|bytes| bytes == text)
}
