//! The readings that wait for a connection.

use crate::model::Values;
use protocol::Timestamp;
use serde_json::json;
use std::collections::VecDeque;

/// The readings an outbox keeps; of more, the newest. What goes is counted as `dropped`.
pub const OUTBOX_READINGS_MAX: usize = 1_000;
/// A batch is split when its payload would be longer, in bytes.
pub(crate) const BATCH_BYTES_MAX: usize = 128 * 1024;

/// One reading in its JSON form, `{"timestamp":ms,"data":{...}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading(String);

impl Reading {
    pub(crate) fn new(timestamp: Timestamp, data: Values) -> Self {
        Self(json!({ "timestamp": timestamp, "data": data }).to_string())
    }
}

/// The readings that wait, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    readings: VecDeque<Reading>,
}

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.readings.len()
    }

    /// Adds the newest reading; says how many old ones had to go for it.
    pub(crate) fn push(&mut self, reading: Reading) -> u64 {
        self.readings.push_back(reading);
        self.shrink()
    }

    /// Brings readings back that were taken before all that wait now; says how many had to go.
    pub(crate) fn put_back(&mut self, readings: Vec<Reading>) -> u64 {
        readings.into_iter().rev().for_each(|reading| self.readings.push_front(reading));
        self.shrink()
    }

    /// Takes what fits into one message, oldest first; nothing where nothing waits.
    pub(crate) fn take_batch(&mut self) -> Vec<Reading> {
        // The brackets, and a comma for each.
        let mut bytes = 2;
        let fits = |reading: &&Reading| {
            bytes += reading.0.len() + 1;
            bytes <= BATCH_BYTES_MAX
        };
        let count = self.readings.iter().take_while(fits).count();
        self.readings.drain(..count).collect()
    }

    fn shrink(&mut self) -> u64 {
        let excess = self.readings.len().saturating_sub(OUTBOX_READINGS_MAX);
        self.readings.drain(..excess);
        excess as u64
    }
}

/// The payload for these readings: a single one as it is, more as an array.
pub(crate) fn payload(readings: &[Reading]) -> Vec<u8> {
    if let [single] = readings {
        return single.0.clone().into_bytes();
    }
    let texts: Vec<&str> = readings.iter().map(|reading| reading.0.as_str()).collect();
    format!("[{}]", texts.join(",")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn reading(n: i64) -> Reading {
        Reading::new(Timestamp(n), Values::from_iter([("n".into(), n.into())]))
    }

    fn timestamps(payload: &[u8]) -> Vec<i64> {
        let batch: Vec<Value> = serde_json::from_slice(payload).expect("a batch is an array");
        batch.iter().map(|entry| entry["timestamp"].as_i64().expect("a timestamp")).collect()
    }

    #[test]
    fn the_newest_thousand_are_kept_in_order() {
        let mut outbox = Outbox::default();
        let dropped: u64 = (0..1_005).map(|n| outbox.push(reading(n))).sum();
        assert_eq!((dropped, outbox.len()), (5, OUTBOX_READINGS_MAX));
        let batch = payload(&outbox.take_batch());
        assert_eq!(timestamps(&batch), (5..1_005).collect::<Vec<_>>());
        assert!(outbox.take_batch().is_empty());
    }

    #[test]
    fn what_comes_back_goes_before_what_waits() {
        let mut outbox = Outbox::default();
        assert_eq!((0..3).map(|n| outbox.push(reading(n))).sum::<u64>(), 0);
        let taken = outbox.take_batch();
        outbox.push(reading(3));
        assert_eq!(outbox.put_back(taken), 0);
        assert_eq!(timestamps(&payload(&outbox.take_batch())), [0, 1, 2, 3]);
    }

    #[test]
    fn of_what_comes_back_the_oldest_goes_first() {
        let mut outbox = Outbox::default();
        assert_eq!((10..1_009).map(|n| outbox.push(reading(n))).sum::<u64>(), 0);
        assert_eq!(outbox.put_back(vec![reading(0), reading(1), reading(2)]), 2);
        assert_eq!(timestamps(&payload(&outbox.take_batch())).first(), Some(&2));
    }

    #[test]
    fn a_long_batch_is_split_below_its_bound_without_loss() {
        let mut outbox = Outbox::default();
        let long = "x".repeat(1_000);
        for n in 0..300 {
            let data = Values::from_iter([("text".into(), long.as_str().into())]);
            outbox.push(Reading::new(Timestamp(n), data));
        }
        let batches: Vec<_> =
            std::iter::from_fn(|| Some(outbox.take_batch()).filter(|batch| !batch.is_empty()))
                .map(|batch| payload(&batch))
                .collect();
        assert_eq!(batches.len(), 3);
        assert!(batches.iter().all(|batch| batch.len() <= BATCH_BYTES_MAX));
        let all: Vec<_> = batches.iter().flat_map(|batch| timestamps(batch)).collect();
        assert_eq!(all, (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn a_single_reading_is_an_object() {
        let single = String::from_utf8(payload(&[reading(7)])).expect("JSON is UTF-8");
        assert_eq!(single, r#"{"data":{"n":7},"timestamp":7}"#);
    }
}
