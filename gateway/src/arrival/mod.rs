//! What happens to a socket between its accepting and its protocol: the header of the PROXY protocol and the
//! TLS handshake, each under a deadline, and no more of them at a time than `limits.handshakes`.
//!
//! Both listeners (`edge`, `web`) hand every socket through here and get a [`Guest`]. Who comes over it is
//! theirs to decide.

mod failing;
pub(crate) mod fuzzing;
mod identity;
mod proxy;
mod tls;
mod waiting;

pub(crate) use failing::Failing;
pub use tls::{Clients, Sources, Tls, TlsError};

use crate::{
    auth::Certified,
    config::{Config, Network},
    count::counters,
    files::Room,
};
use proxy::BadHeader;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use waiting::{Place, Waiting};

counters! {
    /// What all listeners count before their protocol, and what of the files that are read again.
    Counters {
        /// Sockets that are at their PROXY header or TLS handshake.
        handshakes_now,
        /// TLS handshakes that ended well.
        tls_accepted,
        /// TLS handshakes that failed: no TLS, no version or certificate in common, a client certificate that
        /// does not count.
        tls_refused,
        /// Sockets closed because their TLS handshake took longer than tls.handshake_timeout_ms.
        tls_timeouts,
        /// Sockets closed because limits.handshakes others came after them, before their own handshake ended.
        crowded_out,
        /// PROXY headers taken.
        proxy_accepted,
        /// Sockets closed because what came from a trusted address is no PROXY header.
        proxy_refused,
        /// Sockets closed because their PROXY header took longer than proxy.header_timeout_ms.
        proxy_timeouts,
        /// Times that the files of TLS were read again.
        tls_reloads,
        /// Times that they could not be used, and the ones before stayed.
        tls_reload_failures,
        /// Times that the keys of JWTs were read again.
        jwt_reloads,
        /// Times that they could not be used, and the ones before stayed.
        jwt_reload_failures,
    }
}

/// A stream whose peer is known.
#[derive(Debug)]
pub struct Guest {
    /// What carries its protocol.
    pub stream: Carrier,
    /// Where it comes from; behind a load balancer what that says.
    pub address: SocketAddr,
    /// What its certificate says.
    pub certified: Option<Certified>,
}

/// What carries a protocol.
#[derive(Debug)]
pub enum Carrier {
    /// The socket itself.
    Plain(TcpStream),
    /// TLS over it.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why a socket was closed before its protocol began.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("others came while its handshake went on")]
    Crowded,
    #[error("no PROXY header came in time")]
    ProxyLate,
    #[error(transparent)]
    Proxy(#[from] BadHeader),
    #[error("the TLS handshake took too long")]
    TlsLate,
    #[error("the TLS handshake failed: {0}")]
    Tls(io::Error),
}

/// What a listener does with sockets it has accepted.
#[derive(Debug)]
pub struct Arrivals {
    trusted: Option<Vec<Network>>,
    proxy_within: Duration,
    tls: Option<Arc<Tls>>,
    tls_within: Duration,
    waiting: Arc<Waiting>,
    counters: Arc<Counters>,
}

/// The arrivals of every listener.
#[derive(Debug)]
pub struct Listeners {
    /// Of MQTT.
    pub mqtt: MqttArrivals,
    /// Of `http.listen`.
    pub http: Arrivals,
    /// Those whose certificates are to be kept up to date.
    pub(crate) secured: Vec<Arc<Tls>>,
    /// What they count.
    pub counters: Arc<Counters>,
    /// The room for all that arrive.
    pub room: Arc<Room>,
}

/// The arrivals of the listeners for MQTT.
#[derive(Debug)]
pub struct MqttArrivals {
    /// Of `mqtt.listen`.
    pub plain: Arrivals,
    /// Of `mqtt.tls_listen`.
    pub tls: Option<Arrivals>,
    /// The room for them, and for others.
    pub room: Arc<Room>,
}

impl Listeners {
    /// As the settings say, with the certificates read.
    ///
    /// # Errors
    /// When a file of TLS cannot be used.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        let counters: Arc<Counters> = Arc::default();
        let room = Room::new(&config.limits);
        let open = |sources: Option<Sources>| sources.map(Tls::open).transpose();
        let mqtt_tls = open(config.mqtt_tls())?.map(Arc::new);
        let http_tls = open(config.http_tls())?.map(Arc::new);
        let secured = mqtt_tls.iter().chain(&http_tls).cloned().collect();
        let arrivals = |proxy, tls| Arrivals::new(config, proxy, tls, Arc::clone(&counters));
        Ok(Self {
            mqtt: MqttArrivals {
                plain: arrivals(config.mqtt.proxy_protocol, None),
                tls: mqtt_tls.map(|tls| arrivals(config.mqtt.proxy_protocol, Some(tls))),
                room: Arc::clone(&room),
            },
            http: arrivals(config.http.proxy_protocol, http_tls),
            secured,
            counters: Arc::clone(&counters),
            room,
        })
    }
}

