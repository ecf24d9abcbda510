//! What a fleet did, told at its end.

use crate::{Kind, Totals};
use protocol::{CommandId, DeviceId};
use std::{collections::BTreeMap, fmt, time::Duration};

/// The commands that each device writes down; of more, the newest.
pub(crate) const RECORDS_MAX: usize = 1_000;

/// What a fleet did.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How long it ran.
    pub elapsed: Duration,
    /// All devices together.
    pub totals: Totals,
    /// Each device.
    pub devices: BTreeMap<DeviceId, DeviceSummary>,
    /// The commands that ended, by device and then in the order of their ends; of each device the
    /// newest 1,000.
    pub commands: Vec<CommandRecord>,
}

impl Summary {
    /// Why no device ever had a connection, if that is so; the failure of one of them.
    #[must_use]
    pub fn never_connected(&self) -> Option<&str> {
        if self.devices.values().any(|device| device.totals.connects > 0) {
            return None;
        }
        self.devices.values().find_map(|device| device.last_failure.as_deref())
    }
}

/// What a device did.
#[derive(Clone, Debug)]
pub struct DeviceSummary {
    /// What it is.
    pub kind: Kind,
    /// Its numbers.
    pub totals: Totals,
    /// Readings that were still in its outbox, or not acknowledged, at the end.
    pub undelivered: u64,
    /// Why its connection broke, or did not come about, the last time.
    pub last_failure: Option<String>,
}

/// A command that a device was given, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRecord {
    /// The device.
    pub device: DeviceId,
    /// The command.
    pub id: CommandId,
    /// What it asked for.
    pub name: String,
    /// The newest attempt that came before its end.
    pub attempt: u32,
    /// Whether it had any effect: at most one record of an id has.
    pub ran: bool,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a command ended at its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Done.
    Succeeded,
    /// Not done, by chaos.
    Failed,
    /// Refused: unknown, bad parameters, too late or too many.
    Rejected,
    /// Given up, as asked.
    Cancelled,
    /// Swallowed by chaos.
    Silent,
    /// Still waiting or in hand when the fleet stopped.
    Unfinished,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.totals;
        let undelivered: u64 = self.devices.values().map(|device| device.undelivered).sum();
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "{} devices ran for {seconds:.1} s", self.devices.len())?;
        writeln!(
            f,
            "readings: {} measured, {} published, {} acknowledged, {} refused, \
             {} dropped from the outbox, \
             {undelivered} undelivered",
            all.readings, all.published, all.acknowledged, all.refused, all.dropped
        )?;
        writeln!(f, "connections: {} made, {} of them again", all.connects, all.reconnects)?;
        write!(
            f,
            "commands: {} received ({} repeats, {} malformed), {} succeeded, {} failed, \
             {} rejected, {} cancelled, {} silent, {} unfinished",
            all.commands,
            all.repeats,
            all.malformed,
            all.succeeded,
            all.failed,
            all.rejected,
            all.cancelled,
            all.silent,
            all.unfinished
        )
    }
}
