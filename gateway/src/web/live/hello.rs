//! Who is on a WebSocket: known from the handshake, or said in a `hello` within five seconds.

use super::super::{
    Web,
    guests::Guest,
    problem::Refused,
    token::{NotLetIn, Shown, shown, user_of},
};
use super::closing::{CLOSE_WITHIN, breach, say_goodbye};
use crate::auth::User;
use axum::{
    extract::ws::{Message, WebSocket},
    http::HeaderMap,
};
use futures_util::StreamExt;
use protocol::{ClientMessage, CloseCode, DecodeError, RequestId};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a client may take to say its token.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// What a handshake says of its user.
#[derive(Debug)]
pub(super) enum Visitor {
    Known(User),
    /// To say a token.
    Unknown,
    /// Its cookie does not let it in. A page cannot read a refused handshake; so it is told by a close code.
    Refused(NotLetIn),
}

impl Visitor {
    /// Reads the handshake.
    pub(super) async fn new(
        web: &Web,
        peer: SocketAddr,
        headers: &HeaderMap,
    ) -> Result<Self, Refused> {
        match shown(headers) {
            Shown::Nothing => Ok(web.auth.trusted().map_or(Self::Unknown, Self::Known)),
            Shown::Cookie(token) => {
                Ok(user_of(web, peer, &token).await.map_or_else(Self::Refused, Self::Known))
            }
            Shown::Header(token) => {
                let user = user_of(web, peer, &token).await;
                Ok(Self::Known(user.inspect_err(|why| count(web, why.close_code()))?))
            }
        }
    }

    /// Gives the user and the mark of the hello that said the token, or closes: none.
    pub(super) async fn admit(
        self,
        web: &Arc<Web>,
        peer: SocketAddr,
        socket: &mut WebSocket,
    ) -> Option<((User, Guest), Option<RequestId>)> {
        let user = match self {
            Self::Known(user) => Ok((user, None)),
            Self::Refused(why) => Err(Some(why.close_code())),
            Self::Unknown => says_token(web, peer, socket).await,
        };
        let entered = user.and_then(|(user, mark)| match Guest::enter(web, &user, &web.farewell) {
            Ok(guest) => Ok(((user, guest), mark)),
            Err(_too_many) => Err(Some(CloseCode::OverLimit)),
        });
        let code = match entered {
            Ok(entered) => return Some(entered),
            Err(code) => code?,
        };
        count(web, code);
        let (mut writer, mut reader) = socket.split();
        let farewell = say_goodbye(&mut writer, &mut reader, code, code.reason().into());
        let _whether_or_not = timeout(CLOSE_WITHIN, farewell).await;
        None
    }
}

fn count(web: &Web, code: CloseCode) {
    let counters = &web.stats.web;
    if code == CloseCode::Unauthenticated {
        counters.refused_unauthenticated.increment();
    } else if matches!(code, CloseCode::Malformed | CloseCode::MessageTooBig) {
        counters.closed_malformed.increment();
    }
}

/// Waits for a token, and says whose it is; the error is what to close with, none: the client has gone.
async fn says_token(
    web: &Web,
    peer: SocketAddr,
    socket: &mut WebSocket,
) -> Result<(User, Option<RequestId>), Option<CloseCode>> {
    let said = timeout(HELLO_WITHIN, hello(socket));
    let said = web.stopping.run_until_cancelled(said).await;
    let said = said.ok_or(Some(CloseCode::ShuttingDown))?;
    let (mark, token) = said.unwrap_or(Err(Some(CloseCode::Unauthenticated)))?;
    let user = user_of(web, peer, &token).await.map_err(|why| Some(why.close_code()))?;
    Ok((user, mark))
}

/// Waits for the token, and the mark of the message that says it.
async fn hello(socket: &mut WebSocket) -> Result<(Option<RequestId>, String), Option<CloseCode>> {
    loop {
        let text = match socket.recv().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(Some(CloseCode::Malformed)),
            Some(Err(error)) => return Err(breach(&error)),
            Some(Ok(Message::Close(_))) | None => return Err(None),
        };
        return match ClientMessage::decode(&text) {
            Ok((mark, ClientMessage::Hello { token: Some(token) })) => Ok((mark, token)),
            Ok(_) | Err(DecodeError::Refused { .. }) => Err(Some(CloseCode::Unauthenticated)),
            Err(DecodeError::NotAnObject) => Err(Some(CloseCode::Malformed)),
        };
    }
}
