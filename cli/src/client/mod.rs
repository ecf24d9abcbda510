//! A client of `/ws`: what docs/protocol.md, section 3, asks of one that misses nothing.
//!
//! [`Link`] is a subscription that outlives its connections: it resumes with `since` from what it has seen
//! whole, backs off as the close code says, and subscribes anew after a reset. [`Continuity`] judges what comes:
//! repeats are dropped, and a hole is asked for again with [`Link::replay`]. `session` is one connection,
//! `columns` reads its binary frames, `back_off` makes the waits between two. What it means is the callers' business.

mod back_off;
mod columns;
mod continuity;
mod link;
mod session;

pub(crate) use continuity::{Continuity, Span, Verdict};
pub(crate) use link::{Event, Link};
pub(crate) use session::{Broken, Encoding, Incoming, Said};
