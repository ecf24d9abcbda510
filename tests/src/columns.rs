//! Binary frames of `sluice.v1.columns`, read as docs/protocol.md, "Compact encoding", describes them, and
//! given as the messages that a text frame would have.

use serde_json::{Map, Value, json};

/// What a connection has told so far: channels and shapes are named once.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    channels: Vec<String>,
    shapes: Vec<Vec<String>>,
}

impl Dictionary {
    /// The updates of a frame.
    ///
    /// # Panics
    /// When the frame is not as described.
    pub(crate) fn read(&mut self, frame: &[u8]) -> Vec<Value> {
        let mut bytes = Bytes { all: frame, at: 0 };
        let (version, zero) = (bytes.number::<1>(), bytes.number::<1>());
        assert_eq!((version, zero), (1, 0), "the version");
        let (tables, names) = (bytes.number::<2>(), bytes.number::<4>());
        let (offset, timestamp) = (bytes.double(), bytes.double());
        self.learn(bytes.take(names));
        let mut updates = Vec::new();
        for _ in 0..tables {
            updates.extend(self.table(&mut bytes, (offset, timestamp)));
        }
        assert_eq!(bytes.at, frame.len(), "nothing stands behind the last column");
        updates
    }

    fn learn(&mut self, names: &[u8]) {
        if names.is_empty() {
            return;
        }
        let names: Value = serde_json::from_slice(names).expect("the dictionary is JSON");
        let texts = |list: &Value| -> Vec<String> {
            serde_json::from_value(list.clone()).expect("a list of texts")
        };
        self.channels.extend(texts(&names["channels"]));
        self.shapes.extend(names["shapes"].as_array().expect("a list").iter().map(texts));
    }

    fn table(&self, bytes: &mut Bytes<'_>, (offset, timestamp): (f64, f64)) -> Vec<Value> {
        let (rows, shape) = (bytes.number::<4>(), bytes.number::<2>());
        let (mark, zero) = (bytes.number::<1>(), bytes.number::<1>());
        assert_eq!(zero, 0);
        let mut column = || bytes.column(rows);
        let (channels, seqs, offsets, timestamps) = (column(), column(), column(), column());
        let metrics: Vec<_> = self.shapes[shape].iter().map(|name| (name, column())).collect();
        let row = |row: usize| {
            let number = |column: &[Value]| column[row].as_f64().expect("a number");
            let whole = |number: f64| Value::from(number as u64);
            let data: Map<_, _> = metrics
                .iter()
                .map(|(name, values)| ((*name).clone(), values[row].clone()))
                .collect();
            let mut update = json!({
                "channel": self.channels[number(&channels) as usize],
                "seq": whole(number(&seqs)),
                "offset": whole(offset + number(&offsets)),
                "timestamp": whole(timestamp + number(&timestamps)),
                "data": data,
            });
            if let Some(mark) = [None, Some("snapshot"), Some("replayed")][mark] {
                update[mark] = true.into();
            }
            update
        };
        (0..rows).map(row).collect()
    }
}

struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    /// A little-endian number of `N` bytes.
    fn number<const N: usize>(&mut self) -> usize {
        let bytes = &self.all[self.at..self.at + N];
        self.at += N;
        bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn double(&mut self) -> f64 {
        let bytes = self.all[self.at..self.at + 8].try_into().expect("eight bytes");
        self.at += 8;
        f64::from_le_bytes(bytes)
    }

    /// A part, and the zeros that fill it up.
    fn take(&mut self, length: usize) -> &'a [u8] {
        let part = &self.all[self.at..self.at + length];
        let end = (self.at + length).next_multiple_of(8);
        assert!(self.all[self.at + length..end].iter().all(|byte| *byte == 0), "filled with zeros");
        self.at = end;
        part
    }

    fn column(&mut self, rows: usize) -> Vec<Value> {
        let (kind, exponent) = (self.number::<1>(), self.number::<1>());
        assert_eq!(self.number::<2>(), 0);
        let length = self.number::<4>();
        let data = self.take(length);
        let power = 10_f64.powi(i32::try_from(exponent).expect("small"));
        let scaled = |number: i64| {
            let value = number as f64 / power;
            if exponent == 0 { json!(number) } else { json!(value) }
        };
        let values: Vec<Value> = match kind {
            1..=6 => {
                let width = [1, 2, 4, 1, 2, 4][kind - 1];
                let whole = |cell: &[u8]| scaled(integer(cell, kind > 3));
                data.chunks_exact(width).map(whole).collect()
            }
            7 => {
                let double =
                    |cell: &[u8]| f64::from_le_bytes(cell.try_into().expect("eight bytes"));
                data.chunks_exact(8).map(|cell| as_written(double(cell))).collect()
            }
            8 => data.iter().map(|byte| json!(*byte == 1)).collect(),
            9 => serde_json::from_slice(data).expect("an array of values"),
            other => panic!("there is no column type {other}"),
        };
        assert_eq!(values.len(), rows, "a column has a value a row");
        values
    }
}

/// As JSON writes it: a whole number without a point.
fn as_written(number: f64) -> Value {
    let whole = number.fract() == 0.0 && number.abs() < 9e15;
    if whole { json!(number as i64) } else { json!(number) }
}

fn integer(cell: &[u8], signed: bool) -> i64 {
    let unsigned = cell.iter().rev().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    let bits = 8 * cell.len();
    let negative = signed && unsigned >> (bits - 1) == 1;
    if negative { unsigned - (1 << bits) } else { unsigned }
}
