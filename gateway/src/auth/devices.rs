//! The credentials of devices, in `{data_dir}/devices.json`: a hash for each device.
//!
//! As soon as the file is there, MQTT clients must sign in, though the last credential be revoked.

use super::{
    file::{self, BadFile, EditError},
    secret::{self, Hash},
};
use crate::clock;
use protocol::{DeviceId, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a device signs in with, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceCredential {
    /// The device's type, for access rules.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Arc<str>>,
    pub(super) hash: Hash,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The credentials of all devices.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    devices: BTreeMap<DeviceId, Arc<DeviceCredential>>,
}

/// A secret that was made elsewhere, hashed already: that takes its time.
#[derive(Debug)]
pub struct Imported {
    /// Whose it is.
    pub device: DeviceId,
    /// The device's type.
    pub kind: Option<Arc<str>>,
    hash: Hash,
}

impl Imported {
    /// Hashes `secret` slowly, as it may be weak.
    #[must_use]
    pub fn new(device: DeviceId, secret: &str, kind: Option<&str>) -> Self {
        Self { device, kind: kind.map(Into::into), hash: Hash::slow(secret.as_bytes()) }
    }
}

pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("devices.json")
}

impl Devices {
    /// The credentials kept in `data_dir`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list(data_dir: &Path) -> Result<Self, BadFile> {
        Ok(file::read(&path(data_dir))?.unwrap_or_default())
    }

    /// Changes the credentials in `data_dir`, whether a gateway runs there or not. One change waits for another.
    ///
    /// # Errors
    /// When the file cannot be read or written, or `change` refuses.
    pub fn edit<T>(
        data_dir: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        file::edit(&path(data_dir), change)
    }

    /// Makes a secret for `device`, and gives it: it is not to be had again.
    ///
    /// # Errors
    /// When the device has one.
    pub fn add(&mut self, device: DeviceId, kind: Option<&str>) -> Result<String, EditError> {
        let secret = secret::random();
        self.insert(device, kind.map(Into::into), Hash::fast(secret.as_bytes()))?;
        Ok(secret)
    }

    /// Takes over a secret that was made elsewhere.
    ///
    /// # Errors
    /// When the device has one.
    pub fn import(&mut self, imported: Imported) -> Result<(), EditError> {
        let Imported { device, kind, hash } = imported;
        self.insert(device, kind, hash)
    }

    fn insert(
        &mut self,
        device: DeviceId,
        kind: Option<Arc<str>>,
        hash: Hash,
    ) -> Result<(), EditError> {
        if self.devices.contains_key(&device) {
            return Err(EditError::DeviceKnown(device.to_string()));
        }
        let credential = DeviceCredential { kind, hash, created_at: clock::now() };
        self.devices.insert(device, Arc::new(credential));
        Ok(())
    }

    /// Takes back the credential of `device`, and gives it; none: it had none.
    pub fn revoke(&mut self, device: &DeviceId) -> Option<Arc<DeviceCredential>> {
        self.devices.remove(device)
    }

    /// Each with its device.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &DeviceCredential)> {
        self.devices.iter().map(|(device, credential)| (device, &**credential))
    }

    /// The credential of `device`.
    #[must_use]
    pub fn get(&self, device: &DeviceId) -> Option<&Arc<DeviceCredential>> {
        self.devices.get(device)
    }
}
