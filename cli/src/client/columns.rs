//! Binary frames of `sluice.v1.columns` (docs/protocol.md, "Compact encoding"), read into the updates that a text
//! frame would have. What is not exactly as described there is refused: the rest would be a guess.

use protocol::{Offset, Seq, Timestamp, TopicName, Update};
use serde::Deserialize;
use serde_json::{Map, Number, Value, value::to_raw_value};

/// What a frame begins with.
const VERSION: usize = 1;

/// The largest integer that a double has exactly.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

/// The largest power of ten that a double has exactly.
const EXPONENT_MAX: usize = 22;

/// A frame that cannot be read, and why.
#[derive(Debug, thiserror::Error)]
#[error("a binary frame cannot be read: {0}")]
pub(super) struct BadFrame(String);

fn bad<T>(why: impl Into<String>) -> Result<T, BadFrame> {
    Err(BadFrame(why.into()))
}

/// What a connection has named so far: each name is sent once.
#[derive(Debug, Default)]
pub(super) struct Columns {
    channels: Vec<TopicName>,
    shapes: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Dictionary {
    channels: Vec<TopicName>,
    shapes: Vec<Vec<String>>,
}

/// Why rows were sent.
#[derive(Clone, Copy)]
enum Mark {
    Live,
    Snapshot,
    Replayed,
}

impl Columns {
    /// The updates of the next frame.
    pub(super) fn read(&mut self, frame: &[u8]) -> Result<Vec<Update>, BadFrame> {
        let mut bytes = Bytes(frame);
        match (bytes.number::<1>()?, bytes.number::<1>()?) {
            (VERSION, 0) => {}
            (version, _) => return bad(format!("it is of version {version}, not {VERSION}")),
        }
        let (tables, names) = (bytes.number::<2>()?, bytes.number::<4>()?);
        let base = (bytes.double()?, bytes.double()?);
        self.learn(bytes.part(names)?)?;
        let mut updates = Vec::new();
        for _ in 0..tables {
            self.table(&mut bytes, base, &mut updates)?;
        }
        if bytes.0.is_empty() { Ok(updates) } else { bad("it goes on behind its last column") }
    }

    fn learn(&mut self, names: &[u8]) -> Result<(), BadFrame> {
        if names.is_empty() {
            return Ok(());
        }
        let names: Dictionary = serde_json::from_slice(names)
            .map_err(|error| BadFrame(format!("its dictionary: {error}")))?;
        self.channels.extend(names.channels);
        self.shapes.extend(names.shapes);
        Ok(())
    }

    fn table(
        &self,
        bytes: &mut Bytes<'_>,
        (offset, timestamp): (f64, f64),
        updates: &mut Vec<Update>,
    ) -> Result<(), BadFrame> {
        let (rows, shape) = (bytes.number::<4>()?, bytes.number::<2>()?);
        let mark = match (bytes.number::<1>()?, bytes.number::<1>()?) {
            (0, 0) => Mark::Live,
            (1, 0) => Mark::Snapshot,
            (2, 0) => Mark::Replayed,
            (mark, _) => return bad(format!("mark {mark} is none")),
        };
        let Some(shape) = self.shapes.get(shape) else {
            return bad(format!("shape {shape} was never named"));
        };
        let mut numbers = || bytes.column(rows);
        let (channels, seqs, offsets, timestamps) =
            (numbers()?, numbers()?, numbers()?, numbers()?);
        let metrics = shape.iter().map(|_| bytes.column(rows)).collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows {
            let values = metrics.iter().map(|column| column[row].clone());
            let data: Map<String, Value> = shape.iter().cloned().zip(values).collect();
            let channel = self.channels.get(index(&channels[row])?);
            let moment = whole(&timestamps[row], timestamp, -WHOLE_MAX)?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is whole, and in a double's range"
            )]
            updates.push(Update {
                channel: channel
                    .ok_or_else(|| BadFrame("a channel was never named".into()))?
                    .clone(),
                seq: Seq(unsigned(&seqs[row], 0.0)?),
                offset: Offset(unsigned(&offsets[row], offset)?),
                timestamp: Timestamp(moment as i64),
                data: to_raw_value(&data).map_err(|error| BadFrame(error.to_string()))?,
                snapshot: matches!(mark, Mark::Snapshot),
                replayed: matches!(mark, Mark::Replayed),
            });
        }
        Ok(())
    }
}

