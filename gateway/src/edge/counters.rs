//! What the edge counts. Plain atomics: counting never waits; the metrics endpoint reads them.

use super::subscriptions::Subscription;
use crate::count::counters;

counters! {
    /// Everything the edge counts since the process started.
    Counters {
        /// Connections whose CONNECT was accepted and that have not ended.
        connections_now,
        /// Connections whose CONNECT was accepted.
        connections_accepted,
        /// Sessions kept for clients that are away.
        sessions_now,
        /// Sessions of clients that were away until they expired.
        sessions_expired,
        /// Subscriptions of all sessions.
        subscriptions_now,
        /// Those of them that are shared.
        shared_subscriptions_now,
        /// Sockets closed because `limits.mqtt_connections` was reached.
        refused_full,
        /// Connections that sent no CONNECT in time.
        refused_timeout,
        /// First packets that were no CONNECT, or a malformed one.
        refused_malformed,
        /// CONNECTs of a version that is not served.
        refused_version,
        /// CONNECTs with a client id that cannot be.
        refused_client_id,
        /// CONNECTs of client ids that came more than `mqtt.flapping_connects` times in a minute.
        refused_banned,
        /// CONNECTs refused because they showed no credential.
        refused_unauthenticated,
        /// CONNECTs refused for a wrong or revoked credential.
        refused_credentials,
        /// CONNECTs refused for a credential that has expired.
        refused_expired,
        /// CONNECTs refused for a token that is narrowed to devices or channels.
        refused_narrowed,
        /// CONNECTs refused because too many were signing in with secrets that are slow to check.
        refused_busy,
        /// CONNECTs refused because too many of their address were signing in.
        refused_guessing,
        /// CONNECTs refused because their will may not be published.
        refused_will,
        /// Sign-ins that were held back after failures.
        sign_ins_delayed,
        /// Connections closed because their credential was revoked or has expired.
        closed_revoked,
        /// CONNECTs refused for another reason.
        refused_other,
        /// Connections that ended because another took their client id.
        takeovers,
        /// Connections silent for one and a half times their keep-alive.
        keep_alive_timeouts,
        /// Connections that took no bytes for `mqtt.write_timeout_ms`.
        write_timeouts,
        /// Connections closed because the peer broke the protocol.
        violations,
        /// Packets that did not decode.
        decode_errors,
        /// Connection tasks that panicked.
        panics,
        /// Bytes read.
        bytes_in,
        /// Bytes written.
        bytes_out,
        /// Sockets accepted.
        sockets,
        /// Packets read.
        packets_in,
        /// Packets made to be written.
        packets_out,
        /// Bytes of the payloads of messages received.
        payload_bytes_in,
        /// Bytes of the payloads of messages written.
        payload_bytes_out,
        /// QoS 0 messages received.
        publishes_in_qos0,
        /// QoS 1 messages received.
        publishes_in_qos1,
        /// QoS 2 messages received.
        publishes_in_qos2,
        /// Messages written to clients.
        publishes_out,
        /// Payloads that are not what their route says.
        undecodable,
        /// Messages that are never acknowledged because they were given up before they could be stored.
        unstored,
        /// Packets over `limits.mqtt_packet_bytes`.
        limit_packet,
        /// Topics or filters over `limits.topic_bytes` or `limits.topic_levels`.
        limit_topic,
        /// Filters over `limits.mqtt_subscriptions`.
        limit_subscriptions,
        /// Messages over the Receive Maximum that was announced.
        limit_receive_maximum,
        /// Times that a client was not read because it sent more than `limits.mqtt_messages_per_s` or
        /// `limits.mqtt_bytes_per_s`.
        limit_rate_in,
        /// Times that a client was sent nothing because it had got `limits.mqtt_deliveries_per_s`.
        limit_rate_out,
        /// Sessions ended with their connection because `limits.mqtt_sessions` are kept already.
        limit_sessions,
        /// Retained messages over `limits.retained_messages` or `limits.retained_bytes`, or on new topics while the disk
        /// fails and no more may wait for it; delivered, not kept.
        limit_retained,
        /// QoS 0 messages dropped because the client's queue was full.
        dropped_qos0,
        /// QoS 1 and 2 messages dropped because the client's queue was full.
        dropped_qos12,
        /// Desired states that are sent again because the device's queue was full.
        desired_retries,
        /// Messages dropped because their expiry passed while they waited.
        dropped_expired,
        /// Messages dropped because they are larger than the client takes.
        dropped_too_large,
        /// Messages to topics that their client may not publish to.
        dropped_forbidden,
        /// Messages not delivered because their client may not read them.
        dropped_unreadable,
        /// Subscriptions refused because their client may read nothing of them.
        refused_subscriptions,
        /// Wills published.
        wills,
    }
}

impl Counters {
    /// A subscription came.
    pub(super) fn comes(&self, subscription: &Subscription) {
        self.subscriptions_now.increment();
        if subscription.share.is_some() {
            self.shared_subscriptions_now.increment();
        }
    }

    /// A subscription went.
    pub(super) fn goes(&self, subscription: &Subscription) {
        self.subscriptions_now.decrement();
        if subscription.share.is_some() {
            self.shared_subscriptions_now.decrement();
        }
    }

    /// Messages received, whatever their QoS.
    #[must_use]
    pub fn publishes_in(&self) -> u64 {
        let by_qos = [&self.publishes_in_qos0, &self.publishes_in_qos1, &self.publishes_in_qos2];
        by_qos.iter().map(|count| count.get()).sum()
    }
}
