//! The exchange's one task: gathers what came in into rounds, has the router play them, fills the links'
//! queues.

use super::{
    counters::Counters,
    message::{Interest, Share},
    outlets::{Outlet, Outlets},
    round::{Queued, Round},
    router::Hit,
    routes::{LinkId, Routes},
    settings::Settings,
    watchdog::Watchdog,
};
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, mpsc::UnboundedReceiver, oneshot},
    task::yield_now,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

/// Deliveries after which other tasks get their turn.
const TURN_DELIVERIES: usize = 1_024;

/// What comes into the engine; in one queue, because a subscription does not concern what was published
/// before it.
#[derive(Debug)]
pub(super) enum Input {
    /// A message to be routed.
    Publish(Queued),
    /// A link came.
    Open { link: LinkId, outlet: Outlet },
    /// It subscribes; `done` once that is in force.
    Subscribe { link: LinkId, interest: Interest, done: oneshot::Sender<()> },
    /// It unsubscribes; likewise.
    Unsubscribe { link: LinkId, interest: Interest, done: oneshot::Sender<()> },
    /// It went.
    Close { link: LinkId },
    /// A member of a shared subscription went without acknowledging what it got by it.
    PassOn { share: Arc<Share>, queued: Queued },
    /// Somebody waits until what was published before is in the links' queues.
    CaughtUp { done: oneshot::Sender<()> },
    /// Something bad happens to the router, outside of any round.
    #[cfg(test)]
    Sabotage(fn(&mut super::router::Router)),
    /// Every router dies of the round that this becomes part of.
    #[cfg(test)]
    Poison,
}

/// What the engine is made of.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) counters: Arc<Counters>,
    pub(super) inputs: UnboundedReceiver<Input>,
    /// Closed when the engine ends, so that nobody waits for it in vain.
    pub(super) semaphores: [Arc<Semaphore>; 2],
}

impl Drop for Parts {
    fn drop(&mut self) {
        for semaphore in &self.semaphores {
            semaphore.close();
        }
    }
}

/// Runs the exchange until `stop`; what is on its way then is dropped.
pub(super) async fn run(parts: Parts, stop: CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = serve(parts) => {}
    }
}

async fn serve(parts: Parts) {
    let mut engine = Engine::new(parts).await;
    loop {
        let round = engine.gather().await;
        engine.play(round).await;
    }
}

struct Engine {
    parts: Parts,
    watchdog: Watchdog,
    routes: Routes,
    outlets: Outlets,
    heartbeat: Interval,
    /// The message that did not fit into the last round.
    left_over: Option<Queued>,
    next_ticket: u64,
}

impl Engine {
    async fn new(parts: Parts) -> Self {
        let (settings, counters) = (parts.settings.clone(), Arc::clone(&parts.counters));
        let mut heartbeat = interval(settings.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            routes: Routes::new(settings.filters_max),
            outlets: Outlets::new(settings.link_queue_bytes_max, Arc::clone(&counters)),
            watchdog: Watchdog::start(settings, counters).await,
            heartbeat,
            left_over: None,
            next_ticket: 0,
            parts,
        }
    }

    /// Waits for something to do and takes with it what else is there.
    async fn gather(&mut self) -> Round {
        let mut round = Round::new(self.next_ticket);
        match self.left_over.take() {
            Some(queued) => self.publish(queued, &mut round),
            None => self.wait(&mut round).await,
        }
        while self.left_over.is_none()
            && round.has_room()
            && let Ok(input) = self.parts.inputs.try_recv()
        {
            self.handle(input, &mut round);
        }
        round
    }

    async fn wait(&mut self, round: &mut Round) {
        tokio::select! {
            Some(input) = self.parts.inputs.recv() => self.handle(input, round),
            _ = self.heartbeat.tick() => round.beat(),
            dead = self.watchdog.death() => {
                self.watchdog.replace_dead(dead, &mut self.routes).await;
            }
        }
    }

    fn handle(&mut self, input: Input, round: &mut Round) {
        match input {
            Input::Publish(queued) => self.publish(queued, round),
            Input::Open { link, outlet } => self.outlets.open(link, outlet),
            Input::Subscribe { link, interest, done } => {
                if let Some((place, filter)) = self.outlets.subscribe(link, interest) {
                    round.change(self.routes.add(place, &filter, round.next_ticket()));
                }
                round.tell(done);
            }
            Input::Unsubscribe { link, interest, done } => {
                if let Some((place, filter)) = self.outlets.unsubscribe(link, &interest) {
                    round.change(self.routes.remove(place, &filter));
                }
                round.tell(done);
            }
            Input::Close { link } => {
                for (place, filter) in self.outlets.close(link) {
                    round.change(self.routes.remove(place, &filter));
                }
            }
            Input::PassOn { share, queued } => self.outlets.pass_on(&share, &queued),
            Input::CaughtUp { done } => round.tell(done),
            #[cfg(test)]
            Input::Sabotage(act) => act(self.watchdog.router()),
            #[cfg(test)]
            Input::Poison => round.poison(),
        }
    }

    fn publish(&mut self, queued: Queued, round: &mut Round) {
        self.left_over = round.publish(queued).err();
    }

    async fn play(&mut self, round: Round) {
        if round.concerns_router() {
            let hits = self.watchdog.play(&round, &mut self.routes).await;
            self.deliver(&round, hits).await;
            self.watchdog.renew_if_worn(&mut self.routes).await;
        }
        self.next_ticket = round.next_ticket();
        round.end();
    }

    /// Fills the links' queues in the order of publishing, whatever order the router read its logs in.
    async fn deliver(&mut self, round: &Round, mut hits: Vec<Hit>) {
        hits.sort_by_key(|hit| hit.ticket);
        let mut deliveries = 0_usize;
        for hit in hits {
            self.parts.counters.lost.add(self.routes.missed(&hit) as u64);
            let Some(queued) = round.message(hit.ticket) else { continue };
            for link in self.routes.links(&hit, queued.message.topic.as_str()) {
                self.outlets.offer(link, hit.ticket, queued);
                deliveries += 1;
            }
            if deliveries >= TURN_DELIVERIES {
                yield_now().await;
                deliveries = 0;
            }
        }
    }
}
