//! The task behind [`Core`](super::Core): takes inputs in order, lets the bridge decide, tells subscribers at
//! once, gives the store what is to be kept, and answers who waits for that when it is.

use super::{
    Answer, Downlink, Input, Inputs, MAILBOX_MESSAGES_MAX, Outlet, Watchers,
    deferred::{Deferred, Outcome},
};
use crate::{
    clock,
    exchange::Exchange,
    mailbox::Sender,
    rhythm::{self, Rhythm},
    stats::Stats,
    store::{Batch, Database, Gathering, NotStored, Receipt, Row, StoreHandle, Table},
};
use ahash::HashMap;
use bridge::{
    bridge::Bridge,
    devices::Change,
    event::{ConnectionId, EdgeEvent},
};
use protocol::{CommandDetails, CommandId, DeviceId, Offset, Timestamp};
use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{self, Instant, MissedTickBehavior},
};

/// How many inputs are taken at once, and stored together.
const INPUTS_AT_ONCE: usize = 512;

/// The bridge with its surroundings.
#[derive(Debug)]
pub struct Actor {
    pub(super) bridge: Bridge<Outlet>,
    database: Database,
    store: StoreHandle,
    /// The newest offset that the store was told of.
    kept_through: Offset,
    pub(super) exchange: Exchange,
    watchers: Watchers,
    stats: Arc<Stats>,
    rhythm: Arc<Rhythm>,
    topics_wanted: Arc<std::sync::atomic::AtomicBool>,
    pub(super) mailboxes: HashMap<ConnectionId, Sender<Downlink>>,
    pub(super) waiting: HashMap<CommandId, Vec<oneshot::Sender<CommandDetails>>>,
    pub(super) deferred: Deferred,
    settled: mpsc::UnboundedReceiver<Outcome>,
    /// What the messages of this round leave beside what they say.
    gatherings: Vec<Gathering>,
    /// What was kept back asks for another round.
    pub(super) retry_kept_back: bool,
}

/// Who waits for the end of a round.
enum Waiting {
    /// A publisher, for its messages.
    Publisher(Receipt),
    /// Somebody who changed something.
    Changer(Receipt),
    /// Somebody who looked: what was seen is to be stored.
    Looker(Answer),
    /// Somebody who waits for the end of a command.
    Ender(CommandId, oneshot::Sender<CommandDetails>),
}

impl Actor {
    /// The actor for `core`'s queue.
    #[must_use]
    pub fn new(
        core: &super::Core,
        bridge: Bridge<Outlet>,
        keeping: Keeping,
        exchange: Exchange,
        stats: Arc<Stats>,
        rhythm: Arc<Rhythm>,
    ) -> Self {
        let Keeping { database, watchers } = keeping;
        watchers.begin(&bridge);
        let (deferred, settled) = Deferred::new(Arc::clone(&rhythm));
        Self {
            kept_through: bridge.hub.offset(),
            bridge,
            store: database.handle(),
            database,
            exchange,
            watchers,
            stats,
            rhythm,
            topics_wanted: Arc::clone(&core.topics_wanted),
            mailboxes: HashMap::default(),
            waiting: HashMap::default(),
            deferred,
            settled,
            gatherings: Vec::new(),
            retry_kept_back: false,
        }
    }

    #[cfg(test)]
    pub(crate) fn store(&self) -> StoreHandle {
        self.store.clone()
    }

