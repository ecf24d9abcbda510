//! The gateway as a whole: bound, then running, then drained.

use crate::{
    arrival::{Listeners, TlsError},
    auth::{Auth, BadFile, Gate},
    clock,
    config::{self, Ack, Config, Unusable},
    core::{Acknowledge, Actor, Core, Keeping, Watchers, report_guesses, take_over, watched},
    demo, edge,
    exchange::{self, Exchange},
    reload::Reload,
    rhythm::Rhythm,
    stats::Stats,
    store::{self, OpenError},
    web,
    webhook::{Posting, Webhook},
};
use anyhow::Context as _;
use bridge::{
    alerts::AlertLimits,
    audit::{Deed, Party},
    bridge::{Bridge, Past, Settings},
    command::book::{self, CommandLimits},
    hub::{Beginning, Gap, HubLimits, Restored},
    mapping::Mappings,
    route::RouteTable,
    types::DeviceTypes,
    update::Stamp,
};
use protocol::{DeviceId, Millis, ResetReason};
use serde::{Deserialize, Serialize};
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener's address cannot be used.
    #[error("{key} = {address} {}", reason(.source, .key))]
    Listen {
        /// The key that changes it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error(
        "data_dir = {} cannot be used: give data_dir a directory that can be made and written to",
        .path.display()
    )]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] BadFile),
    /// A key that JWTs are checked with cannot be used.
    #[error(transparent)]
    Setting(#[from] Unusable),
    /// A file of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A row of the database holds something else than it should.
    #[error(
        "the database in '{}' has a {what} '{key}' that cannot be read: start once with --recover",
        .path.display()
    )]
    Row {
        /// The data directory.
        path: PathBuf,
        /// What the row should be.
        what: &'static str,
        /// Its key.
        key: String,
    },
    /// A row of the database holds something else than it should.
    #[error(
        "the database in '{}' has a command or batch that cannot be read ({source}): start once with \
         --recover",
        .path.display()
    )]
    Command {
        /// The data directory.
        path: PathBuf,
        /// The row.
        source: bridge::command::book::Unreadable,
    },
    /// A row of the database holds something else than it should.
    #[error(
        "the database in '{}' has a device '{device}' that cannot be read: start once with --recover",
        .path.display()
    )]
    Device {
        /// The data directory.
        path: PathBuf,
        /// The device.
        device: String,
    },
}

fn reason(error: &io::Error, key: &str) -> String {
    if error.kind() == io::ErrorKind::AddrInUse {
        let other = if key.starts_with("mqtt") { " (another MQTT broker, perhaps)" } else { "" };
        format!("is taken by another program{other}: stop that one, or give {key} another port")
    } else {
        format!("cannot be used: {error}")
    }
}

/// Where the gateway can be reached, as `endpoints.json` says it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Endpoints {
    /// MQTT over TCP.
    pub mqtt: SocketAddr,
    /// MQTT over TLS, where that is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mqtt_tls: Option<SocketAddr>,
    /// HTTP: dashboard, WebSocket, API.
    pub http: SocketAddr,
    /// The same address, where it speaks HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https: Option<SocketAddr>,
}

/// A gateway that has its ports but serves nobody yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    core: Core,
    actor: Actor,
    inputs: tokio::sync::mpsc::Receiver<crate::core::Input>,
    edge: edge::Edge,
    web: web::Listener,
    reload: Reload,
    gate: Gate,
    surroundings: web::Surroundings,
    exchange: ExchangeTask,
    posting: Option<Posting>,
    endpoints: Endpoints,
    start: Start,
}

/// The exchange's future, and what ends it: last, when nobody publishes any more.
struct ExchangeTask {
    run: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    stop: CancellationToken,
}

impl std::fmt::Debug for ExchangeTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExchangeTask")
    }
}

