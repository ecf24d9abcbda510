//! When to answer at once and when to gather.
//!
//! A worker that is woken for each message of a fleet spends more on waking, with cold caches, than on
//! the message. So when many clients speak, an idle worker rests for a moment before it waits for the
//! next event, and finds several then: what network cards do with interrupts. The more they speak, the shorter
//! it rests. When one client speaks, however fast, it is answered at once; what tells a fleet from it is how
//! often the sender changes.
//!
//! What is gathered for others need not wait longer once nobody speaks: there is a lull.
//!
//! While a commit is under way that a command waits for, an idle worker watches for its end (`crate::watch`).

use crate::watch::{WATCH, watch};
use bridge::event::ConnectionId;
use std::{
    future,
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::{
    sync::Notify,
    time::{self, Sleep},
};

/// How long an idle worker rests at most: far below what a person or a flush notices.
const REST: Duration = Duration::from_millis(2);

/// So many changes of sender are worth waking for: a rest is as long as they take.
const CHANGES_A_REST: u32 = 10;

/// How long it rests at first after a lull, and how often: what comes then is mostly a burst, of devices that
/// measure at the same moment, and soon over.
const SHORT_REST: Duration = Duration::from_millis(1);
const SHORT_RESTS: u32 = 4;

/// When nobody has spoken for so long, there is a lull.
const LULL: Duration = Duration::from_millis(3);

/// The same while idle workers rest. No longer than their rest: behind it they look at what came, and then at
/// their timers.
const LULL_AT_REST: Duration = Duration::from_micros(100);

/// How long the senders are watched before it is decided anew.
const WINDOW: Duration = Duration::from_millis(20);

/// From this many changes of sender in a window on, many speak: 1,000 a second.
const CHANGES_MIN: u32 = 20;

/// Whether many speak, or nobody, and whether somebody waits for a commit; shared by the core, which hears them, the
/// workers, and those who gather.
#[derive(Debug, Default)]
pub struct Rhythm {
    /// How long idle workers rest, in microseconds; 0: not many speak.
    rest_us: AtomicU32,
    /// How many of the next rests are short.
    short_rests: AtomicU32,
    lull: Notify,
    /// What is known of the last commit that a command waits for.
    commit: AtomicU8,
    /// The last of them took longer than is worth watching.
    commits_are_slow: AtomicBool,
}

/// None is under way.
const ENDED: u8 = 0;
/// It is under way.
const BEGUN: u8 = 1;
/// So it is, and a worker watches for its end.
const WATCHED: u8 = 2;

impl Rhythm {
    /// Each worker calls it when it has nothing to do: watches for the end of a commit that a command waits for;
    /// otherwise rests if many speak.
    pub fn rest(&self) {
        if self.watch() {
            return;
        }
        if let Some(rest) = self.next_rest() {
            thread::sleep(rest);
        }
    }

    fn next_rest(&self) -> Option<Duration> {
        let rest = self.resting()?;
        let short = self.short_rests.load(Ordering::Relaxed);
        // Two workers may count one rest instead of two; that does no harm.
        self.short_rests.store(short.saturating_sub(1), Ordering::Relaxed);
        Some(if short > 0 { rest.min(SHORT_REST) } else { rest })
    }

    /// How long an idle worker rests; none: not many speak.
    fn resting(&self) -> Option<Duration> {
        let rest = self.rest_us.load(Ordering::Relaxed);
        (rest > 0).then(|| Duration::from_micros(rest.into()))
    }

    /// A commit begins that a command waits for.
    pub(crate) fn note_begun(&self) {
        if !self.commits_are_slow.load(Ordering::Relaxed) {
            self.commit.store(BEGUN, Ordering::Release);
        }
    }

    /// It ended after so long, and who waits for it has been told.
    pub(crate) fn note_ended(&self, took: Duration) {
        self.commits_are_slow.store(took >= WATCH, Ordering::Relaxed);
        self.commit.store(ENDED, Ordering::Release);
    }

    /// Watches for the end of the commit that is under way, one worker once. Whether it came.
    fn watch(&self) -> bool {
        let change = |from, to| {
            self.commit.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        if !change(BEGUN, WATCHED) {
            return false;
        }
        let ended = watch(|| self.commit.load(Ordering::Acquire) != WATCHED);
        // In vain: whoever watched again would do so in vain too.
        ended || !change(WATCHED, ENDED)
    }

    /// Waits for the next lull.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub(crate) async fn lull(&self) {
        self.lull.notified().await;
    }
}

/// The time since somebody spoke.
#[derive(Debug)]
pub(crate) struct Silence {
    timer: Pin<Box<Sleep>>,
    /// Somebody spoke since the last lull.
    broken: bool,
}

impl Silence {
    /// Nobody has spoken yet.
    pub(crate) fn new() -> Self {
        Self { timer: Box::pin(time::sleep(Duration::ZERO)), broken: false }
    }

    /// Somebody speaks.
    pub(crate) fn end(&mut self, now: Instant, rhythm: &Rhythm) {
        let lull = if rhythm.resting().is_some() { LULL_AT_REST } else { LULL };
        self.timer.as_mut().reset(time::Instant::from_std(now) + lull);
        self.broken = true;
    }

    /// Waits until nobody has spoken for a while, and the other tasks have done what they had to: what came may
    /// be in their hands.
    ///
    /// # Cancel safety
    /// Cancelled, nothing is lost.
    pub(crate) async fn lasts(&mut self) {
        if !self.broken {
            future::pending::<()>().await;
        }
        self.timer.as_mut().await;
        tokio::task::yield_now().await;
    }

    /// There is a lull: the next comes when somebody has spoken again.
    pub(crate) fn note_lull(&mut self, rhythm: &Rhythm) {
        self.broken = false;
        rhythm.short_rests.store(SHORT_RESTS, Ordering::Relaxed);
        rhythm.lull.notify_waiters();
    }
}

/// Watches the senders.
#[derive(Debug)]
pub(crate) struct Listener {
    window_ends: Instant,
    changes: u32,
    last: Option<ConnectionId>,
}

impl Listener {
    pub(crate) fn new(now: Instant) -> Self {
        Self { window_ends: now + WINDOW, changes: 0, last: None }
    }

    /// Notes who sent a message.
    pub(crate) fn heard(&mut self, sender: ConnectionId) {
        self.changes += u32::from(self.last != Some(sender));
        self.last = Some(sender);
    }

    /// Decides anew, at the end of each window. What was heard in a longer time than a window counts
    /// for less.
    pub(crate) fn decide(&mut self, now: Instant, rhythm: &Rhythm) {
        let Some(late) = now.checked_duration_since(self.window_ends) else { return };
        // What was heard in more windows than could be counted is next to nothing.
        let windows = u32::try_from(1 + late.as_millis() / WINDOW.as_millis()).unwrap_or(u32::MAX);
        let many = self.changes >= CHANGES_MIN.saturating_mul(windows);
        let rest = if many { rest_among(self.changes, WINDOW * windows) } else { Duration::ZERO };
        rhythm.rest_us.store(rest.as_micros() as u32, Ordering::Relaxed);
        self.changes = 0;
        self.window_ends = now + WINDOW;
    }
}

/// How long to rest where the sender changes so often in so long.
fn rest_among(changes: u32, within: Duration) -> Duration {
    (within * CHANGES_A_REST / changes).clamp(Duration::from_micros(1), REST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;

    /// How long workers rest after `senders` spoke in turns, one every `gap_us`, for half a second; none: not many
    /// speak.
    fn rest(senders: u64, gap_us: u64) -> Option<u128> {
        let (start, rhythm) = (Instant::now(), Rhythm::default());
        let mut listener = Listener::new(start);
        for turn in 0..500_000 / gap_us {
            listener.heard(ConnectionId(turn % senders));
            listener.decide(start + Duration::from_micros(turn * gap_us), &rhythm);
        }
        rhythm.resting().map(|rest| rest.as_micros())
    }

    #[test]
    fn one_client_is_not_many_however_fast_it_speaks() {
        assert_eq!(rest(1, 10), None);
    }

    #[test]
    fn a_fleet_is_many_and_a_few_that_seldom_speak_are_not() {
        assert_eq!(rest(100, 200), Some(2_000));
        assert_eq!(rest(100, 5_000), None);
    }

    #[test]
    fn the_more_speak_the_shorter_is_the_rest() {
        assert_eq!(rest(100, 800), Some(2_000));
        assert_eq!(rest(100, 40), Some(400));
        assert_eq!(rest(100, 10), Some(100));
    }

    /// In milliseconds, until nobody has spoken for a while.
    async fn lasts(silence: &mut Silence) -> Option<u128> {
        let began = time::Instant::now();
        let lasted = time::timeout(Duration::from_secs(60), silence.lasts()).await;
        lasted.ok().map(|()| began.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lull_comes_once_each_time_that_somebody_spoke() {
        let (rhythm, mut silence) = (Rhythm::default(), Silence::new());
        assert_eq!(lasts(&mut silence).await, None);
        for _ in 0..2 {
            silence.end(time::Instant::now().into_std(), &rhythm);
            time::sleep(LULL / 2).await;
            silence.end(time::Instant::now().into_std(), &rhythm);
            assert!(lasts(&mut silence).await.is_some_and(|ms| (3..=4).contains(&ms)));
            let mut waiting = pin!(rhythm.lull());
            assert!(poll!(&mut waiting).is_pending());
            silence.note_lull(&rhythm);
            assert!(poll!(&mut waiting).is_ready());
            assert_eq!(lasts(&mut silence).await, None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_workers_rest_a_lull_is_shorter_than_their_rest() {
        let (rhythm, mut silence) = (Rhythm::default(), Silence::new());
        rhythm.rest_us.store(2_000, Ordering::Relaxed);
        silence.end(time::Instant::now().into_std(), &rhythm);
        assert!(lasts(&mut silence).await.is_some_and(|ms| ms <= SHORT_REST.as_millis()));
    }

    #[test]
    fn the_first_rests_after_a_lull_are_short() {
        let rhythm = Rhythm::default();
        assert_eq!(rhythm.next_rest(), None);
        rhythm.rest_us.store(2_000, Ordering::Relaxed);
        assert_eq!(rhythm.next_rest(), Some(REST));
        rhythm.short_rests.store(SHORT_RESTS, Ordering::Relaxed);
        let rests: Vec<_> = (0..=SHORT_RESTS).filter_map(|_| rhythm.next_rest()).collect();
        let (last, first) = rests.split_last().unwrap();
        assert!(first.iter().all(|rest| *rest == SHORT_REST) && *last == REST, "{rests:?}");
    }

    #[test]
    fn a_commit_is_watched_once_and_its_end_is_seen() {
        let rhythm = Rhythm::default();
        assert!(!rhythm.watch(), "none is under way");
        rhythm.note_begun();
        assert!(!rhythm.watch(), "it does not end");
        assert_eq!(rhythm.commit.load(Ordering::Relaxed), ENDED, "nor is it watched again");
        let over = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    rhythm.note_ended(Duration::ZERO);
                    thread::yield_now();
                }
            });
            let seen = (0..10_000).any(|_| {
                rhythm.note_begun();
                rhythm.watch()
            });
            over.store(true, Ordering::Relaxed);
            seen
        });
        assert!(seen);
        rhythm.note_ended(WATCH);
        rhythm.note_begun();
        assert_eq!(rhythm.commit.load(Ordering::Relaxed), ENDED, "commits are slow");
    }

    #[test]
    fn when_the_fleet_falls_silent_its_last_burst_is_forgotten() {
        let (start, rhythm) = (Instant::now(), Rhythm::default());
        let mut listener = Listener::new(start);
        (0..50).for_each(|sender| listener.heard(ConnectionId(sender)));
        listener.decide(start + WINDOW, &rhythm);
        assert!(rhythm.resting().is_some());
        listener.decide(start + WINDOW * 3, &rhythm);
        assert!(rhythm.resting().is_none());
    }
}
