//! Which rows are shown, and in which order.

use super::{
    fleet::{Fleet, Row},
    keys::{Choice, Order},
};
use protocol::{Alert, AlertState, Command, Timestamp};
use std::cmp::Reverse;

/// The devices in the chosen order, as far as the filter takes them.
pub(super) fn devices<'a>(fleet: &'a Fleet, choice: &Choice) -> Vec<(&'a str, &'a Row)> {
    let mut rows: Vec<_> = fleet.devices.iter().map(|(id, row)| (id.as_str(), row)).collect();
    rows.retain(|(id, _)| id.contains(&choice.filter));
    let seen = |row: &Row| row.seen.unwrap_or(Timestamp(i64::MIN));
    // The map is in the order of the ids, and each sort keeps the order of equals.
    match choice.order {
        Order::Name => {}
        Order::Rate => rows.sort_by(|(_, a), (_, b)| b.rate.total_cmp(&a.rate)),
        Order::Slowest => rows.sort_by_key(|(_, row)| (!row.is_online(), seen(row))),
        Order::Offline => rows.sort_by_key(|(_, row)| (row.is_online(), Reverse(row.since))),
    }
    rows
}

/// The alerts, those that nobody knows of and the worst first.
pub(super) fn alerts(fleet: &Fleet) -> Vec<&Alert> {
    let mut alerts: Vec<_> = fleet.alerts.values().collect();
    let known = |alert: &Alert| alert.state == AlertState::Acknowledged;
    alerts.sort_by_key(|alert| (known(alert), Reverse((alert.severity, alert.id))));
    alerts
}

/// The commands, the newest first.
pub(super) fn commands(fleet: &Fleet) -> Vec<&Command> {
    let mut commands: Vec<_> = fleet.commands.values().collect();
    commands.sort_by_key(|command| Reverse((command.created_at, command.id)));
    commands
}
