//! What of commands is stored, what is brought back after a restart, and what is taken back where it
//! could not be stored.

use super::{
    super::{batch::Course, entry::Entry, lane::Lane},
    Commands, Effect, Sending, Target,
};
use crate::command::entry::Release;
use protocol::{Batch, Command, CommandDetails, CommandId, CommandState, DeviceId, Timestamp};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What kind of row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowKind {
    /// A command.
    Command,
    /// A batch.
    Batch,
}

/// A row as it is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Of what kind.
    pub kind: RowKind,
    /// Its key among those of its kind.
    pub key: String,
    /// What it says, in JSON; none: it is to be removed.
    pub body: Option<String>,
}

/// What was stored, as it is read again.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    commands: Vec<KeptCommand>,
    batches: Vec<KeptBatch>,
    /// What was told last of each batch.
    pub told: HashMap<String, Batch>,
}

/// A command as it was stored.
#[derive(Clone, Debug)]
pub struct KeptCommand(Entry);

impl KeptCommand {
    /// Reads the body of its row; none: this program did not write it.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(Self)
    }
}

/// A batch as it was stored.
#[derive(Clone, Debug)]
pub struct KeptBatch(String, Course);

impl KeptBatch {
    /// Reads its row; none: this program did not write it.
    #[must_use]
    pub fn read(key: &str, body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok().map(|course| Self(key.into(), course))
    }
}

impl Kept {
    /// All that was read.
    #[must_use]
    pub fn of(commands: Vec<KeptCommand>, batches: Vec<KeptBatch>) -> Self {
        Self { commands, batches, told: HashMap::new() }
    }
}

impl Commands {
    /// What is to be stored since the last call, in one commit.
    pub fn take_rows(&mut self) -> Vec<Row> {
        let command = |id: CommandId| Row {
            kind: RowKind::Command,
            key: id.to_string(),
            body: self.entries.get(&id).map(json),
        };
        let mut rows: Vec<_> = self.dirty.drain().map(command).collect();
        let batch = |id: String| Row {
            kind: RowKind::Batch,
            body: self.batches.get(&id).map(json),
            key: id,
        };
        rows.extend(self.dirty_batches.drain().map(batch));
        rows
    }

    /// Brings back what was stored; `known` is shown each command as it was kept. Deadlines that passed meanwhile have
    /// their effect now; what was sent waits for its device.
    pub fn restore(&mut self, now: Timestamp, kept: Kept, mut known: impl FnMut(&CommandDetails)) {
        let mut told = kept.told;
        for KeptBatch(key, mut course) in kept.batches {
            course.told = told.remove(&key);
            self.created = self.created.max(course.ordinal);
            if let Some(asked) = &course.key {
                self.keys.insert(asked.clone(), Target::Batch(key.clone()));
            }
            self.batches.insert(key, course);
        }
        let mut entries: Vec<_> =
            kept.commands.into_iter().map(|KeptCommand(entry)| entry).collect();
        entries.iter().for_each(|entry| known(&entry.details));
        entries.sort_by_key(|entry| entry.ordinal);
        entries.into_iter().for_each(|entry| self.take_back(now, entry));
        self.order_ended();
        self.touched.extend(self.batches.keys().cloned());
        self.tick(now);
    }

    /// Tells what was stored and not told before the restart. `told` gives when a device's commands were
    /// told of last and what was said, of those that ever were; none where that is forgotten, with its device.
    pub fn tell_untold(&mut self, told: &HashMap<DeviceId, (Timestamp, Option<Command>)>) {
        let untold = |entry: &&Entry| match told.get(entry.device()) {
            None => true,
            Some((at, None)) => entry.changed_at > *at,
            Some((at, Some(last))) => entry.changed_at >= *at && *last != entry.details.command,
        };
        let mut entries: Vec<_> = self.entries.values().filter(untold).collect();
        entries.sort_by_key(|entry| entry.changed_at);
        let again = entries
            .into_iter()
            .map(|it| Effect::Changed(it.changed_at, Box::new(it.details.clone())));
        let again: Vec<_> = again.collect();
        // What the restart itself changed comes behind.
        self.effects.splice(0..0, again);
    }

    /// What changed could not be stored. Takes the effects that therefore did not happen, and gives those
    /// that are still to happen once it is. New commands and batches never were; what was to be sent is
    /// not sent yet, and nothing is sent until [`Self::stored`].
    pub fn not_stored(&mut self, now: Timestamp, effects: Vec<Effect>) -> Vec<Effect> {
        self.sending = Sending::Held;
        let (mut gone, mut unsent) = (HashSet::new(), HashSet::new());
        for effect in &effects {
            match effect {
                Effect::Created(_, details) => {
                    gone.insert(details.command.id);
                    self.undo(now, details.command.id);
                }
                Effect::Send { delivery, .. } => {
                    if self.unsend(delivery.id, delivery.attempt) {
                        unsent.insert(delivery.id);
                    }
                }
                Effect::Changed(..)
                | Effect::BatchChanged(_)
                | Effect::AskCancel { .. }
                | Effect::Recall { .. }
                | Effect::AlertChanged(..)
                | Effect::Forget(_) => {}
            }
        }
        let stays = |effect: &Effect| match effect {
            Effect::Created(..) | Effect::Send { .. } => false,
            // What still waits is recalled again.
            Effect::Recall { command, attempt, .. } => !self.is_held_up(*command, *attempt),
            Effect::Changed(_, details) => {
                let id = details.command.id;
                !gone.contains(&id) && !unsent.contains(&id)
            }
            Effect::BatchChanged(batch) => self.batches.contains_key(&batch.id),
            Effect::AskCancel { command, .. } => !gone.contains(command),
            Effect::Forget(_) | Effect::AlertChanged(..) => true,
        };
        let mut left: Vec<_> = effects.into_iter().filter(stays).collect();
        for id in unsent {
            if let Some(entry) = self.entries.get(&id) {
                left.push(Effect::Changed(entry.changed_at, Box::new(entry.details.clone())));
            }
        }
        left
    }

