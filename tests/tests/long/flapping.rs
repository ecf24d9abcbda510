//! Commands to a fleet that flaps: its devices answer late, twice, out of order or never, and drop their connections
//! at any point. What their own logs say ran is held against what the gateway says of each command.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};
use tests::{Connect, Peer, TestGateway, Version};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

const DEVICES: usize = 200;
const COMMANDS: usize = 1_000;
/// Decides all that devices do; who waits for what is the machine's business.
const SEED: u64 = 0x5eed;
/// All commands have ended by then, and then all devices.
const WITHIN: Duration = Duration::from_secs(45);
const PUBLISH: u8 = 3;

#[tokio::test]
async fn a_flapping_fleet_and_the_gateway_agree_on_every_one_of_a_thousand_commands() {
    let types = tempfile::TempDir::new().expect("a temporary folder");
    let kind = json!({"type": "flapper", "max_inflight": 3});
    std::fs::write(types.path().join("flapper.json"), kind.to_string()).expect("a file");
    let dir = types.path().to_str().expect("a path of text");
    let gateway = TestGateway::with(&[("TYPES__DIR", dir)]).await;
    let over = watch::Sender::new(false);
    let mut fleet = JoinSet::new();
    for number in 0..DEVICES {
        let path = format!("/api/v1/devices/{}", name(number));
        let put = gateway.request(Method::PUT, &path).json(&json!({"type": "flapper"}));
        assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
        fleet.spawn(Device::new(number).run(gateway.mqtt(), over.subscribe()));
    }

    let mut rng = StdRng::seed_from_u64(SEED);
    for number in 0..COMMANDS {
        let idempotent = rng.random_bool(0.3);
        let body = json!({
            "name": "work", "params": {"idempotent": idempotent}, "idempotent": idempotent,
            "timeout_ms": rng.random_range(800..3_000), "ttl_ms": rng.random_range(300..12_000),
            "priority": rng.random_range(-1..=1),
        });
        let path = format!("/api/v1/devices/{}/commands", name(number % DEVICES));
        let (status, command) = gateway.post(&path, &body).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{command}");
    }
    timeout(WITHIN, all_ended(&gateway)).await.expect("all commands end in time");
    over.send_replace(true);
    // What a device still had to say is said, and acknowledged.
    let logs = timeout(WITHIN, fleet.join_all()).await.expect("the devices end in time");
    let mut log: BTreeMap<String, Log> = logs.into_iter().flatten().collect();

    let commands = commands(&gateway).await;
    assert_eq!(commands.len(), COMMANDS);
    let mut seen = BTreeMap::<String, usize>::new();
    for command in commands {
        let id = command["id"].as_str().expect("an id");
        let log = log.remove(id).unwrap_or_default();
        *seen.entry(command["state"].as_str().expect("a state").to_owned()).or_default() += 1;
        check(&command, &log);
    }
    assert!(log.is_empty(), "no device got a command that the gateway does not know: {log:?}");
    for state in ["succeeded", "failed", "timed_out"] {
        assert!(seen.contains_key(state), "it came to all of them: {seen:?}");
    }
}

/// The gateway and the device's own log agree.
fn check(command: &Value, log: &Log) {
    let told = format!("the gateway says {command}\nthe device says {log:?}");
    let attempts = command["attempt"].as_u64().expect("a number");
    match command["state"].as_str().expect("a state") {
        state @ ("succeeded" | "failed") => {
            let answered = log.answered.as_ref().unwrap_or_else(|| panic!("no answer: {told}"));
            assert_eq!(
                (&answered.0, &answered.1),
                (&state.to_owned(), &command["result"]),
                "{told}"
            );
            assert_eq!(log.runs, 1, "{told}");
        }
        "timed_out" => assert!(log.answered.is_none() && attempts > 0, "{told}"),
        "expired" => assert!(log.deliveries == 0 && attempts == 0, "{told}"),
        other => panic!("{other} is no end of this test: {told}"),
    }
    assert!(log.runs <= 1 && u64::from(log.deliveries) <= attempts, "{told}");
    let may_come_again = command["params"]["idempotent"] == true;
    assert!(may_come_again || !log.after_acknowledged, "sent again though acknowledged: {told}");
}

