//! Types of devices: how their commands are checked, and how many may be under way.
//!
//! What a schema is and how it is checked is the owner's business: it brings a function for each.

use protocol::DeviceType;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Says what is wrong with the parameters of a command, one text for each mistake.
pub type Check = Arc<dyn Fn(&Value) -> Vec<String> + Send + Sync>;

/// A type, and how the parameters of its commands are checked.
#[derive(Clone)]
pub struct KnownType {
    /// As everybody sees it.
    pub described: DeviceType,
    /// The check of each command, by name.
    pub checks: BTreeMap<String, Check>,
}

impl fmt::Debug for KnownType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.described.fmt(f)
    }
}

/// All types, by name.
#[derive(Clone, Debug, Default)]
pub struct DeviceTypes(BTreeMap<String, KnownType>);

impl DeviceTypes {
    /// These types. Of two with one name the last counts.
    #[must_use]
    pub fn new(types: impl IntoIterator<Item = KnownType>) -> Self {
        Self(types.into_iter().map(|known| (known.described.name.clone(), known)).collect())
    }

    /// The types as everybody sees them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &DeviceType> {
        self.0.values().map(|known| &known.described)
    }

    /// How many commands of a device of this type may be under way: one where nothing is said.
    #[must_use]
    pub fn max_inflight(&self, kind: Option<&str>) -> usize {
        let known = kind.and_then(|kind| self.0.get(kind));
        known.map_or(1, |known| known.described.max_inflight as usize)
    }

    /// What is wrong with a command for a device of this type.
    #[must_use]
    pub fn mistakes(
        &self,
        kind: Option<&str>,
        name: &str,
        params: Option<&Map<String, Value>>,
    ) -> Vec<String> {
        let known = kind.and_then(|kind| self.0.get(kind));
        let Some(check) = known.and_then(|known| known.checks.get(name)) else { return Vec::new() };
        check(&Value::Object(params.cloned().unwrap_or_default()))
    }
}
