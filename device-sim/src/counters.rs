//! Live numbers of a running fleet, cheap to read at any time.

use crate::Outcome;
use protocol::DeviceId;
use std::{
    collections::BTreeMap,
    iter::Sum,
    sync::{Arc, Mutex, PoisonError},
};

/// The numbers of each device of a fleet. Cheap to clone; all clones show the same fleet.
#[derive(Clone, Debug)]
pub struct Counters {
    devices: Arc<BTreeMap<DeviceId, DeviceCounters>>,
}

impl Counters {
    pub(crate) fn new(ids: impl IntoIterator<Item = DeviceId>) -> Self {
        let devices = ids.into_iter().map(|id| (id, DeviceCounters::default())).collect();
        Self { devices: Arc::new(devices) }
    }

    /// How many devices there are.
    #[must_use]
    pub fn device_count(&self) -> usize {
        self.devices.len()
    }

    /// All devices together, now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.devices.values().map(DeviceCounters::read).sum()
    }

    /// One device, now; none if the fleet does not have it.
    #[must_use]
    pub fn device(&self, id: &DeviceId) -> Option<Totals> {
        self.devices.get(id).map(DeviceCounters::read)
    }

    /// The counters that a device writes.
    pub(crate) fn of(&self, id: &DeviceId) -> DeviceCounters {
        self.devices.get(id).cloned().unwrap_or_default()
    }
}

/// The numbers of one device, shared by its task and its readers.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceCounters(Arc<Mutex<Totals>>);

impl DeviceCounters {
    pub(crate) fn read(&self) -> Totals {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Numbers of a device, or of a fleet together. A reading is one update of telemetry,
        /// whether it is sent alone or in a batch.
        ///
        /// With QoS 1, and once a fleet has stopped, `readings` = `acknowledged` + `refused` +
        /// `dropped` + what is undelivered, and a receiver has seen each acknowledged reading at least once
        /// and no more than `published`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Sum for Totals {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Self::default(), |sum, one| Self { $($name: sum.$name + one.$name,)* })
            }
        }
    };
}

totals! {
    /// Devices with a connection now.
    connected,
    /// Readings measured.
    readings,
    /// Readings written to a connection; one that was sent again counts again.
    published,
    /// Readings whose PUBACK came; none with QoS 0.
    acknowledged,
    /// Readings that the broker refused for good (MQTT 5).
    refused,
    /// Readings that an outbox had no room for.
    dropped,
    /// Answers that a device had no room for.
    answers_dropped,
    /// Events that a device had no room for.
    events_dropped,
    /// PUBLISH packets of telemetry written; a batch is one.
    messages,
    /// Connections made, the first one too.
    connects,
    /// Connections made after a device's first.
    reconnects,
    /// Commands received, repeats too.
    commands,
    /// Commands received that had come before; not run again.
    repeats,
    /// Messages on a command topic that are no command.
    malformed,
    /// Commands done.
    succeeded,
    /// Commands failed by chaos.
    failed,
    /// Commands refused.
    rejected,
    /// Commands given up as asked.
    cancelled,
    /// Commands swallowed by chaos.
    silent,
    /// Commands still waiting or in hand at the end.
    unfinished,
}

impl Totals {
    /// Counts the end of a command.
    pub(crate) fn count(&mut self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Succeeded => &mut self.succeeded,
            Outcome::Failed => &mut self.failed,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::Silent => &mut self.silent,
            Outcome::Unfinished => &mut self.unfinished,
        };
        *counter += 1;
    }
}
