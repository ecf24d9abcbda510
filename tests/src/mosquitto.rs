//! Mosquitto's own clients, `mosquitto_pub` and `mosquitto_sub`, as processes.

use crate::{Ended, Program, soon};
use std::{net::SocketAddr, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
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

fn at(address: SocketAddr) -> [String; 4] {
    ["-h".into(), address.ip().to_string(), "-p".into(), address.port().to_string()]
}
