//! The bounds of the exchange.

use std::time::Duration;

/// How much the exchange may hold and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Links at the same time; [`super::Exchange::link`] waits for one to be dropped.
    pub links_max: usize,
    /// Bytes that may wait to be routed; [`super::Exchange::publish`] waits for room.
    pub queue_bytes_max: u32,
    /// Messages that may wait in one link; what comes after is dropped for that link and counted.
    pub link_queue_messages_max: usize,
    /// Their bytes, likewise; one message is taken whatever its size.
    pub link_queue_bytes_max: usize,
    /// Distinct topics one router sees before a new one takes its place: rumqttd frees none.
    pub topics_max: usize,
    /// Distinct filters that one router is given: it sets 240 KB aside for each and frees none. What is subscribed
    /// beyond is matched here, by a tree of levels.
    pub filters_max: usize,
    /// How often an idle router is asked for a sign of life.
    pub heartbeat: Duration,
    /// How long the router may take for one round before it is given up.
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            links_max: 10_000,
            queue_bytes_max: 16 * 1024 * 1024,
            link_queue_messages_max: 4_096,
            link_queue_bytes_max: 4 * 1024 * 1024,
            topics_max: 100_000,
            filters_max: 64,
            heartbeat: Duration::from_secs(1),
            deadline: Duration::from_secs(10),
        }
    }
}
