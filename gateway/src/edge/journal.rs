//! What lies on the disk of one session, and what waits for that.
//!
//! A session that outlives its connection has a row for itself ([`Head`]), one for each message that is not
//! done, and one for the id of each QoS 2 message of the client that is not released. A message leaves the
//! queue, and an answer the gateway, once its row is stored: so a packet id never means two messages, whenever
//! the process dies. A session that ends with its connection has no journal.

use super::{
    mark::Mark,
    outbox::{Entry, Number},
    shared::Shared,
    subscribing::Answer,
    subscriptions::Subscription,
    wire::{Will, encode_record},
};
use crate::{
    auth::Identity,
    config::Ack,
    mailbox::Mailbox,
    store::{Batch, Gathering, Receipt, Row, StoreHandle, Table},
};
use protocol::{Offset, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

/// What a session's own row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Which session of the client it is; rows of another one are left over.
    pub(super) session: u32,
    /// How long the session outlives its connection, in seconds.
    pub(super) lasts_s: u32,
    /// When it ends; none: its client is connected.
    pub(super) ends_at: Option<Timestamp>,
    /// The last message that may have been sent.
    pub(super) sent_through: u64,
    /// Whose it is; none: of a client that was trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<Identity>,
    pub(super) subscriptions: Vec<Subscription>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) will: Option<KeptWill>,
}

/// A will that may have to be published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptWill {
    /// When it is due; none: its client is connected.
    pub(super) due: Option<Timestamp>,
    pub(super) will: Will,
}

/// What is done once it is stored.
#[derive(Debug)]
pub(super) enum Then {
    /// PUBREL goes out.
    Release(u16),
    /// PUBCOMP goes out.
    Complete(u16),
    /// A changed subscription is answered.
    Answer(Answer),
}

/// The disk's side of a session.
#[derive(Debug)]
pub(super) struct Journal {
    store: StoreHandle,
    client_id: Arc<str>,
    session: u32,
    ack: Ack,
    /// Gets something when something was stored that was waited for.
    stored: Mailbox<()>,
    /// To be given to the store together.
    rows: Vec<Row>,
    then: Vec<Then>,
    waiting: VecDeque<(Mark, Vec<Then>)>,
}

impl Journal {
    /// The journal of a new session of `client_id`.
    pub(super) fn new(shared: &Shared, client_id: Arc<str>) -> Self {
        Self::of(shared, client_id, rand::random())
    }