impl App {
    /// Takes the ports and prepares everything. `rhythm` is that of
    /// the runtime's workers.
    ///
    /// # Errors
    /// [`StartError`] with the key that changes it.
    pub async fn bind(
        config: Config,
        routes: RouteTable,
        start: Start,
        rhythm: Arc<Rhythm>,
    ) -> Result<Self, StartError> {
        prepare_data_dir(&config.data_dir.0)?;
        let auth = Auth::open(&config.data_dir.0)?;
        let Listeners { mqtt, http, secured, counters: arrivals, room } = Listeners::new(&config)?;
        let (database, mut restored) = open_store(&config, start)?;
        let store = database.handle();
        let edge_past = edge::Past {
            store: store.clone(),
            retained: restored.rows.take(store::Table::Retained),
            sessions: restored.rows.take(store::Table::Session),
        };
        let posts = restored.rows.take(store::Table::Post);
        let past = past(restored, &config)?;
        let epoch: Arc<str> = past.hub.epoch.as_str().into();
        let (core, inputs) = Core::channel();
        let exchange_stop = CancellationToken::new();
        let settings = exchange::Settings {
            links_max: (config.limits.mqtt_connections as usize)
                .saturating_add(config.limits.mqtt_sessions as usize),
            ..exchange::Settings::default()
        };
        let (exchange, run) = Exchange::start(settings, exchange_stop.clone());
        let mappings = Arc::new(config.mappings().expect("checked with the other settings"));
        let topics = edge::Topics { routes, mappings: mappings.clone() };
        let (jwt, to_core) = (config.jwt_keys()?, core.clone());
        let reload = Reload::new(secured, jwt.clone(), Arc::clone(&arrivals));
        let gate = Gate::new(auth.clone(), config.mqtt_sign_in_required(), jwt);
        let edge = edge::Edge::bind(
            &config,
            mqtt,
            to_core,
            exchange.clone(),
            topics,
            gate.clone(),
            edge_past,
        )
        .await;
        let edge = edge.map_err(|edge::BindError { key, address, source }| StartError::Listen {
            key,
            address,
            source,
        })?;
        let mqtt = edge.local_address().map_err(listen_error("mqtt.listen", config.mqtt.listen))?;
        let mqtt_tls =
            edge.tls_address().map_err(listen_error("mqtt.listen", config.mqtt.listen))?;
        let web = web::Listener::bind(&config, http).await;
        let web = web.map_err(listen_error("http.listen", config.http.listen))?;
        let (http, https) = (web.address(), config.http.tls.then(|| web.address()));
        let endpoints = Endpoints { mqtt, mqtt_tls, http, https };
        let stats = Arc::new(Stats::new(edge.counters(), arrivals));
        let types = device_types(&config, start);
        let settings = settings_of(&config, &endpoints, types, mappings);
        let bridge = Bridge::new(clock::now(), settings, past)
            .map_err(|source| StartError::Command { path: config.data_dir.0.clone(), source })?;
        let acknowledge = match config.ingest.ack {
            Ack::Accepted => Acknowledge::Accepted,
            Ack::Stored | Ack::Synced => Acknowledge::Stored,
        };
        let (webhook, posting) = Webhook::new(&config.webhook, posts, database.handle()).unzip();
        let watchers = Watchers::new(edge.desired_publisher(), webhook.clone());
        let actor = Actor::new(
            &core,
            bridge,
            Keeping { database, acknowledge, watchers },
            exchange.clone(),
            Arc::clone(&stats),
            rhythm,
        );
        let mqtt = edge.door();
        let surroundings = web::Surroundings {
            auth: auth.clone(),
            core: core.clone(),
            store,
            stats,
            exchange,
            mqtt,
            room,
            epoch,
            webhook,
        };
        let exchange = ExchangeTask { run: Box::pin(run), stop: exchange_stop };
        Ok(Self {
            config,
            core,
            actor,
            inputs,
            edge,
            web,
            reload,
            gate,
            surroundings,
            exchange,
            posting,
            endpoints,
            start,
        })
    }

