//! Whether the user of a connection may go on: what becomes of it when its token ends, changes or is renewed.

use super::{super::token::user_of, closing::End, connection::Connection};
use crate::auth::{Standing, User};
use protocol::CloseCode;

impl Connection {
    /// Ends the connection of a user who may not go on as before.
    pub(super) fn check_standing(&self) -> Result<(), End> {
        match self.web.auth.standing(&self.user) {
            Standing::Good => Ok(()),
            Standing::Ended => Err(End::Close(CloseCode::Unauthenticated)),
            Standing::Changed => Err(End::Close(CloseCode::Forbidden)),
        }
    }

    /// A `hello` where the user is known: another token of the same user that allows the same takes the
    /// place of the first.
    pub(super) async fn renew(&mut self, token: Option<&str>) -> Result<(), End> {
        let Some(token) = token else { return Ok(()) };
        let renewed = user_of(&self.web, self.peer, token).await;
        let user = renewed.map_err(|why| End::Close(why.close_code()))?;
        let allowed = |user: &User| (user.name.clone(), user.role, user.rights.clone());
        if allowed(&user) != allowed(&self.user) {
            return Err(End::Close(CloseCode::Forbidden));
        }
        self.stay(user).await
    }

    /// Goes on with `user`, who may be counted for another token.
    pub(super) async fn stay(&mut self, user: User) -> Result<(), End> {
        self.guest.renew(&user).map_err(|_too_many| End::Close(CloseCode::OverLimit))?;
        let (id, account) = (self.id, user.token().cloned());
        self.user = user;
        let moved = self.web.core.ask(move |bridge, _| bridge.hub.move_to(id, account)).await;
        moved.map_err(|_stopped| End::Close(CloseCode::ShuttingDown))
    }
}
