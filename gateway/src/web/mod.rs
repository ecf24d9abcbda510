//! The HTTP side: dashboard, WebSocket, API, health. Owns the listener and its connections; every
//! decision about devices, channels and commands is the core's.

mod api;
mod asked;
mod assets;
mod caller;
mod contracts;
mod cut;
mod elements;
mod guard;
mod guests;
mod headers;
mod health;
mod history;
mod live;
mod mqtt;
mod problem;
mod serving;
mod sse;
mod token;
mod who;

use crate::{
    arrival::Arrivals,
    auth::{Auth, Gate},
    config::Config,
    core::{Core, Outlet},
    edge::Door,
    exchange::Exchange,
    files::Room,
    rhythm::Rhythm,
    stats::Stats,
    store::{NotStored, StoreHandle},
    webhook::Webhook,
};
use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{Method, StatusCode, Uri},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use bridge::bridge::Bridge;
use guard::Guard;
use guests::{Guests, TokenLimits};
use problem::Refused;
use protocol::Timestamp;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, time};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What the handlers share.
#[derive(Debug)]
pub struct Web {
    auth: Auth,
    gate: Gate,
    core: Core,
    store: StoreHandle,
    stats: Arc<Stats>,
    exchange: Exchange,
    webhook: Option<Webhook>,
    mqtt: Door,
    room: Arc<Room>,
    guard: Guard,
    guests: Guests,
    limits: crate::config::Limits,
    /// Whether everything comes over TLS.
    secure: bool,
    flush_every: Duration,
    /// How much its WebSockets are sent.
    traffic: live::Traffic,
    rhythm: Arc<Rhythm>,
    patience: Patience,
    epoch: Arc<str>,
    /// Fires when the gateway stops: nobody is let in, no request begins.
    stopping: CancellationToken,
    /// Fires next, when who watches devices can be told that they are gone.
    farewell: CancellationToken,
    sockets: TaskTracker,
    requests: TaskTracker,
}

/// How long peers may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until the head of a request has come, from the end of the last one.
    head: Duration,
    /// Until its body has come.
    body: Duration,
    /// Until some of what is written has been taken.
    write: Duration,
}

impl Patience {
    fn new(config: &crate::config::Http) -> Self {
        Self {
            head: Duration::from_millis(config.header_timeout_ms),
            body: Duration::from_millis(config.body_timeout_ms),
            write: Duration::from_millis(config.write_timeout_ms),
        }
    }
}

/// How long those who watch devices wait for them to go.
const DEVICES_GO_WITHIN: Duration = Duration::from_secs(1);

impl Web {
    /// Lets the devices go first, so that who watches them is told so.
    async fn see_devices_off(&self, gone: &CancellationToken, patience: Duration) {
        let _some_may_be_left =
            time::timeout(patience.min(DEVICES_GO_WITHIN), gone.cancelled()).await;
        // A core that has ended has nobody to tell.
        let _core_ended = self.core.ask(|bridge, now| bridge.stop(now)).await;
        self.farewell.cancel();
    }

    /// Has the bridge change what is stored: answered when it is, refused while the store fails.
    async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Bridge<Outlet>, Timestamp) -> R + Send + 'static,
    ) -> Result<R, Refused> {
        self.check_store()?;
        Ok(self.core.change(change).await?)
    }

    /// Refuses what needs the store while that fails.
    fn check_store(&self) -> Result<(), Refused> {
        match self.store.figures().error {
            None => Ok(()),
            Some(error) => Err(NotStored(error.into()).into()),
        }
    }
}

/// A path and what serves it. Routes are made from lists of these, so that a test can hold the lists
/// against `openapi.json`.
type Route = (&'static str, MethodRouter<Arc<Web>>);

/// What the HTTP side needs of the rest.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Who may come in.
    pub auth: Auth,
    /// Where they sign in.
    pub gate: Gate,
    /// The core.
    pub core: Core,
    /// The store, to read the past.
    pub store: StoreHandle,
    /// The figures.
    pub stats: Arc<Stats>,
    /// The exchange, for its figures.
    pub exchange: Exchange,
    /// Where MQTT over WebSocket comes in.
    pub mqtt: Door,
    /// The room for connections.
    pub room: Arc<Room>,
    /// What the numbers of updates belong to.
    pub epoch: Arc<str>,
    /// Whether many speak, or nobody.
    pub rhythm: Arc<Rhythm>,
    /// The webhook, for its figures.
    pub webhook: Option<Webhook>,
}

/// The bound listener, not yet serving.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    arrivals: Arrivals,
    address: SocketAddr,
}