    /// Runs until every handle is gone; then closes the database.
    ///
    /// # Errors
    /// [`NotStored`] when the database cannot be closed in order.
    pub async fn run(mut self, mut inputs: Inputs) -> Result<(), NotStored> {
        let mut batch = Vec::with_capacity(INPUTS_AT_ONCE);
        let mut second = time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut timer = pin!(time::sleep(Duration::ZERO));
        let mut timer_for = None;
        let mut listener = rhythm::Listener::new(std::time::Instant::now());
        let mut silence = rhythm::Silence::new();
        // What the restart changed.
        self.keep(Vec::new());
        loop {
            // Never set to later: most deadlines go with their commands, and once in a while it goes off for nothing.
            if let Some(next) = self.bridge.next_deadline()
                && timer_for.is_none_or(|set| next < set)
            {
                timer_for = Some(next);
                timer.as_mut().reset(Instant::now() + clock::until(next));
            }
            tokio::select! {
                taken = inputs.take(&mut batch, INPUTS_AT_ONCE) => if taken == 0 { return self.close().await },
                () = &mut timer, if timer_for.is_some() => timer_for = None,
                Some(outcome) = self.settled.recv() => self.settle_all(outcome),
                _ = second.tick() => self.every_second(),
                () = silence.lasts() => if inputs.waiting() == 0 { silence.note_lull(&self.rhythm) },
            }
            let heard_at = std::time::Instant::now();
            if !batch.is_empty() {
                silence.end(heard_at, &self.rhythm);
            }
            batch
                .iter()
                .filter_map(Input::sender)
                .for_each(|(sender, cue)| listener.heard(sender, cue));
            listener.decide(heard_at, &self.rhythm);
            let now = clock::now();
            let waiting: Vec<_> =
                batch.drain(..).filter_map(|input| self.handle(now, input)).collect();
            self.bridge.tick(now);
            self.topics_wanted.store(self.bridge.hub.topics_wanted(), Ordering::Relaxed);
            self.keep(waiting);
        }
    }

    async fn close(mut self) -> Result<(), NotStored> {
        self.bridge.stop(clock::now());
        self.keep(Vec::new());
        let Self { database, bridge, .. } = self;
        let last = bridge.hub.offset();
        let closed = tokio::task::spawn_blocking(move || database.close(last)).await;
        closed.unwrap_or_else(|_| Err(NotStored("closing the database panicked".into())))
    }

    /// Gives the store what this round changed; who waits is answered when it is stored, or at once where
    /// there is nothing to wait for.
    fn keep(&mut self, waiting: Vec<Waiting>) {
        // First: what is recorded and raised of commands is kept with them.
        let (command_rows, effects) = self.command_round();
        let updates = self.bridge.hub.take_to_keep();
        let (mut rows, mut receipts) = self.watchers.follow(&self.bridge.take_watched());
        let devices = self.bridge.take_device_changes();
        self.watchers.forget(&devices);
        rows.extend(devices.into_iter().map(device_row));
        let forgotten = self.bridge.hub.take_forgotten();
        rows.extend(forgotten.iter().map(|(channel, offset)| Row::forgotten(channel, *offset)));
        rows.extend(command_rows);
        // Into the same commit where it is complete; what is not may follow, never come before.
        let (complete, followed) = self.take_gatherings();
        rows.extend(followed.iter().flat_map(Gathering::take_early));
        for (more_rows, more_receipts) in complete.into_iter().map(Gathering::take) {
            rows.extend(more_rows);
            receipts.extend(more_receipts);
        }
        let through = self.bridge.hub.offset();
        let changed = !rows.is_empty() || effects.is_some();
        let (mut lookers, mut enders) = (Vec::new(), Vec::new());
        for waiting in waiting {
            match waiting {
                Waiting::Publisher(receipt) => receipts.push(receipt),
                Waiting::Changer(receipt) if changed => receipts.push(receipt),
                Waiting::Looker(answer) => lookers.push(answer),
                Waiting::Ender(command, reply) => enders.push((command, reply)),
                Waiting::Changer(receipt) => receipt.tell(Ok(())),
            }
        }
        let receipts = self.deferred.take(effects, receipts);
        // Behind the round, for what they see may be what it changed.
        lookers.into_iter().for_each(|looker| self.deferred.look(looker));
        enders.into_iter().for_each(|(command, reply)| self.await_end(command, reply));
        if through > self.kept_through || changed || !receipts.is_empty() {
            self.kept_through = through;
            self.store.keep(Batch { updates, rows, receipts, through });
        }
        drop(followed);
    }

