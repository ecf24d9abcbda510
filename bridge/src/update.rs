//! An update: what one channel said at one point of the gateway's order, encoded once for everybody.

use crate::data::{Data, push_json_text};
use protocol::{Offset, Seq, Timestamp, TopicName};

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
    text: String,
}

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
    /// `topics/{topic}`: takes options; keeps no value.
    Topics,
    /// `gateway/stats`: takes options.
    Stats,
    /// All others: each update comes whole, to everybody.
    Whole,
}

impl ChannelKind {
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
}

impl Update {
    /// The update, with its JSON made.
    #[must_use]
    pub fn new(channel: TopicName, kind: ChannelKind, stamp: Stamp, data: Data) -> Self {
        let mut text = String::with_capacity(192);
        write_update(&mut text, channel.as_str(), stamp, &data, Mark::Live);
        Self { channel, kind, stamp, data, text }
    }

    /// The message on the wire.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

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
    data.write(text);
    text.push_str(match mark {
        Mark::Live => "}",
        Mark::Snapshot => r#","snapshot":true}"#,
    });
}
