//! Clients whose credential is gone, or who were trusted and have to sign in now, do not stay.

use super::shared::Shared;
use std::{sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often it is asked whether the credentials changed; their files are looked at as often.
const INTERVAL: Duration = Duration::from_millis(500);

/// Ends connections that may not stay, until `stop`.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = shared.gate.version();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let version = shared.gate.version();
        if version != seen {
            seen = version;
            shared.gate.sweep();
            shared.registry.revoke(|access| shared.may_stay(access));
        }
    }
}
