//! The servers that are measured.

use crate::socket::Language;
use anyhow::{Context as _, ensure};
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
    /// Debian's NATS server, with its MQTT and its WebSocket listener.
    Nats,
}

impl Kind {
    /// Its name in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sluice => "Sluice",
            Self::Mosquitto => "Mosquitto",
            Self::Nats => "NATS",
        }
    }

    /// What its subscribers speak over WebSocket.
    pub(crate) const fn web(self) -> Language {
        match self {
            Self::Sluice => Language::Sluice,
            Self::Mosquitto => Language::MqttWeb,
            Self::Nats => Language::Nats,
        }
    }

    /// Starts it, with nothing in it.
    pub(crate) async fn start(self) -> anyhow::Result<Target> {
        Ok(match self {
            Self::Sluice => {
                let limits = [
                    ("LIMITS__MQTT_CONNECTIONS", "21000"),
                    ("LIMITS__WEBSOCKET_CONNECTIONS", "11000"),
                    ("LIMITS__WEBSOCKET_MESSAGES_PER_S", "100000"),
                ];
                Target::Sluice(Box::new(TestGateway::with(&limits).await))
            }
            Self::Mosquitto => Target::Other(Other::start("mosquitto", mosquitto_config).await?),
            Self::Nats => Target::Other(Other::start("nats-server", nats_config).await?),
        })
    }

    /// Its version.
    pub(crate) fn version(self) -> anyhow::Result<String> {
        let (program, arguments) = match self {
            Self::Sluice => (tests::binary("sluice-gateway"), "--version"),
            Self::Mosquitto => ("mosquitto".into(), "-h"),
            Self::Nats => ("nats-server".into(), "--version"),
        };
        let output = Command::new(program).arg(arguments).output();
        let text = String::from_utf8(output.with_context(|| self.name())?.stdout)?;
        Ok(text.lines().next().context("it prints its version")?.to_owned())
    }
}

/// CPU time of a process in ticks of `getconf CLK_TCK`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// In the program itself.
    pub(crate) user: u64,
    /// In the system, for the program.
    pub(crate) system: u64,
}

impl Cpu {
    /// What came on top of an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// A server that runs; it ends when this is dropped.
#[derive(Debug)]
pub(crate) enum Target {
    Sluice(Box<TestGateway>),
    Other(Other),
}

impl Target {
    /// Where devices connect.
    pub(crate) fn mqtt(&self) -> SocketAddr {
        match self {
            Self::Sluice(gateway) => gateway.mqtt(),
            Self::Other(other) => other.mqtt,
        }
    }

    /// Where subscribers connect that speak a language.
    pub(crate) fn address(&self, language: Language) -> SocketAddr {
        match (self, language) {
            (_, Language::Mqtt) => self.mqtt(),
            (Self::Sluice(gateway), _) => gateway.http(),
            (Self::Other(other), _) => other.websocket,
        }
    }

    /// The CPU time that it has taken.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let stat = self.read("stat")?;
        // Behind the name in parentheses: utime and stime are fields 14 and 15 (man proc_pid_stat).
        let (_, fields) = stat.rsplit_once(')').context("stat has a name")?;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse);
        let mut next = || ticks.next().context("stat has enough fields")?.context("a number");
        Ok(Cpu { user: next()?, system: next()? })
    }

    /// Its resident memory in KiB.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(number.context("status has the resident memory")?.parse()?)
    }

    fn read(&self, file: &str) -> anyhow::Result<String> {
        let pid = match self {
            Self::Sluice(gateway) => gateway.pid(),
            Self::Other(other) => other.child.id(),
        };
        fs::read_to_string(format!("/proc/{pid}/{file}")).context("the server runs")
    }
}

/// A server with a listener for MQTT and one for WebSocket.
#[derive(Debug)]
pub(crate) struct Other {
    child: Child,
    mqtt: SocketAddr,
    websocket: SocketAddr,
    _folder: TempDir,
}

impl Other {
    async fn start(
        program: &str,
        config: impl Fn(SocketAddr, SocketAddr, &str) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let (mqtt, websocket) = (free_address()?, free_address()?);
        let file = folder.path().join("config");
        let path = folder.path().to_str().context("a path in UTF-8")?;
        fs::write(&file, config(mqtt, websocket, path)?)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("{program} does not start"))?;
        let mut other = Self { child, mqtt, websocket, _folder: folder };
        let mut ended = None;
        until("the other server's listeners", async || {
            ended = other.child.try_wait().ok().flatten();
            let listens = [mqtt, websocket].map(|address| TcpStream::connect(address).is_ok());
            ended.is_some() || listens == [true; 2]
        })
        .await;
        ensure!(ended.is_none(), "{program} ended at once");
        Ok(other)
    }
}

fn mosquitto_config(mqtt: SocketAddr, websocket: SocketAddr, _: &str) -> anyhow::Result<String> {
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    Ok(format!(
        "allow_anonymous true\nuser {user}\nset_tcp_nodelay true\nmax_queued_messages 0\n\
         log_dest none\nlistener {} 127.0.0.1\nlistener {} 127.0.0.1\nprotocol websockets\n",
        mqtt.port(),
        websocket.port()
    ))
}

/// Its MQTT needs JetStream, which QoS 0 does not use.
fn nats_config(mqtt: SocketAddr, websocket: SocketAddr, folder: &str) -> anyhow::Result<String> {
    Ok(format!(
        "server_name: bench\nlisten: \"{}\"\njetstream {{ store_dir: \"{folder}\" }}\n\
         mqtt {{ listen: \"{mqtt}\" }}\nwebsocket {{ listen: \"{websocket}\", no_tls: true }}\n",
        free_address()?
    ))
}

impl Drop for Other {
    fn drop(&mut self) {
        // It has nothing to save.
        let _gone_already = self.child.kill();
        let _ended = self.child.wait();
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
