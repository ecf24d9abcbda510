//! Commands over HTTP.

use super::{Body, object, page_rows, parse};
use crate::{
    auth::User,
    core::Outlet,
    web::{
        Web,
        asked::Asked,
        caller::{Caller, forbidden, sent_away},
        elements::elements,
        problem::Refused,
        who::Who,
    },
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use bridge::{
    bridge::{Bridge, CommandError},
    command::book::{self, CancelError},
    rights::Rights,
};
use protocol::{
    Command, CommandDetails, CommandId, CommandRequest, CommandState, DeviceId, DryRun, Page, Role,
    Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{json, value::to_raw_value};
use std::{sync::Arc, time::Duration};
use tokio::time;

/// The longest that `Prefer: wait` is followed; who asks for more is told so by `Preference-Applied`.
const WAIT_S_MAX: u64 = 600;

/// The longest `Idempotency-Key`, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Creates a command; the WebSocket's way too. `then` gets it once it is stored, before its first update is told.
pub(in crate::web) async fn create_command(
    web: &Web,
    who: Who,
    device: DeviceId,
    request: CommandRequest,
    key: Option<String>,
    then: impl FnOnce(&CommandDetails) + Send + 'static,
) -> Result<CommandDetails, Refused> {
    if request.dry_run == Some(true) {
        return Err(Refused::bad_request("dry_run is for POST only"));
    }
    who.check_of("commands", &device)?;
    let id = new_id();
    let create = move |bridge: &mut Bridge<Outlet>, now| {
        let caller = book::Caller { user: &who.user, key: key.as_deref() };
        let details = to_raw_value(&Created { command: id, request: &request });
        let details = details.expect("a request has text keys");
        let command = bridge.command(now, id, &device, request, caller)?;
        // The same key gives the command that was made before.
        if command.id == id {
            bridge.record(now, who.deed("command.created", Some(&device), details));
        }
        Ok::<_, CommandError>(with_story(bridge, command))
    };
    change(web, create, then).await
}

/// What the audit log tells of a new command.
#[derive(Serialize)]
struct Created<'a> {
    command: CommandId,
    request: &'a CommandRequest,
}

/// Has the bridge make or change a command; `then` gets it once that is stored.
async fn change<E: Send + 'static>(
    web: &Web,
    question: impl FnOnce(&mut Bridge<Outlet>, Timestamp) -> Result<CommandDetails, E> + Send + 'static,
    then: impl FnOnce(&CommandDetails) + Send + 'static,
) -> Result<CommandDetails, Refused>
where
    Refused: From<E>,
{
    web.check_store()?;
    let changed = web.core.change_then(question, |changed| {
        if let Ok(command) = changed {
            then(command);
        }
    });
    Ok(changed.await??)
}

/// A command with its story so far.
fn with_story(bridge: &Bridge<Outlet>, command: Command) -> CommandDetails {
    let transitions = bridge.commands().get(command.id).map(|known| known.transitions.clone());
    CommandDetails { command, transitions: transitions.unwrap_or_default() }
}

/// An id that sorts behind all that were given before.
pub(super) fn new_id() -> CommandId {
    CommandId::from_u128(uuid::Uuid::now_v7().as_u128())
}

/// Cancels a command; the WebSocket's way too. `then` as above.
pub(in crate::web) async fn cancel_command(
    web: &Web,
    who: Who,
    id: CommandId,
    then: impl FnOnce(&CommandDetails) + Send + 'static,
) -> Result<CommandDetails, Refused> {
    let cancel = move |bridge: &mut Bridge<Outlet>, now| {
        if seen(bridge, &who.rights, id).is_none() {
            return Err(CancelError::Unknown(id));
        }
        let command = bridge.cancel(now, id, &who.user)?;
        let action = format!("command.{}", command.state);
        let details = json!({"command": id, "name": command.name});
        bridge.record(now, who.deed(&action, Some(&command.device), details));
        Ok::<_, CancelError>(with_story(bridge, command))
    };
    change(web, cancel, then).await
}

