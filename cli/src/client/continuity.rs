//! Whether updates follow each other without a hole, over reconnects too.

use protocol::{Advance, Seq, SubscribeOptions, TopicFilter, TopicName, Update};
use std::collections::HashMap;

/// The most channels that are followed; those beyond are shown, but not checked for holes.
const CHANNELS_MAX: usize = 100_000;

/// The most holes that wait to be filled; those beyond stay open.
const HOLES_MAX: usize = 1_000;

/// Numbers of a channel's updates, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Seq,
    pub(crate) to: Seq,
}

impl Span {
    /// How many updates it is.
    pub(crate) fn count(self) -> u64 {
        self.to.0 - self.from.0 + 1
    }
}

/// What to do with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is news.
    Take,
    /// It was seen before.
    Drop,
    /// It is news, and these before it are missing.
    Hole(Span),
}

/// The numbers of each channel.
#[derive(Debug)]
pub(crate) struct Continuity {
    merges: bool,
    lagging: bool,
    epoch: Option<String>,
    last: HashMap<TopicName, Seq>,
    /// What is missing and may still come.
    holes: Vec<(TopicName, Span)>,
}

impl Continuity {
    /// With these options a hole may be the merging that was asked for.
    pub(crate) fn new(options: &SubscribeOptions) -> Self {
        let merges = options.mode == Some(protocol::Mode::Latest) || options.throttle.is_some();
        let (last, holes) = (HashMap::new(), Vec::new());
        Self { merges, lagging: false, epoch: None, last, holes }
    }

    /// A connection stands. True where an earlier one had another epoch: its numbers are void.
    pub(crate) fn connected(&mut self, epoch: &str) -> bool {
        self.lagging = false;
        let before = self.epoch.replace(epoch.into());
        let changed = before.is_some_and(|before| before != epoch);
        if changed {
            self.last.clear();
            self.holes.clear();
        }
        changed
    }

    /// How `update` follows the one before on its channel.
    pub(crate) fn judge(&mut self, update: &Update) -> Verdict {
        let missing = match Advance::of(self.last.get(&update.channel).copied(), update.seq) {
            Advance::Repeat if update.replayed && self.fill(update) => return Verdict::Take,
            Advance::Repeat => return Verdict::Drop,
            Advance::Next => 0,
            Advance::Hole(missing) => missing,
        };
        self.remember(update);
        if missing == 0 || self.merged(update.channel.as_str()) {
            return Verdict::Take;
        }
        let (from, to) = (Seq(update.seq.0 - missing), Seq(update.seq.0 - 1));
        if self.holes.len() < HOLES_MAX {
            self.holes.push((update.channel.clone(), Span { from, to }));
        }
        Verdict::Hole(Span { from, to })
    }

    /// What is missing and may still come.
    pub(crate) fn holes(&self) -> Vec<(TopicName, Span)> {
        self.holes.clone()
    }

    /// Nothing more comes of a span: how many of it stay missing.
    pub(crate) fn give_up(&mut self, channel: &TopicName, span: Span) -> u64 {
        let inside = |(name, hole): &mut (TopicName, Span)| {
            name == channel && hole.from >= span.from && hole.to <= span.to
        };
        self.holes.extract_if(.., inside).map(|(_, hole)| hole.count()).sum()
    }

    /// Whether this number was missing; it is not any more.
    fn fill(&mut self, update: &Update) -> bool {
        let has = |(name, hole): &(TopicName, Span)| {
            *name == update.channel && (hole.from..=hole.to).contains(&update.seq)
        };
        let Some(place) = self.holes.iter().position(has) else { return false };
        let (channel, Span { from, to }) = self.holes.swap_remove(place);
        let before = (from.0 < update.seq.0).then(|| Span { from, to: Seq(update.seq.0 - 1) });
        let behind = (update.seq.0 < to.0).then(|| Span { from: Seq(update.seq.0 + 1), to });
        let rest = before.into_iter().chain(behind);
        self.holes.extend(rest.map(|span| (channel.clone(), span)));
        true
    }

