//! When devices were last seen is kept now and then, for a message must not cost a row.

use super::{Change, Devices, Record};
use protocol::{DeviceId, Millis};

/// What is kept is renewed where it is so much older than what is known.
const RENEWED_AFTER: Millis = Millis(60_000);

/// One in so many devices is renewed in a second: all have their turn before the first is due again.
const ROUND_SECONDS: usize = 60;

impl Devices {
    /// Keeps anew when some of the devices were last seen; call it every second. What is kept is at most two minutes
    /// older than what is known then.
    pub fn keep_seen(&mut self) {
        let due = |record: &Record| match (record.last_seen_at, record.kept_seen_at) {
            (Some(seen), Some(kept)) => seen.since(kept) >= RENEWED_AFTER,
            (seen, kept) => seen != kept,
        };
        self.keep_where(due, self.known() / ROUND_SECONDS + 1);
    }

    /// Keeps when each device was last seen.
    pub fn keep_all_seen(&mut self) {
        self.keep_where(|record| record.last_seen_at != record.kept_seen_at, usize::MAX);
    }

    pub(super) fn keep(&mut self, device: &DeviceId) {
        let record = self.records.get_mut(device).expect("callers looked the device up");
        self.changes.push(Change::Set(device.clone(), record.keep()));
    }

    fn keep_where(&mut self, is_due: impl Fn(&Record) -> bool, max: usize) {
        let due = self.records.iter_mut().filter(|(_, record)| is_due(record)).take(max);
        let changes = due.map(|(device, record)| Change::Set(device.clone(), record.keep()));
        self.changes.extend(changes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices::{Kept, Tags};
    use protocol::Timestamp;

    fn devices() -> Devices {
        Devices::new("node".into(), 1_000, Millis(300_000))
    }

    fn kept_times(devices: &mut Devices) -> Vec<Option<Timestamp>> {
        let time = |change| match change {
            Change::Set(_, Kept { last_seen_at, .. }) => last_seen_at,
            Change::Deleted(device) => panic!("nobody deleted {device}"),
        };
        devices.take_changes().into_iter().map(time).collect()
    }

    #[test]
    fn the_first_sight_is_kept_at_once_and_then_one_a_minute() {
        let (mut devices, device) = (devices(), "d".parse().unwrap());
        devices.put(Timestamp(1), &device, None, Tags::new()).unwrap();
        assert_eq!(kept_times(&mut devices).last(), Some(&None));
        devices.heard(Timestamp(2), &device).unwrap();
        assert_eq!(kept_times(&mut devices), [Some(Timestamp(2))]);
        for now in [3, 60_001] {
            devices.heard(Timestamp(now), &device).unwrap();
            devices.keep_seen();
            assert_eq!(kept_times(&mut devices), []);
        }
        devices.heard(Timestamp(60_002), &device).unwrap();
        devices.keep_seen();
        assert_eq!(kept_times(&mut devices), [Some(Timestamp(60_002))]);
        devices.heard(Timestamp(60_003), &device).unwrap();
        devices.keep_all_seen();
        devices.keep_all_seen();
        assert_eq!(kept_times(&mut devices), [Some(Timestamp(60_003))]);
    }

    #[test]
    fn a_fleet_is_renewed_a_part_at_a_time_and_none_is_left_out() {
        let mut devices = devices();
        let ids: Vec<DeviceId> = (0..600).map(|n| format!("d{n}").parse().unwrap()).collect();
        ids.iter().for_each(|id| drop(devices.heard(Timestamp(0), id).unwrap()));
        devices.take_changes();
        for second in 60..180 {
            let now = Timestamp(second * 1_000);
            ids.iter().for_each(|id| drop(devices.heard(now, id).unwrap()));
            devices.keep_seen();
            assert!(devices.take_changes().len() <= 11, "so many in second {second}");
            let oldest = devices.iter().filter_map(|(_, record)| record.kept_seen_at).min();
            assert!(now.since(oldest.unwrap()) <= Millis(120_000), "{oldest:?} in {second}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_brings_back_no_time_to_come() {
        let (mut devices, device) = (devices(), "d".parse().unwrap());
        devices.heard(Timestamp(9), &device).unwrap();
        let Some(Change::Set(_, kept)) = devices.take_changes().pop() else { panic!("it is new") };
        devices.restore(Timestamp(5), &device, kept, None);
        assert_eq!(devices.get(&device).unwrap().last_seen_at, Some(Timestamp(5)));
    }
}
