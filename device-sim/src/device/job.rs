//! The command that a device has in hand.

use protocol::{Delivery, Timestamp};

/// The command in hand.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) delivery: Delivery,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Chaos holds it back; it has not started.
    Held { until: Timestamp },
    /// The machine works on it; the progress told last, in percent.
    Working { told: f64 },
    /// New firmware is on its way; the progress told last, in percent.
    Loading { told: f64 },
    /// The device reboots.
    Restarting { until: Timestamp },
}

impl Job {
    /// Whether it can still be given up.
    pub(super) const fn can_stop(&self) -> bool {
        match self.stage {
            Stage::Held { .. } | Stage::Working { .. } | Stage::Loading { .. } => true,
            Stage::Restarting { .. } => false,
        }
    }

    /// Whether it has had any effect.
    pub(super) const fn has_begun(&self) -> bool {
        match self.stage {
            Stage::Held { .. } | Stage::Loading { .. } => false,
            Stage::Working { .. } | Stage::Restarting { .. } => true,
        }
    }
}
