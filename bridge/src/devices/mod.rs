//! The devices: which there are, and what they are called. Whether they are there is in `presence`.

mod presence;
mod record;
mod seen;

pub use record::{Change, Kept, Record, Tags};

use ahash::HashMap;
use protocol::{DeviceId, Millis, Presence, PresenceReason, Status, Timestamp};

/// There are as many devices as the limit allows, and this would be one more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device '{device}' would be one more than {max}: raise limits.devices or delete some")]
pub struct TooManyDevices {
    device: DeviceId,
    max: usize,
}

/// All devices.
#[derive(Debug)]
pub struct Devices {
    /// Boxed: a table is often half empty.
    records: HashMap<DeviceId, Box<Record>>,
    online: usize,
    max: usize,
    silent_after: Millis,
    node: String,
    changes: Vec<Change>,
}

impl Devices {
    /// No devices yet; at most `max`. One without a connection of its own counts as offline when it
    /// was silent for `silent_after`.
    #[must_use]
    pub fn new(node: String, max: usize, silent_after: Millis) -> Self {
        let (records, changes) = (HashMap::default(), Vec::new());
        Self { records, online: 0, max, silent_after, node, changes }
    }

    /// Brings back a device as it was kept, and its presence where it had one. One that was online is
    /// `connection_lost`: gives the presence to tell.
    pub fn restore(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kept: Kept,
        presence: Option<Presence>,
    ) -> Option<Presence> {
        let Kept { kind, tags, version, created_at, last_seen_at: kept_seen_at } = kept;
        // The clock may have been set back meanwhile.
        let last_seen_at = kept_seen_at.map(|seen| seen.min(now));
        let seen = Record { last_seen_at, kept_seen_at, ..Record::new(created_at) };
        let record = Record { kind, tags, version, ..seen };
        let record = match presence {
            Some(Presence { status, since, .. }) => Record { status, since, ..record },
            None => record,
        };
        let was_online = record.status == Status::Online;
        self.online += usize::from(was_online);
        self.records.insert(device.clone(), Box::new(record));
        let reason = PresenceReason::ConnectionLost;
        was_online.then(|| self.without_connection(now, device, Status::Offline, reason))
    }

    /// What is to be kept since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Gives a device that has no type this one; false: it has one, or there is no such device.
    pub fn adopt(&mut self, device: &DeviceId, kind: &str) -> bool {
        let Some(record) = self.records.get_mut(device).filter(|it| it.kind.is_none()) else {
            return false;
        };
        record.kind = Some(kind.into());
        record.version += 1;
        let kept = record.keep();
        self.changes.push(Change::Set(device.clone(), kept));
        true
    }

    /// One device.
    #[must_use]
    pub fn get(&self, device: &DeviceId) -> Option<&Record> {
        self.records.get(device).map(|record| &**record)
    }

    /// All devices, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Record)> {
        self.records.iter().map(|(device, record)| (device, &**record))
    }

    /// Sets a device's type and tags; it exists from then on.
    ///
    /// # Errors
    /// [`TooManyDevices`].
    pub fn put(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<String>,
        tags: Tags,
    ) -> Result<(), TooManyDevices> {
        let record = self.record(now, device)?;
        if record.version == 0 || record.kind != kind || record.tags != tags {
            record.version += 1;
        }
        record.kind = kind;
        record.tags = tags;
        let kept = record.keep();
        self.changes.push(Change::Set(device.clone(), kept));
        Ok(())
    }

    /// Forgets a device; gives what was known. Its next message brings it back.
    pub fn delete(&mut self, device: &DeviceId) -> Option<Record> {
        let record = self.records.remove(device)?;
        self.online -= usize::from(record.status() == Status::Online);
        self.changes.push(Change::Deleted(device.clone()));
        Some(*record)
    }

    /// How many devices are known.
    #[must_use]
    pub fn known(&self) -> usize {
        self.records.len()
    }

    /// How many devices are online.
    #[must_use]
    pub fn online(&self) -> usize {
        self.online
    }

    fn record(&mut self, now: Timestamp, device: &DeviceId) -> Result<&mut Record, TooManyDevices> {
        if !self.records.contains_key(device) {
            if self.records.len() >= self.max {
                return Err(TooManyDevices { device: device.clone(), max: self.max });
            }
            let mut record = Record::new(now);
            self.changes.push(Change::Set(device.clone(), record.keep()));
            self.records.insert(device.clone(), Box::new(record));
        }
        Ok(self.records.get_mut(device).expect("inserted above"))
    }
}

#[cfg(test)]
mod tests;