impl Listener {
    /// Binds to `http.listen`.
    ///
    /// # Errors
    /// When the port is taken or may not be used.
    pub async fn bind(config: &Config, arrivals: Arrivals) -> io::Result<Self> {
        let tcp = TcpListener::bind(config.http.listen).await?;
        let address = tcp.local_addr()?;
        Ok(Self { tcp, arrivals, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What all who are served share.
    fn web(&self, config: &Config, surroundings: Surroundings, stopping: CancellationToken) -> Web {
        let Surroundings {
            auth,
            gate,
            core,
            store,
            stats,
            exchange,
            mqtt,
            room,
            epoch,
            rhythm,
            webhook,
        } = surroundings;
        Web {
            auth,
            gate,
            core,
            store,
            stats,
            exchange,
            webhook,
            mqtt,
            room,
            guard: Guard::new(&config.http, self.address),
            guests: Guests::new(token_limits(config)),
            limits: config.limits.clone(),
            secure: self.arrivals.is_secure(),
            flush_every: Duration::from_millis(config.http.flush_ms),
            traffic: live::Traffic::new(time::Instant::now()),
            rhythm,
            patience: Patience::new(&config.http),
            epoch,
            stopping,
            farewell: CancellationToken::new(),
            sockets: TaskTracker::new(),
            requests: TaskTracker::new(),
        }
    }

    /// Serves until `stopping` fires, then until every WebSocket has been closed with 4100 and every
    /// request is answered. `devices_gone` fires when no device is connected to the edge any more.
    pub async fn run(
        self,
        config: &Config,
        surroundings: Surroundings,
        stopping: CancellationToken,
        devices_gone: CancellationToken,
    ) {
        let web = Arc::new(self.web(config, surroundings, stopping.clone()));
        let cut = CancellationToken::new();
        let router = router(Arc::clone(&web));
        let serving =
            serving::serve(self.tcp, self.arrivals, router, Arc::clone(&web), cut.clone());
        // The rest of the grace is for what follows.
        let patience = Duration::from_millis(config.shutdown.grace_ms / 2);
        let finish = async {
            stopping.cancelled().await;
            web.see_devices_off(&devices_gone, patience / 2).await;
            web.sockets.close();
            web.sockets.wait().await;
            web.requests.close();
            let _or_its_body_never_comes = time::timeout(patience, web.requests.wait()).await;
            // What is left are requests that never came whole.
            cut.cancel();
        };
        tokio::join!(serving, finish, web.guests.follow(&web));
    }
}

fn token_limits(config: &Config) -> TokenLimits {
    let limits = &config.limits;
    TokenLimits {
        connections: limits.token_connections,
        messages_per_s: limits.token_messages_per_s,
    }
}

/// What is served outside the API, besides the dashboard's files, and takes no query: a token is never in a URL.
fn routes() -> Vec<Route> {
    vec![
        ("/ws", get(live::upgrade)),
        ("/mqtt", get(mqtt::upgrade)),
        ("/healthz", get(health::healthz)),
        ("/readyz", get(health::readyz)),
        ("/metrics", get(health::metrics)),
        ("/openapi.json", get(contracts::openapi)),
        ("/asyncapi.json", get(contracts::asyncapi)),
    ]
}

/// What is served outside the API and takes a query.
fn queried() -> Vec<Route> {
    vec![("/sse", get(sse::listen))]
}

/// Refuses a query where none is taken. Its values are not told again: somebody may have put a token there.
async fn no_query(request: Request, next: Next) -> Response {
    match request.uri().query() {
        None | Some("") => next.run(request).await,
        Some(query) => {
            let path = request.uri().path();
            let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
            let names = names.collect::<Vec<_>>().join(", ");
            Refused::bad_query(format!("'{path}' takes no query, and so no {names}"))
                .into_response()
        }
    }
}

fn router(web: Arc<Web>) -> Router {
    let body_bytes = usize::try_from(web.limits.http_body_bytes).unwrap_or(usize::MAX);
    let plain = with_routes(Router::new(), routes());
    with_routes(plain.route_layer(middleware::from_fn(no_query)), queried())
        .nest(api::PREFIX, api::router())
        .fallback(get(assets::serve).fallback(wrong_method))
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body_bytes))
        .layer(middleware::from_fn_with_state(Arc::clone(&web), pass))
        .with_state(web)
}

/// The layer over all paths. One for all that is asked of a request: each layer of axum costs it some allocations.
async fn pass(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let (_under_way, web) = (web.requests.token(), &web);
    let within = |request| async move {
        match caller::check(web, peer, request).await {
            Ok(request) => next.run(serving::hurry(web, request)).await,
            Err(refused) => refused.into_response(),
        }
    };
    let mut response = guard::check(web, request, within).await;
    headers::add(web, response.headers_mut());
    response
}

fn unknown_path(path: &str) -> Refused {
    Refused::not_found("not_found", format!("there is nothing at '{path}'"))
}

async fn wrong_method(method: Method, uri: Uri) -> Refused {
    let detail = format!("'{}' does not take {method}", uri.path());
    std::future::ready(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail))
        .await
}

fn with_routes(router: Router<Arc<Web>>, routes: Vec<Route>) -> Router<Arc<Web>> {
    routes.into_iter().fold(router, |router, (path, serve)| router.route(path, serve))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn openapi_json_has_every_path_that_is_served_and_no_other() {
        let own = routes().into_iter().chain(queried()).map(|(path, _)| path.to_owned());
        let api = api::lists().into_iter().chain(api::routes());
        let served: BTreeSet<_> =
            own.chain(api.map(|(path, _)| format!("{}{path}", api::PREFIX))).collect();
        let document: Value = serde_json::from_str(protocol::OPENAPI).unwrap();
        let documented: BTreeSet<_> =
            document["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(served, documented, "protocol/tests/contracts/openapi writes it");
    }
}