impl Arrivals {
    fn new(config: &Config, proxy: bool, tls: Option<Arc<Tls>>, counters: Arc<Counters>) -> Self {
        Self {
            trusted: proxy.then(|| config.proxy.trusted.clone()),
            proxy_within: Duration::from_millis(config.proxy.header_timeout_ms),
            tls,
            tls_within: Duration::from_millis(config.tls.handshake_timeout_ms),
            waiting: Arc::new(Waiting::new(config.limits.handshakes as usize)),
            counters,
        }
    }

    /// Whether what comes here is encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Makes a guest of a socket that was accepted just now; none: it was closed, and counted. Sockets have their
    /// order from the calls, not from when what is returned is polled.
    pub fn welcome(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = Option<Guest>> + Send {
        let begins_at_once = self.trusted.is_none() && self.tls.is_none();
        let place = (!begins_at_once).then(|| self.waiting.place());
        async move {
            match place {
                None => {
                    Some(Guest { stream: Carrier::Plain(socket), address: peer, certified: None })
                }
                // Boxed, so that a connection does not hold the memory of a handshake.
                Some(place) => Box::pin(self.shake(socket, peer, place)).await,
            }
        }
    }

    async fn shake(&self, socket: TcpStream, peer: SocketAddr, mut place: Place) -> Option<Guest> {
        self.counters.handshakes_now.increment();
        let welcomed = tokio::select! {
            biased;
            () = place.lost() => Err(Refused::Crowded),
            welcomed = self.greet(socket, peer) => welcomed,
        };
        drop(place);
        self.counters.handshakes_now.decrement();
        welcomed
            .inspect_err(|why| {
                self.count(why);
                tracing::debug!(%peer, %why, "closed before its protocol began");
            })
            .ok()
    }

    async fn greet(&self, mut socket: TcpStream, peer: SocketAddr) -> Result<Guest, Refused> {
        let address = self.origin(&mut socket, peer).await?;
        let Some(tls) = &self.tls else {
            return Ok(Guest { stream: Carrier::Plain(socket), address, certified: None });
        };
        let accepting = TlsAcceptor::from(tls.current()).accept(socket);
        let accepted = timeout(self.tls_within, accepting).await;
        let stream = accepted.map_err(|_| Refused::TlsLate)?.map_err(Refused::Tls)?;
        self.counters.tls_accepted.increment();
        let certified = tls.certified(stream.get_ref().1);
        Ok(Guest { stream: Carrier::Tls(Box::new(stream)), address, certified })
    }

    /// Where a connection comes from.
    async fn origin(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
    ) -> Result<SocketAddr, Refused> {
        let trusts = |networks: &Vec<Network>| networks.iter().any(|net| net.has(peer.ip()));
        if !self.trusted.as_ref().is_some_and(trusts) {
            return Ok(peer);
        }
        let header = timeout(self.proxy_within, proxy::read(socket)).await;
        let told = header.map_err(|_| Refused::ProxyLate)??;
        self.counters.proxy_accepted.increment();
        Ok(told.unwrap_or(peer))
    }

    fn count(&self, why: &Refused) {
        match why {
            Refused::Crowded => &self.counters.crowded_out,
            Refused::ProxyLate => &self.counters.proxy_timeouts,
            Refused::Proxy(_) => &self.counters.proxy_refused,
            Refused::TlsLate => &self.counters.tls_timeouts,
            Refused::Tls(_) => &self.counters.tls_refused,
        }
        .increment();
    }
}
