//! What the exchange counts.

use crate::count::counters;

counters! {
    /// What the exchange counts since the process started.
    Counters {
        /// Messages that were matched against the subscriptions of MQTT clients; none while no client has any.
        published,
        /// Messages put into links' queues, each link counted.
        delivered,
        /// Messages a link did not get because its queue was full.
        dropped,
        /// Messages that the router lost.
        lost,
        /// Routers that died and were replaced.
        restarts,
        /// Routers that were replaced because they were full.
        renewals,
        /// Links of sessions.
        links_now,
        /// Links of sessions that are kept on disk.
        keeping_links_now,
    }
}
