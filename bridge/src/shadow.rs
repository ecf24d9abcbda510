//! Device shadows: what each device reports of its state, what is desired of it, and whether they agree.
//!
//! A change of what is desired is numbered; [`Shadows::take_changes`] gives it to be kept and sent to the
//! device once it is kept.

use protocol::{Desired, DeviceId, DeviceState};
use serde_json::{Map, Value, value::RawValue};
use std::{collections::HashMap, sync::Arc};

/// What is desired of a device changed; none: nothing is any longer.
#[derive(Clone, Debug)]
pub struct Change {
    /// The device.
    pub device: DeviceId,
    /// What is desired now.
    pub desired: Option<Desired>,
}

/// Which version a caller wants to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It did not say.
    Nothing,
    /// Any that exists (`*`).
    Any,
    /// One of these.
    OneOf(Vec<u64>),
}

/// Why what is desired was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesireError {
    /// The caller must say which version it replaces.
    #[error(
        "device '{device}' has a desired state already: send If-Match with its ETag, \"{version}\""
    )]
    Required {
        /// The device.
        device: DeviceId,
        /// The version now.
        version: u64,
    },
    /// Somebody else was faster.
    #[error(
        "the desired state of device '{device}' is at version {version}, which is not the one in If-Match"
    )]
    Changed {
        /// The device.
        device: DeviceId,
        /// The version now.
        version: u64,
    },
    /// It is too long.
    #[error("the desired state has {bytes} bytes, more than limits.desired_bytes = {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
}

/// The shadows of all devices that have one.
#[derive(Debug)]
pub struct Shadows {
    desired_bytes_max: usize,
    known: HashMap<DeviceId, DeviceState>,
    changes: Vec<Change>,
}

fn compare(state: &mut DeviceState) {
    state.in_sync = state.version == 0 || agrees(&state.desired, &state.reported);
}

impl Shadows {
    /// No shadows yet; what is desired has at most so many bytes.
    #[must_use]
    pub fn new(desired_bytes_max: usize) -> Self {
        Self { desired_bytes_max, known: HashMap::new(), changes: Vec::new() }
    }

    /// Takes back what was desired.
    pub fn restore_desired(&mut self, device: DeviceId, desired: Desired) {
        let shadow = self.known.entry(device).or_default();
        (shadow.version, shadow.desired) = (desired.version, desired.desired);
        compare(shadow);
    }

    /// Takes back the state as it was told last; gives the state to tell where that was not the newest.
    pub fn restore_told(&mut self, device: &DeviceId, told: &DeviceState) -> Option<DeviceState> {
        let nothing = told.version == 0 && told.reported.get() == "{}";
        if nothing && !self.known.contains_key(device) {
            return None;
        }
        let shadow = self.known.entry(device.clone()).or_default();
        shadow.reported = Arc::clone(&told.reported);
        compare(shadow);
        let same = told.version == shadow.version && told.in_sync == shadow.in_sync;
        (!same).then(|| shadow.clone())
    }

    /// The devices of which something is desired, and what.
    pub fn all_desired(&self) -> impl Iterator<Item = (&DeviceId, Desired)> {
        let wanted = self.known.iter().filter(|(_, shadow)| shadow.version > 0);
        wanted.map(|(device, shadow)| {
            let DeviceState { version, desired, .. } = shadow.clone();
            (device, Desired { version, desired })
        })
    }

    /// A device reported its state; gives the state to tell.
    pub fn reported(&mut self, device: &DeviceId, reported: Arc<RawValue>) -> DeviceState {
        let shadow = self.known.entry(device.clone()).or_default();
        shadow.reported = reported;
        compare(shadow);
        shadow.clone()
    }

    /// Something is desired of a device; gives the state to tell.
    ///
    /// # Errors
    /// [`DesireError`].
    pub fn desire(
        &mut self,
        device: &DeviceId,
        desired: Map<String, Value>,
        expected: &Expected,
    ) -> Result<DeviceState, DesireError> {
        let version = self.known.get(device).map_or(0, |shadow| shadow.version);
        match expected {
            Expected::Nothing if version == 0 => {}
            Expected::Nothing => {
                return Err(DesireError::Required { device: device.clone(), version });
            }
            Expected::Any if version > 0 => {}
            Expected::OneOf(versions) if versions.contains(&version) => {}
            Expected::Any | Expected::OneOf(_) => {
                return Err(DesireError::Changed { device: device.clone(), version });
            }
        }
        let desired = Value::Object(desired).to_string();
        if desired.len() > self.desired_bytes_max {
            let (bytes, max) = (desired.len(), self.desired_bytes_max);
            return Err(DesireError::TooLong { bytes, max });
        }
        let desired: Arc<RawValue> =
            RawValue::from_string(desired).expect("a value is JSON").into();
        let shadow = self.known.entry(device.clone()).or_default();
        shadow.desired = Arc::clone(&desired);
        shadow.version += 1;
        compare(shadow);
        let desired = Some(Desired { version: shadow.version, desired });
        self.changes.push(Change { device: device.clone(), desired });
        Ok(self.get(device))
    }

    /// The state of a device.
    #[must_use]
    pub fn get(&self, device: &DeviceId) -> DeviceState {
        self.known.get(device).cloned().unwrap_or_default()
    }

