//! How MQTT clients sign in at an address where somebody guesses: who came through before does not wait again.
//!
//! A secret may be weak, and who may try one without delay, and many at once, guesses it. So a try that is wrong ends
//! the welcome, and the device itself waits once more: guessing gains one try for each time that the device signs in.

use super::{Claim, Gate};
use std::time::Instant;

impl Gate {
    /// Whether who signs in now is not held back, right or wrong: it came through at its address while others guessed.
    pub fn takes_welcome(&self, claim: &Claim<'_>) -> bool {
        let (named, now) = (self.named_by(claim), Instant::now());
        let name = claim.comer(named.as_deref()).name;
        name.is_some_and(|name| self.guard().take_welcome(claim.address, name, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Auth, Devices, Held, Refusal, TooMany};
    use std::net::{IpAddr, Ipv4Addr};
    use tempfile::TempDir;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    /// A gate that knows the device `d1`, and its secret.
    fn gate() -> (Gate, TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let add = |devices: &mut Devices| devices.add("d1".parse().unwrap(), None);
        let secret = Devices::edit(folder.path(), add).unwrap();
        (Gate::new(Auth::open(folder.path()).unwrap(), false, None), folder, secret)
    }

    fn claim<'a>(address: IpAddr, user: &'a str, secret: &'a str) -> Claim<'a> {
        Claim { address, user: Some(user), password: Some(secret.as_bytes()) }
    }

    async fn guess(gate: &Gate, user: &str, times: u32) {
        for _ in 0..times {
            let refused = gate.sign_in(&claim(HERE, user, "wrong")).await;
            assert_eq!(refused, Err(Refusal::Wrong));
        }
    }

    #[tokio::test]
    async fn behind_an_address_where_others_guess_a_device_waits_once_and_not_again() {
        let (gate, _folder, secret) = gate();
        let right = claim(HERE, "d1", &secret);
        guess(&gate, "somebody", 9).await;
        assert!(!gate.takes_welcome(&right), "it waits");
        gate.sign_in(&right).await.unwrap();
        for _ in 0..9 {
            assert!(gate.takes_welcome(&right));
            gate.sign_in(&right).await.unwrap();
            guess(&gate, "somebody", 1).await;
        }
        assert!(!gate.takes_welcome(&claim(THERE, "d1", &secret)), "it was not there");
    }

    #[tokio::test]
    async fn who_is_welcome_comes_in_however_many_of_the_address_are_held_back() {
        let (gate, _folder, secret) = gate();
        let right = claim(HERE, "d1", &secret);
        guess(&gate, "somebody", 9).await;
        gate.sign_in(&right).await.unwrap();
        let held: Vec<Held> =
            std::iter::from_fn(|| gate.comes(&claim(HERE, "somebody", "wrong")).ok()).collect();
        assert_eq!((held.len(), gate.comes(&right).unwrap_err()), (16, TooMany));
        assert!(gate.takes_welcome(&right));
    }

    #[tokio::test]
    async fn a_wrong_secret_ends_the_welcome_so_that_nobody_guesses_without_delay() {
        let (gate, _folder, secret) = gate();
        let (right, wrong) = (claim(HERE, "d1", &secret), claim(HERE, "d1", "wrong"));
        guess(&gate, "somebody", 9).await;
        gate.sign_in(&right).await.unwrap();
        assert!(gate.takes_welcome(&wrong));
        assert_eq!(gate.sign_in(&wrong).await, Err(Refusal::Wrong));
        assert!(!gate.takes_welcome(&right), "what comes next waits, right or wrong");
        assert!(!gate.comes(&right).unwrap().delay.is_zero());
        gate.sign_in(&right).await.unwrap();
        assert!(gate.takes_welcome(&right));
    }
}
