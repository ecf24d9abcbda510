//! The gateway is killed again and again under load: what it acknowledged is there, and who listens knows
//! the truth, or is told what it does not know.

use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};
use tests::{Connect, Live, Peer, TestGateway, Version, soon};
use tokio::{sync::watch, task::JoinSet, time::sleep};

const KILLS: u32 = 20;
const PUBLISHERS: usize = 4;
/// How many publishes a publisher leaves unacknowledged.
const WINDOW: usize = 16;
const PUBACK: u8 = 4;
/// How long a client waits that found no gateway.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// What the test tells its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Going,
    /// Publishers end when all they said is acknowledged.
    Ending,
    /// Listeners end: all that was acknowledged was told before.
    Over,
}

async fn over(phase: &mut watch::Receiver<Phase>) {
    let over = phase.wait_for(|phase| *phase == Phase::Over).await;
    assert!(over.is_ok(), "the test waits for its listeners");
}

#[tokio::test]
async fn twenty_kills_under_load_lose_nothing_that_was_acknowledged_and_leave_no_hole_untold() {
    // Several workers, as on a machine with more processors than this one may have.
    let mut gateway = TestGateway::with(&[("WORKERS", "3")]).await;
    let (mqtt, http) = (gateway.mqtt(), gateway.http());
    let phase = watch::Sender::new(Phase::Going);
    let counts: Vec<_> = (0..PUBLISHERS).map(|_| watch::Sender::new(0)).collect();
    let mut publishers = JoinSet::new();
    for (number, count) in counts.iter().enumerate() {
        publishers.spawn(Publisher::new(number).run(mqtt, phase.subscribe(), count.clone()));
    }
    let mut listeners = JoinSet::new();
    for filters in
        [&["telemetry/#"][..], &["telemetry/+", "presence/+"], &["telemetry/p0", "telemetry/p3"]]
    {
        listeners.spawn(Listener::new(filters).run(http, phase.subscribe()));
    }

    for round in 0..KILLS {
        // Each publisher has got on since the last kill, then a random moment.
        for count in &counts {
            let mut count = count.subscribe();
            let before = *count.borrow_and_update();
            soon("acknowledgements", count.wait_for(|now| *now > before + 50))
                .await
                .expect("it runs");
        }
        sleep(Duration::from_millis(rand::random_range(0..100))).await;
        gateway.kill();
        gateway.start_again().await;
        assert!(listeners.len() == 3 && publishers.len() == PUBLISHERS, "in round {round}");
    }

    phase.send_replace(Phase::Ending);
    let mut last = HashMap::new();
    for published in soon("the publishers' end", publishers.join_all()).await {
        let kept = kept(&gateway, &published.device).await;
        let lost: Vec<_> = published.acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "{} lost {lost:?}", published.device);
        assert!(published.acknowledged.len() > 50 * KILLS as usize);
        last.insert(
            format!("telemetry/{}", published.device),
            published.acknowledged.last().copied(),
        );
    }
    phase.send_replace(Phase::Over);
    for heard in soon("the listeners' end", listeners.join_all()).await {
        assert!(heard.resets > 0, "a kill is told");
        for (channel, found) in heard.values {
            assert_eq!(Some(found), last[&channel], "{channel} ends with the true value");
        }
    }
}

/// The numbers in a device's history.
async fn kept(gateway: &TestGateway, device: &str) -> BTreeSet<u64> {
    let mut kept = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/devices/{device}/telemetry?fields=n{cursor}");
        let (_, page) = gateway.get(&path).await;
        let values = page["metrics"]["n"]["values"].as_array().cloned().unwrap_or_default();
        kept.extend(values.iter().map(|value| value.as_u64().expect("a number")));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return kept,
        }
    }
}

/// A device's gateway on its own: it counts, and says again what was not acknowledged.
#[derive(Debug)]
struct Publisher {
    device: String,
    next: u64,
    /// What is not acknowledged, in order.
    waiting: VecDeque<u64>,
    acknowledged: BTreeSet<u64>,
}

impl Publisher {
    fn new(number: usize) -> Self {
        let (waiting, acknowledged) = (VecDeque::new(), BTreeSet::new());
        Self { device: format!("p{number}"), next: 1, waiting, acknowledged }
    }

    async fn run(
        mut self,
        mqtt: SocketAddr,
        phase: watch::Receiver<Phase>,
        count: watch::Sender<usize>,
    ) -> Self {
        loop {
            let name = format!("{}-publisher", self.device);
            let connect = Connect::new(Version::V3, &name);
            match Peer::try_connect(mqtt, connect).await {
                Some(peer) => {
                    if self.speak(peer, &phase, &count).await.is_some() {
                        return self;
                    }
                }
                None => sleep(TRY_AGAIN_AFTER).await,
            }
        }
    }

