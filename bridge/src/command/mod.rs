//! Commands: what an operator asks of a device, from acceptance to its end.
//!
//! [`machine`] is the pure function that says which state follows; [`book`] keeps all commands, their
//! order, their batches and their deadlines, and asks it.

mod batch;
pub mod book;
mod depth;
mod entry;
mod lane;
pub mod machine;

pub(crate) use depth::LEVELS_MAX;
