//! The compact encoding of telemetry (protocol.md, section 3, "Compact encoding"): updates of one frame as
//! typed columns, by the metrics that they have in common.
//!
//! [`Encoder`] lives as long as a connection, because channels and shapes are named once and numbered
//! from then on. The outbox adds updates while they fit into a frame and then takes it.

mod cell;
mod column;

use crate::{
    data::{Data, Metrics, push_json_text},
    update::{Mark, Stamp},
};
use ahash::HashMap;
use column::Column;
use protocol::TopicName;

/// The version in the header.
const VERSION: u8 = 1;

/// The header's length.
const HEADER_BYTES: usize = 24;

/// Shapes that one connection gets numbers for; updates with further ones are sent as text.
const SHAPES_MAX: usize = 4_096;

/// Metrics that an update may have; one with more is sent as text.
const METRICS_MAX: usize = 1_024;

/// What a row takes in a frame beside its metrics, and what a metric takes, about.
const ROW_BYTES: usize = 12;
const METRIC_BYTES: usize = 3;

/// A frame in the making, and what the client knows from frames before.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    channels: HashMap<TopicName, u32>,
    known: Vec<Known>,
    shapes: Vec<Shape>,
    shape_numbers: HashMap<Box<str>, u16>,
    frame: Frame,
}

/// What the encoder knows of a channel.
#[derive(Debug)]
struct Known {
    /// The shape of its newest update: the next is most likely alike.
    shape: u16,
    /// Where its rows are in the frame of this number.
    place: Option<(u64, usize)>,
}

/// Metrics that come together, in their order.
#[derive(Debug)]
struct Shape {
    /// Their names as JSON texts without the quotes.
    names: Box<[Box<str>]>,
}

#[derive(Debug, Default)]
struct Frame {
    number: u64,
    tables: Vec<Table>,
    bytes: usize,
    new_channels: Vec<TopicName>,
    new_shapes: Vec<u16>,
}

#[derive(Debug)]
struct Table {
    shape: u16,
    mark: Mark,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    channel: u32,
    name: TopicName,
    stamp: Stamp,
    metrics: Metrics,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Added {
    /// It is in the frame.
    Yes,
    /// Its channel is in another table of the frame: it begins the next frame.
    NextFrame,
    /// It has a shape that cannot be numbered: send it as text.
    AsText,
}

impl Encoder {
    /// About how long the frame is by now; 0: it is empty.
    pub(crate) fn bytes(&self) -> usize {
        self.frame.bytes
    }

    /// Adds an update to the frame.
    pub(crate) fn add(
        &mut self,
        channel: &TopicName,
        stamp: Stamp,
        metrics: &Metrics,
        mark: Mark,
    ) -> Added {
        let number = self.channel(channel);
        let Some(shape) = self.shape(number, metrics) else { return Added::AsText };
        let Some(table) = self.table(number, shape, mark) else { return Added::NextFrame };
        self.frame.bytes += ROW_BYTES + METRIC_BYTES * self.metrics_of(shape);
        let (name, metrics) = (channel.clone(), metrics.clone());
        let row = Row { channel: number, name, stamp, metrics };
        self.frame.tables.get_mut(table).expect("just found or made").rows.push(row);
        Added::Yes
    }

    /// The frame, and begins the next.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let number = self.frame.number + 1;
        let mut frame = std::mem::replace(&mut self.frame, Frame { number, ..Frame::default() });
        let mut bytes = Vec::with_capacity(frame.bytes + 1_024);
        let dictionary = self.dictionary(&frame);
        let base = Base::of(&frame.tables);
        let tables =
            u16::try_from(frame.tables.len()).expect("no more tables than shapes and marks");
        bytes.extend([VERSION, 0]);
        bytes.extend(tables.to_le_bytes());
        bytes.extend(length(dictionary.len()).to_le_bytes());
        bytes.extend(as_f64(base.offset).to_le_bytes());
        bytes.extend(as_f64(base.timestamp).to_le_bytes());
        debug_assert_eq!(bytes.len(), HEADER_BYTES, "as the contract says");
        bytes.extend(dictionary.as_bytes());
        column::fill_up(&mut bytes);
        for table in &mut frame.tables {
            table.write(&mut bytes, base, self.metrics_of(table.shape));
        }
        bytes
    }

    /// Gives back what was added to the frame, in the order of offsets; the frame is empty then.
    pub(crate) fn give_back(&mut self, mut take: impl FnMut(&TopicName, Stamp, Data, Mark)) {
        self.frame.number += 1;
        self.frame.bytes = 0;
        let tables = std::mem::take(&mut self.frame.tables);
        let rows = |table: Table| table.rows.into_iter().map(move |row| (row, table.mark));
        let mut rows: Vec<_> = tables.into_iter().flat_map(rows).collect();
        rows.sort_by_key(|(row, _)| row.stamp.offset);
        for (row, mark) in rows {
            take(&row.name, row.stamp, Data::Metrics(row.metrics), mark);
        }
    }

    /// How many metrics a shape has.
    fn metrics_of(&self, shape: u16) -> usize {
        self.shapes.get(usize::from(shape)).map_or(0, |shape| shape.names.len())
    }

