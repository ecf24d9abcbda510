//! How users sign in by a token over HTTP and WebSockets: at the same gate as MQTT clients, with the same delays.
//!
//! A request shows its token each time. So who has the right one, and came through before, does not wait again for
//! what others at the same address do; all else is held back before it is looked at, right or wrong.

use super::{
    Denied, Gate, User,
    guard::{Comer, Held, TooMany, Way},
};
use std::{net::IpAddr, time::Instant};

/// Somebody shows a token.
#[derive(Clone, Copy)]
pub struct Showing<'a> {
    /// Where it comes from.
    pub address: IpAddr,
    /// What is shown.
    pub token: &'a str,
}

impl Gate {
    /// Whether somebody who shows a token has to wait before it is looked at; none: not at all.
    ///
    /// # Errors
    /// When too many others at the address wait already.
    pub fn shows(&self, showing: Showing<'_>) -> Result<Option<Held>, TooMany> {
        let (Showing { address, token }, now) = (showing, Instant::now());
        // As far as is known: whether the file has changed meanwhile is looked at with the token.
        if self.auth().tokens().is_none() {
            return Ok(None);
        }
        let name = self.auth().named_by(token);
        let comer = Comer { address, name: name.as_deref() };
        if self.guard().delay(comer, now).is_zero() || self.is_welcome(showing, now) {
            return Ok(None);
        }
        self.hold(comer).map(Some)
    }

    fn is_welcome(&self, Showing { address, token }: Showing<'_>, now: Instant) -> bool {
        let user = self.auth().user_of(token);
        user.is_ok_and(|user| self.guard().is_welcome(address, &user.name, now))
    }

    /// Whose token is shown, once the time of [`Self::shows`] is over; failures count.
    ///
    /// # Errors
    /// When it is nobody's.
    pub fn user_of(&self, showing: Showing<'_>) -> Result<User, Denied> {
        let (Showing { address, token }, now) = (showing, Instant::now());
        let user = self.auth().user_of(token);
        match &user {
            Ok(user) if user.is_local() => {}
            Ok(user) => self.guard().came_through(Way::Http, address, &user.name, now),
            Err(Denied::Unknown) => {
                let name = self.auth().named_by(token);
                self.guard().failed(Comer { address, name: name.as_deref() }, now);
            }
            // It was right once: nobody guesses those.
            Err(Denied::Expired) => {}
        }
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Auth, Grant, Tokens};
    use protocol::Timestamp;
    use tempfile::TempDir;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn gate() -> (Gate, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::new(Auth::open(folder.path()).unwrap(), false, None);
        (gate, folder)
    }

    fn token(folder: &TempDir, expires_at: Option<Timestamp>) -> String {
        let grant = Grant { expires_at, ..Grant::default() };
        Tokens::edit(folder.path(), |tokens| tokens.add("anna", grant)).unwrap()
    }

    fn fail(gate: &Gate, address: IpAddr, token: &str) {
        for _ in 0..4 {
            assert_eq!(gate.user_of(Showing { address, token }), Err(Denied::Unknown));
        }
    }

    fn waits(gate: &Gate, address: IpAddr, token: &str) -> bool {
        gate.shows(Showing { address, token }).unwrap().is_some()
    }

    #[test]
    fn where_others_guess_the_right_token_waits_once_and_then_not_again() {
        let (gate, folder) = gate();
        let right = token(&folder, None);
        fail(&gate, HERE, "slt_wrong");
        assert!(waits(&gate, HERE, &right) && !waits(&gate, THERE, &right));
        assert!(gate.user_of(Showing { address: HERE, token: &right }).is_ok());
        assert!(!waits(&gate, HERE, &right));
        assert!(waits(&gate, HERE, "slt_wrong"), "who guesses waits still");
    }

    #[test]
    fn who_is_welcome_comes_in_however_many_of_the_address_are_held_back() {
        let (gate, folder) = gate();
        let right = token(&folder, None);
        fail(&gate, HERE, "slt_wrong");
        gate.user_of(Showing { address: HERE, token: &right }).unwrap();
        let showing = Showing { address: HERE, token: "slt_wrong" };
        let mut held = Vec::new();
        while let Ok(one_more) = gate.shows(showing) {
            held.push(one_more.unwrap());
        }
        assert_eq!(held.len(), 16);
        assert!(!waits(&gate, HERE, &right));
    }

    #[test]
    fn who_guesses_the_secret_of_a_token_is_counted_by_its_user_at_all_addresses() {
        let (gate, folder) = gate();
        let right = token(&folder, None);
        fail(&gate, HERE, &format!("{right}x"));
        assert!(waits(&gate, THERE, &right) && !waits(&gate, THERE, "slt_wrong"));
        let names = gate.take_guesses().names;
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["anna"]);
    }

    #[test]
    fn a_token_that_has_expired_is_no_guess() {
        let (gate, folder) = gate();
        let expired = token(&folder, Some(Timestamp(1)));
        for _ in 0..9 {
            let showing = Showing { address: HERE, token: &expired };
            assert_eq!(gate.user_of(showing), Err(Denied::Expired));
        }
        assert!(!waits(&gate, HERE, "slt_wrong"));
    }

    #[test]
    fn while_everybody_is_trusted_nobody_waits() {
        let (gate, _folder) = gate();
        let showing = Showing { address: HERE, token: "slt_wrong" };
        assert!((0..9).all(|_| gate.user_of(showing).is_ok()));
        assert!(!waits(&gate, HERE, "slt_wrong"));
    }
}
