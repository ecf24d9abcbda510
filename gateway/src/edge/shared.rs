//! What all connections have in common.

use super::{
    Topics, access::MaybeAccess, budget::Budget, counters::Counters, desired::DesiredStates,
    flapping::Flapping, registry::Registry, retained::Retained, system::System,
};
use crate::{
    auth::Gate,
    config::{Ack, Config, Limits, Mqtt},
    core::Core,
    exchange::Exchange,
    store::StoreHandle,
};
use bridge::{acl::Rules, event::ConnectionId};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What all connections have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) core: Core,
    pub(super) exchange: Exchange,
    pub(super) topics: Topics,
    /// Where clients sign in.
    pub(super) gate: Gate,
    /// What who signed in may do.
    pub(super) rules: Rules,
    pub(super) mqtt: Mqtt,
    pub(super) limits: Limits,
    pub(super) counters: Arc<Counters>,
    pub(super) registry: Registry,
    pub(super) retained: Retained,
    pub(super) desired: DesiredStates,
    pub(super) store: StoreHandle,
    /// What an acknowledged message survives.
    pub(super) ack: Ack,
    /// What all outboxes have together.
    pub(super) budget: Arc<Budget>,
    pub(super) flapping: Flapping,
    pub(super) system: System,
    pub(super) complaints: Complaints,
    pub(super) connections: AtomicU64,
    /// Room for sessions of clients that are away.
    pub(super) sessions: Arc<Semaphore>,
    /// Fires when the gateway stops. What ends one connection may fire alone, when who came in over HTTP may not stay.
    pub(super) stopping: OnceLock<CancellationToken>,
    /// Fires when the sessions that the disk has are there: before, no client may come for its own.
    pub(super) restored: CancellationToken,
    /// Connections, from their accepting to their end.
    pub(super) serving: TaskTracker,
    /// No connection adds to sessions any more: they end, and are on the disk.
    pub(super) sessions_end: CancellationToken,
}

impl Shared {
    pub(super) fn new(
        config: &Config,
        core: Core,
        exchange: Exchange,
        topics: Topics,
        gate: Gate,
        store: StoreHandle,
    ) -> Self {
        let limits = config.limits.clone();
        Self {
            core,
            exchange,
            topics,
            gate,
            rules: config.access_rules(),
            mqtt: config.mqtt.clone(),
            counters: Arc::default(),
            registry: Registry::default(),
            desired: DesiredStates::default(),
            retained: Retained::new(limits.retained_messages, limits.retained_bytes, store.clone()),
            store,
            ack: config.ingest.ack,
            budget: Arc::new(Budget::new(limits.mqtt_queued_bytes as usize)),
            flapping: Flapping::new(&config.mqtt),
            system: System::new(),
            complaints: Complaints::default(),
            connections: AtomicU64::new(1),
            sessions: Arc::new(Semaphore::new(limits.mqtt_sessions as usize)),
            stopping: OnceLock::new(),
            restored: CancellationToken::new(),
            serving: TaskTracker::new(),
            sessions_end: CancellationToken::new(),
            limits,
        }
    }

    /// An id that no connection had.
    pub(super) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.connections.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether a client may stay that may do this; the credential that let it in may have gone.
    pub(super) fn may_stay(&self, access: &MaybeAccess) -> bool {
        self.gate.still(access.as_ref().map(|access| &access.principal))
    }

    /// Whether the gateway stops, and not only one connection.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get().is_none_or(CancellationToken::is_cancelled)
    }

    pub(super) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.mqtt.write_timeout_ms)
    }
}

/// Who was complained about in the last minute, so that the log says it once.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    since: HashMap<String, Instant>,
    swept: Option<Instant>,
}

/// How long one complaint is enough.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// Of how many the time is kept; about others nothing is said until a minute has passed.
const COMPLAINTS_MAX: usize = 10_000;

impl Complaints {
    /// Whether it is time to complain about `whom` again.
    pub(super) fn due(&self, whom: &str, now: Instant) -> bool {
        let recent = |since: &Instant| now.duration_since(*since) < COMPLAINT_INTERVAL;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.since.get(whom).is_some_and(recent) {
            return false;
        }
        if known.since.len() >= COMPLAINTS_MAX && !known.swept.as_ref().is_some_and(recent) {
            known.since.retain(|_, since| recent(since));
            known.swept = Some(now);
        }
        let room = known.since.len() < COMPLAINTS_MAX;
        if room {
            known.since.insert(whom.into(), now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_complaint_a_minute_is_enough() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        assert!(complaints.due("d1", start));
        assert!(complaints.due("d2", start));
        assert!(!complaints.due("d1", start + Duration::from_secs(59)));
        assert!(complaints.due("d1", start + COMPLAINT_INTERVAL));
    }

    #[test]
    fn the_memory_of_complaints_is_bounded() {
        let (complaints, start) = (Complaints::default(), Instant::now());
        for number in 0..COMPLAINTS_MAX {
            assert!(complaints.due(&number.to_string(), start));
        }
        assert!(!complaints.due("one more", start));
        assert!(complaints.due("one more", start + COMPLAINT_INTERVAL));
    }
}
