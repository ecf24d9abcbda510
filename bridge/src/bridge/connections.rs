//! What happens on connections: devices come and go, receive, and acknowledge.

use super::{Bridge, channel};
use crate::{data::Data, devices::TooManyDevices, event::EdgeEvent, hub::Sink};
use protocol::{DeviceId, Presence, PresenceReason, Timestamp};

impl<S: Sink> Bridge<S> {
    /// Takes what happened on a device's connection.
    pub fn edge(&mut self, now: Timestamp, event: EdgeEvent) {
        match event {
            EdgeEvent::Attached { device, connection, address, protocol, took_over } => {
                let reason =
                    if took_over { PresenceReason::TakenOver } else { PresenceReason::Connected };
                let presence =
                    self.devices.attached(now, &device, connection, address, protocol, reason);
                match presence {
                    Ok(presence) => self.tell_presence(now, &device, &presence),
                    Err(TooManyDevices { .. }) => self.refused.devices += 1,
                }
            }
            EdgeEvent::Detached { device, connection, reason } => {
                if let Some(presence) = self.devices.detached(now, &device, connection, reason) {
                    self.tell_presence(now, &device, &presence);
                }
            }
            EdgeEvent::Receives { device, connection, own, cancels } => {
                // A device that a mapping serves is served by it alone.
                if self.mapping_of(&device).is_none() {
                    self.commands.receives(now, &device, connection, own, cancels);
                }
            }
            EdgeEvent::ReceivesNot { device, connection } => {
                if self.mapping_of(&device).is_none() {
                    self.commands.receives_not(now, &device, connection);
                }
            }
            EdgeEvent::Listens { connection, client, filters } => {
                self.listens(now, connection, client, filters);
            }
            EdgeEvent::Delivered { command, attempt, refused, .. } => {
                self.commands.delivered(now, command, attempt, refused);
                if refused.is_none() {
                    self.settle_by_delivery(now, command);
                }
            }
            EdgeEvent::HeldUp { command, attempt } => self.commands.held_up(now, command, attempt),
            EdgeEvent::Written { command, attempt } => {
                self.commands.written_after_all(now, command, attempt);
            }
            EdgeEvent::GivenBack { command, attempt } => {
                self.commands.given_back(now, command, attempt);
            }
            EdgeEvent::NotWritten { command, attempt, why } => {
                self.commands.not_written(now, command, attempt, why);
            }
        }
    }

    /// Looks for devices that fell silent, and for what lasted too long; call it about every second.
    pub fn look_for_silent(&mut self, now: Timestamp) {
        for (device, presence) in self.devices.silent(now) {
            self.tell_presence(now, &device, &presence);
        }
        self.devices.keep_seen();
        self.look_for_alerts(now);
    }

    /// The gateway stops in order, and all connections have ended: who was only heard is gone too, and when each device
    /// was last seen is kept. To say so again changes nothing.
    pub fn stop(&mut self, now: Timestamp) {
        for (device, presence) in self.devices.unheard(now) {
            self.tell_presence(now, &device, &presence);
        }
        self.devices.keep_all_seen();
    }

    pub(super) fn tell_presence(&mut self, now: Timestamp, device: &DeviceId, presence: &Presence) {
        self.publish(now, &channel("presence", device), Some(now), Data::of(presence));
        self.watch_presence(now, device, presence);
    }
}
