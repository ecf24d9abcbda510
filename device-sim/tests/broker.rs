//! A fleet against Debian's mosquitto: what it publishes and answers, and what a lost broker does.

mod support;

use device_sim::{Broker, Chaos, FleetConfig, MqttVersion, Outcome, Summary};
use protocol::{Answer, AnswerStatus, CommandId, Delivery, DeviceId, Millis, Timestamp, topics};
use rumqttc::{Publish, QoS};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};
use support::{Mosquitto, Observer, Running, soon, until};

const PUMP: &str = "pump-001";

fn config(broker: Broker) -> FleetConfig {
    FleetConfig {
        devices: 3,
        rate_per_s: 20.0,
        start_within: Duration::ZERO,
        ..FleetConfig::new(broker)
    }
}

#[tokio::test]
async fn devices_publish_telemetry_and_state_and_nothing_is_lost() {
    for mqtt in [MqttVersion::V3, MqttVersion::V5] {
        let mosquitto = Mosquitto::start().await;
        let mut record = Record::start(&mosquitto).await;
        let fleet = Running::start(FleetConfig { mqtt, ..config(mosquitto.broker()) });
        until("telemetry", || fleet.counters.totals().acknowledged > 60).await;
        let summary = fleet.stop().await;

        let all = summary.totals;
        assert_eq!((all.acknowledged, all.published), (all.readings, all.readings), "{all:?}");
        assert_eq!((all.connects, all.reconnects, all.connected), (3, 0, 0));
        record.until_all(&summary).await;
        assert_eq!(record.updates, all.readings);
        for (id, metric) in
            [("thermostat-001", "temperature"), (PUMP, "flow"), ("tracker-001", "lat")]
        {
            let data = &record.last_data[id];
            assert!(data[metric].is_f64(), "{id}: {data}");
            assert_eq!(record.states[id]["boots"], json!(1), "{id}");
        }
    }
}

#[tokio::test]
async fn a_command_is_answered_once_and_a_repeat_with_its_last_answer() {
    for mqtt in [MqttVersion::V3, MqttVersion::V5] {
        let mosquitto = Mosquitto::start().await;
        let mut record = Record::start(&mosquitto).await;
        let fleet = Running::start(FleetConfig { mqtt, ..config(mosquitto.broker()) });
        until("connections", || fleet.counters.totals().acknowledged > 3).await;

        record.send(1, 1, "set_valve", json!({"percent": 5})).await;
        let answers = record.answers_until(1, AnswerStatus::Succeeded).await;
        assert_eq!(answers[0].status, AnswerStatus::Started);
        assert!(answers.iter().any(|answer| answer.status == AnswerStatus::Progress));
        record.send(1, 2, "set_valve", json!({"percent": 5})).await;
        let repeat = record.answers_until(1, AnswerStatus::Succeeded).await;
        assert_eq!((repeat.len(), repeat[0].attempt), (1, Some(2)));

        record.send(2, 1, "set_valve", json!({"percent": 100})).await;
        record.answers_until(2, AnswerStatus::Started).await;
        record.cancel(2).await;
        record.answers_until(2, AnswerStatus::Cancelled).await;

        let summary = fleet.stop().await;
        let ended: Vec<_> =
            summary.commands.iter().map(|command| (command.outcome, command.ran)).collect();
        assert_eq!(ended, [(Outcome::Succeeded, true), (Outcome::Cancelled, true)]);
        assert_eq!((summary.totals.commands, summary.totals.repeats), (3, 1));
        assert_eq!(summary.totals.malformed, 0);
    }
}

