//! A real mosquitto on a port of its own, and an observer that sees everything on it.

use device_sim::{Broker, Fleet, FleetConfig, FleetError, Summary};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS};
use std::{path::Path, process::Stdio, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// No single thing that a test waits for takes longer.
const DEADLINE: Duration = Duration::from_secs(30);
const MOSQUITTO: &str = "/usr/sbin/mosquitto";

/// Waits for `event`, and fails the test when it does not come in time.
pub(crate) async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(DEADLINE, event).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// Waits until a number that has no event of its own is as it must be.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let look = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(what, look).await;
}

/// Mosquitto, stopped when it is dropped. It keeps sessions over a restart.
pub(crate) struct Mosquitto {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Mosquitto {
    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let port = free_port().await;
        let child = spawn(folder.path(), port).await;
        Self { folder, port, child }
    }

    pub(crate) fn broker(&self) -> Broker {
        format!("127.0.0.1:{}", self.port).parse().expect("a broker")
    }

    /// Ends the process so that it can still write its sessions down; its clients just lose it.
    pub(crate) async fn stop(&mut self) {
        self.signal("-TERM").await;
        soon("mosquitto's end", self.child.wait()).await.expect("mosquitto ends");
    }

    /// Lets the process take nothing in any more, while its sockets stay open.
    pub(crate) async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// Ends the process at once; sessions are lost.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("mosquitto is killed");
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().expect("mosquitto runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await;
        assert!(sent.expect("kill runs").success());
    }

    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.folder.path(), self.port).await;
    }
}

async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Starts mosquitto and waits until it says that it runs.
async fn spawn(folder: &Path, port: u16) -> Child {
    let config = folder.join("mosquitto.conf");
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_queued_messages 0\n\
         persistence true\npersistence_location {}/\n",
        folder.display()
    );
    std::fs::write(&config, text).expect("the configuration is written");
    let mut child = Command::new(MOSQUITTO)
        .arg("-c")
        .arg(&config)
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{MOSQUITTO} does not start ({error}): install mosquitto"));
    let output = child.stderr.take().expect("standard error is piped");
    let mut lines = BufReader::new(output).lines();
    let running = async {
        while let Some(line) = lines.next_line().await.expect("mosquitto's log is readable") {
            if line.ends_with(" running") {
                return;
            }
        }
        panic!("mosquitto ended before it ran");
    };
    soon("mosquitto", running).await;
    child.stderr = Some(lines.into_inner().into_inner());
    child
}

/// A client with a session that the broker keeps: it misses nothing that is published with QoS 1.
pub(crate) struct Observer {
    pub(crate) client: AsyncClient,
    events: EventLoop,
}

impl Observer {
    /// Subscribed to everything under `devices/` when this returns.
    pub(crate) async fn start(broker: &Broker) -> Self {
        let mut options = MqttOptions::new("observer", broker.host(), broker.port());
        options.set_clean_session(false);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::new(options, 100);
        client.subscribe("devices/#", QoS::AtLeastOnce).await.expect("the request is queued");
        let subscribed = async {
            while !matches!(events.poll().await, Ok(Event::Incoming(Packet::SubAck(_)))) {}
        };
        soon("the observer's subscription", subscribed).await;
        Self { client, events }
    }

    /// The next message; a lost broker is waited for.
    pub(crate) async fn next(&mut self) -> Publish {
        loop {
            match self.events.poll().await {
                Ok(Event::Incoming(Packet::Publish(message))) => return message,
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// A fleet that runs beside the test.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinSet<Result<Summary, FleetError>>,
    pub(crate) counters: device_sim::Counters,
}

impl Running {
    pub(crate) fn start(config: FleetConfig) -> Self {
        let fleet = Fleet::new(config).expect("the configuration of a test is valid");
        let counters = fleet.counters();
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(fleet.run(stop.clone()));
        Self { stop, task, counters }
    }

    pub(crate) async fn stop(mut self) -> Summary {
        self.stop.cancel();
        let ended = soon("the fleet's end", self.task.join_next()).await;
        ended.expect("a fleet runs").expect("no panic").expect("the fleet ends well")
    }
}
