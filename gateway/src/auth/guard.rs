//! Against guessing secrets: who fails waits, and ever longer.
//!
//! Failures are counted by network address and by the name that was tried. A sign-in is held back before its
//! secret is looked at, at most for [`DELAY_MAX`], so the right secret comes through however often others guess.
//! Who came through at an address where others guess is welcome there, and is not held back again (see [`Way`]).
//! At the same time an address may have [`AT_ONCE_MAX`] sign-ins under way that take time; others are refused.
//! Of names hashes are kept: a peer chooses how long its name is.

use super::recent::Recent;
use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// So many failures cost nothing: people mistype.
const FREE: u32 = 3;

/// What the next one costs; each further one twice as much.
const DELAY_FIRST: Duration = Duration::from_millis(250);

/// What one costs at most: less than clients wait for a CONNACK.
const DELAY_MAX: Duration = Duration::from_secs(4);

/// Sign-ins of one address that may be under way.
const AT_ONCE_MAX: u32 = 16;

/// Somebody who wants to sign in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comer<'a> {
    pub(super) address: IpAddr,
    /// As whom, if that is said.
    pub(super) name: Option<&'a str>,
}

/// The failures of all. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    hasher: RandomState,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    failures: Recent<Key>,
    /// Who came through though the address or the name had failures.
    welcome: Recent<(Way, IpAddr, Name)>,
    /// Sign-ins that are held back or take time, by address.
    under_way: HashMap<IpAddr, u32>,
}

/// Where somebody signs in. Who comes through one way is not welcome the other: they have rules of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// With a token, each time anew. It is random, and may be looked at as often as it is shown.
    Http,
    /// With a secret that may be weak, once for a connection.
    Mqtt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Name(Name),
}

/// A name's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name(u64);

/// An address has too many sign-ins under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// A sign-in under way.
#[derive(Debug)]
pub struct Held {
    guard: Guard,
    address: IpAddr,
    /// How long it is to be held back before its secret is looked at.
    pub delay: Duration,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counted = self.guard.lock();
        if let Some(count) = counted.under_way.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counted.under_way.remove(&self.address);
            }
        }
    }
}

impl Guard {
    /// How long `comer` is to be held back.
    pub(super) fn delay(&self, comer: Comer<'_>, now: Instant) -> Duration {
        let keys = self.keys(comer);
        let counted = self.lock();
        keys.map(|key| delay(counted.failures.count(key, now))).max().unwrap_or_default()
    }

    /// Somebody wants to sign in.
    pub(super) fn comes(&self, comer: Comer<'_>, now: Instant) -> Result<Held, TooMany> {
        let (address, delay) = (counted_as(comer.address), self.delay(comer, now));
        let mut counted = self.lock();
        let under_way = counted.under_way.entry(address).or_default();
        if *under_way >= AT_ONCE_MAX {
            return Err(TooMany);
        }
        *under_way += 1;
        Ok(Held { guard: self.clone(), address, delay })
    }

    /// The secret was wrong.
    pub(super) fn failed(&self, comer: Comer<'_>, now: Instant) {
        let keys = self.keys(comer);
        let mut counted = self.lock();
        keys.for_each(|key| counted.failures.note(key, now));
    }

    /// The name is known to be in good hands. The address may have others behind it.
    fn succeeded(&self, name: &str) {
        let name = self.name(name);
        self.lock().failures.forget(Key::Name(name));
    }

    /// The secret of `name` was right: if others at `address` guess, or others guess it, it need not wait again.
    pub(super) fn came_through(&self, way: Way, address: IpAddr, name: &str, now: Instant) {
        if !self.delay(Comer { address, name: Some(name) }, now).is_zero() {
            let key = (way, counted_as(address), self.name(name));
            self.lock().welcome.note(key, now);
        }
        self.succeeded(name);
    }

    /// Whether `name` came through over HTTP at `address` while others guessed.
    pub(super) fn is_welcome(&self, address: IpAddr, name: &str, now: Instant) -> bool {
        let key = (Way::Http, counted_as(address), self.name(name));
        self.lock().welcome.count(key, now) > 0
    }

    /// Whether `name` came through over MQTT at `address` while others guessed. It is welcome no more until it comes
    /// through again: so a secret that is looked at without delay can be guessed once for each time that it is shown.
    pub(super) fn take_welcome(&self, address: IpAddr, name: &str, now: Instant) -> bool {
        let key = (Way::Mqtt, counted_as(address), self.name(name));
        let mut counted = self.lock();
        let is_welcome = counted.welcome.count(key, now) > 0;
        counted.welcome.forget(key);
        is_welcome
    }

    /// What its failures are counted by.
    fn keys(&self, comer: Comer<'_>) -> impl Iterator<Item = Key> + use<> {
        let name = comer.name.map(|name| Key::Name(self.name(name)));
        std::iter::once(Key::Address(counted_as(comer.address))).chain(name)
    }

