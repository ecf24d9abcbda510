//! `/api/v1`: devices and commands.

mod commands;
mod devices;

pub(super) use commands::{cancel_command, create_command};

use super::{Web, problem::Refused};
use axum::{
    Router,
    http::Uri,
    routing::{get, post},
};
use std::sync::Arc;

pub(super) fn router() -> Router<Arc<Web>> {
    Router::new()
        .route("/devices", get(devices::list))
        .route(
            "/devices/{id}",
            get(devices::get).put(devices::put).patch(devices::patch).delete(devices::delete),
        )
        .route("/devices/{id}/commands", post(commands::create))
        .route("/commands", get(commands::list))
        .route("/commands/{id}", get(commands::get))
        .route("/commands/{id}/cancel", post(commands::cancel))
        .fallback(unknown)
}

async fn unknown(uri: Uri) -> Refused {
    std::future::ready(super::unknown_path(&uri)).await
}

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

/// Reads a text of the path or query as `T`.
fn parse<T: std::str::FromStr<Err = E>, E: std::fmt::Display>(text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error: E| Refused::bad_request(error.to_string()))
}
