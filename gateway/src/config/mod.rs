//! The configuration: defaults, then the file, then `SLUICE_` variables, then flags.
//!
//! [`Config`] is what the rest of the gateway sees; each of its sections has a file, with the defaults and
//! the bounds of its values. [`load`] reads it and reports all mistakes at once; `check` asks every section
//! what is wrong beyond the types. `config/sluice.toml` explains every key.

mod address;
mod alerts;
mod auth;
mod check;
mod http;
mod limits;
mod load;
mod log;
mod mqtt;
mod routes;
mod secure;
mod store;
mod types;
mod webhook;

pub use alerts::{AlertRule, Alerting, CommandAlerts};
pub use auth::{AclAction, AclEffect, AclRule, Auth, Jwt};
pub use check::Unusable;
pub use http::Http;
pub use limits::Limits;
pub(crate) use load::of_text;
pub(crate) use load::read;
pub use load::{Mistakes, Sources, load};
pub use log::{Log, LogFormat};
pub use mqtt::Mqtt;
pub use routes::Route;
pub use secure::{Ask, ClientCertificates, DeviceName, Network, Proxy, Tls};
pub use store::{Ack, Ingest, Retention, Store};
pub use types::Types;
pub(crate) use types::demo_types;
pub use webhook::{Secret, Webhook};

use bridge::mapping::MappingSettings;
use check::{DAY_MS, Range};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, thread};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The MQTT listener.
    pub mqtt: Mqtt,
    /// The HTTP listener: dashboard, WebSocket, API.
    pub http: Http,
    /// How MQTT clients sign in.
    pub auth: Auth,
    /// What clients that signed in may publish and subscribe, before the built-in rules.
    pub acl: Vec<AclRule>,
    /// The certificate of the listeners with TLS.
    pub tls: Tls,
    /// Load balancers before the listeners.
    pub proxy: Proxy,
    /// Where the gateway keeps its files.
    pub data_dir: DataDir,
    /// How many threads serve clients.
    pub workers: Workers,
    /// What is written to the log.
    pub log: Log,
    /// Bounds on what peers may do.
    pub limits: Limits,
    /// When what devices publish is acknowledged.
    pub ingest: Ingest,
    /// What is kept on disk.
    pub store: Store,
    /// How long the updates of channels are kept: the first whose channels match; what none matches is kept
    /// for good.
    pub retention: Vec<Retention>,
    /// Devices without a connection of their own.
    pub presence: Presence,
    /// How the gateway ends.
    pub shutdown: Shutdown,
    /// Topics that feed channels, before the built-in ones.
    pub routes: Vec<Route>,
    /// Devices that know only their own topics.
    pub mappings: Vec<MappingSettings>,
    /// What raises alerts by itself.
    pub alerting: Alerting,
    /// Rules that raise alerts.
    pub alerts: Vec<AlertRule>,
    /// Who is told of alerts.
    pub webhook: Webhook,
    /// Types of devices.
    pub types: Types,
}

/// Where the gateway keeps its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataDir(pub PathBuf);

impl Default for DataDir {
    fn default() -> Self {
        Self("./data".into())
    }
}

/// How many threads serve clients; 0: one fewer than there are processors, at least one. The last processor is for
/// the router's and the store's threads and the kernel: on a small machine a second worker costs more in wake-ups than it
/// gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Workers(pub u64);

impl Workers {
    fn ranges(self) -> [Range; 1] {
        [("workers", self.0, 0..=1_024)]
    }

    /// The number that is meant.
    #[must_use]
    pub fn count(self) -> usize {
        let spare = || thread::available_parallelism().map_or(0, |processors| processors.get() - 1);
        let set = usize::try_from(self.0).expect("within its range");
        if set > 0 { set } else { spare().max(1) }
    }
}

/// Devices without a connection of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// After this time without a message such a device is offline.
    pub silent_after_ms: u64,
}

impl Default for Presence {
    fn default() -> Self {
        Self { silent_after_ms: 300_000 }
    }
}

impl Presence {
    fn ranges(&self) -> [Range; 1] {
        [("presence.silent_after_ms", self.silent_after_ms, 1_000..=365 * DAY_MS)]
    }
}

/// How the gateway ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long it may take to finish what is under way.
    pub grace_ms: u64,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace_ms: 5_000 }
    }
}

impl Shutdown {
    fn ranges(&self) -> [Range; 1] {
        [("shutdown.grace_ms", self.grace_ms, 0..=DAY_MS)]
    }
}
