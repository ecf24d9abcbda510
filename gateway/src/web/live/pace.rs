//! When the next frame may leave. While little is delivered in all, at once. When much is, live values are
//! gathered: a frame leaves every `http.flush_ms`, earlier in a lull (`crate::rhythm`) or when it is full. What is no
//! live value (answers, commands, alerts) does not wait.

use crate::{core::Outlet, rhythm::Rhythm};
use bridge::outbox::Haste;
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::{self, Instant};

/// While fewer frames leave in a window, of all connections together, what is urgent leaves at once: 15,000 a
/// second. A script that commands one device after the other takes four frames for each command.
const FRAMES_MAX: u64 = 300;

/// Beyond, so many urgent frames of one connection may follow each other.
const URGENT_AT_ONCE: u32 = 32;

/// So often one more may, in the long run: 2,000 a second take about 2% of a processor.
const URGENT_EVERY: Duration = Duration::from_micros(500);

/// How long deliveries are counted before it is decided anew.
const WINDOW: Duration = Duration::from_millis(20);

/// From so many deliveries in a window on, a frame for each would cost too much: 2,000 a second take about
/// 2% of a processor.
const DELIVERIES_MAX: u64 = 40;

/// How much is delivered, by all connections together.
#[derive(Debug)]
pub(in crate::web) struct Traffic {
    began: Instant,
    /// The number of the window that is counted.
    window: AtomicU64,
    deliveries: AtomicU64,
    frames: AtomicU64,
    busy: AtomicBool,
}

/// The pace of one connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Pace {
    every: Duration,
    /// When the last frame left, if much is delivered.
    busy_at: Option<Instant>,
    /// When what is gathered leaves at the latest, if something is.
    until: Option<Instant>,
    urgent_at: Instant,
}

impl Traffic {
    pub(in crate::web) fn new(now: Instant) -> Self {
        let (window, deliveries, frames, busy) = Default::default();
        Self { began: now, window, deliveries, frames, busy }
    }

    fn window_at(&self, now: Instant) -> u64 {
        let window = (now - self.began).as_millis() / WINDOW.as_millis();
        u64::try_from(window).unwrap_or(u64::MAX)
    }

    /// Whether few frames left in this window.
    fn is_calm(&self, now: Instant) -> bool {
        self.window.load(Ordering::Relaxed) != self.window_at(now)
            || self.frames.load(Ordering::Relaxed) < FRAMES_MAX
    }

    /// Notes what was delivered in a frame, and tells whether it is much by now. Two connections that count
    /// at the same moment may miscount a little; that does no harm.
    fn note(&self, now: Instant, deliveries: u64) -> bool {
        let window = self.window_at(now);
        let last = self.window.swap(window, Ordering::Relaxed);
        if last != window {
            self.frames.store(0, Ordering::Relaxed);
            let before = self.deliveries.swap(0, Ordering::Relaxed);
            let busy = before >= DELIVERIES_MAX && last + 1 == window;
            self.busy.store(busy, Ordering::Relaxed);
        }
        self.frames.fetch_add(1, Ordering::Relaxed);
        let by_now = self.deliveries.fetch_add(deliveries, Ordering::Relaxed) + deliveries;
        if by_now >= DELIVERIES_MAX {
            self.busy.store(true, Ordering::Relaxed);
        }
        self.busy.load(Ordering::Relaxed)
    }
}

impl Pace {
    pub(in crate::web) fn new(every: Duration, now: Instant) -> Self {
        Self { every, busy_at: None, until: None, urgent_at: rested(now) }
    }