    /// A device was deleted.
    pub fn forget(&mut self, device: &DeviceId) {
        if self.known.remove(device).is_some_and(|shadow| shadow.version > 0) {
            self.changes.push(Change { device: device.clone(), desired: None });
        }
    }

    /// What is to be kept and sent since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }
}

/// Whether each member of `desired` is equal in `reported`.
fn agrees(desired: &RawValue, reported: &RawValue) -> bool {
    let object = |raw: &RawValue| serde_json::from_str::<Map<String, Value>>(raw.get()).ok();
    let (Some(desired), Some(reported)) = (object(desired), object(reported)) else { return false };
    desired
        .iter()
        .all(|(name, value)| reported.get(name).is_some_and(|told| protocol::equal(value, told)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn device() -> DeviceId {
        "d1".parse().unwrap()
    }

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    fn raw(value: &Value) -> Arc<RawValue> {
        RawValue::from_string(value.to_string()).unwrap().into()
    }

    fn after(desired: Value, reported: &Value) -> DeviceState {
        let mut shadows = Shadows::new(1_000);
        shadows.desire(&device(), object(desired), &Expected::Nothing).unwrap();
        shadows.reported(&device(), raw(reported))
    }

    #[test]
    fn in_sync_is_each_desired_member_equal_in_what_is_reported() {
        for (desired, reported, in_sync) in [
            (json!({}), json!({"a": 1}), true),
            (json!({"a": 1}), json!({"a": 1, "b": 2}), true),
            (json!({"a": 20}), json!({"a": 20.0}), true),
            (json!({"a": {"b": [1.0]}}), json!({"a": {"b": [1]}}), true),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 1, "c": 2}}), false),
            (json!({"a": 1}), json!({"a": "1"}), false),
            (json!({"a": 1}), json!({}), false),
            (json!({"a": null}), json!({}), false),
            (json!({"a": u64::MAX}), json!({"a": u64::MAX - 1}), false),
        ] {
            assert_eq!(after(desired.clone(), &reported).in_sync, in_sync, "{desired} {reported}");
        }
    }

    #[test]
    fn a_device_of_which_nothing_is_desired_is_in_sync() {
        let state = Shadows::new(10).get(&device());
        let expected = json!({"reported": {}, "desired": {}, "version": 0, "in_sync": true});
        assert_eq!(serde_json::to_value(state).unwrap(), expected);
    }

    #[test]
    fn who_replaces_must_say_what() {
        let mut shadows = Shadows::new(100);
        let mut desire = |expected| {
            let changed = shadows.desire(&device(), object(json!({"a": 1})), &expected);
            changed.map(|state| state.version)
        };
        let refused = |version| Err(DesireError::Changed { device: device(), version });
        assert_eq!(desire(Expected::Any), refused(0));
        assert_eq!(desire(Expected::OneOf(vec![3])), refused(0));
        assert_eq!(desire(Expected::Nothing), Ok(1));
        let required = DesireError::Required { device: device(), version: 1 };
        assert_eq!(desire(Expected::Nothing), Err(required));
        assert_eq!(desire(Expected::OneOf(vec![0, 1])), Ok(2));
        assert_eq!(desire(Expected::OneOf(vec![1])), refused(2));
        assert_eq!(desire(Expected::Any), Ok(3));
    }

    #[test]
    fn what_is_too_long_is_refused_with_the_limit() {
        let refused =
            Shadows::new(5).desire(&device(), object(json!({"a": 1})), &Expected::Nothing);
        assert_eq!(refused.unwrap_err(), DesireError::TooLong { bytes: 7, max: 5 });
    }

    #[test]
    fn each_change_is_given_once_and_a_deleted_device_has_none() {
        let mut shadows = Shadows::new(100);
        shadows.desire(&device(), object(json!({"a": 1})), &Expected::Nothing).unwrap();
        shadows.forget(&device());
        let versions = shadows.take_changes().into_iter().map(|change| change.desired);
        let versions: Vec<_> = versions.map(|desired| desired.map(|it| it.version)).collect();
        assert_eq!(versions, [Some(1), None]);
        shadows.forget(&device());
        assert!(shadows.take_changes().is_empty());
    }

    #[test]
    fn a_restored_shadow_tells_what_was_not_told() {
        let mut shadows = Shadows::new(100);
        let desired = Desired { version: 4, desired: raw(&json!({"a": 1})) };
        shadows.restore_desired(device(), desired);
        let mut told = Shadows::new(100).get(&device());
        told.reported = raw(&json!({"a": 1}));
        let newer = shadows.restore_told(&device(), &told).expect("version 4 was not told");
        assert_eq!((newer.version, newer.in_sync), (4, true));
        assert!(shadows.restore_told(&device(), &newer).is_none());
        assert_eq!(shadows.all_desired().count(), 1);
    }

    proptest! {
        #[test]
        fn what_reports_all_that_is_desired_is_in_sync(
            members in prop::collection::btree_map("[a-c]", any::<i64>(), 0..4),
            more in any::<bool>(),
            other in prop::option::of("[a-c]"),
        ) {
            let desired = json!(members);
            let mut reported = members.clone();
            if more {
                reported.insert("d".into(), 1);
            }
            if let Some(other) = &other {
                reported.remove(other);
            }
            let missing = other.is_some_and(|other| members.contains_key(&other));
            prop_assert_eq!(after(desired, &json!(reported)).in_sync, !missing);
        }
    }
}
