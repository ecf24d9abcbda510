//! Mosquitto as processes: its own clients, `mosquitto_pub` and `mosquitto_sub`, and the broker.

use crate::{Ended, Program, soon, until};
use std::{net::SocketAddr, process::Stdio};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command},
};

/// Publishes with `mosquitto_pub` and waits for its end.
///
/// # Panics
/// When it fails.
pub async fn publish(address: SocketAddr, arguments: &[&str]) {
    let mut command = Command::new("mosquitto_pub");
    command.args(at(address)).args(arguments);
    let Ended { code, stderr, .. } = Program::of(command).run().await;
    assert_eq!(code, Some(0), "mosquitto_pub {arguments:?}: {stderr}");
}

/// A `mosquitto_sub` that is subscribed.
#[derive(Debug)]
pub struct Subscriber {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Subscriber {
    /// Starts it with `arguments` and waits for its SUBACK. Lines of output are set with `-F`, such as
    /// `-F "%t %p"`; they must not begin with `Client `, as what `-d` tells of its packets does.
    ///
    /// # Panics
    /// When it does not get its subscription.
    pub async fn start(address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "mosquitto_sub", "-d"]).args(at(address)).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("mosquitto_sub is installed");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut subscriber = Self { child, lines };
        while !subscriber.any_line().await.starts_with("Subscribed ") {}
        subscriber
    }

    /// The next message as `-F` writes it.
    pub async fn line(&mut self) -> String {
        loop {
            let line = self.any_line().await;
            if !line.starts_with("Client ") && !line.starts_with("Subscribed ") {
                return line;
            }
        }
    }

    /// As many messages.
    pub async fn lines(&mut self, count: usize) -> Vec<String> {
        let mut lines = Vec::with_capacity(count);
        while lines.len() < count {
            lines.push(self.line().await);
        }
        lines
    }

    /// Ends it at once, without DISCONNECT.
    ///
    /// # Panics
    /// When it is gone already.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }

    async fn any_line(&mut self) -> String {
        let line = soon("a line of mosquitto_sub", self.lines.next_line()).await;
        line.expect("it prints UTF-8").expect("it goes on")
    }
}

/// A `mosquitto` that serves everybody on this machine.
#[derive(Debug)]
pub struct Broker {
    _child: Child,
    _folder: TempDir,
    mqtt: SocketAddr,
}

impl Broker {
    /// Starts it with more `settings`, in the form of its configuration file, and waits until it listens.
    ///
    /// # Panics
    /// When it is not installed or does not listen in time.
    pub async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = soon("a port", TcpListener::bind("127.0.0.1:0")).await.expect("a free port");
        let mqtt = free.local_addr().expect("it is bound");
        drop(free);
        let file = folder.path().join("mosquitto.conf");
        let listener = format!("listener {} 127.0.0.1\nallow_anonymous true\n", mqtt.port());
        std::fs::write(&file, format!("log_dest none\n{listener}{settings}")).expect("a file");
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(&file).stdin(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().expect("mosquitto is installed");
        until("mosquitto", async || TcpStream::connect(mqtt).await.is_ok()).await;
        Self { _child: child, _folder: folder, mqtt }
    }

    /// Where it speaks MQTT.
    #[must_use]
    pub fn mqtt(&self) -> SocketAddr {
        self.mqtt
    }
}

fn at(address: SocketAddr) -> [String; 4] {
    ["-h".into(), address.ip().to_string(), "-p".into(), address.port().to_string()]
}
