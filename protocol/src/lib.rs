//! The wire of Sluice: everything that crosses a socket, as types.
//!
//! Owns names and shapes only: ids, topics and filters, WebSocket and HTTP messages, device payloads,
//! close codes. No behaviour beyond validation, and nothing but serde underneath. `bridge`, `gateway`,
//! `device-sim`, `cli` and the tests speak through these types; the dashboard's TypeScript is generated
//! from them. `docs/protocol.md` is the contract in words.

mod access;
mod alert;
mod ask;
mod audit;
mod batch;
mod close;
mod command;
mod device;
mod device_type;
mod expect;
mod history;
mod http;
mod id;
mod number;
mod object;
mod shadow;
mod tell;
mod topic;
pub mod topics;
mod value;
mod whole;

pub use access::{DevicePattern, Role, Session, SignIn};
pub use alert::{Alert, AlertFigures, AlertId, AlertState, BadAlertId, DeviceEvent, Severity};
pub use ask::{
    ClientMessage, Cursor, DecodeError, Mode, Refusal, RequestId, SubscribeOptions, read,
};
pub use audit::{AuditEntry, AuditParty};
pub use batch::{AbortAfter, Batch, BatchRequest, BatchState};
pub use close::{CloseCode, Retry};
pub use command::{
    Actor, Answer, AnswerError, AnswerStatus, Command, CommandDetails, CommandRequest,
    CommandState, Delivery, DryRun, Transition,
};
pub use device::{Presence, PresenceReason, Status};
pub use device_type::{CommandType, DeviceType};
pub use expect::{Expect, Operator};
pub use history::{History, HistoryColumn, HistoryRequest};
pub use http::{
    CommandFigures, Device, DeviceDescription, DevicePatch, GatewayStats, Page, Problem,
    StoreFigures, StoreState,
};
pub use id::{BadId, CommandId, DeviceId};
pub use number::{Millis, Offset, Seq, Timestamp};
pub use shadow::{Desired, DeviceState};
pub use tell::{Advance, Limits, Reply, ResetReason, ServerMessage, Update};
pub use topic::{BadTopic, TopicFilter, TopicName, levels};
pub use value::equal;

/// The HTTP API as an OpenAPI 3.1 document, in JSON.
pub const OPENAPI: &str = include_str!("../api/openapi.json");

/// The WebSocket and the MQTT topics as an AsyncAPI 3.0 document, in JSON.
pub const ASYNCAPI: &str = include_str!("../api/asyncapi.json");

/// The WebSocket subprotocol of `/ws`.
pub const SUBPROTOCOL: &str = "sluice.v1";

/// The same with telemetry as binary columns.
pub const SUBPROTOCOL_COLUMNS: &str = "sluice.v1.columns";
