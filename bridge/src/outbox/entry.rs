//! What waits in an outbox, one thing at a time, and how soon it is to be written.

use super::asked::Snapshot;
use crate::update::{ChannelKind, Update};
use protocol::TopicName;
use std::sync::Arc;

/// How soon what waits is to be written. In order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Haste {
    /// Live values, which follow each other in numbers: a frame may gather some.
    Gather,
    /// An answer, what was asked for, or something that happened.
    Urgent,
    /// Enough for a frame.
    Full,
}

#[derive(Debug)]
pub(super) enum Entry {
    /// A reply, encoded.
    Reply(String),
    /// An update, shared with the other subscribers.
    Update(Arc<Update>),
    /// An update of the past.
    Replay(Arc<Update>),
    /// A channel that overflowed: its reset, and its newest update of about so many bytes.
    Reset(TopicName, usize),
    /// The value of a channel.
    Snapshot(Box<Snapshot>),
    /// What the slot of this channel holds when it is written, if its ticket is still this one.
    Slot(TopicName, u64),
}

/// What the rest of an entry costs beside its text.
pub(super) const ENTRY_BYTES: usize = 64;

impl Entry {
    /// Whether it is not worth gathering.
    pub(super) fn is_urgent(&self) -> bool {
        match self {
            Self::Update(update) => update.kind == ChannelKind::Whole,
            Self::Reply(_) | Self::Replay(_) | Self::Reset(..) | Self::Snapshot(_) => true,
            Self::Slot(..) => false,
        }
    }

    /// About how much it counts for, in bytes: what a slot holds is counted there, and what snapshots count for in
    /// [`Asked`](super::asked::Asked).
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Reply(text) => ENTRY_BYTES + text.len(),
            Self::Update(update) | Self::Replay(update) => ENTRY_BYTES + update.bytes(),
            Self::Reset(_, bytes) => ENTRY_BYTES + bytes,
            Self::Slot(..) => ENTRY_BYTES,
            Self::Snapshot(_) => 0,
        }
    }
}
