//! The audit log's other writers: what the gateway did or saw outside the core, and what was done on the command
//! line, for which the notes of `auth::journal` are taken over.

use super::{Core, Outlet, Unanswered};
use crate::auth::{
    Gate, Guesses,
    journal::{self, Change},
};
use bridge::{
    audit::{Deed, Party},
    bridge::Bridge,
};
use protocol::Timestamp;
use serde_json::{Value, json};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

/// How often it is looked for notes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Core {
    /// Writes into the audit log what the gateway itself did or saw, such as certificates read anew.
    ///
    /// # Errors
    /// [`Unanswered`]: the core has ended, or the entry could not be stored.
    ///
    /// # Cancel safety
    /// As [`Core::change`].
    pub async fn record(&self, action: &'static str, details: Value) -> Result<(), Unanswered> {
        let deed = Deed { by: Party::Gateway, action, device: None, details };
        self.change(move |bridge, now| bridge.record(now, deed)).await
    }
}

/// Takes notes of the command line into the audit log until `stop`.
pub(crate) async fn take_over(core: Core, data_dir: PathBuf, stop: CancellationToken) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        match take_all(&core, &data_dir).await {
            Ok(()) | Err(NotTaken::Unanswered(_)) => {}
            // They stay where they are, and are tried again.
            Err(NotTaken::Io(error)) => {
                tracing::warn!(%error, "what was done on the command line cannot be read");
            }
        }
    }
}

/// How often it is told at most that sign-ins were held back: a flood of guesses is not to drive all else out of
/// the audit log.
const GUESSES_EVERY: Duration = Duration::from_secs(600);

/// Tells in the audit log that sign-ins were held back, until `stop`: at once, and then what came since.
pub(crate) async fn report_guesses(core: Core, gate: Gate, stop: CancellationToken) {
    let reporting = async {
        loop {
            gate.guessed().await;
            let next = Instant::now() + GUESSES_EVERY;
            if let Err(error) = core.record("sign_ins.delayed", told(&gate.take_guesses())).await {
                tracing::warn!(%error, "that sign-ins were held back is not in the audit log");
            }
            sleep_until(next).await;
        }
    };
    stop.run_until_cancelled(reporting).await;
}

fn told(guesses: &Guesses) -> Value {
    let Guesses { delayed, refused, addresses, names, since } = guesses;
    json!({
        "delayed": delayed, "refused": refused, "addresses": addresses, "names": names, "since": since,
    })
}

#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The core ended, or the store fails: they are taken over when it works again.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

async fn take_all(core: &Core, data_dir: &Path) -> Result<(), NotTaken> {
    let (changes, unreadable) = journal::take(data_dir)?;
    if changes.is_empty() && unreadable == 0 {
        return Ok(());
    }
    if unreadable > 0 {
        tracing::warn!(unreadable, "lines in changes.taken.jsonl that are no notes are left out");
    }
    core.change(move |bridge, now| changes.iter().for_each(|change| record(bridge, now, change)))
        .await?;
    Ok(journal::forget(data_dir)?)
}

fn record(bridge: &mut Bridge<Outlet>, now: Timestamp, change: &Change) {
    let Change { id, at, user, action, device, details } = change;
    let details = json!({"via": "command line", "change": id, "done_at": at, "what": details});
    let by = Party::User { name: user, address: None };
    bridge.record(now, Deed { by, action, device: device.as_ref(), details });
}
