//! What MQTT clients say in their CONNECT to sign in.

use super::{guard::Comer, tokens};
use std::net::IpAddr;

/// What a client says in its CONNECT.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// Where it comes from.
    pub address: IpAddr,
    /// The user name.
    pub user: Option<&'a str>,
    /// The password.
    pub password: Option<&'a [u8]>,
}

impl<'a> Claim<'a> {
    /// Whether it says who the client is, right or wrong.
    pub(super) fn says_something(&self) -> bool {
        self.user().is_some() || self.password.is_some()
    }

    pub(super) fn user(&self) -> Option<&'a str> {
        self.user.filter(|user| !user.is_empty())
    }

    /// The password, where it is a user's token.
    pub(super) fn token(&self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.password?).ok();
        text.filter(|text| text.starts_with(tokens::PREFIX))
    }

    /// By what its failures are counted; `named`: by a token.
    pub(super) fn comer(&self, named: Option<&'a str>) -> Comer<'a> {
        Comer { address: self.address, name: self.user().or(named) }
    }
}

impl std::fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("address", &self.address).field("user", &self.user).finish()
    }
}
