//! The gateway's own figures: counted here, told once a second on `gateway/stats`, and exported at
//! `/metrics`. Metric names live in `crate::metrics`.

use crate::{arrival, core::Outlet, count::counters, edge};
use bridge::{
    bridge::{Bridge, Refused},
    outbox::Counts,
};
use protocol::{GatewayStats, Millis, StoreFigures, Timestamp};
use rustix::param::page_size;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

counters! {
    /// What the WebSocket and HTTP side counts.
    WebCounters {
        /// WebSocket connections.
        connections_now,
        /// WebSocket connections accepted.
        connections_accepted,
        /// WebSocket connections refused because limits.websocket_connections was reached.
        refused_full,
        /// Connections refused or closed (4005) because limits.token_connections was reached.
        refused_token_connections,
        /// Requests refused for their Host.
        refused_hosts,
        /// Requests refused for their Origin.
        refused_origins,
        /// Requests and connections without a token, or with one that does not count.
        refused_unauthenticated,
        /// Requests and connections refused, or closed (4113), because too many of their address were signing in.
        refused_guessing,
        /// Tokens that were held back after failures before they were looked at.
        sign_ins_delayed,
        /// Requests that the role of their user does not allow.
        refused_forbidden,
        /// Frames written.
        frames_out,
        /// Bytes of these frames.
        bytes_out,
        /// Updates written.
        updates_out,
        /// Updates that conflation swallowed because their reader was slow.
        updates_dropped,
        /// Channels that were reset for a slow reader.
        overflow_resets,
        /// Times that a reader began to lag.
        lags,
        /// Readers that lag.
        lagging_now,
        /// Connections closed as too slow (4108).
        closed_too_slow,
        /// Connections closed without a pong (4112).
        closed_no_pong,
        /// Connections closed for too many messages (4113), of their own or of their token.
        closed_too_many_messages,
        /// Connections closed for a malformed message (4004) or one too big (1009).
        closed_malformed,
        /// Messages refused with an error.
        refused_messages,
        /// Times that a client was not heard for a while, as the core had worked long for it.
        rests,
    }
}

impl WebCounters {
    /// Counts what happened in an outbox; gives how many updates were written.
    pub(crate) fn note(&self, counts: Counts) -> u64 {
        let Counts { delivered, conflated, resets } = counts;
        self.updates_out.add(delivered);
        self.updates_dropped.add(conflated);
        self.overflow_resets.add(resets);
        delivered
    }

    /// Counts a frame that was written.
    pub(crate) fn note_frame(&self, bytes: usize) {
        self.frames_out.increment();
        self.bytes_out.add(bytes as u64);
    }
}

counters! {
    /// What HTTP connections count, of whatever is asked over them.
    HttpCounters {
        /// HTTP connections that were not upgraded to a WebSocket.
        connections_now,
        /// HTTP connections accepted.
        connections_accepted,
        /// HTTP connections refused because limits.http_connections was reached.
        refused_full,
        /// HTTP connections ended by a head that is no HTTP.
        refused_malformed,
        /// HTTP connections closed because no whole head of a request came in http.header_timeout_ms.
        closed_idle,
        /// HTTP connections closed because nothing of an answer was taken in http.write_timeout_ms.
        closed_unread,
        /// Bodies that did not come in http.body_timeout_ms.
        slow_bodies,
    }
}

/// All figures.
#[derive(Debug)]
pub struct Stats {
    started: Instant,
    /// Of the WebSocket and HTTP side.
    pub web: WebCounters,
    /// Of HTTP connections.
    pub http: HttpCounters,
    /// Of the MQTT side.
    pub edge: Arc<edge::Counters>,
    /// Of all listeners, before their protocol.
    pub arrivals: Arc<arrival::Counters>,
    latest: Mutex<Latest>,
}

/// What the core said last.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// As on `gateway/stats`.
    pub figures: GatewayStats,
    /// What the bridge refused.
    pub refused: Refused,
    /// Results and errors of devices that were left out, as they were too large.
    pub results_too_large: u64,
    /// Commands that could not be written to their receiver.
    pub commands_unwritten: u64,
    /// The newest offset: updates of all channels.
    pub updates: u64,
    /// How many entries of the audit log are kept.
    pub audit_entries: u64,
    messages_in: u64,
    deliveries: u64,
    at: Timestamp,
}

impl Stats {
    /// Starts at zero.
    #[must_use]
    pub fn new(edge: Arc<edge::Counters>, arrivals: Arc<arrival::Counters>) -> Self {
        let (web, http) = (WebCounters::default(), HttpCounters::default());
        Self { started: Instant::now(), web, http, edge, arrivals, latest: Mutex::default() }
    }

    /// What the core said last.
    #[must_use]
    pub fn latest(&self) -> Latest {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at everything; the core calls it every second.
    pub(crate) fn every_second(
        &self,
        bridge: &Bridge<Outlet>,
        store: StoreFigures,
        now: Timestamp,
    ) -> GatewayStats {
        let before = self.latest();
        let (messages_in, deliveries) = (self.edge.publishes_in(), self.web.updates_out.get());
        let rate = |count: u64, before_count: u64| rate(count - before_count, now.since(before.at));
        let totals = bridge.commands().totals();
        let figures = GatewayStats {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_ms: Millis(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(0)),
            devices_online: bridge.devices().online() as u64,
            devices_known: bridge.devices().known() as u64,
            mqtt_connections: self.edge.connections_now.get(),
            websocket_connections: self.web.connections_now.get(),
            messages_in_per_s: rate(messages_in, before.messages_in),
            deliveries_per_s: rate(deliveries, before.deliveries),
            undecodable_payloads: self.edge.undecodable.get(),
            dropped_updates: self.web.updates_dropped.get(),
            lagging_connections: self.web.lagging_now.get(),
            commands_open: bridge.commands().open_count() as u64,
            alerts: bridge.alerts().figures(),
            commands: totals.figures,
            memory_bytes: memory_bytes().unwrap_or(0),
            store,
        };
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Latest {
            figures: figures.clone(),
            refused: bridge.refused(),
            results_too_large: totals.results_too_large,
            commands_unwritten: totals.unwritten,
            updates: bridge.hub.offset().0,
            audit_entries: bridge.audit_count(),
            messages_in,
            deliveries,
            at: now,
        };
        figures
    }
}

/// Events a second, to one decimal place.
#[expect(clippy::cast_precision_loss, reason = "counts of a second are far below 2^52")]
fn rate(events: u64, time: Millis) -> f64 {
    (events as f64 * 10_000.0 / time.0.max(1) as f64).round() / 10.0
}

/// Resident memory, where the system tells it (Linux: proc(5), statm).
pub(crate) fn memory_bytes() -> Option<u64> {
    resident(&std::fs::read_to_string("/proc/self/statm").ok()?, page_size() as u64)
}

/// What statm says in pages, of which the second number is the resident set.
fn resident(statm: &str, page_bytes: u64) -> Option<u64> {
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * page_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_counted_in_pages_of_this_machine() {
        assert_eq!(resident("5000 300 200 10 0 900 0\n", 16_384), Some(300 * 16_384));
        let told = memory_bytes().unwrap();
        assert!(told > 0 && told.is_multiple_of(page_size() as u64), "{told}");
    }
}
