//! How updates lie in the database: records one after the other, packed with zstd into a body.
//!
//! A record holds what changed since the one before it (channel, seq, offset, timestamp, each as a
//! zigzag varint), the form of the data, and its JSON with its length before it. A body begins with a
//! header that says what the body is of; it is compared with the row it came from, and zstd's checksum
//! covers both, so a body that does not check is never served.

mod body;
mod number;

pub(super) use body::{Body, Label, Packer, unpack};

use bridge::{
    data::{Data, Metrics},
    update::Stamp,
};
use number::{put, take, take_text, unzigzag, zigzag};
use protocol::{Offset, Seq, Timestamp};
use serde_json::value::RawValue;

/// A channel's number in one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChannelId(pub(super) u64);

/// Bytes that are not what they should be: what is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Damage(pub(super) String);

impl Damage {
    pub(super) fn new(what: &str) -> Self {
        Self(what.into())
    }
}

/// One update as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) channel: ChannelId,
    pub(super) stamp: Stamp,
    pub(super) form: Form,
    pub(super) json: &'a str,
}

/// Which kind of data a JSON text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Metrics,
    Json,
}

impl Form {
    fn of(data: &Data) -> Self {
        match data {
            Data::Metrics(_) => Self::Metrics,
            Data::Json(_) => Self::Json,
        }
    }

    const fn code(self) -> u64 {
        match self {
            Self::Metrics => 0,
            Self::Json => 1,
        }
    }

    fn from_code(code: u64) -> Result<Self, Damage> {
        match code {
            0 => Ok(Self::Metrics),
            1 => Ok(Self::Json),
            unknown => Err(Damage(format!("data of the unknown form {unknown}"))),
        }
    }
}

/// The data of a stored JSON text.
///
/// # Errors
/// [`Damage`] when it is not what was stored.
pub(super) fn read_data(form: Form, json: &str) -> Result<Data, Damage> {
    let damage = |error: serde_json::Error| Damage(format!("data that does not read: {error}"));
    Ok(match form {
        Form::Metrics => Data::Metrics(Metrics::parse(json).map_err(damage)?),
        Form::Json => {
            let raw: Box<RawValue> = serde_json::from_str(json).map_err(damage)?;
            Data::Json(raw.into())
        }
    })
}

/// Data as a column of the database: its form and its JSON.
pub(super) fn data_column(data: &Data) -> String {
    format!("{}{}", Form::of(data).code(), data.text())
}

/// The data of a column that [`data_column`] made.
///
/// # Errors
/// [`Damage`] when it did not.
pub(super) fn read_data_column(column: &str) -> Result<Data, Damage> {
    match column.split_at_checked(1) {
        Some(("0", json)) => read_data(Form::Metrics, json),
        Some(("1", json)) => read_data(Form::Json, json),
        Some(_) | None => Err(Damage::new("a value of an unknown form")),
    }
}

/// What some records have between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) count: u64,
    pub(super) first: Stamp,
    pub(super) last: Stamp,
    pub(super) min: Timestamp,
    pub(super) max: Timestamp,
}

impl Summary {
    const fn of(stamp: Stamp) -> Self {
        let at = stamp.timestamp;
        Self { count: 1, first: stamp, last: stamp, min: at, max: at }
    }

    fn add(&mut self, stamp: Stamp) {
        self.count += 1;
        self.last = stamp;
        self.min = self.min.min(stamp.timestamp);
        self.max = self.max.max(stamp.timestamp);
    }

    fn numbers(&self) -> [u64; 9] {
        let [first, last] = [self.first, self.last]
            .map(|stamp| [stamp.seq.0, stamp.offset.0, stamp.timestamp.0.cast_unsigned()]);
        let [min, max] = [self.min, self.max].map(|at| at.0.cast_unsigned());
        [self.count, first[0], first[1], first[2], last[0], last[1], last[2], min, max]
    }

    fn from_numbers(numbers: [u64; 9]) -> Self {
        let [count, s1, o1, t1, s2, o2, t2, min, max] = numbers;
        let time = |bits: u64| Timestamp(bits.cast_signed());
        let stamp =
            |seq, offset, at| Stamp { seq: Seq(seq), offset: Offset(offset), timestamp: time(at) };
        let (first, last) = (stamp(s1, o1, t1), stamp(s2, o2, t2));
        Self { count, first, last, min: time(min), max: time(max) }
    }
}

/// Records one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    bytes: Vec<u8>,
    summary: Option<Summary>,
    /// Of the last one.
    channel: ChannelId,
}

