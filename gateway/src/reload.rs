//! Certificates and keys of JWTs that are replaced while the gateway runs: on SIGHUP, and when their files change.
//! Each reading is in the audit log, whether what was read counts from then on or not.

use crate::{
    arrival::{Counters, Tls},
    auth::{BadKey, JwtKeys},
    core::Core,
};
use serde_json::{Value, json};
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

/// Follows the files.
#[derive(Debug)]
pub(crate) struct Reload {
    of: Vec<Followed>,
    counters: Arc<Counters>,
}

/// What is read again.
#[derive(Debug)]
enum Replaceable {
    /// The files of a listener.
    Certificate(Arc<Tls>),
    JwtKeys(JwtKeys),
}

/// It, and what its files are like.
#[derive(Debug)]
struct Followed {
    what: Replaceable,
    /// What was read last.
    read: Look,
    /// What was seen last: new files are read when they no longer change, as certificate and key are
    /// seldom written in one go.
    seen: Look,
}

/// What the system says of all files.
type Look = Vec<Option<(SystemTime, u64, u64)>>;

/// Why files are read again.
#[derive(Clone, Copy, Debug)]
enum Cause {
    Hangup,
    Change,
}

/// What is to be written into the audit log.
type Told = (&'static str, Value);

impl Reload {
    /// Follows the certificates of listeners and the keys of JWTs.
    pub(crate) fn new(
        certificates: Vec<Arc<Tls>>,
        keys: Option<JwtKeys>,
        counters: Arc<Counters>,
    ) -> Self {
        let certificates = certificates.into_iter().map(Replaceable::Certificate);
        let all = certificates.chain(keys.map(Replaceable::JwtKeys));
        Self { of: all.map(Followed::new).collect(), counters }
    }

    /// Follows them until `stop`, and tells `core` of each reading.
    ///
    /// # Errors
    /// When the signal cannot be had.
    pub(crate) async fn run(mut self, core: Core, stop: CancellationToken) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cause = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hangup.recv() => Cause::Hangup,
                _ = ticks.tick() => Cause::Change,
            };
            let told: Vec<Told> =
                self.of.iter_mut().filter_map(|of| of.look(cause, &self.counters)).collect();
            for (action, details) in told {
                if let Some(Err(error)) =
                    stop.run_until_cancelled(core.record(action, details)).await
                {
                    tracing::warn!(%error, action, "it is not in the audit log");
                }
            }
        }
    }
}

impl Followed {
    fn new(what: Replaceable) -> Self {
        let now = what.look();
        Self { what, read: now.clone(), seen: now }
    }

    /// Reads the files again where there is a reason to.
    fn look(&mut self, cause: Cause, counters: &Counters) -> Option<Told> {
        let now = self.what.look();
        let is_due = match cause {
            Cause::Hangup => true,
            Cause::Change => now == self.seen && now != self.read,
        };
        self.seen.clone_from(&now);
        is_due.then(|| {
            self.read = now;
            self.what.again(cause, counters)
        })
    }
}

impl Replaceable {
    fn files(&self) -> Vec<&Path> {
        match self {
            Self::Certificate(tls) => tls.files().collect(),
            Self::JwtKeys(keys) => vec![keys.file()],
        }
    }

    fn look(&self) -> Look {
        self.files().into_iter().map(file).collect()
    }

    fn again(&self, cause: Cause, counters: &Counters) -> Told {
        let because = match cause {
            Cause::Hangup => "SIGHUP",
            Cause::Change => "the files changed",
        };
        let files: Vec<_> = self.files().iter().map(|file| file.display().to_string()).collect();
        let mut details = json!({"files": files, "because": because});
        let (read, reloads, failures, reloaded, refused) = match self {
            Self::Certificate(tls) => (
                tls.reload().map_err(|error| error.to_string()),
                &counters.tls_reloads,
                &counters.tls_reload_failures,
                "certificate.reloaded",
                "certificate.refused",
            ),
            Self::JwtKeys(keys) => (
                keys.reload().map_err(|BadKey(why)| why),
                &counters.jwt_reloads,
                &counters.jwt_reload_failures,
                "jwt_keys.reloaded",
                "jwt_keys.refused",
            ),
        };
        match read {
            Ok(()) => {
                reloads.increment();
                tracing::info!(what = reloaded, because, "read again");
                (reloaded, details)
            }
            Err(error) => {
                failures.increment();
                tracing::error!(what = refused, because, error, "the one before stays");
                details["why"] = error.into();
                (refused, details)
            }
        }
    }
}

fn file(path: &Path) -> Option<(SystemTime, u64, u64)> {
    let file = std::fs::metadata(path).ok()?;
    Some((file.modified().ok()?, file.len(), file.ino()))
}
