//! Alerts over HTTP.

use super::{page_rows, parse};
use crate::{
    core::Outlet,
    web::{Web, asked::Asked, problem::Refused, who::Who},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use bridge::{alerts::AlertError, bridge::Bridge};
use protocol::{Alert, AlertId, AlertState, DeviceId, Page, Severity, Timestamp};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// What `GET /alerts` may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    state: Option<AlertState>,
    severity: Option<Severity>,
    device: Option<DeviceId>,
    limit: Option<usize>,
    cursor: Option<AlertId>,
}

impl Wanted {
    fn takes(&self, alert: &Alert) -> bool {
        self.state.is_none_or(|state| state == alert.state)
            && self.severity.is_none_or(|severity| severity == alert.severity)
            && self.device.as_ref().is_none_or(|device| *device == alert.device)
    }
}

/// `GET /alerts`, the newest first.
pub(super) async fn list(
    State(web): State<Arc<Web>>,
    who: Who,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Alert>>, Refused> {
    let rows = page_rows(wanted.limit)?;
    let page = web.core.ask(move |bridge, _| {
        let alerts = bridge.alerts().list(wanted.cursor);
        let seen = |alert: &&Alert| who.rights.may_see_alert(alert);
        let mut found = alerts.filter(|alert| wanted.takes(alert)).filter(seen).cloned();
        let items: Vec<_> = found.by_ref().take(rows).collect();
        let more = found.next().is_some();
        let next = items.last().filter(|_| more).map(|alert| alert.id.to_string());
        Page { items, next }
    });
    Ok(Json(page.await?))
}

/// `POST /alerts/{id}/ack`.
pub(super) async fn acknowledge(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Alert>, Refused> {
    change(&web, who, parse(&path?)?, "alert.acknowledged", Bridge::acknowledge_alert).await
}

/// `POST /alerts/{id}/clear`.
pub(super) async fn clear(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Alert>, Refused> {
    change(&web, who, parse(&path?)?, "alert.cleared", Bridge::clear_alert).await
}

type Act = fn(&mut Bridge<Outlet>, Timestamp, AlertId, &str) -> Result<Alert, AlertError>;

async fn change(
    web: &Web,
    who: Who,
    id: AlertId,
    action: &'static str,
    act: Act,
) -> Result<Json<Alert>, Refused> {
    let change = move |bridge: &mut Bridge<Outlet>, now| {
        let before = bridge.alerts().get(id).filter(|alert| who.rights.may_see_alert(alert));
        let before = Some(before.ok_or(AlertError::Unknown(id))?.state);
        let alert = act(bridge, now, id, &who.user)?;
        // Who comes second changes nothing.
        if before != Some(alert.state) {
            let Alert { severity, code, .. } = &alert;
            let details = json!({"alert": id, "severity": severity, "code": code});
            bridge.record(now, who.deed(action, Some(&alert.device), details));
        }
        Ok(alert)
    };
    let changed: Result<Alert, AlertError> = web.change(change).await?;
    Ok(Json(changed?))
}
