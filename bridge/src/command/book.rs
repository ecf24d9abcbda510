//! All commands: their order for each device, their batches, their deadlines, and who receives them.
//!
//! Drive it with what happened ([`Commands::create`], [`Commands::receives`], [`Commands::answer`] …)
//! and the time ([`Commands::tick`], at the latest at [`Commands::next_deadline`]). Then store what
//! [`Commands::take_rows`] gives, and when that is done do what [`Commands::take_effects`] said, in its
//! order: what changed is stored before it is sent or told. Where it could not be stored,
//! [`Commands::not_stored`] takes back what may be taken back.

mod batches;
mod create;
mod departing;
mod expecting;
mod happen;
mod keeping;
mod late;
mod pausing;
mod steps;

pub use expecting::Said;
pub use keeping::{Kept, KeptBatch, KeptCommand, Row, RowKind};

use super::{
    batch::Course,
    entry::{self, Entry},
    lane::Lane,
};
use crate::event::ConnectionId;
use ahash::{HashMap, HashSet};
use protocol::{
    Alert, Batch, BatchState, Command, CommandDetails, CommandFigures, CommandId, CommandRequest,
    CommandState, Delivery, DeviceId, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bounds of the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLimits {
    /// Commands of one device that have not ended.
    pub open_per_device: usize,
    /// Ended commands that are kept, the newest.
    pub ended_kept: usize,
    /// Bytes of a command's parameters, as JSON.
    pub params_bytes: usize,
    /// Bytes of a command's result, as JSON; and of its error.
    pub result_bytes: usize,
    /// Devices of one batch.
    pub batch_devices: usize,
    /// Batches that have not ended.
    pub batches_open: usize,
    /// Ended batches that are kept, the newest.
    pub batches_kept: usize,
}

/// Why a command or a batch was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// A field has a value it cannot have; names both.
    #[error("{0}")]
    Invalid(String),
    /// The parameters are not what the device's type says; each mistake names its field.
    #[error("{}", .0.join("; "))]
    BadParams(Vec<String>),
    /// The device has too many open commands.
    #[error("device '{device}' has {max} open commands already: wait for their end or cancel some")]
    TooMany {
        /// The device.
        device: DeviceId,
        /// The bound.
        max: usize,
    },
    /// Too many batches have not ended.
    #[error("{0} batches have not ended: wait for their end or cancel some")]
    TooManyBatches(usize),
    /// The key was used for another command.
    #[error("Idempotency-Key '{0}' was used for another command: take a new key for a new command")]
    KeyReused(String),
}

/// Who asks for a command, and by which mark it is recognised when it is asked for again.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The `Idempotency-Key`.
    pub key: Option<&'a str>,
}

/// Whether a caller asked for the same before, under the same key.
#[derive(Clone, Debug)]
pub enum Asked<'a, T> {
    /// It did, and got this.
    Before(T),
    /// It did not.
    FirstTime(FirstTime<'a>),
}

/// A caller who asks for the first time: only who looked whether it did before has one.
#[derive(Clone, Copy, Debug)]
pub struct FirstTime<'a>(Caller<'a>);

/// Why a command was not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CancelError {
    /// No such command.
    #[error("there is no command '{0}'")]
    Unknown(CommandId),
    /// It has ended.
    #[error("command '{0}' has ended already: it is {1}")]
    AlreadyFinal(CommandId, CommandState),
    /// Its device did not subscribe to the cancel topic, or is not connected.
    #[error(
        "the device of command '{0}' cannot be asked: it is away, or not subscribed to its cancel topic"
    )]
    DeviceCannotCancel(CommandId),
}

/// Why a batch was not paused, resumed or cancelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No such batch.
    #[error("there is no batch '{0}'")]
    Unknown(String),
    /// It has ended.
    #[error("batch '{0}' has ended already: it is {1}")]
    AlreadyFinal(String, BatchState),
}

/// What is to be done, in order, once what changed is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Tell this new command on `commands/{device}`, as of this time.
    Created(Timestamp, Box<CommandDetails>),
    /// Tell this command on `commands/{device}`, as of this time.
    Changed(Timestamp, Box<CommandDetails>),
    /// Tell this batch on `batches/{batch}`; its first time where it was just created.
    BatchChanged(Box<Batch>),
    /// Write it to its receiver.
    Send {
        /// The receiver's connection.
        connection: ConnectionId,
        /// The device.
        device: DeviceId,
        /// What the device gets.
        delivery: Box<Delivery>,
    },
    /// Ask the device to give a command up.
    AskCancel {
        /// The receiver's connection.
        connection: ConnectionId,
        /// The device.
        device: DeviceId,
        /// The command.
        command: CommandId,
    },
    /// Take back this attempt, which waits for its receiver's window, if it still does.
    Recall {
        /// To which connection it went.
        connection: ConnectionId,
        /// The command.
        command: CommandId,
        /// Which sending of it.
        attempt: u32,
    },
    /// The device was deleted: forget what was told of its commands.
    Forget(DeviceId),
    /// Tell this alert on `alerts/{severity}/{device}`, as of this time.
    AlertChanged(Timestamp, Box<Alert>),
}

/// Why a command was not written to the receiver's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// It is larger than the receiver's MQTT 5 Maximum Packet Size.
    TooLarge,
    /// The receiver does not read: what waits for it is at its bound.
    Full,
    /// No subscription of the receiver's takes it.
    NotSubscribed,
    /// The mapping of its device cannot say it any more.
    NotMapped,
}

