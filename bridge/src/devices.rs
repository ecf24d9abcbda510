//! The devices: which there are, whether they are there, and what they are called.

use crate::event::ConnectionId;
use ahash::HashMap;
use protocol::{DeviceId, Millis, Presence, PresenceReason, Status, Timestamp};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::SocketAddr};

/// Labels of a device.
pub type Tags = BTreeMap<String, String>;

/// One device.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its type, where it was told.
    pub kind: Option<String>,
    /// Its labels.
    pub tags: Tags,
    /// Counts the changes of the two.
    pub version: u64,
    /// Whether it is there; none until it was.
    pub presence: Option<Presence>,
    /// When it was last heard of.
    pub last_seen_at: Option<Timestamp>,
    /// When it was first heard of or written.
    pub created_at: Timestamp,
    connection: Option<ConnectionId>,
}

/// What of a device is kept beside its channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its type, where it was told.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its labels.
    pub tags: Tags,
    /// Counts the changes of the two.
    pub version: u64,
    /// When it was first heard of or written.
    pub created_at: Timestamp,
}

/// A change of what is kept of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new or was written.
    Set(DeviceId, Kept),
    /// It was deleted.
    Deleted(DeviceId),
}

impl Record {
    fn kept(&self) -> Kept {
        let (kind, tags) = (self.kind.clone(), self.tags.clone());
        Kept { kind, tags, version: self.version, created_at: self.created_at }
    }

    fn new(now: Timestamp) -> Self {
        Self {
            kind: None,
            tags: Tags::new(),
            version: 0,
            presence: None,
            last_seen_at: None,
            created_at: now,
            connection: None,
        }
    }

    /// Whether it is there.
    #[must_use]
    pub fn status(&self) -> Status {
        self.presence.as_ref().map_or(Status::Offline, |presence| presence.status)
    }

