//! The core on a real store, whose database somebody else holds: what waits for it, and what does not.

use super::{Input, Outlet, Unanswered};
use crate::{
    app,
    config::Config,
    rhythm::{Cue, Rhythm},
    store::{Gathering, Order, Row, RowsWanted, StoreHandle, Table},
};
use bridge::{
    bridge::Bridge,
    command::book::Caller,
    data::{Data, Metrics},
    event::ConnectionId,
    ingest::Inbound,
    route::RouteTable,
};
use futures_util::poll;
use protocol::{CommandId, CommandState, DeviceId, Timestamp};
use rusqlite::Connection;
use std::{net::SocketAddr, pin::pin, sync::Arc};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinSet};

#[tokio::test]
async fn a_question_is_answered_though_what_changed_beside_it_is_not_stored() {
    let held = Held::new().await;
    let core = held.app.core();
    let mut change = pin!(core.change(a_command_expires));
    let mut question = pin!(core.ask(|bridge, _| bridge.devices().known()));
    assert!(poll!(&mut change).is_pending() && poll!(&mut question).is_pending());
    let _running = held.run();
    assert_eq!(question.await.expect("the core runs"), 1);
    let refused = change.await.expect_err("the database is held");
    assert!(matches!(refused, Unanswered::NotStored(_)), "{refused}");
}

#[tokio::test]
async fn who_waits_for_the_end_of_a_command_hears_of_it_when_it_is_stored_and_not_before() {
    let held = Held::new().await;
    let (core, id) = (held.app.core(), CommandId::from_u128(1));
    let mut change = pin!(core.change(a_command_expires));
    let mut end = pin!(core.end_of(id));
    assert!(poll!(&mut change).is_pending() && poll!(&mut end).is_pending());
    let running = held.run();
    change.await.expect_err("the database is held");
    assert!(poll!(&mut end).is_pending(), "it never was");
    running.let_go();
    core.change(a_command_expires).await.expect("the database is free again");
    let ended = end.await.expect("the core runs").expect("there is such a command");
    let ended = ended.command;
    assert_eq!((ended.id, ended.state), (id, CommandState::Expired));
}

#[tokio::test]
async fn what_a_message_says_is_stored_with_its_early_rows_where_the_others_are_still_to_come() {
    let held = Held::new().await;
    let (core, store) = (held.app.core(), held.app.store());
    let gathering = Gathering::new(store.clone());
    gathering.add_early(Row::set(Table::Session, "c", "early"));
    gathering.add(Row::set(Table::Session, "c", "rest"));
    let (receipt, stored) = oneshot::channel();
    let ingest = Input::Ingest {
        connection: ConnectionId(1),
        cue: Cue::Own,
        inbound: vec![a_reading()],
        receipt: Some(receipt),
        gathering: Some(gathering.clone()),
    };
    core.send(ingest).await.expect("there is room");
    let running = held.run();
    running.let_go();
    stored.await.expect("the database is free");
    assert_eq!(sessions(&store).await, ["early"]);
    drop(gathering);
    assert_eq!(sessions(&store).await, ["rest"]);
}

fn a_reading() -> Inbound {
    let data = Data::Metrics(Metrics::parse("{}").unwrap());
    let channel = "telemetry/d".parse().unwrap();
    Inbound::Update { channel, device: None, timestamp: None, data }
}

/// What the rows of sessions say.
async fn sessions(store: &StoreHandle) -> Vec<String> {
    let (from, order) = (String::new(), Order::Ascending);
    let wanted = RowsWanted { table: Table::Session, from, to: None, order, limit: 9 };
    let rows = store.rows(wanted).await.expect("the database is free");
    rows.into_iter().map(|(_, body)| String::from_utf8(body).unwrap()).collect()
}

/// The device `d` is there, and a command for it expires at once, for it is not receiving.
fn a_command_expires(bridge: &mut Bridge<Outlet>, now: Timestamp) {
    let device: DeviceId = "d".parse().unwrap();
    bridge.put_device(now, &device, None, Default::default()).unwrap();
    let request = serde_json::from_str(r#"{"name":"open","ttl_ms":0}"#).unwrap();
    let caller = Caller { user: "operator", key: None };
    bridge.command(now, CommandId::from_u128(1), &device, request, caller).unwrap();
}

/// A core that does not run yet, so that it takes all that is put into its queue in one round; and nothing can
/// be stored.
struct Held {
    app: app::App,
    other: Connection,
    folder: TempDir,
}

struct Running {
    other: Connection,
    _actor: JoinSet<()>,
    _folder: TempDir,
}

impl Held {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data_dir.0 = folder.path().into();
        config.mqtt.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        config.http.listen = config.mqtt.listen;
        let (routes, start) = (RouteTable::new(vec![]), app::Start::default());
        let app = app::App::bind(config, routes, start, Arc::new(Rhythm::default())).await;
        let app = app.unwrap();
        let other = Connection::open(folder.path().join("sluice.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        Self { app, other, folder }
    }

    fn run(self) -> Running {
        let Self { app, other, folder } = self;
        let mut actor = JoinSet::new();
        actor.spawn(app.run_core());
        Running { other, _actor: actor, _folder: folder }
    }
}

impl Running {
    /// The database can be written again.
    fn let_go(&self) {
        self.other.execute_batch("ROLLBACK").unwrap();
    }
}