    fn name(&self, name: &str) -> Name {
        Name(self.0.hasher.hash_one(name))
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What so many failures cost.
fn delay(failures: u32) -> Duration {
    let Some(more) = failures.checked_sub(FREE) else { return Duration::ZERO };
    let doubled = 1_u32.checked_shl(more).filter(|times| *times > 0);
    doubled.map_or(DELAY_MAX, |times| DELAY_FIRST.saturating_mul(times).min(DELAY_MAX))
}

/// Whoever has IPv6 has at least a /64 of addresses.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::recent::FORGET_AFTER;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn comer(address: IpAddr, name: &str) -> Comer<'_> {
        Comer { address, name: Some(name) }
    }

    fn delay(guard: &Guard, address: IpAddr, name: &str, now: Instant) -> u128 {
        guard.comes(comer(address, name), now).unwrap().delay.as_millis()
    }

    #[test]
    fn who_fails_again_and_again_waits_longer_and_longer_up_to_a_bound() {
        let (guard, now) = (Guard::default(), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..9 {
            delays.push(delay(&guard, HERE, "d1", now));
            guard.failed(comer(HERE, "d1"), now);
        }
        assert_eq!(delays, [0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 4_000]);
        for _ in 0..100 {
            guard.failed(comer(HERE, "d1"), now);
        }
        assert_eq!(delay(&guard, HERE, "d1", now), 4_000);
        assert_eq!(delay(&guard, HERE, "d1", now + FORGET_AFTER), 0);
    }

    #[test]
    fn an_address_waits_for_all_names_and_a_name_at_all_addresses() {
        let (guard, now) = (Guard::default(), Instant::now());
        for _ in 0..4 {
            guard.failed(comer(HERE, "d1"), now);
        }
        assert_eq!(delay(&guard, HERE, "d2", now), 500);
        assert_eq!(delay(&guard, THERE, "d1", now), 500);
        assert_eq!(delay(&guard, THERE, "d2", now), 0);
        guard.succeeded("d1");
        assert_eq!(delay(&guard, THERE, "d1", now), 0);
        assert_eq!(delay(&guard, HERE, "d1", now), 500);
    }

    #[test]
    fn who_names_nobody_is_counted_by_address_only() {
        let (guard, now) = (Guard::default(), Instant::now());
        let nameless = |address| Comer { address, name: None };
        for _ in 0..4 {
            guard.failed(nameless(HERE), now);
        }
        assert_eq!(guard.delay(nameless(HERE), now).as_millis(), 500);
        assert_eq!(guard.delay(nameless(THERE), now).as_millis(), 0);
    }

    #[test]
    fn who_came_through_while_others_guess_is_welcome_there_for_a_while() {
        let (guard, now) = (Guard::default(), Instant::now());
        guard.came_through(Way::Http, HERE, "anna", now);
        assert!(!guard.is_welcome(HERE, "anna", now), "nobody guesses, and nothing is kept");
        for _ in 0..FREE {
            guard.failed(Comer { address: HERE, name: None }, now);
        }
        guard.came_through(Way::Http, HERE, "anna", now);
        assert!(guard.is_welcome(HERE, "anna", now));
        assert!(!guard.is_welcome(THERE, "anna", now));
        assert!(!guard.is_welcome(HERE, "otto", now));
        assert!(!guard.is_welcome(HERE, "anna", now + FORGET_AFTER));
        assert!(!guard.take_welcome(HERE, "anna", now), "over MQTT it has to come through itself");
    }

    #[test]
    fn over_mqtt_a_welcome_is_for_one_time() {
        let (guard, now) = (Guard::default(), Instant::now());
        for _ in 0..FREE {
            guard.failed(Comer { address: HERE, name: None }, now);
        }
        assert!(!guard.take_welcome(HERE, "d1", now));
        guard.came_through(Way::Mqtt, HERE, "d1", now);
        assert!(!guard.take_welcome(THERE, "d1", now) && !guard.take_welcome(HERE, "d2", now));
        assert!(guard.take_welcome(HERE, "d1", now));
        assert!(!guard.take_welcome(HERE, "d1", now));
        guard.came_through(Way::Mqtt, HERE, "d1", now);
        assert!(!guard.take_welcome(HERE, "d1", now + FORGET_AFTER));
    }

    #[test]
    fn an_address_has_a_few_sign_ins_under_way_and_no_more() {
        let (guard, now) = (Guard::default(), Instant::now());
        let comes = |address| guard.comes(comer(address, "d1"), now);
        let mut held: Vec<Held> = (0..AT_ONCE_MAX).map(|_| comes(HERE).unwrap()).collect();
        assert_eq!(comes(HERE).unwrap_err(), TooMany);
        assert!(comes(THERE).is_ok());
        held.pop();
        assert!(comes(HERE).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| counted_as(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), HERE);
    }
}
