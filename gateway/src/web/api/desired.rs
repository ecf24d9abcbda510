//! What is desired of devices, over HTTP.

use super::{Body, object, parse};
use crate::{
    core::Outlet,
    web::{
        Web,
        elements::elements,
        problem::Refused,
        who::{Who, unknown_device as unknown},
    },
};
use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bridge::{
    bridge::Bridge,
    shadow::{DesireError, Expected},
};
use protocol::{DeviceId, DeviceState};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `GET /devices/{id}/desired`.
pub(super) async fn get(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Refused> {
    let id: DeviceId = parse(&path?)?;
    who.check_of("state", &id)?;
    let asked = id.clone();
    let found = web.core.ask(move |bridge, _| {
        let known = bridge.devices().get(&asked).is_some();
        known.then(|| bridge.device_state(&asked))
    });
    found.await?.map(tagged).ok_or_else(|| unknown(&id))
}

/// `PUT /devices/{id}/desired`.
pub(super) async fn put(
    State(web): State<Arc<Web>>,
    who: Who,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let id: DeviceId = parse(&path?)?;
    who.check_of("state", &id)?;
    let expected = expected(&headers);
    let desired: Map<String, Value> = object(body)?;
    let asked = id.clone();
    let change = move |bridge: &mut Bridge<Outlet>, now| {
        bridge.devices().get(&asked)?;
        let wanted = Value::Object(desired.clone());
        let changed = bridge.desire(now, &asked, desired, &expected);
        if let Ok(state) = &changed {
            let details = json!({"version": state.version, "desired": wanted});
            bridge.record(now, who.deed("desired.changed", Some(&asked), details));
        }
        Some(changed)
    };
    let changed: Option<Result<DeviceState, DesireError>> = web.change(change).await?;
    Ok(tagged(changed.ok_or_else(|| unknown(&id))??))
}

/// The state with its version as the entity tag.
fn tagged(state: DeviceState) -> Response {
    ([(header::ETAG, format!("\"{}\"", state.version))], Json(state)).into_response()
}

/// What `If-Match` says (RFC 9110, section 13.1.1). A weak tag, or one that is none of ours, matches
/// nothing.
fn expected(headers: &HeaderMap) -> Expected {
    if !headers.contains_key(header::IF_MATCH) {
        return Expected::Nothing;
    }
    if elements(headers, header::IF_MATCH).any(|tag| tag == "*") {
        return Expected::Any;
    }
    Expected::OneOf(elements(headers, header::IF_MATCH).filter_map(version).collect())
}

/// The version that an entity tag stands for. Tags are texts: `"05"` is none of ours.
fn version(tag: &str) -> Option<u64> {
    let text = tag.strip_prefix('"')?.strip_suffix('"')?;
    let version: u64 = text.parse().ok()?;
    (version.to_string() == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(values: &[&str]) -> Expected {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        expected(&headers)
    }

    #[test]
    fn if_match_is_read_as_http_says() {
        assert_eq!(said(&[]), Expected::Nothing);
        assert_eq!(said(&["*"]), Expected::Any);
        assert_eq!(said(&["\"3\""]), Expected::OneOf(vec![3]));
        assert_eq!(said(&["\"3\", \"4\"", "\"5\""]), Expected::OneOf(vec![3, 4, 5]));
        for nothing in ["W/\"3\"", "3", "\"x\"", "\"-1\"", "\"03\"", "\"+3\"", "\"a, *, b\"", ""] {
            assert_eq!(said(&[nothing]), Expected::OneOf(vec![]), "{nothing}");
        }
    }
}
