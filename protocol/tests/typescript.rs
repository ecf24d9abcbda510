//! Writes the dashboard's types: `cargo test -p protocol --features typescript` fails where the
//! committed file differs, and writes it anew with `UPDATE=1`.
#![cfg(feature = "typescript")]

use protocol::{
    AbortAfter, AnswerError, Batch, BatchRequest, BatchState, ClientMessage, CloseCode, Command,
    CommandDetails, CommandFigures, CommandRequest, CommandState, CommandType, Cursor, Device,
    DeviceType, DryRun, Expect, GatewayStats, History, HistoryColumn, HistoryRequest, Limits, Mode,
    Operator, Page, Presence, PresenceReason, Problem, Reply, RequestId, ResetReason,
    ServerMessage, Status, StoreFigures, StoreState, SubscribeOptions, Transition, Update,
};
use std::{fmt::Write as _, path::Path};
use ts_rs::{Config, TS};

macro_rules! declarations {
    ($config:expr, $($name:ty),* $(,)?) => {
        [$((<$name>::docs(), <$name>::decl($config))),*]
    };
}

fn generated() -> String {
    let config = Config::default().with_large_int("number");
    let mut text = String::from("// Generated from the crate `protocol`; do not edit.\n");
    let aliases = ["DeviceId", "CommandId", "TopicName", "TopicFilter", "Actor"];
    let numbers = ["Timestamp", "Millis", "Seq", "Offset"];
    for (names, kind) in [(&aliases[..], "string"), (&numbers[..], "number")] {
        for name in names {
            writeln!(text, "\nexport type {name} = {kind};").expect("a String takes any text");
        }
    }
    for (docs, declaration) in declarations!(
        &config,
        RequestId,
        ClientMessage,
        SubscribeOptions,
        Mode,
        HistoryRequest,
        Cursor,
        ServerMessage,
        Update,
        Reply,
        History,
        HistoryColumn,
        ResetReason,
        Limits,
        Command,
        CommandDetails,
        CommandRequest,
        CommandState,
        Expect,
        Operator,
        DryRun,
        Transition,
        AnswerError,
        Batch,
        BatchRequest,
        BatchState,
        AbortAfter,
        DeviceType,
        CommandType,
        Presence,
        Status,
        PresenceReason,
        Device,
        Page<Device>,
        Problem,
        GatewayStats,
        CommandFigures,
        StoreFigures,
        StoreState,
    ) {
        let docs = docs.unwrap_or_default();
        write!(text, "\n{docs}export {declaration}\n").expect("a String takes any text");
    }
    text.push_str(
        "\n/** Close codes of the WebSocket: name to number. */\nexport const closeCodes = {\n",
    );
    for code in CloseCode::ALL {
        writeln!(text, "  {code:?}: {},", code.code()).expect("a String takes any text");
    }
    text.push_str("} as const;\n");
    text
}

#[test]
fn the_dashboards_types_are_those_of_the_protocol() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboard/src/generated/protocol.ts");
    let wanted = generated();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("the file has a folder"))
            .expect("the folder can be made");
        std::fs::write(&path, &wanted).expect("the file can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == wanted, "run: UPDATE=1 cargo test -p protocol --features typescript");
}