    /// Those to which nothing is added any more, and the others.
    fn take_gatherings(&mut self) -> (Vec<Gathering>, Vec<Gathering>) {
        std::mem::take(&mut self.gatherings).into_iter().partition(Gathering::is_complete)
    }

    fn handle(&mut self, now: Timestamp, input: Input) -> Option<Waiting> {
        match input {
            Input::Ingest { inbound, receipt, gathering, .. } => {
                self.bridge.ingest(now, inbound);
                self.gatherings.extend(gathering);
                let receipt = receipt?;
                Some(Waiting::Publisher(Receipt::patient(move |stored| {
                    if stored.is_ok() {
                        let _connection_may_be_gone = receipt.send(());
                    }
                })))
            }
            Input::LastWords(inbound) => {
                self.bridge.last_words(now, inbound);
                None
            }
            Input::Raw { topic, data } => {
                self.bridge.raw(now, &topic, data);
                None
            }
            Input::Edge { event, mailbox } => {
                self.note_mailbox(&event, mailbox);
                self.bridge.edge(now, event);
                None
            }
            Input::Ask(question) => {
                question(&mut self.bridge, now);
                None
            }
            Input::Change(change) => Some(Waiting::Changer(change(&mut self.bridge, now))),
            Input::Look(look) => Some(Waiting::Looker(look(&self.bridge, now))),
            Input::AwaitEnd { command, reply } => Some(Waiting::Ender(command, reply)),
            Input::Gone(connection) => {
                self.mailboxes.remove(&connection);
                None
            }
            Input::Kick { device } => {
                self.kick(&device);
                None
            }
        }
    }

    fn note_mailbox(&mut self, event: &EdgeEvent, mailbox: Option<Sender<Downlink>>) {
        let (EdgeEvent::Attached { connection, .. }
        | EdgeEvent::Receives { connection, .. }
        | EdgeEvent::Listens { connection, .. }) = event
        else {
            return;
        };
        if let Some(mailbox) = mailbox {
            self.mailboxes.insert(*connection, mailbox);
        }
    }

    fn kick(&mut self, device: &DeviceId) {
        let connection =
            self.bridge.devices().get(device).and_then(bridge::devices::Record::connection);
        let Some(connection) = connection else { return };
        if let Some(mailbox) = self.mailboxes.get(&connection) {
            // A full mailbox belongs to a peer that does not read: its write timeout ends it.
            let _full_or_gone = mailbox.try_send(Downlink::Kick(connection), MAILBOX_MESSAGES_MAX);
        }
    }

    fn settle_all(&mut self, first: Outcome) {
        let now = clock::now();
        self.settle(now, first);
        while let Ok(outcome) = self.settled.try_recv() {
            self.settle(now, outcome);
        }
    }

    fn every_second(&mut self) {
        let now = clock::now();
        self.retry_kept_back |= self.deferred.is_stuck();
        self.waiting.retain(|_, callers| {
            callers.retain(|caller| !caller.is_closed());
            !callers.is_empty()
        });
        self.bridge.look_for_silent(now);
        self.watchers.every_second(&self.bridge, &self.store);
        let figures = self.stats.every_second(&self.bridge, self.store.figures(), now);
        self.bridge.tell_stats(now, &figures);
    }
}

/// Where what changes is kept, and who is told once it is.
#[derive(Debug)]
pub struct Keeping {
    /// The store.
    pub database: Database,
    /// Who else is told.
    pub watchers: Watchers,
}

fn device_row(change: Change) -> Row {
    match change {
        Change::Set(device, kept) => {
            let body = serde_json::to_string(&kept).expect("text keys only");
            Row::set(Table::Device, device.as_str(), body)
        }
        Change::Deleted(device) => Row::gone(Table::Device, device.as_str()),
    }
}