#[tokio::test]
async fn a_rebooting_device_leaves_well_and_answers_when_it_is_back() {
    let mosquitto = Mosquitto::start().await;
    let mut record = Record::start(&mosquitto).await;
    let fleet = Running::start(config(mosquitto.broker()));
    until("connections", || fleet.counters.totals().acknowledged > 3).await;
    record.send(1, 1, "reboot", json!({})).await;
    record.answers_until(1, AnswerStatus::Started).await;
    until("the device's absence", || fleet.counters.totals().connected == 2).await;
    let answers = record.answers_until(1, AnswerStatus::Succeeded).await;
    assert_eq!(answers.last().and_then(|answer| answer.result.clone()), Some(json!({"boots": 2})));
    let summary = fleet.stop().await;
    assert_eq!(summary.totals.reconnects, 1);
    assert_eq!(summary.totals.acknowledged, summary.totals.readings);
}

#[tokio::test]
async fn devices_come_back_to_a_restarted_broker_with_their_subscriptions_and_a_batch() {
    let mut mosquitto = Mosquitto::start().await;
    let mut record = Record::start(&mosquitto).await;
    let fleet = Running::start(config(mosquitto.broker()));
    until("telemetry", || fleet.counters.totals().acknowledged > 30).await;

    mosquitto.stop().await;
    until("the loss to be noticed", || fleet.counters.totals().connected == 0).await;
    let before = fleet.counters.totals().readings;
    until("a backlog", || fleet.counters.totals().readings >= before + 30).await;
    mosquitto.restart().await;
    until("the devices' return", || fleet.counters.totals().connected == 3).await;

    record.send(1, 1, "set_valve", json!({"percent": 5})).await;
    record.answers_until(1, AnswerStatus::Succeeded).await;
    let summary = fleet.stop().await;
    assert_eq!(summary.totals.acknowledged, summary.totals.readings, "{summary}");
    assert_eq!(summary.totals.reconnects, 3);
    record.until_all(&summary).await;
    for id in summary.devices.keys() {
        assert!(record.longest_batch[id.as_str()] >= 10, "{id}: {:?}", record.longest_batch);
        assert!(record.in_order.contains(id.as_str()), "{id} sent its readings out of order");
    }
}

#[tokio::test]
async fn what_was_written_but_never_acknowledged_is_sent_again() {
    let mut mosquitto = Mosquitto::start().await;
    let fleet = Running::start(config(mosquitto.broker()));
    until("telemetry", || fleet.counters.totals().acknowledged > 30).await;

    mosquitto.freeze().await;
    let in_flight = || {
        let totals = fleet.counters.totals();
        totals.published - totals.acknowledged
    };
    until("readings on their way", || in_flight() >= 15).await;
    mosquitto.kill().await;
    until("the loss to be noticed", || fleet.counters.totals().connected == 0).await;
    mosquitto.restart().await;
    until("the devices' return", || fleet.counters.totals().connected == 3).await;

    let summary = fleet.stop().await;
    let all = summary.totals;
    assert_eq!((all.acknowledged, all.dropped), (all.readings, 0), "{summary}");
    assert!(all.published >= all.readings + 15, "{summary}");
}

#[tokio::test]
async fn connections_that_are_cut_lose_no_reading() {
    let mosquitto = Mosquitto::start().await;
    let mut record = Record::start(&mosquitto).await;
    let chaos: Chaos = "drop=0.6".parse().expect("valid chaos");
    let fleet = Running::start(FleetConfig { chaos, ..config(mosquitto.broker()) });
    until("reconnects", || fleet.counters.totals().reconnects >= 5).await;
    let summary = fleet.stop().await;
    let all = summary.totals;
    let undelivered: u64 = summary.devices.values().map(|device| device.undelivered).sum();
    assert_eq!(all.readings, all.acknowledged + undelivered, "{summary}");
    record.until_all(&summary).await;
    assert!(record.updates <= all.published, "{} of {all:?}", record.updates);
}

/// All that the observer saw.
struct Record {
    observer: Observer,
    updates: u64,
    seen: BTreeMap<String, BTreeSet<i64>>,
    last_data: BTreeMap<String, Value>,
    states: BTreeMap<String, Value>,
    longest_batch: BTreeMap<String, usize>,
    in_order: BTreeSet<String>,
    answers: Vec<(CommandId, Answer)>,
}