    fn channel(&mut self, channel: &TopicName) -> u32 {
        if let Some(number) = self.channels.get(channel) {
            return *number;
        }
        let number = length(self.known.len());
        self.channels.insert(channel.clone(), number);
        self.known.push(Known { shape: 0, place: None });
        self.frame.new_channels.push(channel.clone());
        number
    }

    /// The number of the shape of `metrics`; none where it cannot have one.
    fn shape(&mut self, channel: u32, metrics: &Metrics) -> Option<u16> {
        let known = self.known.get_mut(channel as usize)?;
        let likely = self.shapes.get(usize::from(known.shape));
        if likely.is_some_and(|shape| shape.fits(metrics)) {
            return Some(known.shape);
        }
        let key = names(metrics.names());
        let number = match self.shape_numbers.get(key.as_str()) {
            Some(number) => *number,
            None if self.shapes.len() >= SHAPES_MAX || metrics.count() > METRICS_MAX => {
                return None;
            }
            None => {
                let number = u16::try_from(self.shapes.len()).expect("bounded above");
                self.shapes.push(Shape { names: metrics.names().map(Into::into).collect() });
                self.shape_numbers.insert(key.into(), number);
                self.frame.new_shapes.push(number);
                number
            }
        };
        known.shape = number;
        Some(number)
    }

    /// The table for a channel's update; none where the channel is in another one of this frame.
    fn table(&mut self, channel: u32, shape: u16, mark: Mark) -> Option<usize> {
        let known = self.known.get_mut(channel as usize)?;
        let fits = |table: &Table| table.shape == shape && table.mark == mark;
        if let Some((number, place)) = known.place
            && number == self.frame.number
        {
            return self.frame.tables.get(place).is_some_and(fits).then_some(place);
        }
        let place = self.frame.tables.iter().position(fits).unwrap_or_else(|| {
            self.frame.tables.push(Table { shape, mark, rows: Vec::new() });
            self.frame.tables.len() - 1
        });
        known.place = Some((self.frame.number, place));
        Some(place)
    }

    fn dictionary(&self, frame: &Frame) -> String {
        if frame.new_channels.is_empty() && frame.new_shapes.is_empty() {
            return String::new();
        }
        let mut text = String::from(r#"{"channels":["#);
        for (index, channel) in frame.new_channels.iter().enumerate() {
            text.push_str(if index == 0 { "" } else { "," });
            push_json_text(&mut text, channel.as_str());
        }
        text.push_str(r#"],"shapes":["#);
        for (index, number) in frame.new_shapes.iter().enumerate() {
            let shape = self.shapes.get(usize::from(*number)).expect("numbered when it was made");
            text.push_str(if index == 0 { "[" } else { ",[" });
            text.push_str(&names(shape.names.iter().map(|name| &**name)));
            text.push(']');
        }
        text.push_str("]}");
        text
    }
}

impl Shape {
    fn fits(&self, metrics: &Metrics) -> bool {
        self.names.iter().map(|name| &**name).eq(metrics.names())
    }
}

/// What offsets and times of a frame are told as a distance from.
#[derive(Clone, Copy, Debug)]
struct Base {
    offset: u64,
    timestamp: u64,
}

impl Base {
    fn of(tables: &[Table]) -> Self {
        let stamps = || tables.iter().flat_map(|table| &table.rows).map(|row| row.stamp);
        Self {
            offset: stamps().map(|stamp| stamp.offset.0).min().unwrap_or(0),
            timestamp: stamps().map(time).min().unwrap_or(0),
        }
    }
}

/// Times are never negative: a device's own is checked, and the clock is after 1970.
fn time(stamp: Stamp) -> u64 {
    u64::try_from(stamp.timestamp.0).unwrap_or(0)
}

impl Table {
    fn write(&mut self, bytes: &mut Vec<u8>, base: Base, metrics: usize) {
        self.rows.sort_by_key(|row| row.stamp.offset);
        bytes.extend(length(self.rows.len()).to_le_bytes());
        bytes.extend(self.shape.to_le_bytes());
        bytes.extend([self.mark.number(), 0]);
        let rows = || self.rows.iter();
        Column::numbers(rows().map(|row| u64::from(row.channel))).write(bytes);
        Column::numbers(rows().map(|row| row.stamp.seq.0)).write(bytes);
        Column::numbers(rows().map(|row| row.stamp.offset.0 - base.offset)).write(bytes);
        Column::numbers(rows().map(|row| time(row.stamp) - base.timestamp)).write(bytes);
        let values: Vec<_> =
            rows().flat_map(|row| row.metrics.iter().map(|(_, value)| value)).collect();
        for metric in 0..metrics {
            Column::values(values.iter().skip(metric).step_by(metrics).copied()).write(bytes);
        }
    }
}

impl Mark {
    fn number(self) -> u8 {
        match self {
            Self::Live => 0,
            Self::Snapshot => 1,
            Self::Replayed => 2,
        }
    }
}

/// Names as the inside of a JSON array.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for name in names {
        text.push_str(if text.is_empty() { "\"" } else { ",\"" });
        text.push_str(name);
        text.push('"');
    }
    text
}

/// Lengths and counts of one frame.
fn length(length: usize) -> u32 {
    u32::try_from(length).expect("a frame and a dictionary are far below 4 GiB")
}

#[expect(clippy::cast_precision_loss, reason = "offsets and times stay below 2^53")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests;
