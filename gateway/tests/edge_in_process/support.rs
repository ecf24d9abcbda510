//! A running edge, a core that notes, and peers of bare sockets.

use super::packets::{Connect, PINGREQ, PINGRESP, client};
use bridge::{event::EdgeEvent, ingest::Inbound};
use gateway::{
    arrival::Listeners,
    auth::{Auth, Brought, Gate},
    config::Config,
    core::{Core, Downlink, Input, Inputs},
    edge::{Counters, Door, Edge, Past, Topics},
    exchange::{Exchange, Interest, Keeping, Message, Properties, Settings},
    mailbox::Sender,
    store::{self, Database, Order, RowsWanted, Table},
};
use protocol::Offset;
use std::{future::Future, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Longer than anything takes, shorter than anybody waits.
const DEADLINE: Duration = Duration::from_secs(10);

/// No bytes.
pub(crate) const NOTHING: [u8; 0] = [];

/// `future` under the deadline of all tests.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it happens before the deadline")
}

/// A running edge; ends with the test.
pub(crate) struct TestEdge {
    pub(crate) address: SocketAddr,
    pub(crate) counters: Arc<Counters>,
    pub(crate) exchange: Exchange,
    door: Door,
    inputs: Inputs,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// The exchange, and the core that forgets.
    others: JoinSet<()>,
    /// None once it is closed.
    database: Option<Database>,
    folder: Arc<TempDir>,
    config: Config,
}

