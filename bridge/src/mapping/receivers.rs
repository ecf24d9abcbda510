//! Which connections receive the commands of mapped devices: what they subscribed to says it.

use crate::event::ConnectionId;
use protocol::{DeviceId, TopicFilter, levels};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A connection with filters that a mapping's command topics may match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) client: String,
    pub(crate) filters: Vec<TopicFilter>,
}

/// Whose commands a filter can select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Of no mapped device.
    Nobody,
    /// Of this one.
    One(DeviceId),
    /// Of all, or many.
    Many,
}

/// Whose commands on topics like `template`, where `{device}` is a level, `filter` can select. A filter that begins
/// with a wildcard is a monitor's.
pub(crate) fn reach(template: &str, filter: &TopicFilter) -> Reach {
    let mut filter = levels(filter.as_str());
    for (index, wanted) in levels(template).enumerate() {
        match filter.next() {
            Some("+" | "#") if index == 0 => return Reach::Nobody,
            Some("#") => return Reach::Many,
            Some("+") if wanted == "{device}" => return Reach::Many,
            Some(name) if wanted == "{device}" => {
                return name.parse().map_or(Reach::Nobody, Reach::One);
            }
            Some("+") => {}
            Some(text) if text == wanted || wanted.contains('{') => {}
            Some(_) | None => return Reach::Nobody,
        }
    }
    Reach::Nobody
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    all: BTreeMap<ConnectionId, (Listener, Vec<DeviceId>)>,
    /// Those with a filter that reaches many devices.
    many: BTreeSet<ConnectionId>,
    /// Those with a filter that names the device.
    one: HashMap<DeviceId, BTreeSet<ConnectionId>>,
}

impl Listeners {
    pub(crate) fn get(&self, connection: ConnectionId) -> Option<&Listener> {
        self.all.get(&connection).map(|(listener, _)| listener)
    }

    /// Notes what a connection listens to now, nothing where there are no filters; `reaches` are those of its
    /// filters.
    pub(crate) fn set(&mut self, connection: ConnectionId, listener: Listener, reaches: &[Reach]) {
        self.remove(connection);
        if listener.filters.is_empty() {
            return;
        }
        let mut named = Vec::new();
        for reach in reaches {
            match reach {
                Reach::Nobody => {}
                Reach::Many => drop(self.many.insert(connection)),
                Reach::One(device) => {
                    self.one.entry(device.clone()).or_default().insert(connection);
                    named.push(device.clone());
                }
            }
        }
        self.all.insert(connection, (listener, named));
    }

    /// The connections that may receive the device's commands.
    pub(crate) fn of(&self, device: &DeviceId) -> Vec<ConnectionId> {
        let named = self.one.get(device).into_iter().flatten();
        let all: BTreeSet<_> = named.chain(&self.many).copied().collect();
        all.into_iter().collect()
    }

    fn remove(&mut self, connection: ConnectionId) {
        let Some((_, named)) = self.all.remove(&connection) else { return };
        self.many.remove(&connection);
        for device in named {
            if let Some(known) = self.one.get_mut(&device) {
                known.remove(&connection);
                if known.is_empty() {
                    self.one.remove(&device);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_reaches_the_device_it_names_or_many_and_a_monitor_nobody() {
        let one = |device: &str| Reach::One(device.parse().unwrap());
        for (template, filter, expected) in [
            ("cmnd/{device}/{name}", "cmnd/lamp/#", one("lamp")),
            ("cmnd/{device}/{name}", "cmnd/+/POWER", Reach::Many),
            ("cmnd/{device}/{name}", "cmnd/#", Reach::Many),
            ("cmnd/{device}/{name}", "#", Reach::Nobody),
            ("cmnd/{device}/{name}", "+/lamp/#", Reach::Nobody),
            ("cmnd/{device}/{name}", "stat/lamp/#", Reach::Nobody),
            ("cmnd/{device}/{name}", "cmnd", Reach::Nobody),
            ("{device}/rpc", "shelly-1/rpc", one("shelly-1")),
            ("{device}/rpc", "+/rpc", Reach::Nobody),
            ("a/b/{device}", "a/+/x", one("x")),
        ] {
            let filter = filter.parse().unwrap();
            assert_eq!(reach(template, &filter), expected, "{template} {filter}");
        }
    }
}
