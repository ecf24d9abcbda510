//! Commands: what an operator asks of a device, from acceptance to its end.
//!
//! [`machine`] is the pure function that says which state follows; [`book`] keeps all commands, their
//! order and their deadlines, and asks it.

pub mod book;
mod entry;
mod lane;
pub mod machine;
