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

use super::{
    Route, Web,
    caller::{self, Caller},
    problem::Refused,
    with_routes,
};
use axum::{
    Json, Router,
    extract::{FromRequest, Request},
    http::Uri,
    middleware,
    routing::{get, post},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;
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

/// The body of a request, which is to be a JSON object of who may still ask once it is here.
pub(super) type Body = Result<Object, Refused>;

/// An object as it was written: a member that stands in it twice is still seen.
pub(super) struct Object(Box<RawValue>);

impl<'de> Deserialize<'de> for Object {
    /// Serde alone would take an array for an object.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(from)?;
        if text.get().starts_with('{') {
            return Ok(Self(text));
        }
        Err(D::Error::custom("it is another kind of value"))
    }
}

impl FromRequest<Arc<Web>> for Object {
    type Rejection = Refused;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, Refused> {
        let caller = request.extensions().get::<Caller>().cloned();
        let Json(object) = Json::from_request(request, web).await?;
        // It may have taken its time, and the token been revoked meanwhile.
        if let Some(Caller(user)) = caller {
            caller::check_again(web, &user)?;
        }
        Ok(object)
    }
}

/// Reads an object's members as `T`'s, as a message of a WebSocket is read.
pub(super) fn object<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let Object(text) = body?;
    protocol::read(text.get())
        .map_err(|why| Refused::bad_request(format!("the body is not valid: {why}")))
}

/// Reads a text of the path or query as `T`.
fn parse<T: std::str::FromStr<Err = E>, E: std::fmt::Display>(text: &str) -> Result<T, Refused> {
    text.parse().map_err(|error: E| Refused::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{ClientMessage, CommandRequest};

    fn body(text: &str) -> Body {
        let Json(object) = Json::from_bytes(text.as_bytes())?;
        Ok(object)
    }

    fn refused(text: &str) -> String {
        let read = object::<CommandRequest>(body(text));
        format!("{:?}", read.map(drop).expect_err(text))
    }

    #[test]
    fn a_command_is_read_as_a_message_of_a_websocket_is() {
        let whole = r#"{"name":"open","params":{"percent":40},"ttl_ms":3e4,"else":[{}]}"#;
        let request: CommandRequest = object(body(whole)).ok().unwrap();
        assert_eq!(
            (request.name.as_str(), request.ttl_ms.map(|ttl| ttl.0)),
            ("open", Some(30_000))
        );
        for (members, why) in [
            (r#""name":"open","name":"close""#, "duplicate field `name`"),
            (r#""name":"open","ttl_ms":-1"#, "ttl_ms: invalid value: integer `-1`, expected u64"),
            (
                r#""name":"open","expect":{"metric":"m","op":"==","op":"<","value":1}"#,
                "expect: duplicate field `op`",
            ),
        ] {
            let said = refused(&format!("{{{members}}}"));
            assert!(said.contains(&format!("the body is not valid: {why}")), "{said}");
            let message = format!(r#"{{"type":"command","device":"d",{members}}}"#);
            let said = ClientMessage::decode(&message).unwrap_err().to_string();
            assert_eq!(said, format!("the command is not valid: {why}"));
        }
    }

    #[test]
    fn what_is_no_object_is_refused_as_such() {
        for body in ["[\"open\"]", "7", "null", "\"open\""] {
            let said = refused(body);
            assert!(said.contains("the body is not a JSON object: it is another kind"), "{said}");
        }
        assert!(refused("{\"name\":").contains("the body is not JSON"));
    }
}
