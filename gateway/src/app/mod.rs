//! The gateway as a whole: bound, then running, then drained.
//!
//! This file puts the parts together. What the store kept for them is in `kept`, what the configuration means
//! for the bridge in `settings`, where the gateway can be reached in `endpoints`, the running tasks in `parts`;
//! `check` looks at what a start would refuse.

mod check;
mod endpoints;
mod error;
mod kept;
mod parts;
mod settings;

pub use check::refusals;
pub use endpoints::Endpoints;
pub use error::StartError;

use crate::{
    arrival::Listeners,
    auth::{Auth, Gate, JwtKeys},
    clock,
    config::Config,
    core::{Actor, Core, Inputs, Keeping, Watchers, report_guesses, take_over},
    demo, edge,
    reload::Reload,
    rhythm::Rhythm,
    stats::Stats,
    web,
    webhook::{Posting, Webhook},
};
use anyhow::Context as _;
use bridge::{bridge::Bridge, route::RouteTable};
use endpoints::{EndpointsFile, prepare_data_dir};
use error::{data_dir_error, listen_error};
use kept::Kept;
use parts::{ExchangeTask, Parts};
use std::{sync::Arc, time::Duration};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// How the gateway is to start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// With a simulated fleet.
    pub demo: bool,
    /// Where the database is damaged, with what can be salvaged of it.
    pub recover: bool,
}

/// A gateway that has its ports but serves nobody yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    core: Core,
    actor: Actor,
    inputs: Inputs,
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
        auth.remember().map_err(data_dir_error(&config.data_dir.0))?;
        let Listeners { mqtt, http, secured, counters: arrivals, room } = Listeners::new(&config)?;
        let Kept { database, edge: edge_past, posts, bridge: past } = Kept::open(&config, start)?;
        let epoch: Arc<str> = past.hub.epoch.as_str().into();
        let (core, inputs) = Core::channel();
        let (exchange, exchange_task) = ExchangeTask::new(&config);
        let mappings = Arc::new(config.mappings().expect("checked with the other settings"));
        let topics = edge::Topics { routes, mappings: Arc::clone(&mappings) };
        let jwt = config.jwt_keys()?;
        jwt.iter().for_each(JwtKeys::tell_unused);
        let reload = Reload::new(secured, jwt.clone(), Arc::clone(&arrivals));
        let gate = Gate::new(auth.clone(), config.mqtt_sign_in_required(), jwt);
        let (to_core, to_exchange, at_edge) = (core.clone(), exchange.clone(), gate.clone());
        let edge =
            edge::Edge::bind(&config, mqtt, to_core, to_exchange, topics, at_edge, edge_past);
        let edge = edge.await?;
        let web = web::Listener::bind(&config, http).await;
        let web = web.map_err(listen_error("http.listen", config.http.listen))?;
        let endpoints = Endpoints::of(&config, &edge, &web)?;
        let stats = Arc::new(Stats::new(edge.counters(), arrivals));
        let settings = settings::of_bridge(&config, &endpoints, start, mappings);
        let bridge = Bridge::new(clock::now(), settings, past);
        let store = database.handle();
        let (webhook, posting) = Webhook::new(&config.webhook, posts, store.clone()).unzip();
        let watchers = Watchers::new(edge.desired_publisher(), webhook.clone());
        let database = database.started();
        let keeping = Keeping { database, watchers };
        let (to_exchange, figures) = (exchange.clone(), Arc::clone(&stats));
        let actor = Actor::new(&core, bridge, keeping, to_exchange, figures, Arc::clone(&rhythm));
        let (to_core, mqtt) = (core.clone(), edge.door());
        let surroundings = web::Surroundings {
            auth,
            gate: gate.clone(),
            core: to_core,
            store,
            stats,
            exchange,
            mqtt,
            room,
            epoch,
            rhythm,
            webhook,
        };
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
            exchange: exchange_task,
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
        let endpoints_file = EndpointsFile::write(&self.config.data_dir.0, &self.endpoints)?;
        let mut parts = self.start(&stop.child_token());
        // Once stop has fired, parts that end do so because of it.
        let ended_early = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = parts.next_end() => ended,
        };
        tracing::info!(grace_ms = grace.as_millis(), "stopping");
        stop.cancel();
        let drained = time::timeout(grace, parts.drain(ended_early)).await;
        endpoints_file.remove()?;
        drained.unwrap_or_else(|_elapsed| {
            tracing::warn!("not everything was finished in shutdown.grace_ms");
            Ok(())
        })
    }

    #[cfg(test)]
    pub(crate) fn core(&self) -> Core {
        self.core.clone()
    }

    #[cfg(test)]
    pub(crate) fn store(&self) -> crate::store::StoreHandle {
        self.actor.store()
    }

    /// Runs the core alone.
    #[cfg(test)]
    pub(crate) async fn run_core(self) {
        self.actor.run(self.inputs).await.expect("the store can be closed");
    }

    /// Starts every part in a task of its own. When `stop` fires, edge, web and demo end; with them go
    /// the last handles of the core, which ends when it has done what is queued; last the exchange.
    fn start(self, stop: &CancellationToken) -> Parts {
        let Self { config, core, gate, actor, inputs, surroundings, web, .. } = self;
        let mut parts = Parts::new(self.exchange);
        if let Some(posting) = self.posting {
            parts.start(posting.run(stop.clone()));
        }
        if self.start.demo {
            let demo = demo::run(core.clone(), self.endpoints.mqtt, stop.clone());
            parts.start_fallible(demo.instrument(tracing::info_span!("demo")));
        }
        let reloading = self.reload.run(core.clone(), stop.clone());
        parts.start_fallible(async { reloading.await.context("SIGHUP cannot be heard") });
        parts.start(report_guesses(core.clone(), gate, stop.clone()));
        parts.start(take_over(core, config.data_dir.0.clone(), stop.clone()));
        let running = actor.run(inputs);
        parts.start(async {
            if let Err(error) = running.await {
                let lost = "the store could not be closed in order: what waited for it is lost";
                tracing::error!(%error, "{lost}");
            }
        });
        let (edge, devices_gone) = (self.edge.run(stop.clone()), CancellationToken::new());
        let gone = devices_gone.clone().drop_guard();
        parts.start(async move {
            edge.await;
            drop(gone);
        });
        let (auth, watch_stop) = (surroundings.auth.clone(), stop.clone());
        parts.start(async move { auth.watch(watch_stop).await });
        let web_stop = stop.clone();
        parts.start(async move { web.run(&config, surroundings, web_stop, devices_gone).await });
        parts
    }
}