    /// Continuity of these channels is lost; their values follow.
    pub(crate) fn reset(&mut self, channels: &[TopicFilter], epoch: &str) {
        self.epoch = Some(epoch.into());
        let concerned = |name: &TopicName| channels.iter().any(|c| c.matches(name.as_str()));
        self.last.retain(|name, _| !concerned(name));
        self.holes.retain(|(name, _)| !concerned(name));
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

    fn hole(from: u64, to: u64) -> Verdict {
        Verdict::Hole(Span { from: Seq(from), to: Seq(to) })
    }

    fn every() -> Continuity {
        Continuity::new(&SubscribeOptions::default())
    }

    #[test]
    fn a_hole_is_seen_over_a_reconnect() {
        let mut continuity = every();
        assert!(!continuity.connected("a"));
        assert_eq!(continuity.judge(&update("telemetry/x", 5)), Verdict::Take);
        assert!(!continuity.connected("a"));
        assert_eq!(continuity.judge(&update("telemetry/x", 9)), hole(6, 8));
        assert_eq!(continuity.judge(&update("telemetry/x", 9)), Verdict::Drop);
    }

    #[test]
    fn another_epoch_voids_the_numbers() {
        let mut continuity = every();
        continuity.connected("a");
        continuity.judge(&update("telemetry/x", 5));
        assert!(continuity.connected("b"));
        assert_eq!(continuity.judge(&update("telemetry/x", 1)), Verdict::Take);
    }

    #[test]
    fn what_was_merged_on_request_is_no_hole() {
        let options = SubscribeOptions { mode: Some(Mode::Latest), ..Default::default() };
        let mut continuity = Continuity::new(&options);
        for (channel, after_hole) in [
            ("telemetry/x", Verdict::Take),
            ("topics/a", Verdict::Take),
            ("gateway/stats", Verdict::Take),
            ("state/x", hole(2, 8)),
        ] {
            continuity.judge(&update(channel, 1));
            assert_eq!(continuity.judge(&update(channel, 9)), after_hole, "{channel}");
        }
    }

    #[test]
    fn lag_merges_telemetry_until_it_is_over() {
        let mut continuity = every();
        continuity.judge(&update("telemetry/x", 1));
        continuity.judge(&update("topics/a", 1));
        continuity.lag(true);
        assert_eq!(continuity.judge(&update("telemetry/x", 4)), Verdict::Take);
        assert_eq!(continuity.judge(&update("topics/a", 4)), hole(2, 3));
        continuity.lag(false);
        assert_eq!(continuity.judge(&update("telemetry/x", 6)), hole(5, 5));
    }

    #[test]
    fn a_reset_forgets_the_channels_it_names() {
        let mut continuity = every();
        continuity.judge(&update("telemetry/x", 5));
        continuity.judge(&update("state/x", 5));
        continuity.reset(&["telemetry/+".parse().unwrap()], "a");
        assert_eq!(continuity.judge(&update("telemetry/x", 5)), Verdict::Take);
        assert_eq!(continuity.judge(&update("state/x", 5)), Verdict::Drop);
    }

    #[test]
    fn what_is_replayed_fills_a_hole_once_and_the_rest_is_given_up() {
        let mut continuity = every();
        let replayed = |seq| Update { replayed: true, ..update("telemetry/x", seq) };
        continuity.judge(&update("telemetry/x", 1));
        assert_eq!(continuity.judge(&update("telemetry/x", 6)), hole(2, 5));
        assert_eq!(continuity.judge(&update("telemetry/x", 3)), Verdict::Drop, "not asked for");
        assert_eq!(continuity.judge(&replayed(3)), Verdict::Take);
        assert_eq!(continuity.judge(&replayed(3)), Verdict::Drop);
        assert_eq!(continuity.judge(&replayed(1)), Verdict::Drop);
        assert_eq!(continuity.judge(&replayed(5)), Verdict::Take);
        let left: u64 = continuity.holes().iter().map(|(_, span)| span.count()).sum();
        assert_eq!(left, 2);
        let whole = Span { from: Seq(2), to: Seq(5) };
        assert_eq!(continuity.give_up(&"telemetry/x".parse().unwrap(), whole), 2);
        assert_eq!(continuity.holes(), []);
        assert_eq!(continuity.judge(&update("telemetry/x", 7)), Verdict::Take);
    }
}
