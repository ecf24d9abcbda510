//! Devices over HTTP.

use super::{Body, object, page_rows, parse};
use crate::{
    core::{Input, Outlet},
    web::{
        Web,
        asked::Asked,
        problem::Refused,
        who::{Who, unknown_device as unknown},
    },
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use bridge::{
    bridge::Bridge,
    data::{Data, Metrics},
    devices::{Record, Tags},
    rights::Rights,
};
use protocol::{
    Device, DeviceDescription, DeviceId, DevicePatch, Page, Status, Timestamp, TopicName,
};
use serde::Deserialize;
use serde_json::json;
use std::{cmp::Ordering, sync::Arc};

/// What `GET /devices` may ask for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    q: Option<String>,
    r#type: Option<String>,
    tag: Option<String>,
    status: Option<Status>,
    #[serde(default)]
    sort: Sort,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Sort {
    #[default]
    #[serde(rename = "id")]
    Id,
    #[serde(rename = "-id")]
    IdDescending,
    #[serde(rename = "last_seen_at")]
    LastSeen,
    #[serde(rename = "-last_seen_at")]
    LastSeenDescending,
}

/// A device's place in a list: where the next page goes on, though rows came and went.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    last_seen_at: Option<Timestamp>,
    id: DeviceId,
}

impl Sort {
    fn compare(self, a: &Place, b: &Place) -> Ordering {
        let by_time = || (a.last_seen_at, &a.id).cmp(&(b.last_seen_at, &b.id));
        match self {
            Self::Id => a.id.cmp(&b.id),
            Self::IdDescending => b.id.cmp(&a.id),
            Self::LastSeen => by_time(),
            Self::LastSeenDescending => by_time().reverse(),
        }
    }
}

impl Place {
    fn cursor(&self) -> String {
        let seen = self.last_seen_at.map(|at| at.to_string()).unwrap_or_default();
        format!("{seen}~{}", self.id)
    }

    fn from_cursor(cursor: &str) -> Option<Self> {
        let (seen, id) = cursor.split_once('~')?;
        let last_seen_at = match seen {
            "" => None,
            seen => Some(Timestamp(seen.parse().ok()?)),
        };
        Some(Self { last_seen_at, id: id.parse().ok()? })
    }
}

impl Wanted {
    fn takes(&self, id: &DeviceId, record: &Record) -> bool {
        let text = self.q.as_ref().is_none_or(|q| id.as_str().contains(q.as_str()));
        let kind = self.r#type.as_ref().is_none_or(|kind| record.kind.as_ref() == Some(kind));
        let tag = self.tag.as_ref().is_none_or(|tag| record.has_tag(tag));
        text && kind && tag && self.status.is_none_or(|status| status == record.status())
    }
}

