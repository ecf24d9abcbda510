//! Keeps a router running: replaces one that died, fell silent or has seen too much, and restores the
//! subscriptions in the new one.

use super::{
    counters::Counters,
    round::{Round, Step},
    router::{Dead, Hit, Router},
    routes::{Change, Routes},
    settings::Settings,
};
use protocol::TopicName;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Subscriptions that one round restores.
const RESTORE_CHUNK: usize = 128;

/// The pause before another try to start a router, doubled with each failure up to the second bound.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A router that lives on.
pub(super) struct Watchdog {
    router: Router,
    settings: Settings,
    counters: Arc<Counters>,
    /// What this router has seen and will never forget.
    topics: HashSet<TopicName>,
}

impl Watchdog {
    /// Starts the first router, however long it takes.
    pub(super) async fn start(settings: Settings, counters: Arc<Counters>) -> Self {
        let router = start(&settings, &[]).await;
        Self { router, settings, counters, topics: HashSet::new() }
    }

    /// Plays a round to its end. If the router dies of it the next one plays it again; what kills that one
    /// too is given up and counted.
    pub(super) async fn play(&mut self, round: &Round, routes: &mut Routes) -> Vec<Hit> {
        self.note(round);
        for _ in 0..2 {
            match attempt(&mut self.router, round).await {
                Ok(hits) => return hits,
                Err(dead) => self.replace_dead(dead, routes).await,
            }
        }
        tracing::error!(messages = round.messages_count(), "a round killed two routers: given up");
        self.counters.lost.add(round.messages_count() as u64);
        Vec::new()
    }

    /// Waits for the router's death between rounds.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn death(&mut self) -> Dead {
        self.router.death().await
    }

    /// Replaces a router that died or fell silent.
    pub(super) async fn replace_dead(&mut self, dead: Dead, routes: &mut Routes) {
        tracing::error!(error = %dead, "the message router failed: starting another");
        self.replace(routes).await;
        self.counters.restarts.increment();
    }

    /// Replaces the router if it holds too many topics.
    pub(super) async fn renew_if_worn(&mut self, routes: &mut Routes) {
        let topics = self.topics.len();
        if topics <= self.settings.topics_max {
            return;
        }
        tracing::info!(topics, "renewing the message router; the old one ends by a panic");
        self.replace(routes).await;
        self.counters.renewals.increment();
    }

    async fn replace(&mut self, routes: &mut Routes) {
        let changes = routes.restore();
        let mut old = std::mem::replace(&mut self.router, start(&self.settings, &changes).await);
        old.kill();
        self.topics.clear();
    }

    fn note(&mut self, round: &Round) {
        for step in round.steps() {
            match step {
                Step::Publish(_, message) if self.topics.contains(&message.topic) => {}
                Step::Publish(_, message) => drop(self.topics.insert(message.topic.clone())),
                Step::Change(_) => {}
                #[cfg(test)]
                Step::Poison => {}
            }
        }
    }

    /// The router itself, to be broken.
    #[cfg(test)]
    pub(super) fn router(&mut self) -> &mut Router {
        &mut self.router
    }
}

async fn start(settings: &Settings, changes: &[Change]) -> Router {
    let mut pause = PAUSE_MIN;
    loop {
        match try_start(settings, changes).await {
            Ok(router) => return router,
            Err(dead) => tracing::error!(error = %dead, "the message router does not start"),
        }
        sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

async fn try_start(settings: &Settings, changes: &[Change]) -> Result<Router, Dead> {
    let mut router = Router::start(settings.deadline).await?;
    for chunk in changes.chunks(RESTORE_CHUNK) {
        chunk.iter().for_each(|change| apply(&mut router, change));
        router.flush().await?;
    }
    Ok(router)
}

async fn attempt(router: &mut Router, round: &Round) -> Result<Vec<Hit>, Dead> {
    for step in round.steps() {
        match step {
            Step::Change(change) => apply(router, change),
            Step::Publish(ticket, message) => router.publish(*ticket, &message.topic),
            #[cfg(test)]
            Step::Poison => router.kill(),
        }
    }
    router.flush().await
}

fn apply(router: &mut Router, change: &Change) {
    match change {
        Change::Subscribe(route, filter) => router.subscribe(*route, filter),
        Change::Unsubscribe(filter) => router.unsubscribe(filter),
    }
}
