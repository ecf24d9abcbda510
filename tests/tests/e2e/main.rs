//! The real gateway, from outside: every test starts its own.

mod alerts;
mod audit;
mod cli;
mod clients;
mod commands;
mod contracts;
mod desired;
mod durable;
mod golden;
mod history;
mod hostile;
mod http;
mod interop;
mod malformed;
mod mqtt_websocket;
mod presence;
mod process;
mod proxy;
mod resume;
mod slow;
mod sse;
mod store;
mod tls;
mod tokens;
mod websocket;