    /// Since when it has its status.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.presence.as_ref().map_or(self.created_at, |presence| presence.since)
    }

    /// Whether it has the label `tag`: `name`, or `name:value`.
    #[must_use]
    pub fn has_tag(&self, tag: &str) -> bool {
        match tag.split_once(':') {
            Some((name, value)) => self.tags.get(name).is_some_and(|known| known == value),
            None => self.tags.contains_key(tag),
        }
    }

    /// Its own connection.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }
}

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
    records: HashMap<DeviceId, Record>,
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
        last_seen_at: Option<Timestamp>,
        presence: Option<Presence>,
    ) -> Option<Presence> {
        let Kept { kind, tags, version, created_at } = kept;
        let was_online = presence.as_ref().is_some_and(|p| p.status == Status::Online);
        let connection = None;
        let record = Record { kind, tags, version, presence, last_seen_at, created_at, connection };
        self.online += usize::from(was_online);
        self.records.insert(device.clone(), record);
        let reason = PresenceReason::ConnectionLost;
        was_online.then(|| self.without_connection(now, device, Status::Offline, reason))
    }

    /// What is to be kept since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// A device's own connection is there. Gives the presence to tell.
    ///
    /// # Errors
    /// [`TooManyDevices`].
    pub fn attached(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        connection: ConnectionId,
        address: SocketAddr,
        protocol: &str,
        reason: PresenceReason,
    ) -> Result<Presence, TooManyDevices> {
        let node = self.node.clone();
        let record = self.record(now, device)?;
        record.connection = Some(connection);
        record.last_seen_at = Some(now);
        let since = match record.status() {
            Status::Online => record.since(),
            Status::Offline => now,
        };
        let presence = Presence {
            status: Status::Online,
            since,
            reason,
            address: Some(address.to_string()),
            protocol: Some(protocol.into()),
            node,
        };
        Ok(self.set(device, presence))
    }

    /// A device's own connection ended. Gives the presence to tell; none where another connection
    /// has its place already, or is about to take it.
    pub fn detached(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        connection: ConnectionId,
        reason: PresenceReason,
    ) -> Option<Presence> {
        let record = self.records.get_mut(device)?;
        if record.connection != Some(connection) {
            return None;
        }
        record.connection = None;
        record.last_seen_at = Some(now);
        if reason == PresenceReason::TakenOver {
            return None;
        }
        Some(self.without_connection(now, device, Status::Offline, reason))
    }

    /// The device is about to be deleted. Gives the presence to tell, where it was online.
    pub fn kicked(&mut self, now: Timestamp, device: &DeviceId) -> Option<Presence> {
        let record = self.records.get_mut(device)?;
        if record.status() == Status::Offline {
            return None;
        }
        record.connection = None;
        Some(self.without_connection(now, device, Status::Offline, PresenceReason::Kicked))
    }

    /// A message of the device came. Gives the presence to tell, where it changed.
    ///
    /// # Errors
    /// [`TooManyDevices`] for a device that was not known.
    pub fn heard(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
    ) -> Result<Option<Presence>, TooManyDevices> {
        let record = self.record(now, device)?;
        record.last_seen_at = Some(now);
        if record.connection.is_some() || record.status() == Status::Online {
            return Ok(None);
        }
        Ok(Some(self.without_connection(now, device, Status::Online, PresenceReason::Heard)))
    }

    /// A device without a connection of its own said by another way that it is gone, or was said to be. Gives
    /// the presence to tell, where it changed.
    pub fn gone(&mut self, now: Timestamp, device: &DeviceId) -> Option<Presence> {
        let record = self.records.get(device)?;
        let online = record.connection.is_none() && record.status() == Status::Online;
        let reason = PresenceReason::ConnectionLost;
        online.then(|| self.without_connection(now, device, Status::Offline, reason))
    }

    /// Gives a device that has no type this one; false: it has one, or there is no such device.
    pub fn adopt(&mut self, device: &DeviceId, kind: &str) -> bool {
        let Some(record) = self.records.get_mut(device).filter(|it| it.kind.is_none()) else {
            return false;
        };
        record.kind = Some(kind.into());
        record.version += 1;
        let kept = record.kept();
        self.changes.push(Change::Set(device.clone(), kept));
        true
    }

    /// Who has been silent for too long without a connection of its own; call it every second.
    pub fn silent(&mut self, now: Timestamp) -> Vec<(DeviceId, Presence)> {
        let silent = |record: &Record| {
            record.connection.is_none()
                && record.status() == Status::Online
                && record.last_seen_at.is_none_or(|seen| now.since(seen) >= self.silent_after)
        };
        let devices: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| silent(record))
            .map(|(device, _)| device.clone())
            .collect();
        let tell = |device: DeviceId| {
            let reason = PresenceReason::Silent;
            let presence = self.without_connection(now, &device, Status::Offline, reason);
            (device, presence)
        };
        devices.into_iter().map(tell).collect()
    }

    /// One device.
    #[must_use]
    pub fn get(&self, device: &DeviceId) -> Option<&Record> {
        self.records.get(device)
    }

    /// All devices, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Record)> {
        self.records.iter()
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
        let kept = record.kept();
        self.changes.push(Change::Set(device.clone(), kept));
        Ok(())
    }

    /// Forgets a device; gives what was known. Its next message brings it back.
    pub fn delete(&mut self, device: &DeviceId) -> Option<Record> {
        let record = self.records.remove(device)?;
        self.online -= usize::from(record.status() == Status::Online);
        self.changes.push(Change::Deleted(device.clone()));
        Some(record)
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
            let record = Record::new(now);
            self.changes.push(Change::Set(device.clone(), record.kept()));
            self.records.insert(device.clone(), record);
        }
        Ok(self.records.get_mut(device).expect("inserted above"))
    }

    fn without_connection(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        status: Status,
        reason: PresenceReason,
    ) -> Presence {
        let node = self.node.clone();
        let presence = Presence { status, since: now, reason, address: None, protocol: None, node };
        self.set(device, presence)
    }

    fn set(&mut self, device: &DeviceId, presence: Presence) -> Presence {
        let record = self.records.get_mut(device).expect("callers looked the device up");
        self.online -= usize::from(record.status() == Status::Online);
        self.online += usize::from(presence.status == Status::Online);
        record.presence = Some(presence.clone());
        presence
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PresenceReason as Reason;

    const OLD: ConnectionId = ConnectionId(1);
    const NEW: ConnectionId = ConnectionId(2);

    fn devices() -> Devices {
        Devices::new("node".into(), 2, Millis(300_000))
    }

    fn id(text: &str) -> DeviceId {
        text.parse().unwrap()
    }

    fn attach(
        devices: &mut Devices,
        now: i64,
        connection: ConnectionId,
        reason: Reason,
    ) -> Presence {
        let address = "127.0.0.1:9".parse().unwrap();
        devices.attached(Timestamp(now), &id("d"), connection, address, "mqtt5", reason).unwrap()
    }

    #[test]
    fn a_device_is_online_while_its_connection_is() {
        let mut devices = devices();
        let presence = attach(&mut devices, 5, OLD, Reason::Connected);
        assert_eq!((presence.status, presence.since), (Status::Online, Timestamp(5)));
        assert_eq!(devices.online(), 1);
        let gone = devices.detached(Timestamp(9), &id("d"), OLD, Reason::KeepAlive).unwrap();
        assert_eq!((gone.status, gone.reason), (Status::Offline, Reason::KeepAlive));
        assert_eq!((gone.address, devices.online()), (None, 0));
    }

    #[test]
    fn a_takeover_leaves_the_device_online_since_it_was() {
        let mut devices = devices();
        attach(&mut devices, 5, OLD, Reason::Connected);
        assert_eq!(devices.detached(Timestamp(7), &id("d"), OLD, Reason::TakenOver), None);
        let presence = attach(&mut devices, 7, NEW, Reason::TakenOver);
        assert_eq!((presence.since, presence.reason), (Timestamp(5), Reason::TakenOver));
        assert_eq!(devices.detached(Timestamp(8), &id("d"), OLD, Reason::ConnectionLost), None);
        assert_eq!(devices.online(), 1);
    }

    #[test]
    fn without_a_connection_a_device_is_heard_and_falls_silent() {
        let mut devices = devices();
        let heard = devices.heard(Timestamp(0), &id("d")).unwrap().unwrap();
        assert_eq!((heard.status, heard.reason), (Status::Online, Reason::Heard));
        assert_eq!(devices.heard(Timestamp(1), &id("d")).unwrap(), None);
        assert_eq!(devices.silent(Timestamp(300_000)), []);
        let silent = devices.silent(Timestamp(300_001));
        assert_eq!(silent[0].1.reason, Reason::Silent);
        assert_eq!(devices.silent(Timestamp(300_002)), []);
    }

    #[test]
    fn a_connected_device_never_falls_silent() {
        let mut devices = devices();
        attach(&mut devices, 0, OLD, Reason::Connected);
        assert_eq!(devices.silent(Timestamp(1_000_000)), []);
    }

    #[test]
    fn devices_are_bounded() {
        let mut devices = devices();
        devices.put(Timestamp(0), &id("a"), None, Tags::new()).unwrap();
        devices.heard(Timestamp(0), &id("b")).unwrap();
        let refused = devices.heard(Timestamp(0), &id("c")).unwrap_err();
        assert!(refused.to_string().contains("'c'"));
        devices.delete(&id("a"));
        assert!(devices.heard(Timestamp(0), &id("c")).is_ok());
    }
}
