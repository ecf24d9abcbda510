//! What users ask of devices: commands and batches of them, and for whom they are.

use super::Bridge;
use crate::{
    command::book::{Asked, BatchError, Caller, CancelError, Commands, CreateError},
    devices,
    hub::Sink,
    rights::Rights,
    types::DeviceTypes,
};
use protocol::{
    Batch, BatchRequest, Command, CommandId, CommandRequest, DeviceId, DryRun, Timestamp,
};
use std::collections::HashSet;

/// Why a command for a device was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such device.
    #[error(
        "there is no device '{0}': it exists from its first message on, or from PUT /api/v1/devices/{0}"
    )]
    UnknownDevice(DeviceId),
    /// The command itself.
    #[error(transparent)]
    Refused(#[from] CreateError),
}

impl<S: Sink> Bridge<S> {
    /// Takes a command in; the same again under the same key gives the one that was made, whatever became of its device.
    ///
    /// # Errors
    /// [`CommandError`] with the value that cannot be.
    pub fn command(
        &mut self,
        now: Timestamp,
        id: CommandId,
        device: &DeviceId,
        request: CommandRequest,
        caller: Caller<'_>,
    ) -> Result<Command, CommandError> {
        let caller = match self.commands.asked_before(device, &request, caller)? {
            Asked::Before(known) => return Ok(known),
            Asked::FirstTime(caller) => caller,
        };
        let mistakes = self.mistakes(device, &request)?;
        Ok(self.commands.create(now, id, device, request, mistakes, caller)?)
    }

    /// Says what would become of a command.
    ///
    /// # Errors
    /// [`CommandError::UnknownDevice`].
    pub fn dry_run(
        &self,
        now: Timestamp,
        device: &DeviceId,
        request: &CommandRequest,
        user: &str,
    ) -> Result<DryRun, CommandError> {
        let mistakes = self.mistakes(device, request)?;
        Ok(self.commands.dry_run(now, device, request, mistakes, user))
    }

    /// Takes a batch in, for the devices that it names, which the caller may see as for a command; of those that it
    /// describes, for the ones that the caller may see. The same again under the same key gives the one that was made.
    ///
    /// # Errors
    /// [`CommandError`] with the value that cannot be; nothing was created then.
    pub fn command_batch(
        &mut self,
        now: Timestamp,
        id: String,
        ids: &mut dyn FnMut() -> CommandId,
        request: BatchRequest,
        (caller, rights): (Caller<'_>, &Rights),
    ) -> Result<Batch, CommandError> {
        let caller = match self.commands.batch_asked_before(&request, caller)? {
            Asked::Before(known) => return Ok(known),
            Asked::FirstTime(caller) => caller,
        };
        let devices = self.meant(&request, rights)?;
        for device in &devices {
            let mistakes = self.mistakes(device, &request.command)?;
            if !mistakes.is_empty() {
                let named = mistakes.into_iter().map(|text| format!("device '{device}': {text}"));
                return Err(CreateError::BadParams(named.collect()).into());
            }
        }
        Ok(self.commands.create_batch(now, id, devices, ids, request, caller)?)
    }

    /// Begins no more rows of a batch.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn pause_batch(&mut self, now: Timestamp, id: &str) -> Result<Batch, BatchError> {
        self.commands.pause_batch(now, id)
    }

    /// Begins rows of a batch again.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn resume_batch(&mut self, now: Timestamp, id: &str) -> Result<Batch, BatchError> {
        self.commands.resume_batch(now, id)
    }

    /// Cancels what of a batch was not sent.
    ///
    /// # Errors
    /// [`BatchError`] where there is none, or it has ended.
    pub fn cancel_batch(
        &mut self,
        now: Timestamp,
        id: &str,
        user: &str,
    ) -> Result<Batch, BatchError> {
        self.commands.cancel_batch(now, id, user)
    }

    /// Cancels a command, or asks its device to.
    ///
    /// # Errors
    /// [`CancelError`] where there is nothing to cancel or nobody to ask.
    pub fn cancel(
        &mut self,
        now: Timestamp,
        id: CommandId,
        user: &str,
    ) -> Result<Command, CancelError> {
        self.commands.cancel(now, id, user)
    }

    /// The commands, to look at.
    #[must_use]
    pub fn commands(&self) -> &Commands {
        &self.commands
    }

    /// The types of devices that are described.
    #[must_use]
    pub fn types(&self) -> &DeviceTypes {
        &self.types
    }

    /// What the device's type finds wrong with a command.
    fn mistakes(
        &self,
        device: &DeviceId,
        request: &CommandRequest,
    ) -> Result<Vec<String>, CommandError> {
        let unknown = || CommandError::UnknownDevice(device.clone());
        let kind = self.devices.get(device).ok_or_else(unknown)?.kind.as_deref();
        let mut mistakes = self.types.mistakes(kind, &request.name, request.params.as_ref());
        if let Some(mapping) = self.mappings.of(kind) {
            mistakes.extend(mapping.check(device, request).err());
        }
        Ok(mistakes)
    }

    /// The devices that a batch names, each once, or describes.
    fn meant(
        &self,
        request: &BatchRequest,
        rights: &Rights,
    ) -> Result<Vec<DeviceId>, CommandError> {
        let BatchRequest { devices, kind, tag, .. } = request;
        let all = |takes: &dyn Fn(&devices::Record) -> bool| {
            let mut taken: Vec<_> =
                self.devices.iter().filter(|(_, record)| takes(record)).collect();
            taken.retain(|(id, _)| rights.may_see_of("commands", id));
            let mut ids: Vec<_> = taken.into_iter().map(|(id, _)| id.clone()).collect();
            ids.sort_unstable();
            ids
        };
        match (devices, kind, tag) {
            (Some(devices), None, None) => {
                let mut seen = HashSet::new();
                Ok(devices.iter().filter(|device| seen.insert(*device)).cloned().collect())
            }
            (None, Some(kind), None) => Ok(all(&|record| record.kind.as_ref() == Some(kind))),
            (None, None, Some(tag)) => Ok(all(&|record| record.has_tag(tag))),
            _ => {
                let why = "name the devices by exactly one of devices, type and tag".to_owned();
                Err(CreateError::Invalid(why).into())
            }
        }
    }

    /// Tells the commands how many of a device may be under way.
    pub(super) fn set_inflight(&mut self, now: Timestamp, device: &DeviceId) {
        let kind = self.devices.get(device).and_then(|record| record.kind.as_deref());
        self.commands.set_inflight(now, device, self.types.max_inflight(kind));
    }
}
