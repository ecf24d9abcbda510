//! The clients' sockets: blocking ones, with as little work between the system and the clock as possible.

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tests::{
    Connect, Version,
    mqtt::{field, packet},
};
use tokio_tungstenite::tungstenite::{
    Error, Message, WebSocket, client, client::IntoClientRequest, http::HeaderValue,
};

/// What a subscriber speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// The gateway's own protocol over WebSocket, `sluice.v1`.
    Sluice,
    /// The same, as a page with a whole fleet on it speaks it: `sluice.v1.columns`, ten updates a
    /// second for each channel.
    Page,
    /// MQTT over WebSocket.
    MqttWeb,
    /// MQTT over TCP.
    Mqtt,
    /// NATS' own protocol over WebSocket.
    Nats,
}

impl Language {
    /// Its name as an argument.
    pub(crate) fn argument(self) -> String {
        self.to_possible_value().expect("none is skipped").get_name().to_owned()
    }
}

/// How long a read may take before the reader looks at the clock again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The most that is read of a plain socket at once.
const READ_BYTES: usize = 256 * 1024;

/// An MQTT 3.1.1 client that is connected.
pub(crate) fn mqtt(address: SocketAddr, id: &str) -> anyhow::Result<TcpStream> {
    let mut stream = connect(address)?;
    stream.write_all(&Connect::new(Version::V3, id).encode())?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    ensure!(answer[3] == 0, "the server refuses a client with {}", answer[3]);
    Ok(stream)
}

/// Subscribes on an MQTT connection, with QoS 0.
pub(crate) fn mqtt_subscribe(stream: &mut TcpStream, filter: &str) -> anyhow::Result<()> {
    stream.write_all(&subscribe_packet(filter))?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    ensure!(answer[0] == 0x90 && answer[4] == 0, "the server refuses a subscription");
    Ok(())
}

fn subscribe_packet(filter: &str) -> Vec<u8> {
    packet(8, 2, &[&[0, 1][..], &field(filter.as_bytes()), &[0]].concat())
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).context("the server accepts no client")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What a subscriber reads.
pub(crate) enum Feed {
    Web(Box<WebSocket<TcpStream>>),
    Plain(TcpStream, Vec<u8>),
}

