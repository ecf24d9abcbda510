//! Who is here: the WebSockets and other lasting connections with their users. Bounds what one token may have
//! and send in all, and tells connections when what their token allows may have changed.

use super::Web;
use crate::auth::{Standing, User};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What allowances are for.
const SECOND: Duration = Duration::from_secs(1);

/// Bounds for each token.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenLimits {
    pub(super) connections: u32,
    pub(super) messages_per_s: u32,
}

/// All who are here.
#[derive(Debug)]
pub(super) struct Guests {
    limits: TokenLimits,
    here: Mutex<Here>,
}

#[derive(Debug, Default)]
struct Here {
    next: u64,
    connections: HashMap<u64, (User, CancellationToken)>,
    accounts: HashMap<Arc<str>, Account>,
}

/// What one token has.
#[derive(Debug)]
struct Account {
    connections: u32,
    second: Instant,
    messages: u32,
}

/// The token has as many connections as it may.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "no more than {0} connections with one token: close some or raise limits.token_connections"
)]
pub(super) struct TooMany(u32);

impl Guests {
    pub(super) fn new(limits: TokenLimits) -> Self {
        Self { limits, here: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who may not go on as before, whenever the credentials change, until the farewell.
    pub(super) async fn follow(&self, web: &Web) {
        let mut changes = web.auth.changes();
        loop {
            tokio::select! {
                () = web.farewell.cancelled() => return,
                Ok(()) = changes.changed() => {}
                else => return,
            }
            let here = self.lock();
            let told = here.connections.values();
            told.filter(|(user, _)| web.auth.standing(user) != Standing::Good)
                .for_each(|(_, interrupt)| interrupt.cancel());
        }
    }
}

impl Here {
    fn count(&mut self, user: &User, limits: TokenLimits) -> Result<(), TooMany> {
        let Some(token) = user.token() else { return Ok(()) };
        let account = self.accounts.entry(Arc::clone(token)).or_insert_with(|| Account {
            connections: 0,
            second: Instant::now(),
            messages: 0,
        });
        if account.connections >= limits.connections {
            return Err(TooMany(limits.connections));
        }
        account.connections += 1;
        Ok(())
    }

    /// Has a connection go on with another user, or the same: one token has one place for it.
    fn renew(
        &mut self,
        number: u64,
        renewed: (User, CancellationToken),
        limits: TokenLimits,
    ) -> Result<(), TooMany> {
        let before = self.connections.get(&number).map(|(user, _)| user.clone());
        if before.as_ref().map(User::token) != Some(renewed.0.token()) {
            self.count(&renewed.0, limits)?;
            before.inspect(|user| self.uncount(user));
        }
        self.connections.insert(number, renewed);
        Ok(())
    }

    fn uncount(&mut self, user: &User) {
        let Some(token) = user.token() else { return };
        if let Some(account) = self.accounts.get_mut(token) {
            account.connections -= 1;
            if account.connections == 0 {
                self.accounts.remove(token);
            }
        }
    }
}

/// One who is here, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    web: Arc<Web>,
    number: u64,
    /// Fires when it is time to go, or when the user may not go on as before.
    pub(super) interrupt: CancellationToken,
}

impl Guest {
    /// Lets `user` in until `end` fires.
    ///
    /// # Errors
    /// [`TooMany`], which is counted.
    pub(super) fn enter(
        web: &Arc<Web>,
        user: &User,
        end: &CancellationToken,
    ) -> Result<Self, TooMany> {
        let interrupt = end.child_token();
        let mut here = web.guests.lock();
        if let Err(too_many) = here.count(user, web.guests.limits) {
            web.stats.web.refused_token_connections.increment();
            return Err(too_many);
        }
        here.next += 1;
        let number = here.next;
        here.connections.insert(number, (user.clone(), interrupt.clone()));
        Ok(Self { web: Arc::clone(web), number, interrupt })
    }

    /// The connection goes on with `user`.
    ///
    /// # Errors
    /// [`TooMany`], which is counted; it is as before then.
    pub(super) fn renew(&mut self, user: &User) -> Result<(), TooMany> {
        let interrupt = self.web.farewell.child_token();
        let renewed = (user.clone(), interrupt.clone());
        self.web
            .guests
            .lock()
            .renew(self.number, renewed, self.web.guests.limits)
            .inspect_err(|_too_many| self.web.stats.web.refused_token_connections.increment())?;
        self.interrupt = interrupt;
        Ok(())
    }

    /// Takes a message from the token's allowance; false where that is used up.
    pub(super) fn may_send(&self, user: &User) -> bool {
        let Some(token) = user.token() else { return true };
        let mut here = self.web.guests.lock();
        let Some(account) = here.accounts.get_mut(token) else { return true };
        let now = Instant::now();
        if now.duration_since(account.second) >= SECOND {
            (account.second, account.messages) = (now, 0);
        }
        account.messages += 1;
        account.messages <= self.web.guests.limits.messages_per_s
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut here = self.web.guests.lock();
        if let Some((user, _)) = here.connections.remove(&self.number) {
            here.uncount(&user);
        }
    }
}
