//! Who is too slow to be kept, and who is not.

use super::*;

#[test]
fn telemetry_that_is_merged_and_never_read_ends_a_slow_reader_however_it_is_wanted() {
    for delivery in [Delivery::Every, EACH_FRAME, Delivery::Latest { interval: Millis(100) }] {
        let mut outbox = outbox();
        let too_slow = (0..=10_u64).position(|second| {
            let now = second as i64 * 1_000;
            offer_fleet(&mut outbox, now, second, delivery);
            outbox.is_too_slow(Timestamp(now))
        });
        assert_eq!(too_slow, Some(10), "{delivery:?}");
    }
}

#[test]
fn a_reader_that_comes_below_the_bound_between_two_bursts_is_kept() {
    let mut outbox = outbox();
    for second in 0..30 {
        let now = second as i64 * 1_000;
        offer_fleet(&mut outbox, now, second, Delivery::Every);
        assert!(!outbox.is_too_slow(Timestamp(now)));
        while outbox.take(Timestamp(now), FULL_BYTES).is_some() {}
        assert_eq!(outbox.bytes(), 0);
    }
}

#[test]
fn what_waits_for_its_interval_is_not_queued() {
    let mut outbox = outbox();
    let delivery = Delivery::Latest { interval: Millis(60_000) };
    offer_fleet(&mut outbox, 0, 1, delivery);
    while outbox.take(Timestamp(0), FULL_BYTES).is_some() {}
    for second in 1..60 {
        offer_fleet(&mut outbox, second * 1_000, 2, delivery);
        assert!(!outbox.is_too_slow(Timestamp(second * 1_000)));
    }
    assert_eq!(outbox.bytes(), 0);
    assert_eq!(take(&mut outbox, 60_000).len(), 300);
}

#[test]
fn snapshots_do_not_end_who_reads_them_slowly() {
    let mut outbox = outbox();
    let value = update("telemetry/d", 1, &format!(r#"{{"pad":"{}"}}"#, "x".repeat(12_000)));
    for device in 0..300 {
        let channel = format!("telemetry/{device}").parse().unwrap();
        let _wake = outbox.snapshot(channel, value.stamp, value.data.clone());
    }
    for second in 0..30 {
        assert!(!outbox.is_too_slow(Timestamp(second * 1_000)));
        assert!(outbox.take(Timestamp(second * 1_000), FULL_BYTES).is_some());
    }
}

/// A fleet whose values are more than may stay queued: one update of each.
fn offer_fleet(outbox: &mut Outbox, now: i64, number: u64, delivery: Delivery) {
    let metrics = format!(r#"{{"pad":"{}"}}"#, "x".repeat(12_000));
    for device in 0..300 {
        offer(outbox, now, &update(&format!("telemetry/{device}"), number, &metrics), delivery);
    }
}
