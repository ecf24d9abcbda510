//! `--demo`: a small simulated fleet in the same process, speaking MQTT to the gateway like any other, and somebody
//! who asks things of it.

mod script;

use crate::core::Core;
use anyhow::Context as _;
use bridge::devices::Tags;
use device_sim::{Broker, Fleet, FleetConfig};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

/// How many devices there are.
const DEVICES: u32 = 24;

/// How often each reports, a second.
const RATE_PER_S: f64 = 1.0;

/// Runs the fleet against the listener at `mqtt` until `stop`.
///
/// # Errors
/// When a simulated device panicked.
pub(crate) async fn run(
    core: Core,
    mqtt: SocketAddr,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let broker: Broker = mqtt.to_string().parse().context("the gateway's own address")?;
    let config =
        FleetConfig { devices: DEVICES, rate_per_s: RATE_PER_S, ..FleetConfig::new(broker) };
    let fleet = Fleet::new(config)?;
    for (id, kind) in fleet.devices() {
        let id = id.clone();
        let kind = Some(kind.to_string());
        let tags = Tags::from([("demo".to_owned(), "true".to_owned())]);
        core.change(move |bridge, now| bridge.put_device(now, &id, kind, tags)).await??;
    }
    let (ended, ()) = tokio::join!(fleet.run(stop.clone()), script::play(core, stop));
    ended?;
    Ok(())
}
