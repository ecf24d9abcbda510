//! Which channels and devices a user may see: the one place that decides it.

use protocol::{DeviceId, DevicePattern, TopicFilter, TopicName, levels};
use std::sync::Arc;

/// What a user may see: everything, or what both of the lists allow that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    devices: Option<Arc<[DevicePattern]>>,
    channels: Option<Arc<[TopicFilter]>>,
}

impl Rights {
    /// Narrowed to devices and channels; an empty list does not narrow.
    #[must_use]
    pub fn new(devices: &[DevicePattern], channels: &[TopicFilter]) -> Self {
        Self {
            devices: (!devices.is_empty()).then(|| devices.into()),
            channels: (!channels.is_empty()).then(|| channels.into()),
        }
    }

    /// Everything.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Whether something is out of sight.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.devices.is_some() || self.channels.is_some()
    }

    /// The only devices that may be seen; none: all.
    #[must_use]
    pub fn devices(&self) -> Option<&[DevicePattern]> {
        self.devices.as_deref()
    }

    /// The only channels that may be seen; none: all.
    #[must_use]
    pub fn channels(&self) -> Option<&[TopicFilter]> {
        self.channels.as_deref()
    }

    /// Whether the user may see `channel`. Who sees some devices only sees of channels that belong to no
    /// device `gateway/stats` alone.
    #[must_use]
    pub fn may_see(&self, channel: &TopicName) -> bool {
        self.may_see_text(channel.as_str())
    }

    /// Whether the user may see `kind/{device}`, such as `telemetry/pump-1`.
    #[must_use]
    pub fn may_see_of(&self, kind: &str, device: &DeviceId) -> bool {
        !self.is_narrowed() || self.may_see_text(&format!("{kind}/{device}"))
    }

    fn may_see_text(&self, channel: &str) -> bool {
        let by_name = self
            .channels
            .as_ref()
            .is_none_or(|filters| filters.iter().any(|filter| filter.matches(channel)));
        by_name && self.devices.as_ref().is_none_or(|patterns| by_device(patterns, channel))
    }

    /// Whether a filter can be granted: one without wildcards must be visible itself; what others match
    /// is decided channel by channel.
    pub(crate) fn grant(&self, filter: &TopicFilter) -> bool {
        let name = filter.as_str().parse::<TopicName>();
        name.map_or(true, |name| self.may_see(&name))
    }
}

fn by_device(patterns: &[DevicePattern], channel: &str) -> bool {
    match device_of(channel) {
        Some(device) => patterns.iter().any(|pattern| pattern.matches(device)),
        None => channel == "gateway/stats",
    }
}

/// The device that a channel belongs to.
fn device_of(channel: &str) -> Option<&str> {
    let mut levels = levels(channel);
    match levels.next()? {
        "telemetry" | "presence" | "state" | "commands" => levels.next(),
        "alerts" => levels.nth(1),
        "topics" => (levels.next()? == "devices").then(|| levels.next()).flatten(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(devices: &[&str], channels: &[&str]) -> Rights {
        let devices: Vec<_> = devices.iter().map(|text| text.parse().unwrap()).collect();
        let channels: Vec<_> = channels.iter().map(|text| text.parse().unwrap()).collect();
        Rights::new(&devices, &channels)
    }

    #[test]
    fn a_pattern_of_devices_narrows_every_channel_of_a_device() {
        let rights = rights(&["pump-*"], &[]);
        for seen in [
            "telemetry/pump-1",
            "presence/pump-1",
            "state/pump-2",
            "alerts/critical/pump-1",
            "commands/pump-1",
            "topics/devices/pump-1/telemetry",
            "gateway/stats",
        ] {
            assert!(rights.may_see_text(seen), "{seen}");
        }
        for hidden in [
            "telemetry/tank-1",
            "alerts/pump-1/tank",
            "commands/tank",
            "batches/1",
            "topics/shelf/pump-1",
            "topics/devices",
            "air/pump-1",
            "telemetry",
        ] {
            assert!(!rights.may_see_text(hidden), "{hidden}");
        }
    }

    #[test]
    fn both_lists_must_allow_a_channel() {
        let rights = rights(&["pump-*"], &["telemetry/#", "gateway/#"]);
        assert!(rights.may_see_text("telemetry/pump-1"));
        assert!(!rights.may_see_text("telemetry/tank"));
        assert!(!rights.may_see_text("presence/pump-1"));
        assert!(rights.may_see_of("telemetry", &"pump-1".parse().unwrap()));
        assert!(!rights.may_see_of("commands", &"pump-1".parse().unwrap()));
    }

    #[test]
    fn empty_lists_hide_nothing() {
        let rights = rights(&[], &[]);
        assert!(!rights.is_narrowed() && rights.may_see_text("anything/at/all"));
        assert_eq!(rights, Rights::everything());
    }
}
