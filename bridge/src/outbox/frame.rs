//! A frame in the making: JSON messages as one array, telemetry as columns where the client speaks them.

use crate::{
    columns::{Added, Encoder},
    data::{Data, Metrics},
    update::{ChannelKind, Mark, Stamp, Update, write_update},
};
use protocol::TopicName;
use std::sync::Arc;

/// How a subscriber's frames are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Everything as text (`sluice.v1`).
    #[default]
    Json,
    /// Telemetry as binary columns (`sluice.v1.columns`).
    Columns,
}

/// What goes into one WebSocket message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A JSON array of messages.
    Text(String),
    /// Columns.
    Binary(Vec<u8>),
}

impl Frame {
    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// One thing to write.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// Messages as JSON, separated by commas.
    Text(String),
    /// A live update, whose text is shared.
    Update(Arc<Update>),
    /// What an update says, with its mark.
    Data { channel: TopicName, stamp: Stamp, data: Data, mark: Mark },
}

impl Item {
    pub(super) fn of(update: &Update, mark: Mark) -> Self {
        let Update { channel, stamp, data, .. } = update;
        Self::Data { channel: channel.clone(), stamp: *stamp, data: data.clone(), mark }
    }

    /// What goes into columns, where the item can.
    fn telemetry(&self) -> Option<(&TopicName, Stamp, &Metrics, Mark)> {
        let (channel, stamp, data, mark) = match self {
            Self::Text(_) => return None,
            Self::Update(update) => (&update.channel, update.stamp, &update.data, Mark::Live),
            Self::Data { channel, stamp, data, mark } => (channel, *stamp, data, *mark),
        };
        match data {
            Data::Metrics(metrics)
                if ChannelKind::of(channel.as_str()) == ChannelKind::Telemetry =>
            {
                Some((channel, stamp, metrics, mark))
            }
            Data::Metrics(_) | Data::Json(_) => None,
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Text(messages) => text.push_str(messages),
            Self::Update(update) => text.push_str(update.text()),
            Self::Data { channel, stamp, data, mark } => {
                write_update(text, channel.as_str(), *stamp, data, *mark);
            }
        }
    }
}

/// Whether all that is added must go into one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// It must: what does not go into columns together goes as text.
    Yes,
    /// It may be spread over frames.
    No,
}

/// Whether an item went into the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fits {
    Yes,
    /// It must begin the next.
    No,
}

/// The frame that is being written: text or columns, never both.
#[derive(Debug)]
pub(super) struct Draft {
    text: String,
    columns: Option<Encoder>,
    whole: Whole,
}

impl Draft {
    pub(super) fn new(encoding: Encoding) -> Self {
        let columns = match encoding {
            Encoding::Json => None,
            Encoding::Columns => Some(Encoder::default()),
        };
        Self { text: String::new(), columns, whole: Whole::No }
    }

    /// Begins a frame of about so many bytes.
    pub(super) fn begin(&mut self, bytes: usize, whole: Whole) {
        self.whole = whole;
        if self.columns.is_none() {
            self.text = String::with_capacity(bytes);
        }
    }

    /// About how long the frame is by now.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.columns.as_ref().map_or(0, Encoder::bytes)
    }

    /// Adds an item, unless it must begin the next frame.
    pub(super) fn add(&mut self, item: &Item) -> Fits {
        match (self.add_to_columns(item), self.whole) {
            (Added::Yes, _) => return Fits::Yes,
            (Added::NextFrame, Whole::No) => return Fits::No,
            (Added::NextFrame, Whole::Yes) => self.columns_to_text(),
            (Added::AsText, _) => {}
        }
        begin_message(&mut self.text);
        item.write(&mut self.text);
        Fits::Yes
    }

    fn columns_to_text(&mut self) {
        let Some(encoder) = &mut self.columns else { return };
        encoder.give_back(|channel, stamp, data, mark| {
            begin_message(&mut self.text);
            write_update(&mut self.text, channel.as_str(), stamp, &data, mark);
        });
    }

    fn add_to_columns(&mut self, item: &Item) -> Added {
        let Some(encoder) = &mut self.columns else { return Added::AsText };
        let has_columns = encoder.bytes() > 0;
        let added = match item.telemetry() {
            None => Added::AsText,
            Some(_) if !self.text.is_empty() => Added::NextFrame,
            Some((channel, stamp, metrics, mark)) => encoder.add(channel, stamp, metrics, mark),
        };
        match added {
            Added::AsText if has_columns => Added::NextFrame,
            Added::Yes | Added::NextFrame | Added::AsText => added,
        }
    }

    /// The frame; none where nothing was added.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        if !self.text.is_empty() {
            let mut text = std::mem::take(&mut self.text);
            text.push(']');
            return Some(Frame::Text(text));
        }
        let columns = self.columns.as_mut().filter(|columns| columns.bytes() > 0)?;
        Some(Frame::Binary(columns.take()))
    }
}

/// Opens the array, or goes on to its next message.
fn begin_message(text: &mut String) {
    text.push(if text.is_empty() { '[' } else { ',' });
}