impl Unwritten {
    /// For programs and for people.
    #[must_use]
    pub const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::TooLarge => (
                "too_large",
                "the command is larger than the Maximum Packet Size that its receiver takes",
            ),
            Self::Full => {
                ("receiver_full", "the receiver does not read: too much waits for it already")
            }
            Self::NotSubscribed => {
                ("not_subscribed", "the receiver is not subscribed to the topic of the command")
            }
            Self::NotMapped => {
                ("not_mapped", "the mapping of its device does not fit the command any more")
            }
        }
    }
}

/// What commands came to since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// As everybody is told.
    pub figures: CommandFigures,
    /// Results and errors of devices that were left out, as they were too large or too deep.
    pub results_too_large: u64,
    /// Refused by the gateway itself once they were to be written.
    pub unwritten: u64,
}

/// All commands.
#[derive(Debug)]
pub struct Commands {
    limits: CommandLimits,
    entries: BTreeMap<CommandId, Entry>,
    /// Boxed: most devices only have a receiver.
    lanes: HashMap<DeviceId, Box<Lane>>,
    /// How many may be under way, of devices that take more than one at a time.
    inflight: HashMap<DeviceId, usize>,
    deadlines: BTreeSet<(Timestamp, CommandId)>,
    ended: VecDeque<CommandId>,
    /// What was asked for under an `Idempotency-Key`, by user and key.
    keys: HashMap<(String, String), Target>,
    created: u64,
    batches: BTreeMap<String, Course>,
    /// Batches to be looked at when their rate allows.
    alarms: BTreeSet<(Timestamp, String)>,
    /// Batches whose rows changed.
    touched: BTreeSet<String>,
    ended_batches: VecDeque<String>,
    /// What timed out of each device, for as long as an answer that names no command may be to it.
    timed_out: HashMap<DeviceId, Vec<CommandId>>,
    /// Devices of whom something is expected.
    expecting: HashMap<DeviceId, Vec<CommandId>>,
    effects: Vec<Effect>,
    /// Commands whose row is to be stored, or removed where they are gone.
    dirty: HashSet<CommandId>,
    dirty_batches: HashSet<String>,
    sending: Sending,
    totals: Totals,
}

/// What a request under an `Idempotency-Key` came to.
#[derive(Debug)]
enum Target {
    Command(CommandId),
    Batch(String),
}

/// Whether commands are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Allowed,
    /// Nothing can be stored just now, and so nothing is sent.
    Held,
}

impl Commands {
    /// An empty book.
    #[must_use]
    pub fn new(limits: CommandLimits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            lanes: HashMap::default(),
            inflight: HashMap::default(),
            deadlines: BTreeSet::new(),
            ended: VecDeque::new(),
            keys: HashMap::default(),
            created: 0,
            batches: BTreeMap::new(),
            alarms: BTreeSet::new(),
            touched: BTreeSet::new(),
            ended_batches: VecDeque::new(),
            timed_out: HashMap::default(),
            expecting: HashMap::default(),
            effects: Vec::new(),
            dirty: HashSet::default(),
            dirty_batches: HashSet::default(),
            sending: Sending::Allowed,
            totals: Totals::default(),
        }
    }

    /// How many commands of a device may be sent and not ended; one keeps their order.
    pub fn set_inflight(&mut self, now: Timestamp, device: &DeviceId, most: usize) {
        if most <= 1 {
            self.inflight.remove(device);
        } else {
            self.inflight.insert(device.clone(), most);
            self.pump(now, device);
        }
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let command = self.deadlines.first().map(|(at, _)| *at);
        let batch = self.alarms.first().map(|(at, _)| *at);
        command.into_iter().chain(batch).min()
    }

    /// What is to be done since the last call, once what [`Self::take_rows`] gives is stored.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A command with its story.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<&CommandDetails> {
        self.entries.get(&id).map(|entry| &entry.details)
    }

    /// Commands, newest first, from the one created before `before` on.
    pub fn list(&self, before: Option<CommandId>) -> impl Iterator<Item = &Command> {
        let end = match before {
            Some(id) => std::ops::Bound::Excluded(id),
            None => std::ops::Bound::Unbounded,
        };
        let range = self.entries.range((std::ops::Bound::Unbounded, end));
        range.rev().map(|(_, entry)| &entry.details.command)
    }

    /// The commands of a device that are underway, oldest first.
    pub fn underway(&self, device: &DeviceId) -> impl Iterator<Item = &Command> {
        let ids = self.lanes.get(device).into_iter().flat_map(|lane| &lane.underway);
        ids.map(|id| &self.entries[id].details.command)
    }

    /// How many commands have not ended.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.entries.len() - self.ended.len()
    }

    /// What commands came to since the start.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = self.totals;
        totals.figures.batches_open = self.open_batches() as u64;
        totals
    }

    /// A batch.
    #[must_use]
    pub fn batch(&self, id: &str) -> Option<&Batch> {
        self.batches.get(id).map(|course| &course.status)
    }

    /// All batches.
    pub fn batches(&self) -> impl Iterator<Item = &Batch> {
        self.batches.values().map(|course| &course.status)
    }

    /// How many batches have not ended.
    #[must_use]
    pub fn open_batches(&self) -> usize {
        self.batches.len() - self.ended_batches.len()
    }

    /// The key of a request and what it was, for a command.
    fn key_of(asked: &entry::Asked) -> (String, String) {
        (asked.user.clone(), asked.key.clone())
    }
}

/// The request that a command or a batch was made from, as it is checked.
fn check(request: &CommandRequest, limits: &CommandLimits) -> Result<(), CreateError> {
    match create::check(request, limits) {
        mistakes if mistakes.is_empty() => Ok(()),
        mistakes => Err(CreateError::Invalid(mistakes.join("; "))),
    }
}

#[cfg(test)]
mod tests;
