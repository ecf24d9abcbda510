//! The devices: packets built beforehand, into which only the time of sending is written, on one
//! thread that sleeps between them. So it is never the generator that is the limit.

use crate::{Window, now_us};
use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};
use tests::{Connect, Version, mqtt::publish};

/// How many devices, and how fast.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Devices, each with a connection of its own
    #[arg(long, default_value_t = 100)]
    pub(crate) devices: u32,
    /// Messages a second of each device
    #[arg(long, default_value_t = 50)]
    pub(crate) rate: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    address: SocketAddr,
    /// When the first message is due
    #[arg(long)]
    start_us: u64,
    /// When to stop
    #[arg(long)]
    stop_us: u64,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    window: Window,
}

/// What the devices did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Messages sent in the window.
    pub(crate) messages: u64,
    /// How late a message of the window was sent at the worst: more than a few milliseconds would mean that the
    /// generator, or the server by not reading, held the load back.
    pub(crate) late_us_max: u64,
}

/// The time of sending, in its place: microseconds have 16 digits until the year 2286.
const TIME: &str = "0000000000000000";

/// A reading as a device sends it, 100 bytes.
fn reading(number: u32) -> String {
    let (whole, tenth) = (20 + number % 10, number % 10);
    format!(
        r#"{{"t":{TIME},"temperature":{whole}.{tenth}1,"humidity":48.{tenth},"pressure":1013.25,"volts":3.71,"rssi":-67}}"#
    )
}

struct Device {
    stream: TcpStream,
    packet: Vec<u8>,
    time_at: usize,
}

impl Device {
    fn connect(address: SocketAddr, number: u32) -> anyhow::Result<Self> {
        let id = format!("bench-{number:04}");
        let mut stream = TcpStream::connect(address).context("the server accepts no device")?;
        stream.set_nodelay(true)?;
        stream.write_all(&Connect::new(Version::V3, &id).encode())?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer)?;
        ensure!(answer[3] == 0, "the server refuses a device with {}", answer[3]);
        let topic = format!("devices/{id}/telemetry");
        let packet = publish(Version::V3, &topic, reading(number).as_bytes(), 0, 0);
        let time_at = packet.windows(TIME.len()).position(|bytes| bytes == TIME.as_bytes());
        Ok(Self { stream, packet, time_at: time_at.context("a reading has a time")? })
    }

    fn send(&mut self, at_us: u64) -> std::io::Result<()> {
        let time = format!("{at_us:016}");
        self.packet[self.time_at..self.time_at + TIME.len()].copy_from_slice(time.as_bytes());
        self.stream.write_all(&self.packet)
    }
}

/// Sends as told and prints what was [`Sent`] as JSON.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let Options { address, start_us, stop_us, load, window } = *options;
    let devices = (0..load.devices).map(|number| Device::connect(address, number));
    let mut devices: Vec<_> = devices.collect::<anyhow::Result<_>>()?;
    let a_second = u64::from(load.devices) * u64::from(load.rate);
    let mut sent = Sent { messages: 0, late_us_max: 0 };
    for number in 0_u64.. {
        let due = start_us + number * 1_000_000 / a_second;
        if due >= stop_us {
            break;
        }
        let at = wait_until(due);
        let place = usize::try_from(number % u64::from(load.devices))?;
        devices[place].send(at).context("the server closed a device's connection")?;
        if window.has(at) {
            sent.messages += 1;
            sent.late_us_max = sent.late_us_max.max(at - due);
        }
    }
    serde_json::to_writer(std::io::stdout(), &sent)?;
    Ok(())
}

fn wait_until(due_us: u64) -> u64 {
    loop {
        let now = now_us();
        if now >= due_us {
            return now;
        }
        thread::sleep(Duration::from_micros(due_us - now));
    }
}
