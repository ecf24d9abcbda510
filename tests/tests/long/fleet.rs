//! A fleet of simulated devices against the real gateway.

use device_sim::{Fleet, FleetConfig, Summary};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tests::{DEADLINE, Live, TestGateway, soon};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

const DEVICES: u32 = 200;
const RATE_PER_S: f64 = 2.0;
const RUNS_FOR: Duration = Duration::from_secs(30);

#[tokio::test]
async fn two_hundred_devices_lose_nothing() {
    let gateway = TestGateway::start().await;
    let mut live = gateway.live().await;
    live.subscribe(&["telemetry/#"]).await;

    let broker = gateway.mqtt().to_string().parse().expect("an address is a broker");
    let config =
        FleetConfig { devices: DEVICES, rate_per_s: RATE_PER_S, ..FleetConfig::new(broker) };
    let fleet = Fleet::new(config).expect("the fleet can be");
    let stop = CancellationToken::new();
    let mut task = JoinSet::new();
    task.spawn(fleet.run(stop.clone()));

    let mut seen = Seen::default();
    // The fleet runs for as long as nothing happens but its telemetry: the deadline is the stop.
    let _ran_its_time = timeout(RUNS_FOR, seen.go_on(&mut live)).await;
    stop.cancel();
    let ended = soon("the fleet's end", async {
        tokio::select! {
            ended = task.join_next() => ended,
            () = seen.go_on(&mut live) => None,
        }
    });
    let summary = ended.await.expect("one task").expect("no panic").expect("the fleet ends well");
    timeout(DEADLINE, seen.until_all(&mut live, &summary)).await.expect("all of it comes");

    let totals = &summary.totals;
    assert_eq!((totals.connects, totals.reconnects), (DEVICES.into(), 0), "{summary}");
    assert_eq!((totals.dropped, totals.refused), (0, 0), "{summary}");
    let expected = f64::from(DEVICES) * RATE_PER_S * RUNS_FOR.as_secs_f64();
    assert!(totals.acknowledged as f64 > expected * 0.9, "{summary}");
    for (id, device) in &summary.devices {
        let seen = seen.0[id.as_str()];
        assert!(
            (device.totals.acknowledged..=device.totals.published).contains(&seen),
            "{id}: {seen} of {:?}",
            device.totals
        );
    }
    let lost = gateway.metric("sluice_websocket_updates_dropped_total").await;
    assert_eq!((lost, gateway.metric("sluice_exchange_lost_total").await), (0, 0));
}

/// The newest `seq` of each device's telemetry; without a hole it is the count of its readings.
#[derive(Default)]
struct Seen(BTreeMap<String, u64>);

impl Seen {
    async fn go_on(&mut self, live: &mut Live) {
        loop {
            let message = live.next().await;
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let Some(channel) = message["channel"].as_str() else { panic!("{message} is no update") };
        let device = channel.trim_start_matches("telemetry/").to_owned();
        let last = self.0.entry(device).or_default();
        *last += 1;
        assert_eq!(message["seq"], *last, "a hole in {channel}");
    }

    async fn until_all(&mut self, live: &mut Live, summary: &Summary) {
        let is_missing = |seen: &Self| {
            summary.devices.iter().any(|(id, device)| {
                seen.0.get(id.as_str()).copied().unwrap_or(0) < device.totals.acknowledged
            })
        };
        while is_missing(self) {
            let message = live.next().await;
            self.note(&message);
        }
    }
}
