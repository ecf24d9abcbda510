//! `/healthz`, `/readyz`, `/metrics`.

use super::{Web, problem::Refused};
use crate::metrics;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    std::future::ready("ok\n").await
}

/// The gateway takes work: it is not shutting down, the core answers, the store keeps what it is given.
pub(super) async fn readyz(State(web): State<Arc<Web>>) -> Result<&'static str, Refused> {
    if web.stopping.is_cancelled() {
        return Err(crate::core::Stopped.into());
    }
    web.core.ask(|_, _| ()).await?;
    web.check_store()?;
    Ok("ready\n")
}

/// Everything that is counted, as Prometheus reads it (OpenMetrics 1.0 text).
pub(super) async fn metrics(State(web): State<Arc<Web>>) -> Response {
    std::future::ready(match metrics::encode(&web.stats, &web.exchange, web.webhook.as_ref()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", error.to_string())
            .into_response(),
    })
    .await
}
