//! Certificates that are replaced while the gateway runs: on SIGHUP, and when their files change.

use super::{Counters, tls::Tls};
use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Follows the files of every listener.
#[derive(Debug)]
pub(crate) struct Reload {
    of: Vec<Arc<Tls>>,
    counters: Arc<Counters>,
    /// What was read last.
    read: Look,
    /// What was seen last: new files are read when they no longer change, as certificate and key are
    /// seldom written in one go.
    seen: Look,
}

/// What the system says of all files.
type Look = Vec<Option<(SystemTime, u64, u64)>>;

impl Reload {
    pub(super) fn new(of: Vec<Arc<Tls>>, counters: Arc<Counters>) -> Self {
        let now = look(&of);
        Self { of, counters, read: now.clone(), seen: now }
    }

    /// Follows them until `stop`.
    ///
    /// # Errors
    /// When the signal cannot be had.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hangup.recv() => self.again(look(&self.of)),
                _ = ticks.tick() => self.follow(),
            }
        }
    }

    pub(super) fn follow(&mut self) {
        let now = look(&self.of);
        if now == self.seen && now != self.read {
            self.again(now);
        } else {
            self.seen = now;
        }
    }

    fn again(&mut self, now: Look) {
        (self.read, self.seen) = (now.clone(), now);
        for tls in &self.of {
            match tls.reload() {
                Ok(()) => {
                    self.counters.tls_reloads.increment();
                    tracing::info!("the certificate was read again");
                }
                Err(error) => {
                    self.counters.tls_reload_failures.increment();
                    tracing::error!(%error, "the certificate cannot be used: the one before stays");
                }
            }
        }
    }
}

fn look(of: &[Arc<Tls>]) -> Look {
    of.iter().flat_map(|tls| tls.files()).map(file).collect()
}

fn file(path: &Path) -> Option<(SystemTime, u64, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len(), file.ino()))
}
