//! The actor's part in commands: tells, sends and keeps back what the book decided, in step with the store.

use super::{
    Actor, CarriedCommand, DeviceMessage, Downlink, MAILBOX_MESSAGES_MAX,
    deferred::{Outcome, Settled},
    raw,
};
use crate::{
    exchange::{Message, Properties},
    fault,
    store::{Row, Table},
};
use bridge::{
    command::book::{self, Effect, RowKind, Unwritten},
    event::{ConnectionId, EdgeEvent},
    mapping::Rendered,
};
use protocol::{
    CommandDetails, CommandId, CommandState, Delivery, DeviceId, Timestamp, TopicName, topics,
};
use std::sync::Arc;
use tokio::sync::{mpsc::error::TrySendError, oneshot};

impl Actor {
    /// What changed of commands in this round: the rows, and the effects that happen once they are stored.
    pub(super) fn command_round(&mut self) -> (Vec<Row>, Option<Vec<Effect>>) {
        let rows: Vec<_> = self.bridge.take_command_rows().into_iter().map(stored_row).collect();
        let effects = self.bridge.take_effects();
        if rows.is_empty() && effects.is_empty() && !self.retry_kept_back {
            return (rows, None);
        }
        self.retry_kept_back = false;
        fault::effects("before_store", &effects);
        (rows, Some(effects))
    }

    /// A round is stored, or could not be.
    pub(super) fn settle(&mut self, now: Timestamp, outcome: Outcome) {
        match self.deferred.settle(outcome) {
            Some(Settled::Stored(effects)) => {
                self.bridge.stored(now);
                fault::effects("after_store", &effects);
                effects.into_iter().for_each(|effect| self.happen(now, effect));
            }
            Some(Settled::NotStored(effects)) => {
                let left = self.bridge.not_stored(now, effects);
                self.deferred.keep_back(left);
            }
            None => {}
        }
    }

    /// Answers once the command has ended, and that is stored.
    pub(super) fn await_end(&mut self, id: CommandId, reply: oneshot::Sender<CommandDetails>) {
        let Some(details) = self.bridge.commands().get(id) else { return };
        if details.command.state.is_final() && !self.deferred.concerns(id) {
            let _caller_may_be_gone = reply.send(details.clone());
        } else {
            self.waiting.entry(id).or_default().push(reply);
        }
    }

    /// Tells and sends what became of commands.
    fn happen(&mut self, now: Timestamp, effect: Effect) {
        match effect {
            Effect::Created(at, details) | Effect::Changed(at, details) => {
                if self.bridge.commands().was_taken_back(&details) {
                    return;
                }
                self.tell(now, at, &details);
                fault::effects("after_told", &[Effect::Changed(at, details)]);
            }
            Effect::BatchChanged(batch) => self.bridge.announce_batch(now, &batch),
            Effect::Send { connection, device, mut delivery } => {
                if self.bridge.departs(now, connection, &mut delivery) {
                    self.send_command(now, connection, &device, &delivery);
                }
            }
            Effect::AskCancel { connection, device, command } => {
                let asked = self.bridge.commands().get(command);
                if asked.is_some_and(|it| it.command.state == CommandState::Cancelling) {
                    self.send(now, connection, cancel_message(&device, command));
                }
            }
            Effect::Recall { connection, command, attempt } => {
                self.recall(now, connection, command, attempt);
            }
            Effect::Forget(device) => self.bridge.forget_commands_of(&device),
            Effect::AlertChanged(at, alert) => self.bridge.announce_alert(now, at, &alert),
        }
    }

    fn send_command(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        device: &DeviceId,
        delivery: &Delivery,
    ) {
        let (command, attempt) = (delivery.id, delivery.attempt);
        let message = match self.bridge.rendered(device, delivery) {
            None => command_message(device, delivery),
            Some(Ok(rendered)) => mapped_message(rendered, delivery),
            Some(Err(error)) => {
                tracing::warn!(%command, %device, error, "a command does not fit its device's mapping");
                let why = Unwritten::NotMapped;
                self.bridge.edge(now, EdgeEvent::NotWritten { command, attempt, why });
                return;
            }
        };
        self.send(now, connection, message);
        self.bridge.written(command, attempt);
        fault::point("after_publish");
    }

    /// Has a connection give back a command that waits in it. One that has ended wrote it never: what it wrote it said
    /// before its end.
    fn recall(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        command: CommandId,
        attempt: u32,
    ) {
        match self.mailboxes.get(&connection) {
            Some(mailbox) => {
                let recall = Downlink::Recall(connection, command, attempt);
                // It is asked again, while this is the newest attempt.
                let _full_or_at_its_end = mailbox.try_send(recall, MAILBOX_MESSAGES_MAX);
            }
            None => self.bridge.edge(now, EdgeEvent::GivenBack { command, attempt }),
        }
    }

    fn tell(&mut self, now: Timestamp, at: Timestamp, details: &CommandDetails) {
        self.bridge.announce(now, at, details);
        if details.command.state.is_final()
            && let Some(callers) = self.waiting.remove(&details.command.id)
        {
            for caller in callers {
                let _caller_may_be_gone = caller.send(details.clone());
            }
        }
    }

    /// Writes to the receiver, and a copy to the monitors, those of `topics/...` too.
    fn send(&mut self, now: Timestamp, connection: ConnectionId, message: DeviceMessage) {
        if self.bridge.hub.topics_wanted() {
            self.bridge.raw(now, &message.topic, raw(&message.payload, 1, false));
        }
        if self.exchange.has_links() {
            self.exchange.offer(copy_for_monitors(connection, &message));
        }
        let Some(mailbox) = self.mailboxes.get(&connection) else { return };
        let command = message.command.as_ref().map(|carried| (carried.id, carried.attempt));
        // Closed: the connection is at its end, and what was not acknowledged on it is sent again on the
        // next one.
        let message = Downlink::Publish(connection, Arc::new(message));
        if let Err(TrySendError::Full(_)) = mailbox.try_send(message, MAILBOX_MESSAGES_MAX)
            && let Some((command, attempt)) = command
        {
            let why = Unwritten::Full;
            self.bridge.edge(now, EdgeEvent::NotWritten { command, attempt, why });
        }
    }
}

fn stored_row(row: book::Row) -> Row {
    let table = match row.kind {
        RowKind::Command => Table::Command,
        RowKind::Batch => Table::Batch,
    };
    Row { table, key: row.key, body: row.body.map(String::into_bytes) }
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
            answer_topic: Some(name(&topics::answer(device, delivery.id))),
        }),
    }
}

/// The message for a device that knows only its own topics.
fn mapped_message(rendered: Rendered, delivery: &Delivery) -> DeviceMessage {
    let Delivery { id, attempt, not_after, .. } = *delivery;
    DeviceMessage {
        topic: rendered.topic,
        payload: rendered.payload.into(),
        command: Some(CarriedCommand { id, attempt, not_after, answer_topic: None }),
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
        retained_as: 0,
        properties: Properties::default(),
    }
}

fn name(topic: &str) -> TopicName {
    topic.parse().expect("ids make valid topics")
}