    /// What changed can be stored again: sending goes on.
    pub fn stored(&mut self, now: Timestamp) {
        if self.sending == Sending::Allowed {
            return;
        }
        self.sending = Sending::Allowed;
        let devices: Vec<_> = self.lanes.keys().cloned().collect();
        for device in devices {
            self.resend(now, &device);
            self.pump(now, &device);
        }
        self.tick(now);
    }

    fn take_back(&mut self, now: Timestamp, entry: Entry) {
        let id = entry.details.command.id;
        self.created = self.created.max(entry.ordinal);
        if let Some(asked) = &entry.asked {
            self.keys.insert(Self::key_of(asked), Target::Command(id));
        }
        let (state, place, release) = (entry.state(), entry.place(), entry.release);
        if let Some(batch) = &entry.details.command.batch
            && let Some(course) = self.batches.get_mut(batch)
        {
            course.take_back(id, state, release);
        }
        if !state.is_final() {
            let lane: &mut Lane = self.lanes.entry(entry.device().clone()).or_default();
            match release {
                Release::Held => drop(lane.held.insert(id)),
                Release::Free => lane.join(state, place),
            }
        }
        if entry.verify_by.is_some() {
            self.expecting.entry(entry.device().clone()).or_default().push(id);
        }
        self.entries.insert(id, entry);
        if state == CommandState::TimedOut {
            self.note_timed_out(now, id);
        }
        self.set_deadline(id);
    }

    /// Those that ended, in the order in which they are forgotten.
    fn order_ended(&mut self) {
        let ended = self.entries.values().filter(|entry| entry.state().is_final());
        let mut ended: Vec<_> = ended.map(|e| (e.changed_at, e.details.command.id)).collect();
        ended.sort_unstable();
        self.ended = ended.into_iter().map(|(_, id)| id).collect();
        let ended = self.batches.values().filter(|course| course.status.state.is_final());
        let by_age: BTreeMap<_, _> =
            ended.map(|course| (course.ordinal, course.status.id.clone())).collect();
        self.ended_batches = by_age.into_values().collect();
    }

    /// A command that was not stored never was; those it took the place of are there again.
    fn undo(&mut self, now: Timestamp, id: CommandId) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (device, place) = (entry.device().clone(), entry.place());
        let displaced = entry.displaced.clone();
        if let Some(batch) = entry.details.command.batch.clone() {
            self.ended_batches.retain(|known| *known != batch);
            self.remove_batch(&batch);
        }
        if let Some(lane) = self.lanes.get_mut(&device) {
            lane.leave(place);
        }
        self.ended.retain(|known| *known != id);
        self.totals.figures.created -= 1;
        self.remove(id);
        for older in displaced {
            let superseded = |entry: &&Entry| entry.state() == CommandState::Superseded;
            if self.entries.get(&older).filter(superseded).is_some() {
                self.ended.retain(|known| *known != older);
                let reason = "the command that took its place was not stored".to_owned();
                let by = protocol::Actor::Gateway;
                self.enter(now, older, CommandState::Queued, by, Some(reason));
            }
        }
        self.forget_lane(&device);
    }

    /// An attempt that was not stored is not sent; false where it is no longer the newest.
    pub(super) fn unsend(&mut self, id: CommandId, attempt: u32) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        let first = attempt == 1 && entry.state() == CommandState::Sent;
        if entry.details.command.attempt != attempt || entry.state().is_final() {
            return false;
        }
        entry.details.command.attempt -= 1;
        entry.sent_to = None;
        entry.waits_no_more();
        self.totals.figures.sent -= 1;
        self.dirty.insert(id);
        if first {
            entry.details.command.state = CommandState::Queued;
            entry.details.command.finish_by = None;
            if entry.details.transitions.last().is_some_and(|it| it.state == CommandState::Sent) {
                entry.details.transitions.pop();
            }
            let (place, device) = (entry.place(), entry.device().clone());
            if let Some(batch) = entry.details.command.batch.clone()
                && let Some(course) = self.batches.get_mut(&batch)
            {
                course.moved(CommandState::Sent, CommandState::Queued, Release::Free);
                self.touched.insert(batch);
            }
            let lane = self.lanes.entry(device).or_default();
            lane.leave(place);
            lane.join(CommandState::Queued, place);
            self.set_deadline(id);
        }
        true
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("commands have text keys and finite numbers")
}
