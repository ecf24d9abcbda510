//! What subscribers get of the hub, seen through real outboxes.

mod live;
mod model;
mod past;

use super::*;
use crate::{
    data::Metrics,
    outbox::{Encoding, Frame, Outbox},
    rights::Rights,
};
use serde_json::Value;
use std::{cell::RefCell, rc::Rc};

const LIMITS: HubLimits =
    HubLimits { channels: 8, subscriptions: 3, account_subscriptions: 4, ring_bytes: 1 << 20 };
const NOW: Timestamp = Timestamp(1_000);

#[derive(Clone, Debug)]
struct Reader(Rc<RefCell<Outbox>>);

impl Default for Reader {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(Outbox::new("epoch".into(), Encoding::Json))))
    }
}

impl Sink for Reader {
    fn offer(&self, update: &Arc<Update>, delivery: Delivery) {
        let mut outbox = self.0.borrow_mut();
        let _wake = match delivery {
            Delivery::Every => outbox.every(update),
            Delivery::Latest { interval } => outbox.latest(NOW, update, interval),
        };
    }

    fn replay(&self, update: &Arc<Update>) {
        let _wake = self.0.borrow_mut().replay(update);
    }

    fn supersede(&self, update: &Update, offset: Offset) {
        self.0.borrow_mut().supersede(update, offset);
    }

    fn snapshot(&self, channel: &TopicName, stamp: Stamp, data: &Data) {
        let _wake = self.0.borrow_mut().snapshot(channel.clone(), stamp, data.clone());
    }

    fn release(&self, channel: &TopicName) {
        let _wake = self.0.borrow_mut().release(channel);
    }

    fn withdraw(&self, channel: &TopicName) {
        self.0.borrow_mut().withdraw(channel);
    }

    fn reply(&self, reply: &Reply) {
        let _wake = self.0.borrow_mut().reply(reply);
    }
}

impl Reader {
    /// What came since the last call: updates as `channel seq data`, with a mark; replies by type.
    fn read(&self) -> Vec<String> {
        self.messages().iter().map(short).collect()
    }

    fn messages(&self) -> Vec<Value> {
        match self.0.borrow_mut().take(NOW, 1 << 24) {
            Some(Frame::Text(frame)) => serde_json::from_str(&frame).unwrap(),
            Some(Frame::Binary(_)) => panic!("a binary frame for who speaks JSON"),
            None => Vec::new(),
        }
    }
}

fn short(message: &Value) -> String {
    let Some(kind) = message.get("type") else {
        let mark = ["snapshot", "replayed"].into_iter().find(|mark| message.get(mark).is_some());
        let mark = mark.map(|mark| format!(" {mark}")).unwrap_or_default();
        let channel = message["channel"].as_str().unwrap();
        return format!("{channel} {} {}{mark}", message["seq"], message["data"]);
    };
    let code = message.get("code").or(message.get("reason"));
    let code = code.map(|code| format!(" {}", code.as_str().unwrap()));
    format!("{}{}", kind.as_str().unwrap(), code.unwrap_or_default())
}

/// A hub with a hand on its publishers.
struct Bench {
    hub: Hub<Reader>,
    joined: u64,
}

impl Bench {
    fn new() -> Self {
        Self { hub: Hub::new(beginning(0), LIMITS), joined: 0 }
    }

    /// One whose memory holds so many small updates.
    fn with(updates: usize, beginning: Beginning) -> Self {
        let ring_bytes = updates * past("telemetry/a", 1, 1).weight() + 100;
        Self { hub: Hub::new(beginning, HubLimits { ring_bytes, ..LIMITS }), joined: 0 }
    }

    /// Lets a subscriber catch up as far as it goes.
    fn settle(&mut self, id: SubscriberId) -> Next {
        loop {
            match self.hub.catch_up(id) {
                Next::Step => {}
                next @ (Next::Live | Next::Log { .. } | Next::Range { .. }) => return next,
            }
        }
    }

    fn join(&mut self) -> (SubscriberId, Reader) {
        self.joined += 1;
        let (id, reader) = (SubscriberId(self.joined), Reader::default());
        self.hub.join(id, reader.clone(), Rights::everything());
        (id, reader)
    }

    fn subscribe(&mut self, id: SubscriberId, filters: &[&str], options: Value) {
        let options = serde_json::from_value(options).unwrap();
        self.hub.subscribe(id, None, parsed(filters), &options, |_, _| Prelude::Whole);
    }

    fn publish(&mut self, channel: &str, metrics: &str) {
        let metrics = Metrics::parse(metrics).unwrap();
        let data = Data::Metrics(metrics);
        self.hub.publish(NOW, &channel.parse().unwrap(), None, data).unwrap();
    }
}

fn beginning(offset: u64) -> Beginning {
    let (channels, gaps) = (Vec::new(), Vec::new());
    let (epoch, offset, new_channels_after) = ("epoch".into(), Offset(offset), Seq(0));
    Beginning { epoch, offset, channels, gaps, new_channels_after }
}

fn parsed(filters: &[&str]) -> Vec<TopicFilter> {
    filters.iter().map(|filter| filter.parse().unwrap()).collect()
}

fn none() -> Value {
    serde_json::json!({})
}

fn channel(name: &str) -> TopicName {
    name.parse().unwrap()
}

fn since(epoch: &str, offset: u64) -> Value {
    serde_json::json!({"since": {"epoch": epoch, "offset": offset}})
}

/// An update as the store gives it back.
fn past(channel: &str, seq: u64, offset: u64) -> Arc<Update> {
    let data = Data::Metrics(Metrics::parse(&format!(r#"{{"t":{seq}}}"#)).unwrap());
    let stamp = Stamp { seq: Seq(seq), offset: Offset(offset), timestamp: NOW };
    Arc::new(Update::new(channel.parse().unwrap(), ChannelKind::Telemetry, stamp, data))
}
