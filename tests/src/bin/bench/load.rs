//! The devices: packets built beforehand, into which only the time of sending is written, on one
//! thread that sleeps between them. So it is never the generator that is the limit.

use crate::{
    SECOND_US, now_us,
    part::{self, Plan, until},
    socket::{DIGITS, mqtt},
};
use anyhow::Context as _;
use clap::ValueEnum;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};
use tests::{Version, mqtt::publish};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// When the devices send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// One after the other, evenly.
    Even,
    /// All at once, as devices do that measure at the full second.
    Together,
    /// Each when its last message is acknowledged, whatever the rate, as scripts do. With QoS 1.
    Turns,
}

/// How many devices, and how fast.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Load {
    /// Devices, each with a connection of its own
    #[arg(long, default_value_t = 100)]
    pub(crate) devices: u32,
    /// Messages a second of each device
    #[arg(long, default_value_t = 50)]
    pub(crate) rate: u32,
    /// How they are spread over the time
    #[arg(long, default_value = "even")]
    pub(crate) step: Step,
    /// The QoS of their messages, 0 or 1
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=1))]
    pub(crate) qos: u8,
}

impl Load {
    /// As arguments.
    pub(crate) fn arguments(self) -> Vec<String> {
        let Self { devices, rate, step, qos } = self;
        let step = step.to_possible_value().expect("none is skipped");
        let pairs = [
            ("--devices", devices.to_string()),
            ("--rate", rate.to_string()),
            ("--step", step.get_name().into()),
            ("--qos", qos.to_string()),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.into(), value]).collect()
    }

    /// When a message is due.
    fn due(self, plan: &Plan, number: u64) -> u64 {
        let (devices, rate) = (u64::from(self.devices), u64::from(self.rate));
        plan.start_us
            + match self.step {
                Step::Even => number * SECOND_US / (devices * rate),
                Step::Together => number / devices * SECOND_US / rate,
                Step::Turns => 0,
            }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    #[arg(long)]
    address: SocketAddr,
    /// The first level of the devices' topics
    #[arg(long)]
    root: String,
    #[command(flatten)]
    load: Load,
}

/// What the devices did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Messages sent in the window.
    pub(crate) messages: u64,
    /// How late a message of the window was sent at the worst: more than a few milliseconds would mean
    /// that the generator, or the server by not reading, held the load back.
    pub(crate) late_us_max: u64,
}

/// The time of sending, in its place.
const TIME: &str = "0000000000000000";
const _: () = assert!(TIME.len() == DIGITS);

/// A reading as a device sends it, 100 bytes.
fn reading(number: u32) -> String {
    let (whole, tenth) = (20 + number % 10, number % 10);
    format!(
        r#"{{"t":{TIME},"temperature":{whole}.{tenth}1,"humidity":48.{tenth},"pressure":1013.25,"volts":3.71,"rssi":-67}}"#
    )
}

/// A device with its connection and the packet that it sends.
pub(crate) struct Device {
    stream: TcpStream,
    packet: Vec<u8>,
    time_at: usize,
    qos: u8,
}

impl Device {
    /// Connects one that publishes under `{root}/bench-{number}/telemetry`.
    pub(crate) fn connect(
        address: SocketAddr,
        root: &str,
        number: u32,
        qos: u8,
    ) -> anyhow::Result<Self> {
        let id = format!("bench-{number:05}");
        let stream = mqtt(address, &id)?;
        let topic = format!("{root}/{id}/telemetry");
        let packet = publish(Version::V3, &topic, reading(number).as_bytes(), qos, 1);
        let time_at = packet.windows(TIME.len()).position(|bytes| bytes == TIME.as_bytes());
        stream.set_nonblocking(qos > 0)?;
        Ok(Self { stream, packet, time_at: time_at.context("a reading has a time")?, qos })
    }

    /// The packet with this time in it.
    pub(crate) fn packet(&mut self, at_us: u64) -> &[u8] {
        let time = format!("{at_us:016}");
        self.packet[self.time_at..self.time_at + TIME.len()].copy_from_slice(time.as_bytes());
        &self.packet
    }

    /// Writes bytes, such as some packets.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a message; takes what acknowledgements have come.
    fn send(&mut self, at_us: u64) -> io::Result<()> {
        if self.qos > 0 {
            match self.stream.read(&mut [0; 256]) {
                Ok(0) => return Err(io::ErrorKind::ConnectionAborted.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        self.packet(at_us);
        self.stream.write_all(&self.packet)
    }

    /// Sends a message, waits for its acknowledgement, sends the next; gives how many it sent in the window.
    async fn take_turns(mut self, plan: Plan) -> anyhow::Result<u64> {
        let mut stream = tokio::net::TcpStream::from_std(self.stream.try_clone()?)?;
        let (mut messages, mut acknowledgement) = (0, [0; 4]);
        until(plan.start_us).await;
        loop {
            let at = now_us();
            if at >= plan.stop_us {
                return Ok(messages);
            }
            stream.write_all(self.packet(at)).await?;
            stream.read_exact(&mut acknowledgement).await?;
            messages += u64::from(plan.counts(at));
        }
    }
}

/// Sends as ordered and reports what was [`Sent`].
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let Options { address, root, load } = options;
    let devices = (0..load.devices).map(|number| Device::connect(*address, root, number, load.qos));
    let mut devices: Vec<_> = devices.collect::<anyhow::Result<_>>()?;
    let plan = part::await_order()?;
    if load.step == Step::Turns {
        let all = devices.into_iter().map(|device| device.take_turns(plan));
        let messages = try_join_all(all).await?.into_iter().sum();
        return part::report(&Sent { messages, late_us_max: 0 });
    }
    let mut sent = Sent { messages: 0, late_us_max: 0 };
    for number in 0_u64.. {
        let due = load.due(&plan, number);
        if due >= plan.stop_us {
            break;
        }
        let at = wait_until(due);
        let place = usize::try_from(number % u64::from(load.devices))?;
        devices[place].send(at).context("the server closed a device's connection")?;
        if plan.counts(at) {
            sent.messages += 1;
            sent.late_us_max = sent.late_us_max.max(at - due);
        }
    }
    part::report(&sent)
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
