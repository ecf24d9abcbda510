//! The store on real files, each in a directory of its own.

mod restoring;
mod support;
