//! The real gateway, from outside: every test starts its own.

mod cli;
mod commands;
mod http;
mod interop;
mod malformed;
mod presence;
mod process;
mod slow;
mod websocket;