impl Records {
    /// What they have between them; none when there are none.
    pub(super) const fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.summary.map_or(0, |summary| summary.count)
    }

    /// Their bytes before packing.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record behind the others.
    pub(super) fn push(&mut self, record: Record<'_>) {
        let last = self.summary.map(|summary| numbers(self.channel, summary.last));
        let now = numbers(record.channel, record.stamp);
        for (now, before) in now.iter().zip(last.unwrap_or_default()) {
            put(&mut self.bytes, zigzag(now.wrapping_sub(before)));
        }
        self.channel = record.channel;
        put(&mut self.bytes, record.form.code());
        put(&mut self.bytes, record.json.len() as u64);
        self.bytes.extend_from_slice(record.json.as_bytes());
        match &mut self.summary {
            Some(summary) => summary.add(record.stamp),
            None => self.summary = Some(Summary::of(record.stamp)),
        }
    }

    /// Adds the update `stamp` of `channel`.
    pub(super) fn push_data(&mut self, channel: ChannelId, stamp: Stamp, data: &Data) {
        self.push(Record { channel, stamp, form: Form::of(data), json: data.text() });
    }

    /// The records in order; ends behind the first that does not read.
    pub(super) fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.bytes, previous: [0; 4] }
    }
}

/// The records of a body, in order.
#[derive(Clone, Debug)]
pub(super) struct Iter<'a> {
    rest: &'a [u8],
    previous: [u64; 4],
}

impl<'a> Iter<'a> {
    fn record(&mut self) -> Result<Record<'a>, Damage> {
        for before in &mut self.previous {
            *before = before.wrapping_add(unzigzag(take(&mut self.rest)?));
        }
        let [channel, seq, offset, timestamp] = self.previous;
        let form = Form::from_code(take(&mut self.rest)?)?;
        let json = take_text(&mut self.rest)?;
        let timestamp = Timestamp(timestamp.cast_signed());
        let stamp = Stamp { seq: Seq(seq), offset: Offset(offset), timestamp };
        Ok(Record { channel: ChannelId(channel), stamp, form, json })
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<Record<'a>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.rest = &[];
        }
        Some(record)
    }
}

fn numbers(channel: ChannelId, stamp: Stamp) -> [u64; 4] {
    [channel.0, stamp.seq.0, stamp.offset.0, stamp.timestamp.0.cast_unsigned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamps() -> impl Strategy<Value = (u64, u64, u64, i64, bool, String)> {
        any::<(u64, u64, u64, i64, bool, String)>()
    }

    fn records_of(given: &[(u64, u64, u64, i64, bool, String)]) -> Records {
        let mut records = Records::default();
        for (channel, seq, offset, at, metrics, json) in given {
            let stamp =
                Stamp { seq: Seq(*seq), offset: Offset(*offset), timestamp: Timestamp(*at) };
            let form = if *metrics { Form::Metrics } else { Form::Json };
            records.push(Record { channel: ChannelId(*channel), stamp, form, json });
        }
        records
    }

    fn label() -> Label {
        let name = "telemetry/ä".parse().expect("a valid name");
        Label::Block { channel: ChannelId(7), name }
    }

    proptest! {
        #[test]
        fn records_survive_packing(given in proptest::collection::vec(stamps(), 1..40)) {
            let records = records_of(&given);
            let body = Packer::new()?.pack(&label(), &records)?;
            let read = unpack(&body)?;
            prop_assert_eq!(&read.label, &label());
            prop_assert_eq!(Some(&read.summary), records.summary());
            let read: Vec<_> = read.records.iter().collect::<Result<_, _>>()?;
            let written: Vec<_> = records.iter().collect::<Result<_, _>>()?;
            prop_assert_eq!(read.len(), given.len());
            prop_assert_eq!(&read, &written);
            for (record, (channel, seq, offset, at, _, json)) in read.iter().zip(&given) {
                prop_assert_eq!(record.channel.0, *channel);
                prop_assert_eq!(record.stamp.seq.0, *seq);
                prop_assert_eq!(record.stamp.offset.0, *offset);
                prop_assert_eq!(record.stamp.timestamp.0, *at);
                prop_assert_eq!(record.json, json);
            }
        }

        #[test]
        fn a_changed_body_is_never_taken_for_another(
            given in proptest::collection::vec(stamps(), 1..10), at: usize, bit in 0..8_u32,
        ) {
            let records = records_of(&given);
            let mut body = Packer::new()?.pack(&label(), &records)?;
            let at = at % body.len();
            body[at] ^= 1 << bit;
            if let Ok(read) = unpack(&body) {
                prop_assert_eq!(read.records.bytes, records.bytes);
                prop_assert_eq!(read.label, label());
            }
        }

        #[test]
        fn no_bytes_panic_the_reader(bytes: Vec<u8>) {
            let _read = unpack(&bytes);
            let records = Records { bytes, summary: None, channel: ChannelId(0) };
            prop_assert!(records.iter().count() <= records.bytes.len());
        }
    }
}