    /// Speaks on one connection; none where it broke.
    async fn speak(
        &mut self,
        mut peer: Peer,
        phase: &watch::Receiver<Phase>,
        count: &watch::Sender<usize>,
    ) -> Option<()> {
        for number in self.waiting.clone() {
            peer.send(&self.packet(number)).await;
        }
        loop {
            while *phase.borrow() == Phase::Going && self.waiting.len() < WINDOW {
                peer.send(&self.packet(self.next)).await;
                self.waiting.push_back(self.next);
                self.next += 1;
            }
            if self.waiting.is_empty() {
                return Some(());
            }
            let answer = peer.next().await?;
            assert_eq!(answer.kind, PUBACK);
            let id = u16::from_be_bytes([answer.body[0], answer.body[1]]);
            let place = self.waiting.iter().position(|number| packet_id(*number) == id);
            let number = self.waiting.remove(place.expect("only what waits is acknowledged"));
            self.acknowledged.extend(number);
            count.send_replace(self.acknowledged.len());
        }
    }

    fn packet(&self, number: u64) -> Vec<u8> {
        let topic = format!("devices/{}/telemetry", self.device);
        let payload = json!({ "n": number }).to_string();
        tests::mqtt::publish(Version::V3, &topic, payload.as_bytes(), 1, packet_id(number))
    }
}

fn packet_id(number: u64) -> u16 {
    u16::try_from(number % 60_000 + 1).expect("it fits")
}

/// A client that comes back as protocol.md says, and checks what it is told.
#[derive(Debug)]
struct Listener {
    filters: &'static [&'static str],
    since: Option<Value>,
    /// Of each channel the last `seq`; none after a reset.
    last: HashMap<String, u64>,
    /// The numbers that publishers count, of each channel.
    values: HashMap<String, u64>,
    resets: u64,
}

impl Listener {
    fn new(filters: &'static [&'static str]) -> Self {
        Self { filters, since: None, last: HashMap::new(), values: HashMap::new(), resets: 0 }
    }

    async fn run(mut self, http: SocketAddr, phase: watch::Receiver<Phase>) -> Self {
        loop {
            match Live::try_connect(http).await {
                Some(live) => {
                    if self.listen(live, phase.clone()).await.is_some() {
                        return self;
                    }
                }
                None => sleep(TRY_AGAIN_AFTER).await,
            }
        }
    }

    /// Listens on one connection; none where it broke.
    async fn listen(&mut self, mut live: Live, mut phase: watch::Receiver<Phase>) -> Option<()> {
        let options = self.since.as_ref().map_or(json!({}), |since| json!({ "since": since }));
        let ask = json!({"type": "subscribe", "channels": self.filters, "options": options});
        let asked = live.try_ask(ask).await?;
        let epoch = live.welcome["epoch"].clone();
        let (mut is_live, mut offset, mut ping) = (false, 0, None);
        loop {
            let message = tokio::select! {
                message = live.next_or_close() => message.ok()?,
                () = over(&mut phase), if ping.is_none() => {
                    ping = Some(live.try_ask(json!({"type": "ping"})).await?);
                    continue;
                }
            };
            match message["type"].as_str() {
                None => offset = self.take(&message, offset),
                Some("live") if message["id"] == asked => is_live = true,
                Some("reset") => self.reset(&message),
                Some("pong") if ping.is_some_and(|ping| message["id"] == ping) => return Some(()),
                Some("subscribed" | "live" | "pong" | "lag") => {}
                Some(other) => panic!("{other}: {message}"),
            }
            if is_live {
                let newest = message["offset"].as_u64().unwrap_or(0);
                let known = self.since.as_ref().filter(|since| since["epoch"] == epoch);
                let known = known.map_or(0, |since| since["offset"].as_u64().expect("a number"));
                self.since = Some(json!({"epoch": epoch, "offset": known.max(newest)}));
            }
        }
    }

    fn reset(&mut self, message: &Value) {
        assert_eq!(message["reason"], "crash", "{message}");
        self.resets += 1;
        // It names filters or channels; this test has no other channels than these filters match.
        self.last.clear();
    }

    /// Checks an update; gives the newest offset of the connection.
    fn take(&mut self, update: &Value, newest: u64) -> u64 {
        let channel = update["channel"].as_str().expect("a text").to_owned();
        let number = |name: &str| update[name].as_u64().expect("a number");
        let (seq, offset) = (number("seq"), number("offset"));
        let before = self.last.insert(channel.clone(), seq);
        let is_value = update["snapshot"] == true;
        if !is_value {
            assert!(offset > newest, "{update} after offset {newest}");
            assert!(before.is_none_or(|before| seq == before + 1), "{update} after {before:?}");
        }
        if let Some(count) = update["data"]["n"].as_u64() {
            let known = self.values.insert(channel, count);
            // What was not acknowledged is said again, so it may go back; but never ahead without a word.
            if let (false, Some(_), Some(known)) = (is_value, before, known) {
                assert!(count <= known + 1, "{update} after {known}");
            }
        }
        if is_value { newest } else { offset }
    }
}
