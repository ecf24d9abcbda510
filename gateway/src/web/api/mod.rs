//! `/api/v1`: devices, commands, alerts, the audit log.

mod alerts;
mod audit;
mod batches;
mod commands;
mod desired;
mod devices;
mod telemetry;
mod types;

pub(super) use commands::{cancel_command, create_command};

use super::{Route, Web, caller, problem::Refused, with_routes};
use axum::{
    Json, Router,
    extract::rejection::JsonRejection,
    http::Uri,
    middleware,
    routing::{get, post},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What takes a query.
pub(super) fn lists() -> Vec<Route> {
    vec![
        ("/devices", get(devices::list)),
        ("/devices/{id}/telemetry", get(telemetry::get)),
        ("/commands", get(commands::list)),
        ("/alerts", get(alerts::list)),
        ("/audit", get(audit::list)),
    ]
}

/// What takes none.
pub(super) fn routes() -> Vec<Route> {
    let device = get(devices::get).put(devices::put).patch(devices::patch).delete(devices::delete);
    vec![
        ("/devices/{id}", device),
        ("/devices/{id}/commands", post(commands::create)),
        ("/devices/{id}/desired", get(desired::get).put(desired::put)),
        ("/commands/{id}", get(commands::get)),
        ("/commands/{id}/cancel", post(commands::cancel)),
        ("/alerts/{id}/ack", post(alerts::acknowledge)),
        ("/alerts/{id}/clear", post(alerts::clear)),
        ("/command-batches", post(batches::create)),
        ("/command-batches/{id}", get(batches::get)),
        ("/command-batches/{id}/pause", post(batches::pause)),
        ("/command-batches/{id}/resume", post(batches::resume)),
        ("/command-batches/{id}/cancel", post(batches::cancel)),
        ("/device-types", get(types::list)),
        ("/session", get(caller::session).post(caller::sign_in).delete(caller::sign_out)),
    ]
}

pub(super) fn router() -> Router<Arc<Web>> {
    let router =
        with_routes(Router::new(), routes()).route_layer(middleware::from_fn(super::no_query));
    with_routes(router, lists()).fallback(unknown)
}

async fn unknown(uri: Uri) -> Refused {
    std::future::ready(super::unknown_path(&format!("{PREFIX}{}", uri.path()))).await
}

/// Where the API is.
pub(super) const PREFIX: &str = "/api/v1";

/// The rows of a page, unless told.
const PAGE_ROWS: usize = 100;

/// The most rows of a page.
const PAGE_ROWS_MAX: usize = 1_000;

fn page_rows(asked: Option<usize>) -> Result<usize, Refused> {
    match asked {
        None => Ok(PAGE_ROWS),
        Some(rows @ 1..=PAGE_ROWS_MAX) => Ok(rows),
        Some(rows) => Err(Refused::bad_query(format!("limit {rows} is not in 1-{PAGE_ROWS_MAX}"))),
    }
}

/// The body of a request, which is to be a JSON object.
pub(super) type Body = Result<Json<Map<String, Value>>, JsonRejection>;

/// Reads an object's members as `T`'s; serde alone would take an array for one.
pub(super) fn object<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let Json(members) = body?;
    serde_path_to_error::deserialize(Value::Object(members))
        .map_err(|error| Refused::bad_request(format!("the body is not valid: {error}")))
}

/// Reads a text of the path or query as `T`.
fn parse<T: std::str::FromStr<Err = E>, E: std::fmt::Display>(text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error: E| Refused::bad_request(error.to_string()))
}
