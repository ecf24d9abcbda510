//! Batches of commands over HTTP.

use super::{
    Body,
    commands::{idempotency_key, new_id},
    object, parse,
};
use crate::{
    core::Outlet,
    web::{Web, problem::Refused, who::Who},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
};
use bridge::{
    bridge::{Bridge, CommandError},
    command::book::{BatchError, Caller},
};
use protocol::{Batch, BatchRequest, CommandId, Timestamp};
use serde_json::json;
use std::sync::Arc;

/// `POST /command-batches`.
pub(super) async fn create(
    State(web): State<Arc<Web>>,
    who: Who,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Batch>), Refused> {
    let key = idempotency_key(&headers)?;
    let request: BatchRequest = object(body)?;
    if [request.dry_run, request.command.dry_run].contains(&Some(true)) {
        return Err(Refused::bad_request("dry_run is for one device's commands only"));
    }
    request.devices.iter().flatten().try_for_each(|device| who.check_of("commands", device))?;
    let id = new_id().to_string();
    let create = web.change(move |bridge, now| {
        let caller = Caller { user: &who.user, key: key.as_deref() };
        let details = json!({"batch": id, "request": request});
        let caller = (caller, &who.rights);
        let batch = bridge.command_batch(now, id.clone(), &mut new_id, request, caller)?;
        // The same key gives the batch that was made before.
        if batch.id == id {
            bridge.record(now, who.deed("batch.created", None, details));
        }
        Ok::<_, CommandError>(batch)
    });
    Ok((StatusCode::ACCEPTED, Json(create.await??)))
}

/// `GET /command-batches/{id}`.
pub(super) async fn get(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    let id = batch_id(path)?;
    let wanted = id.clone();
    let find = web.core.look(move |bridge, _| {
        let batch = bridge.commands().batch(&wanted).filter(|_| is_seen(bridge, &who, &wanted));
        batch.cloned()
    });
    let found = find.await?;
    found.map(Json).ok_or_else(|| BatchError::Unknown(id).into())
}

/// Whether a batch may be seen.
fn is_seen(bridge: &Bridge<Outlet>, who: &Who, id: &str) -> bool {
    who.rights.may_see_batch(bridge.commands().batch_devices(id))
}

/// `POST /command-batches/{id}/pause`.
pub(super) async fn pause(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    change(&web, who, path, "batch.paused", |bridge, now, id, _| bridge.pause_batch(now, id)).await
}

/// `POST /command-batches/{id}/resume`.
pub(super) async fn resume(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    change(&web, who, path, "batch.resumed", |bridge, now, id, _| bridge.resume_batch(now, id))
        .await
}

/// `POST /command-batches/{id}/cancel`.
pub(super) async fn cancel(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    change(&web, who, path, "batch.cancelled", |bridge, now, id, user| {
        bridge.cancel_batch(now, id, user)
    })
    .await
}

type Act = fn(&mut Bridge<Outlet>, Timestamp, &str, &str) -> Result<Batch, BatchError>;

async fn change(
    web: &Web,
    who: Who,
    path: Result<Path<String>, PathRejection>,
    action: &'static str,
    act: Act,
) -> Result<Json<Batch>, Refused> {
    let id = batch_id(path)?;
    let change = web.change(move |bridge, now| {
        if !is_seen(bridge, &who, &id) {
            return Err(BatchError::Unknown(id));
        }
        let batch = act(bridge, now, &id, &who.user)?;
        let details = json!({"batch": id, "counts": batch.counts});
        bridge.record(now, who.deed(action, None, details));
        Ok(batch)
    });
    Ok(Json(change.await??))
}

/// A batch's id is a UUID as a command's is.
fn batch_id(path: Result<Path<String>, PathRejection>) -> Result<String, Refused> {
    let id: CommandId = parse(&path?)?;
    Ok(id.to_string())
}
