//! What of the edge is fuzzed: the decoder, and the session's flows against a model.

use super::{
    budget::{Budget, Weight},
    outbox::{Answer, Bounds, Entry, Next, Outbox, Received},
    subscriptions::Grant,
    wire::{
        self, Outgoing, Packet, Version, connect, decode, decode_record, encode_properties,
        encode_record, take_frame,
    },
};
use crate::exchange::{Message, Properties};
use bytes::BytesMut;
use protocol::{Timestamp, TopicName};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// As large as the default of `limits.mqtt_packet_bytes`.
const PACKET_BYTES_MAX: usize = 256 * 1024;

/// When everything arrives. Not at zero, which stands for "never expires" in records.
const NOW: Timestamp = Timestamp(1_000_000);

/// A version, and what a client of it sends.
pub fn packets(bytes: &[u8]) {
    let Some((version, rest)) = bytes.split_first() else { return };
    let version = if version & 1 == 0 { Version::V3 } else { Version::V5 };
    let mut buffer = BytesMut::from(rest);
    // Records of the store are read by the same hands.
    let _no_record = decode_record(rest);
    while let Ok(Some(frame)) = take_frame(&mut buffer, PACKET_BYTES_MAX) {
        assert!(frame.body.len() <= PACKET_BYTES_MAX);
        let _no_connect = connect(&frame.body);
        let Ok(packet) = decode(version, &frame, || NOW) else { continue };
        match packet {
            Packet::Publish(publish) => goes_out_as_it_came(version, &publish),
            Packet::PubRel(id) | Packet::PubComp(id) => assert_ne!(id, 0),
            Packet::PubAck { id, .. } | Packet::PubRec { id, .. } => assert_ne!(id, 0),
            Packet::Subscribe(subscribe) => {
                assert!(subscribe.id != 0 && !subscribe.entries.is_empty());
                assert!(subscribe.entries.iter().all(|entry| entry.qos <= 2));
            }
            Packet::Unsubscribe { id, filters } => assert!(id != 0 && !filters.is_empty()),
            Packet::PingReq | Packet::Disconnect { .. } => {}
        }
    }
}

/// A message that was read is the same when it was written and read again, on the wire and on the disk.
fn goes_out_as_it_came(version: Version, publish: &wire::Publish<'_>) {
    let Ok(topic) = publish.topic.parse::<TopicName>() else { return };
    let expires_at = publish.properties.expires_at;
    let expiry =
        expires_at.map(|at| u32::try_from((at.0 - NOW.0) / 1_000).expect("it was in seconds"));
    let mut properties = BytesMut::new();
    if version == Version::V5 {
        encode_properties(&mut properties, &publish.properties, expiry, &[], None);
    }
    let outgoing = Outgoing {
        topic: publish.topic,
        payload: publish.payload,
        qos: publish.qos,
        retain: publish.retain,
        duplicate: false,
        id: publish.id,
        properties: &properties,
    };
    let mut out = BytesMut::new();
    wire::publish(&mut out, version, &outgoing);
    assert_eq!(out.len(), outgoing.packet_bytes(version));
    let frame = take_frame(&mut out, usize::MAX).expect("well-formed").expect("whole");
    match decode(version, &frame, || NOW) {
        Ok(Packet::Publish(again)) => {
            assert_eq!(
                (again.topic, again.payload, again.qos, again.retain, again.id, again.properties),
                (
                    publish.topic,
                    publish.payload,
                    publish.qos,
                    publish.retain,
                    publish.id,
                    publish.properties.clone()
                )
            );
        }
        other => panic!("{other:?} came out of {publish:?}"),
    }
    let message = message(topic, publish);
    let record = encode_record(&message, publish.qos, publish.retain, &[7], None);
    let record = decode_record(&record).expect("it was just written");
    assert_eq!(
        (&*record.message, record.qos, record.retain),
        (&message, publish.qos, publish.retain)
    );
}

fn message(topic: TopicName, publish: &wire::Publish<'_>) -> Message {
    Message {
        topic,
        payload: publish.payload.to_vec().into(),
        qos: publish.qos,
        retain: publish.retain,
        publisher: None,
        served: None,
        retained_as: 0,
        properties: publish.properties.clone(),
    }
}

/// Where a message in flight stands, as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Sent { qos: u8, payload: u8 },
    Released,
}

/// What a session must do: an outbox, and the same written down naively.
struct Model {
    outbox: Outbox,
    window: usize,
    waiting: VecDeque<(u8, u8)>,
    flights: BTreeMap<u16, Stage>,
    /// Ids to be sent again before all else, in the order in which they were first sent.
    again: VecDeque<u16>,
    order: Vec<u16>,
}

/// What waits at most.
const MESSAGES_MAX: usize = 20;

