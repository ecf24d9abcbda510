//! A fleet: its devices, each in a task of its own, until it is told to stop.

use crate::{
    BadConfig, Counters, FleetConfig, Kind, Summary, Transport,
    actor::{Actor, Remains, Setup},
    clock,
    device::Device,
};
use protocol::DeviceId;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rustls::ClientConfig;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// A fleet that is ready to run.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use device_sim::{Fleet, FleetConfig};
/// use tokio_util::sync::CancellationToken;
///
/// let fleet = Fleet::new(FleetConfig::new("127.0.0.1:1883".parse()?))?;
/// let counters = fleet.counters();
/// let stop = CancellationToken::new();
/// let summary = fleet.run(stop.child_token()).await?;
/// assert_eq!(summary.totals, counters.totals());
/// # Ok(())
/// # }
/// ```
///
/// Device ids are `{prefix}{type}-{number:03}`, such as `pump-001` without a prefix; a device's client id is its own id.
pub struct Fleet {
    config: Arc<FleetConfig>,
    tls: Option<Arc<ClientConfig>>,
    devices: Vec<(DeviceId, Kind)>,
    counters: Counters,
}

/// A fleet that did not end well.
#[derive(Debug)]
pub struct FleetError(tokio::task::JoinError);

impl fmt::Display for FleetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a device's task panicked: this is a bug of device-sim")
    }
}

impl std::error::Error for FleetError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl Fleet {
    /// Makes the devices; nothing connects yet.
    ///
    /// # Errors
    /// A value of the configuration that is out of its range, or names a file that cannot be used.
    pub fn new(config: FleetConfig) -> Result<Self, BadConfig> {
        config.check()?;
        let devices: Vec<_> = (0..config.devices).map(|index| name(&config, index)).collect();
        if let Some(secrets) = &config.secrets
            && let Some((id, _)) = devices.iter().find(|(id, _)| secrets.of(id).is_none())
        {
            return Err(BadConfig::NoSecret(id.clone()));
        }
        let counters = Counters::new(devices.iter().map(|(id, _)| id.clone()));
        Ok(Self { tls: tls(&config)?, config: Arc::new(config), devices, counters })
    }

    /// The devices, in the order in which they start.
    #[must_use]
    pub fn devices(&self) -> &[(DeviceId, Kind)] {
        &self.devices
    }

    /// The live numbers; they stay readable after the fleet has ended.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// Runs the fleet until `stop`; then every device finishes what it can within 2 s, and says
    /// DISCONNECT.
    ///
    /// # Errors
    /// When a device's task panicked; the others are stopped first.
    ///
    /// # Cancel safety
    /// Dropping this ends all devices at once, without DISCONNECT.
    pub async fn run(self, stop: CancellationToken) -> Result<Summary, FleetError> {
        let started = Instant::now();
        let stop = stop.child_token();
        let mut tasks = self.start(started, &stop);
        let mut remains = Vec::with_capacity(self.devices.len());
        let mut panic = None;
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(device) => remains.push(device),
                Err(error) => {
                    stop.cancel();
                    panic = Some(error);
                }
            }
        }
        match panic {
            Some(error) => Err(FleetError(error)),
            None => Ok(summarise(remains, started.elapsed())),
        }
    }

    fn start(&self, now: Instant, stop: &CancellationToken) -> JoinSet<Remains> {
        let mut tasks = JoinSet::new();
        for index in 0..self.devices.len() {
            let setup = self.setup(index, now);
            let span = tracing::debug_span!("device", id = %setup.id);
            tasks.spawn(Actor::new(setup).run(stop.clone()).instrument(span));
        }
        tasks
    }

    fn setup(&self, index: usize, now: Instant) -> Setup {
        let (id, kind) = self.devices[index].clone();
        let config = Arc::clone(&self.config);
        let seed = config.seed.wrapping_mul(1_000_003).wrapping_add(index as u64);
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(1));
        let part = index as f64 / self.devices.len() as f64;
        let first_connect = now + config.start_within.mul_f64(part);
        let phase = config.period().mul_f64(rng.random());
        Setup {
            device: Device::new(id.clone(), kind, config.chaos, seed, clock::now()),
            counters: self.counters.of(&id),
            first_reading: first_connect + phase,
            id,
            config,
            tls: self.tls.clone(),
            rng,
            first_connect,
        }
    }
}

/// What TLS needs to know; none: there is no TLS.
fn tls(config: &FleetConfig) -> Result<Option<Arc<ClientConfig>>, BadConfig> {
    let tls = match (config.broker.transport(), &config.ca) {
        (Transport::Plain, _) => return Ok(None),
        (Transport::Tls, None) => trust::in_system(),
        (Transport::Tls, Some(file)) => {
            trust::in_file(file).map_err(|error| BadConfig::Authority(error.to_string()))?
        }
    };
    Ok(Some(tls.into()))
}

/// Device `index` of the fleet: the kinds take turns, each with its own numbers.
fn name(config: &FleetConfig, index: u32) -> (DeviceId, Kind) {
    let kinds = config.kinds.len();
    let kind = config.kinds[index as usize % kinds];
    let number = index as usize / kinds + 1;
    let id = format!("{}{kind}-{number:03}", config.prefix).parse();
    (id.expect("a prefix that was checked, a kind and a number make a device id"), kind)
}

fn summarise(remains: Vec<Remains>, elapsed: Duration) -> Summary {
    let mut devices = BTreeMap::new();
    let mut commands = Vec::new();
    for device in remains {
        commands.extend(device.commands);
        devices.insert(device.id, device.summary);
    }
    // A stable sort keeps each device's order.
    commands.sort_by(|a, b| a.device.cmp(&b.device));
    let totals = devices.values().map(|device| device.totals).sum();
    Summary { elapsed, totals, devices, commands }
}
