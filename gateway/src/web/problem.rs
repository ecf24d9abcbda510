//! Errors of the HTTP API: `application/problem+json` (RFC 9457) with a `code`.

use super::{guests::TooMany, serving};
use crate::{
    core::{Stopped, Unanswered},
    store::{NotStored, ReadError},
};
use axum::{
    Json,
    extract::{
        rejection::{JsonRejection, PathRejection},
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bridge::{
    alerts::AlertError,
    bridge::CommandError,
    command::book::{BatchError, CancelError, CreateError},
    devices::TooManyDevices,
    shadow::DesireError,
};

/// A refusal: status, code for programs, detail for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub(super) fn bad_query(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_query", detail)
    }

    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = protocol::Problem {
            status: self.status.as_u16(),
            title: self.status.canonical_reason().unwrap_or_default().into(),
            detail: self.detail,
            code: self.code.into(),
        };
        let mut response = (self.status, Json(problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        for (name, value) in way_out(self.status) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The headers that say what to ask with instead (RFC 9110, section 11.6.1; RFC 6455, section 4.4).
fn way_out(status: StatusCode) -> &'static [(HeaderName, &'static str)] {
    match status {
        StatusCode::UNAUTHORIZED => &[(header::WWW_AUTHENTICATE, "Bearer realm=\"sluice\"")],
        StatusCode::UPGRADE_REQUIRED => &[
            (header::UPGRADE, "websocket"),
            (header::CONNECTION, "upgrade"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
        ],
        _ => &[],
    }
}

impl From<TooMany> for Refused {
    fn from(error: TooMany) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_connections", error.to_string())
    }
}

impl From<Stopped> for Refused {
    fn from(stopped: Stopped) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", stopped.to_string())
    }
}

impl From<NotStored> for Refused {
    fn from(error: NotStored) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", error.to_string())
    }
}

impl From<Unanswered> for Refused {
    fn from(error: Unanswered) -> Self {
        match error {
            Unanswered::Stopped(stopped) => stopped.into(),
            Unanswered::NotStored(not_stored) => not_stored.into(),
        }
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        let code = match error {
            ReadError::Gone => return Self::new(StatusCode::GONE, "gone", error.to_string()),
            ReadError::Damaged { .. } => "store_damaged",
            ReadError::Busy => "store_busy",
            ReadError::Closed => "shutting_down",
            ReadError::Failed(_) => "store_unavailable",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string())
    }
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        let detail = error.to_string();
        match error {
            CommandError::UnknownDevice(_) => Self::not_found("unknown_device", detail),
            CommandError::Refused(CreateError::Invalid(_)) => Self::bad_request(detail),
            CommandError::Refused(CreateError::BadParams(_)) => {
                Self::new(StatusCode::BAD_REQUEST, "bad_params", detail)
            }
            CommandError::Refused(CreateError::TooManyBatches(_)) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_batches", detail)
            }
            CommandError::Refused(CreateError::TooMany { .. }) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_commands", detail)
            }
            CommandError::Refused(CreateError::KeyReused(_)) => {
                Self::new(StatusCode::CONFLICT, "idempotency_key_reused", detail)
            }
        }
    }
}

impl From<CancelError> for Refused {
    fn from(error: CancelError) -> Self {
        let detail = error.to_string();
        match error {
            CancelError::Unknown(_) => Self::not_found("unknown_command", detail),
            CancelError::AlreadyFinal(..) => {
                Self::new(StatusCode::CONFLICT, "already_final", detail)
            }
            CancelError::DeviceCannotCancel(_) => {
                Self::new(StatusCode::CONFLICT, "device_cannot_cancel", detail)
            }
        }
    }
}

impl From<AlertError> for Refused {
    fn from(error: AlertError) -> Self {
        let detail = error.to_string();
        match error {
            AlertError::Unknown(_) => Self::not_found("unknown_alert", detail),
            AlertError::AlreadyCleared(_) => {
                Self::new(StatusCode::CONFLICT, "already_cleared", detail)
            }
        }
    }
}

impl From<BatchError> for Refused {
    fn from(error: BatchError) -> Self {
        let detail = error.to_string();
        match error {
            BatchError::Unknown(_) => Self::not_found("unknown_batch", detail),
            BatchError::AlreadyFinal(..) => {
                Self::new(StatusCode::CONFLICT, "already_final", detail)
            }
        }
    }
}

impl From<DesireError> for Refused {
    fn from(error: DesireError) -> Self {
        let detail = error.to_string();
        let (status, code) = match error {
            DesireError::Required { .. } => {
                (StatusCode::PRECONDITION_REQUIRED, "precondition_required")
            }
            DesireError::Changed { .. } => (StatusCode::PRECONDITION_FAILED, "precondition_failed"),
            DesireError::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "desired_too_large"),
        };
        Self::new(status, code, detail)
    }
}

impl From<TooManyDevices> for Refused {
    fn from(error: TooManyDevices) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_devices", error.to_string())
    }
}

impl From<JsonRejection> for Refused {
    fn from(rejection: JsonRejection) -> Self {
        if is_because_of::<Stopped>(&rejection) {
            return Stopped.into();
        }
        if is_because_of::<serving::BodyTooSlow>(&rejection) {
            let detail = serving::BodyTooSlow.to_string();
            return Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail);
        }
        Self::new(rejection.status(), "bad_request", what_is_wrong(&rejection))
    }
}

/// What is wrong with a body, and what to do about it.
fn what_is_wrong(rejection: &JsonRejection) -> String {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return "the body is longer than limits.http_body_bytes: send less, or raise that".into();
    }
    let said = rejection.body_text();
    let why = said.split_once(": ").map_or(said.as_str(), |(_, why)| why);
    match rejection {
        JsonRejection::JsonDataError(_) => {
            let why = why.rsplit_once(" at line ").map_or(why, |(what, _place)| what);
            format!("the body is not a JSON object: {why}")
        }
        JsonRejection::JsonSyntaxError(_) => format!("the body is not JSON: {why}"),
        JsonRejection::MissingJsonContentType(_) => {
            "the body is not said to be JSON: send it with Content-Type: application/json".into()
        }
        JsonRejection::BytesRejection(_) | _ => said,
    }
}

fn is_because_of<E: std::error::Error + 'static>(rejection: &JsonRejection) -> bool {
    let mut error: Option<&(dyn std::error::Error + 'static)> = Some(rejection);
    while let Some(inner) = error {
        if inner.is::<E>() {
            return true;
        }
        error = inner.source();
    }
    false
}

impl From<WebSocketUpgradeRejection> for Refused {
    fn from(rejection: WebSocketUpgradeRejection) -> Self {
        // Without a key it says that it is a handshake of ours, and is none.
        let keyless = matches!(rejection, WebSocketUpgradeRejection::WebSocketKeyHeaderMissing(_));
        let status = if keyless { StatusCode::BAD_REQUEST } else { StatusCode::UPGRADE_REQUIRED };
        let detail = format!("this is no WebSocket handshake: {}", rejection.body_text());
        Self::new(status, "websocket_only", detail)
    }
}

impl From<PathRejection> for Refused {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}
