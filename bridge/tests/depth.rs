//! Rows nest no deeper than they can be read again, whatever devices and users were allowed to say.

use bridge::{
    alerts::{AlertLimits, AlertSettings, Alerts},
    audit::{self, Audit, Deed, Party},
    ingest::{self, Inbound},
    route::Destination,
    shadow::{Expected, Shadows},
};
use protocol::{Alert, Desired, DeviceId, Timestamp};
use serde_json::json;

const NOW: Timestamp = Timestamp(1_000);

/// Levels around those at which JSON is refused.
const LEVELS: std::ops::RangeInclusive<usize> = 90..=140;

fn device() -> DeviceId {
    "d".parse().expect("a device id")
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// How many of [`LEVELS`] are accepted, each of which must be read again.
fn accepted(is_accepted_and_read: impl Fn(String) -> Option<bool>) -> usize {
    let read: Vec<_> = LEVELS.filter_map(|levels| is_accepted_and_read(nested(levels))).collect();
    assert!(read.iter().all(|read| *read), "{read:?}");
    read.len()
}

#[test]
fn alerts_of_events_are_read_again() {
    let limits = AlertLimits { open: 1, open_per_device: 1, cleared_kept: 1 };
    let count = accepted(|data| {
        let said =
            format!(r#"{{"severity":"info","code":"c","message":"m","data":{{"x":{data}}}}}"#);
        let read =
            ingest::decode(&Destination::Event { device: device() }, said.as_bytes()).ok()?;
        let Some(Inbound::Event { event, .. }) = read.into_iter().next() else { panic!("{said}") };
        let mut alerts = Alerts::new(limits, AlertSettings::default());
        alerts.event(NOW, &device(), event);
        let row = serde_json::to_vec(&alerts.take_changes()[0].alert).unwrap();
        Some(serde_json::from_slice::<Alert>(&row).is_ok())
    });
    assert!(count > 0 && count < LEVELS.count());
}

#[test]
fn desired_states_and_what_the_audit_log_tells_of_them_are_read_again() {
    let count = accepted(|wanted| {
        let wanted = serde_json::from_str(&format!(r#"{{"x":{wanted}}}"#)).ok()?;
        let mut shadows = Shadows::new(1_000);
        let details = json!({"version": 1, "desired": wanted});
        let desired = serde_json::from_value(wanted).unwrap();
        shadows.desire(&device(), desired, &Expected::Nothing).unwrap();
        let row = serde_json::to_vec(&shadows.take_changes()[0].desired).unwrap();
        let mut audit = Audit::new(10);
        audit.record(
            NOW,
            Deed { by: Party::Gateway, action: "desired.changed", device: None, details },
        );
        let audited = audit.take_changes().into_iter().all(|change| match change {
            audit::Change::Set { first, lines } => {
                Audit::new(10).restore([(first, lines.as_str())]).is_ok()
            }
            audit::Change::Gone { .. } => true,
        });
        Some(audited && serde_json::from_slice::<Desired>(&row).is_ok())
    });
    assert!(count > 0 && count < LEVELS.count());
}
