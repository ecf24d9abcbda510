//! Much of the past: what a look at it costs the page, and the gateway.

use serde_json::json;
use tests::{DAY_POINTS, DAY_READINGS, TestGateway, publish_day};

/// Where the day begins, in milliseconds since the Unix epoch.
const BEGIN: i64 = 1_700_000_000_000;

const ANSWER_BYTES_MAX: usize = 50 * 1024;

/// All rows of a day, as the gateway reads them, need several times so much.
const LOOKS_BYTES_MAX: u64 = 48 * 1024 * 1024;

#[tokio::test]
async fn a_chart_of_a_day_takes_50_kib_and_looks_at_it_take_bounded_memory() {
    let gateway = TestGateway::start().await;
    publish_day(gateway.mqtt(), BEGIN).await;
    let span = format!("from={BEGIN}&to={}", BEGIN + DAY_READINGS * 1_000);
    let path = format!("/api/v1/devices/d1/telemetry?{span}&points={DAY_POINTS}");

    let (_, text) = gateway.get_text(&path).await;
    let bytes = text.len();
    assert!(bytes <= ANSWER_BYTES_MAX, "{bytes} bytes");
    let (_, day) = gateway.get(&path).await;
    assert_eq!(day["timestamps"].as_array().expect("buckets").len(), DAY_POINTS as usize);
    assert_eq!(day["bucket_ms"], json!(DAY_READINGS * 1_000 / i64::from(DAY_POINTS)));

    let before = gateway.memory_bytes();
    let looks = (0..8).map(|_| gateway.get(&path));
    let all = futures_util::future::join_all(looks).await;
    assert!(all.iter().all(|(_, found)| *found == day));
    let grown = gateway.memory_bytes().saturating_sub(before);
    assert!(grown <= LOOKS_BYTES_MAX, "eight looks took {grown} bytes");
}
