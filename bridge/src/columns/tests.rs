//! The columns against a reader written from the contract alone.

use super::*;
use proptest::prelude::*;
use protocol::{Offset, Seq, Timestamp};
use serde_json::{Value, json};

/// A reader of frames: knows what it was told before.
#[derive(Default)]
struct Reader {
    channels: Vec<String>,
    shapes: Vec<Vec<String>>,
}

/// An update as it was read: channel, seq, offset, timestamp, mark, data.
type Read = (String, u64, u64, i64, u8, Value);

impl Reader {
    fn read(&mut self, bytes: &[u8]) -> Vec<Read> {
        assert_eq!(bytes.len() % 8, 0);
        assert_eq!(bytes[0], 1);
        let tables = u16::from_le_bytes([bytes[2], bytes[3]]);
        let dictionary = u32_at(bytes, 4) as usize;
        let (offset, timestamp) = (f64_at(bytes, 8), f64_at(bytes, 16));
        self.learn(&bytes[24..24 + dictionary]);
        let mut at = (24 + dictionary).next_multiple_of(8);
        let mut read = Vec::new();
        for _ in 0..tables {
            let rows = u32_at(bytes, at) as usize;
            let shape = self.shapes
                [usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]))]
            .clone();
            let mark = bytes[at + 6];
            at += 8;
            let columns: Vec<_> =
                (0..4 + shape.len()).map(|_| column(bytes, &mut at, rows)).collect();
            for row in 0..rows {
                let number = |column: usize| columns[column][row].as_f64().unwrap();
                let names = shape.iter().cloned();
                let values = columns[4..].iter().map(|column| column[row].clone());
                read.push((
                    self.channels[number(0) as usize].clone(),
                    number(1) as u64,
                    (number(2) + offset) as u64,
                    (number(3) + timestamp) as i64,
                    mark,
                    Value::Object(names.zip(values).collect()),
                ));
            }
        }
        assert_eq!(at, bytes.len());
        read
    }

    fn learn(&mut self, dictionary: &[u8]) {
        if dictionary.is_empty() {
            return;
        }
        let new: Value = serde_json::from_slice(dictionary).unwrap();
        let texts = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
        self.channels.extend(texts(&new["channels"]));
        self.shapes.extend(new["shapes"].as_array().unwrap().iter().map(texts));
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn f64_at(bytes: &[u8], at: usize) -> f64 {
    f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn column(bytes: &[u8], at: &mut usize, rows: usize) -> Vec<Value> {
    let (kind, exponent) = (bytes[*at], bytes[*at + 1]);
    let length = u32_at(bytes, *at + 4) as usize;
    let data = &bytes[*at + 8..*at + 8 + length];
    *at = (*at + 8 + length).next_multiple_of(8);
    let scaled = |number: i64| Value::from(number as f64 / 10_f64.powi(exponent.into()));
    let values: Vec<Value> = match kind {
        1 => data.iter().map(|byte| Value::from(*byte)).collect(),
        2 => data.chunks(2).map(|b| u16::from_le_bytes(b.try_into().unwrap()).into()).collect(),
        3 => data.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap()).into()).collect(),
        4 => data.iter().map(|byte| scaled(i64::from(*byte as i8))).collect(),
        5 => data
            .chunks(2)
            .map(|b| scaled(i16::from_le_bytes(b.try_into().unwrap()).into()))
            .collect(),
        6 => data
            .chunks(4)
            .map(|b| scaled(i32::from_le_bytes(b.try_into().unwrap()).into()))
            .collect(),
        7 => data.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap()).into()).collect(),
        8 => data.iter().map(|byte| Value::from(*byte == 1)).collect(),
        9 => serde_json::from_slice(data).unwrap(),
        other => panic!("there is no column type {other}"),
    };
    assert_eq!(values.len(), rows);
    values
}

fn stamp(seq: u64, offset: u64, timestamp: i64) -> Stamp {
    Stamp { seq: Seq(seq), offset: Offset(offset), timestamp: Timestamp(timestamp) }
}

fn metrics(text: &str) -> Metrics {
    Metrics::parse(text).unwrap()
}

fn name(channel: &str) -> TopicName {
    channel.parse().unwrap()
}

/// Numbers as JavaScript has them.
fn as_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().unwrap().into(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), as_doubles(v))).collect(),
        Value::Array(list) => list.iter().map(as_doubles).collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

