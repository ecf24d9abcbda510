//! The servers that are measured.

use crate::listen::Language;
use anyhow::Context as _;
use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;
use tests::{TestGateway, until};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// This project's gateway.
    Sluice,
    /// Debian's Mosquitto.
    Mosquitto,
}

impl Kind {
    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sluice => "Sluice",
            Self::Mosquitto => "Mosquitto",
        }
    }

    /// What its subscribers speak.
    pub(crate) const fn language(self) -> Language {
        match self {
            Self::Sluice => Language::Sluice,
            Self::Mosquitto => Language::Mqtt,
        }
    }

    /// Starts it, with nothing in it.
    pub(crate) async fn start(self) -> anyhow::Result<Target> {
        match self {
            Self::Sluice => Ok(Target::Sluice(TestGateway::start().await)),
            Self::Mosquitto => Mosquitto::start().await.map(Target::Mosquitto),
        }
    }

    /// Its version.
    pub(crate) fn version(self) -> anyhow::Result<String> {
        let (program, arguments) = match self {
            Self::Sluice => (tests::binary("sluice-gateway"), "--version"),
            Self::Mosquitto => ("mosquitto".into(), "-h"),
        };
        let output = Command::new(program).arg(arguments).output()?;
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().next().context("it prints its version")?.to_owned())
    }
}

/// A server that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) enum Target {
    Sluice(TestGateway),
    Mosquitto(Mosquitto),
}

impl Target {
    /// Where devices connect.
    pub(crate) fn mqtt(&self) -> SocketAddr {
        match self {
            Self::Sluice(gateway) => gateway.mqtt(),
            Self::Mosquitto(mosquitto) => mosquitto.mqtt,
        }
    }

    /// Where subscribers connect.
    pub(crate) fn websocket(&self) -> SocketAddr {
        match self {
            Self::Sluice(gateway) => gateway.http(),
            Self::Mosquitto(mosquitto) => mosquitto.websocket,
        }
    }

    /// The CPU time that it has taken, in ticks of `getconf CLK_TCK`.
    pub(crate) fn cpu_ticks(&self) -> anyhow::Result<u64> {
        let pid = match self {
            Self::Sluice(gateway) => gateway.pid(),
            Self::Mosquitto(mosquitto) => mosquitto.child.id(),
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server runs")?;
        // Behind the name in parentheses: utime and stime are fields 14 and 15 (man proc_pid_stat).
        let (_, fields) = stat.rsplit_once(')').context("stat has a name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum())
    }
}

/// Mosquitto with a listener for MQTT and one for MQTT over WebSocket.
#[derive(Debug)]
pub(crate) struct Mosquitto {
    child: Child,
    mqtt: SocketAddr,
    websocket: SocketAddr,
    _folder: TempDir,
}

impl Mosquitto {
    async fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let (mqtt, websocket) = (free_address()?, free_address()?);
        let config = format!(
            "allow_anonymous true\nuser root\nset_tcp_nodelay true\nmax_queued_messages 0\n\
             log_dest none\nlistener {} 127.0.0.1\nlistener {} 127.0.0.1\nprotocol websockets\n",
            mqtt.port(),
            websocket.port()
        );
        let file = folder.path().join("mosquitto.conf");
        fs::write(&file, config)?;
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("mosquitto starts")?;
        let mosquitto = Self { child, mqtt, websocket, _folder: folder };
        until("mosquitto's listeners", async || {
            TcpStream::connect(mqtt).is_ok() && TcpStream::connect(websocket).is_ok()
        })
        .await;
        Ok(mosquitto)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It has nothing to save.
        let _gone_already = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
