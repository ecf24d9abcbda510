//! What the bridge watches over, as rows of the store: what is to be kept, and what was; and who is told
//! of it beside the channels: devices of what is desired of them, the webhook of alerts.

use super::Outlet;
use crate::{
    edge::DesiredPublisher,
    store::{Receipt, Row, Rows, StoreHandle, Table},
    webhook::Webhook,
};
use bridge::{
    alerts::Change as AlertChange,
    audit::{self, Audit},
    bridge::{Bridge, Watched},
    devices::Change as DeviceChange,
    shadow,
};
use protocol::{Alert, Desired, DeviceId};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Who is told of what changed.
#[derive(Debug)]
pub struct Watchers {
    desired: DesiredPublisher,
    webhook: Option<Webhook>,
    /// Devices whose desired state could not be stored when it changed, and so was not sent.
    unpublished: Arc<Mutex<BTreeSet<DeviceId>>>,
}

impl Watchers {
    /// Devices, by the edge, and where there is one, the webhook.
    #[must_use]
    pub fn new(desired: DesiredPublisher, webhook: Option<Webhook>) -> Self {
        Self { desired, webhook, unpublished: Arc::default() }
    }

    /// Retains what is desired of all devices, before the first one comes.
    pub fn begin(&self, bridge: &Bridge<Outlet>) {
        for (device, desired) in bridge.all_desired() {
            self.desired.retain(device, &desired);
        }
    }

    /// What is to be kept of what changed, and what is to be done once it is.
    pub fn follow(&self, watched: &Watched) -> (Vec<Row>, Vec<Receipt>) {
        let posts = self
            .webhook
            .iter()
            .flat_map(|webhook| watched.alerts.iter().filter_map(|change| webhook.take(change)));
        let (posts, posting): (Vec<_>, Vec<_>) = posts.unzip();
        let publish = |change: &shadow::Change| -> Receipt {
            let shadow::Change { device, desired } = change.clone();
            let (publisher, unpublished) = (self.desired.clone(), Arc::clone(&self.unpublished));
            Receipt::impatient(move |stored| match stored {
                Ok(()) => publisher.publish(&device, desired.as_ref()),
                Err(_) => {
                    unpublished.lock().unwrap_or_else(PoisonError::into_inner).insert(device);
                }
            })
        };
        let rows = rows(watched).into_iter().chain(posts).collect();
        (rows, watched.desired.iter().map(publish).chain(posting).collect())
    }

    /// Has what is retained of a device, and its will, go with it.
    pub fn forget(&self, changes: &[DeviceChange]) {
        for change in changes {
            match change {
                DeviceChange::Deleted(device) => self.desired.forget(device),
                DeviceChange::Set(..) => {}
            }
        }
    }

    /// Makes good what could not be done; call it about every second.
    pub fn every_second(&self, bridge: &Bridge<Outlet>, store: &StoreHandle) {
        self.desired.retry();
        if store.figures().error.is_some() {
            return;
        }
        let mut unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
        for device in std::mem::take(&mut *unpublished) {
            let state = bridge.device_state(&device);
            let desired = Desired { version: state.version, desired: state.desired };
            self.desired.publish(&device, Some(&desired).filter(|desired| desired.version > 0));
        }
    }
}

/// What was kept.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Alerts.
    pub(crate) alerts: Vec<Alert>,
    /// What is desired of devices.
    pub(crate) desired: Vec<(DeviceId, Desired)>,
    /// The audit log.
    pub(crate) audit: Audit,
}

/// Takes back what was kept; the audit log keeps about so many entries.
pub(crate) fn restore(rows: &mut Rows, audit_entries: u32) -> Restored {
    let alerts = rows.read(Table::Alert, |_, body| serde_json::from_slice(body).ok());
    let desired = rows
        .read(Table::Desired, |key, body| key.parse().ok().zip(serde_json::from_slice(body).ok()));
    let mut audit = Audit::new(audit_entries.into());
    rows.read(Table::Audit, |key, body| {
        let chunk = key.parse().ok().zip(std::str::from_utf8(body).ok())?;
        audit.restore([chunk]).ok()
    });
    Restored { alerts, desired, audit }
}

/// The rows that keep what changed.
fn rows(watched: &Watched) -> Vec<Row> {
    let Watched { alerts, forgotten, desired, audit } = watched;
    let alerts = alerts
        .iter()
        .map(|AlertChange { alert, .. }| Row::set(Table::Alert, alert.id.to_string(), json(alert)));
    let forgotten = forgotten.iter().map(|id| Row::gone(Table::Alert, id.to_string()));
    let desired = desired.iter().map(|shadow::Change { device, desired }| match desired {
        Some(desired) => Row::set(Table::Desired, device.as_str(), json(desired)),
        None => Row::gone(Table::Desired, device.as_str()),
    });
    let audit = audit.iter().map(|change| match change {
        audit::Change::Set { first, lines } => {
            Row::set(Table::Audit, audit_key(*first), lines.as_bytes())
        }
        audit::Change::Gone { first } => Row::gone(Table::Audit, audit_key(*first)),
    });
    alerts.chain(forgotten).chain(desired).chain(audit).collect()
}

/// The key of the entries that came together from this number on: keys sort as numbers do.
#[must_use]
pub(crate) fn audit_key(first: u64) -> String {
    format!("{first:020}")
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("wire types always serialize")
}
