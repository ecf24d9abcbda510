//! Which channels and devices a user may see: the one place that decides it.

use protocol::{Alert, DeviceId, DevicePattern, Severity, TopicFilter, TopicName, levels};
use std::sync::Arc;

/// The channels `{kind}/{device}` that a device has, beside its alerts'.
const KINDS: [&str; 4] = ["telemetry", "presence", "state", "commands"];

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

    /// Whether the user may see that there is such a device: whether any of its channels may be seen.
    #[must_use]
    pub fn may_see_device(&self, device: &DeviceId) -> bool {
        KINDS.iter().any(|kind| self.may_see_of(kind, device)) || self.may_see_some_alert(device)
    }

    /// The first of a device's channels that is out of sight; none: all are in sight.
    #[must_use]
    pub fn hidden_of(&self, device: &DeviceId) -> Option<String> {
        let alerts = Severity::ALL.map(|severity| format!("alerts/{severity}/{device}"));
        let mut channels = KINDS.map(|kind| format!("{kind}/{device}")).into_iter().chain(alerts);
        channels.find(|channel| !self.may_see_text(channel))
    }

    /// Whether the user may see an alert.
    #[must_use]
    pub fn may_see_alert(&self, alert: &Alert) -> bool {
        self.may_see_alert_of(alert.severity, &alert.device)
    }

    /// Whether the user may see a batch with commands for these devices: whether all of them may be seen.
    #[must_use]
    pub fn may_see_batch<'a>(&self, devices: impl Iterator<Item = &'a DeviceId>) -> bool {
        let mut devices = devices.peekable();
        let known = devices.peek().is_some();
        !self.is_narrowed() || known && devices.all(|device| self.may_see_of("commands", device))
    }

    /// Whether the user may see an entry of the audit log: one about what may be seen itself. Entries about
    /// no device are for those from whom nothing is hidden.
    #[must_use]
    pub fn may_see_entry(&self, action: &str, device: Option<&DeviceId>) -> bool {
        let Some(device) = device else { return !self.is_narrowed() };
        match action.split('.').next() {
            Some("command") => self.may_see_of("commands", device),
            Some("alert") => self.may_see_some_alert(device),
            Some("desired") => self.may_see_of("state", device),
            Some(_) | None => self.may_see_device(device),
        }
    }

    /// Whether a filter can be granted: one without wildcards must be visible itself; what others match
    /// is decided channel by channel.
    #[must_use]
    pub fn may_subscribe(&self, filter: &TopicFilter) -> bool {
        let name = filter.as_str().parse::<TopicName>();
        name.map_or(true, |name| self.may_see(&name))
    }

    fn may_see_some_alert(&self, device: &DeviceId) -> bool {
        Severity::ALL.into_iter().any(|severity| self.may_see_alert_of(severity, device))
    }

    fn may_see_alert_of(&self, severity: Severity, device: &DeviceId) -> bool {
        !self.is_narrowed() || self.may_see_text(&format!("alerts/{severity}/{device}"))
    }

    fn may_see_text(&self, channel: &str) -> bool {
        let by_name = self
            .channels
            .as_ref()
            .is_none_or(|filters| filters.iter().any(|filter| filter.matches(channel)));
        by_name && self.devices.as_ref().is_none_or(|patterns| by_device(patterns, channel))
    }
}

/// Who a subscriber is.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// What it may see.
    pub rights: Rights,
    /// Subscribers with the same account share a bound; none: each has only its own.
    pub account: Option<Arc<str>>,
}

impl From<Rights> for Member {
    fn from(rights: Rights) -> Self {
        Self { rights, account: None }
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
    fn a_device_is_in_sight_when_one_of_its_channels_is() {
        let pump = "pump-1".parse().unwrap();
        for (channels, seen) in [
            (&["telemetry/#"][..], true),
            (&["alerts/critical/+"], true),
            (&["commands/pump-1"], true),
            (&["telemetry/pump-2", "gateway/stats"], false),
        ] {
            assert_eq!(rights(&[], channels).may_see_device(&pump), seen, "{channels:?}");
        }
        assert!(!rights(&["tank-*"], &[]).may_see_device(&pump));
    }

    #[test]
    fn entries_of_the_audit_log_are_as_hidden_as_what_they_are_about() {
        let pump = "pump-1".parse().unwrap();
        let commands = rights(&[], &["commands/#"]);
        assert!(commands.may_see_entry("command.created", Some(&pump)));
        assert!(!commands.may_see_entry("desired.changed", Some(&pump)));
        assert!(!commands.may_see_entry("alert.cleared", Some(&pump)));
        assert!(commands.may_see_entry("device.changed", Some(&pump)));
        assert!(!commands.may_see_entry("token.created", None));
        assert!(Rights::everything().may_see_entry("token.created", None));
    }

    #[test]
    fn empty_lists_hide_nothing() {
        let rights = rights(&[], &[]);
        assert!(!rights.is_narrowed() && rights.may_see_text("anything/at/all"));
        assert_eq!(rights, Rights::everything());
    }
}
