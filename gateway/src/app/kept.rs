//! What the store kept, for those who go on with it: the edge, the webhook, the bridge.

use super::{Start, StartError};
use crate::{clock, config::Config, core::watched, edge, store};
use bridge::{
    audit::{Deed, Party},
    bridge::Past,
    command::book,
    devices,
    hub::{Beginning, Gap, Restored},
    update::Stamp,
};
use protocol::{DeviceId, Offset, ResetReason};
use std::path::Path;
use store::{Checks, OpenError};

/// The open store, and what was in it.
pub(super) struct Kept {
    pub(super) database: Unstarted,
    pub(super) edge: edge::Past,
    /// Posts of the webhook that are not through.
    pub(super) posts: Vec<store::KeyAndBody>,
    pub(super) bridge: Past,
}

impl Kept {
    pub(super) fn open(config: &Config, start: Start) -> Result<Self, StartError> {
        let (database, mut restored) = open_store(config, start)?;
        let database = Unstarted { database: Some(database), last: restored.last_offset };
        let edge = edge::Past {
            store: database.handle(),
            retained: restored.rows.take(store::Table::Retained),
            sessions: restored.rows.take(store::Table::Session),
        };
        let posts = restored.rows.take(store::Table::Post);
        let bridge = past(restored, config)?;
        Ok(Self { database, edge, posts, bridge })
    }
}

/// The store before anybody uses it: a start that fails closes it in order, and is no crash.
pub(super) struct Unstarted {
    database: Option<store::Database>,
    last: Offset,
}

impl Unstarted {
    pub(super) fn handle(&self) -> store::StoreHandle {
        self.database.as_ref().expect(UNTIL_STARTED).handle()
    }

    /// The start has come through.
    pub(super) fn started(mut self) -> store::Database {
        self.database.take().expect(UNTIL_STARTED)
    }
}

const UNTIL_STARTED: &str = "it is there until the start has come through";

impl Drop for Unstarted {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.database.take().map(|database| database.close(self.last)) {
            tracing::warn!(%error, "the store could not be closed in order");
        }
    }
}

fn open_store(
    config: &Config,
    start: Start,
) -> Result<(store::Database, store::Restored), OpenError> {
    let checks = if start.recover { Checks::All } else { Checks::Usual };
    let settings = || store::Settings { checks, ..config.store_settings() };
    match store::open(settings()) {
        Err(OpenError::Damaged { what, .. }) if start.recover => {
            tracing::warn!(what, "the database is damaged: salvaging what can be read");
            let report = store::recover(&config.data_dir.0, clock::now())?;
            tracing::warn!(%report, "the database was salvaged");
            store::open(settings())
        }
        opened => opened,
    }
}

/// What the store kept, as the bridge takes it.
fn past(mut restored: store::Restored, config: &Config) -> Result<Past, StartError> {
    let dir = &config.data_dir.0;
    let rows = &mut restored.rows;
    let watched = watched::restore(rows, config.limits.audit_entries);
    let watched::Restored { alerts, desired, mut audit } = watched
        .map_err(|row| StartError::Row { path: dir.into(), what: row.what, key: row.key })?;
    audit.record(clock::now(), started());
    let devices = rows.take(store::Table::Device).into_iter().map(|row| device(dir, row));
    let devices = devices.collect::<Result<_, _>>()?;
    let commands = book::Kept {
        commands: texts(rows.take(store::Table::Command)),
        batches: texts(rows.take(store::Table::Batch)),
        ..book::Kept::default()
    };
    Ok(Past { alerts, desired, audit, devices, commands, hub: beginning(restored) })
}

/// Where the hub's numbers go on.
fn beginning(restored: store::Restored) -> Beginning {
    let store::Restored { epoch, last_offset, channels, gaps, new_channels_after, .. } = restored;
    let channels = channels.into_iter().map(|channel| {
        let store::RestoredChannel { name, seq, stamp, value, .. } = channel;
        Restored { channel: name, stamp: Stamp { seq, ..stamp }, value }
    });
    let gaps = gaps.into_iter().map(|gap| Gap {
        first: gap.first,
        last: gap.last,
        reason: match gap.reason {
            store::GapReason::Crash => ResetReason::Crash,
            store::GapReason::Overflow => ResetReason::Expired,
        },
    });
    Beginning {
        epoch,
        offset: last_offset,
        channels: channels.collect(),
        gaps: gaps.collect(),
        new_channels_after,
    }
}

fn device(
    dir: &Path,
    (device, body): store::KeyAndBody,
) -> Result<(DeviceId, devices::Kept), StartError> {
    let unreadable = || StartError::Device { path: dir.into(), device: device.clone() };
    let id = device.parse().map_err(|_| unreadable())?;
    let kept = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    Ok((id, kept))
}

/// The audit log's entry for this start.
fn started() -> Deed<'static> {
    let details = serde_json::json!({"version": env!("CARGO_PKG_VERSION")});
    Deed { by: Party::Gateway, action: "gateway.started", device: None, details }
}

/// Rows of JSON; what is no UTF-8 reads as no JSON either.
fn texts(rows: Vec<store::KeyAndBody>) -> Vec<(String, String)> {
    let text = |(key, body): store::KeyAndBody| (key, String::from_utf8_lossy(&body).into_owned());
    rows.into_iter().map(text).collect()
}
