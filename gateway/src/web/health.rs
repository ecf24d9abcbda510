//! `/healthz`, `/readyz`, `/metrics`.

use super::{Web, problem::Refused};
use crate::metrics::{self, Format};
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
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

/// Everything that is counted, as Prometheus reads it: plain, or as OpenMetrics where that is asked for.
pub(super) async fn metrics(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::wanted(&accept.collect::<Vec<_>>().join(","));
    let text = metrics::encode(format, &web.stats, &web.exchange, web.webhook.as_ref());
    std::future::ready(match text {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "metrics", error.to_string())
            .into_response(),
    })
    .await
}
