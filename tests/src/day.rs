//! A day of one device's readings, one a second.

use crate::{Connect, Peer, Version};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Seconds of a day, each a reading.
pub const DAY_READINGS: i64 = 86_400;

/// What the dashboard asks for to draw one chart of them.
pub const DAY_POINTS: u32 = 720;

/// Readings in one message.
const BATCH: i64 = 1_800;

/// Publishes a day of readings of `d1` from `from` on (milliseconds since the Unix epoch); all of them are
/// acknowledged.
pub async fn publish_day(mqtt: SocketAddr, from: i64) {
    let mut peer = Peer::connect(mqtt, Connect::new(Version::V3, "d1")).await;
    for first in (0..DAY_READINGS).step_by(BATCH as usize) {
        let readings: Value = (first..first + BATCH).map(|n| reading(from, n)).collect();
        peer.publish("devices/d1/telemetry", readings.to_string().as_bytes(), 1).await;
    }
}

/// Two digits behind the point, and noise: as sensors measure.
fn reading(from: i64, n: i64) -> Value {
    let noise = n.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as i64) >> 40 & 0xFFFF;
    let wave = (n as f64 / 900.0).sin();
    let hundredths = |value: f64| (value * 100.0).round() / 100.0;
    json!({"timestamp": from + n * 1_000, "data": {
        "temperature": hundredths(20.0 + 5.0 * wave + (noise % 100) as f64 / 100.0),
        "pressure": hundredths(1_013.0 + (noise % 37) as f64 / 10.0),
        "level": noise % 1_000,
    }})
}
