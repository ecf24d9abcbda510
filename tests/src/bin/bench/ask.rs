//! Who gives commands, and the devices that carry them out at once.

use crate::{
    SECOND_US,
    listen::percentile,
    now_us,
    part::{self, Plan, until},
};
use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::SocketAddr;
use tests::{Connect, Live, Message, Packet, Peer, Version, mqtt::PUBLISH};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

/// How commands are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// `POST`, waiting for the end.
    Http,
    /// `/ws`, where the end comes on the command's channel.
    WebSocket,
    /// Plain MQTT messages.
    Mqtt,
}

impl Way {
    /// Its name as an argument.
    pub(crate) fn argument(self) -> String {
        self.to_possible_value().expect("none is skipped").get_name().to_owned()
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    way: Way,
    /// Where devices connect
    #[arg(long)]
    mqtt: SocketAddr,
    /// Where commands are given, but by MQTT
    #[arg(long)]
    http: SocketAddr,
    #[arg(long)]
    devices: usize,
    /// Commands a second; 0: one after the other
    #[arg(long)]
    rate: u32,
}

/// What became of the commands that were given in the window.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Answered {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// From before the asking to the device's answer, the median.
    pub(crate) p50_us: u64,
    /// 99 of 100 took no longer.
    pub(crate) p99_us: u64,
}

/// With a rate, so many ask; each has its share of the devices.
const ASKERS: usize = 64;

/// Asks as ordered and reports what was [`Answered`].
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let mut devices = JoinSet::new();
    for number in 0..options.devices {
        let device = device(options.mqtt, name(number)).await?;
        devices.spawn(carry_out(device));
    }
    let askers = if options.rate == 0 { 1 } else { ASKERS.min(options.devices) };
    let mut asking = Vec::new();
    for number in 0..askers {
        asking.push(Asker::open(options, number).await?);
    }
    let plan = part::await_order()?;
    let mut tasks = JoinSet::new();
    for (number, asker) in asking.into_iter().enumerate() {
        let gap_us = (askers as u64 * SECOND_US).checked_div(options.rate.into()).unwrap_or(0);
        let offset_us = gap_us * number as u64 / askers as u64;
        let mine: Vec<_> = (number..options.devices).step_by(askers).map(name).collect();
        tasks.spawn(ask_all(asker, mine, gap_us, offset_us, plan));
    }
    let (mut took, mut answered) = (Vec::new(), Answered::default());
    while let Some(asked) = tasks.join_next().await {
        for (took_us, succeeded) in asked?? {
            took.push(took_us);
            answered.succeeded += u64::from(succeeded);
            answered.failed += u64::from(!succeeded);
        }
    }
    took.sort_unstable();
    (answered.p50_us, answered.p99_us) = (percentile(&took, 50), percentile(&took, 99));
    part::report(&answered)
}

fn name(number: usize) -> String {
    format!("bench-{number:05}")
}

async fn device(mqtt: SocketAddr, id: String) -> anyhow::Result<Peer> {
    let mut peer = Peer::connect(mqtt, Connect::new(Version::V3, &id)).await;
    let granted = peer.subscribe(&format!("devices/{id}/commands/+"), 1).await;
    ensure!(granted == 1, "the server refuses a device's subscription");
    Ok(peer)
}

/// Acknowledges each command and says that it succeeded.
async fn carry_out(mut device: Peer) {
    while let Some(packet) = device.next().await {
        let Some(command) = message(&packet) else { continue };
        device.puback(command.id).await;
        let answer = format!("{}/ack", command.topic);
        device.publish_unawaited(&answer, br#"{"status":"succeeded"}"#).await;
    }
}

fn message(packet: &Packet) -> Option<Message> {
    (packet.kind == PUBLISH).then(|| packet.message(Version::V3))
}

/// Each command of the window: how long it took, and whether it succeeded.
async fn ask_all(
    mut asker: Asker,
    devices: Vec<String>,
    gap_us: u64,
    offset_us: u64,
    plan: Plan,
) -> anyhow::Result<Vec<(u64, bool)>> {
    let mut all = Vec::new();
    for number in 0_u64.. {
        let due = plan.start_us + offset_us + number * gap_us;
        if due > now_us() {
            until(due).await;
        }
        let began = now_us();
        if began >= plan.stop_us {
            break;
        }
        let device = &devices[usize::try_from(number)? % devices.len()];
        let succeeded = asker.ask(device).await?;
        if plan.counts(began) {
            all.push((now_us() - began, succeeded));
        }
    }
    Ok(all)
}

/// One who gives commands.
enum Asker {
    Http(TcpStream, SocketAddr, Vec<u8>),
    Live(Box<Live>),
    Mqtt(Peer, u64),
}

impl Asker {
    async fn open(options: &Options, number: usize) -> anyhow::Result<Self> {
        Ok(match options.way {
            Way::Http => {
                let stream = TcpStream::connect(options.http).await?;
                stream.set_nodelay(true)?;
                Self::Http(stream, options.http, Vec::new())
            }
            Way::WebSocket => {
                let mut live = Live::connect(options.http).await;
                live.subscribe(&["commands/#"]).await;
                Self::Live(Box::new(live))
            }
            Way::Mqtt => {
                let id = format!("asker-{number}");
                let mut peer = Peer::connect(options.mqtt, Connect::new(Version::V3, &id)).await;
                peer.subscribe("devices/+/commands/+/ack", 1).await;
                Self::Mqtt(peer, 0)
            }
        })
    }

    /// Gives one command and waits for its end.
    async fn ask(&mut self, device: &str) -> anyhow::Result<bool> {
        match self {
            Self::Http(stream, address, buffer) => {
                let body = r#"{"name":"ping"}"#;
                let request = format!(
                    "POST /api/v1/devices/{device}/commands HTTP/1.1\r\nhost: {address}\r\n\
                     content-type: application/json\r\nprefer: wait=10\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(request.as_bytes()).await?;
                let answer = response(stream, buffer).await?;
                Ok(memchr::memmem::find(&answer, br#""state":"succeeded""#).is_some())
            }
            Self::Live(live) => {
                let command = json!({"type": "command", "device": device, "name": "ping"});
                let reply = live.reply(command).await;
                let id = &reply["command"]["id"];
                let ends = |message: &serde_json::Value| {
                    message["data"]["id"] == *id && message["data"]["state"] == "succeeded"
                };
                Ok(id.is_string() && live.find(ends).await["data"]["late"] == false)
            }
            Self::Mqtt(peer, number) => {
                *number += 1;
                let topic = format!("devices/{device}/commands/{number}");
                peer.publish_unawaited(&topic, br#"{"name":"ping"}"#).await;
                let answer = format!("{topic}/ack");
                loop {
                    let packet = peer.next().await.context("the server closed who asks")?;
                    let Some(message) = message(&packet) else { continue };
                    peer.puback(message.id).await;
                    if message.topic == answer {
                        return Ok(true);
                    }
                }
            }
        }
    }
}

/// The next response, whole; what came behind it stays in `buffer`.
async fn response(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<Vec<u8>> {
    loop {
        if let Some(end) = end_of_response(buffer)?.filter(|end| *end <= buffer.len()) {
            return Ok(buffer.drain(..end).collect());
        }
        ensure!(stream.read_buf(buffer).await? > 0, "the server closed who asks");
    }
}

/// Where the response at the front ends, once its head is there.
fn end_of_response(buffer: &[u8]) -> anyhow::Result<Option<usize>> {
    let Some(head) = memchr::memmem::find(buffer, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("an answer has a length")?.trim().parse()?;
    Ok(Some(head + 4 + length))
}
