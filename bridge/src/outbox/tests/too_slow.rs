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
    ask(&mut outbox, 20_000, &value);
    assert!(!outbox.is_lagging());
    for second in 0..30 {
        offer(&mut outbox, 0, &update("telemetry/0", 2 + second, r#"{"a":1}"#), Delivery::Every);
        assert!(!outbox.is_lagging(), "for what was asked for");
        let now = Timestamp(second as i64 * 1_000);
        assert!(!outbox.is_too_slow(now));
        assert!(outbox.take(now, FULL_BYTES).is_some());
    }
}

#[test]
fn who_asks_for_the_same_again_and_again_and_does_not_read_is_ended_at_once() {
    for (channels, pad, most) in [(1, 10, 300_000), (1_000, 10_000, 3), (1_000, 100, 150)] {
        let mut outbox = outbox();
        let value = update("telemetry/d", 1, &format!(r#"{{"pad":"{}"}}"#, "x".repeat(pad)));
        let asked = (1..=most).find(|_| {
            ask(&mut outbox, channels, &value);
            outbox.is_too_slow(Timestamp(0))
        });
        assert!(asked.is_some_and(|asked| asked > 1), "{channels} of {pad}: {asked:?}");
    }
}

#[test]
fn what_was_asked_for_again_counts_until_it_is_read() {
    let mut outbox = outbox();
    let value = update("telemetry/d", 1, &format!(r#"{{"pad":"{}"}}"#, "x".repeat(10_000)));
    for _ in 0..10 {
        ask(&mut outbox, 1_000, &value);
        // The first of two that wait of a channel is read, and then the other.
        ask(&mut outbox, 500, &value);
        for _ in 0..1_500 {
            assert!(outbox.take(Timestamp(0), 1).is_some());
            assert!(!outbox.is_too_slow(Timestamp(0)));
        }
        assert!(!outbox.is_ready(Timestamp(0)));
        assert_eq!(outbox.asked.again_bytes(), 0);
    }
}

/// Asks for the values of so many channels.
fn ask(outbox: &mut Outbox, channels: usize, value: &Update) {
    for device in 0..channels {
        let channel = format!("telemetry/{device}").parse().unwrap();
        let _wake = outbox.snapshot(channel, value.stamp, value.data.clone());
    }
}

/// A fleet whose values are more than may stay queued: one update of each.
fn offer_fleet(outbox: &mut Outbox, now: i64, number: u64, delivery: Delivery) {
    let metrics = format!(r#"{{"pad":"{}"}}"#, "x".repeat(12_000));
    for device in 0..300 {
        offer(outbox, now, &update(&format!("telemetry/{device}"), number, &metrics), delivery);
    }
}