impl TestEdge {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With a changed configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.mqtt.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        change(&mut config);
        Self::on(config, Arc::new(TempDir::new().unwrap()), None).await
    }

    /// With credentials that are there before it starts.
    pub(crate) async fn knowing(
        credentials: impl FnOnce(&Path),
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let folder = Arc::new(TempDir::new().unwrap());
        credentials(folder.path());
        let mut config = Config::default();
        config.mqtt.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        change(&mut config);
        Self::on(config, folder, None).await
    }

    /// On what another one left. `early` comes in as over a WebSocket, before the edge runs.
    async fn on(config: Config, folder: Arc<TempDir>, early: Option<DuplexStream>) -> Self {
        let settings = store::Settings::new(folder.path().into());
        let (database, mut restored) = store::open(settings).unwrap();
        let past = Past {
            store: database.handle(),
            retained: restored.rows.take(Table::Retained),
            sessions: restored.rows.take(Table::Session),
        };
        let (core, inputs) = Core::channel();
        let (stop, mut tasks, mut others) =
            (CancellationToken::new(), JoinSet::new(), JoinSet::new());
        let (exchange, engine) = Exchange::start(Settings::default(), CancellationToken::new());
        others.spawn(engine);
        let auth = Auth::open(folder.path()).unwrap();
        let jwt = config.jwt_keys().unwrap();
        let gate = Gate::new(auth.clone(), config.mqtt_sign_in_required(), jwt);
        let mappings = Arc::new(config.mappings().unwrap());
        let topics = Topics { routes: config.routes().unwrap(), mappings };
        let arrivals = Listeners::new(&config).unwrap().mqtt;
        let edge = Edge::bind(&config, arrivals, core, exchange.clone(), topics, gate, past).await;
        let edge = edge.unwrap();
        let (address, counters) = (edge.local_address().unwrap(), edge.counters());
        let door = edge.door();
        if let Some(stream) = early {
            let (door, stop) = (door.clone(), stop.clone());
            others.spawn(async move {
                door.serve(stream, address, Brought::NothingByHttp, stop).await;
            });
        }
        tasks.spawn(edge.run(stop.clone()));
        let watching = stop.clone();
        others.spawn(async move { auth.watch(watching).await });
        let database = Some(database);
        Self {
            address,
            counters,
            exchange,
            door,
            inputs,
            stop,
            tasks,
            others,
            database,
            folder,
            config,
        }
    }

    /// Where the credentials are.
    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// The CONNACK to `connect`, after which the edge closes.
    pub(crate) async fn refuses(&self, connect: &Connect<'_>) -> Vec<u8> {
        let mut peer = self.socket().await;
        peer.send(&connect.packet()).await;
        peer.rest().await
    }

    /// The keys of all rows about sessions.
    pub(crate) async fn session_rows(&self) -> Vec<String> {
        let wanted = RowsWanted {
            table: Table::Session,
            from: String::new(),
            to: None,
            order: Order::Ascending,
            limit: 100,
        };
        let store = self.database.as_ref().expect("it is open").handle();
        let rows = soon(store.rows(wanted)).await.unwrap();
        rows.into_iter().map(|(key, _)| key).collect()
    }

    /// Ends as a killed process does, but with all that was given to the store, and starts again on it.
    pub(crate) async fn killed_and_restarted(mut self) -> Self {
        // Tasks end where they stand: nothing of the end is noted.
        self.tasks.shutdown().await;
        self.start_again(None).await
    }

    /// Ends in order, and starts again.
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_under(None).await
    }

    /// The same, with a client that is there before the edge runs.
    pub(crate) async fn restarted_under(mut self, early: Option<DuplexStream>) -> Self {
        self.stop.cancel();
        soon(self.tasks.join_next()).await.expect("the edge runs").expect("it does not panic");
        self.start_again(early).await
    }

    async fn start_again(mut self, early: Option<DuplexStream>) -> Self {
        self.others.shutdown().await;
        let database = self.database.take().expect("it is open");
        tokio::task::spawn_blocking(move || database.close(Offset(0))).await.unwrap().unwrap();
        Self::on(self.config.clone(), Arc::clone(&self.folder), early).await
    }

    /// The next input of the core; that a connection is gone says nothing of a device.
    pub(crate) async fn input(&mut self) -> Input {
        loop {
            match soon(self.inputs.next()).await.expect("the edge holds the core") {
                Input::Gone(_) => {}
                input => return input,
            }
        }
    }

    /// The next input, which is an event.
    pub(crate) async fn event(&mut self) -> (EdgeEvent, Option<Sender<Downlink>>) {
        match self.input().await {
            Input::Edge { event, mailbox } => (event, mailbox),
            other => panic!("an event comes first: {other:?}"),
        }
    }

    /// The next input, which is messages.
    pub(crate) async fn ingest(&mut self) -> (Vec<Inbound>, Option<oneshot::Sender<()>>) {
        match self.input().await {
            Input::Ingest { inbound, receipt, .. } => (inbound, receipt),
            other => panic!("messages come first: {other:?}"),
        }
    }

    /// The next input that is messages, whatever comes before, with all that goes with them.
    pub(crate) async fn message_input(&mut self) -> Input {
        loop {
            let input = self.input().await;
            if matches!(input, Input::Ingest { .. }) {
                return input;
            }
        }
    }

    /// As the core does with what a message says while what it leaves in queues is still gathered.
    pub(crate) async fn store_what_is_said(&self, input: &Input) {
        let Input::Ingest { gathering: Some(gathering), .. } = input else {
            panic!("it leaves something: {input:?}")
        };
        let store = self.database.as_ref().expect("it is open").handle();
        store.keep_rows(gathering.take_early());
        soon(store.settled()).await.unwrap();
    }

    /// How many inputs wait for the core.
    pub(crate) fn waiting_inputs(&self) -> usize {
        self.inputs.waiting()
    }

    /// Whether there is no room for another message to the core.
    pub(crate) fn core_is_full(&self) -> bool {
        self.inputs.is_full()
    }

    /// Inputs from now on are noted as stored and forgotten.
    pub(crate) fn ignore_inputs(&mut self) {
        let (_, inputs) = Core::channel();
        let mut inputs = std::mem::replace(&mut self.inputs, inputs);
        self.others.spawn(async move {
            while let Some(input) = inputs.next().await {
                if let Input::Ingest { receipt: Some(receipt), .. } = input {
                    let _gone = receipt.send(());
                }
            }
        });
    }

    /// Stops the edge and waits for its end.
    pub(crate) async fn stop(mut self) -> Inputs {
        self.stop.cancel();
        soon(self.tasks.join_next()).await.expect("the edge runs").expect("it does not panic");
        self.inputs
    }

    /// A bare socket.
    pub(crate) async fn socket(&self) -> Peer {
        let stream = soon(TcpStream::connect(self.address)).await.unwrap();
        // What is sent in pieces is there at once.
        stream.set_nodelay(true).unwrap();
        Peer(stream)
    }

    /// One that `brought` something before its first byte of MQTT.
    pub(crate) async fn socket_bringing(&mut self, brought: Brought) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, address) = listener.accept().await.unwrap();
        let (door, stop) = (self.door.clone(), self.stop.clone());
        self.others.spawn(async move { door.serve(stream, address, brought, stop).await });
        Peer(peer)
    }

    /// A client that was accepted.
    pub(crate) async fn connect(&self, version: u8, id: &str) -> Peer {
        self.connect_as(&client(version, id)).await
    }

    /// As [`Self::connect`], with a CONNECT of its own.
    pub(crate) async fn connect_as(&self, connect: &Connect<'_>) -> Peer {
        self.come_back(connect).await.0
    }

    /// As [`Self::connect_as`], and whether a session was present.
    pub(crate) async fn come_back(&self, connect: &Connect<'_>) -> (Peer, bool) {
        let mut peer = self.socket().await;
        peer.send(&connect.packet()).await;
        let (head, body) = peer.packet().await;
        assert_eq!((head, body[1]), (0x20, 0), "{body:?}");
        (peer, body[0] == 1)
    }

    /// Waits until all that was published before has gone through the exchange.
    pub(crate) async fn exchange_is_idle(&self) {
        let mut link = soon(self.exchange.link(Keeping::InMemory)).await.unwrap();
        soon(link.subscribe(Interest::Own("marker".parse().unwrap()))).await.unwrap();
        let topic = "marker".parse().unwrap();
        let properties = Properties::default();
        let message = Message {
            topic,
            payload: "".into(),
            qos: 0,
            retain: false,
            publisher: None,
            served: None,
            retained_as: 0,
            properties,
        };
        soon(self.exchange.publish(message)).await.unwrap();
        soon(link.recv()).await.unwrap();
    }

    /// Whether a newcomer is still served.
    pub(crate) async fn serves(&self) {
        let mut peer = self.connect(5, "still-there").await;
        peer.send(&PINGREQ).await;
        assert_eq!(peer.raw().await, PINGRESP);
        peer.send(&super::packets::DISCONNECT).await;
        peer.closes().await;
    }

    /// Waits until so many clients are connected.
    pub(crate) async fn until_connected(&self, clients: u64) {
        let reached = async {
            while self.counters.connections_now.get() != clients {
                tokio::task::yield_now().await;
            }
        };
        soon(reached).await;
    }

    /// Waits until `counter` has reached `count`.
    pub(crate) async fn counts(&self, name: &str, count: u64) {
        soon(async {
            loop {
                let (_, _, value) =
                    self.counters.each().find(|(known, _, _)| *known == name).unwrap();
                if value >= count {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// A peer of bare bytes.
pub(crate) struct Peer(TcpStream);

impl Peer {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.unwrap();
    }

    /// Sends as far as the other side still listens.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) {
        let _closed = soon(self.0.write_all(bytes)).await;
    }

    /// Closes its own direction.
    pub(crate) async fn says_no_more(&mut self) {
        let _closed = soon(self.0.shutdown()).await;
    }

    /// The next packet: its first byte and its body.
    pub(crate) async fn packet(&mut self) -> (u8, Vec<u8>) {
        let head = soon(self.0.read_u8()).await.expect("a packet comes");
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = soon(self.0.read_u8()).await.unwrap();
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        soon(self.0.read_exact(&mut body)).await.unwrap();
        (head, body)
    }

    /// The next packet, whole.
    pub(crate) async fn raw(&mut self) -> Vec<u8> {
        let (head, body) = self.packet().await;
        super::packets::packet(head, &body)
    }

    /// Waits for the end; nothing comes before it.
    pub(crate) async fn closes(&mut self) {
        assert_eq!(self.rest().await, NOTHING);
    }

    /// All bytes to the end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is an end too.
        let _reset = soon(self.0.read_to_end(&mut rest)).await;
        rest
    }

    /// Nothing comes before the answer to a ping.
    pub(crate) async fn hears_nothing(&mut self) {
        self.send(&PINGREQ).await;
        assert_eq!(self.raw().await, PINGRESP);
    }
}
