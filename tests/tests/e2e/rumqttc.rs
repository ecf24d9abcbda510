//! rumqttc, which the simulator and many devices in Rust speak with, in both versions.

use std::time::Duration;
use tests::{TestGateway, soon};
use tokio::{sync::mpsc, task::JoinSet};

/// Topic, payload, QoS and RETAIN of a message that came.
type Came = (String, String, u8, bool);

/// A client of rumqttc's modules for one version: what it publishes and hears, all of it awaited.
macro_rules! client {
    ($module:ident, $(:: $events:ident)+, $(:: $packets:ident)+, $(:: $qos:ident)+, $keep:expr, $will:expr) => {
        mod $module {
            use super::*;
            use $(::$events)+::{AsyncClient, Event, MqttOptions};
            use $(::$packets)+::{LastWill, Packet};
            use $(::$qos)+::QoS;

            const QUALITIES: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

            pub(super) struct Client {
                client: AsyncClient,
                messages: mpsc::Receiver<Came>,
                answers: mpsc::Receiver<bool>,
                /// Whether its session was there.
                pub(super) present: bool,
                /// Ends with the client: the connection breaks off.
                _events: JoinSet<()>,
            }

            impl Client {
                pub(super) async fn connect(gateway: &TestGateway, id: &str) -> Self {
                    Self::with(gateway, id, false, None).await
                }

                pub(super) async fn with(
                    gateway: &TestGateway,
                    id: &str,
                    kept: bool,
                    will: Option<&str>,
                ) -> Self {
                    let address = gateway.mqtt();
                    let mut options =
                        MqttOptions::new(id, address.ip().to_string(), address.port());
                    options.set_keep_alive(Duration::from_secs(60));
                    let keep: fn(&mut MqttOptions, bool) = $keep;
                    keep(&mut options, kept);
                    if let Some(topic) = will {
                        let last_will: fn(&str) -> LastWill = $will;
                        options.set_last_will(last_will(topic));
                    }
                    let (client, mut events) = AsyncClient::new(options, 100);
                    let (message, messages) = mpsc::channel(1_000);
                    let (answer, mut answers) = mpsc::channel(1_000);
                    let mut tasks = JoinSet::new();
                    tasks.spawn(async move {
                        while let Ok(event) = events.poll().await {
                            let _nobody_waits = match event {
                                Event::Incoming(Packet::Publish(publish)) => {
                                    let topic = text(publish.topic.as_ref());
                                    let payload = text(&publish.payload);
                                    let qos = publish.qos as u8;
                                    message.try_send((topic, payload, qos, publish.retain)).is_ok()
                                }
                                Event::Incoming(Packet::ConnAck(connack)) => {
                                    answer.try_send(connack.session_present).is_ok()
                                }
                                Event::Incoming(
                                    Packet::SubAck(_) | Packet::PubAck(_) | Packet::PubComp(_),
                                ) => answer.try_send(true).is_ok(),
                                _ => true,
                            };
                        }
                    });
                    let present = soon("a CONNACK", answers.recv()).await.expect("it is accepted");
                    Self { client, messages, answers, present, _events: tasks }
                }

                pub(super) async fn subscribe(&mut self, topic: &str, qos: usize) {
                    self.client.subscribe(topic, QUALITIES[qos]).await.expect("it goes on");
                    soon("a SUBACK", self.answers.recv()).await.expect("it is granted");
                }

                pub(super) async fn publish(
                    &mut self,
                    topic: &str,
                    qos: usize,
                    retain: bool,
                    payload: &str,
                ) {
                    let payload = payload.to_owned();
                    let sent = self.client.publish(topic, QUALITIES[qos], retain, payload).await;
                    sent.expect("it goes on");
                    if qos > 0 {
                        soon("an answer", self.answers.recv()).await.expect("it is acknowledged");
                    }
                }

                pub(super) async fn message(&mut self) -> Came {
                    soon("a message", self.messages.recv()).await.expect("it goes on")
                }

                pub(super) async fn leave(mut self) {
                    self.client.disconnect().await.expect("it goes on");
                    while soon("the end", self.answers.recv()).await.is_some() {}
                }
            }

            #[tokio::test]
            async fn publishes_and_subscribes_with_each_qos() {
                let gateway = TestGateway::start().await;
                let mut client = Client::connect(&gateway, "c").await;
                client.subscribe("a/+", 2).await;
                for qos in 0..=2 {
                    for number in 0..20 {
                        client.publish("a/b", qos, false, &number.to_string()).await;
                        let expected = ("a/b".into(), number.to_string(), qos as u8, false);
                        assert_eq!(client.message().await, expected);
                    }
                }
            }

            #[tokio::test]
            async fn finds_retained_messages_wills_its_session_and_shares() {
                let gateway = TestGateway::start().await;
                let mut publisher = Client::connect(&gateway, "p").await;
                publisher.publish("shelf", 1, true, "kept").await;
                let mut watcher = Client::connect(&gateway, "w").await;
                watcher.subscribe("shelf", 1).await;
                assert_eq!(watcher.message().await, ("shelf".into(), "kept".into(), 1, true));
                watcher.subscribe("will", 1).await;
                drop(Client::with(&gateway, "mortal", false, Some("will")).await);
                assert_eq!(watcher.message().await, ("will".into(), "gone".into(), 1, false));

                let mut sleeper = Client::with(&gateway, "s", true, None).await;
                assert!(!sleeper.present);
                sleeper.subscribe("mail", 2).await;
                sleeper.leave().await;
                for qos in [1, 2] {
                    publisher.publish("mail", qos, false, "missed").await;
                }
                let mut sleeper = Client::with(&gateway, "s", true, None).await;
                assert!(sleeper.present);
                for qos in [1, 2] {
                    let expected = ("mail".into(), "missed".into(), qos, false);
                    assert_eq!(sleeper.message().await, expected);
                }

                let mut members = Vec::new();
                for id in ["one", "two"] {
                    let mut member = Client::connect(&gateway, id).await;
                    member.subscribe("$share/g/work", 1).await;
                    members.push(member);
                }
                for number in 0..10 {
                    publisher.publish("work", 1, false, &number.to_string()).await;
                }
                let mut done = Vec::new();
                let [one, two] = &mut members[..] else { panic!("there are two") };
                while done.len() < 10 {
                    tokio::select! {
                        (_, payload, ..) = one.message() => done.push(payload),
                        (_, payload, ..) = two.message() => done.push(payload),
                    }
                }
                done.sort();
                assert_eq!(done, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
            }
        }
    };
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it is text")
}

client!(
    version_3,
    ::rumqttc,
    ::rumqttc,
    ::rumqttc,
    |options: &mut MqttOptions, kept: bool| {
        options.set_clean_session(!kept);
    },
    |topic: &str| LastWill::new(topic, "gone", QoS::AtLeastOnce, false)
);

client!(
    version_5,
    ::rumqttc::v5,
    ::rumqttc::v5::mqttbytes::v5,
    ::rumqttc::v5::mqttbytes,
    |options: &mut MqttOptions, kept: bool| {
        options.set_clean_start(!kept);
        options.set_session_expiry_interval(kept.then_some(60));
    },
    |topic: &str| LastWill::new(topic, "gone", QoS::AtLeastOnce, false, None)
);
