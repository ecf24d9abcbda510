//! The kinds of devices there are, by name.

use crate::model::{Machine, Pump, Thermostat, Tracker};
use rand::rngs::StdRng;
use std::{fmt, str::FromStr};

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A room with a heater.
    Thermostat,
    /// A centrifugal pump behind a valve.
    Pump,
    /// A vehicle on its round.
    Tracker,
}

impl Kind {
    /// Every kind, in the order in which a fleet takes turns.
    pub const ALL: [Self; 3] = [Self::Thermostat, Self::Pump, Self::Tracker];

    /// The name, as in `--types` and at the front of a device's id.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thermostat => "thermostat",
            Self::Pump => "pump",
            Self::Tracker => "tracker",
        }
    }

    /// A machine of this kind; the seeded randomness decides where it starts.
    pub(crate) fn machine(self, rng: &mut StdRng) -> Box<dyn Machine> {
        match self {
            Self::Thermostat => Box::new(Thermostat::new(rng)),
            Self::Pump => Box::new(Pump::new(rng)),
            Self::Tracker => Box::new(Tracker::new(rng)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A kind that does not exist, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadKind(String);

impl fmt::Display for BadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is not a type of device: use thermostat, pump or tracker", self.0)
    }
}

impl std::error::Error for BadKind {}

impl FromStr for Kind {
    type Err = BadKind;

    fn from_str(text: &str) -> Result<Self, BadKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| BadKind(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_others_refused() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("Pump".parse::<Kind>(), Err(BadKind("Pump".into())));
    }
}
