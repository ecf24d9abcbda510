//! Whether devices are there: by their own connections, or by what is heard of those that have none.
//!
//! Each change gives the presence to tell; who is told is for the caller.

use super::{Devices, Record, TooManyDevices};
use crate::event::ConnectionId;
use protocol::{DeviceId, Presence, PresenceReason, Status, Timestamp};
use std::net::SocketAddr;

impl Devices {
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
        let first = record.last_seen_at.replace(now).is_none();
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
        if first {
            self.keep(device);
        }
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
        let first = record.last_seen_at.replace(now).is_none();
        let told = record.connection.is_some() || record.status() == Status::Online;
        if first {
            self.keep(device);
        }
        if told {
            return Ok(None);
        }
        Ok(Some(self.without_connection(now, device, Status::Online, PresenceReason::Heard)))
    }

    /// Something was said of the device, but not by it and not now: it exists, and is as present as it was.
    ///
    /// # Errors
    /// [`TooManyDevices`] for a device that was not known.
    pub fn noted(&mut self, now: Timestamp, device: &DeviceId) -> Result<(), TooManyDevices> {
        self.record(now, device).map(|_| ())
    }

    /// A device without a connection of its own said by another way that it is gone, or was said to be. Gives
    /// the presence to tell, where it changed.
    pub fn gone(&mut self, now: Timestamp, device: &DeviceId) -> Option<Presence> {
        let record = self.records.get(device)?;
        let online = record.connection.is_none() && record.status() == Status::Online;
        let reason = PresenceReason::ConnectionLost;
        online.then(|| self.without_connection(now, device, Status::Offline, reason))
    }

    /// Who has been silent for too long without a connection of its own; call it every second.
    pub fn silent(&mut self, now: Timestamp) -> Vec<(DeviceId, Presence)> {
        let silent_after = self.silent_after;
        self.lost_from_hearing(now, PresenceReason::Silent, |record| {
            record.last_seen_at.is_none_or(|seen| now.since(seen) >= silent_after)
        })
    }

    /// The gateway stops and hears nobody any more; whose connection it closed has been told of.
    pub fn unheard(&mut self, now: Timestamp) -> Vec<(DeviceId, Presence)> {
        self.lost_from_hearing(now, PresenceReason::Shutdown, |_| true)
    }

    fn lost_from_hearing(
        &mut self,
        now: Timestamp,
        reason: PresenceReason,
        is_lost: impl Fn(&Record) -> bool,
    ) -> Vec<(DeviceId, Presence)> {
        let heard =
            |record: &Record| record.connection.is_none() && record.status() == Status::Online;
        let devices: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| heard(record) && is_lost(record))
            .map(|(device, _)| device.clone())
            .collect();
        let tell = |device: DeviceId| {
            let presence = self.without_connection(now, &device, Status::Offline, reason);
            (device, presence)
        };
        devices.into_iter().map(tell).collect()
    }

    pub(super) fn without_connection(
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
        record.status = presence.status;
        record.since = presence.since;
        presence
    }
}
