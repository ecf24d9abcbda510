//! The tokens that requests and WebSockets show: where they are found, and whose they are. The gate says how long
//! somebody is held back who guesses; here is the waiting.

use super::{Web, problem::Refused};
use crate::{
    auth::{Denied, Showing, TooMany, User},
    core::Stopped,
};
use axum::http::{HeaderMap, StatusCode, header};
use protocol::CloseCode;
use std::net::SocketAddr;
use tokio::time::sleep;

/// The cookie that carries a token.
pub(super) const COOKIE: &str = "sluice_session";

/// Where a request has its token.
#[derive(Debug)]
pub(super) enum Shown {
    /// In the `Authorization` header.
    Header(String),
    /// In the cookie.
    Cookie(String),
    Nothing,
}

/// Why a token lets nobody in, or not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotLetIn {
    /// It is nobody's.
    Denied,
    /// Too many of the address are held back already.
    TooMany,
    /// The gateway stopped while it was held back.
    Stopping,
}

/// Finds the token of a request.
pub(super) fn shown(headers: &HeaderMap) -> Shown {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let text = value.to_str().unwrap_or_default();
        let bearer = text.split_once(' ').filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        return Shown::Header(bearer.map_or("", |(_, token)| token.trim()).into());
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    match pairs.find(|(name, _)| *name == COOKIE) {
        Some((_, token)) => Shown::Cookie(token.into()),
        None => Shown::Nothing,
    }
}

/// Whose a token is that `peer` shows.
pub(super) async fn user_of(web: &Web, peer: SocketAddr, token: &str) -> Result<User, NotLetIn> {
    let showing = Showing { address: peer.ip(), token };
    let held = web.gate.shows(showing).map_err(|TooMany| {
        web.stats.web.refused_guessing.increment();
        NotLetIn::TooMany
    })?;
    if let Some(held) = &held {
        web.stats.web.sign_ins_delayed.increment();
        let waited = web.stopping.run_until_cancelled(sleep(held.delay)).await;
        waited.ok_or(NotLetIn::Stopping)?;
    }
    web.gate.user_of(showing).map_err(|(Denied::Unknown | Denied::Expired)| NotLetIn::Denied)
}

impl NotLetIn {
    /// What a WebSocket is closed with.
    pub(super) fn close_code(self) -> CloseCode {
        match self {
            Self::Denied => CloseCode::Unauthenticated,
            Self::TooMany => CloseCode::TooManyMessages,
            Self::Stopping => CloseCode::ShuttingDown,
        }
    }
}

impl From<NotLetIn> for Refused {
    fn from(why: NotLetIn) -> Self {
        match why {
            NotLetIn::Denied => unauthenticated(),
            NotLetIn::TooMany => {
                let detail = "too many sign-ins of your address are held back after wrong tokens: come back \
                              in a few seconds";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_sign_ins", detail)
            }
            NotLetIn::Stopping => Stopped.into(),
        }
    }
}

pub(super) fn unauthenticated() -> Refused {
    let detail = "a token is needed that is neither revoked nor expired: 'Authorization: Bearer TOKEN', \
                  as sluice-gateway token create prints it";
    Refused::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
}
