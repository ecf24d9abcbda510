//! When to answer at once and when to gather.
//!
//! A worker that is woken for each message of a fleet spends more on waking, with cold caches, than on
//! the message. So when many clients speak, an idle worker rests for a moment before it waits for the
//! next event, and finds several then: what network cards do with interrupts. The more they speak, the shorter
//! it rests. When one client speaks, however fast, it is answered at once; what tells a fleet from it is how
//! often the sender changes, of those who speak of their own accord ([`Cue`]).
//!
//! What is gathered for others need not wait longer once nobody speaks: there is a lull.
//!
//! While a commit is under way that a command waits for, an idle worker watches for its end (`crate::watch`).

mod cue;
mod listener;

pub use cue::Cue;
pub(crate) use cue::Turns;
pub(crate) use listener::Listener;

use crate::watch::{WATCH, watch};
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

/// How long it rests at first after a lull, and how often: what comes then is mostly a burst, of devices that
/// measure at the same moment, and soon over.
const SHORT_REST: Duration = Duration::from_millis(1);
const SHORT_RESTS: u32 = 4;

/// When nobody has spoken for so long, there is a lull.
const LULL: Duration = Duration::from_millis(3);

/// The same while idle workers rest. No longer than their rest: behind it they look at what came, and then at
/// their timers.
const LULL_AT_REST: Duration = Duration::from_micros(100);

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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;

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
}
