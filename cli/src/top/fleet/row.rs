//! A device: its values, whether it is there, and how much it says.

use crate::text::compact;
use protocol::{Presence, Seq, Status, Timestamp, Update};
use serde_json::{Map, Value};

/// The weight of the newest second in a rate.
const NEWEST: f64 = 0.4;

/// A device.
#[derive(Debug, Default)]
pub(in crate::top) struct Row {
    pub(in crate::top) status: Option<Status>,
    pub(in crate::top) since: Option<Timestamp>,
    /// Its own time of its newest values.
    pub(in crate::top) seen: Option<Timestamp>,
    pub(in crate::top) values: Map<String, Value>,
    /// Updates a second.
    pub(in crate::top) rate: f64,
    /// Whether anything was told of it since the lists were asked for.
    pub(super) is_told: bool,
    seq: Option<Seq>,
    /// `seq` at the last tick.
    ticked: Option<Seq>,
}

impl Row {
    pub(in crate::top) fn is_online(&self) -> bool {
        self.status == Some(Status::Online)
    }

    pub(in crate::top) fn values(&self) -> String {
        if self.values.is_empty() {
            return "-".into();
        }
        compact(&Value::Object(self.values.clone()))
    }

    /// `seq` counts all updates of a channel, those that were merged away too: so it is what a rate is made of.
    pub(super) fn telemetry(&mut self, update: &Update) {
        if let Ok(values) = serde_json::from_str::<Map<String, Value>>(update.data.get()) {
            self.values.extend(values);
        }
        self.is_told = true;
        self.seen = Some(self.seen.map_or(update.timestamp, |seen| seen.max(update.timestamp)));
        self.seq = self.seq.max(Some(update.seq));
        if update.snapshot || self.ticked.is_none() {
            let before =
                if update.snapshot { update.seq } else { Seq(update.seq.0.saturating_sub(1)) };
            self.ticked = Some(before);
        }
    }

    pub(super) fn presence(&mut self, presence: &Presence) {
        self.is_told = true;
        (self.status, self.since) = (Some(presence.status), Some(presence.since));
    }

    pub(super) fn forget_telemetry(&mut self) {
        self.values.clear();
        (self.seen, self.seq, self.ticked) = (None, None, None);
    }

    pub(super) fn forget_presence(&mut self) {
        (self.status, self.since) = (None, None);
    }

    /// `seconds` have passed: its rate is made.
    pub(super) fn tick(&mut self, seconds: f64) {
        let (seq, ticked) = (self.seq.map_or(0, |seq| seq.0), self.ticked.map_or(0, |seq| seq.0));
        #[expect(clippy::cast_precision_loss, reason = "updates of a second are far below 2^52")]
        let newest = seq.saturating_sub(ticked) as f64 / seconds;
        self.rate =
            if self.rate == 0.0 { newest } else { self.rate + NEWEST * (newest - self.rate) };
        if self.rate < 0.05 {
            self.rate = 0.0;
        }
        self.ticked = self.seq;
    }
}
