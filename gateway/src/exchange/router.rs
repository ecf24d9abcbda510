//! rumqttd, wrapped: one router on its own thread, and the one connection we have to it.
//!
//! Work goes to the router in **rounds**: changes of subscriptions, then messages, then a barrier, all in
//! one batch. A round has ended when the barrier comes back. What the source of rumqttd 0.20 says of it:
//!
//! - The router appends a whole batch to the logs of the matching filters before it reads any, and serves
//!   the requests of a connection in the order in which their filters got data. The barrier's filter is
//!   the last, so it comes after everything else of the round.
//! - Except when the router ran out of buffer just after reading the barrier: then that filter keeps its
//!   place at the front for the next time. So there are two barriers, used in turn: by the time one is
//!   used again its filter is in order.
//! - Each filter keeps two segments of log, and a segment is never smaller than a round (see
//!   [`Router::ROUND_BYTES`]). We read a round to its end before the next, so nothing is overwritten unread.
//! - QoS 0 both ways needs no packet ids, acks or in-flight state, and is as safe as any in one process.
//! - At about 200 notifications the router stops and asks for `ready`.
//! - A send blocks when a thousand events wait; ours are three at most.
//!
//! Topics and filters get a first level of our own. So neither a leading `$` nor a first character that
//! isn't ASCII, at which its matcher slices and panics, ever stands first.

use super::routes::RouteId;
use bytes::Bytes;
use protocol::{TopicFilter, TopicName};
use rumqttd::{
    Forward, Notification, RouterConfig,
    local::{LinkBuilder, LinkError, LinkRx, LinkTx},
    protocol::{
        Filter, Packet, Publish, QoS, RetainForwardRule, Subscribe, SubscribeProperties,
        Unsubscribe,
    },
};
use std::time::Duration;
use tokio::{
    task::{JoinError, spawn_blocking},
    time::timeout,
};

const BARRIERS: [&str; 2] = ["barrier/0", "barrier/1"];
const PREFIX: &str = "t/";

/// A filter without a subscriber that matches every topic. rumqttd remembers which filters a topic matches
/// only if there is one; otherwise it asks all of them again for each message.
const CATCH_ALL: &str = "t/#";

/// Notifications of one filter that the router may read at once: more than a round holds.
const READ_MAX: u64 = 4_096;

/// Why a router is no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Dead {
    /// Its thread has ended: the only way is a panic.
    #[error("the router's thread has ended")]
    Ended,
    /// It could not be started.
    #[error("the router could not be started")]
    NotStarted(#[from] JoinError),
    /// It is stuck.
    #[error("the router has not answered within {0:?}")]
    Silent(Duration),
}

/// One copy of a message, by one of the filters that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// What was given to [`Router::publish`].
    pub(super) ticket: u64,
    /// What was given to [`Router::subscribe`].
    pub(super) route: RouteId,
    /// The place in the filter's log, ascending by one.
    pub(super) offset: u64,
}

/// Its errors all say that the other side of a channel is gone, and carry what could not be sent.
impl From<LinkError> for Dead {
    fn from(_: LinkError) -> Self {
        Self::Ended
    }
}

enum Heard {
    Hit(Hit),
    Barrier(u64),
    Other,
}

/// A running router. Dropping it leaves its thread behind: see [`Router::kill`].
pub(super) struct Router {
    tx: LinkTx,
    rx: LinkRx,
    round: u64,
    deadline: Duration,
}

impl Router {
    /// The most bytes that the messages of a round may have in the router's log; a single message may have
    /// more. A filter's log holds twice as much for good, so it is small.
    pub(super) const ROUND_BYTES: usize = 4 * 1024;

    /// What a message on `topic` counts against [`Self::ROUND_BYTES`].
    pub(super) fn log_bytes(topic: &TopicName) -> usize {
        4 + PREFIX.len() + topic.as_str().len() + size_of::<u64>()
    }

    /// Starts a router and proves that it works.
    ///
    /// # Errors
    /// It does not.
    pub(super) async fn start(deadline: Duration) -> Result<Self, Dead> {
        // `build` waits for the router without a limit. Should that die in between, the blocking thread is
        // given up with it.
        let built = timeout(deadline, spawn_blocking(build)).await;
        let (tx, rx) = built.map_err(|_elapsed| Dead::Silent(deadline))???;
        let mut router = Self { tx, rx, round: 0, deadline };
        for barrier in BARRIERS {
            router.push(subscribe(barrier.into(), None));
        }
        router.flush().await?;
        Ok(router)
    }

