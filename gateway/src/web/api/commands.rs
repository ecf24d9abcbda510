//! Commands over HTTP.

use super::{Body, object, page_rows, parse};
use crate::{
    core::Outlet,
    web::{Web, problem::Refused, who::Who},
};
use axum::{
    Json,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bridge::{
    bridge::{Bridge, CommandError},
    command::book::{Caller, CancelError},
    rights::Rights,
};
use protocol::{Command, CommandDetails, CommandId, CommandRequest, CommandState, DeviceId, Page};
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time;

/// The longest `Prefer: wait`.
const WAIT_S_MAX: u64 = 600;

/// The longest `Idempotency-Key`, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Creates a command; the WebSocket's way too.
pub(in crate::web) async fn create_command(
    web: &Web,
    who: Who,
    device: DeviceId,
    request: CommandRequest,
    key: Option<String>,
) -> Result<Command, Refused> {
    if request.dry_run == Some(true) {
        return Err(Refused::bad_request("dry_run is for POST only"));
    }
    who.check_of("commands", &device)?;
    web.check_store()?;
    let id = new_id();
    let create = web.core.ask(move |bridge, now| {
        let caller = Caller { user: &who.user, key: key.as_deref() };
        let details = json!({"command": id, "request": request});
        let command = bridge.command(now, id, &device, request, caller)?;
        // The same key gives the command that was made before.
        if command.id == id {
            bridge.record(now, who.deed("command.created", Some(&device), details));
        }
        Ok::<_, CommandError>(command)
    });
    Ok(create.await??)
}

/// An id that sorts behind all that were given before.
pub(super) fn new_id() -> CommandId {
    CommandId::from_u128(uuid::Uuid::now_v7().as_u128())
}

/// Cancels a command; the WebSocket's way too.
pub(in crate::web) async fn cancel_command(
    web: &Web,
    who: Who,
    id: CommandId,
) -> Result<Command, Refused> {
    web.check_store()?;
    let cancel = web.core.ask(move |bridge, now| {
        if seen(bridge, &who.rights, id).is_none() {
            return Err(CancelError::Unknown(id));
        }
        let command = bridge.cancel(now, id, &who.user)?;
        let action = format!("command.{}", command.state);
        let details = json!({"command": id, "name": command.name});
        bridge.record(now, who.deed(&action, Some(&command.device), details));
        Ok::<_, CancelError>(command)
    });
    Ok(cancel.await??)
}

/// `POST /devices/{id}/commands`.
pub(super) async fn create(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let device = parse(&path?)?;
    let (wait, key) = (preferred_wait(&headers)?, idempotency_key(&headers)?);
    let request: CommandRequest = object(body)?;
    if request.dry_run == Some(true) {
        who.check_of("commands", &device)?;
        let dry =
            web.core.look(move |bridge, now| bridge.dry_run(now, &device, &request, &who.user));
        return Ok(Json(dry.await??).into_response());
    }
    let command = create_command(&web, who.clone(), device, request, key).await?;
    let Some(wait) = wait else {
        return Ok((StatusCode::ACCEPTED, Json(command)).into_response());
    };
    let id = command.id;
    let ended = tokio::select! {
        ended = time::timeout(wait, web.core.end_of(id)) => ended.ok(),
        () = web.stopping.cancelled() => None,
    };
    let applied = [("preference-applied", format!("wait={}", wait.as_secs()))];
    Ok(match ended {
        Some(Ok(Some(command))) => (StatusCode::OK, applied, Json(command)).into_response(),
        Some(Ok(None)) => return Err(unknown(id)),
        Some(Err(stopped)) => return Err(stopped.into()),
        None => {
            let command = find(&web, who, id).await?.command;
            (StatusCode::ACCEPTED, applied, Json(command)).into_response()
        }
    })
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=KEY_BYTES_MAX).contains(&key.len()) => Ok(Some(key.into())),
        Ok(_) | Err(_) => Err(Refused::bad_request(format!(
            "Idempotency-Key {value:?} is not 1-{KEY_BYTES_MAX} visible ASCII characters"
        ))),
    }
}

/// `wait` of the header `Prefer` (RFC 7240), in seconds.
fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, Refused> {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(',')).map(str::trim);
    let Some(wait) = preferences.find_map(|preference| preference.strip_prefix("wait=")) else {
        return Ok(None);
    };
    match wait.parse() {
        Ok(seconds) if seconds <= WAIT_S_MAX => Ok(Some(Duration::from_secs(seconds))),
        Ok(_) | Err(_) => {
            Err(Refused::bad_request(format!("Prefer: wait={wait} is not in 0-{WAIT_S_MAX} s")))
        }
    }
}

/// What `GET /commands` may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    device: Option<DeviceId>,
    state: Option<CommandState>,
    name: Option<String>,
    batch: Option<String>,
    limit: Option<usize>,
    cursor: Option<CommandId>,
}

impl Wanted {
    fn takes(&self, command: &Command) -> bool {
        self.device.as_ref().is_none_or(|device| *device == command.device)
            && self.state.is_none_or(|state| state == command.state)
            && self.name.as_ref().is_none_or(|name| *name == command.name)
            && (self.batch.is_none() || self.batch == command.batch)
    }
}

/// `GET /commands`, newest first.
pub(super) async fn list(
    State(web): State<Arc<Web>>,
    who: Who,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Page<Command>>, Refused> {
    let Query(wanted) = query?;
    let rows = page_rows(wanted.limit)?;
    let page = web.core.look(move |bridge, _| {
        let commands = bridge.commands().list(wanted.cursor);
        let seen = |command: &&Command| who.rights.may_see_of("commands", &command.device);
        let mut found = commands.filter(|command| wanted.takes(command)).filter(seen).cloned();
        let items: Vec<_> = found.by_ref().take(rows).collect();
        let more = found.next().is_some();
        let next = items.last().filter(|_| more).map(|command| command.id.to_string());
        Page { items, next }
    });
    Ok(Json(page.await?))
}

/// `GET /commands/{id}`.
pub(super) async fn get(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<CommandDetails>, Refused> {
    Ok(Json(find(&web, who, parse(&path?)?).await?))
}

/// `POST /commands/{id}/cancel`.
pub(super) async fn cancel(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Command>, Refused> {
    Ok(Json(cancel_command(&web, who, parse(&path?)?).await?))
}

async fn find(web: &Web, who: Who, id: CommandId) -> Result<CommandDetails, Refused> {
    let find = web.core.look(move |bridge, _| seen(bridge, &who.rights, id).cloned());
    find.await?.ok_or_else(|| unknown(id))
}

/// A command, if it may be seen.
fn seen<'a>(
    bridge: &'a Bridge<Outlet>,
    rights: &Rights,
    id: CommandId,
) -> Option<&'a CommandDetails> {
    let found = bridge.commands().get(id)?;
    rights.may_see_of("commands", &found.command.device).then_some(found)
}

fn unknown(id: CommandId) -> Refused {
    Refused::not_found("unknown_command", format!("there is no command '{id}'"))
}