    /// Where it can be reached.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Serves until `stop` fires; then drains, at most for `shutdown.grace_ms`.
    ///
    /// # Errors
    /// When a part failed, or panicked.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let grace = Duration::from_millis(self.config.shutdown.grace_ms);
        let endpoints_file = self.config.data_dir.0.join(ENDPOINTS_FILE);
        write_endpoints(&endpoints_file, &self.endpoints)?;
        let (mut parts, exchange_stop) = self.start(&stop.child_token());
        // Once stop has fired, parts that end do so because of it.
        let ended_early = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = parts.join_next() => ended,
        };
        tracing::info!(grace_ms = grace.as_millis(), "stopping");
        stop.cancel();
        let drained = time::timeout(grace, drain(&mut parts, &exchange_stop, ended_early)).await;
        remove_if_there(&endpoints_file)?;
        drained.unwrap_or_else(|_elapsed| {
            tracing::warn!("not everything was finished in shutdown.grace_ms");
            Ok(())
        })
    }

    /// Starts every part in a task of its own. When `stop` fires, edge, web and demo end; with them go
    /// the last handles of the core, which ends when it has done what is queued; last the exchange.
    fn start(self, stop: &CancellationToken) -> (JoinSet<anyhow::Result<()>>, CancellationToken) {
        let mut parts = JoinSet::new();
        let Self {
            config,
            core,
            actor,
            inputs,
            edge,
            web,
            reload,
            gate,
            surroundings,
            exchange,
            posting,
            endpoints,
            ..
        } = self;
        if let Some(posting) = posting {
            spawn(&mut parts, posting.run(stop.clone()));
        }
        if self.start.demo {
            let demo = demo::run(core.clone(), endpoints.mqtt, stop.clone());
            parts.spawn(demo.instrument(tracing::info_span!("demo")));
        }
        let reloading = reload.run(core.clone(), stop.clone());
        parts.spawn(async { reloading.await.context("SIGHUP cannot be heard") });
        spawn(&mut parts, report_guesses(core.clone(), gate, stop.clone()));
        spawn(&mut parts, take_over(core, config.data_dir.0.clone(), stop.clone()));
        let running = actor.run(inputs);
        parts.spawn(async { running.await.context("the store could not be closed in order") });
        spawn(&mut parts, edge.run(stop.clone()));
        let (auth, stop) = (surroundings.auth.clone(), stop.clone());
        let web_stop = stop.clone();
        spawn(&mut parts, async move { auth.watch(stop).await });
        spawn(&mut parts, async move { web.run(&config, surroundings, web_stop).await });
        let ExchangeTask { run, stop: exchange_stop } = exchange;
        spawn(&mut parts, run);
        (parts, exchange_stop)
    }
}

/// Starts a part that does not fail.
fn spawn(parts: &mut JoinSet<anyhow::Result<()>>, part: impl Future<Output = ()> + Send + 'static) {
    parts.spawn(async {
        part.await;
        Ok(())
    });
}

type Ended = Result<anyhow::Result<()>, tokio::task::JoinError>;

/// Waits for all parts; the first failure is what the gateway ends with.
async fn drain(
    parts: &mut JoinSet<anyhow::Result<()>>,
    exchange_stop: &CancellationToken,
    ended_early: Option<Ended>,
) -> anyhow::Result<()> {
    let mut outcome = match ended_early {
        None => Ok(()),
        Some(Ok(Ok(()))) => Err(anyhow::anyhow!("a part of the gateway ended by itself")),
        Some(ended) => verdict(ended),
    };
    loop {
        if parts.len() <= 1 {
            exchange_stop.cancel();
        }
        let Some(ended) = parts.join_next().await else { return outcome };
        outcome = outcome.and(verdict(ended));
    }
}

fn verdict(ended: Ended) -> anyhow::Result<()> {
    ended.context("a part of the gateway panicked")?
}

/// The file that tells scripts where the gateway listens.
const ENDPOINTS_FILE: &str = "endpoints.json";

fn prepare_data_dir(path: &Path) -> Result<(), StartError> {
    let error = |source| StartError::DataDir { path: path.into(), source };
    std::fs::create_dir_all(path).map_err(error)?;
    remove_stale_endpoints(&path.join(ENDPOINTS_FILE)).map_err(error)
}

/// Removes what a gateway left behind that is gone. One that still answers keeps its file: this start
/// may fail on its ports.
fn remove_stale_endpoints(path: &Path) -> io::Result<()> {
    let text = std::fs::read(path).unwrap_or_default();
    let recorded: Option<Endpoints> = serde_json::from_slice(&text).ok();
    let answers = |address| std::net::TcpStream::connect_timeout(&address, PROBE_WITHIN).is_ok();
    if recorded.is_some_and(|endpoints| answers(endpoints.http)) {
        return Ok(());
    }
    remove_if_there(path)
}

/// How long a recorded address may take to answer; it is on this machine.
const PROBE_WITHIN: Duration = Duration::from_millis(200);

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the file whole: who sees it sees all of it.
fn write_endpoints(path: &Path, endpoints: &Endpoints) -> anyhow::Result<()> {
    let text = serde_json::to_string(endpoints)?;
    let draft = path.with_extension("json.new");
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn listen_error(key: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::Listen { key, address, source }
}

/// How the gateway is to start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// With a simulated fleet.
    pub demo: bool,
    /// Where the database is damaged, with what can be salvaged of it.
    pub recover: bool,
}

