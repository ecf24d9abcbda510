//! The store on real files, each in a directory of its own.

mod damage;
mod failing;
mod files;
mod pacing;
mod reading;
mod restoring;
mod retention;
pub(super) mod support;
