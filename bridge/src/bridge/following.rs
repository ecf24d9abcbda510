//! What follows from decisions about commands: rows to keep, and what is told and sent once they are.

use super::{Bridge, channel};
use crate::{
    command::book::{Effect, Row},
    data::Data,
    event::ConnectionId,
    hub::Sink,
};
use protocol::{Batch, CommandDetails, CommandId, Delivery, DeviceId, Timestamp};

impl<S: Sink> Bridge<S> {
    /// What is to be kept of commands since the last call.
    pub fn take_command_rows(&mut self) -> Vec<Row> {
        self.commands.take_rows()
    }

    /// What is to be done since the last call, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = self.commands.take_effects();
        self.watch_commands(&effects);
        let untold = std::mem::take(&mut self.alerts_untold);
        let tell = |(at, alert)| Effect::AlertChanged(at, Box::new(alert));
        effects.extend(untold.into_iter().map(tell));
        effects
    }

    /// What was to happen could not be stored; gives what of it is still to happen once it is.
    pub fn not_stored(&mut self, now: Timestamp, effects: Vec<Effect>) -> Vec<Effect> {
        self.commands.not_stored(now, effects)
    }

    /// What is to happen can be stored (again).
    pub fn stored(&mut self, now: Timestamp) {
        self.commands.stored(now);
    }

    /// Tells a command as it was at `at`, once that is stored, to those who watch its device.
    pub fn announce(&mut self, now: Timestamp, at: Timestamp, details: &CommandDetails) {
        let device = &details.command.device;
        let channel = channel("commands", device);
        self.publish(now, &channel, Some(at), Data::of(&details.command));
        if self.devices.get(device).is_none() {
            self.hub.forget(&channel);
        }
    }

    /// Tells a batch, once it is stored, to those who watch it.
    pub fn announce_batch(&mut self, now: Timestamp, batch: &Batch) {
        self.publish(now, &channel("batches", &batch.id), Some(now), Data::of(batch));
    }

    /// Forgets what was told of the commands of a device that was deleted.
    pub fn forget_commands_of(&mut self, device: &DeviceId) {
        if self.devices.get(device).is_none() {
            self.hub.forget(&channel("commands", device));
        }
    }

    /// An attempt that is kept may be sent now, as `delivery` says then; false where it is no longer to be.
    pub fn departs(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        delivery: &mut Delivery,
    ) -> bool {
        self.commands.departs(now, connection, delivery)
    }

    /// An attempt is on its way: from now on what its device says may be an answer to it.
    pub fn written(&mut self, command: CommandId, attempt: u32) {
        self.commands.written(command, attempt);
    }
}