fn open_store(
    config: &Config,
    start: Start,
) -> Result<(store::Database, store::Restored), OpenError> {
    match store::open(config.store_settings()) {
        Err(OpenError::Damaged { what, .. }) if start.recover => {
            tracing::warn!(what, "the database is damaged: salvaging what can be read");
            let report = store::recover(&config.data_dir.0, clock::now())?;
            tracing::warn!(%report, "the database was salvaged");
            store::open(config.store_settings())
        }
        opened => opened,
    }
}

/// What the store kept, as the bridge takes it.
fn past(restored: store::Restored, config: &Config) -> Result<Past, StartError> {
    let dir = &config.data_dir.0;
    let store::Restored {
        epoch, last_offset, channels, gaps, new_channels_after, mut rows, ..
    } = restored;
    let channels = channels.into_iter().map(|channel| {
        let store::RestoredChannel { name, seq, stamp, value, .. } = channel;
        Restored { channel: name, stamp: Stamp { seq, ..stamp }, value: Some(value) }
    });
    let gaps = gaps.into_iter().map(|gap| Gap {
        first: gap.first,
        last: gap.last,
        reason: match gap.reason {
            store::GapReason::Crash => ResetReason::Crash,
            store::GapReason::Overflow => ResetReason::Expired,
        },
    });
    let device = |(device, body): store::KeyAndBody| {
        let unreadable = || StartError::Device { path: dir.into(), device: device.clone() };
        let id: DeviceId = device.parse().map_err(|_| unreadable())?;
        let kept = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        Ok::<_, StartError>((id, kept))
    };
    let watched = watched::restore(&mut rows, config.limits.audit_entries);
    let watched::Restored { alerts, desired, mut audit } = watched
        .map_err(|row| StartError::Row { path: dir.into(), what: row.what, key: row.key })?;
    audit.record(clock::now(), started());
    Ok(Past {
        alerts,
        desired,
        audit,
        hub: Beginning {
            epoch,
            offset: last_offset,
            channels: channels.collect(),
            gaps: gaps.collect(),
            new_channels_after,
        },
        devices: rows
            .take(store::Table::Device)
            .into_iter()
            .map(device)
            .collect::<Result<_, _>>()?,
        commands: book::Kept {
            commands: texts(rows.take(store::Table::Command)),
            batches: texts(rows.take(store::Table::Batch)),
        },
    })
}

/// The audit log's entry for this start.
fn started() -> Deed<'static> {
    let details = serde_json::json!({"version": env!("CARGO_PKG_VERSION")});
    Deed { by: Party::Gateway, action: "gateway.started", device: None, details }
}

/// Rows of JSON; what is no UTF-8 reads as no JSON either.
fn texts(rows: Vec<store::KeyAndBody>) -> Vec<(String, String)> {
    let text = |(key, body): store::KeyAndBody| (key, String::from_utf8_lossy(&body).into_owned());
    rows.into_iter().map(text).collect()
}

/// The types of `types.dir`; where none is given, with `--demo` those of its fleet.
fn device_types(config: &Config, start: Start) -> DeviceTypes {
    match &config.types.dir {
        None if start.demo => config::demo_types(),
        _ => config.device_types().expect("checked with the other settings"),
    }
}

fn settings_of(
    config: &Config,
    endpoints: &Endpoints,
    types: DeviceTypes,
    mappings: Arc<Mappings>,
) -> Settings {
    let limits = &config.limits;
    Settings {
        node: endpoints.http.to_string(),
        silent_after: Millis(config.presence.silent_after_ms),
        devices_max: limits.devices as usize,
        hub: HubLimits {
            channels: limits.channels as usize,
            subscriptions: limits.websocket_subscriptions as usize,
            account_subscriptions: limits.token_subscriptions as usize,
            ring_bytes: limits.ring_bytes as usize,
        },
        commands: CommandLimits {
            open_per_device: limits.commands_per_device as usize,
            ended_kept: limits.commands_kept as usize,
            params_bytes: limits.command_params_bytes as usize,
            result_bytes: limits.command_result_bytes as usize,
            batch_devices: limits.batch_devices as usize,
            batches_open: limits.batches_open as usize,
            batches_kept: limits.batches_kept as usize,
        },
        alert_limits: AlertLimits {
            open: limits.alerts_open as usize,
            open_per_device: limits.alerts_per_device as usize,
            cleared_kept: limits.alerts_kept as usize,
        },
        alerts: config.alert_rules().unwrap_or_default(),
        desired_bytes_max: limits.desired_bytes as usize,
        types,
        mappings,
    }
}
