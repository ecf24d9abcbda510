//! Clients that come and go too often stay away for a while.

use crate::config::Mqtt;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The time in which connects are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// Of how many client ids connects are counted; beyond, others are not.
const CLIENTS_MAX: usize = 100_000;

/// How often each client id came lately.
#[derive(Debug)]
pub(super) struct Flapping {
    /// 0: nobody is banned.
    connects_max: u32,
    ban: Duration,
    clients: Mutex<HashMap<Box<str>, Visits>>,
}

#[derive(Clone, Copy, Debug)]
struct Visits {
    since: Instant,
    count: u32,
    banned_until: Option<Instant>,
}

impl Visits {
    fn is_over(&self, now: Instant) -> bool {
        match self.banned_until {
            Some(until) => until <= now,
            None => self.since + WINDOW <= now,
        }
    }
}

/// A client id must stay away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Banned;

impl Flapping {
    pub(super) fn new(mqtt: &Mqtt) -> Self {
        Self {
            connects_max: mqtt.flapping_connects,
            ban: Duration::from_secs(mqtt.flapping_ban_s),
            clients: Mutex::default(),
        }
    }

    /// `client_id` comes at `now`.
    pub(super) fn comes(&self, client_id: &str, now: Instant) -> Result<(), Banned> {
        if self.connects_max == 0 || client_id.is_empty() {
            return Ok(());
        }
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX {
            clients.retain(|_, visits| !visits.is_over(now));
        }
        let fresh = Visits { since: now, count: 0, banned_until: None };
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(client_id) {
            return Ok(());
        }
        let visits = clients.entry(client_id.into()).or_insert(fresh);
        if visits.is_over(now) {
            *visits = fresh;
        }
        if visits.banned_until.is_some() {
            return Err(Banned);
        }
        visits.count += 1;
        if visits.count > self.connects_max {
            visits.banned_until = Some(now + self.ban);
            return Err(Banned);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_too_often_is_banned_for_a_while() {
        let mqtt = Mqtt { flapping_connects: 2, flapping_ban_s: 100, ..Mqtt::default() };
        let (flapping, start) = (Flapping::new(&mqtt), Instant::now());
        let comes = |seconds| flapping.comes("a", start + Duration::from_secs(seconds));
        assert_eq!(
            [comes(0), comes(1), comes(2), comes(101)],
            [Ok(()), Ok(()), Err(Banned), Err(Banned)]
        );
        assert_eq!(flapping.comes("b", start), Ok(()));
        assert_eq!([comes(102), comes(150), comes(162)], [Ok(()), Ok(()), Ok(())]);
    }

    #[test]
    fn nobody_is_banned_where_no_bound_is_set() {
        let flapping = Flapping::new(&Mqtt::default());
        let now = Instant::now();
        assert!((0..1_000).all(|_| flapping.comes("a", now).is_ok()));
    }
}
