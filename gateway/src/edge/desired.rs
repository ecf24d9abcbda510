//! What is desired of devices: the retained messages on `devices/{device}/desired`, and the way to the
//! devices that listen now.
//!
//! These messages are the gateway's own: they do not count against the bounds on retained messages, for
//! there is one a device at most, and a device that subscribes gets the gateway's, whatever others
//! published there. A device whose connection has no room for the newest is sent it again.

use super::{
    backlog::{ByTopic, Page, Place, page},
    outbox::Room,
    shared::Shared,
    subscriptions::Source,
};
use crate::exchange::{Arrival, Message, Properties};
use protocol::{Desired, DeviceId, TopicFilter, TopicName, topics};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// The messages that are retained, and who is still to be sent them.
#[derive(Debug, Default)]
pub(super) struct DesiredStates(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_topic: ByTopic,
    /// Devices that listen and had no room.
    unsent: BTreeSet<DeviceId>,
}

impl DesiredStates {
    /// The one on this topic.
    pub(super) fn on(&self, topic: &str) -> Option<Arc<Message>> {
        let topic: TopicName = topic.parse().ok()?;
        self.lock().by_topic.get(&topic).map(Arc::clone)
    }

    /// The next that `filter` matches.
    pub(super) fn page(&self, filter: &TopicFilter, place: &Place, room: Room) -> Page {
        page(&self.lock().by_topic, filter, place, room)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells devices what is desired of them. Cheap to clone; nothing of it waits. It does not keep the edge
/// alive: once that has ended, nobody is told.
#[derive(Clone, Debug)]
pub struct DesiredPublisher(pub(super) Weak<Shared>);

impl DesiredPublisher {
    /// Retains what is desired of a device, for when it comes.
    pub fn retain(&self, device: &DeviceId, desired: &Desired) {
        if let Some(shared) = self.0.upgrade() {
            retain(&shared, Arc::new(message(device, desired)));
        }
    }

    /// Retains what is desired of a device now, and sends it; none: there is nothing any more.
    pub fn publish(&self, device: &DeviceId, desired: Option<&Desired>) {
        let Some(shared) = self.0.upgrade() else { return };
        let Some(desired) = desired else {
            let mut kept = shared.desired.lock();
            kept.by_topic.remove(&topic(device));
            kept.unsent.remove(device);
            return;
        };
        let message = message(device, desired);
        shared.core.offer_raw(&message.topic, &message.payload, message.qos, message.retain);
        if shared.exchange.has_links() {
            shared.exchange.offer(message.clone());
        }
        let message = Arc::new(message);
        retain(&shared, Arc::clone(&message));
        send(&shared, device, message);
    }

    /// A device was deleted: nothing on its topics is retained any more, nor left there by a will that waits.
    pub fn forget(&self, device: &DeviceId) {
        if let Some(shared) = self.0.upgrade() {
            shared.registry.deleted(device);
            shared.retained.forget(device);
        }
    }

    /// Sends again what there was no room for; call it about every second.
    pub fn retry(&self) {
        let Some(shared) = self.0.upgrade() else { return };
        let unsent = std::mem::take(&mut shared.desired.lock().unsent);
        for device in unsent {
            if let Some(message) = shared.desired.on(&topics::desired(&device)) {
                send(&shared, &device, message);
            }
        }
    }
}

fn retain(shared: &Shared, message: Arc<Message>) {
    shared.desired.lock().by_topic.insert(message.topic.clone(), message);
}

/// To the device's own connection, where it listens; others get it by the exchange.
fn send(shared: &Shared, device: &DeviceId, message: Arc<Message>) {
    let Some(down) = shared.registry.down(device.as_str()) else { return };
    if !down.pass(arrival(message)) {
        shared.counters.desired_retries.increment();
        shared.desired.lock().unsent.insert(device.clone());
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> super::connection::Connection<S> {
    /// A device that finds its session again gets the newest of what is desired, for what was sent before
    /// may not have come through.
    pub(super) fn resend_desired(&mut self) {
        let Some(device) = &self.client.device else { return };
        if let Some(message) = self.shared.desired.on(&topics::desired(device)) {
            self.deliver(arrival(message), Source::Own);
        }
    }
}

fn arrival(message: Arc<Message>) -> Arrival {
    Arrival { message, share: None, gathering: None }
}

fn topic(device: &DeviceId) -> TopicName {
    topics::desired(device).parse().expect("ids make valid topics")
}

fn message(device: &DeviceId, desired: &Desired) -> Message {
    let payload = serde_json::to_vec(desired).expect("a number and an object");
    Message {
        topic: topic(device),
        payload: payload.into(),
        qos: 1,
        retain: true,
        publisher: None,
        served: None,
        retained_as: 0,
        properties: Properties {
            content_type: Some("application/json".into()),
            ..Properties::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(devices: &[&str]) -> DesiredStates {
        let states = DesiredStates::default();
        for device in devices {
            let empty = serde_json::value::RawValue::from_string("{}".into()).unwrap();
            let desired = Desired { version: 1, desired: empty.into() };
            let message = Arc::new(message(&device.parse().unwrap(), &desired));
            states.lock().by_topic.insert(message.topic.clone(), message);
        }
        states
    }

    fn found(states: &DesiredStates, filter: &str) -> Vec<String> {
        let room = Room { messages: 10, bytes: 1_000, any: true };
        let found = states.page(&filter.parse().unwrap(), &Place::default(), room);
        found.messages.iter().map(|message| message.topic.to_string()).collect()
    }

    #[test]
    fn a_filter_finds_what_is_desired() {
        let states = kept(&["d1", "d2"]);
        assert_eq!(found(&states, "devices/d1/desired"), ["devices/d1/desired"]);
        assert_eq!(found(&states, "devices/d3/desired"), Vec::<String>::new());
        let both = ["devices/d1/desired", "devices/d2/desired"];
        assert_eq!(found(&states, "devices/+/desired"), both);
    }
}