async fn all_ended(gateway: &TestGateway) {
    let open = ["queued", "sent", "delivered", "started"];
    for state in open {
        loop {
            let (_, page) = gateway.get(&format!("/api/v1/commands?state={state}&limit=1")).await;
            if page["items"].as_array().is_some_and(Vec::is_empty) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// All commands as the gateway tells them.
async fn commands(gateway: &TestGateway) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = gateway.get(&format!("/api/v1/commands?limit=500{cursor}")).await;
        all.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn name(number: usize) -> String {
    format!("flapper-{number}")
}

/// What a device knows of a command.
#[derive(Debug, Default)]
struct Log {
    deliveries: u32,
    runs: u32,
    /// The status and result that it answered with, and that the gateway acknowledged.
    answered: Option<(String, Value)>,
    /// The gateway had read its PUBACK for sure.
    acknowledged: bool,
    /// It came once more after that.
    after_acknowledged: bool,
}

/// Something to be said later.
struct Answer {
    due: Instant,
    id: String,
    attempt: u64,
    status: &'static str,
    result: Value,
}

/// A device with a memory of its own, which survives its connections.
struct Device {
    name: String,
    rng: StdRng,
    log: BTreeMap<String, Log>,
    decided: BTreeSet<String>,
    later: Vec<Answer>,
    runs: u64,
}

impl Device {
    fn new(number: usize) -> Self {
        Self {
            name: name(number),
            rng: StdRng::seed_from_u64(SEED ^ number as u64),
            log: BTreeMap::new(),
            decided: BTreeSet::new(),
            later: Vec::new(),
            runs: 0,
        }
    }

    async fn run(
        mut self,
        gateway: SocketAddr,
        over: watch::Receiver<bool>,
    ) -> BTreeMap<String, Log> {
        loop {
            let connect = Connect::new(Version::V3, &self.name);
            let Some(mut peer) = Peer::try_connect(gateway, connect).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let filter = format!("devices/{}/commands/+", self.name);
            if *over.borrow() {
                self.say_all(&mut peer).await;
                peer.disconnect().await;
                return self.log;
            }
            assert_eq!(peer.subscribe(&filter, 1).await, 1);
            for _ in 0..self.rng.random_range(1..8) {
                if !self.live(&mut peer).await {
                    break;
                }
            }
            if self.rng.random_bool(0.5) {
                peer.disconnect().await;
            }
            sleep(Duration::from_millis(self.rng.random_range(0..300))).await;
        }
    }

    /// A moment of a connection; false: it is to be dropped now.
    async fn live(&mut self, peer: &mut Peer) -> bool {
        let moment = Duration::from_millis(self.rng.random_range(20..200));
        match timeout(moment, peer.next()).await {
            Ok(Some(packet)) if packet.kind == PUBLISH => {
                let message = packet.message(Version::V3);
                let order: Value = serde_json::from_slice(&message.payload).expect("JSON");
                if !self.take(peer, message.id, &order).await {
                    return false;
                }
            }
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => return false,
        }
        self.say_due(peer).await;
        true
    }

    /// Takes a command; false: the device crashes now.
    async fn take(&mut self, peer: &mut Peer, packet: u16, order: &Value) -> bool {
        let id = order["id"].as_str().expect("an id").to_owned();
        let log = self.log.entry(id.clone()).or_default();
        log.deliveries += 1;
        log.after_acknowledged |= log.acknowledged;
        if self.rng.random_bool(0.15) {
            return false;
        }
        if self.decided.insert(id.clone()) {
            log.runs += 1;
            self.runs += 1;
            self.decide(&id, order);
        }
        peer.puback(packet).await;
        if self.rng.random_bool(0.15) {
            return false;
        }
        // The gateway reads in order: what it says to this it says behind the PUBACK.
        peer.settle().await;
        self.log.entry(id).or_default().acknowledged = true;
        true
    }

    /// Decides whether, when and how often it will answer.
    fn decide(&mut self, id: &str, order: &Value) {
        if self.rng.random_bool(0.1) {
            return;
        }
        let status = *["succeeded", "succeeded", "failed"].choose(&mut self.rng).expect("some");
        let late = if self.rng.random_bool(0.2) { 0..4_000 } else { 0..300 };
        let due = Instant::now() + Duration::from_millis(self.rng.random_range(late));
        let result = json!({"run": self.runs, "of": self.name});
        let attempt = order["attempt"].as_u64().expect("a number");
        let answer =
            |due| Answer { due, id: id.to_owned(), attempt, status, result: result.clone() };
        self.later.push(answer(due));
        if self.rng.random_bool(0.2) {
            self.later.push(answer(due + Duration::from_millis(50)));
        }
    }

    async fn say_due(&mut self, peer: &mut Peer) {
        let now = Instant::now();
        let (due, later) =
            std::mem::take(&mut self.later).into_iter().partition(|it| it.due <= now);
        self.later = later;
        self.say(peer, due).await;
    }

    async fn say_all(&mut self, peer: &mut Peer) {
        let all = std::mem::take(&mut self.later);
        self.say(peer, all).await;
    }

    /// Says them, the newest first: in another order than they were decided.
    async fn say(&mut self, peer: &mut Peer, mut answers: Vec<Answer>) {
        while let Some(Answer { id, attempt, status, result, .. }) = answers.pop() {
            let topic = format!("devices/{}/commands/{id}/ack", self.name);
            let answer = json!({"status": status, "attempt": attempt, "result": result});
            peer.publish(&topic, answer.to_string().as_bytes(), 1).await;
            let log = self.log.entry(id).or_default();
            log.answered.get_or_insert((status.to_owned(), result));
        }
    }
}
