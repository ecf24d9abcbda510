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
    let mut told: HashMap<&str, Timestamp> = HashMap::new();
    let mut presences: HashMap<&str, Presence> = HashMap::new();
    for Restored { channel, stamp, value } in &past.hub.channels {
        // What is forgotten was said by a device of that name that was deleted.
        let (Some((first, device)), Some(value)) = (channel.as_str().split_once('/'), value) else {
            continue;
        };
        match (first, value) {
            ("telemetry", _) => drop(told.insert(device, stamp.timestamp)),
            ("presence", Data::Json(json)) => {
                presences.extend(serde_json::from_str(json.get()).ok().map(|it| (device, it)));
            }
            _ => {}
        }
    }
    let restore = |(device, kept): &(DeviceId, Kept)| {
        // Rows of earlier versions do not say it: the device's newest telemetry does, by its own clock perhaps.
        let last_seen_at = kept.last_seen_at.or_else(|| told.get(device.as_str()).copied());
        let kept = Kept { last_seen_at, ..kept.clone() };
        let lost = devices.restore(now, device, kept, presences.remove(device.as_str()))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{audit::Audit, command::book, data::Metrics, update::Stamp};
    use protocol::{Millis, Offset, Seq, Status};

    const NOW: Timestamp = Timestamp(1_000);

    fn last_seen(seen: Option<Timestamp>, channels: &[(&str, i64)]) -> Option<Timestamp> {
        let restored = |(channel, time): &(&str, i64)| Restored {
            channel: channel.parse().unwrap(),
            stamp: Stamp { seq: Seq(1), offset: Offset(1), timestamp: Timestamp(*time) },
            value: Some(Data::Metrics(Metrics::parse("{}").unwrap())),
        };
        let hub = Beginning {
            epoch: "epoch".into(),
            offset: Offset(9),
            channels: channels.iter().map(restored).collect(),
            gaps: vec![],
            new_channels_after: Seq(0),
        };
        let device: DeviceId = "d".parse().unwrap();
        let (kind, tags, created_at) = (None, HashMap::new().into_iter().collect(), Timestamp(1));
        let kept = Kept { kind, tags, version: 1, created_at, last_seen_at: seen };
        let past = Past {
            hub,
            devices: vec![(device.clone(), kept)],
            alerts: vec![],
            desired: vec![],
            audit: Audit::new(8),
            commands: book::Kept::default(),
        };
        let mut devices = Devices::new("node".into(), 10, Millis(300_000));
        restore_devices(NOW, &mut devices, &past);
        let record = devices.get(&device).unwrap();
        assert_eq!(record.status(), Status::Offline);
        record.last_seen_at
    }

    #[test]
    fn when_a_device_was_seen_is_what_was_kept_of_it_and_not_what_was_said_to_it_or_of_it() {
        let others =
            [("commands/d", 900), ("presence/d", 900), ("state/d", 900), ("alerts/a/d", 900)];
        assert_eq!(last_seen(None, &others), None);
        let own_clock = [("telemetry/d", 5_000), ("commands/d", 900)];
        assert_eq!(last_seen(Some(Timestamp(700)), &own_clock), Some(Timestamp(700)));
        assert_eq!(last_seen(Some(Timestamp(2_000)), &others), Some(NOW), "the clock was set back");
    }

    #[test]
    fn a_row_of_an_earlier_version_is_read_with_the_time_of_the_newest_telemetry() {
        let row = r#"{"type":null,"tags":{},"version":1,"created_at":1}"#;
        assert_eq!(serde_json::from_str::<Kept>(row).unwrap().last_seen_at, None);
        let channels = [("telemetry/d", 600), ("commands/d", 900)];
        assert_eq!(last_seen(None, &channels), Some(Timestamp(600)));
        assert_eq!(last_seen(None, &[("telemetry/d", 5_000)]), Some(NOW), "its clock is ahead");
    }
}