impl Record {
    async fn start(mosquitto: &Mosquitto) -> Self {
        Self {
            observer: Observer::start(&mosquitto.broker()).await,
            updates: 0,
            seen: BTreeMap::new(),
            last_data: BTreeMap::new(),
            states: BTreeMap::new(),
            longest_batch: BTreeMap::new(),
            in_order: BTreeSet::new(),
            answers: Vec::new(),
        }
    }

    /// Goes on until every reading that a device counts as acknowledged was seen.
    async fn until_all(&mut self, summary: &Summary) {
        soon("all that was acknowledged", self.step_until_all(summary)).await;
    }

    async fn step_until_all(&mut self, summary: &Summary) {
        while summary.devices.iter().any(|(id, device)| {
            let seen = self.seen.get(id.as_str()).map_or(0, BTreeSet::len);
            (seen as u64) < device.totals.acknowledged
        }) {
            self.step().await;
        }
    }

    /// The answers to command `n`, up to the first with this status.
    async fn answers_until(&mut self, n: u128, status: AnswerStatus) -> Vec<Answer> {
        soon(&format!("{status:?} of {n}"), self.step_until(n, status)).await
    }

    async fn step_until(&mut self, n: u128, status: AnswerStatus) -> Vec<Answer> {
        let mut taken = Vec::new();
        loop {
            while let Some((id, answer)) =
                (!self.answers.is_empty()).then(|| self.answers.remove(0))
            {
                if id == CommandId::from_u128(n) {
                    let last = answer.status == status;
                    taken.push(answer);
                    if last {
                        return taken;
                    }
                }
            }
            self.step().await;
        }
    }

    async fn step(&mut self) {
        let Publish { topic, payload, .. } = self.observer.next().await;
        let value: Value = serde_json::from_slice(&payload).expect("payloads are JSON");
        let levels: Vec<_> = topic.split('/').collect();
        match levels[..] {
            ["devices", device, "telemetry"] => self.note_telemetry(device, value),
            ["devices", device, "state"] => drop(self.states.insert(device.into(), value)),
            ["devices", _, "commands", id, "ack"] => {
                let answer = serde_json::from_value(value).expect("an answer");
                self.answers.push((id.parse().expect("a command id"), answer));
            }
            _ => {}
        }
    }

    fn note_telemetry(&mut self, device: &str, value: Value) {
        let batch = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        let longest = self.longest_batch.entry(device.into()).or_default();
        *longest = batch.len().max(*longest);
        let seen = self.seen.entry(device.into()).or_default();
        if seen.is_empty() {
            self.in_order.insert(device.into());
        }
        for update in batch {
            let timestamp = update["timestamp"].as_i64().expect("a timestamp");
            if seen.last().is_some_and(|last| timestamp < *last) && !seen.contains(&timestamp) {
                self.in_order.remove(device);
            }
            seen.insert(timestamp);
            self.last_data.insert(device.into(), update["data"].clone());
            self.updates += 1;
        }
    }

    async fn send(&self, n: u128, attempt: u32, name: &str, params: Value) {
        let id = CommandId::from_u128(n);
        let delivery = Delivery {
            id,
            name: name.into(),
            params,
            attempt,
            issued_at: now(),
            not_after: now().plus(Millis(30_000)),
            timeout_ms: Millis(30_000),
        };
        let payload = serde_json::to_vec(&delivery).expect("a delivery is JSON");
        self.publish(topics::command(&pump(), id), payload).await;
    }

    async fn cancel(&self, n: u128) {
        let id = CommandId::from_u128(n);
        let payload = json!({ "id": id }).to_string();
        self.publish(topics::cancel(&pump(), id), payload.into_bytes()).await;
    }

    async fn publish(&self, topic: String, payload: Vec<u8>) {
        let published = self.observer.client.publish(topic, QoS::AtLeastOnce, false, payload);
        published.await.expect("the request is queued");
    }
}

fn pump() -> DeviceId {
    PUMP.parse().expect("a device id")
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp(i64::try_from(since.expect("a clock after 1970").as_millis()).expect("fits"))
}
