//! Devices that know only their own topics: who receives their commands, and what they say.

use super::{Bridge, hearing::Admit};
use crate::{
    command::book::Said,
    event::ConnectionId,
    hub::Sink,
    mapping::{Listener, Mapped, Reach, Rendered, Settles, Spoken, Word},
};
use protocol::{
    Command, CommandDetails, CommandId, CommandState, Delivery, DeviceId, Timestamp, TopicFilter,
};
use serde_json::Value;
use std::collections::BTreeSet;

impl<S: Sink> Bridge<S> {
    /// What is sent to the device in its own way; none: it takes commands as they are.
    #[must_use]
    pub fn rendered(
        &self,
        device: &DeviceId,
        delivery: &Delivery,
    ) -> Option<Result<Rendered, String>> {
        Some(self.mapping_of(device)?.render(device, delivery))
    }

    pub(super) fn mapping_of(&self, device: &DeviceId) -> Option<Mapped<'_>> {
        if self.mappings.is_empty() {
            return None;
        }
        self.mappings.of(self.devices.get(device)?.kind.as_deref())
    }

    /// A connection listens to topics like those of mapped devices' commands, or no longer.
    pub(super) fn listens(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        client: String,
        filters: Vec<TopicFilter>,
    ) {
        let before = self.listeners.get(connection);
        let before = before.map(|known| self.mappings.reaches(&known.filters)).unwrap_or_default();
        let reaches = self.mappings.reaches(&filters);
        self.listeners.set(connection, Listener { client, filters }, &reaches);
        for device in self.reached(before.iter().chain(&reaches)) {
            self.set_receiver(now, &device, connection);
        }
    }

    fn reached<'a>(&self, reaches: impl Iterator<Item = &'a Reach>) -> BTreeSet<DeviceId> {
        let mut reached = BTreeSet::new();
        let mut many = false;
        for reach in reaches {
            match reach {
                Reach::Nobody => {}
                Reach::One(device) => drop(reached.insert(device.clone())),
                Reach::Many => many = true,
            }
        }
        if many {
            let all = self.devices.iter().map(|(device, _)| device);
            reached.extend(all.filter(|device| self.mapping_of(device).is_some()).cloned());
        }
        reached
    }

    /// A device's type was set: whether it has a mapping may have changed.
    pub(super) fn map_anew(&mut self, now: Timestamp, device: &DeviceId, before: Option<&str>) {
        let kind = self.devices.get(device).and_then(|record| record.kind.as_deref());
        if self.mappings.is_empty() || kind == before {
            return;
        }
        let is_mapped = self.mappings.of(kind).is_some();
        if is_mapped || self.mappings.of(before).is_some() {
            self.commands.receives_nowhere(now, device);
        }
        if is_mapped {
            for connection in self.listeners.of(device) {
                self.set_receiver(now, device, connection);
            }
        }
    }

    fn set_receiver(&mut self, now: Timestamp, device: &DeviceId, connection: ConnectionId) {
        let Some(mapping) = self.mapping_of(device) else { return };
        let listener = self.listeners.get(connection);
        let listener = listener.filter(|listener| mapping.is_received_by(device, listener));
        let own = listener.map(|listener| listener.client == device.as_str());
        match own {
            Some(own) if !self.commands.is_receiver(device, connection) => {
                self.commands.receives(now, device, connection, own, false);
            }
            Some(_) => {}
            None => self.commands.receives_not(now, device, connection),
        }
    }

    /// A device said something in its own way; `admit` decides whether it may be there.
    pub(super) fn mapped(
        &mut self,
        now: Timestamp,
        spoken: &Spoken,
        payload: &Value,
        admit: Admit<S>,
    ) {
        if let Some(device) = &spoken.device {
            match self.word_of(device, spoken, payload) {
                Word::Neither => return,
                Word::Gone => return self.gone(now, device),
                Word::Here => {
                    if !admit(self, now, device) {
                        return;
                    }
                    self.adopt(now, device, spoken);
                }
            }
        }
        match self.mappings.named(spoken, payload) {
            Some(command) => self.answered_by_id(now, spoken, payload, command, admit),
            None => self.answered_in_turn(now, spoken, payload),
        }
    }

    /// What a message says of whether its device is there, to the mapping of its type or of the one that it would get.
    fn word_of(&self, device: &DeviceId, spoken: &Spoken, payload: &Value) -> Word {
        let kind = self.devices.get(device).and_then(|record| record.kind.as_deref());
        let mapping = self.mappings.of(kind.or_else(|| self.mappings.kind_of(spoken)));
        mapping.map_or(Word::Here, |mapping| mapping.word(spoken, payload))
    }

    fn gone(&mut self, now: Timestamp, device: &DeviceId) {
        if let Some(presence) = self.devices.gone(now, device) {
            self.tell_presence(now, device, &presence);
        }
    }

    /// A device without a type gets that of the mapping whose topics it uses.
    fn adopt(&mut self, now: Timestamp, device: &DeviceId, spoken: &Spoken) {
        let Some(kind) = self.mappings.kind_of(spoken) else { return };
        if self.devices.adopt(device, kind) {
            self.watch_kind(now, device);
            self.set_inflight(now, device);
            self.map_anew(now, device, None);
        }
    }

    fn answered_by_id(
        &mut self,
        now: Timestamp,
        spoken: &Spoken,
        payload: &Value,
        id: CommandId,
        admit: Admit<S>,
    ) {
        let sent = |details: &&CommandDetails| details.command.attempt > 0;
        let command = self.commands.get(id).filter(sent).map(|details| &details.command);
        let own = |command: &&Command| {
            spoken.device.as_ref().is_none_or(|device| *device == command.device)
        };
        let found = command.filter(own).and_then(|command| {
            let mapping = self.mapping_of(&command.device)?;
            Some((command.device.clone(), mapping.answer(spoken, payload, command, true)?))
        });
        match found {
            Some((device, answer)) => {
                if admit(self, now, &device) {
                    self.commands.answer(now, &device, id, &answer);
                }
            }
            None => self.refused.answers += 1,
        }
    }

    /// Without an id it is to the oldest command that waits for an answer and fits: what timed out just before may be
    /// answered late, and that is not the next one's.
    fn answered_in_turn(&mut self, now: Timestamp, spoken: &Spoken, payload: &Value) {
        let Some(device) = &spoken.device else { return };
        let Some(mapping) = self.mapping_of(device) else { return };
        let found = self.commands.unanswered(now, device).find_map(|command| {
            Some((command.id, mapping.answer(spoken, payload, command, false)?))
        });
        if let Some((id, answer)) = found {
            self.commands.answer(now, device, id, &answer);
        }
    }

    /// The receiver's PUBACK came: of a device that answers nothing it is all there will be.
    pub(super) fn settle_by_delivery(&mut self, now: Timestamp, id: CommandId) {
        let Some(details) = self.commands.get(id) else { return };
        let Command { state, device, name, .. } = &details.command;
        if *state == CommandState::Delivered && self.answers_nothing(device, name) {
            let why = "its device answers nothing: what counts is the PUBACK".to_owned();
            self.commands.settle_unanswered(now, id, why);
        }
    }

    /// A device that answers nothing said what was expected: the command is done.
    pub(super) fn settle_by_expectation(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        said: Said,
        value: impl Fn(&str) -> Option<Value>,
    ) {
        for id in self.commands.seen_underway(device, said, value) {
            let name = self.commands.get(id).map(|details| &details.command.name);
            if name.is_some_and(|name| self.answers_nothing(device, name)) {
                let why = "its device answers nothing: what counts is what was seen".to_owned();
                self.commands.settle_unanswered(now, id, why);
            }
        }
    }

    fn answers_nothing(&self, device: &DeviceId, name: &str) -> bool {
        self.mapping_of(device).is_some_and(|mapping| mapping.settles(name) == Settles::Delivery)
    }
}
