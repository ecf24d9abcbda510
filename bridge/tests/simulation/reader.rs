//! The server's end of a client's line.

use crate::Clock;
use bridge::{
    data::Data,
    hub::Sink,
    outbox::{Delivery, Outbox},
    update::{Stamp, Update},
};
use protocol::{Offset, Reply, Timestamp, TopicName};
use std::{cell::RefCell, rc::Rc, sync::Arc};

/// The connection's outbox, as the gateway has it.
#[derive(Clone, Debug)]
pub(crate) struct Reader(pub(crate) Rc<RefCell<Outbox>>, pub(crate) Clock);

impl Reader {
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.1.get())
    }
}

impl Sink for Reader {
    fn offer(&self, update: &Arc<Update>, delivery: Delivery) {
        let mut outbox = self.0.borrow_mut();
        let _wake = match delivery {
            Delivery::Every => outbox.every(update),
            Delivery::Latest { interval } => outbox.latest(self.now(), update, interval),
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
