//! The real gateway, from outside: every test starts its own.

mod interop;
