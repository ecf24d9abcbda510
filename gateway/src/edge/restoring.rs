//! Sessions that an earlier process left on the disk: each waits for its client again.

use super::{
    access::{Access, MaybeAccess},
    journal::{Head, Journal, KeptWill, Part, RELEASED, SAID},
    outbox::{Entry, Number},
    parked::Parked,
    session::{Incoming, Kept, Session},
    shared::Shared,
    subscriptions::{Grant, Source},
    wire::decode_record,
};
use crate::{
    auth::Principal,
    clock,
    exchange::{Attendance, Keeping, Link, Stopped},
    mailbox::Mailbox,
    store::{KeyAndBody, Row, Table},
};
use futures_util::{StreamExt as _, stream};
use protocol::{Millis, Timestamp};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How many sessions subscribe at the same time.
const AT_ONCE: usize = 64;

/// What the disk has of one client.
#[derive(Default)]
struct Found {
    head: Option<Head>,
    parts: Vec<(u32, Part, Vec<u8>)>,
}

/// The sessions of `rows`, subscribed again. Rows that belong to none are removed; what cannot be read is said
/// and removed too.
pub(super) async fn restore(shared: &Arc<Shared>, rows: Vec<KeyAndBody>) -> Vec<Parked> {
    let (found, garbage) = sort(rows);
    if !garbage.is_empty() {
        let rows = garbage.into_iter().map(|key| Row::gone(Table::Session, key)).collect();
        shared.store.keep_rows(rows);
    }
    let sessions = found.into_iter().map(|(client_id, head, parts)| {
        let shared = Arc::clone(shared);
        async move { Restored { client_id, head, parts }.park(shared).await }
    });
    let parked: Vec<Option<Parked>> =
        stream::iter(sessions).buffer_unordered(AT_ONCE).collect().await;
    let parked: Vec<Parked> = parked.into_iter().flatten().collect();
    if !parked.is_empty() {
        tracing::info!(sessions = parked.len(), "sessions of MQTT clients are restored");
    }
    parked
}

type Parts = Vec<(Part, Vec<u8>)>;

/// The row of a session with all that belongs to it.
type Whole = (Arc<str>, Head, Parts);

/// The sessions, and the keys of what belongs to none.
fn sort(rows: Vec<KeyAndBody>) -> (Vec<Whole>, Vec<String>) {
    let mut clients: BTreeMap<Arc<str>, Found> = BTreeMap::new();
    let mut garbage = Vec::new();
    for (key, body) in rows {
        if let Some((client, session, part)) = Part::of_key(&key) {
            clients.entry(client.into()).or_default().parts.push((session, part, body));
        } else if let Ok(head) = serde_json::from_slice(&body) {
            clients.entry(key.into()).or_default().head = Some(head);
        } else {
            tracing::warn!(key, "a session on the disk cannot be read: it is given up");
            garbage.push(key);
        }
    }
    let mut found = Vec::new();
    for (client_id, Found { head, parts }) in clients {
        let session = head.as_ref().map(|head| head.session);
        let (of_it, left_over): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|(number, ..)| session == Some(*number));
        let keys = left_over.iter().map(|(number, part, _)| part.key(&client_id, *number));
        garbage.extend(keys);
        if let Some(head) = head {
            let parts = of_it.into_iter().map(|(_, part, body)| (part, body)).collect();
            found.push((client_id, head, parts));
        }
    }
    (found, garbage)
}

struct Restored {
    client_id: Arc<str>,
    head: Head,
    parts: Parts,
}

impl Restored {
    async fn park(self, shared: Arc<Shared>) -> Option<Parked> {
        let Self { client_id, head, parts } = self;
        let mut session = session(&shared, &client_id, &head, parts);
        let Ok(room) = shared.sessions.clone().try_acquire_owned() else {
            shared.counters.limit_sessions.increment();
            session.forget();
            return None;
        };
        let link = follow(&shared, &session).await.ok()?;
        let connection = shared.next_connection();
        let access: MaybeAccess = head.owner.map(|owner| {
            let principal = Principal::of_session(owner);
            Arc::new(Access::new(principal, client_id.clone(), shared.rules.clone()))
        });
        session.restrict(&access);
        let claimed = shared.registry.claim(&client_id, connection, &access, |_| true);
        let (taken_over, _nobody) = claimed.ok()?;
        let own = session.subscriptions.any(Source::Own);
        let mailbox = own.then(Mailbox::new);
        let down = mailbox.as_ref().map(Mailbox::sender);
        shared.registry.set_down(&client_id, connection, down);
        let now = clock::now();
        let in_seconds = |seconds: u32| now.plus(Millis(u64::from(seconds) * 1_000));
        let ends_at = head.ends_at.unwrap_or_else(|| in_seconds(head.lasts_s));
        let will = head.will.map(|KeptWill { due, will }| {
            let due = due.unwrap_or_else(|| in_seconds(will.delay.min(head.lasts_s)));
            (will, instant(due, now))
        });
        let mut parked = Parked {
            shared,
            client_id,
            access,
            connection,
            kept: Kept { session, link, mailbox },
            will,
            expires: instant(ends_at, now),
            ends_at,
            lasts_s: head.lasts_s,
            taken_over,
            _room: Some(room),
        };
        // The process may have died while the client was connected: the disk learns the end of its time.
        parked.note();
        Some(parked)
    }
}

fn session(shared: &Shared, client_id: &Arc<str>, head: &Head, parts: Parts) -> Session {
    let mut session = Session::new(shared, 0);
    let mut journal = Journal::of(shared, Arc::clone(client_id), head.session);
    for subscription in &head.subscriptions {
        session.subscriptions.insert(subscription.clone());
    }
    // Of a client that was connected, nobody knows what it was sent.
    let sent_through = Number(if head.ends_at.is_some() { head.sent_through } else { u64::MAX });
    for (part, body) in parts {
        match part {
            Part::Incoming(id) => {
                let known = if body == [SAID] { Incoming::Said } else { Incoming::Recorded };
                session.incoming.insert(id, known);
            }
            Part::Message(number) if body == [RELEASED] => {
                session.outbox(shared).restore_released(number);
            }
            Part::Message(number) => match decode_record(&body) {
                Ok(record) => {
                    let grant = Grant {
                        qos: record.qos,
                        retain: record.retain,
                        identifiers: record.identifiers,
                    };
                    let entry = Entry { share: record.share, ..Entry::new(record.message, grant) };
                    session.outbox(shared).restore(number, entry, sent_through);
                }
                Err(_) => {
                    tracing::warn!(client = &**client_id, "a message on the disk cannot be read");
                    journal.done(number);
                }
            },
        }
    }
    session.journal = Some(Box::new(journal));
    session
}

async fn follow(shared: &Shared, session: &Session) -> Result<Option<Box<Link>>, Stopped> {
    if !session.subscriptions.any(Source::Link) {
        return Ok(None);
    }
    let mut link = shared.exchange.link(Keeping::OnDisk).await?;
    link.attend(Attendance::Away);
    let all = session.subscriptions.iter().filter(|known| known.source == Source::Link);
    for subscription in all {
        link.subscribe(subscription.interest()).await?;
    }
    Ok(Some(Box::new(link)))
}

/// When the wall clock will say `at`.
pub(super) fn instant(at: Timestamp, now: Timestamp) -> Instant {
    Instant::now() + Duration::from_millis(at.since(now).0)
}
