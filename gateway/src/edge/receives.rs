//! Whether a connection can receive a device's commands: what its granted filters say. Pure.

use protocol::{DeviceId, TopicFilter, levels};

/// A device whose commands the connection can receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Receives {
    /// The connection is the device's own.
    pub(super) own: bool,
    /// Its filters take cancels too.
    pub(super) cancels: bool,
}

/// The devices whose commands a connection can receive; most can receive those of one.
#[derive(Debug, Default)]
pub(super) struct Receiving(Vec<(DeviceId, Receives)>);

impl Receiving {
    fn place(&self, device: &DeviceId) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(device))
    }

    /// How `device` can be reached, if it can.
    pub(super) fn get(&self, device: &DeviceId) -> Option<Receives> {
        self.0.get(self.place(device).ok()?).map(|(_, receives)| *receives)
    }

    /// Notes that `device` can be reached.
    pub(super) fn insert(&mut self, device: DeviceId, receives: Receives) {
        match self.place(&device) {
            Ok(place) => self.0[place].1 = receives,
            Err(place) => {
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (device, receives));
            }
        }
    }

    /// Notes that it no longer can.
    pub(super) fn remove(&mut self, device: &DeviceId) {
        if let Ok(place) = self.place(device) {
            self.0.remove(place);
        }
    }

    /// All, which no longer can.
    pub(super) fn take(&mut self) -> impl Iterator<Item = DeviceId> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(device, _)| device)
    }
}

/// A command id that no command has, to ask filters with.
const SOME_COMMAND: &str = "00000000-0000-0000-0000-000000000000";

/// Whether `filters` select the command topic of `device`: its own connection by any filter, another
/// one only by a filter that names the device.
pub(super) fn receives<'a>(
    filters: impl Iterator<Item = &'a TopicFilter> + Clone,
    device: &DeviceId,
    own: bool,
) -> Option<Receives> {
    let topic = ["devices", device.as_str(), "commands", SOME_COMMAND, "cancel"];
    let matched = |topic: &[&str]| {
        filters.clone().any(|filter| {
            (own || names(filter, device)) && filter.matches_levels(topic.iter().copied())
        })
    };
    let (cancel, command) = (&topic[..], &topic[..4]);
    matched(command).then(|| Receives { own, cancels: matched(cancel) })
}

/// Whether a client with these filters, which is not the receiver of what is sent to `device` on `topic`, stands by: it
/// could receive that itself, and no filter makes it a monitor.
pub(super) fn stands_by<'a>(
    filters: impl Iterator<Item = &'a TopicFilter> + Clone,
    device: &DeviceId,
    topic: &str,
) -> bool {
    receives(filters.clone(), device, false).is_some()
        && filters.filter(|filter| filter.matches(topic)).all(|filter| names(filter, device))
}

fn names(filter: &TopicFilter, device: &DeviceId) -> bool {
    levels(filter.as_str()).nth(1) == Some(device.as_str())
}

/// Whether `filter` selects nothing but what goes down to `device`: its commands and desired state.
pub(super) fn is_down(filter: &TopicFilter, device: &DeviceId) -> bool {
    down_device(filter.as_str()) == Some(device.as_str())
}

/// The device whose [`is_down`] filters may select `topic`.
pub(super) fn down_device(topic: &str) -> Option<&str> {
    let (device, rest) = topic.strip_prefix("devices/")?.split_once('/')?;
    (rest == "desired" || rest.starts_with("commands/")).then_some(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the filters receive commands of `d1`, and if so, cancels.
    fn check(filters: &[&str], own: bool) -> Option<bool> {
        let filters: Vec<TopicFilter> = filters.iter().map(|text| text.parse().unwrap()).collect();
        receives(filters.iter(), &"d1".parse().unwrap(), own).map(|found| found.cancels)
    }

    #[test]
    fn a_device_receives_by_any_filter_on_its_own_command_topic() {
        for (filter, expected) in [
            ("devices/d1/commands/+", Some(false)),
            ("devices/d1/commands/#", Some(true)),
            ("devices/+/commands/+", Some(false)),
            ("#", Some(true)),
            ("devices/d1/commands/+/cancel", None),
            ("devices/d1/telemetry", None),
            ("devices/d2/commands/#", None),
        ] {
            assert_eq!(check(&[filter], true), expected, "{filter}");
        }
    }

    #[test]
    fn cancels_may_come_by_a_filter_of_their_own() {
        let both = ["devices/d1/commands/+", "devices/d1/commands/+/cancel"];
        assert_eq!(check(&both, true), Some(true));
    }

    #[test]
    fn others_receive_only_for_devices_they_name() {
        assert_eq!(check(&["devices/d2/#", "devices/d1/commands/+"], false), Some(false));
        assert_eq!(check(&["devices/+/commands/#", "#"], false), None);
        assert_eq!(check(&["devices/d1/commands/+", "#"], false), Some(false));
        assert_eq!(check(&["+/d1/#"], false), Some(true));
    }

    #[test]
    fn who_could_receive_stands_by_and_a_monitor_does_not() {
        for (filters, expected) in [
            (&["devices/d1/commands/+"][..], true),
            (&["+/d1/#", "devices/d2/#"], true),
            (&["devices/d1/commands/+", "#"], false),
            (&["devices/d1/commands/+", "devices/+/commands/+/cancel"], true),
            (&["devices/+/commands/+"], false),
            (&["devices/d1/commands/7"], false),
        ] {
            let all: Vec<TopicFilter> = filters.iter().map(|text| text.parse().unwrap()).collect();
            let device = "d1".parse().unwrap();
            let stands_by = stands_by(all.iter(), &device, "devices/d1/commands/7");
            assert_eq!(stands_by, expected, "{filters:?}");
        }
    }

    #[test]
    fn only_commands_and_desired_states_go_down() {
        let device = "d1".parse().unwrap();
        for (filter, down) in [
            ("devices/d1/commands/#", true),
            ("devices/d1/desired", true),
            ("devices/d1/#", false),
            ("devices/d2/commands/#", false),
            ("devices/+/desired", false),
        ] {
            assert_eq!(is_down(&filter.parse().unwrap(), &device), down, "{filter}");
        }
        assert_eq!(down_device("devices/d1/commands/7"), Some("d1"));
        assert_eq!(down_device("devices/d1/telemetry"), None);
    }
}
