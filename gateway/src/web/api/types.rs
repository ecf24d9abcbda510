//! Types of devices over HTTP: which commands they take, for whoever builds a form.

use crate::web::{Web, problem::Refused};
use axum::{Json, extract::State};
use protocol::{DeviceType, Page};
use std::sync::Arc;

/// `GET /device-types`, all of them.
pub(super) async fn list(State(web): State<Arc<Web>>) -> Result<Json<Page<DeviceType>>, Refused> {
    let list = web.core.look(|bridge, _| bridge.types().iter().cloned().collect());
    Ok(Json(Page { items: list.await?, next: None }))
}