    /// Waits until a frame may leave.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost, and what waits does not wait longer.
    pub(in crate::web) async fn due(
        &mut self,
        outlet: &Outlet,
        rhythm: &Rhythm,
        traffic: &Traffic,
    ) {
        outlet.ready().await;
        // What other tasks are about to put in, the rest of a burst, leaves with it.
        tokio::task::yield_now().await;
        loop {
            let (now, haste) = (Instant::now(), outlet.haste());
            let due = self.due_at(now, haste, traffic);
            if due <= now {
                return;
            }
            tokio::select! {
                biased;
                () = outlet.hurried() => {}
                () = time::sleep_until(due) => {}
                () = rhythm.lull(), if haste == Haste::Gather => return,
            }
        }
    }

    /// When what waits leaves, if nothing more comes.
    fn due_at(&mut self, now: Instant, haste: Haste, traffic: &Traffic) -> Instant {
        let Some(busy_at) = self.busy_at else { return now };
        let next_at = busy_at + self.every;
        // Where the last frame left long ago, what waits is the beginning of a burst.
        let until = || if next_at > now { next_at } else { now + self.every };
        let until = *self.until.get_or_insert_with(until);
        match haste {
            Haste::Gather => until,
            Haste::Urgent if !traffic.is_calm(now) => until.min(self.urgent_at),
            Haste::Urgent | Haste::Full => now,
        }
    }

    /// A frame with so many updates leaves.
    pub(in crate::web) fn wrote(&mut self, now: Instant, deliveries: u64, traffic: &Traffic) {
        self.busy_at = traffic.note(now, deliveries).then_some(now);
        self.until = None;
        self.urgent_at = self.urgent_at.max(rested(now)) + URGENT_EVERY;
    }
}