    /// Asks for what matches `filter` with the coming round.
    pub(super) fn subscribe(&mut self, route: RouteId, filter: &TopicFilter) {
        self.push(subscribe(format!("{PREFIX}{filter}"), Some(route)));
    }

    /// Ends a subscription with the coming round.
    pub(super) fn unsubscribe(&mut self, filter: &TopicFilter) {
        let filters = vec![format!("{PREFIX}{filter}")];
        self.push(Packet::Unsubscribe(Unsubscribe { pkid: 0, filters }, None));
    }

    /// Publishes with the coming round; `ticket` comes back with each [`Hit`].
    pub(super) fn publish(&mut self, ticket: u64, topic: &TopicName) {
        let topic = Bytes::from(format!("{PREFIX}{topic}"));
        self.push(Packet::Publish(Publish::new(topic, number(ticket), false), None));
    }

    /// Plays the round that was prepared and returns when the router is done with it.
    ///
    /// # Errors
    /// The router is dead; nothing is known about the round.
    pub(super) async fn flush(&mut self) -> Result<Vec<Hit>, Dead> {
        self.round += 1;
        let barrier = BARRIERS[usize::from(self.round.is_multiple_of(2))];
        self.tx.publish(Bytes::from_static(barrier.as_bytes()), number(self.round))?;
        let deadline = self.deadline;
        timeout(deadline, self.collect()).await.map_err(|_elapsed| Dead::Silent(deadline))?
    }

    /// Waits for the router's death between rounds.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn death(&mut self) -> Dead {
        loop {
            if let Err(dead) = self.hear().await {
                return dead;
            }
        }
    }

    /// Ends the router's thread, which holds on to itself: nothing but a panic ends it. This is the one
    /// that a first character of two bytes causes.
    pub(super) fn kill(&mut self) {
        let _dead_already = self.tx.publish("é", number(0));
    }

    /// Makes the router fall silent: the barriers no longer come back.
    #[cfg(test)]
    pub(super) fn silence(&mut self) {
        let filters = BARRIERS.map(String::from).into();
        self.push(Packet::Unsubscribe(Unsubscribe { pkid: 0, filters }, None));
    }

    fn push(&mut self, packet: Packet) {
        self.tx.buffer().push_back(packet);
    }

    async fn collect(&mut self) -> Result<Vec<Hit>, Dead> {
        let mut hits = Vec::new();
        loop {
            match self.hear().await? {
                Heard::Hit(hit) => hits.push(hit),
                Heard::Barrier(round) if round == self.round => return Ok(hits),
                Heard::Barrier(_) | Heard::Other => {}
            }
        }
    }

    async fn hear(&mut self) -> Result<Heard, Dead> {
        match self.rx.next().await? {
            Some(Notification::Forward(forward)) => Ok(read(&forward).unwrap_or(Heard::Other)),
            Some(Notification::Unschedule) => {
                self.rx.ready()?;
                Ok(Heard::Other)
            }
            Some(_) | None => Ok(Heard::Other),
        }
    }
}

fn build() -> Result<(LinkTx, LinkRx), Dead> {
    let config = RouterConfig {
        max_connections: 1,
        max_outgoing_packet_count: READ_MAX,
        max_segment_size: Router::ROUND_BYTES,
        max_segment_count: 2,
        initialized_filters: Some(vec![CATCH_ALL.into()]),
        ..RouterConfig::default()
    };
    let events = rumqttd::Router::new(0, config).spawn();
    let (tx, rx, _welcome) = LinkBuilder::new("exchange", events).build()?;
    Ok((tx, rx))
}

fn subscribe(path: String, route: Option<RouteId>) -> Packet {
    let filter = Filter {
        path,
        qos: QoS::AtMostOnce,
        nolocal: false,
        preserve_retain: false,
        retain_forward_rule: RetainForwardRule::Never,
    };
    let id = route.map(|route| route.0.get());
    let properties = SubscribeProperties { id, user_properties: Vec::new() };
    Packet::Subscribe(Subscribe { pkid: 0, filters: vec![filter] }, Some(properties))
}

fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn read(forward: &Forward) -> Option<Heard> {
    let number = u64::from_be_bytes(forward.publish.payload.as_ref().try_into().ok()?);
    let route = forward
        .properties
        .as_ref()
        .and_then(|properties| properties.subscription_identifiers.first().copied());
    let Some(route) = route else { return Some(Heard::Barrier(number)) };
    let (_segment, offset) = forward.cursor?;
    Some(Heard::Hit(Hit { ticket: number, route: RouteId(route.try_into().ok()?), offset }))
}