/// A window, and then what happens to a session, a byte each: messages come, are sent, are answered, and the
/// client comes back.
pub fn session(bytes: &[u8]) {
    let Some((window, steps)) = bytes.split_first() else { return };
    let budget = Arc::new(Budget::new(usize::MAX / 2));
    let bounds = Bounds {
        messages_max: MESSAGES_MAX,
        payload_bytes_max: usize::MAX,
        budget: budget.clone(),
    };
    let window = u16::from(window % 8) + 1;
    let mut model = Model {
        outbox: Outbox::new(bounds, window),
        window: window.into(),
        waiting: VecDeque::new(),
        flights: BTreeMap::new(),
        again: VecDeque::new(),
        order: Vec::new(),
    };
    for (number, step) in steps.iter().enumerate() {
        // The id that an answer is for: mostly one in flight.
        let id = u16::from(step >> 4) + 1;
        match step & 0x0F {
            0..=2 => model.comes(step & 0x03, number as u8),
            3..=7 => model.is_sent(),
            8 => model.is_answered(id, Answer::Acknowledged),
            9 => model.is_answered(id, Answer::Completed),
            10 | 11 => model.is_received(id, true),
            12 => model.is_received(id, false),
            13 => model.comes_back(u16::from(step >> 4) % 8 + 1),
            _ => {}
        }
    }
    drop(model);
    assert_eq!(budget.used(), Weight::default(), "what an outbox took it gives back");
}

impl Model {
    fn comes(&mut self, qos: u8, payload: u8) {
        let message = Message {
            topic: "t".parse().expect("a topic"),
            payload: vec![payload].into(),
            qos,
            retain: false,
            publisher: None,
            served: None,
            retained_as: 0,
            properties: Properties::default(),
        };
        let entry = Entry::new(Arc::new(message), Grant { qos: 2, ..Grant::default() });
        let taken = self.outbox.push(entry).is_ok();
        assert_eq!(taken, self.waiting.len() < MESSAGES_MAX);
        if taken {
            self.waiting.push_back((qos, payload));
        }
        assert_eq!(self.outbox.waiting(), self.waiting.len());
    }

    fn is_sent(&mut self) {
        let busy = self.flights.len() - self.again.len();
        match self.outbox.next() {
            None => {
                let blocked = |stage: &Stage| matches!(stage, Stage::Sent { .. });
                match (self.again.front(), self.waiting.front()) {
                    (Some(id), _) => assert!(busy >= self.window && blocked(&self.flights[id])),
                    (None, Some((qos, _))) => assert!(*qos > 0 && busy >= self.window),
                    (None, None) => {}
                }
            }
            Some(Next::Message { entry, id: Some(id), duplicate: true }) => {
                assert_eq!(self.again.pop_front(), Some(id));
                let stage = Stage::Sent { qos: entry.qos, payload: entry.message.payload[0] };
                assert_eq!(self.flights[&id], stage);
                assert!(busy < self.window);
            }
            Some(Next::Message { entry, id, duplicate }) => {
                assert!(!duplicate && self.again.is_empty());
                let expected = (entry.qos, entry.message.payload[0]);
                assert_eq!(self.waiting.pop_front(), Some(expected));
                assert_eq!(id.is_some(), entry.qos > 0);
                if let Some(id) = id {
                    let (qos, payload) = expected;
                    let in_use = self.flights.insert(id, Stage::Sent { qos, payload });
                    assert!(id != 0 && in_use.is_none() && busy < self.window);
                    self.order.push(id);
                }
            }
            Some(Next::Release(id)) => {
                assert_eq!(self.again.pop_front(), Some(id));
                assert_eq!(self.flights[&id], Stage::Released);
            }
        }
    }

    fn is_answered(&mut self, id: u16, answer: Answer) {
        let result = self.outbox.answer(id, answer);
        match (self.flights.get(&id), answer) {
            (None, _) => assert_eq!(result, Ok(None)),
            (Some(Stage::Sent { qos: 1, .. }), Answer::Acknowledged)
            | (Some(Stage::Released), Answer::Completed) => {
                assert_eq!(result.map(|ended| ended.map(|ended| ended.number.id())), Ok(Some(id)));
                self.ends(id);
            }
            (Some(_), Answer::Acknowledged | Answer::Completed) => assert!(result.is_err()),
        }
    }

    fn is_received(&mut self, id: u16, accepted: bool) {
        let result = self.outbox.receive(id, accepted);
        match self.flights.get(&id) {
            None => assert_eq!(result, Ok(Received::Unknown)),
            Some(Stage::Sent { qos, .. }) if *qos != 2 => assert!(result.is_err()),
            Some(Stage::Sent { .. } | Stage::Released) if accepted => {
                assert!(matches!(result, Ok(Received::Release(number)) if number.id() == id));
                self.flights.insert(id, Stage::Released);
            }
            Some(Stage::Sent { .. } | Stage::Released) => {
                assert!(matches!(result, Ok(Received::Refused(number)) if number.id() == id));
                self.ends(id);
            }
        }
    }

    fn ends(&mut self, id: u16) {
        self.flights.remove(&id);
        self.again.retain(|known| *known != id);
        self.order.retain(|known| *known != id);
    }

    fn comes_back(&mut self, window: u16) {
        self.outbox.resume(window);
        self.window = window.into();
        self.again = self.order.iter().copied().collect();
    }
}
