//! The task behind [`Core`](super::Core): takes inputs in order, lets the bridge decide, tells subscribers at
//! once, gives the store what is to be kept, and answers who waits for that when it is.

use super::{CarriedCommand, DeviceMessage, Downlink, Input, Outlet};
use crate::{
    clock,
    exchange::{Exchange, Message, Properties},
    rhythm::{self, Rhythm},
    stats::Stats,
    store::{Batch, Database, NotStored, Receipt, Row, StoreHandle, Table},
};
use bridge::{
    bridge::Bridge,
    command::book::Effect,
    devices::Change,
    event::{ConnectionId, EdgeEvent},
};
use protocol::{
    Command, CommandDetails, CommandId, Delivery, DeviceId, Offset, Timestamp, TopicName, topics,
};
use std::{
    collections::HashMap,
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
    bridge: Bridge<Outlet>,
    database: Database,
    store: StoreHandle,
    acknowledge: Acknowledge,
    /// The newest offset that the store was told of.
    kept_through: Offset,
    exchange: Exchange,
    stats: Arc<Stats>,
    rhythm: Arc<Rhythm>,
    topics_wanted: Arc<std::sync::atomic::AtomicBool>,
    mailboxes: HashMap<ConnectionId, mpsc::Sender<Downlink>>,
    waiting: HashMap<CommandId, Vec<oneshot::Sender<Command>>>,
}

/// Who waits for the end of a round.
enum Waiting {
    /// A publisher, for its messages.
    Publisher(Receipt),
    /// Somebody who asked, for what the question changed.
    Asker(Receipt),
}