/// Where a connection stands after a quiet time: however long that was, it allows [`URGENT_AT_ONCE`] frames.
fn rested(now: Instant) -> Instant {
    now.checked_sub(URGENT_EVERY * (URGENT_AT_ONCE - 1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rhythm::Silence;
    use bridge::hub::Sink as _;
    use bridge::{
        data::Data,
        outbox::{Delivery, Encoding, FULL_BYTES},
        update::{ChannelKind, Stamp, Update},
    };
    use protocol::{Offset, Reply, Seq, Timestamp};
    use std::sync::Arc;

    const EVERY: Duration = Duration::from_millis(20);

    /// A connection while much is delivered, whose last frame left just now.
    struct Busy {
        outlet: Outlet,
        pace: Pace,
        traffic: Traffic,
        rhythm: Arc<Rhythm>,
    }

    impl Busy {
        fn new() -> Self {
            let now = Instant::now();
            let outlet = Outlet::new("epoch".into(), Encoding::Json);
            let (pace, traffic, rhythm) =
                (Pace::new(EVERY, now), Traffic::new(now), Arc::default());
            let mut this = Self { outlet, pace, traffic, rhythm };
            this.pace.wrote(now, DELIVERIES_MAX, &this.traffic);
            this
        }

        /// The others are sent many frames.
        fn crowd(&self) {
            for _ in 0..FRAMES_MAX {
                self.traffic.note(Instant::now(), 1);
            }
        }

        fn update(&self, channel: &str) {
            let kind = ChannelKind::of(channel);
            let stamp = Stamp { seq: Seq(1), offset: Offset(1), timestamp: Timestamp(1) };
            let data = Data::of(&vec!["x"; 100]);
            let update = Update::new(channel.parse().unwrap(), kind, stamp, data);
            self.outlet.offer(&Arc::new(update), Delivery::Every);
        }

        /// Waits for a frame, takes it, and gives how long that took in milliseconds.
        async fn frame(&mut self) -> u128 {
            let began = Instant::now();
            self.pace.due(&self.outlet, &self.rhythm, &self.traffic).await;
            let frame = self.outlet.take(1 << 20);
            assert!(frame.is_some());
            self.pace.wrote(Instant::now(), DELIVERIES_MAX, &self.traffic);
            began.elapsed().as_millis()
        }
    }

    /// Somebody speaks, and then nobody for so long.
    fn lull_after(silent: Duration, rhythm: &Arc<Rhythm>) -> impl Future<Output = ()> + use<> {
        let rhythm = Arc::clone(rhythm);
        async move {
            time::sleep(silent).await;
            Silence::new().note_lull(&rhythm);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_much_is_delivered_a_frame_of_live_values_leaves_every_flush_interval() {
        let mut busy = Busy::new();
        let probe = Busy { outlet: busy.outlet.clone(), ..Busy::new() };
        let steadily = async {
            loop {
                probe.update("telemetry/a");
                time::sleep(Duration::from_millis(2)).await;
            }
        };
        let frames = async { [busy.frame().await, busy.frame().await, busy.frame().await] };
        tokio::select! {
            () = steadily => {}
            took = frames => assert!(took.iter().all(|ms| (19..=22).contains(ms)), "{took:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_leaves_when_it_is_over() {
        let mut busy = Busy::new();
        busy.update("telemetry/a");
        let over = lull_after(Duration::from_millis(5), &busy.rhythm);
        assert_eq!(tokio::join!(busy.frame(), over).0, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_burst_after_a_quiet_time_waits_for_the_rest() {
        let mut busy = Busy::new();
        time::sleep(EVERY * 10).await;
        busy.update("telemetry/a");
        assert_eq!(busy.frame().await, EVERY.as_millis());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_and_comes_in_numbers_does_not_leave_in_a_lull() {
        let mut busy = Busy::new();
        busy.crowd();
        for _ in 0..URGENT_AT_ONCE + 20 {
            busy.pace.wrote(Instant::now(), 1, &busy.traffic);
        }
        busy.update("alerts/info/a");
        let over = lull_after(Duration::from_millis(5), &busy.rhythm);
        assert!((10..=12).contains(&tokio::join!(busy.frame(), over).0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_live_value_does_not_wait_and_takes_the_rest_with_it() {
        let mut busy = Busy::new();
        busy.update("telemetry/a");
        busy.update("commands/a");
        assert_eq!(busy.frame().await, 0);
        assert_eq!(busy.outlet.take(1 << 20), None);
        busy.outlet.say(&Reply::Live { id: None, offset: Offset(1) });
        assert_eq!(busy.frame().await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_urgent_does_not_wait_in_numbers_while_few_frames_leave_in_all() {
        let mut busy = Busy::new();
        for _ in 1..FRAMES_MAX {
            busy.update("alerts/info/a");
            assert_eq!(busy.frame().await, 0);
        }
        busy.update("alerts/info/a");
        assert!(busy.frame().await > 0);
        time::sleep(WINDOW).await;
        busy.update("alerts/info/a");
        assert_eq!(busy.frame().await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_numbers_waits_even_if_it_is_urgent() {
        let mut busy = Busy::new();
        busy.crowd();
        for _ in 0..URGENT_AT_ONCE - 1 {
            busy.update("alerts/info/a");
            assert_eq!(busy.frame().await, 0);
        }
        busy.update("alerts/info/a");
        assert!((1..=2).contains(&busy.frame().await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_frame_does_not_wait() {
        let mut busy = Busy::new();
        (0..FULL_BYTES / 400).for_each(|_| busy.update("telemetry/a"));
        assert_eq!(busy.frame().await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn while_little_is_delivered_every_frame_leaves_at_once() {
        let mut busy = Busy::new();
        time::sleep(WINDOW * 3).await;
        busy.pace.wrote(Instant::now(), 1, &busy.traffic);
        for _ in 0..100 {
            busy.update("telemetry/a");
            busy.pace.due(&busy.outlet, &busy.rhythm, &busy.traffic).await;
            assert!(busy.outlet.take(1 << 20).is_some());
            time::sleep(Duration::from_millis(1)).await;
            busy.pace.wrote(Instant::now(), 1, &busy.traffic);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_are_sent_counts_too() {
        let busy = Busy::new();
        let mut other = Pace::new(EVERY, Instant::now());
        other.wrote(Instant::now(), 1, &busy.traffic);
        assert!(other.busy_at.is_some());
    }
}
