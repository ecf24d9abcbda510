//! What is asked of the demo's fleet, by the second: the same in each round, so that there is always something to
//! see of commands, batches, desired states, alerts and presence.

use crate::core::{Core, Outlet, Stopped, Unanswered};
use bridge::{bridge::Bridge, command::book::Caller, rights::Rights, shadow::Expected};
use protocol::{BatchRequest, CommandId, CommandRequest, DeviceId, DeviceState, Millis, Timestamp};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Who asks.
const USER: &str = "demo";

/// How long a round is, in seconds.
const ROUND_S: u64 = 120;

/// The time that a vehicle has between two words of progress: more than it needs for a twentieth of its longest way.
const LONG: Millis = Millis(60_000);

/// Something that is asked.
enum Act {
    /// A command for a device.
    Command(&'static str, &'static str, Value),
    /// A command for a device that takes as long as it takes: whenever it tells progress it has its time anew.
    LongCommand(&'static str, &'static str, Value),
    /// A command for all devices of a type, two at a time.
    Batch(&'static str, &'static str, Value),
    /// What a device is wanted to be.
    Desire(&'static str, Value),
}

/// A round: the second, and what is asked then.
fn round() -> Vec<(u64, Act)> {
    vec![
        (5, Act::Desire("thermostat-001", json!({ "target": 21.5 }))),
        (10, Act::Batch("pump", "set_valve", json!({ "percent": 75 }))),
        (25, Act::Command("thermostat-002", "set_target", json!({ "temperature": 23 }))),
        // It turns against a closed valve now, and says so.
        (35, Act::Command("pump-003", "set_valve", json!({ "percent": 0 }))),
        (50, Act::Command("tracker-004", "reboot", json!({}))),
        // In the middle of its round, so that it is there before the next one.
        (60, Act::LongCommand("tracker-002", "go_to", json!({ "lat": 52.518, "lon": 13.358 }))),
        (70, Act::Command("pump-003", "set_valve", json!({ "percent": 80 }))),
        (80, Act::Desire("thermostat-001", json!({ "target": 20 }))),
        (95, Act::Command("thermostat-002", "set_target", json!({ "temperature": 20 }))),
    ]
}

/// Plays round after round until `stop`.
pub(super) async fn play(core: Core, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        // The gateway ends.
        Stopped = rounds(&core) => {}
    }
}

async fn rounds(core: &Core) -> Stopped {
    let mut begin = Instant::now();
    loop {
        for (second, act) in round() {
            sleep_until(begin + Duration::from_secs(second)).await;
            match have(core, act).await {
                // What is not stored was not done: that is the demo's luck, as a refusal is.
                Ok(()) | Err(Unanswered::NotStored(_)) => {}
                Err(Unanswered::Stopped(stopped)) => return stopped,
            }
        }
        begin += Duration::from_secs(ROUND_S);
    }
}

async fn have(core: &Core, act: Act) -> Result<(), Unanswered> {
    let refused = core.change(move |bridge, now| perform(bridge, now, act)).await?;
    // Another may have had the same device do something else, or deleted it.
    if let Err(reason) = refused {
        info!(%reason, "the demo was refused something");
    }
    Ok(())
}

fn perform(bridge: &mut Bridge<Outlet>, now: Timestamp, act: Act) -> anyhow::Result<()> {
    let caller = Caller { user: USER, key: None };
    match act {
        Act::Command(device, name, params) => {
            bridge.command(now, id(), &known(device), request(name, params), caller)?;
        }
        Act::LongCommand(device, name, params) => {
            let request = CommandRequest {
                timeout_ms: Some(LONG),
                progress_extends: Some(true),
                ..request(name, params)
            };
            bridge.command(now, id(), &known(device), request, caller)?;
        }
        Act::Batch(kind, name, params) => {
            let batch = BatchRequest {
                devices: None,
                kind: Some(kind.into()),
                tag: None,
                command: request(name, params),
                concurrency: Some(2),
                rate: None,
                abort_after: None,
                dry_run: None,
            };
            let caller = (caller, &Rights::everything());
            bridge.command_batch(now, id().to_string(), &mut id, batch, caller)?;
        }
        Act::Desire(device, desired) => {
            let device = known(device);
            let expected = whatever_is_now(&bridge.device_state(&device));
            bridge.desire(now, &device, object(desired), &expected)?;
        }
    }
    Ok(())
}

/// `Any` would not be taken of a device of which nothing is desired yet.
fn whatever_is_now(state: &DeviceState) -> Expected {
    Expected::OneOf(vec![state.version])
}

fn id() -> CommandId {
    CommandId::from_u128(uuid::Uuid::now_v7().as_u128())
}

fn known(device: &str) -> DeviceId {
    device.parse().expect("the script's devices have ids")
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn request(name: &str, params: Value) -> CommandRequest {
    CommandRequest {
        name: name.into(),
        params: Some(object(params)),
        ttl_ms: None,
        timeout_ms: None,
        not_before: None,
        priority: None,
        supersede: None,
        idempotent: None,
        progress_extends: None,
        dry_run: None,
        expect: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bridge::shadow::Shadows;

    #[test]
    fn a_round_is_in_order_and_names_devices() {
        let round = round();
        assert!(round.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(round.iter().all(|(second, _)| *second < ROUND_S));
        for (_, act) in round {
            match act {
                Act::Command(device, ..)
                | Act::LongCommand(device, ..)
                | Act::Desire(device, _) => drop(known(device)),
                Act::Batch(..) => {}
            }
        }
    }

    #[test]
    fn what_is_desired_is_taken_in_the_first_round_and_in_each_after_it() {
        let mut shadows = Shadows::new(1_024);
        for (_, act) in [round(), round()].into_iter().flatten() {
            if let Act::Desire(device, desired) = act {
                let expected = whatever_is_now(&shadows.get(&known(device)));
                shadows.desire(&known(device), object(desired), &expected).expect("it is taken");
            }
        }
        assert_eq!(shadows.get(&known("thermostat-001")).version, 4);
    }
}
