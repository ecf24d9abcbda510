//! Who is on a WebSocket: known from the handshake, or said in a `hello` within five seconds.

use super::super::{
    Web,
    caller::{Shown, shown, unauthenticated},
    guests::Guest,
    problem::Refused,
};
use super::closing::{CLOSE_WITHIN, breach, say_goodbye};
use crate::auth::{Denied, User};
use axum::{
    extract::ws::{Message, WebSocket},
    http::HeaderMap,
};
use futures_util::StreamExt;
use protocol::{ClientMessage, CloseCode, DecodeError};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a client may take to say its token.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// What a handshake says of its user.
#[derive(Debug)]
pub(super) enum Visitor {
    Known(User),
    /// To say a token.
    Unknown,
    /// Its cookie does not count any more. A page cannot read a refused handshake; so it is told by a
    /// close code.
    Stale,
}

impl Visitor {
    /// Reads the handshake.
    pub(super) fn new(web: &Web, headers: &HeaderMap) -> Result<Self, Refused> {
        match shown(headers) {
            Shown::Nothing => Ok(web.auth.trusted().map_or(Self::Unknown, Self::Known)),
            Shown::Cookie(token) => Ok(web.auth.user_of(&token).map_or(Self::Stale, Self::Known)),
            Shown::Header(token) => match web.auth.user_of(&token) {
                Ok(user) => Ok(Self::Known(user)),
                Err(Denied) => {
                    web.stats.web.refused_unauthenticated.increment();
                    Err(unauthenticated())
                }
            },
        }
    }

    /// Gives the user, or closes: none.
    pub(super) async fn admit(
        self,
        web: &Arc<Web>,
        socket: &mut WebSocket,
    ) -> Option<(User, Guest)> {
        let user = match self {
            Self::Known(user) => Ok(user),
            Self::Stale => Err(Some(CloseCode::Unauthenticated)),
            Self::Unknown => hello_soon(web, socket).await,
        };
        let entered = user.and_then(|user| match Guest::enter(web, &user) {
            Ok(guest) => Ok((user, guest)),
            Err(_too_many) => Err(Some(CloseCode::OverLimit)),
        });
        let code = match entered {
            Ok(guest) => return Some(guest),
            Err(code) => code?,
        };
        let counters = &web.stats.web;
        if code == CloseCode::Unauthenticated {
            counters.refused_unauthenticated.increment();
        } else if matches!(code, CloseCode::Malformed | CloseCode::MessageTooBig) {
            counters.closed_malformed.increment();
        }
        let (mut writer, mut reader) = socket.split();
        let farewell = say_goodbye(&mut writer, &mut reader, code, code.reason().into());
        let _whether_or_not = timeout(CLOSE_WITHIN, farewell).await;
        None
    }
}

async fn hello_soon(web: &Web, socket: &mut WebSocket) -> Result<User, Option<CloseCode>> {
    tokio::select! {
        said = timeout(HELLO_WITHIN, hello(web, socket)) => {
            said.unwrap_or(Err(Some(CloseCode::Unauthenticated)))
        }
        () = web.stopping.cancelled() => Err(Some(CloseCode::ShuttingDown)),
    }
}

/// Waits for the token; the error is what to close with, none: the client has gone.
async fn hello(web: &Web, socket: &mut WebSocket) -> Result<User, Option<CloseCode>> {
    loop {
        let text = match socket.recv().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(Some(CloseCode::Malformed)),
            Some(Err(error)) => return Err(breach(&error)),
            Some(Ok(Message::Close(_))) | None => return Err(None),
        };
        return match ClientMessage::decode(&text) {
            Ok((_, ClientMessage::Hello { token: Some(token) })) => {
                web.auth.user_of(&token).map_err(|Denied| Some(CloseCode::Unauthenticated))
            }
            Ok(_) | Err(DecodeError::Refused { .. }) => Err(Some(CloseCode::Unauthenticated)),
            Err(DecodeError::NotAnObject) => Err(Some(CloseCode::Malformed)),
        };
    }
}