impl Feed {
    /// A subscriber of the telemetry of all devices, which publish under `{root}/{device}/telemetry`.
    pub(crate) fn open(
        language: Language,
        address: SocketAddr,
        number: usize,
        root: &str,
    ) -> anyhow::Result<Self> {
        let filter = format!("{root}/+/telemetry");
        let id = format!("listener-{number}");
        let feed = match language {
            Language::Mqtt => {
                let mut stream = mqtt(address, &id)?;
                mqtt_subscribe(&mut stream, &filter)?;
                Self::Plain(stream, vec![0; READ_BYTES])
            }
            Language::Sluice => {
                let mut socket = web(address, "ws", Some("sluice.v1"))?;
                let wish = r#"{"type":"subscribe","id":1,"channels":["telemetry/#"]}"#;
                socket.send(Message::text(wish))?;
                answer(&mut socket, r#""type":"live""#)?;
                Self::Web(socket)
            }
            Language::Page => {
                let mut socket = web(address, "ws", Some("sluice.v1.columns"))?;
                let wish = r#"{"type":"subscribe","id":1,"channels":["telemetry/#"],"options":{"throttle":10}}"#;
                socket.send(Message::text(wish))?;
                answer(&mut socket, r#""type":"live""#)?;
                Self::Web(socket)
            }
            Language::MqttWeb => {
                let mut socket = web(address, "mqtt", Some("mqtt"))?;
                socket.send(Message::binary(Connect::new(Version::V3, &id).encode()))?;
                answer(&mut socket, "\x20\x02")?;
                socket.send(Message::binary(subscribe_packet(&filter)))?;
                answer(&mut socket, "\0\x01\0")?;
                Self::Web(socket)
            }
            Language::Nats => {
                let mut socket = web(address, "", None)?;
                let wish = format!(
                    "CONNECT {{\"verbose\":false}}\r\nSUB {root}.*.telemetry 1\r\nPING\r\n"
                );
                socket.send(Message::binary(wish.into_bytes()))?;
                answer(&mut socket, "PONG")?;
                Self::Web(socket)
            }
        };
        let stream = match &feed {
            Self::Web(socket) => socket.get_ref(),
            Self::Plain(stream, _) => stream,
        };
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        Ok(feed)
    }

    /// Hands on what comes next; false where nothing came for a while.
    pub(crate) fn read(&mut self, take: impl FnOnce(&[u8])) -> anyhow::Result<bool> {
        let error = match self {
            Self::Web(socket) => match socket.read() {
                Ok(message) if message.is_close() => bail!("the server closed a subscriber"),
                Ok(message) => {
                    take(&message.into_data());
                    return Ok(true);
                }
                Err(Error::Io(error)) => error,
                Err(error) => bail!("the server let a subscriber go: {error}"),
            },
            Self::Plain(stream, buffer) => match stream.read(buffer) {
                Ok(0) => bail!("the server closed a subscriber"),
                Ok(bytes) => {
                    take(&buffer[..bytes]);
                    return Ok(true);
                }
                Err(error) => error,
            },
        };
        ensure!(error.kind() == io::ErrorKind::WouldBlock, "a subscriber is cut off: {error}");
        Ok(false)
    }
}

fn web(
    address: SocketAddr,
    path: &str,
    protocol: Option<&'static str>,
) -> anyhow::Result<Box<WebSocket<TcpStream>>> {
    let mut request = format!("ws://{address}/{path}").into_client_request()?;
    if let Some(protocol) = protocol {
        let offer = HeaderValue::from_static(protocol);
        request.headers_mut().insert("sec-websocket-protocol", offer);
    }
    let shaken = client(request, connect(address)?);
    Ok(Box::new(shaken.context("the server refuses a subscriber")?.0))
}

/// Reads until something comes that has this text in it.
fn answer(socket: &mut WebSocket<TcpStream>, text: &str) -> anyhow::Result<()> {
    loop {
        let message = socket.read()?;
        ensure!(!message.is_close(), "the server closed instead of answering");
        if memchr::memmem::find(&message.into_data(), text.as_bytes()).is_some() {
            return Ok(());
        }
    }
}

/// What stands before each time of sending; [`DIGITS`] digits follow.
pub(crate) const TIME_KEY: &str = r#""t":"#;

/// Microseconds have so many digits until the year 2286.
pub(crate) const DIGITS: usize = 16;

/// Finds the times of sending in what a subscriber reads, wherever it is cut.
#[derive(Default)]
pub(crate) struct Times {
    /// The end of what was read last, in which a time may have begun.
    rest: Vec<u8>,
}

const WHOLE: usize = TIME_KEY.len() + DIGITS;

impl Times {
    /// Gives each time in `data` to `found`.
    pub(crate) fn look(&mut self, data: &[u8], mut found: impl FnMut(u64)) {
        let mut joined = std::mem::take(&mut self.rest);
        let across = joined.len();
        joined.extend(&data[..data.len().min(WHOLE - 1)]);
        look(&joined, across, &mut found);
        look(data, data.len(), &mut found);
        let end = if data.len() < WHOLE { &joined } else { data };
        self.rest = end[end.len().saturating_sub(WHOLE - 1)..].to_vec();
    }
}

/// The whole times that begin before `end`.
fn look(data: &[u8], end: usize, found: &mut impl FnMut(u64)) {
    for place in memchr::memmem::find_iter(data, TIME_KEY).take_while(|place| *place < end) {
        let digits = data.get(place + TIME_KEY.len()..place + WHOLE).unwrap_or_default();
        if digits.len() == DIGITS && digits.iter().all(u8::is_ascii_digit) {
            found(digits.iter().fold(0, |time, digit| time * 10 + u64::from(digit - b'0')));
        }
    }
}