/// `cell` and `base` together, which must be whole.
fn whole(cell: &Value, base: f64, least: f64) -> Result<f64, BadFrame> {
    let number = cell.as_f64().map(|number| number + base);
    let fits = |number: &f64| number.fract() == 0.0 && (least..=WHOLE_MAX).contains(number);
    number.filter(fits).ok_or_else(|| BadFrame(format!("{cell} is no number of a row")))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is whole, not below 0 and in a double's range"
)]
fn unsigned(cell: &Value, base: f64) -> Result<u64, BadFrame> {
    whole(cell, base, 0.0).map(|number| number as u64)
}

fn index(cell: &Value) -> Result<usize, BadFrame> {
    unsigned(cell, 0.0).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// What of a frame is still to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], BadFrame> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return bad("it ends too early");
        };
        self.0 = rest;
        Ok(taken)
    }

    /// A little-endian number of `N` bytes.
    fn number<const N: usize>(&mut self) -> Result<usize, BadFrame> {
        let bytes = self.take(N)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn double(&mut self) -> Result<f64, BadFrame> {
        Ok(f64::from_le_bytes(array(self.take(8)?)))
    }

    /// A part, and the zeros that fill it up.
    fn part(&mut self, length: usize) -> Result<&'a [u8], BadFrame> {
        let part = self.take(length)?;
        let filling = self.take(length.next_multiple_of(8) - length)?;
        if filling.iter().all(|byte| *byte == 0) {
            Ok(part)
        } else {
            bad("it is filled up with more than zeros")
        }
    }

    /// A column: `rows` values.
    fn column(&mut self, rows: usize) -> Result<Vec<Value>, BadFrame> {
        let (kind, exponent) = (self.number::<1>()?, self.number::<1>()?);
        if self.number::<2>()? != 0 || exponent > EXPONENT_MAX {
            return bad("a column begins otherwise than columns do");
        }
        let length = self.number::<4>()?;
        let cells = self.part(length)?;
        let values = match kind {
            1 => integers::<1>(cells, exponent, |cell| u8::from_le_bytes(cell).into()),
            2 => integers::<2>(cells, exponent, |cell| u16::from_le_bytes(cell).into()),
            3 => integers::<4>(cells, exponent, |cell| u32::from_le_bytes(cell).into()),
            4 => integers::<1>(cells, exponent, |cell| i8::from_le_bytes(cell).into()),
            5 => integers::<2>(cells, exponent, |cell| i16::from_le_bytes(cell).into()),
            6 => integers::<4>(cells, exponent, |cell| i32::from_le_bytes(cell).into()),
            7 => {
                cells.chunks_exact(8).map(|cell| double(f64::from_le_bytes(array(cell)))).collect()
            }
            8 => cells.iter().map(|byte| Value::Bool(*byte == 1)).collect(),
            9 => serde_json::from_slice(cells)
                .map_err(|error| BadFrame(format!("a column of JSON: {error}")))?,
            kind => return bad(format!("there is no column type {kind}")),
        };
        if values.len() == rows { Ok(values) } else { bad("a column has not a value for each row") }
    }
}

/// Integers of `N` bytes, each divided by ten to the power of `exponent`.
fn integers<const N: usize>(
    cells: &[u8],
    exponent: usize,
    read: impl Fn([u8; N]) -> i64,
) -> Vec<Value> {
    let divisor = 10_f64.powi(i32::try_from(exponent).unwrap_or_default());
    #[expect(clippy::cast_precision_loss, reason = "they have at most 32 bits")]
    let value =
        |whole: i64| if exponent == 0 { whole.into() } else { double(whole as f64 / divisor) };
    cells.chunks_exact(N).map(|cell| value(read(array(cell)))).collect()
}

