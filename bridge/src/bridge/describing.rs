//! What users say of devices: their types and tags, and that they are no more.

use super::{Bridge, channel};
use crate::{
    devices::{Change, Devices, Tags, TooManyDevices},
    hub::Sink,
};
use protocol::{DeviceId, Timestamp};

impl<S: Sink> Bridge<S> {
    /// Sets a device's type and tags.
    ///
    /// # Errors
    /// [`TooManyDevices`].
    pub fn put_device(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        kind: Option<String>,
        tags: Tags,
    ) -> Result<(), TooManyDevices> {
        let before = self.devices.get(device).and_then(|record| record.kind.clone());
        self.devices.put(now, device, kind, tags)?;
        self.watch_kind(now, device);
        self.set_inflight(now, device);
        self.map_anew(now, device, before.as_deref());
        Ok(())
    }

    /// Forgets a device and its values, and cancels what was not sent to it; false where it is not known.
    /// Who watches is told first that it is no longer online: its connection, which the edge closes, says
    /// nothing of it any more.
    pub fn delete_device(&mut self, now: Timestamp, device: &DeviceId, user: &str) -> bool {
        if let Some(presence) = self.devices.kicked(now, device) {
            self.tell_presence(now, device, &presence);
        }
        for first in ["telemetry", "presence", "state"] {
            self.hub.forget(&channel(first, device));
        }
        self.watching_ends(now, device);
        if self.mapping_of(device).is_some() {
            self.commands.receives_nowhere(now, device);
        }
        self.commands.delete_device(now, device, user);
        self.devices.delete(device).is_some()
    }

    /// What is to be kept of devices since the last call.
    pub fn take_device_changes(&mut self) -> Vec<Change> {
        self.devices.take_changes()
    }

    /// The devices, to look at.
    #[must_use]
    pub fn devices(&self) -> &Devices {
        &self.devices
    }
}
