//! Batches of commands over HTTP.

use super::{
    Body,
    commands::{idempotency_key, new_id},
    object, parse,
};
use crate::{
    core::Outlet,
    web::{Web, caller, problem::Refused},
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
};
use bridge::{
    bridge::Bridge,
    command::book::{BatchError, Caller},
};
use protocol::{Batch, BatchRequest, CommandId, Timestamp};
use std::sync::Arc;

/// `POST /command-batches`.
pub(super) async fn create(
    State(web): State<Arc<Web>>,
    caller::Caller(user): caller::Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Batch>), Refused> {
    let key = idempotency_key(&headers)?;
    let request: BatchRequest = object(body)?;
    if request.command.dry_run == Some(true) {
        return Err(Refused::bad_request("dry_run is for one device's commands only"));
    }
    web.check_store()?;
    let id = new_id().to_string();
    let create = web.core.ask(move |bridge, now| {
        let caller = Caller { user: &user.name, key: key.as_deref() };
        bridge.command_batch(now, id, &mut new_id, request, caller)
    });
    Ok((StatusCode::ACCEPTED, Json(create.await??)))
}

/// `GET /command-batches/{id}`.
pub(super) async fn get(
    State(web): State<Arc<Web>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    let id = batch_id(path)?;
    let wanted = id.clone();
    let found = web.core.look(move |bridge, _| bridge.commands().batch(&wanted).cloned()).await?;
    found.map(Json).ok_or_else(|| BatchError::Unknown(id).into())
}

/// `POST /command-batches/{id}/pause`.
pub(super) async fn pause(
    State(web): State<Arc<Web>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    change(&web, path, |bridge, now, id| bridge.pause_batch(now, id)).await
}

/// `POST /command-batches/{id}/resume`.
pub(super) async fn resume(
    State(web): State<Arc<Web>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    change(&web, path, |bridge, now, id| bridge.resume_batch(now, id)).await
}

/// `POST /command-batches/{id}/cancel`.
pub(super) async fn cancel(
    State(web): State<Arc<Web>>,
    caller::Caller(user): caller::Caller,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Batch>, Refused> {
    change(&web, path, move |bridge, now, id| bridge.cancel_batch(now, id, &user.name)).await
}

async fn change(
    web: &Web,
    path: Result<Path<String>, PathRejection>,
    change: impl FnOnce(&mut Bridge<Outlet>, Timestamp, &str) -> Result<Batch, BatchError>
    + Send
    + 'static,
) -> Result<Json<Batch>, Refused> {
    let id = batch_id(path)?;
    web.check_store()?;
    Ok(Json(web.core.ask(move |bridge, now| change(bridge, now, &id)).await??))
}

/// A batch's id is a UUID as a command's is.
fn batch_id(path: Result<Path<String>, PathRejection>) -> Result<String, Refused> {
    let id: CommandId = parse(&path?)?;
    Ok(id.to_string())
}