/// `POST /devices/{id}/commands`.
pub(super) async fn create(
    State(web): State<Arc<Web>>,
    who: Who,
    Caller(user): Caller,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let allowed = user.role >= Role::Operator;
    let request = object(body);
    let dry = matches!(&request, Ok(CommandRequest { dry_run: Some(true), .. }));
    if !allowed && !dry {
        web.stats.web.refused_forbidden.increment();
        return Err(forbidden(&user, Role::Operator));
    }
    let device = parse(&path?)?;
    let (wait, key) = (preferred_wait(&headers)?, idempotency_key(&headers)?);
    let request = request?;
    if dry {
        let dry = DryRun { allowed, ..dry_run(&web, who, device, request).await? };
        return Ok(Json(dry).into_response());
    }
    let command = create_command(&web, who.clone(), device, request, key, |_| {}).await?;
    match wait {
        None => Ok((StatusCode::ACCEPTED, Json(command)).into_response()),
        Some(wait) => end_within(&web, (&user, who), command.command.id, wait).await,
    }
}

/// Answers with the end of a command where that comes in time, else with how far it is; nobody who may not go on
/// waiting.
async fn end_within(
    web: &Web,
    (user, who): (&User, Who),
    id: CommandId,
    wait: Duration,
) -> Result<Response, Refused> {
    let ended = tokio::select! {
        biased;
        refused = sent_away(web, user) => return Err(refused),
        ended = time::timeout(wait, web.core.end_of(id)) => ended.ok(),
        () = web.stopping.cancelled() => None,
    };
    let applied = [("preference-applied", format!("wait={}", wait.as_secs()))];
    Ok(match ended {
        Some(Ok(Some(command))) => (StatusCode::OK, applied, Json(command)).into_response(),
        Some(Ok(None)) => return Err(unknown(id)),
        Some(Err(stopped)) => return Err(stopped.into()),
        None => {
            let command = find(web, who, id).await?;
            (StatusCode::ACCEPTED, applied, Json(command)).into_response()
        }
    })
}

async fn dry_run(
    web: &Web,
    who: Who,
    device: DeviceId,
    request: CommandRequest,
) -> Result<DryRun, Refused> {
    who.check_of("commands", &device)?;
    let dry = web.core.look(move |bridge, now| bridge.dry_run(now, &device, &request, &who.user));
    Ok(dry.await??)
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
    let mut preferences = elements(headers, "prefer");
    let Some(wait) = preferences.find_map(|preference| value_of(preference, "wait")) else {
        return Ok(None);
    };
    match wait.parse::<u64>() {
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds.min(WAIT_S_MAX)))),
        Err(_) => Err(Refused::bad_request(format!("Prefer: wait={wait} is no number of seconds"))),
    }
}

/// The value of a preference of this name; its parameters say nothing here.
fn value_of<'a>(preference: &'a str, wanted: &str) -> Option<&'a str> {
    let plain = preference.split(';').next()?;
    let (name, value) = plain.split_once('=')?;
    name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"'))
}

/// What `GET /commands` may ask for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    device: Option<DeviceId>,
    state: Option<CommandState>,
    name: Option<String>,
    #[serde(default, deserialize_with = "batch_id")]
    batch: Option<String>,
    limit: Option<usize>,
    cursor: Option<CommandId>,
}

/// A batch's id as the gateway writes it, however it is written here.
fn batch_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    CommandId::deserialize(from).map(|id| Some(id.to_string()))
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
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Command>>, Refused> {
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
) -> Result<Json<CommandDetails>, Refused> {
    Ok(Json(cancel_command(&web, who, parse(&path?)?, |_| {}).await?))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        preferred_wait(&headers).unwrap().map(|wait| wait.as_secs())
    }

    #[test]
    fn prefer_is_read_as_its_rfc_says() {
        assert_eq!(wait(&[]), None);
        assert_eq!(wait(&["respond-async"]), None);
        for said in ["wait=10", "Wait = 10", "wait=\"10\"", "a=1, wait=10;b=2", "wait=10, wait=9"] {
            assert_eq!(wait(&[said]), Some(10), "{said}");
        }
        assert_eq!(wait(&["respond-async", "wait=3"]), Some(3));
        assert_eq!(wait(&["said=\"a, wait=1\", wait=3"]), Some(3));
        assert_eq!(wait(&["wait=86400"]), Some(WAIT_S_MAX));
    }
}