/// `GET /devices`.
pub(super) async fn list(
    State(web): State<Arc<Web>>,
    who: Who,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Device>>, Refused> {
    let rows = page_rows(wanted.limit)?;
    let after = wanted.cursor.as_ref().map(|cursor| {
        let bad = || Refused::bad_query(format!("cursor '{cursor}' is not one that was given"));
        Place::from_cursor(cursor).ok_or_else(bad)
    });
    let after = after.transpose()?;
    let rights = who.rights;
    let page =
        web.core.ask(move |bridge, _| page(bridge, &rights, &wanted, (rows, after.as_ref())));
    Ok(Json(page.await?))
}

fn page(
    bridge: &Bridge<Outlet>,
    rights: &Rights,
    wanted: &Wanted,
    (rows, after): (usize, Option<&Place>),
) -> Page<Device> {
    let matching = bridge
        .devices()
        .iter()
        .filter(|(id, record)| wanted.takes(id, record) && rights.may_see_device(id));
    let mut places: Vec<_> = matching
        .map(|(id, record)| Place { last_seen_at: record.last_seen_at, id: id.clone() })
        .filter(|place| after.is_none_or(|after| wanted.sort.compare(place, after).is_gt()))
        .collect();
    places.sort_unstable_by(|a, b| wanted.sort.compare(a, b));
    let more = places.len() > rows;
    places.truncate(rows);
    let next = places.last().filter(|_| more).map(Place::cursor);
    let items = places.iter().filter_map(|place| device(bridge, rights, &place.id)).collect();
    Page { items, next }
}

fn device(bridge: &Bridge<Outlet>, rights: &Rights, id: &DeviceId) -> Option<Device> {
    let record = bridge.devices().get(id)?;
    let channel: TopicName = format!("telemetry/{id}").parse().ok()?;
    let value = bridge.hub.value(&channel).filter(|_| rights.may_see(&channel));
    Some(Device {
        id: id.clone(),
        kind: record.kind.clone(),
        tags: record.tags.clone(),
        status: record.status(),
        since: record.since(),
        last_seen_at: record.last_seen_at,
        values: value.map_or_else(|| Data::Metrics(Metrics::default()).raw(), Data::raw),
        version: record.version,
    })
}

/// `GET /devices/{id}`.
pub(super) async fn get(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<Device>, Refused> {
    let id: DeviceId = parse(&path?)?;
    who.check(&id)?;
    let asked = id.clone();
    let found = web.core.ask(move |bridge, _| device(bridge, &who.rights, &asked)).await?;
    found.map(Json).ok_or_else(|| unknown(&id))
}

/// `PUT /devices/{id}`.
pub(super) async fn put(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<Device>, Refused> {
    let id: DeviceId = parse(&path?)?;
    // It may be new: so it is not said to be unknown.
    who.check(&id).map_err(|_| who.out_of_sight(&format!("device '{id}'")))?;
    let DeviceDescription { kind, tags } = object(body)?;
    check_tags(tags.keys())?;
    change(&web, who, id, move |_| Some((kind, tags))).await
}

/// `PATCH /devices/{id}`.
pub(super) async fn patch(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
    body: Body,
) -> Result<Json<Device>, Refused> {
    let id: DeviceId = parse(&path?)?;
    who.check(&id)?;
    let patch: DevicePatch = object(body)?;
    check_tags(patch.tags.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name))?;
    change(&web, who, id, move |known| known.map(|known| patched(known, patch))).await
}

/// Refuses new tags that nobody could ask for.
fn check_tags<'a>(mut names: impl Iterator<Item = &'a String>) -> Result<(), Refused> {
    let Some(bad) = names.find(|name| !Record::is_tag_name(name)) else { return Ok(()) };
    Err(Refused::bad_request(format!(
        "the tag '{bad}' has a colon in its name, which tag=name:value ends there: take a name without"
    )))
}

fn patched((kind, mut tags): Described, patch: DevicePatch) -> Described {
    for (name, value) in patch.tags {
        match value {
            Some(value) => tags.insert(name, value),
            None => tags.remove(&name),
        };
    }
    (patch.kind.unwrap_or(kind), tags)
}

/// `DELETE /devices/{id}`: forgets it and closes its connection.
pub(super) async fn delete(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Refused> {
    let id: DeviceId = parse(&path?)?;
    // Its values, commands, alerts and what is desired of it go with it.
    who.check_all_of(&id)?;
    // Before its connection is closed for nothing.
    web.check_store()?;
    web.core.send(Input::Kick { device: id.clone() }).await?;
    let asked = id.clone();
    let delete = web.change(move |bridge, now| {
        let known = bridge.delete_device(now, &asked, &who.user);
        if known {
            bridge.record(now, who.deed("device.deleted", Some(&asked), json!({})));
        }
        known
    });
    let known = delete.await?;
    if known { Ok(StatusCode::NO_CONTENT) } else { Err(unknown(&id)) }
}

/// What is said of a device: its type and tags.
type Described = (Option<String>, Tags);

/// Writes what `new` makes of what is known of a device, none where it is not known; gives none: it has to be.
async fn change(
    web: &Web,
    who: Who,
    id: DeviceId,
    new: impl FnOnce(Option<Described>) -> Option<Described> + Send + 'static,
) -> Result<Json<Device>, Refused> {
    let change = move |bridge: &mut Bridge<Outlet>, now| {
        let known = bridge.devices().get(&id);
        let known = known.map(|record| (record.kind.clone(), record.tags.clone()));
        let (kind, tags) = new(known).ok_or_else(|| unknown(&id))?;
        let details = json!({"type": kind, "tags": tags});
        bridge.put_device(now, &id, kind, tags)?;
        bridge.record(now, who.deed("device.changed", Some(&id), details));
        Ok(device(bridge, &who.rights, &id).expect("written above"))
    };
    let changed: Result<Device, Refused> = web.change(change).await?;
    Ok(Json(changed?))
}