    /// The journal of a session that was restored.
    pub(super) fn of(shared: &Shared, client_id: Arc<str>, session: u32) -> Self {
        Self {
            store: shared.store.clone(),
            client_id,
            session,
            ack: shared.ack,
            stored: Mailbox::new(),
            rows: Vec::new(),
            then: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Something was stored that was waited for.
    pub(super) fn poll_stored(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.stored.poll_recv(context)
    }

    /// Whether something waits for the disk.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The session's number.
    pub(super) const fn session(&self) -> u32 {
        self.session
    }

    /// Writes the session's own row.
    pub(super) fn head(&mut self, head: &Head) {
        let body = serde_json::to_vec(head).expect("a head has text keys only");
        self.rows.push(Row::set(Table::Session, &*self.client_id, body));
    }

    /// Has a message stored with what `gathering` holds.
    pub(super) fn queued(&self, gathering: &Gathering, number: Number, entry: &Entry) {
        let Entry { message, qos, retain, identifiers, share, .. } = entry;
        let body = encode_record(message, *qos, *retain, identifiers, share.as_deref());
        gathering.add(Row::set(Table::Session, self.key(Part::Message(number)), body));
        if let Some(mark) = entry.stored.clone() {
            gathering.then(self.receipt(mark));
        }
    }

    /// A message is done.
    pub(super) fn done(&mut self, number: Number) {
        self.rows.push(Row::gone(Table::Session, self.key(Part::Message(number))));
    }

    /// The client has a QoS 2 message; PUBREL follows.
    pub(super) fn released(&mut self, number: Number) {
        let key = self.key(Part::Message(number));
        self.rows.push(Row::set(Table::Session, key, [RELEASED]));
        self.then.push(Then::Release(number.id()));
    }

    /// A QoS 2 message of the client came, and something is stored of it with what is in `gathering`. Where its PUBREC
    /// does not wait for that PUBREL might come first, so its row is noted here, in the order of the flow.
    pub(super) fn incoming(&mut self, id: u16, gathering: impl FnOnce() -> Gathering) {
        let row = |body| Row::set(Table::Session, self.key(Part::Incoming(id)), body);
        if self.ack == Ack::Accepted {
            let row = row(Vec::new());
            return self.rows.push(row);
        }
        let gathering = gathering();
        gathering.add_early(row(vec![SAID]));
        gathering.add(row(Vec::new()));
    }

    /// A QoS 2 message of the client is no longer known.
    pub(super) fn incoming_done(&mut self, id: u16) {
        self.rows.push(Row::gone(Table::Session, self.key(Part::Incoming(id))));
    }

    /// Does `then` once all that was noted is stored.
    pub(super) fn then(&mut self, then: Then) {
        self.then.push(then);
    }

    /// The session has ended: removes its rows, those of `numbers` and `incoming` too.
    pub(super) fn erase(
        mut self,
        numbers: impl Iterator<Item = Number>,
        incoming: impl Iterator<Item = u16>,
    ) {
        self.rows.push(Row::gone(Table::Session, &*self.client_id));
        let parts = numbers.map(Part::Message).chain(incoming.map(Part::Incoming));
        let gone: Vec<Row> = parts.map(|part| Row::gone(Table::Session, self.key(part))).collect();
        self.rows.extend(gone);
        self.then.clear();
        self.flush();
    }

    /// Gives the store what was noted.
    pub(super) fn flush(&mut self) {
        if self.rows.is_empty() && self.then.is_empty() {
            return;
        }
        let (rows, then) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.then));
        let mut batch =
            Batch { updates: Vec::new(), rows, receipts: Vec::new(), through: Offset(0) };
        if !then.is_empty() {
            let mark = Mark::default();
            batch.receipts.push(self.receipt(mark.clone()));
            self.waiting.push_back((mark, then));
        }
        self.store.keep(batch);
    }

    /// What is to be done now.
    pub(super) fn due(&mut self) -> Option<Vec<Then>> {
        self.waiting.pop_front_if(|(mark, _)| mark.is_set()).map(|(_, then)| then)
    }

    /// Where the disk fails, life goes on: `mark` is set as soon as that is known. What is queued is sent then and the
    /// client answered, though a kill may undo it; who published it hears nothing until it is stored.
    fn receipt(&self, mark: Mark) -> Receipt {
        let stored = self.stored.sender();
        Receipt::impatient(move |_either_way| {
            mark.set();
            // One is enough for all, and the session may have ended.
            let _told = stored.try_send((), 1);
        })
    }

    fn key(&self, part: Part) -> String {
        part.key(&self.client_id, self.session)
    }
}

/// The body of a row whose message the client has.
pub(super) const RELEASED: u8 = 0;

/// The body of the row of a QoS 2 message of the client where what it says is stored, but not what it leaves in queues.
pub(super) const SAID: u8 = 1;

/// A row of a session beside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Incoming(u16),
    Message(Number),
}

impl Part {
    /// The key of its row.
    pub(super) fn key(self, client_id: &str, session: u32) -> String {
        match self {
            Self::Incoming(id) => format!("{client_id}\t{session:08x}i{id:04x}"),
            Self::Message(number) => format!("{client_id}\t{session:08x}m{:016x}", number.0),
        }
    }

    /// The client, the session and the part that a key names; none: it names a session itself. A client id
    /// has no control characters.
    pub(super) fn of_key(key: &str) -> Option<(&str, u32, Self)> {
        let (client, rest) = key.split_once('\t')?;
        let (session, rest) = rest.split_at_checked(8)?;
        let (kind, number) = rest.split_at_checked(1)?;
        let number = u64::from_str_radix(number, 16).ok()?;
        let part = match kind {
            "i" => Self::Incoming(u16::try_from(number).ok()?),
            "m" => Self::Message(Number(number)),
            _ => return None,
        };
        Some((client, u32::from_str_radix(session, 16).ok()?, part))
    }
}
