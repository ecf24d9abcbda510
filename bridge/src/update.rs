//! An update: what one channel said at one point of the gateway's order, encoded once for everybody.

use crate::data::{Data, push_json_text};
use protocol::{Offset, Seq, Timestamp, TopicName};
use std::sync::OnceLock;

/// One update of one channel.
#[derive(Clone, Debug)]
pub struct Update {
    /// The channel.
    pub channel: TopicName,
    /// What kind of channel it is.
    pub kind: ChannelKind,
    /// Its place in the order.
    pub stamp: Stamp,
    /// What it says.
    pub data: Data,
    /// About how long its text is.
    bytes: usize,
    /// Made when the first subscriber is written to; the others share it.
    text: OnceLock<String>,
}

/// What an update costs in memory beside its text and its data, which is about as long: itself, and who counts its
/// owners.
const OVERHEAD_BYTES: usize = 160;

/// Where an update stands in its channel, in the gateway and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Its number in the channel.
    pub seq: Seq,
    /// Its number in the gateway.
    pub offset: Offset,
    /// The device's time, else that of the arrival.
    pub timestamp: Timestamp,
}

/// What kind of channel it is; decides how a slow or modest subscriber may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// `telemetry/{device}`: conflates when slow; values merge by metric.
    Telemetry,
    /// `topics/{topic}`: takes options; its value is what memory has of it while somebody listens.
    Topics,
    /// `gateway/stats`: takes options.
    Stats,
    /// All others: each update comes whole, to everybody.
    Whole,
}

impl ChannelKind {
    /// Whether its updates are kept for good.
    #[must_use]
    pub fn is_kept(self) -> bool {
        match self {
            Self::Telemetry | Self::Whole => true,
            Self::Topics | Self::Stats => false,
        }
    }

    /// The kind of the channel with this name.
    #[must_use]
    pub fn of(channel: &str) -> Self {
        match channel.split_once('/') {
            Some(("telemetry", _)) => Self::Telemetry,
            Some(("topics", _)) => Self::Topics,
            Some(("gateway", "stats")) => Self::Stats,
            Some(_) | None => Self::Whole,
        }
    }
}

/// A mark on an update that is not live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Live: no mark.
    Live,
    /// The channel's value, not an update of it.
    Snapshot,
    /// Sent again, or later than its turn.
    Replayed,
}

impl Update {
    /// The update.
    #[must_use]
    pub fn new(channel: TopicName, kind: ChannelKind, stamp: Stamp, data: Data) -> Self {
        let bytes = FRAME_BYTES + channel.as_str().len() + data.text().len();
        Self { channel, kind, stamp, data, bytes, text: OnceLock::new() }
    }

    /// The message on the wire.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| {
            let mut text = String::with_capacity(self.bytes);
            write_update(&mut text, self.channel.as_str(), self.stamp, &self.data, Mark::Live);
            text
        })
    }

    /// About how long the message on the wire is.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        OVERHEAD_BYTES + 2 * self.bytes
    }
}

/// What the message of an update has beside its channel and its data.
const FRAME_BYTES: usize = 88;

/// Appends an update's message as protocol.md, section 3, writes it.
pub(crate) fn write_update(
    text: &mut String,
    channel: &str,
    stamp: Stamp,
    data: &Data,
    mark: Mark,
) {
    text.push_str(r#"{"channel":"#);
    push_json_text(text, channel);
    let mut digits = itoa::Buffer::new();
    text.push_str(r#","seq":"#);
    text.push_str(digits.format(stamp.seq.0));
    text.push_str(r#","offset":"#);
    text.push_str(digits.format(stamp.offset.0));
    text.push_str(r#","timestamp":"#);
    text.push_str(digits.format(stamp.timestamp.0));
    text.push_str(r#","data":"#);
    text.push_str(data.text());
    text.push_str(match mark {
        Mark::Live => "}",
        Mark::Snapshot => r#","snapshot":true}"#,
        Mark::Replayed => r#","replayed":true}"#,
    });
}
