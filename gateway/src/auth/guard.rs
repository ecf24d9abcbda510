//! Against guessing secrets: who fails waits, and ever longer.
//!
//! Failures are counted by network address and by the name that was tried. A sign-in is held back before its
//! secret is looked at, at most for [`DELAY_MAX`], so the right secret comes through however often others guess.
//! At the same time an address may have [`AT_ONCE_MAX`] sign-ins under way that take time; others are refused.

use std::{
    collections::HashMap,
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

/// After so long a time without a failure all are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(300);

/// Of how many addresses and names failures are counted; beyond, the one that failed longest ago is forgotten.
const COUNTED_MAX: usize = 10_000;

/// Sign-ins of one address that may be under way.
const AT_ONCE_MAX: u32 = 16;

/// The failures of all. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Guard(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    failures: HashMap<Key, Failures>,
    /// Sign-ins that are held back or take time, by address.
    under_way: HashMap<IpAddr, u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Name(Box<str>),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

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
    /// Somebody at `address` wants to sign in as `name`.
    pub(super) fn comes(&self, address: IpAddr, name: &str, now: Instant) -> Result<Held, TooMany> {
        let address = counted_as(address);
        let mut counted = self.lock();
        let keys = [Key::Address(address), Key::Name(name.into())];
        let delays = keys.iter().filter_map(|key| counted.failures.get(key));
        let delay = delays.map(|failures| failures.delay(now)).max().unwrap_or_default();
        let under_way = counted.under_way.entry(address).or_default();
        if *under_way >= AT_ONCE_MAX {
            return Err(TooMany);
        }
        *under_way += 1;
        Ok(Held { guard: self.clone(), address, delay })
    }

    /// The secret was wrong.
    pub(super) fn failed(&self, address: IpAddr, name: &str, now: Instant) {
        let mut counted = self.lock();
        for key in [Key::Address(counted_as(address)), Key::Name(name.into())] {
            counted.fail(key, now);
        }
    }

    /// The secret was right: the name is known to be in good hands. The address may have others behind it.
    pub(super) fn succeeded(&self, name: &str) {
        self.lock().failures.remove(&Key::Name(name.into()));
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn fail(&mut self, key: Key, now: Instant) {
        if self.failures.len() >= COUNTED_MAX && !self.failures.contains_key(&key) {
            let oldest = self.failures.iter().min_by_key(|(_, failures)| failures.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.failures.remove(&oldest);
            }
        }
        let failures = self.failures.entry(key).or_insert(Failures { count: 0, last: now });
        failures.count = if failures.is_over(now) { 1 } else { failures.count.saturating_add(1) };
        failures.last = now;
    }
}

impl Failures {
    fn is_over(&self, now: Instant) -> bool {
        self.last + FORGET_AFTER <= now
    }

    fn delay(&self, now: Instant) -> Duration {
        if self.is_over(now) || self.count < FREE {
            return Duration::ZERO;
        }
        let doubled = 1_u32.checked_shl(self.count - FREE).filter(|times| *times > 0);
        doubled.map_or(DELAY_MAX, |times| DELAY_FIRST.saturating_mul(times).min(DELAY_MAX))
    }
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

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn delay(guard: &Guard, address: IpAddr, name: &str, now: Instant) -> u128 {
        guard.comes(address, name, now).unwrap().delay.as_millis()
    }

    #[test]
    fn who_fails_again_and_again_waits_longer_and_longer_up_to_a_bound() {
        let (guard, now) = (Guard::default(), Instant::now());
        let mut delays = Vec::new();
        for _ in 0..9 {
            delays.push(delay(&guard, HERE, "d1", now));
            guard.failed(HERE, "d1", now);
        }
        assert_eq!(delays, [0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 4_000]);
        for _ in 0..100 {
            guard.failed(HERE, "d1", now);
        }
        assert_eq!(delay(&guard, HERE, "d1", now), 4_000);
        assert_eq!(delay(&guard, HERE, "d1", now + FORGET_AFTER), 0);
    }

    #[test]
    fn an_address_waits_for_all_names_and_a_name_at_all_addresses() {
        let (guard, now) = (Guard::default(), Instant::now());
        for _ in 0..4 {
            guard.failed(HERE, "d1", now);
        }
        assert_eq!(delay(&guard, HERE, "d2", now), 500);
        assert_eq!(delay(&guard, THERE, "d1", now), 500);
        assert_eq!(delay(&guard, THERE, "d2", now), 0);
        guard.succeeded("d1");
        assert_eq!(delay(&guard, THERE, "d1", now), 0);
        assert_eq!(delay(&guard, HERE, "d1", now), 500);
    }

    #[test]
    fn an_address_has_a_few_sign_ins_under_way_and_no_more() {
        let (guard, now) = (Guard::default(), Instant::now());
        let mut held: Vec<Held> =
            (0..AT_ONCE_MAX).map(|_| guard.comes(HERE, "d1", now).unwrap()).collect();
        assert_eq!(guard.comes(HERE, "d1", now).unwrap_err(), TooMany);
        assert!(guard.comes(THERE, "d1", now).is_ok());
        held.pop();
        assert!(guard.comes(HERE, "d1", now).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| counted_as(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), HERE);
    }

    #[test]
    fn the_memory_of_failures_is_bounded() {
        let (guard, now) = (Guard::default(), Instant::now());
        for number in 0..COUNTED_MAX as u32 {
            let at = now + Duration::from_millis(number.into());
            guard.lock().fail(Key::Name(number.to_string().into()), at);
        }
        guard.lock().fail(Key::Name("one more".into()), now + FORGET_AFTER);
        let counted = guard.lock();
        assert_eq!(counted.failures.len(), COUNTED_MAX);
        assert!(!counted.failures.contains_key(&Key::Name("0".into())), "the oldest is forgotten");
    }
}
