//! What is expected of commands that succeeded: `verified` is what the device's own words show.

use super::Commands;
use protocol::{Actor, CommandId, DeviceId, Expect, Timestamp};
use serde_json::Value;

/// Where a device said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// In its telemetry.
    Telemetry,
    /// In its reported state.
    State,
}

impl Commands {
    /// Whether something is expected of the device.
    #[must_use]
    pub fn expects_of(&self, device: &DeviceId) -> bool {
        !self.expecting.is_empty() && self.expecting.contains_key(device)
    }

    /// The commands underway of which this is expected already.
    pub fn seen_underway(
        &self,
        device: &DeviceId,
        said: Said,
        value: impl Fn(&str) -> Option<Value>,
    ) -> Vec<CommandId> {
        let seen = |command: &&protocol::Command| {
            let expect = self.entries[&command.id].expect.as_ref();
            expect.is_some_and(|expect| {
                let found = named(expect, said).and_then(&value);
                found.is_some_and(|found| expect.op.holds(&found, &expect.value))
            })
        };
        self.written_underway(device).filter(seen).map(|command| command.id).collect()
    }

    /// A device said something, which counts as of its arrival: the device's clock may be wrong. `value` gives what it
    /// said of a metric, or of a member of its state.
    pub fn observe(
        &mut self,
        now: Timestamp,
        device: &DeviceId,
        said: Said,
        value: impl Fn(&str) -> Option<Value>,
    ) {
        let ids = self.expecting.get(device).cloned().unwrap_or_default();
        for id in ids {
            let Some(expect) = self.entries.get(&id).and_then(|entry| entry.expect.as_ref()) else {
                continue;
            };
            let Some(found) = named(expect, said).and_then(&value) else { continue };
            if expect.op.holds(&found, &expect.value) {
                let reason = format!("seen: {expect}, as it is {found}");
                self.verified(now, id, true, Actor::Device, reason);
            }
        }
    }

    /// What is expected was not seen in its time.
    pub(super) fn not_seen(&mut self, now: Timestamp, id: CommandId) {
        let expect = self.entries[&id].expect.as_ref();
        let what = expect.map(ToString::to_string).unwrap_or_default();
        self.verified(now, id, false, Actor::Timer, format!("not seen in time: {what}"));
    }

    fn verified(&mut self, now: Timestamp, id: CommandId, seen: bool, by: Actor, reason: String) {
        let entry = self.entries.get_mut(&id).expect("callers name a command they looked up");
        entry.details.command.verified = Some(seen);
        entry.verify_by = None;
        entry.note(now, by, reason);
        let device = entry.device().clone();
        self.expect_no_more(&device, id);
        self.set_deadline(id);
        self.changed(now, id);
    }

    pub(super) fn expect_no_more(&mut self, device: &DeviceId, id: CommandId) {
        if let Some(ids) = self.expecting.get_mut(device) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.expecting.remove(device);
            }
        }
    }
}

fn named(expect: &Expect, said: Said) -> Option<&str> {
    match said {
        Said::Telemetry => expect.metric.as_deref(),
        Said::State => expect.state.as_deref(),
    }
}
