//! Whether updates follow each other without a hole, over reconnects too.

use protocol::{Advance, Seq, SubscribeOptions, TopicFilter, TopicName, Update};
use std::collections::HashMap;

/// The most channels that are followed; those beyond are shown, but not checked for holes.
const CHANNELS_MAX: usize = 100_000;

/// The last number of each channel.
#[derive(Debug)]
pub(crate) struct Continuity {
    merges: bool,
    lagging: bool,
    epoch: Option<String>,
    last: HashMap<TopicName, Seq>,
}

impl Continuity {
    /// With these options a hole may be the merging that was asked for.
    pub(crate) fn new(options: &SubscribeOptions) -> Self {
        let merges = options.mode == Some(protocol::Mode::Latest) || options.throttle.is_some();
        Self { merges, lagging: false, epoch: None, last: HashMap::new() }
    }

    /// A connection stands. True where an earlier one had another epoch: its numbers are void.
    pub(crate) fn connected(&mut self, epoch: &str) -> bool {
        self.lagging = false;
        let before = self.epoch.replace(epoch.into());
        let changed = before.is_some_and(|before| before != epoch);
        if changed {
            self.last.clear();
        }
        changed
    }

    /// How `update` follows the one before on its channel.
    pub(crate) fn advance(&mut self, update: &Update) -> Advance {
        let advance = Advance::of(self.last.get(&update.channel).copied(), update.seq);
        match advance {
            Advance::Repeat => return Advance::Repeat,
            Advance::Next | Advance::Hole(_) => self.remember(update),
        }
        match advance {
            Advance::Hole(_) if self.merged(update.channel.as_str()) => Advance::Next,
            Advance::Hole(_) | Advance::Next | Advance::Repeat => advance,
        }
    }

    /// Continuity of these channels is lost; their values follow.
    pub(crate) fn reset(&mut self, channels: &[TopicFilter], epoch: &str) {
        self.epoch = Some(epoch.into());
        let concerned = |name: &TopicName| channels.iter().any(|c| c.matches(name.as_str()));
        self.last.retain(|name, _| !concerned(name));
    }

    /// While we lag, all telemetry is merged.
    pub(crate) fn lag(&mut self, on: bool) {
        self.lagging = on;
    }

    fn remember(&mut self, update: &Update) {
        if let Some(last) = self.last.get_mut(&update.channel) {
            *last = update.seq;
        } else if self.last.len() < CHANNELS_MAX {
            self.last.insert(update.channel.clone(), update.seq);
        }
    }

    /// Section 3 of the contract: the options apply to these channels, all others come whole.
    fn merged(&self, channel: &str) -> bool {
        let telemetry = channel.starts_with("telemetry/");
        let optional = telemetry || channel.starts_with("topics/") || channel == "gateway/stats";
        (self.merges && optional) || (self.lagging && telemetry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Mode, Offset, Timestamp};
    use serde_json::value::RawValue;

    fn update(channel: &str, seq: u64) -> Update {
        Update {
            channel: channel.parse().unwrap(),
            seq: Seq(seq),
            offset: Offset(seq),
            timestamp: Timestamp(0),
            data: RawValue::from_string("{}".into()).unwrap(),
            snapshot: false,
            replayed: false,
        }
    }

    fn every() -> Continuity {
        Continuity::new(&SubscribeOptions::default())
    }

    #[test]
    fn a_hole_is_seen_over_a_reconnect() {
        let mut continuity = every();
        assert!(!continuity.connected("a"));
        assert_eq!(continuity.advance(&update("telemetry/x", 5)), Advance::Next);
        assert!(!continuity.connected("a"));
        assert_eq!(continuity.advance(&update("telemetry/x", 9)), Advance::Hole(3));
        assert_eq!(continuity.advance(&update("telemetry/x", 9)), Advance::Repeat);
    }

    #[test]
    fn another_epoch_voids_the_numbers() {
        let mut continuity = every();
        continuity.connected("a");
        continuity.advance(&update("telemetry/x", 5));
        assert!(continuity.connected("b"));
        assert_eq!(continuity.advance(&update("telemetry/x", 1)), Advance::Next);
    }

    #[test]
    fn what_was_merged_on_request_is_no_hole() {
        let options = SubscribeOptions { mode: Some(Mode::Latest), ..Default::default() };
        let mut continuity = Continuity::new(&options);
        for (channel, after_hole) in [
            ("telemetry/x", Advance::Next),
            ("topics/a", Advance::Next),
            ("gateway/stats", Advance::Next),
            ("state/x", Advance::Hole(7)),
        ] {
            continuity.advance(&update(channel, 1));
            assert_eq!(continuity.advance(&update(channel, 9)), after_hole, "{channel}");
        }
    }

    #[test]
    fn lag_merges_telemetry_until_it_is_over() {
        let mut continuity = every();
        continuity.advance(&update("telemetry/x", 1));
        continuity.advance(&update("topics/a", 1));
        continuity.lag(true);
        assert_eq!(continuity.advance(&update("telemetry/x", 4)), Advance::Next);
        assert_eq!(continuity.advance(&update("topics/a", 4)), Advance::Hole(2));
        continuity.lag(false);
        assert_eq!(continuity.advance(&update("telemetry/x", 6)), Advance::Hole(1));
    }

    #[test]
    fn a_reset_forgets_the_channels_it_names() {
        let mut continuity = every();
        continuity.advance(&update("telemetry/x", 5));
        continuity.advance(&update("state/x", 5));
        continuity.reset(&["telemetry/+".parse().unwrap()], "a");
        assert_eq!(continuity.advance(&update("telemetry/x", 5)), Advance::Next);
        assert_eq!(continuity.advance(&update("state/x", 5)), Advance::Repeat);
    }
}
