//! Who asks: the one place that decides whether a request may be made at all.
//!
//! The dashboard's files, health, the contracts, `/ws` (which asks itself), `/mqtt` without a token (where MQTT
//! asks) and signing in are open; to read needs a viewer, to change an operator. Whose a token is says `token`.

use super::{
    Web,
    api::{Body, object},
    problem::Refused,
    token::{COOKIE, Shown, shown, unauthenticated, user_of},
    who::Who,
};
use crate::auth::{Standing, User};
use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use protocol::{Role, Session, SignIn};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::time;

/// How often it is looked whether a token has expired whose request waits; of changes it is told.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The user who makes a request, on every path that is not open.
#[derive(Clone, Debug)]
pub(super) struct Caller(pub(super) User);

impl FromRequestParts<Arc<Web>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Web>) -> Result<Self, Refused> {
        std::future::ready(parts.extensions.get::<Self>().cloned().ok_or_else(unauthenticated))
            .await
    }
}

/// What a path needs.
fn need(method: &Method, path: &str) -> Option<Role> {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let open = matches!(path, "/ws" | "/healthz" | "/readyz" | "/openapi.json" | "/asyncapi.json");
    let closed = path.starts_with("/api/") || matches!(path, "/sse" | "/metrics" | "/mqtt");
    match path {
        "/api/v1/session" if !reads => None,
        _ if reads && (open || !closed) => None,
        _ if reads => Some(Role::Viewer),
        // What would become of a command anybody may ask who sees the device; giving it asks for more itself.
        _ if *method == Method::POST
            && path.starts_with("/api/v1/devices/")
            && path.ends_with("/commands") =>
        {
            Some(Role::Viewer)
        }
        _ => Some(Role::Operator),
    }
}

/// Lets a request in, and notes on it who makes it.
pub(super) async fn check(
    web: &Web,
    peer: SocketAddr,
    mut request: Request,
) -> Result<Request, Refused> {
    let Some(need) = need(request.method(), request.uri().path()) else { return Ok(request) };
    if signs_in_over_mqtt(web, &request) {
        return Ok(request);
    }
    match user(web, peer, request.headers()).await {
        Ok(user) if user.role >= need && is_hidden(request.uri().path(), &user) => {
            web.stats.web.refused_forbidden.increment();
            Err(Who::new(&user, None).out_of_sight("'gateway/stats'"))
        }
        Ok(user) if user.role >= need => {
            request.extensions_mut().insert(Caller(user));
            Ok(request)
        }
        Ok(user) => {
            web.stats.web.refused_forbidden.increment();
            Err(forbidden(&user, need))
        }
        Err(refused) => {
            count(web, &refused);
            Err(refused)
        }
    }
}

/// Whether the request becomes MQTT, and whoever sends it has still to say who that is.
fn signs_in_over_mqtt(web: &Web, request: &Request) -> bool {
    request.uri().path() == "/mqtt"
        && web.auth.is_required()
        && matches!(shown(request.headers()), Shown::Nothing)
}

/// Whether a path tells what is out of the user's sight: metrics are the gateway's figures.
fn is_hidden(path: &str, user: &User) -> bool {
    let stats = || "gateway/stats".parse().is_ok_and(|stats| user.rights.may_see(&stats));
    path == "/metrics" && !stats()
}

async fn user(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> Result<User, Refused> {
    match shown(headers) {
        Shown::Header(token) | Shown::Cookie(token) => Ok(user_of(web, peer, &token).await?),
        Shown::Nothing => web.auth.trusted().ok_or_else(unauthenticated),
    }
}

fn count(web: &Web, refused: &Refused) {
    if refused.status == StatusCode::UNAUTHORIZED {
        web.stats.web.refused_unauthenticated.increment();
    }
}

/// Refuses `user`, who was let in before, where that does not count any more.
pub(super) fn check_again(web: &Web, user: &User) -> Result<(), Refused> {
    match web.auth.standing(user) {
        Standing::Good => Ok(()),
        Standing::Ended => {
            web.stats.web.refused_unauthenticated.increment();
            Err(unauthenticated())
        }
        Standing::Changed => {
            web.stats.web.refused_forbidden.increment();
            let detail = format!("the token of '{}' allows something else now", user.name);
            Err(Refused::new(StatusCode::FORBIDDEN, "forbidden", detail))
        }
    }
}

/// Waits until `user`, whose request waits, may not go on as before; gives what is to be said of it.
pub(super) async fn sent_away(web: &Web, user: &User) -> Refused {
    let mut changes = web.auth.changes();
    loop {
        if let Err(refused) = check_again(web, user) {
            return refused;
        }
        let _told_or_time_to_look = time::timeout(LOOK_EVERY, changes.changed()).await;
    }
}

pub(super) fn forbidden(user: &User, need: Role) -> Refused {
    let detail = format!("'{}' is {}, and this needs {need}", user.name, user.role);
    Refused::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

/// `GET /session`: who is signed in.
pub(super) async fn session(Caller(user): Caller) -> Json<Session> {
    std::future::ready(Json(user.session())).await
}

/// `POST /session`: keeps a token in a cookie that no script can read.
pub(super) async fn sign_in(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    body: Body,
) -> Result<Response, Refused> {
    let SignIn { token } = object(body)?;
    let user = user_of(&web, peer, &token).await.map_err(Refused::from);
    let user = user.inspect_err(|refused| count(&web, refused))?;
    let cookie = if web.auth.is_required() { cookie(&web, &token) } else { None };
    let mut response = Json(user.session()).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `DELETE /session`: forgets the cookie.
pub(super) async fn sign_out(State(web): State<Arc<Web>>) -> Result<Response, Infallible> {
    let gone = format!("{COOKIE}=; {}; Max-Age=0", attributes(&web));
    std::future::ready(Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response()))
        .await
}

/// A token that was accepted has no character that a cookie cannot have.
fn cookie(web: &Web, token: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{COOKIE}={token}; {}", attributes(web))).ok()
}

/// Which cookies a browser sends where: never to scripts, to other sites' pages, or past TLS.
fn attributes(web: &Web) -> &'static str {
    if web.secure {
        "Path=/; HttpOnly; SameSite=Strict; Secure"
    } else {
        "Path=/; HttpOnly; SameSite=Strict"
    }
}