#[test]
fn a_frame_of_one_update_is_as_the_contract_says_to_the_byte() {
    let mut encoder = Encoder::default();
    let added = encoder.add(
        &name("telemetry/a"),
        stamp(7, 300, 1_000),
        &metrics(r#"{"t":21.5}"#),
        Mark::Live,
    );
    assert_eq!(added, Added::Yes);
    let dictionary = br#"{"channels":["telemetry/a"],"shapes":[["t"]]}"#;
    let mut wanted = vec![1, 0, 1, 0, dictionary.len() as u8, 0, 0, 0];
    wanted.extend(300_f64.to_le_bytes());
    wanted.extend(1_000_f64.to_le_bytes());
    wanted.extend(dictionary);
    wanted.resize(wanted.len().next_multiple_of(8), 0);
    wanted.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    for byte in [0, 7, 0, 0] {
        wanted.extend([1, 0, 0, 0, 1, 0, 0, 0, byte, 0, 0, 0, 0, 0, 0, 0]);
    }
    wanted.extend([5, 1, 0, 0, 2, 0, 0, 0, 215, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(encoder.take(), wanted);
}

#[test]
fn names_are_told_once() {
    let (mut encoder, mut reader) = (Encoder::default(), Reader::default());
    for offset in 1..=3 {
        encoder.add(
            &name("telemetry/a"),
            stamp(offset, offset, 5),
            &metrics(r#"{"t":1}"#),
            Mark::Live,
        );
        let frame = encoder.take();
        assert_eq!(reader.read(&frame)[0].1, offset);
        assert_eq!(u32_at(&frame, 4) > 0, offset == 1);
    }
}

#[test]
fn a_channel_is_in_one_table_of_a_frame_only() {
    let mut encoder = Encoder::default();
    let mut add =
        |text, mark| encoder.add(&name("telemetry/a"), stamp(1, 1, 5), &metrics(text), mark);
    assert_eq!(add(r#"{"t":1}"#, Mark::Live), Added::Yes);
    assert_eq!(add(r#"{"t":2}"#, Mark::Live), Added::Yes);
    assert_eq!(add(r#"{"h":2}"#, Mark::Live), Added::NextFrame);
    assert_eq!(add(r#"{"t":2}"#, Mark::Snapshot), Added::NextFrame);
}

#[test]
fn whole_numbers_that_no_double_holds_come_exactly() {
    let (mut encoder, mut reader) = (Encoder::default(), Reader::default());
    for (offset, text) in [(1, r#"{"id":9007199254740993}"#), (2, r#"{"id":1.5}"#)] {
        encoder.add(&name("telemetry/a"), stamp(offset, offset, 5), &metrics(text), Mark::Live);
    }
    let read = reader.read(&encoder.take());
    let data: Vec<_> = read.iter().map(|row| row.5.to_string()).collect();
    assert_eq!(data, [r#"{"id":9007199254740993}"#, r#"{"id":1.5}"#]);
}

#[test]
fn shapes_are_bounded() {
    let mut encoder = Encoder::default();
    let mut add = |n: usize| {
        encoder.add(
            &name(&format!("telemetry/{n}")),
            stamp(1, 1, 5),
            &metrics(&format!(r#"{{"m{n}":1}}"#)),
            Mark::Live,
        )
    };
    assert!((0..SHAPES_MAX).all(|n| add(n) == Added::Yes));
    assert_eq!(add(SHAPES_MAX), Added::AsText);
    assert_eq!(add(1), Added::Yes);
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-1_000_000_i64..1_000_000).prop_map(|n| json!(n as f64 / 100.0)),
        (-200_i64..200).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i16>().prop_map(|n| json!(f64::from(n) * 1e20)),
        any::<bool>().prop_map(Value::from),
        "[a-z\"\\\\é]{0,4}".prop_map(Value::from),
        Just(Value::Null),
        Just(json!({"a": [1, 2.5]})),
    ]
}

fn update() -> impl Strategy<Value = (u8, Vec<(u8, Value)>, u8)> {
    (0..4_u8, proptest::collection::vec((0..3_u8, value()), 0..3), 0..3_u8)
}

proptest! {
    #[test]
    fn what_is_read_is_what_was_added(updates in proptest::collection::vec(update(), 1..40)) {
        let (mut encoder, mut reader) = (Encoder::default(), Reader::default());
        let (mut wanted, mut read) = (Vec::new(), Vec::new());
        for (n, (channel, members, mark)) in updates.into_iter().enumerate() {
            let mark = [Mark::Live, Mark::Snapshot, Mark::Replayed][usize::from(mark)];
            let channel = format!("telemetry/{channel}\"é");
            let data: serde_json::Map<String, Value> =
                members.into_iter().map(|(name, value)| (format!("m{name}"), value)).collect();
            let metrics = metrics(&serde_json::to_string(&data).unwrap());
            let stamp = stamp(n as u64 * 70_000, (n * n * n) as u64, 1_790_000_000_000 + (n as i64) * 40);
            if encoder.add(&name(&channel), stamp, &metrics, mark) == Added::NextFrame {
                read.extend(reader.read(&encoder.take()));
                prop_assert_eq!(encoder.add(&name(&channel), stamp, &metrics, mark), Added::Yes);
            }
            let data = as_doubles(&Value::Object(data));
            wanted.push((channel, stamp.seq.0, stamp.offset.0, stamp.timestamp.0, mark.number(), data));
        }
        read.extend(reader.read(&encoder.take()));
        read.sort_by_key(|(_, _, offset, ..)| *offset);
        let read: Vec<_> = read.into_iter().map(|(c, s, o, t, m, data)| (c, s, o, t, m, as_doubles(&data))).collect();
        prop_assert_eq!(read, wanted);
    }
}