/// A number as JSON writes it: a whole one without a point.
fn double(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in a double's range")]
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// The bytes of a cell; `cell` has as many.
fn array<const N: usize>(cell: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(cell);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn column(kind: u8, exponent: u8, cells: &[u8]) -> Vec<u8> {
        let length = u32::try_from(cells.len()).unwrap().to_le_bytes();
        let head = [kind, exponent, 0, 0].into_iter().chain(length);
        padded(head.chain(cells.iter().copied()).collect())
    }

    /// A frame of one table with two rows.
    fn frame(names: &str, mark: u8, columns: &[Vec<u8>]) -> Vec<u8> {
        let mut frame = vec![1, 0, 1, 0];
        frame.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
        frame.extend(1_000.0_f64.to_le_bytes());
        frame.extend(1_700_000_000_000.0_f64.to_le_bytes());
        frame.extend(padded(names.into()));
        frame.extend([2, 0, 0, 0, 0, 0, mark, 0]);
        frame.extend(columns.concat());
        frame
    }

    const NAMES: &str = r#"{"channels":["telemetry/a","telemetry/b"],"shapes":[["on","t","x"]]}"#;

    fn columns() -> Vec<Vec<u8>> {
        vec![
            column(1, 0, &[0, 1]),
            column(2, 0, &[7, 0, 44, 1]),
            column(1, 0, &[0, 1]),
            column(4, 0, &[0xff, 5]),
            column(8, 0, &[1, 0]),
            column(5, 1, &[0xcd, 0xff, 215, 0]),
            column(9, 0, br#"["hot",null]"#),
        ]
    }

    #[test]
    fn a_frame_gives_the_updates_a_text_frame_would_have() {
        let mut connection = Columns::default();
        let updates = connection.read(&frame(NAMES, 0, &columns())).unwrap();
        let texts = updates.iter().map(|update| serde_json::to_string(update).unwrap());
        let expected = [
            r#"{"channel":"telemetry/a","seq":7,"offset":1000,"timestamp":1699999999999,"data":{"on":true,"t":-5.1,"x":"hot"}}"#,
            r#"{"channel":"telemetry/b","seq":300,"offset":1001,"timestamp":1700000000005,"data":{"on":false,"t":21.5,"x":null}}"#,
        ];
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_are_good_for_the_life_of_the_connection() {
        let mut connection = Columns::default();
        connection.read(&frame(NAMES, 0, &columns())).unwrap();
        let again = connection.read(&frame("", 1, &columns())).unwrap();
        assert!(again[1].snapshot && again[1].channel.as_str() == "telemetry/b");
        assert!(Columns::default().read(&frame("", 0, &columns())).is_err(), "never named");
    }

    #[test]
    fn what_is_cut_anywhere_is_refused() {
        let frame = frame(NAMES, 2, &columns());
        for length in 0..frame.len() {
            assert!(Columns::default().read(&frame[..length]).is_err(), "{length} bytes");
        }
        assert!(Columns::default().read(&[&frame[..], &[0; 8]].concat()).is_err(), "too long");
        assert!(Columns::default().read(&frame).unwrap()[0].replayed);
    }

    #[test]
    fn what_is_not_as_described_is_refused() {
        let bad = |place: usize, wrong: Vec<u8>| {
            let mut columns = columns();
            columns[place] = wrong;
            Columns::default().read(&frame(NAMES, 0, &columns)).unwrap_err().to_string()
        };
        for (why, error) in [
            ("a channel was never named", bad(0, column(1, 0, &[0, 2]))),
            (
                "is no number of a row",
                bad(1, column(7, 0, &[&0.5_f64.to_le_bytes()[..]; 2].concat())),
            ),
            ("no column type 10", bad(4, column(10, 0, &[0, 0]))),
            ("not a value for each row", bad(4, column(8, 0, &[1]))),
            ("begins otherwise", bad(5, column(5, 23, &[0; 4]))),
            ("a column of JSON", bad(6, column(9, 0, b"[1,"))),
        ] {
            assert!(error.contains(why), "{error}");
        }
        assert!(Columns::default().read(&frame(NAMES, 3, &columns())).is_err(), "no such mark");
    }

    #[test]
    fn a_claim_of_many_rows_takes_no_memory() {
        let mut frame = frame(NAMES, 0, &columns());
        let table = 24 + NAMES.len().next_multiple_of(8);
        frame[table..table + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(Columns::default().read(&frame).is_err());
    }

    #[test]
    fn doubles_are_written_as_json_does() {
        assert_eq!(double(2.0).to_string(), "2");
        assert_eq!(double(0.1).to_string(), "0.1");
        assert_eq!(double(1e300).to_string(), "1e+300");
    }
}
