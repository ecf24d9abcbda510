//! How many files, and so how many connections, the process may have open; and who gets them.

use crate::config::Limits;
use rustix::{
    io::fcntl_dupfd_cloexec,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use std::{
    fs::File,
    iter::zip,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is open beside connections: the store, the log, listeners, what a restart leaves for a while.
const BESIDE: u64 = 256;

/// What is kept free for each kind that has fewer connections: a fleet that takes all there is leaves room for who
/// wants to see what is wrong.
const FLOOR: u32 = 64;

/// Raises the soft limit of open files to the hard one.
pub(crate) fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}

/// Has the system make its table of open files as long as it will ever be, while the process has one thread. Later
/// each doubling would hold up who opens a file or accepts a connection for 10 to 50 ms: Linux then waits until no
/// thread looks at the old table any more (`expand_fdtable`).
pub(crate) fn make_table(limits: &Limits) {
    let allowed = allowed();
    let files = (Room::within(limits, allowed).all + BESIDE).min(allowed);
    let last = i32::try_from(files.saturating_sub(1)).unwrap_or(i32::MAX);
    let made = File::open("/dev/null").and_then(|any| Ok(fcntl_dupfd_cloexec(any, last)?));
    if let Err(error) = made {
        tracing::debug!(%error, last, "the table of open files grows as they come");
    }
}

fn allowed() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The room for connections: each kind has as many as its limit says, all together as many as the system allows.
#[derive(Debug)]
pub struct Room {
    all: u64,
    limits: PerKind,
    taken: Mutex<PerKind>,
}

/// What a connection is, while it holds a file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// MQTT, over TCP, TLS or WebSocket.
    Mqtt,
    /// HTTP, before it may become a WebSocket.
    Http,
    /// A WebSocket at `/ws`.
    WebSocket,
}

/// A number for each [`Kind`], in its order.
type PerKind = [u32; 3];

/// The room that one connection takes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    kind: Kind,
}

impl Room {
    /// What `limits` and the system's limit of open files leave.
    #[must_use]
    pub fn new(limits: &Limits) -> Arc<Self> {
        let allowed = allowed();
        let room = Self::within(limits, allowed);
        tracing::info!(allowed, connections = room.all, "open files, and connections in all");
        if allowed < room.all + BESIDE {
            let needed = room.all + BESIDE;
            let why = "the system allows too few open files: there will be no room for connections; raise that \
                       (ulimit -Hn, LimitNOFILE= of systemd)";
            tracing::warn!(allowed, needed, "{why}");
        }
        if let Some((key, wanted)) = room.out_of_reach(limits) {
            tracing::warn!(
                wanted,
                connections = room.all,
                "limits.{key} wants more open files than the system allows: lower it, or raise that \
                 (ulimit -Hn, LimitNOFILE= of systemd)"
            );
        }
        Arc::new(room)
    }

    fn within(limits: &Limits, allowed: u64) -> Self {
        let limits =
            [limits.mqtt_connections, limits.http_connections, limits.websocket_connections];
        let most = limits.map(u64::from).iter().sum();
        let all = allowed.saturating_sub(BESIDE).clamp(with_floors([0; 3], limits), most);
        Self { all, limits, taken: Mutex::default() }
    }

    /// A limit that somebody has set, and that cannot be reached.
    fn out_of_reach(&self, limits: &Limits) -> Option<(&'static str, u32)> {
        let usual = Limits::default();
        let kinds = [
            ("mqtt_connections", limits.mqtt_connections, usual.mqtt_connections),
            ("http_connections", limits.http_connections, usual.http_connections),
            ("websocket_connections", limits.websocket_connections, usual.websocket_connections),
        ];
        let (key, wanted, _) = kinds
            .into_iter()
            .find(|(_, wanted, usual)| wanted != usual && u64::from(*wanted) > self.all)?;
        Some((key, wanted))
    }

    /// Room for one more, if there is.
    pub(crate) fn take(self: &Arc<Self>, kind: Kind) -> Option<Place> {
        let mut taken = self.taken();
        let mut with = *taken;
        with[kind as usize] += 1;
        let is_too_many = with[kind as usize] > self.limits[kind as usize];
        if is_too_many || with_floors(with, self.limits) > self.all {
            return None;
        }
        *taken = with;
        drop(taken);
        Some(Place { room: Arc::clone(self), kind })
    }

    fn taken(&self) -> MutexGuard<'_, PerKind> {
        // Nothing in here panics half way.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many are taken or kept free.
fn with_floors(taken: PerKind, limits: PerKind) -> u64 {
    zip(taken, limits).map(|(taken, limit)| u64::from(taken.max(FLOOR.min(limit)))).sum()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.taken()[self.kind as usize] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(mqtt_connections: u32) -> Limits {
        Limits {
            mqtt_connections,
            http_connections: 2_000,
            websocket_connections: 2_000,
            ..Limits::default()
        }
    }

    /// How many of a kind find room when all come that want.
    fn crowd(room: &Arc<Room>, kind: Kind) -> Vec<Place> {
        std::iter::from_fn(|| room.take(kind)).collect()
    }

    #[test]
    fn each_kind_has_what_its_limit_says() {
        let room = Arc::new(Room::within(&limits(100), 1_048_576));
        let crowds = [Kind::Mqtt, Kind::Http, Kind::WebSocket].map(|kind| crowd(&room, kind));
        assert_eq!(crowds.map(|crowd| crowd.len()), [100, 2_000, 2_000]);
    }

    #[test]
    fn where_files_are_few_who_comes_first_gets_them_but_for_the_floors_of_others() {
        let room = Arc::new(Room::within(&limits(100_000), 1_000 + BESIDE));
        let fleet = crowd(&room, Kind::Mqtt);
        assert_eq!(fleet.len(), 1_000 - 2 * FLOOR as usize);
        let operators = [Kind::Http, Kind::WebSocket].map(|kind| crowd(&room, kind));
        assert_eq!(operators.map(|crowd| crowd.len()), [FLOOR as usize; 2]);
    }

    #[test]
    fn who_goes_leaves_room() {
        let room = Arc::new(Room::within(&limits(1), 1_048_576));
        let place = room.take(Kind::Mqtt);
        assert!(place.is_some());
        assert!(room.take(Kind::Mqtt).is_none());
        drop(place);
        assert!(room.take(Kind::Mqtt).is_some());
    }

    #[test]
    fn the_floors_stand_however_few_files_there_are() {
        let room = Arc::new(Room::within(&limits(10), 64));
        let crowds = [Kind::Mqtt, Kind::Http, Kind::WebSocket].map(|kind| crowd(&room, kind));
        assert_eq!(crowds.map(|crowd| crowd.len()), [10, FLOOR as usize, FLOOR as usize]);
    }

    #[test]
    fn only_a_limit_that_somebody_has_set_is_missed() {
        let missed = |limits: &Limits| Room::within(limits, 1_000).out_of_reach(limits);
        assert_eq!(missed(&Limits::default()), None);
        let set = Limits { mqtt_connections: 5_000, ..Limits::default() };
        assert_eq!(missed(&set), Some(("mqtt_connections", 5_000)));
    }
}