impl Actor {
    /// The actor for `core`'s queue.
    #[must_use]
    pub fn new(
        core: &super::Core,
        bridge: Bridge<Outlet>,
        database: Database,
        acknowledge: Acknowledge,
        exchange: Exchange,
        stats: Arc<Stats>,
        rhythm: Arc<Rhythm>,
    ) -> Self {
        Self {
            kept_through: bridge.hub.offset(),
            bridge,
            store: database.handle(),
            database,
            acknowledge,
            exchange,
            stats,
            rhythm,
            topics_wanted: Arc::clone(&core.topics_wanted),
            mailboxes: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// Runs until every handle is gone; then closes the database.
    ///
    /// # Errors
    /// [`NotStored`] when the database cannot be closed in order.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) -> Result<(), NotStored> {
        let mut batch = Vec::with_capacity(INPUTS_AT_ONCE);
        let mut second = time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut timer = pin!(time::sleep(Duration::ZERO));
        let mut timer_for = None;
        let mut listener = rhythm::Listener::new(std::time::Instant::now());
        loop {
            let deadline = self.bridge.next_deadline();
            if deadline != timer_for {
                timer_for = deadline;
                timer
                    .as_mut()
                    .reset(Instant::now() + deadline.map_or(Duration::ZERO, clock::until));
            }
            tokio::select! {
                taken = inputs.recv_many(&mut batch, INPUTS_AT_ONCE) => if taken == 0 { return self.close().await },
                () = &mut timer, if timer_for.is_some() => timer_for = None,
                _ = second.tick() => self.every_second(),
            }
            batch.iter().filter_map(Input::sender).for_each(|sender| listener.heard(sender));
            listener.decide(std::time::Instant::now(), &self.rhythm);
            let now = clock::now();
            let waiting: Vec<_> =
                batch.drain(..).filter_map(|input| self.handle(now, input)).collect();
            self.bridge.tick(now);
            self.settle(now);
            self.topics_wanted.store(self.bridge.hub.topics_wanted(), Ordering::Relaxed);
            self.keep(waiting);
        }
    }

    async fn close(self) -> Result<(), NotStored> {
        let Self { database, bridge, .. } = self;
        let last = bridge.hub.offset();
        let closed = tokio::task::spawn_blocking(move || database.close(last)).await;
        closed.unwrap_or_else(|_| Err(NotStored("closing the database panicked".into())))
    }

    /// Gives the store what this round changed; who waits is answered when it is stored, or at once where
    /// there is nothing to wait for.
    fn keep(&mut self, waiting: Vec<Waiting>) {
        let updates = self.bridge.hub.take_to_keep();
        let changes = self.bridge.take_device_changes();
        let through = self.bridge.hub.offset();
        let mut receipts = Vec::new();
        for waiting in waiting {
            match waiting {
                Waiting::Publisher(receipt) if self.acknowledge == Acknowledge::Stored => {
                    receipts.push(receipt);
                }
                Waiting::Asker(receipt) if !changes.is_empty() => receipts.push(receipt),
                Waiting::Publisher(receipt) | Waiting::Asker(receipt) => receipt(Ok(())),
            }
        }
        if through > self.kept_through || !changes.is_empty() || !receipts.is_empty() {
            self.kept_through = through;
            let rows = changes.into_iter().map(device_row).collect();
            self.store.keep(Batch { updates, rows, receipts, through });
        }
    }

    fn handle(&mut self, now: Timestamp, input: Input) -> Option<Waiting> {
        match input {
            Input::Ingest { inbound, receipt, .. } => {
                self.bridge.ingest(now, inbound);
                let receipt = receipt?;
                Some(Waiting::Publisher(Box::new(move |stored| {
                    if stored.is_ok() {
                        let _connection_may_be_gone = receipt.send(());
                    }
                })))
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
            Input::Ask(question) => Some(Waiting::Asker(question(&mut self.bridge, now))),
            Input::AwaitEnd { command, reply } => {
                self.await_end(command, reply);
                None
            }
            Input::Kick { device } => {
                self.kick(&device);
                None
            }
        }
    }

    fn note_mailbox(&mut self, event: &EdgeEvent, mailbox: Option<mpsc::Sender<Downlink>>) {
        let (EdgeEvent::Attached { connection, .. } | EdgeEvent::Receives { connection, .. }) =
            event
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
        if let Some(mailbox) = connection.and_then(|connection| self.mailboxes.get(&connection)) {
            // A full mailbox belongs to a peer that does not read: its write timeout ends it.
            let _full_or_gone = mailbox.try_send(Downlink::Kick);
        }
    }

    fn await_end(&mut self, id: CommandId, reply: oneshot::Sender<Command>) {
        let Some(details) = self.bridge.commands().get(id) else { return };
        if details.command.state.is_final() {
            let _caller_may_be_gone = reply.send(details.command.clone());
        } else {
            self.waiting.entry(id).or_default().push(reply);
        }
    }

    fn every_second(&mut self) {
        let now = clock::now();
        self.mailboxes.retain(|_, mailbox| !mailbox.is_closed());
        self.waiting.retain(|_, callers| {
            callers.retain(|caller| !caller.is_closed());
            !callers.is_empty()
        });
        self.bridge.look_for_silent(now);
        let figures = self.stats.every_second(&self.bridge, self.store.figures(), now);
        self.bridge.tell_stats(now, &figures);
    }

    /// Tells and sends what became of commands.
    fn settle(&mut self, now: Timestamp) {
        for effect in self.bridge.take_effects() {
            match effect {
                Effect::Changed(details) => self.tell(now, &details),
                Effect::Send { connection, device, delivery } => {
                    self.send(connection, command_message(&device, &delivery));
                }
                Effect::AskCancel { connection, device, command } => {
                    self.send(connection, cancel_message(&device, command));
                }
            }
        }
    }

    fn tell(&mut self, now: Timestamp, details: &CommandDetails) {
        self.bridge.announce(now, details);
        if details.command.state.is_final()
            && let Some(callers) = self.waiting.remove(&details.command.id)
        {
            for caller in callers {
                let _caller_may_be_gone = caller.send(details.command.clone());
            }
        }
    }

    /// Writes to the receiver, and a copy to the monitors.
    fn send(&self, connection: ConnectionId, message: DeviceMessage) {
        if self.exchange.has_links() {
            self.exchange.offer(copy_for_monitors(connection, &message));
        }
        if let Some(mailbox) = self.mailboxes.get(&connection) {
            // Full or closed: the connection is at its end, and what was not acknowledged on it is
            // sent again on the next one.
            let _full_or_gone = mailbox.try_send(Downlink::Publish(Arc::new(message)));
        }
    }
}

/// When a QoS 1 or 2 publish is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once the core has it.
    Accepted,
    /// Once the store has it, in the sense that the store was opened with.
    Stored,
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

fn command_message(device: &DeviceId, delivery: &Delivery) -> DeviceMessage {
    let payload = serde_json::to_vec(delivery).expect("a delivery has text keys only");
    DeviceMessage {
        topic: name(&topics::command(device, delivery.id)),
        payload: payload.into(),
        command: Some(CarriedCommand {
            id: delivery.id,
            attempt: delivery.attempt,
            not_after: delivery.not_after,
            answer_topic: name(&topics::answer(device, delivery.id)),
        }),
    }
}

fn cancel_message(device: &DeviceId, command: CommandId) -> DeviceMessage {
    DeviceMessage {
        topic: name(&topics::cancel(device, command)),
        payload: format!(r#"{{"id":"{command}"}}"#).into(),
        command: None,
    }
}

fn copy_for_monitors(receiver: ConnectionId, message: &DeviceMessage) -> Message {
    Message {
        topic: message.topic.clone(),
        payload: message.payload.clone(),
        qos: 1,
        retain: false,
        publisher: None,
        served: Some(receiver),
        properties: Properties::default(),
    }
}

fn name(topic: &str) -> TopicName {
    topic.parse().expect("ids make valid topics")
}
