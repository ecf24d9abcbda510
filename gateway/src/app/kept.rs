//! What the store kept, for those who go on with it: the edge, the webhook, the bridge.

use super::{Start, StartError, error::named};
use crate::{clock, config::Config, core::watched, edge, store};
use bridge::{
    audit::{Deed, Party},
    bridge::Past,
    command::book,
    hub::{Beginning, Gap, Restored},
    update::Stamp,
};
use protocol::{Offset, ResetReason};
use store::{Checks, OpenError, Row, StoreHandle, StoredRow, Table};

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
        let mut rows = std::mem::take(&mut restored.rows);
        let edge = edge::Past {
            store: database.handle(),
            retained: rows.take(Table::Retained),
            sessions: rows.take(Table::Session),
        };
        let posts = rows.take(Table::Post);
        let mut bridge = past(&mut rows, beginning(restored), config);
        let unread = rows.unread();
        if !unread.is_empty() {
            let deed = set_aside(unread, &database.handle(), config, start)?;
            bridge.audit.record(clock::now(), deed);
        }
        Ok(Self { database, edge, posts, bridge })
    }
}

/// Rows that cannot be read end the start; where a recovery is asked for, they go into a file of their own.
fn set_aside(
    unread: Vec<StoredRow>,
    store: &StoreHandle,
    config: &Config,
    start: Start,
) -> Result<Deed<'static>, StartError> {
    let dir = &config.data_dir.0;
    if !start.recover {
        return Err(StartError::Rows { path: dir.clone(), rows: unread });
    }
    let path = store::set_aside(dir, clock::now(), &unread)?;
    let (rows, path, count) = (named(&unread), path.display().to_string(), unread.len());
    tracing::warn!(rows, path, count, "rows that cannot be read are set aside");
    let gone = unread.into_iter().map(|row| Row::gone(row.table, row.key)).collect();
    store.keep_rows(gone);
    Ok(by_gateway(
        "rows.set_aside",
        serde_json::json!({"rows": rows, "count": count, "file": path}),
    ))
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

/// What the store kept, as the bridge takes it; what cannot be read stays with `rows`.
fn past(rows: &mut store::Rows, hub: Beginning, config: &Config) -> Past {
    let watched = watched::restore(rows, config.limits.audit_entries);
    let watched::Restored { alerts, desired, mut audit } = watched;
    let started = serde_json::json!({"version": env!("CARGO_PKG_VERSION")});
    audit.record(clock::now(), by_gateway("gateway.started", started));
    let devices =
        rows.read(Table::Device, |id, body| id.parse().ok().zip(serde_json::from_slice(body).ok()));
    let commands = rows.read(Table::Command, |_, body| book::KeptCommand::read(body));
    let batches = rows.read(Table::Batch, book::KeptBatch::read);
    Past { alerts, desired, audit, devices, commands: book::Kept::of(commands, batches), hub }
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

/// What the gateway itself did, for the audit log.
fn by_gateway(action: &'static str, details: serde_json::Value) -> Deed<'static> {
    Deed { by: Party::Gateway, action, device: None, details }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// What was written of devices, an alert, a desired state, a command, a batch and the audit log; some of it is none.
    fn with_rows_of_another_version(dir: &Path) -> Config {
        let mut config = Config::default();
        config.data_dir.0 = dir.into();
        let (database, restored) = store::open(config.store_settings()).unwrap();
        let device = r#"{"type":null,"tags":{},"version":1,"created_at":1}"#;
        let rows = [
            (Table::Device, "good", device.as_bytes()),
            (Table::Device, "no/id", device.as_bytes()),
            (Table::Device, "bad", b"{}"),
            (Table::Alert, "a", b"{"),
            (Table::Desired, "good", b"[]"),
            (Table::Command, "c", b"\xff"),
            (Table::Batch, "b", b""),
            (Table::Audit, "1", b"{}"),
        ];
        let rows = rows.map(|(table, key, body)| Row::set(table, key, body)).into();
        let through = restored.last_offset;
        database.handle().keep(store::Batch { updates: vec![], rows, receipts: vec![], through });
        database.close(through).unwrap();
        config
    }

    #[test]
    fn rows_that_cannot_be_read_are_named_and_with_recover_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let config = with_rows_of_another_version(dir.path());
        let refused = Kept::open(&config, Start::default()).map(drop).unwrap_err().to_string();
        for part in ["alert 'a'", "desired 'good'", "device 'bad'", "2 more", "--recover"] {
            assert!(refused.contains(part), "{part} is not in {refused}");
        }
        let recovering = Start { recover: true, ..Start::default() };
        let kept = Kept::open(&config, recovering).unwrap();
        let devices = kept.bridge.devices.iter().map(|(device, _)| device.as_str());
        assert_eq!(devices.collect::<Vec<_>>(), ["good"]);
        drop(kept);
        let files = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
        let aside = files.filter(|path| path.to_string_lossy().contains("sluice.db.unreadable-"));
        let aside = aside.map(|path| fs::read_to_string(path).unwrap()).collect::<String>();
        assert_eq!(aside.lines().count(), 7, "{aside}");
        for row in [r#"{"body":"{}","key":"bad","table":"device"}"#, r#""base64":"/w==""#] {
            assert!(aside.contains(row), "{row} is not in {aside}");
        }
        assert!(Kept::open(&config, Start::default()).is_ok(), "they are in its way no more");
    }
}
