//! Going on from an earlier life: which devices there were, and what was told last.

use super::Past;
use crate::{
    data::Data,
    devices::{Devices, Kept},
    hub::{Beginning, Restored},
};
use protocol::{Batch, Command, DeviceId, Presence, Timestamp, TopicName};
use std::collections::{HashMap, HashSet};

/// Values of devices that were deleted stay deleted.
pub(super) fn forget_deleted(past: &mut Past) {
    let known: HashSet<_> = past.devices.iter().map(|(device, _)| device.as_str()).collect();
    for restored in &mut past.hub.channels {
        if device_of(&restored.channel).is_some_and(|device| !known.contains(device)) {
            restored.value = None;
        }
    }
}

/// Brings the devices back; gives those that were online, with the presence to tell.
pub(super) fn restore_devices(
    now: Timestamp,
    devices: &mut Devices,
    past: &Past,
) -> Vec<(DeviceId, Presence)> {
    let mut seen: HashMap<&str, Timestamp> = HashMap::new();
    let mut presences: HashMap<&str, Presence> = HashMap::new();
    for Restored { channel, stamp, value } in &past.hub.channels {
        // What is forgotten was said by a device of that name that was deleted.
        let (Some(device), Some(value)) = (device_of(channel), value) else { continue };
        let newest = seen.entry(device).or_insert(stamp.timestamp);
        *newest = stamp.timestamp.max(*newest);
        if let (true, Data::Json(json)) = (channel.as_str().starts_with("presence/"), value)
            && let Ok(presence) = serde_json::from_str(json.get())
        {
            presences.insert(device, presence);
        }
    }
    let restore = |(device, kept): &(DeviceId, Kept)| {
        let (last_seen_at, presence) =
            (seen.get(device.as_str()).copied(), presences.remove(device.as_str()));
        let lost = devices.restore(now, device, kept.clone(), last_seen_at, presence)?;
        Some((device.clone(), lost))
    };
    past.devices.iter().filter_map(restore).collect()
}

/// When each device's commands were told of last, and what was said, where that is not forgotten.
pub(super) fn told(beginning: &Beginning) -> HashMap<DeviceId, (Timestamp, Option<Command>)> {
    let last = |restored: &Restored| {
        let device = restored.channel.as_str().strip_prefix("commands/")?.parse().ok()?;
        let said = match &restored.value {
            Some(Data::Json(json)) => Some(serde_json::from_str(json.get()).ok()?),
            Some(Data::Metrics(_)) | None => None,
        };
        Some((device, (restored.stamp.timestamp, said)))
    };
    beginning.channels.iter().filter_map(last).collect()
}

/// What was told last of each batch.
pub(super) fn batches_told(beginning: &Beginning) -> HashMap<String, Batch> {
    let last = |restored: &Restored| {
        let id = restored.channel.as_str().strip_prefix("batches/")?;
        let Some(Data::Json(json)) = &restored.value else { return None };
        Some((id.to_owned(), serde_json::from_str(json.get()).ok()?))
    };
    beginning.channels.iter().filter_map(last).collect()
}

/// The device that a built-in channel belongs to.
fn device_of(channel: &TopicName) -> Option<&str> {
    match channel.as_str().split_once('/') {
        Some(("telemetry" | "presence" | "state" | "commands", device)) => Some(device),
        Some(("alerts", rest)) => rest.split_once('/').map(|(_, device)| device),
        Some(_) | None => None,
    }
}
