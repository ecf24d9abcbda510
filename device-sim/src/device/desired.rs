//! What the device is wanted to be: taken up after a while, as an installation does that has to look after
//! other things first; one in four takes its time.

use crate::model::Values;
use protocol::{Millis, Timestamp};
use rand::{RngExt, rngs::StdRng};

/// How long it usually takes, in milliseconds.
const SOON_MS: std::ops::Range<u64> = 500..3_000;
/// How long it takes at times.
const LATE_MS: std::ops::Range<u64> = 8_000..15_000;
/// So many are late, of all.
const LATE: f64 = 0.25;

/// What is desired.
#[derive(Debug, Default)]
pub(super) struct Desired {
    newest: Option<(u64, Values)>,
    /// When it is taken up, if it was not yet.
    due: Option<Timestamp>,
}

impl Desired {
    /// Takes note of a version; what was seen already (it is retained) changes nothing.
    pub(super) fn hear(&mut self, now: Timestamp, version: u64, values: Values, rng: &mut StdRng) {
        let news = Some((version, values));
        if self.newest == news {
            return;
        }
        self.newest = news;
        let wait = if rng.random_bool(LATE) { LATE_MS } else { SOON_MS };
        self.due = Some(now.plus(Millis(rng.random_range(wait))));
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// What is to be taken up now.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Values> {
        self.due.take_if(|due| now >= *due)?;
        self.newest.as_ref().map(|(_, values)| values.clone())
    }
}
